package model

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every field of every resource comes back, also from what package json writes, as older versions did.
func TestStoredForm(t *testing.T) {
	for _, r := range All() {
		t.Run(r.Name, rapid.MakeCheck(func(t *rapid.T) {
			o := r.new()
			for _, f := range r.Fields {
				if rapid.Bool().Draw(t, "set "+f.Name) {
					draw(t, f, reflect.ValueOf(o).Elem().FieldByIndex(f.index))
				}
			}
			whole, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := Encode(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range [][]byte{whole, stored} {
				got, err := r.Decode(b)
				if err != nil {
					t.Fatalf("%s: %v", b, err)
				}
				if text, err := json.Marshal(got); err != nil || string(text) != string(whole) {
					t.Fatalf("%s\ncomes back as\n%s (%v)\nwant\n%s", b, text, err, whole)
				}
			}
		}))
	}
}

// draw puts a value into a field, of those which its type takes.
func draw(t *rapid.T, f *Field, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Addr().Interface().(type) {
	case *netip.Addr:
		if rapid.Bool().Draw(t, "v6") {
			v.Set(reflect.ValueOf(netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, f.Name)))))
		} else {
			v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, f.Name)))))
		}
	case *netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("10.1.0.0/16")))
	case *time.Time:
		v.Set(reflect.ValueOf(time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, f.Name)).UTC()))
	case *MAC:
		v.Set(reflect.ValueOf(MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, f.Name))))
	default:
		switch {
		case v.Kind() == reflect.Bool:
			v.SetBool(rapid.Bool().Draw(t, f.Name))
		case v.CanUint():
			v.SetUint(rapid.Uint64Range(0, 1<<min(v.Type().Bits(), 63)-1).Draw(t, f.Name))
		case v.CanInt():
			v.SetInt(rapid.Int64Range(-1<<31, 1<<31-1).Draw(t, f.Name))
		case f.Enum != nil:
			v.SetString(rapid.SampledFrom(f.Enum).Draw(t, f.Name))
		case v.Type() == reflect.TypeFor[string]():
			v.SetString(rapid.StringN(0, 20, 60).Draw(t, f.Name))
		}
	}
}

func TestOlderAndNewerForms(t *testing.T) {
	// Version 2 renamed display_name, 3 counts in hundreds.
	steps := []upgrade{
		func(m map[string]json.RawMessage) error {
			if v, ok := m["name"]; ok {
				m["display_name"] = v
				delete(m, "name")
			}
			return nil
		},
		func(m map[string]json.RawMessage) error {
			var id uint32
			if err := json.Unmarshal(m["id"], &id); err != nil {
				return err
			}
			m["id"], _ = json.Marshal(100 * id)
			return nil
		},
	}
	for name, test := range map[string]struct {
		steps   []upgrade
		stored  string
		id      uint32
		refused string
	}{
		"the first, with all members":  {steps[:0], `{"uuid":"if-a","id":7,"created_at":"2026-01-02T03:04:05.000006Z","updated_at":"2026-01-02T03:04:05.000006Z","display_name":"x","mode":"vif","enable_routing":false,"enable_route_translation":false,"enable_filtering":false}`, 7, ""},
		"spaces, escapes, other order": {steps[:0], `{ "id": 7, "display_name": "\u0078", "uuid": "if-a", "mode": "vif" }`, 7, ""},
		"one version behind":           {steps[:1], `{"uuid":"if-a","id":7,"name":"x","mode":"vif"}`, 7, ""},
		"two versions behind":          {steps, `{"uuid":"if-a","id":7,"name":"x","mode":"vif"}`, 700, ""},
		"one of two versions behind":   {steps, `{"v":2,"uuid":"if-a","id":7,"display_name":"x","mode":"vif"}`, 700, ""},
		"this version":                 {steps, `{"v":3,"uuid":"if-a","id":7,"display_name":"x","mode":"vif"}`, 7, ""},
		"this version, escaped":        {steps, `{"v":3,"uuid":"if-a","id":7,"display_name":"\u0078","mode":"vif"}`, 7, ""},
		"a newer one":                  {steps, `{"v":4,"uuid":"if-a","future":1}`, 0, "schema version 4, and this program reads up to 3"},
		"a newer one, none known":      {nil, `{"v":2,"uuid":"if-a"}`, 0, "schema version 2, and this program reads up to 1"},
		"an upgrade that fails":        {steps, `{"v":2,"uuid":"if-a","id":"seven"}`, 0, "from schema version 2 to 3"},
		"no version":                   {nil, `{"v":x,"uuid":"if-a"}`, 0, "v is not a schema version"},
		"version 0":                    {nil, `{"v":0,"uuid":"if-a"}`, 0, "v is not a schema version"},
		"an unknown member":            {nil, `{"uuid":"if-a","future":1}`, 0, `unknown field "future"`},
		"an unknown text":              {nil, `{"uuid":"if-a","future":"x"}`, 0, `unknown field "future"`},
		"a number too large":           {nil, `{"uuid":"if-a","id":4294967296}`, 0, "4294967296"},
		"no end":                       {nil, `{"uuid":"if-a"`, 0, "unexpected EOF"},
		"no object":                    {nil, `[]`, 0, "not a JSON object"},
		"nothing":                      {nil, ``, 0, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Interfaces.decode([]byte(test.stored), test.steps)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Fatalf("got %+v, %v; want a refusal with %q", o, err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			i := o.(*Interface)
			if i.UUID != "if-a" || i.ID != test.id || i.DisplayName != "x" || i.Mode != InterfaceVIF {
				t.Errorf("got %+v", i)
			}
		})
	}
	i := &Interface{Meta: Meta{UUID: "if-a", ID: 7}, Mode: InterfaceVIF, DisplayName: "x"}
	b, err := Interfaces.encode(i, 3)
	if err != nil || string(b) != `{"v":3,"uuid":"if-a","id":7,"display_name":"x","mode":"vif"}` {
		t.Errorf("stored as %s (%v)", b, err)
	}
	if b, err = Encode(&Interface{}); err != nil || string(b) != `{}` {
		t.Errorf("an empty object is stored as %s (%v)", b, err)
	}
}

// What was written before a field existed is read with the field's default, as far as that is not its zero value: with what a creation gives.
func TestOlderObjectsHaveDefaults(t *testing.T) {
	for _, r := range All() {
		fresh := r.New()
		o, err := r.Decode([]byte(`{"uuid":"x-1"}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Fields {
			since := map[string]bool{"unknown_unicast": true, "multicast": true, "encapsulation": true, "trust_members": true, "routes.mode": true}
			if (since[f.Name] || since[r.Plural+"."+f.Name]) && f.Text(o) != f.Text(fresh) {
				t.Errorf("%s.%s of an older object is %q, want %q", r.Plural, f.Name, f.Text(o), f.Text(fresh))
			}
		}
	}
	// And what was written with it keeps its own.
	for _, o := range []Object{
		&SecurityGroup{Meta: Meta{UUID: "sg-a"}}, &Topology{Meta: Meta{UUID: "topo-a"}, Encapsulation: VXLAN}, &Route{Meta: Meta{UUID: "r-a"}, Mode: RouteBlackhole},
		&SecurityGroupRule{Meta: Meta{UUID: "sgr-a"}, ICMPType: -1},
	} {
		b, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Of(o).Decode(b); err != nil || !Equal(o, back) {
			t.Errorf("%s comes back as %+v (%v)", b, back, err)
		}
	}
}

// What Encode writes, the quick way reads.
func TestPlain(t *testing.T) {
	for _, o := range []Object{
		&Interface{Meta: Meta{UUID: "if-a", ID: 7, CreatedAt: time.Unix(1, 0).UTC(), UpdatedAt: time.Unix(2, 5000).UTC()}, Mode: InterfaceVIF, EnableRouting: true},
		&MACLease{Meta: Meta{UUID: "ml-a", TenantUUID: "tn-a", Labels: "a=b"}, InterfaceUUID: "if-a", MACAddress: MAC{2, 0, 0, 0, 0, 1}},
		&SecurityGroupRule{Meta: Meta{UUID: "sgr-a"}, SecurityGroupUUID: "sg-a", ICMPType: -1, ICMPCode: -1, PortFirst: 80},
		&IPLease{Meta: Meta{UUID: "il-a"}, NetworkUUID: "nw-a", IPv4Address: netip.MustParseAddr("10.0.0.1"), IPv6Address: netip.MustParseAddr("fd00::1")},
	} {
		b, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		got := Of(o).new()
		if !Of(o).decodePlain(reflect.ValueOf(got).Elem(), b[1:]) || !Equal(o, got) {
			t.Errorf("%s is read as %+v", b, got)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	l := &IPLease{Meta: Meta{UUID: "il-12345678", ID: 12345, CreatedAt: time.Unix(1e9, 1000).UTC(), UpdatedAt: time.Unix(1e9, 1000).UTC()},
		NetworkUUID: "nw-12345678", IPv4Address: netip.MustParseAddr("10.0.0.1"), MACLeaseUUID: "ml-12345678", InterfaceUUID: "if-12345678"}
	text, err := Encode(l)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := IPLeases.Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}
