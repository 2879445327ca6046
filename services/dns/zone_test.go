package dns

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// However a zone came to be what it is, names exist that have records or are above some, and no others.
func TestZoneIsTheSameHoweverItWasMade(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b.a", "c.b.a", "*.b.a", "d", "e.d", "f.e.d", "g.f.e.d", "c.a"}
	have := map[string][]Record{}
	z := NewZone(Config{})
	for step := range 2000 {
		e := z.Edit()
		for range 1 + r.IntN(3) {
			source := fmt.Sprint("o-", r.IntN(6))
			var records []Record
			for range r.IntN(3) {
				records = append(records, Record{Name: names[r.IntN(len(names))], Type: TypeA, Address: addr("10.0.0.1")})
			}
			have[source] = records
			e.Put(source, records...)
		}
		before := dump(z)
		next := e.Zone()
		if dump(z) != before {
			t.Fatal("a zone has changed")
		}
		z = next
		want := map[string]int{}
		for _, records := range have {
			for _, r := range records {
				want[r.Name]++
				for up, ok := parent(r.Name); ok; up, ok = parent(up) {
					want[up] += 0
				}
			}
		}
		got := map[string]int{}
		for _, s := range z.names.shards {
			for name, n := range s {
				got[name] = len(n.records)
			}
		}
		if !maps.Equal(got, want) || z.Names() != len(want) {
			t.Fatalf("step %d: %v, want %v", step, got, want)
		}
		for name, n := range all(z) {
			below := 0
			for other := range want {
				if up, ok := parent(other); ok && up == name {
					below++
				}
			}
			if n.below != below {
				t.Fatalf("step %d: %d names are below %s, want %d", step, n.below, name, below)
			}
		}
	}
}

func all(z *Zone) map[string]*node {
	out := map[string]*node{}
	for _, s := range z.names.shards {
		maps.Copy(out, s)
	}
	return out
}

func dump(z *Zone) string {
	var lines []string
	for name, n := range all(z) {
		lines = append(lines, fmt.Sprint(name, n.below, n.records))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestReverseNames(t *testing.T) {
	for name, want := range map[string]string{
		"1.0.0.10.in-addr.arpa": "10.0.0.1/32", "0.0.10.in-addr.arpa": "10.0.0.0/24", "256.0.0.10.in-addr.arpa": "", "01.0.0.10.in-addr.arpa": "", "1.1.0.0.10.in-addr.arpa": "",
		"in-addr.arpa": "", "d.f.ip6.arpa": "fd00::/8", "g.ip6.arpa": "", "10.ip6.arpa": "", ".ip6.arpa": "", "..in-addr.arpa": "",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": "2001:db8::1/128",
	} {
		got, ok := reversed(name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v, want %q", name, got, want)
		}
	}
}
