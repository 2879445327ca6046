package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML reads the documents of a YAML stream (YAML 1.2, section 9); empty ones are left out. Scalars keep their text, so that
// 0000aaaaaaaaaaaa and 0000111111111111 are both strings and their meaning is the reader's affair; only a plain null, ~ or
// nothing is nil. Aliases and merge keys (<<) are followed, each use counted against the limits. Refused are names given
// twice in one map, names that are no scalars, and what exceeds the limits. The error is an *Error.
func YAML(text []byte, limits Limits) (docs []Value, err error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	defer func() {
		// The decoder is not ours, and the text is anyone's: a defect of the one met by the other is a defect of the text.
		if r := recover(); r != nil {
			docs, err = nil, errorf(0, "not YAML: %v", r)
		}
	}()
	b := limits.budget()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, yamlError(err)
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
			continue
		}
		v, err := b.yaml(n.Content[0], 1)
		if err != nil {
			return nil, err
		}
		if v.Kind == Scalar && v.Scalar == nil {
			continue
		}
		docs = append(docs, v)
	}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

func yamlError(err error) error {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := yamlLine.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		reason = reason[len(m[0]):]
	}
	return errorf(line, "not YAML: %s", reason)
}

func (b *budget) yaml(n *yaml.Node, depth int) (Value, error) {
	v := Value{Line: n.Line}
	if err := b.take(n.Line, depth); err != nil {
		return Value{}, err
	}
	switch n.Kind {
	case yaml.AliasNode:
		// An alias within its own anchor ends at the limit of depth.
		return b.yaml(n.Alias, depth+1)
	case yaml.ScalarNode:
		if n.ShortTag() != "!!null" {
			v.Scalar = n.Value
		}
		return v, nil
	case yaml.SequenceNode:
		v.Kind = List
		for _, c := range n.Content {
			item, err := b.yaml(c, depth+1)
			if err != nil {
				return Value{}, err
			}
			v.List = append(v.List, item)
		}
		return v, nil
	case yaml.MappingNode:
		v.Kind = Map
		members, err := b.members(n, depth)
		v.Members = members
		return v, err
	}
	return Value{}, errorf(n.Line, "unexpected YAML node %d", n.Kind)
}

func (b *budget) members(n *yaml.Node, depth int) ([]Member, error) {
	var ns names
	var merged []Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, errorf(key.Line, "a name must be a single value")
		}
		v, err := b.yaml(val, depth+1)
		if err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if ns.has(key.Value) {
			return nil, errorf(key.Line, "%q is given twice", clip(key.Value))
		}
		ns.add(Member{Name: key.Value, Line: key.Line, Value: v})
	}
	for len(merged) > 0 {
		m := merged[0]
		merged = merged[1:]
		switch m.Kind {
		case List:
			merged = append(m.List, merged...)
		case Map:
			for _, member := range m.Members {
				if !ns.has(member.Name) { // the map's own members, and earlier merges, come first
					ns.add(member)
				}
			}
		default:
			return nil, errorf(m.Line, "only maps can be merged with <<, not a %s", m.Kind)
		}
	}
	return ns.members, nil
}

// Plain gives the value as Go's: map[string]any, []any, and the scalars.
func (v *Value) Plain() any {
	switch v.Kind {
	case Map:
		m := make(map[string]any, len(v.Members))
		for i := range v.Members {
			m[v.Members[i].Name] = v.Members[i].Plain()
		}
		return m
	case List:
		l := make([]any, len(v.List))
		for i := range v.List {
			l[i] = v.List[i].Plain()
		}
		return l
	}
	return v.Scalar
}

// String gives a short form for error texts.
func (v *Value) String() string {
	if v.Kind != Scalar {
		return "a " + v.Kind.String()
	}
	return strconv.Quote(clip(fmt.Sprint(v.Scalar)))
}
