package cover_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/internal/cover"
)

func TestPorts(t *testing.T) {
	for _, tc := range []struct {
		first, last uint16
		want        int
	}{{0, 65535, 1}, {22, 22, 1}, {0, 1023, 1}, {1024, 65535, 6}, {1, 65534, 30}, {80, 81, 1}, {2, 1, 0}} {
		if got := cover.Ports(tc.first, tc.last); len(got) != tc.want {
			t.Errorf("%d-%d: %d masks %v, want %d", tc.first, tc.last, len(got), got, tc.want)
		}
	}
}

// The masks match the range and nothing else, each port once, and no two could be one.
func TestPortsAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		first, last := min(a, b), max(a, b)
		masks := cover.Ports(first, last)
		for p := range 1 << 16 {
			n := 0
			for _, m := range masks {
				if uint16(p)&m.Mask == m.Value {
					n++
				}
			}
			if in := uint16(p) >= first && uint16(p) <= last; n > 1 || in != (n == 1) {
				t.Fatalf("port %d is matched %d times by %v", p, n, masks)
			}
		}
		for i := 1; i < len(masks); i++ {
			if x, y := masks[i-1], masks[i]; x.Mask == y.Mask && x.Value&(y.Mask<<1) == y.Value&(y.Mask<<1) {
				t.Fatalf("%v and %v could be one", x, y)
			}
		}
	})
}

var prefixes = cmp.Options{cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()}

func list(ps ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range ps {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestUnionAndSubtract(t *testing.T) {
	for name, tc := range map[string]struct{ from, without, want []netip.Prefix }{
		"merged":         {list("10.0.0.0/25", "10.0.0.128/25", "10.0.1.0/24"), nil, list("10.0.0.0/23")},
		"contained":      {list("10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8"), nil, list("10.0.0.0/8")},
		"not siblings":   {list("10.0.1.0/24", "10.0.2.0/24"), nil, list("10.0.1.0/24", "10.0.2.0/24")},
		"families":       {list("::/1", "0.0.0.0/1", "8000::/1", "128.0.0.0/1"), nil, cover.All()},
		"hole":           {list("10.0.0.0/30"), list("10.0.0.1/32"), list("10.0.0.0/32", "10.0.0.2/31")},
		"everything":     {list("10.0.0.0/24"), list("0.0.0.0/0"), nil},
		"other family":   {list("10.0.0.0/24"), list("::/0"), list("10.0.0.0/24")},
		"three of IPv6":  {list("2001:db8:1::/48", "2001:db8:5::/48", "2001:db8:9::/64"), nil, list("2001:db8:1::/48", "2001:db8:5::/48", "2001:db8:9::/64")},
		"masked":         {list("10.0.0.7/24"), nil, list("10.0.0.0/24")},
		"single address": {list("::1/128"), list("::1/128"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, cover.Subtract(tc.from, tc.without, 1000), prefixes); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSubtractCost(t *testing.T) {
	var without []netip.Prefix
	for n := range byte(15) {
		without = append(without, netip.PrefixFrom(netip.AddrFrom4([4]byte{17 * n, 31 * n, n, 5}), 32))
	}
	got := cover.Subtract(list("0.0.0.0/0"), without, 4096)
	if len(got) == 0 || len(got) > 15*32 {
		t.Errorf("%d prefixes", len(got))
	}
	if got := cover.Subtract(list("0.0.0.0/0"), without, 10); len(got) != 11 {
		t.Errorf("%d prefixes, which should be one more than 10", len(got))
	}
}

// Addresses that differ in the last byte only can be looked at one by one.
func TestPrefixesAgainstBruteForce(t *testing.T) {
	for name, base := range map[string]netip.Addr{"IPv4": netip.MustParseAddr("10.0.0.0"), "IPv6": netip.MustParseAddr("fd00::")} {
		t.Run(name, func(t *testing.T) {
			addr := func(n int) netip.Addr {
				b := base.AsSlice()
				b[len(b)-1] = byte(n)
				a, _ := netip.AddrFromSlice(b)
				return a
			}
			prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
				return netip.PrefixFrom(addr(rapid.IntRange(0, 255).Draw(t, "addr")), base.BitLen()-rapid.IntRange(0, 8).Draw(t, "length"))
			})
			in := func(ps []netip.Prefix, a netip.Addr) int {
				n := 0
				for _, p := range ps {
					if p.Contains(a) {
						n++
					}
				}
				return n
			}
			rapid.Check(t, func(t *rapid.T) {
				from, without := rapid.SliceOfN(prefix, 0, 6).Draw(t, "from"), rapid.SliceOfN(prefix, 0, 6).Draw(t, "without")
				got := cover.Subtract(from, without, 1000)
				for n := range 256 {
					want := 0
					if in(from, addr(n)) > 0 && in(without, addr(n)) == 0 {
						want = 1
					}
					if in(got, addr(n)) != want {
						t.Fatalf("%s is in %d of %v, not %d", addr(n), in(got, addr(n)), got, want)
					}
				}
				if again := cover.Union(got...); len(again) != len(got) {
					t.Fatalf("%v could be %v", got, again)
				}
			})
		})
	}
}
