package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

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
		s, err := json.Marshal(v)
		return append(b, s...), err
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
			if b, err = appendJSON(b, m.name); err != nil {
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
	case nil, string, bool, int, int64:
		if err := n.Encode(v); err != nil {
			return nil, fmt.Errorf("encode YAML: %w", err)
		}
		return n, nil
	}
	return nil, fmt.Errorf("a response cannot hold a %T", v)
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}
