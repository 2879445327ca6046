package ra

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// slow is a schedule that always takes the longest time.
func slow() *Schedule {
	s := NewSchedule()
	s.jitter = func(d time.Duration) time.Duration { return d - 1 }
	return s
}

// told gives what is said until a time, each second.
func told(t *testing.T, s *Schedule, from, to int) map[int]string {
	t.Helper()
	out := map[int]string{}
	for at := from; at <= to; at++ {
		for _, d := range s.Due(after(at), 10) {
			out[at] += decoded(t, d.Frame())
		}
	}
	return out
}

func TestScheduleTells(t *testing.T) {
	s, g := slow(), Guest{1, 7, 3}
	first := made(t, Config{Source: routerMAC, Default: true, Prefixes: []Prefix{{prefix("fd00:1::/64"), true, 0}}, DNS: []netip.Addr{addr("fd00::53")}, Search: []string{"a.b"}, Routes: []netip.Prefix{prefix("fd00:2::/64")}})
	s.Want(begin, map[Guest]*Advertisement{g: first})
	got := told(t, s, 0, 1300)
	for _, at := range []int{0, 16, 32, 632, 1232} {
		if got[at] == "" {
			t.Errorf("nothing is said at %d s", at)
		}
	}
	if len(got) != 5 {
		t.Errorf("said %d times: %v", len(got), got)
	}

	// What is new is said at once, with what is over, and that not for ever.
	second := made(t, Config{Source: routerMAC})
	s.Want(after(1300), map[Guest]*Advertisement{g: second})
	s.Want(after(1300), map[Guest]*Advertisement{g: made(t, Config{Source: routerMAC})})
	got = told(t, s, 1300, 2000)
	for _, at := range []int{1300, 1316, 1332} {
		for _, want := range []string{"router 0s", "prefix fd00:1::/64 L=true A=true 0s/0s", "dns [fd00::53] 0s", "search [a.b] 0s", "route fd00:2::/64 Medium 0s"} {
			if !strings.Contains(got[at], want) {
				t.Errorf("at %d s no %q in %s", at, want, got[at])
			}
		}
	}
	if text := got[1932]; len(got) != 4 || strings.Contains(text, "prefix") || text == "" {
		t.Errorf("later: %v", got)
	}

	// A change before the last one was told keeps what is over.
	s.Want(after(2000), map[Guest]*Advertisement{g: first})
	s.Want(after(2000), map[Guest]*Advertisement{g: second})
	if got := told(t, s, 2000, 2000)[2000]; !strings.Contains(got, "fd00:1::/64 L=true A=true 0s/0s") {
		t.Errorf("there and back: %s", got)
	}

	// The end is said once.
	s.Want(after(2001), map[Guest]*Advertisement{g: first})
	told(t, s, 2001, 2001)
	s.Want(after(2002), nil)
	s.Want(after(2002), nil)
	if got := told(t, s, 2002, 4000); len(got) != 1 || !strings.Contains(got[2002], "router 0s") || !strings.Contains(got[2002], "A=true 0s/0s") {
		t.Errorf("at the end: %v", got)
	}
	if len(s.guests) != 0 {
		t.Error("the guest is remembered")
	}
}

// Another source comes after the end of the one before.
func TestScheduleOfAnotherSource(t *testing.T) {
	s, g := slow(), Guest{1, 7, 3}
	s.Want(begin, map[Guest]*Advertisement{g: made(t, Config{Source: routerMAC, Default: true})})
	told(t, s, 0, 40)
	other := made(t, Config{Source: model.MAC{2, 0, 0, 0, 2, 0}, Default: true})
	s.Want(after(41), map[Guest]*Advertisement{g: other})
	s.Want(after(41), map[Guest]*Advertisement{g: other})
	got := told(t, s, 41, 80)
	if !strings.HasPrefix(got[41], "02:00:00:00:01:00") || !strings.Contains(got[41], "router 0s") || !strings.HasPrefix(got[42], "02:00:00:00:02:00") || !strings.Contains(got[42], "router 30m") || len(got) != 4 {
		t.Errorf("%v", got)
	}
	// One that ends and comes back before that is told begins anew.
	s.Want(after(81), nil)
	s.Want(after(81), map[Guest]*Advertisement{g: other})
	if got := told(t, s, 81, 81); !strings.Contains(got[81], "router 30m") {
		t.Errorf("%v", got)
	}
}

// Rates are bounded: of what is sent at a time, for one guest at the address of all nodes, and of guests.
func TestScheduleBounds(t *testing.T) {
	s, a := NewSchedule(), made(t, Config{Source: routerMAC})
	want := map[Guest]*Advertisement{}
	for n := range uint32(maxGuests + 10) {
		want[Guest{n, 1, 3}] = a
	}
	s.Want(begin, want)
	seen := map[Guest]int{}
	for range maxGuests / 64 {
		for _, d := range s.Due(begin, 64) {
			seen[d.Guest]++
		}
	}
	if len(seen) != maxGuests || len(s.Due(begin, 64)) != 0 {
		t.Errorf("%d guests were told", len(seen))
	}
	g := Guest{1, 1, 3}
	if seen[g] > 0 && s.Asked(after(2), g) {
		t.Error("told all nodes again after two seconds")
	}
	for range 2 {
		if !s.Asked(after(3), Guest{5000, 2, 3}) {
			t.Error("who is not told by itself is not answered")
		}
	}
	for g := range seen {
		if !s.Asked(after(3), g) || s.Asked(after(5), g) || !s.Asked(after(6), g) {
			t.Error("not every three seconds")
		}
		break
	}
}

// Where guests may make addresses no more, those that they have made are over; the prefix stays on the link.
func TestAddressesEnd(t *testing.T) {
	c := Config{Source: routerMAC, Prefixes: []Prefix{{prefix("fd00:1::/64"), true, 0}}}
	before := made(t, c)
	c.Prefixes = []Prefix{{prefix("fd00:1::/64"), false, 0}}
	if got := decoded(t, made(t, c).After(before).Frame()); !strings.HasSuffix(got, "\nprefix fd00:1::/64 L=true A=false 18m45s/30m0s\nprefix fd00:1::/64 L=false A=true 0s/0s") {
		t.Error(got)
	}
	if got := decoded(t, before.After(made(t, c)).Frame()); !strings.HasSuffix(got, link+"\nprefix fd00:1::/64 L=true A=true 18m45s/30m0s") {
		t.Error(got)
	}
}
