package lab

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutes(t *testing.T) {
	s, err := Parse([]byte(`
underlays: {a: [10.1.0.0/16, "fd01::/64"], b: 10.2.0.0/16, c: [10.3.0.0/16, "fd03::/64"], d: 10.4.0.0/16, island: 10.5.0.0/16}
routers:
  r1: {a: [10.1.0.1, "fd01::1"], b: 10.2.0.1}
  r2: {b: [10.2.0.2], c: [10.3.0.2, "fd03::2"]}
  r3: {c: 10.3.0.3, d: 10.4.0.3}
`), "routes")
	if err != nil {
		t.Fatal(err)
	}
	type routes map[string][]route
	r := func(dst, via string) route { return route{netip.MustParsePrefix(dst), netip.MustParseAddr(via)} }
	want := map[string]routes{
		"r1": {"b": {r("10.3.0.0/16", "10.2.0.2"), r("10.4.0.0/16", "10.2.0.2")}},
		"r2": {"b": {r("10.1.0.0/16", "10.2.0.1")}, "c": {r("10.4.0.0/16", "10.3.0.3")}},
		"r3": {"c": {r("10.2.0.0/16", "10.3.0.2"), r("10.1.0.0/16", "10.3.0.2"), r("fd01::/64", "fd03::2")}},
	}
	// r3 reaches fd01::/64 only if r2 does, which has no IPv6 next router: the lab's author must give b a prefix for
	// that.
	for _, router := range s.Routers {
		got := routes(s.routes(router))
		opts := cmp.Options{cmp.AllowUnexported(route{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
		if diff := cmp.Diff(want[router.Name], got, opts); diff != "" {
			t.Errorf("routes of %s differ (-want +got):\n%s", router.Name, diff)
		}
	}
	if got := s.gateways("c"); len(got) != 2 || got[0] != netip.MustParseAddr("10.3.0.2") {
		t.Errorf("gateways on c: %v", got)
	}
	if got := s.gateways("island"); got != nil {
		t.Errorf("gateways on island: %v", got)
	}
}
