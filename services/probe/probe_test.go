package probe_test

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/services/probe"
)

var (
	start = time.Unix(1_000_000, 0)
	peer  = probe.Way{Host: 2}
)

func counter() func() uint64 {
	n := uint64(0)
	return func() uint64 { n++; return n }
}

// run lets seconds pass over a path that carries frames up to a size; it gives what was sent.
func run(p *probe.Prober, from time.Time, seconds int, path func() int) (now time.Time, sent int) {
	now = from
	for range seconds * 4 {
		probes, _ := p.Tick(now)
		for len(probes) > 0 {
			x := probes[0]
			sent++
			if probes = probes[1:]; len(x.Frame) <= path() {
				next, _, _ := p.Heard(now, x.Frame[:probe.Captured], len(x.Frame))
				probes = append(probes, next...)
			}
		}
		now = now.Add(250 * time.Millisecond)
	}
	return now, sent
}

func TestStates(t *testing.T) {
	path := 1500
	p := probe.New(1, counter(), probe.Options{})
	p.Set(start, map[probe.Way]int{peer: 1464})
	now := start
	for _, step := range []struct {
		path int
		want probe.State
	}{{1500, probe.Good}, {1463, probe.Narrow}, {1464, probe.Good}, {0, probe.Silent}, {60, probe.Narrow}, {0, probe.Silent}, {9000, probe.Good}} {
		path = step.path
		var sent int
		now, sent = run(p, now, 45, func() int { return path })
		if got := p.States()[peer]; got != step.want {
			t.Errorf("with %d bytes: %s, want %s", step.path, got, step.want)
		}
		if sent > 20 {
			t.Errorf("with %d bytes: %d frames in 45 s", step.path, sent)
		}
	}
}

// One frame that is lost says nothing; a way that is new or has changed is probed at once, and what is not there any more is forgotten.
func TestChanges(t *testing.T) {
	lose := 2
	path := func() int {
		if lose--; lose >= 0 {
			return 0
		}
		return 1500
	}
	p := probe.New(1, counter(), probe.Options{})
	if p.Set(start, map[probe.Way]int{peer: 1000}) {
		t.Error("a way that is new is in a state")
	}
	now, _ := run(p, start, 3, path)
	if got := p.States()[peer]; got != probe.Good {
		t.Errorf("after two losses: %s", got)
	}
	if p.Set(now, map[probe.Way]int{peer: 1600}) {
		t.Error("the state has changed before anything is known")
	}
	now, _ = run(p, now, 5, path)
	if got := p.States()[peer]; got != probe.Narrow {
		t.Errorf("with another size: %s", got)
	}
	if !p.Set(now, nil) || len(p.States()) != 0 {
		t.Errorf("gone: %v", p.States())
	}
}

func TestBounds(t *testing.T) {
	p := probe.New(1, counter(), probe.Options{Burst: 3, Ways: 5})
	ways := map[probe.Way]int{}
	for n := range uint32(7) {
		ways[probe.Way{Host: n}] = 1000
	}
	p.Set(start, ways)
	if p.Refused() != 2 || len(p.States()) != 5 {
		t.Errorf("%d refused, %d probed", p.Refused(), len(p.States()))
	}
	for n, want := range []int{3, 2, 0} {
		if probes, _ := p.Tick(start); len(probes) != want {
			t.Errorf("tick %d: %d frames, want %d", n, len(probes), want)
		}
	}
}

// What was not sent is not believed.
func TestForged(t *testing.T) {
	p := probe.New(1, counter(), probe.Options{})
	p.Set(start, map[probe.Way]int{peer: 1000})
	probes, _ := p.Tick(start)
	b := probes[0].Frame
	for at := 12; at < 36; at++ {
		forged := append([]byte(nil), b...)
		forged[at] ^= 1
		if _, _, ok := p.Heard(start, forged, len(forged)); ok {
			t.Errorf("believed with another byte %d", at)
		}
	}
	next, _, ok := p.Heard(start, b, len(b))
	if !ok || len(next) != 1 || len(next[0].Frame) != 1000 {
		t.Fatalf("the answer gives %v %v", next, ok)
	}
	if _, _, ok := p.Heard(start, b, len(b)); ok {
		t.Error("believed twice")
	}
	if _, _, ok := p.Heard(start, next[0].Frame, 999); ok {
		t.Error("a large frame that came back shorter is believed")
	}
	if _, changed, ok := p.Heard(start, next[0].Frame, 1000); !ok || changed {
		t.Errorf("the large one: %v %v", changed, ok)
	}
}

// However the paths are, each way ends in the state that its path has, and its state changes no more.
func TestSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := probe.New(1, counter(), probe.Options{})
		ways, paths, want := map[probe.Way]int{}, map[probe.Way]int{}, map[probe.Way]probe.State{}
		for n := range rapid.IntRange(1, 5).Draw(t, "ways") {
			w := probe.Way{Host: uint32(n), Tunnel: uint8(n % 3)}
			ways[w] = rapid.IntRange(70, 2000).Draw(t, "size")
			paths[w] = rapid.IntRange(0, 2000).Draw(t, "path")
			switch {
			case paths[w] < 60:
				want[w] = probe.Silent
			case paths[w] < ways[w]:
				want[w] = probe.Narrow
			default:
				want[w] = probe.Good
			}
		}
		p.Set(start, ways)
		now := start
		for n := range 400 {
			probes, changed := p.Tick(now)
			if changed && n > 40 {
				t.Fatalf("changed after %s", now.Sub(start))
			}
			for len(probes) > 0 {
				x := probes[0]
				if probes = probes[1:]; len(x.Frame) <= paths[x.Way] {
					next, _, _ := p.Heard(now, x.Frame, len(x.Frame))
					probes = append(probes, next...)
				}
			}
			now = now.Add(250 * time.Millisecond)
		}
		if got := p.States(); !maps.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func FuzzHeard(f *testing.F) {
	p := probe.New(1, counter(), probe.Options{})
	p.Set(start, map[probe.Way]int{peer: 1000})
	probes, _ := p.Tick(start)
	f.Add(probes[0].Frame)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := probe.New(1, counter(), probe.Options{})
		p.Set(start, map[probe.Way]int{peer: 1000})
		p.Tick(start)
		next, changed, ok := p.Heard(start, b, len(b))
		if changed || ok != (len(next) == 1) {
			t.Fatalf("%v %v %v", next, changed, ok)
		}
	})
}
