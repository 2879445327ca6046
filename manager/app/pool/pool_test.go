package pool

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
)

func lo(n uint64) Number { return Number{lo: n} }

var top = Number{^uint64(0), ^uint64(0)}

func TestNumbers(t *testing.T) {
	m := model.MAC{2, 0, 0xff, 0, 0, 9}
	if got := OfMAC(m).MAC(); got != m {
		t.Errorf("%v, want %v", got, m)
	}
	for _, text := range []string{"0.0.0.0", "10.255.0.1", "255.255.255.255", "::", "fd00::1:0:0:1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		a := netip.MustParseAddr(text)
		family := 6
		if a.Is4() {
			family = 4
		}
		if got := OfAddr(a).Addr(family); got != a {
			t.Errorf("%v, want %v", got, a)
		}
	}
}

// base draws where a small world of numbers lies, so that words of every level are met at their edges.
func base(t *rapid.T) Number {
	switch rapid.IntRange(0, 4).Draw(t, "base") {
	case 0:
		return Number{}
	case 1:
		return top.minus(lo(299))
	case 2:
		return Number{0, ^uint64(0) - 149}
	case 3:
		return lo(1<<18 - 150)
	}
	return Number{rapid.Uint64().Draw(t, "hi"), rapid.Uint64Range(0, ^uint64(0)-300).Draw(t, "lo")}
}

// The set and the ranges do what a scan of 300 numbers does.
func TestAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, size := base(t), 300
		var s Set
		in := map[int]bool{}
		place := rapid.IntRange(0, size-1)
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			from, to := place.Draw(t, "from"), place.Draw(t, "to")
			add := rapid.IntRange(0, 2).Draw(t, "add") > 0
			for i := from; i <= to; i++ {
				if add {
					s.Add(at.plus(lo(uint64(i))))
				} else {
					s.Remove(at.plus(lo(uint64(i))))
				}
				in[i] = add
			}
		}
		count := 0
		for i, is := range in {
			if is {
				count++
			}
			if s.Has(at.plus(lo(uint64(i)))) != is {
				t.Fatalf("number %d: %v", i, !is)
			}
		}
		if s.Len() != count {
			t.Fatalf("%d in it, want %d", s.Len(), count)
		}
		var ranges []Range
		usable := map[int]bool{}
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			from := place.Draw(t, "first")
			to := rapid.IntRange(from, size-1).Draw(t, "last")
			ranges = append(ranges, Range{at.plus(lo(uint64(from))), at.plus(lo(uint64(to)))})
			for i := from; i <= to; i++ {
				usable[i] = true
			}
		}
		rs := Join(ranges...)
		last := place.Draw(t, "after")
		var ptr *Number
		up, down := 0, size-1
		if rapid.Bool().Draw(t, "has last") {
			n := at.plus(lo(uint64(last)))
			ptr, up, down = &n, last+1, last-1+size
		}
		want := func(start, step int) string {
			for k := range size {
				if i := ((start+k*step)%size + size) % size; usable[i] && !in[i] {
					return fmt.Sprint(at.plus(lo(uint64(i))))
				}
			}
			return "none"
		}
		got := func(n Number, ok bool) string {
			if !ok {
				return "none"
			}
			return fmt.Sprint(n)
		}
		if g, w := got(rs.Next(&s, ptr)), want(up, 1); g != w {
			t.Fatalf("next %s, want %s", g, w)
		}
		if g, w := got(rs.Prev(&s, ptr)), want(down, -1); g != w {
			t.Fatalf("prev %s, want %s", g, w)
		}
		n, ok := rs.Random(&s)
		if i := int(n.minus(at).lo); ok != (want(0, 1) != "none") || ok && (!usable[i] || in[i]) {
			t.Fatalf("random %d %v", i, ok)
		}
	})
}

func TestSetGivesItsMemoryBack(t *testing.T) {
	var s Set
	for i := range uint64(100_000) {
		s.Add(lo(i))
	}
	if n, ok := s.Next(Number{}); !ok || n != lo(100_000) {
		t.Errorf("next free %v %v", n, ok)
	}
	for i := range uint64(100_000) {
		s.Remove(lo(i))
	}
	for i, w := range s.words {
		if len(w) != 0 {
			t.Errorf("%d words of level %d stay", len(w), i)
		}
	}
}

func TestRandomIsEven(t *testing.T) {
	rs := Join(Range{lo(10), lo(12)}, Range{lo(11), lo(13)}, Range{lo(20), lo(20)})
	var s Set
	s.Add(lo(12))
	seen := map[Number]int{}
	for range 4000 {
		n, ok := rs.Random(&s)
		if !ok {
			t.Fatal("nothing is free")
		}
		seen[n]++
	}
	if len(rs) != 2 || len(seen) != 4 {
		t.Errorf("%v gave %v", rs, seen)
	}
	for n, times := range seen {
		if times < 700 { // of 1000 expected; ten standard deviations
			t.Errorf("%v came %d times of 4000", n, times)
		}
	}
	if n := (Ranges{{Number{}, top}}).random(); n == (Number{}) {
		t.Error("of all numbers, 0")
	}
}
