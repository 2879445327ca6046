package bpf

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata")

// mapShape is what makes a pinned map of an older agent usable, or not.
type mapShape struct {
	Type                      string
	Key, Value, Entries, Flag uint32
}

// A map that changes under its name cannot be opened by the next agent, so testdata keeps every map by its name and
// -update adds and removes names only.
func TestMapsKeepTheirShape(t *testing.T) {
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]mapShape{}
	for name, m := range spec.Maps {
		if len(name) > 15 {
			t.Errorf("%s: the kernel keeps 15 characters of a name", name)
		}
		if m.Pinning != ebpf.PinByName {
			t.Errorf("%s is not pinned", name)
		}
		got[name] = mapShape{m.Type.String(), m.KeySize, m.ValueSize, m.MaxEntries, m.Flags}
	}
	want := map[string]mapShape{}
	golden(t, "testdata/maps.json", &want, func() any {
		for name := range want {
			if _, ok := got[name]; !ok {
				delete(want, name)
			}
		}
		for name, m := range got {
			if _, ok := want[name]; !ok {
				want[name] = m
			}
		}
		return want
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("maps (-testdata +C); a changed map needs a new version in its name, then -update:\n%s", d)
	}
}

func TestReasonsAreThoseOfC(t *testing.T) {
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	enum, ok := spec.Maps[CountersMap].Key.(*btf.Enum)
	if !ok {
		t.Fatalf("key of %s is %v, not an enum", CountersMap, spec.Maps[CountersMap].Key)
	}
	want := map[Reason]string{}
	for _, v := range enum.Values {
		want[Reason(v.Value)] = v.Name
	}
	got := map[Reason]string{}
	for _, r := range Reasons() {
		got[r] = strings.ToUpper("OV_" + string(r.Verdict()) + "_" + r.String())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reasons (-C +Go):\n%s", d)
	}
	if unknown := Reason(len(reasons)); unknown.Verdict() != "" || !strings.HasPrefix(unknown.String(), "reason ") {
		t.Errorf("unknown reason: %q %q", unknown.Verdict(), unknown)
	}
	if last, n := slices.Max(Reasons()), spec.Maps[CountersMap].MaxEntries; uint32(last) >= n {
		t.Errorf("reason number %d, %d counters", last, n)
	}
}

func TestClassesAreThoseOfC(t *testing.T) {
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	enum, ok := spec.Maps[LimitsMap].Key.(*btf.Enum)
	if !ok {
		t.Fatalf("key of %s is %v, not an enum", LimitsMap, spec.Maps[LimitsMap].Key)
	}
	want, got := map[Class]string{}, map[Class]string{}
	for _, v := range enum.Values {
		want[Class(v.Value)] = v.Name
	}
	for _, c := range Classes() {
		got[c] = strings.ToUpper("OV_CLASS_" + c.String())
		if parsed, ok := ParseClass(c.String()); !ok || parsed != c {
			t.Errorf("%s is parsed as %s", c, parsed)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("classes (-C +Go):\n%s", d)
	}
	if _, ok := ParseClass("none"); ok || !strings.HasPrefix(Class(len(classes)).String(), "class ") {
		t.Error("an unknown class has a name")
	}
	if n := int(spec.Maps[LimitsMap].MaxEntries); len(want) > n || len(Buckets{}.Of) != n {
		t.Errorf("%d classes, %d limits, %d buckets", len(want), n, len(Buckets{}.Of))
	}
}

// golden reads a JSON file into want; with -update it first writes what fresh gives.
func golden(t *testing.T, path string, want any, fresh func() any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, want)
	}
	if err != nil && !*update {
		t.Fatal(err)
	}
	if *update {
		data, err := json.MarshalIndent(fresh(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
