package learn_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/learn"
)

var start = time.Unix(1_000_000, 0)

func key(n byte) learn.Key { return learn.Key{Domain: 1, MAC: model.MAC{2, 0, 0, 0, 0, n}} }

func TestLearn(t *testing.T) {
	l := learn.New(learn.Options{PerPort: 2})
	for _, tc := range []struct {
		key  byte
		port uint32
		want learn.Verdict
	}{{1, 10, learn.Fresh}, {1, 10, learn.Known}, {2, 10, learn.Fresh}, {3, 10, learn.Full}, {3, 11, learn.Fresh}, {1, 11, learn.Moved}, {3, 10, learn.Moved}, {4, 10, learn.Full}} {
		if got := l.Saw(start, key(tc.key), tc.port); got != tc.want {
			t.Errorf("%d at %d: %s, want %s", tc.key, tc.port, got, tc.want)
		}
	}
	if p, ok := l.Port(key(1)); p != 11 || !ok || l.Len() != 3 {
		t.Errorf("1 is at %d (%v), %d in all", p, ok, l.Len())
	}
	l.Used(start.Add(4*time.Minute), key(1))
	gone := l.Expire(start.Add(5 * time.Minute))
	slices.SortFunc(gone, func(a, b learn.Key) int { return int(a.MAC[5]) - int(b.MAC[5]) })
	if !slices.Equal(gone, []learn.Key{key(2), key(3)}) {
		t.Errorf("gone: %v", gone)
	}
	if gone := l.Retain(func(_, port uint32) bool { return port != 11 }); !slices.Equal(gone, []learn.Key{key(1)}) || l.Len() != 0 {
		t.Errorf("gone: %v", gone)
	}
	if c := l.Counts(); c["fresh"] != 3 || c["full"] != 2 || c["moved"] != 2 || c["known"] != 1 {
		t.Errorf("counts %v", c)
	}
}

func TestMovesAreHeld(t *testing.T) {
	l := learn.New(learn.Options{Moves: 2})
	l.Saw(start, key(1), 10)
	now := start
	for n, want := range []learn.Verdict{learn.Moved, learn.Moved, learn.Held, learn.Held} {
		now = now.Add(time.Second)
		if got := l.Saw(now, key(1), []uint32{11, 10, 11, 11}[n]); got != want {
			t.Errorf("move %d: %s, want %s", n, got, want)
		}
	}
	now = now.Add(time.Minute)
	if got := l.Saw(now, key(1), 11); got != learn.Moved {
		t.Errorf("after the hold: %s", got)
	}
}

// Whatever happens, no port has more than it may, and what is counted is what is there.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := learn.New(learn.Options{PerPort: 3})
		now := start
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			port := rapid.Uint32Range(1, 3).Draw(t, "port")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				l.Retain(func(_, p uint32) bool { return p != port })
			case 1:
				l.Expire(now)
			default:
				l.Saw(now, key(byte(rapid.IntRange(0, 9).Draw(t, "key"))), port)
			}
			per := map[uint32]int{}
			n := 0
			for k := range byte(10) {
				if p, ok := l.Port(key(k)); ok {
					per[p]++
					n++
				}
			}
			for p, n := range per {
				if n > 3 {
					t.Fatalf("port %d has %d", p, n)
				}
			}
			if n != l.Len() {
				t.Fatalf("%d there, %d counted", n, l.Len())
			}
		}
	})
}
