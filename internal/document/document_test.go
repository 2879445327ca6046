package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJSON(t *testing.T) {
	v, err := JSON([]byte("{\"a\": 1,\n \"b\": [true, null, \"x\"],\n \"c\": {\"d\": \"e\"}}\n"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": json.Number("1"), "b": []any{true, nil, "x"}, "c": map[string]any{"d": "e"}}
	if d := cmp.Diff(want, v.Plain()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if c, _ := v.Get("c"); c.Line != 3 || c.Members[0].Line != 3 {
		t.Errorf("c is on line %d", c.Line)
	}
}

func TestYAML(t *testing.T) {
	docs, err := YAML([]byte(`# comment
networks:
- uuid: nw-a
  ipv4_prefix: 24
  domain_name: ~
- &one
  dpid: 0000111111111111
  mac: 02:00:00:00:00:01
  yes: no
---
---
copies:
- *one
- {<<: *one, mac: "null"}
`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	one := func(mac string) map[string]any {
		return map[string]any{"dpid": "0000111111111111", "mac": mac, "yes": "no"}
	}
	want := []any{
		map[string]any{"networks": []any{map[string]any{"uuid": "nw-a", "ipv4_prefix": "24", "domain_name": nil}, one("02:00:00:00:00:01")}},
		map[string]any{"copies": []any{one("02:00:00:00:00:01"), one("null")}},
	}
	var got []any
	for _, d := range docs {
		got = append(got, d.Plain())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if m := docs[0].Members[0].List[0].Members[1]; m.Name != "ipv4_prefix" || m.Line != 4 {
		t.Errorf("%s is on line %d", m.Name, m.Line)
	}
}

func TestErrors(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for name, test := range map[string]struct {
		yaml bool
		text string
		want string
	}{
		"json empty":      {text: "", want: "line 1: the JSON ends too early"},
		"json truncated":  {text: "{\"a\": 1,\n\"b\"", want: "line 2: the JSON ends too early"},
		"json syntax":     {text: "{\"a\": 1,\n\"b\" 2}", want: "line 2: not JSON: "},
		"json twice":      {text: `{"a": 1, "a": 1}`, want: `line 1: "a" is given twice`},
		"json more":       {text: `{} {}`, want: "line 1: text after the end of the JSON value"},
		"json deep":       {text: strings.Repeat("[", 1_000_000), want: "line 1: nested deeper than 16 levels"},
		"json many":       {text: "[" + strings.Repeat("1,", 20_000) + "1]", want: "line 1: more than 10000 values"},
		"json not UTF-8":  {text: "{\n\"a\": \"\xff\"}", want: "line 2: byte 9 is not UTF-8"},
		"yaml syntax":     {yaml: true, text: "a: 1\nb: [", want: "line 2: not YAML: "},
		"yaml twice":      {yaml: true, text: "a: 1\nb: 2\na: 3", want: `line 3: "a" is given twice`},
		"yaml map as key": {yaml: true, text: "? {a: b}\n: c", want: "line 1: a name must be a single value"},
		"yaml bomb":       {yaml: true, text: bomb, want: "more than 10000 values"},
		"yaml circle":     {yaml: true, text: "&a [*a]", want: "nested deeper than 16 levels"},
		"yaml deep":       {yaml: true, text: strings.Repeat("[", 9000), want: "line "},
		"yaml no anchor":  {yaml: true, text: "a: *b", want: "not YAML: unknown anchor"},
		"yaml merge":      {yaml: true, text: "a: 1\n<<: x", want: "line 2: only maps can be merged with <<, not a single value"},
		"yaml not UTF-8":  {yaml: true, text: "a: \xff", want: "line 1: byte 4 is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			var err error
			if test.yaml {
				_, err = YAML([]byte(test.text), Limits{})
			} else {
				_, err = JSON([]byte(test.text), Limits{})
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, true, null, {"b": "c"}]}`))
	f.Add([]byte(`[1e1000, -0.0]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := JSON(text, Limits{})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error of type %T: %v", err, err)
		}
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber() // a number is kept as it stands: whoever reads it says which range it has
		var any any
		if err := dec.Decode(&any); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		again, err := json.Marshal(v.Plain())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := JSON(again, Limits{}); err != nil {
			t.Fatalf("refuses its own values: %v", err)
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("a: &x [1, ~]\n---\nb: {<<: {c: d}, e: *x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, err := YAML(text, Limits{})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error of type %T: %v", err, err)
		}
		for _, d := range docs {
			_, _ = d.Plain(), d.String()
		}
	})
}
