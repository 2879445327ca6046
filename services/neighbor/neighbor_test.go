package neighbor_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/neighbor"
)

var (
	start = time.Unix(1_000_000, 0)
	leg4  = neighbor.Leg{MAC: model.MAC{2, 0, 0, 0, 0, 9}, Addr: netip.MustParseAddr("192.0.2.1")}
	leg6  = neighbor.Leg{MAC: leg4.MAC, Addr: netip.MustParseAddr("2001:db8::1")}
	far   = model.MAC{2, 0, 0, 0, 0, 7}
)

func reply(a netip.Addr, mac model.MAC) []byte {
	if a.Is4() {
		return frame.ARP{Op: frame.ARPReply, SenderMAC: mac, SenderAddr: a, TargetMAC: leg4.MAC, TargetAddr: leg4.Addr}.Encode(frame.Ethernet{Dst: leg4.MAC, Src: mac})
	}
	return frame.ND{Advertisement: true, Src: a, Dst: leg6.Addr, Flags: 0x60000000, Target: a, Link: mac}.Encode(frame.Ethernet{Dst: leg4.MAC, Src: mac})
}

func TestResolve(t *testing.T) {
	for _, tc := range []struct {
		leg  neighbor.Leg
		addr string
	}{{leg4, "192.0.2.7"}, {leg6, "2001:db8::7"}} {
		t.Run(tc.addr, func(t *testing.T) {
			r := neighbor.New[string](neighbor.Options{})
			k := neighbor.Key{Domain: 5, Addr: netip.MustParseAddr(tc.addr)}
			q, ask := r.Want(start, k, tc.leg, "one")
			if !ask {
				t.Fatal("nobody is asked")
			}
			if _, a, reason := frame.DecodeARP(q.Frame); k.Addr.Is4() && (reason != frame.OK || a.TargetAddr != k.Addr || a.SenderAddr != tc.leg.Addr || a.Op != frame.ARPRequest) {
				t.Errorf("asked by %+v (%s)", a, reason)
			}
			if _, m, reason := frame.DecodeND(q.Frame); k.Addr.Is6() && (reason != frame.OK || m.Target != k.Addr || m.Src != tc.leg.Addr || m.Link != tc.leg.MAC) {
				t.Errorf("asked by %+v (%s)", m, reason)
			}
			if _, ask := r.Want(start, k, tc.leg, "two"); ask {
				t.Error("asked twice at once")
			}
			got, mac, released, news := r.Heard(start.Add(time.Millisecond), 5, reply(k.Addr, far))
			if got != k || mac != far || !slices.Equal(released, []string{"one", "two"}) || !news {
				t.Errorf("heard %v %v %v %v", got, mac, released, news)
			}
			if mac, ok := r.Known(k); mac != far || !ok {
				t.Errorf("known: %v %v", mac, ok)
			}
			// It is asked for again when it is old, stays meanwhile, and goes when nobody answers.
			now := start.Add(61 * time.Second)
			for n := range 4 {
				qs, gone, _ := r.Tick(now)
				if len(qs) != 1 || len(gone) != 0 {
					t.Fatalf("question %d: %v, gone %v", n, qs, gone)
				}
				if _, ok := r.Known(k); !ok {
					t.Error("forgotten while it is asked for")
				}
				now = now.Add(time.Second)
			}
			if qs, gone, _ := r.Tick(now); len(qs) != 0 || !slices.Equal(gone, []neighbor.Key{k}) {
				t.Errorf("%v, gone %v", qs, gone)
			}
			if _, ask := r.Want(now, k, tc.leg, "three"); ask {
				t.Error("asked although nobody answers")
			}
			if r.Dropped() != 1 {
				t.Errorf("%d dropped", r.Dropped())
			}
			r.Tick(now.Add(11 * time.Second))
			if _, ask := r.Want(now.Add(11*time.Second), k, tc.leg, "four"); !ask {
				t.Error("never asked again")
			}
		})
	}
}

func TestWhatIsNotBelieved(t *testing.T) {
	r := neighbor.New[int](neighbor.Options{})
	k := neighbor.Key{Domain: 5, Addr: netip.MustParseAddr("192.0.2.7")}
	r.Want(start, k, leg4, 1)
	for name, tc := range map[string]struct {
		domain uint32
		frame  []byte
	}{
		"an address that nobody asked for": {5, reply(netip.MustParseAddr("192.0.2.8"), far)},
		"another domain":                   {6, reply(k.Addr, far)},
		"a multicast address":              {5, reply(k.Addr, model.MAC{1, 0, 0, 0, 0, 1})},
		"garbage":                          {5, []byte("garbage")},
		"a question":                       {5, frame.ARP{Op: frame.ARPRequest, SenderMAC: far, SenderAddr: k.Addr, TargetAddr: leg4.Addr}.Encode(frame.Ethernet{Src: far})},
	} {
		if _, _, released, news := r.Heard(start, tc.domain, tc.frame); news || released != nil {
			t.Errorf("%s is believed", name)
		}
	}
}

func TestBounds(t *testing.T) {
	r := neighbor.New[int](neighbor.Options{Keys: 2, Waiting: 1})
	addr := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
	for n := range byte(3) {
		if _, ask := r.Want(start, neighbor.Key{Domain: 1, Addr: addr(n)}, leg4, 1); ask != (n < 2) {
			t.Errorf("address %d: asked %v", n, ask)
		}
	}
	r.Want(start, neighbor.Key{Domain: 1, Addr: addr(0)}, leg4, 2)
	if r.Dropped() != 2 {
		t.Errorf("%d dropped, want 2", r.Dropped())
	}
	r.Heard(start, 1, reply(addr(1), far))
	if gone := r.Retain(func(domain, _ uint32) bool { return domain != 1 }); !slices.Equal(gone, []neighbor.Key{{Domain: 1, Addr: addr(1)}}) || r.Dropped() != 3 {
		t.Errorf("gone %v, %d dropped", gone, r.Dropped())
	}
}

// What is known and used is asked for again and again; what nobody wants is forgotten.
func TestIdle(t *testing.T) {
	r := neighbor.New[int](neighbor.Options{Idle: 3 * time.Minute})
	k := neighbor.Key{Domain: 1, Addr: netip.MustParseAddr("192.0.2.7")}
	r.Want(start, k, leg4, 1)
	r.Heard(start, 1, reply(k.Addr, far))
	if _, ask := r.Want(start, k, leg4, 2); ask {
		t.Error("a known address is asked for")
	}
	now := start
	for n := range 6 {
		if now = now.Add(time.Minute); n == 2 {
			r.Used(now, k)
		}
		qs, gone, _ := r.Tick(now)
		if last := n == 5; last != slices.Equal(gone, []neighbor.Key{k}) || last == (len(qs) == 1) {
			t.Fatalf("minute %d: questions %v, gone %v", n+1, qs, gone)
		}
		if len(qs) == 1 {
			r.Heard(now, 1, reply(k.Addr, far))
		}
	}
	if r.Dropped() != 0 {
		t.Errorf("%d dropped", r.Dropped())
	}
}

// Of any frames, only what was asked for is believed, and never that a group is somebody.
func FuzzHeard(f *testing.F) {
	asked := []neighbor.Key{{Domain: 5, Addr: netip.MustParseAddr("192.0.2.7")}, {Domain: 5, Addr: netip.MustParseAddr("2001:db8::7")}}
	for _, k := range asked {
		f.Add(uint32(5), reply(k.Addr, far))
		f.Add(uint32(6), reply(k.Addr, far))
		f.Add(uint32(5), reply(k.Addr, model.MAC{1}))
	}
	f.Fuzz(func(t *testing.T, domain uint32, b []byte) {
		r := neighbor.New[string](neighbor.Options{})
		r.Want(start, asked[0], leg4, "")
		r.Want(start, asked[1], leg6, "")
		k, mac, released, news := r.Heard(start, domain, b)
		switch known, ok := r.Known(k); {
		case !news && (k != neighbor.Key{} || mac != model.MAC{} || released != nil):
			t.Fatalf("%v %v %v, and no news", k, mac, released)
		case news && (!slices.Contains(asked, k) || domain != 5 || mac.IsMulticast() || mac == model.MAC{} || len(released) != 1 || !ok || known != mac):
			t.Fatalf("%v %v %v %v %v", k, mac, released, known, ok)
		}
	})
}
