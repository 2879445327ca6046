package compact

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t testing.TB, text []byte) *document.Value {
	t.Helper()
	v, err := readAll(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func readAll(text string) (*document.Value, error) {
	docs, err := document.YAML([]byte(text), document.Limits{Values: 1_000_000})
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, fmt.Errorf("%d documents", len(docs))
	}
	return &docs[0], nil
}

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// TestExpand compares with testdata/*.golden what the documents beside them expand to, and the example.
func TestExpand(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../docs/examples/shop.yaml")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			v := parse(t, text)
			if !Is(v) {
				t.Error("is not taken for a compact document")
			}
			docs, err := Expand(v)
			got := sections(Print(docs))
			if err != nil {
				got = []byte(err.Error() + "\n")
			} else {
				check(t, docs)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// sections sorts what is printed by resource: the order of resources is the model's affair.
func sections(printed []byte) []byte {
	all := regexp.MustCompile(`(?m)^\w+:\n(  .*\n)*`).FindAll(printed, -1)
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

// objects reads the documents into objects, as their creation would.
func objects(t failer, docs []Document) *graph.Graph {
	t.Helper()
	g := graph.New()
	for i, d := range docs {
		o := d.Resource.New()
		for name, v := range d.Params {
			f := d.Resource.Field(name)
			if f == nil {
				if f = d.Resource.Input(name); f == nil || f.Name != name {
					t.Errorf("%s: %s has no parameter %s", d.Path, d.Resource.Plural, name)
				}
				continue
			}
			val, err := f.Parse(v)
			if err != nil {
				t.Errorf("%s: %v", d.Path, err)
				continue
			}
			if f.Name != name || f.ReadOnly {
				t.Errorf("%s: %s.%s is not to be given", d.Path, d.Resource.Plural, name)
			}
			f.Set(o, val)
		}
		if err := d.Resource.Validate(o); err != nil {
			t.Errorf("%s: %v", d.Path, err)
		}
		o.Base().ID = uint32(i + 1)
		if old := g.Put(o); old != nil {
			t.Errorf("%s: %s stands twice", d.Path, o.Base().UUID)
		}
	}
	return g
}

// check looks at the documents as the store would, with what they refer to outside of them made up.
func check(t failer, docs []Document) {
	t.Helper()
	g := objects(t, docs)
	id := uint32(1 << 20)
	for _, d := range docs {
		o, _ := g.Get(d.Params["uuid"].(string))
		for _, ref := range d.Resource.Refs {
			for uuid := range ref.Targets(o) {
				if _, ok := g.Get(uuid); ok {
					continue
				}
				if of := model.ByUUID(uuid); of != model.Datapaths && of != model.Topologies && of != model.Tenants && of != model.Networks && of != model.SecurityGroups {
					t.Errorf("%s refers to %s, which is nowhere", d.Path, uuid)
				}
				outside := ref.To.New()
				outside.Base().UUID, outside.Base().ID = uuid, id
				switch n := outside.(type) {
				case *model.Network:
					p4, p6 := netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")
					n.IPv4Network, n.IPv4Prefix, n.IPv6Network, n.IPv6Prefix = p4.Addr(), p4.Bits(), p6.Addr(), p6.Bits()
				case *model.Topology:
					n.Mode = model.TopologyOverlay
				}
				g.Put(outside)
				id++
			}
		}
	}
	taken := map[string]string{}
	for _, d := range docs {
		o, _ := g.Get(d.Params["uuid"].(string))
		if err := d.Resource.Check(o, g); err != nil {
			t.Errorf("%s: %s: %v", d.Path, o.Base().UUID, err)
		}
		for _, u := range d.Resource.Uniques {
			key, ok := u.Key(o)
			if !ok {
				continue
			}
			if key = u.Name + " " + key; !u.Shared {
				key = d.Resource.Plural + " " + key
			}
			if other, ok := taken[key]; ok {
				t.Errorf("%s: %s is of %s and of %s", d.Path, key, other, o.Base().UUID)
			}
			taken[key] = o.Base().UUID
		}
	}
}

// TestPrintIsRead: what is printed is the same documents again.
func TestPrintIsRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/examples/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := Expand(parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	again := readPlain(t, Print(docs))
	if d := cmp.Diff(plainOf(docs), again); d != "" {
		t.Errorf("-printed +read:\n%s", d)
	}
	twice, err := Expand(parse(t, text))
	if err != nil || !bytes.Equal(Print(docs), Print(twice)) {
		t.Errorf("a second expansion differs (%v)", err)
	}
}

// plainOf gives the parameters by resource as text.
func plainOf(docs []Document) map[string][]map[string]any {
	out := map[string][]map[string]any{}
	for _, d := range docs {
		params := map[string]any{}
		for name, v := range d.Params {
			params[name] = text(v)
		}
		out[d.Resource.Plural] = append(out[d.Resource.Plural], params)
	}
	return out
}

func readPlain(t testing.TB, printed []byte) map[string][]map[string]any {
	t.Helper()
	out := map[string][]map[string]any{}
	read, err := document.YAML(printed, document.Limits{Values: 10_000_000})
	if err != nil {
		t.Fatalf("%v in\n%s", err, printed)
	}
	for _, doc := range read {
		for _, m := range doc.Members {
			for _, item := range m.List {
				out[m.Name] = append(out[m.Name], item.Plain().(map[string]any))
			}
		}
	}
	return out
}

// FuzzExpand: whatever the text is, there are mistakes or documents that the model accepts, no uuid twice, and their printed form
// reads as the same documents.
func FuzzExpand(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range append(files, "../../docs/examples/shop.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := document.YAML(text, document.Limits{Values: 2000})
		if err != nil {
			return
		}
		for i := range read {
			docs, err := Expand(&read[i])
			var es Errors
			if err != nil {
				if !errors.As(err, &es) || len(es) == 0 || len(es) > maxErrors+1 {
					t.Fatalf("error of type %T: %v", err, err)
				}
				continue
			}
			objects(t, docs)
			if d := cmp.Diff(plainOf(docs), readPlain(t, Print(docs))); d != "" {
				t.Errorf("-printed +read:\n%s", d)
			}
		}
	})
}

// TestNames: uuids have the syntax, follow from the names alone, and differ where the names do.
func TestNames(t *testing.T) {
	seen := map[string]string{}
	for _, doc := range []string{"lab", "lab1", "a-b", "ab", "a-very-long-name-of-a-virtual-network"} {
		for _, name := range []string{"a", "1", "11", "web", "web-1", "web1", "web.1", "w.eb1", "a-name-of-more-than-sixteen-characters", "abcdefghijkl", "abcdefghijklm"} {
			for _, uuid := range []string{readable(model.Networks, doc, name), derived(model.Networks, doc, name, name), derived(model.Networks, doc, name, name, "")} {
				if err := model.Networks.CheckUUID(uuid); err != nil {
					t.Error(err)
				}
				if other, ok := seen[uuid]; ok {
					t.Errorf("%s and %s %s both give %s", other, doc, name, uuid)
				}
				seen[uuid] = doc + " " + name
			}
		}
	}
	if got := readable(model.Networks, "shop", "web"); got != "nw-shopweb" {
		t.Errorf("web of shop is %s", got)
	}
	if m := derivedMAC("shop", "guest", "web1"); m.IsMulticast() || m[0]&2 == 0 || m != derivedMAC("shop", "guest", "web1") || m == derivedMAC("shop", "guest", "web2") {
		t.Errorf("the address of web1 is %s", m)
	}
}

func TestManyMistakes(t *testing.T) {
	_, err := Expand(parse(t, []byte("virtual_network: a\nnetworks: {"+strings.Repeat("x, ", 1)+"}\nguests:\n"+strings.Repeat("  X", 1)+": 1\n")))
	if err == nil {
		t.Error("accepted")
	}
	var text strings.Builder
	text.WriteString("virtual_network: a\nguests:\n")
	for i := range 500 {
		fmt.Fprintf(&text, "  g%d: {}\n", i)
	}
	_, err = Expand(parse(t, []byte(text.String())))
	var es Errors
	if !errors.As(err, &es) || len(es) != maxErrors+1 || es[maxErrors].Reason != "... and 400 more mistakes" {
		t.Errorf("got %d: %v", len(es), err)
	}
}

// TestOrder: what is drawn from a pool comes behind the addresses that the document gives, so that it is never one of them.
func TestOrder(t *testing.T) {
	docs, err := Expand(parse(t, []byte("virtual_network: a\nnetworks: {n: {subnets: 10.0.0.0/24, dhcp: true}}\nguests: {x: {network: n}, y: {network: n, address: 10.0.0.2}}\n")))
	if err != nil {
		t.Fatal(err)
	}
	place := map[*model.Resource][]int{}
	for i, d := range docs {
		place[d.Resource] = append(place[d.Resource], i)
	}
	if slices.Max(place[model.IPLeases]) > slices.Min(place[model.LeasePolicyBaseInterfaces]) {
		t.Errorf("leases are at %v, what is drawn is at %v", place[model.IPLeases], place[model.LeasePolicyBaseInterfaces])
	}
	for i, d := range docs {
		for _, ref := range d.Resource.Refs {
			for j, other := range docs[i:] {
				if d.Params[ref.Field.Name] == other.Params["uuid"] && j > 0 {
					t.Errorf("%s refers to %s, which comes later", d.Path, other.Params["uuid"])
				}
			}
		}
	}
}
