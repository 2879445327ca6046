package model

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// The declarations as one readable list: what changes it changes the API, the command line and the store.
func TestDeclarations(t *testing.T) {
	var b strings.Builder
	for _, r := range slices.SortedFunc(slices.Values(All()), func(a, b *Resource) int { return strings.Compare(a.Plural, b.Plural) }) {
		fmt.Fprintf(&b, "%s (%s-, %s)%s\n", r.Plural, r.Prefix, r.Name, resourceOptions(r))
		for _, f := range r.Fields {
			if f.Name != "uuid" && len(f.index) > 1 && r != Tenants {
				continue // Meta's, which are all alike
			}
			fmt.Fprintf(&b, "  %-32s %s\n", f.Name, fieldOptions(f))
		}
		for _, f := range r.Inputs {
			fmt.Fprintf(&b, "  + %-30s %s\n", f.Name, fieldOptions(f))
		}
		b.WriteByte('\n')
	}
	golden(t, "resources.txt", b.String())
}

func resourceOptions(r *Resource) string {
	var s string
	if r.Parent != "" {
		s += fmt.Sprintf(" %s/%s", r.Field(r.Parent).Ref, r.Path)
	}
	if r.Key != "" {
		s += "/" + r.Key
	}
	for _, o := range []struct {
		on   bool
		text string
	}{{r.Rows, "rows"}, {r.Hidden, "hidden"}, {r.CrossTenant, "crosses tenants"}} {
		if o.on {
			s += ", " + o.text
		}
	}
	if r.Reach.Rule != "" {
		s += ", reach " + r.Reach.Rule
	}
	if r.Reach.With != nil {
		s += ", with " + strings.Join(r.Reach.With, " and ")
	}
	if r.Reach.If != "" {
		s += ", if " + r.Reach.If
	}
	return s
}

func fieldOptions(f *Field) string {
	s := []string{f.Type.String()}
	add := func(on bool, format string, args ...any) {
		if on {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	add(f.Required, "required")
	add(f.Mutable, "mutable")
	add(f.ReadOnly, "readonly")
	add(f.Default != "", "default=%s", f.Default)
	add(f.Enum != nil, "enum=%s", strings.Join(f.Enum, "|"))
	add(f.Min != nil || f.Max != nil, "%s", strings.ReplaceAll(f.boundsIfAny(), " ", "-"))
	add(f.Family != 0, "IPv%d", f.Family)
	add(f.domain, "domain")
	add(f.Ref != "", "ref=%s,%s", f.Ref, [...]string{"restrict", "cascade", "clear"}[f.OnDelete])
	add(f.Names != "", "names=%s", f.Names)
	add(f.unique != nil, "unique=%s", strings.Join(f.unique, ","))
	add(f.uniqueZero != nil, "uniquezero=%s", strings.Join(f.uniqueZero, ","))
	add(f.indexed != nil, "index=%s", strings.Join(f.indexed, ","))
	add(f.Alias != "", "alias=%s", f.Alias)
	add(f.MaxBytes != 255, "bytes=%d", f.MaxBytes)
	add(f.Lines, "lines")
	return strings.Join(s, " ")
}

func (f *Field) boundsIfAny() string {
	if f.Min == nil && f.Max == nil {
		return ""
	}
	return f.bounds()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); run go test -update to accept:\n%s", path, diff)
	}
}

// Every declaration keeps the rules that all that derives from them counts on.
func TestDeclarationsAreSound(t *testing.T) {
	for _, r := range All() {
		if r.Parent != "" && (r.Path == "" || r.Field(r.Parent) == nil || r.Field(r.Parent).Ref == "" || !r.Field(r.Parent).Required) {
			t.Errorf("%s: its parent %q is not a required reference, or it has no path", r.Plural, r.Parent)
		}
		if r.Key != "" && (r.Field(r.Key) == nil || r.Field(r.Key).Ref == "" || r.Field(r.Key).Mutable) {
			t.Errorf("%s: its key %q is not a reference that stays", r.Plural, r.Key)
		}
		for _, name := range r.Reach.With {
			if f := r.Field(name); f == nil || f.Ref == "" {
				t.Errorf("%s: reach follows %q, which is not a reference to one object", r.Plural, name)
			}
		}
		if (r.Reach.Rule == "local" || r.Reach.Rule == "translation") && !slices.Contains([]string{Interfaces.Plural, IPLeases.Plural}, r.Field(r.Reach.With[0]).Ref) {
			t.Errorf("%s: local, but not to an interface, or a lease of one", r.Plural)
		}
		names := map[string]bool{}
		for _, f := range slices.Concat(r.Fields, r.Inputs) {
			for _, n := range []string{f.Name, f.Alias} {
				if n != "" && names[n] {
					t.Errorf("%s: %s is the name of two parameters", r.Plural, n)
				}
				names[n] = true
			}
			if f.Ref != "" && ByPlural(f.Ref) == nil {
				t.Errorf("%s.%s refers to %s, which there is not", r.Plural, f.Name, f.Ref)
			}
			if f.Required && f.OnDelete == Clear {
				t.Errorf("%s.%s is required, but a deletion would clear it", r.Plural, f.Name)
			}
			if f.ReadOnly && (f.Mutable || f.Required && f.Default != "") {
				t.Errorf("%s.%s is read-only, but a parameter as well", r.Plural, f.Name)
			}
		}
		r.New() // panics over a default that the field refuses
	}
}
