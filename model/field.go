package model

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type is the kind of value that a field holds, seen from outside.
type Type uint8

// The types of fields. Integer, MACAddress, IPAddress, IPPrefix and DatapathID are 0, "" or null outside where the field is unset.
const (
	String Type = iota
	Boolean
	Integer
	MACAddress
	IPAddress
	IPPrefix
	DatapathID
	Time
)

var typeNames = [...]string{"string", "boolean", "integer", "MAC address", "IP address", "IP prefix", "datapath id", "time"}

func (t Type) String() string { return typeNames[t] }

// OnDelete says what happens to an object when the object it refers to is deleted.
type OnDelete uint8

// What a deletion of the referent does.
const (
	Restrict OnDelete = iota // the deletion is refused
	Cascade                  // the object is deleted too
	Clear                    // the reference is emptied
)

// Field is one declared member of a resource or of its creation parameters. It is read off the struct's tags:
//
//	json:"name"           the name in the API, in the store and on the command line (with hyphens there)
//	doc:"..."             one or two sentences for people
//	vn:"required"         must be given at creation
//	vn:"mutable"          may be changed afterwards
//	vn:"readonly"         is set by the manager alone; refused as a parameter
//	vn:"default=x"        the value when absent
//	vn:"enum=a|b"         one of these
//	vn:"min=1,max=32"     bounds of an integer
//	vn:"ip=4" or "ip=6"   the family of an address
//	vn:"domain"           a domain name
//	vn:"ref=networks"     the uuid of an object of that resource
//	vn:"names=networks"   a text that names objects of that resource among other things; they cannot be deleted as long as it does
//	vn:"cascade", "clear" OnDelete of a ref; without it Restrict
//	vn:"unique=group"     fields of one group together are unique within the resource, as far as all are set; a group whose
//	                      name begins with @ is one for all resources that have it
//	vn:"uniquezero=group" the same, but the empty value counts as a value
//	vn:"index=group"      objects are found by the values of a group's fields together, which several may share (Reader.Alike)
//	vn:"alias=old"        an older name of the parameter, read but never written
type Field struct {
	Name     string
	Type     Type
	Doc      string
	Required bool
	Mutable  bool
	ReadOnly bool
	Default  string
	Enum     []string
	Alias    string // an older name of the parameter, "" for none
	MaxBytes int    // of a String: the longest text
	Lines    bool   // of a String: it may have several lines
	Min, Max *int64
	Family   int    // of an IPAddress: 4, 6, or 0 for either
	Ref      string // plural of the resource referred to
	Names    string // plural of the resource whose objects are named in a text
	OnDelete OnDelete

	unique, uniqueZero []string          // groups
	indexed            []string          // groups
	refused            map[string]string // values that there are elsewhere, and why not here
	domain             bool
	index              []int
	typ                reflect.Type
}

// ParseText reads a value from text, as it stands in a query string or on a command line. The error is a *Error that
// names the field.
func (f *Field) ParseText(s string) (any, error) { return f.Parse(s) }

// Parse reads a value of any form that a request can carry (string, bool, json.Number, float64, int, nil) into the field's Go
// type. Strings are coerced as OpenVNet does (1, true, t, yes, y for booleans). The error is a *Error that names the field
// and the reason.
func (f *Field) Parse(v any) (any, error) {
	out := reflect.New(f.typ).Elem()
	if v == nil {
		return out.Interface(), nil
	}
	target := out
	if f.typ.Kind() == reflect.Pointer {
		target = reflect.New(f.typ.Elem()).Elem()
	}
	if err := f.parseInto(target, v); err != nil {
		return nil, &Error{Class: ArgumentError, Field: f.Name, Reason: err.Error()}
	}
	if f.typ.Kind() == reflect.Pointer {
		if s, ok := v.(string); ok && s == "" {
			return out.Interface(), nil
		}
		out.Set(target.Addr())
	}
	return out.Interface(), nil
}

func (f *Field) parseInto(out reflect.Value, v any) error {
	text, isText := v.(string)
	if p, ok := out.Addr().Interface().(mapParser); ok && !isText {
		if m, ok := v.(map[string]any); ok {
			return p.parseMap(m)
		}
	}
	if !isText {
		switch n := v.(type) {
		case json.Number:
			text = n.String()
		case float64:
			if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
				return fmt.Errorf("%v is not a whole number", n)
			}
			text = strconv.FormatInt(int64(n), 10)
		case int:
			text = strconv.Itoa(n)
		case int64:
			text = strconv.FormatInt(n, 10)
		case uint64:
			text = strconv.FormatUint(n, 10)
		case bool:
			text = strconv.FormatBool(n)
			if f.Type != Boolean {
				return fmt.Errorf("%v is a boolean, not %s", n, article(f.Type.String()))
			}
		default:
			return fmt.Errorf("must be %s, not a list or an object", article(f.Type.String()))
		}
		if f.Type != Integer && f.Type != Boolean && f.Type != String {
			return fmt.Errorf("%s is a number, not %s", text, article(f.Type.String()))
		}
	}
	switch f.Type {
	case String:
		if why, ok := f.refused[text]; ok {
			return fmt.Errorf("%q cannot be given: %s", text, why)
		}
		if f.Enum != nil && text != "" && !slices.Contains(f.Enum, text) {
			return fmt.Errorf("%q is not one of %s", clip(text), strings.Join(f.Enum, ", "))
		}
		if f.Ref != "" && text != "" {
			if err := CheckUUID(f.Ref, text); err != nil {
				return err
			}
		}
		if len(text) > f.MaxBytes {
			return fmt.Errorf("is longer than %d bytes", f.MaxBytes)
		}
		if i := strings.IndexFunc(text, func(r rune) bool {
			return r < ' ' && !(f.Lines && (r == '\n' || r == '\t')) || r == 0x7f || r == '\ufffd'
		}); i >= 0 {
			return fmt.Errorf("holds a control character or invalid UTF-8 at byte %d", i)
		}
		if p, ok := out.Addr().Interface().(textParser); ok {
			return p.parse(text)
		}
		if f.domain {
			var err error
			if text, err = canonicalName(text); err != nil {
				return err
			}
		}
		out.SetString(text)
	case Boolean:
		switch strings.ToLower(text) {
		case "1", "true", "t", "yes", "y":
			out.SetBool(true)
		case "0", "false", "f", "no", "n", "":
			out.SetBool(false)
		default:
			return fmt.Errorf("%q is not a boolean (true or false)", clip(text))
		}
	case Integer:
		if text == "" {
			return nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", clip(text))
		}
		if f.Min != nil && n < *f.Min || f.Max != nil && n > *f.Max {
			return fmt.Errorf("%d is outside %s", n, f.bounds())
		}
		if out.CanInt() {
			if out.OverflowInt(n) {
				return fmt.Errorf("%d is too large", n)
			}
			out.SetInt(n)
		} else {
			if n < 0 || out.OverflowUint(uint64(n)) {
				return fmt.Errorf("%d is outside its range", n)
			}
			out.SetUint(uint64(n))
		}
	case MACAddress:
		var m MAC
		if err := m.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%q is not a MAC address of the form aa:bb:cc:dd:ee:ff", clip(text))
		}
		out.Set(reflect.ValueOf(m))
	case IPAddress:
		if text == "" {
			return nil
		}
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return fmt.Errorf("%q is not %s", clip(text), article(f.family()))
		}
		if f.Family == 4 && !a.Is4() || f.Family == 6 && !a.Is6() {
			return fmt.Errorf("%q is not %s", clip(text), article(f.family()))
		}
		out.Set(reflect.ValueOf(a))
	case IPPrefix:
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		out.Set(reflect.ValueOf(p))
	case DatapathID:
		d, err := ParseDPID(text)
		if err != nil {
			return fmt.Errorf("%q is not a datapath id: up to 16 hexadecimal digits, with or without 0x", clip(text))
		}
		out.Set(reflect.ValueOf(d))
	case Time:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%q is not a time of RFC 3339", clip(text))
		}
		out.Set(reflect.ValueOf(t))
	}
	return nil
}

// Get gives the field's value of o, of the Go type that Parse gives.
func (f *Field) Get(o Object) any { return f.value(o).Interface() }

// Set sets the field of o to a value that Parse or Get gave.
func (f *Field) Set(o Object, v any) { f.value(o).Set(reflect.ValueOf(v)) }

// IsSet reports whether the field of o holds anything but its zero value.
func (f *Field) IsSet(o Object) bool { return !f.value(o).IsZero() }

// Text gives the field's value of o in the text form that ParseText reads; "" for the zero value of everything but
// integers and booleans.
func (f *Field) Text(o Object) string { return text(f.value(o)) }

func (f *Field) value(o Object) reflect.Value { return reflect.ValueOf(o).Elem().FieldByIndex(f.index) }

func (f *Field) family() string {
	switch f.Family {
	case 4:
		return "IPv4 address"
	case 6:
		return "IPv6 address"
	}
	return "IP address"
}

func (f *Field) bounds() string {
	switch {
	case f.Min == nil:
		return fmt.Sprintf("the range up to %d", *f.Max)
	case f.Max == nil:
		return fmt.Sprintf("the range from %d", *f.Min)
	}
	return fmt.Sprintf("%d to %d", *f.Min, *f.Max)
}

func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	switch x := v.Interface().(type) {
	case netip.Addr:
		if !x.IsValid() {
			return ""
		}
		return x.String()
	case netip.Prefix:
		if !x.IsValid() {
			return ""
		}
		return x.String()
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case fmt.Stringer:
		return x.String()
	default:
		return fmt.Sprint(x)
	}
}

// fieldsOf reads the declared fields off a struct type; a wrong tag is a programmer's error and panics.
func fieldsOf(t reflect.Type) []*Field {
	var fields []*Field
	for _, sf := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Anonymous || name == "" || name == "-" {
			continue
		}
		f := &Field{Name: name, Doc: sf.Tag.Get("doc"), MaxBytes: 255, index: sf.Index, typ: sf.Type}
		if f.Doc == "" {
			panic(fmt.Sprintf("model: %s.%s has no doc tag", t.Name(), sf.Name))
		}
		f.Type = typeOf(t, sf)
		if l, ok := reflect.New(sf.Type).Interface().(longText); ok {
			f.MaxBytes, f.Lines = l.limits()
		}
		for opt := range strings.SplitSeq(sf.Tag.Get("vn"), ",") {
			key, val, _ := strings.Cut(opt, "=")
			switch key {
			case "":
			case "required":
				f.Required = true
			case "mutable":
				f.Mutable = true
			case "domain":
				f.domain = true
			case "readonly":
				f.ReadOnly = true
			case "alias":
				f.Alias = val
			case "default":
				f.Default = val
			case "enum":
				f.Enum = strings.Split(val, "|")
			case "min", "max":
				n, err := strconv.ParseInt(val, 10, 64)
				if err != nil {
					panic(fmt.Sprintf("model: %s.%s: %v", t.Name(), sf.Name, err))
				}
				if key == "min" {
					f.Min = &n
				} else {
					f.Max = &n
				}
			case "ip":
				f.Family = int(val[0] - '0')
			case "ref":
				f.Ref = val
			case "names":
				f.Names = val
			case "cascade":
				f.OnDelete = Cascade
			case "clear":
				f.OnDelete = Clear
			case "unique":
				f.unique = append(f.unique, val)
			case "uniquezero":
				f.uniqueZero = append(f.uniqueZero, val)
			case "index":
				f.indexed = append(f.indexed, val)
			default:
				panic(fmt.Sprintf("model: %s.%s: unknown option %q", t.Name(), sf.Name, key))
			}
		}
		fields = append(fields, f)
	}
	return fields
}

func typeOf(t reflect.Type, sf reflect.StructField) Type {
	ft := sf.Type
	if ft.Kind() == reflect.Pointer {
		ft = ft.Elem()
	}
	switch reflect.New(ft).Elem().Interface().(type) {
	case MAC:
		return MACAddress
	case netip.Addr:
		return IPAddress
	case netip.Prefix:
		return IPPrefix
	case DPID:
		return DatapathID
	case time.Time:
		return Time
	}
	switch ft.Kind() {
	case reflect.String:
		return String
	case reflect.Bool:
		return Boolean
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return Integer
	}
	panic(fmt.Sprintf("model: %s.%s: type %s is not one that a field can have", t.Name(), sf.Name, sf.Type))
}

// textParser is a kind of text with a syntax of its own: parse reads it, and keeps its canonical form. What it refuses is an
// error whose text does not name the field.
type textParser interface{ parse(text string) error }

// mapParser is one that a request may give as an object as well.
type mapParser interface{ parseMap(m map[string]any) error }

// longText is one that may be longer than most, or have several lines.
type longText interface {
	limits() (maxBytes int, lines bool)
}

// parsePrefix reads 10.0.0.0/24, or an address alone, which is all of the prefix then; "" is the zero Prefix.
func parsePrefix(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(text)
	if a, aerr := netip.ParseAddr(text); aerr == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is not an IP prefix of the form 10.0.0.0/24 or fd00::/64", clip(text))
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has bits set beyond its prefix; did you mean %s?", p, p.Masked())
	}
	return p, nil
}

func article(noun string) string {
	if strings.ContainsRune("aeiouI", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// clip keeps a quoted value of a request short enough for an error text and a log.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:61], "") + "..."
	}
	return s
}
