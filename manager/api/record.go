package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// record is a map of a response, in the order in which people read it. The values are those that appendJSON and yamlNode
// know: nil, string, bool, int, int64, number, record, []any, []string.
type record []member

type member struct {
	name  string
	value any
}

// number is a whole number in decimal digits.
type number string

func (r *record) add(name string, value any) { *r = append(*r, member{name, value}) }

func (r record) get(name string) (any, bool) {
	i := slices.IndexFunc(r, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return r[i].value, true
}

// encode gives the body of a response.
func encode(v any, asYAML bool) ([]byte, error) {
	if !asYAML {
		b, err := appendJSON(nil, v)
		return append(b, '\n'), err
	}
	n, err := yamlNode(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("encode YAML: %w", err)
	}
	return b.Bytes(), enc.Close()
}

func appendJSON(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case number:
		return append(b, v...), nil
	case record:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendString(b, m.name); err != nil {
				return b, err
			}
			b = append(b, ':')
			if b, err = appendJSON(b, m.value); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case []string:
		return appendJSON(b, anys(v))
	}
	return b, fmt.Errorf("a response cannot hold a %T", v)
}

// appendString appends a text as JSON. Nearly all texts are plain.
func appendString(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			return append(b, quoted...), err
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

func yamlNode(v any) (*yaml.Node, error) {
	n := &yaml.Node{}
	switch v := v.(type) {
	case record:
		n.Kind = yaml.MappingNode
		for _, m := range v {
			val, err := yamlNode(m.value)
			if err != nil {
				return nil, err
			}
			key := &yaml.Node{}
			key.SetString(m.name)
			n.Content = append(n.Content, key, val)
		}
		return n, nil
	case []any:
		n.Kind = yaml.SequenceNode
		for _, e := range v {
			item, err := yamlNode(e)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		return n, nil
	case []string:
		return yamlNode(anys(v))
	case number:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!int", string(v)
		return n, nil
	case nil:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!null", "null"
		return n, nil
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", strconv.FormatBool(v)
		return n, nil
	case int:
		return yamlNode(int64(v))
	case int64:
		return yamlNode(number(strconv.FormatInt(v, 10)))
	case string:
		if isPlain(v) {
			n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!str", v
			return n, nil
		}
		if err := n.Encode(v); err != nil {
			return nil, fmt.Errorf("encode YAML: %w", err)
		}
		return n, nil
	}
	return nil, fmt.Errorf("a response cannot hold a %T", v)
}

// isPlain reports whether a text is a uuid or an IPv4 address, which stand without quotes and need not be asked about: most texts are.
func isPlain(s string) bool {
	prefix, suffix, ok := strings.Cut(s, "-")
	if ok && prefix != "" && strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz") == "" {
		return suffix != "" && strings.Trim(suffix, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	}
	return strings.Count(s, ".") == 3 && strings.Trim(s, "0123456789.") == ""
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}
