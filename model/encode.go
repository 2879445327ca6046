package model

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// upgrade brings the members of an object's stored form from one schema version to the next: it renames, converts and removes them.
type upgrade func(members map[string]json.RawMessage) error

// upgrades are, by resource, what brings its objects from version 1 to 2, from 2 to 3, and so on. A resource without is of
// version 1. A new field needs none if its default is its zero value, which absent stands for; with another default it does.
var upgrades = map[string][]upgrade{
	"networks":        {defaults(map[string]string{"unknown_unicast": `"outside"`, "multicast": `"flood"`})},
	"segments":        {defaults(map[string]string{"unknown_unicast": `"outside"`, "multicast": `"flood"`})},
	"routes":          {defaults(map[string]string{"mode": `"gateway"`})},
	"topologies":      {defaults(map[string]string{"encapsulation": `"geneve"`})},
	"security_groups": {defaults(map[string]string{"trust_members": `true`})},
	"dns_records":     {defaults(map[string]string{"type": `"address"`})},
}

// defaults is the upgrade to a version that has new fields with these values in objects that were written before.
func defaults(values map[string]string) upgrade {
	return func(members map[string]json.RawMessage) error {
		for name, v := range values {
			if _, ok := members[name]; !ok {
				members[name] = json.RawMessage(v)
			}
		}
		return nil
	}
}

// SchemaVersion is the version of the form in which objects of the resource are stored. Older ones are read.
func (r *Resource) SchemaVersion() int { return 1 + len(upgrades[r.Plural]) }

// Encode gives the stored form of an object: a JSON object of the fields that are not zero, by their names, begun by the member v,
// the schema version, where that is not 1.
func Encode(o Object) ([]byte, error) {
	r := Of(o)
	return r.encode(o, r.SchemaVersion())
}

func (r *Resource) encode(o Object, version int) ([]byte, error) {
	b := append(make([]byte, 0, 256), '{')
	if version != 1 {
		b = append(b, `"v":`...)
		b = strconv.AppendInt(b, int64(version), 10)
	}
	v := reflect.ValueOf(o).Elem()
	for _, f := range r.Fields {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.Name...)
		b = append(b, '"', ':')
		var err error
		if b, err = appendValue(b, fv); err != nil {
			return nil, fmt.Errorf("encode %s of %s: %w", f.Name, r.Title(), err)
		}
	}
	return append(b, '}'), nil
}

// appendValue adds what json.Marshal gives of the value.
func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	switch x := v.Addr().Interface().(type) {
	case *bool:
		return strconv.AppendBool(b, *x), nil
	case *int:
		return strconv.AppendInt(b, int64(*x), 10), nil
	case *uint16:
		return strconv.AppendUint(b, uint64(*x), 10), nil
	case *uint32:
		return strconv.AppendUint(b, uint64(*x), 10), nil
	case *time.Time:
		b = append(b, '"')
		return append(x.AppendFormat(b, time.RFC3339Nano), '"'), nil
	case *MAC:
		b = append(b, '"')
		b = append(b, x.String()...)
		return append(b, '"'), nil
	case *netip.Addr:
		b = append(b, '"')
		return append(x.AppendTo(b), '"'), nil
	}
	if _, own := v.Addr().Interface().(json.Marshaler); !own && v.Kind() == reflect.String && plain(v.String()) {
		b = append(b, '"')
		b = append(b, v.String()...)
		return append(b, '"'), nil
	}
	text, err := json.Marshal(v.Interface())
	return append(b, text...), err
}

// plain reports whether JSON writes the text as it is.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// Decode reads the stored form of an object of the resource, of this schema version or an older one. A newer version and an unknown
// member are errors: what a newer program wrote must not be lost by an older one. The object keeps nothing of b.
func (r *Resource) Decode(b []byte) (Object, error) {
	o, err := r.decode(b, upgrades[r.Plural])
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.Title(), err)
	}
	return o, nil
}

func (r *Resource) decode(b []byte, steps []upgrade) (Object, error) {
	version, members, err := cutVersion(b)
	current := 1 + len(steps)
	switch {
	case err != nil:
		return nil, err
	case version > current:
		return nil, fmt.Errorf("it has schema version %d, and this program reads up to %d: it was written by a newer one", version, current)
	case version < current:
		if members, err = upgraded(members, steps[version-1:]); err != nil {
			return nil, fmt.Errorf("bring it up from schema version %d to %d: %w", version, current, err)
		}
	}
	o := r.new()
	if r.decodePlain(reflect.ValueOf(o).Elem(), members) {
		return o, nil
	}
	// What is not plain, or wrong, is left to what knows all of JSON.
	o = r.new()
	dec := json.NewDecoder(bytes.NewReader(append([]byte{'{'}, members...)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(o); err != nil {
		return nil, err
	}
	return o, nil
}

// cutVersion gives the schema version and what is left of the object behind its opening brace and that member.
func cutVersion(b []byte) (version int, members []byte, err error) {
	members, ok := bytes.CutPrefix(b, []byte{'{'})
	if !ok {
		return 0, nil, errors.New("it is not a JSON object")
	}
	rest, ok := bytes.CutPrefix(members, []byte(`"v":`))
	if !ok {
		return 1, members, nil
	}
	digits := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
	if version, err = strconv.Atoi(string(digits)); err != nil || version < 1 {
		return 0, nil, errors.New("v is not a schema version")
	}
	members = bytes.TrimPrefix(rest[len(digits):], []byte{','})
	return version, members, nil
}

// upgraded takes members from one version to the next, step by step.
func upgraded(b []byte, steps []upgrade) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(append([]byte{'{'}, b...), &members); err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := step(members); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(members)
	return b[min(1, len(b)):], err
}

// decodePlain reads members as Encode writes them: without spaces, texts without escapes. It reports whether they were all like that.
func (r *Resource) decodePlain(o reflect.Value, b []byte) bool {
	if len(b) == 1 && b[0] == '}' {
		return true
	}
	next := 0 // the field that comes next if all are there
	for {
		name, rest, ok := cutText(b)
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return false
		}
		n := r.fieldAfter(next, name)
		if n < 0 {
			return false
		}
		next = n + 1
		if b, ok = r.Fields[n].decodePlain(o.FieldByIndex(r.Fields[n].index), rest[1:]); !ok || len(b) == 0 {
			return false
		}
		switch {
		case b[0] == ',':
			b = b[1:]
		case b[0] == '}':
			return len(b) == 1
		default:
			return false
		}
	}
}

// fieldAfter gives the index of the field of that name, looked for from next on, or -1.
func (r *Resource) fieldAfter(next int, name []byte) int {
	for n := range r.Fields {
		i := (next + n) % len(r.Fields)
		if r.Fields[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// cutText takes a text in quotes off b.
func cutText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b[1:], '"') + 1
	if end == 0 || !plain(b[1:end]) {
		return nil, nil, false
	}
	return b[1:end], b[end+1:], true
}

// decodePlain reads the field's value off b into v.
func (f *Field) decodePlain(v reflect.Value, b []byte) (rest []byte, ok bool) {
	switch x := v.Addr().Interface().(type) {
	case *bool:
		if rest, ok = bytes.CutPrefix(b, []byte("true")); ok {
			*x = true
			return rest, true
		}
		return bytes.CutPrefix(b, []byte("false"))
	case *int, *uint16, *uint32:
		digits, negative := bytes.CutPrefix(b, []byte{'-'})
		n, rest, ok := cutNumber(digits)
		if !ok {
			return nil, false
		}
		switch x := x.(type) {
		case *int:
			if *x = int(n); negative {
				*x = -*x
			}
			return rest, true
		case *uint16:
			*x = uint16(n)
			return rest, n <= math.MaxUint16 && !negative
		case *uint32:
			*x = uint32(n)
			return rest, !negative
		}
	}
	text, rest, ok := cutText(b)
	if !ok {
		return nil, false
	}
	switch x := v.Addr().Interface().(type) {
	case *string:
		for _, e := range f.Enum { // of which there is one already
			if e == string(text) {
				*x = e
				return rest, true
			}
		}
		*x = string(text)
		return rest, true
	case encoding.TextUnmarshaler:
		return rest, x.UnmarshalText(text) == nil
	case json.Unmarshaler:
		return nil, false
	}
	if v.Kind() != reflect.String {
		return nil, false
	}
	v.SetString(string(text))
	return rest, true
}

// cutNumber takes a whole number that is not negative and below 1<<32 off b.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if n = n*10 + uint64(b[i]-'0'); n > math.MaxUint32 {
			return 0, nil, false
		}
	}
	return n, b[i:], i > 0 && (i == 1 || b[0] != '0')
}
