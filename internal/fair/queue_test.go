package fair

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func take(t *testing.T, q *Queue[string, int], n int) (got []int) {
	t.Helper()
	for range n {
		v, ok := q.Take()
		if !ok {
			t.Fatalf("nothing is left after %v", got)
		}
		got = append(got, v)
	}
	return got
}

// Who has put much in waits for itself: the others' turns come as if it had not.
func TestTurns(t *testing.T) {
	q := New[string, int](100)
	for i := range 50 {
		q.Put("flood", i)
	}
	q.Put("a", 100)
	q.Put("b", 200)
	q.Put("a", 101)
	if d := cmp.Diff([]int{0, 100, 200, 1, 101, 2, 3}, take(t, q, 7)); d != "" {
		t.Error(d)
	}
	q.Put("a", 102) // its turn is after that of who waits already
	if d := cmp.Diff([]int{4, 102, 5}, take(t, q, 3)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(44, q.Len()); d != "" {
		t.Error(d)
	}
}

// In a full queue who has most loses, and nobody who has no more than who puts.
func TestWhoHasMostLoses(t *testing.T) {
	q := New[string, int](4)
	for i, step := range []struct{ put, loser string }{
		{"flood", ""}, {"flood", ""}, {"flood", ""}, {"flood", ""}, {"flood", "flood"}, // 4
		{"a", "flood"}, {"flood", "flood"}, // 3 and 1
		{"b", "flood"}, {"a", "a"}, {"flood", "flood"}, // 2, 1 and 1
		{"c", "flood"}, {"d", "d"}, {"a", "a"}, // 1 each
	} {
		loser, lost := q.Put(step.put, i)
		if loser != step.loser || lost != (loser != "") {
			t.Errorf("step %d: %s put, %q lost (%v), want %q", i, step.put, loser, lost, step.loser)
		}
	}
	if d := cmp.Diff([]int{0, 5, 7, 10}, take(t, q, q.Len())); d != "" {
		t.Error(d)
	}
}

// An empty queue gives nothing, and is as new.
func TestEmpty(t *testing.T) {
	q := New[int, int](0)
	if _, ok := q.Take(); ok {
		t.Error("an empty queue gave something")
	}
	q.Put(1, 1)
	if loser, lost := q.Put(2, 2); !lost || loser != 2 {
		t.Errorf("with room for one %d lost: %v", loser, lost)
	}
	if v, ok := q.Take(); !ok || v != 1 {
		t.Errorf("took %d, %v", v, ok)
	}
	if len(q.lines)+len(q.turns)+q.first != 0 {
		t.Errorf("an empty queue keeps %d lines and %d turns", len(q.lines), len(q.turns))
	}
}

// Whatever is put and taken: things of a key come in their order, no more wait than there is room, all are accounted for, and
// what is lost is lost by the key that had most.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 12).Draw(t, "room")
		q := New[int, int](room)
		want := map[int][]int{}
		waiting := 0
		for n := range 200 {
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 {
				v, ok := q.Take()
				if ok != (waiting > 0) {
					t.Fatalf("took %v with %d waiting", ok, waiting)
				}
				if !ok {
					continue
				}
				k := v >> 16
				if len(want[k]) == 0 || want[k][0] != v {
					t.Fatalf("took %#x of %v", v, want[k])
				}
				want[k] = want[k][1:]
				waiting--
				continue
			}
			k := rapid.IntRange(0, 4).Draw(t, "key")
			v := k<<16 | n
			most := len(want[k]) + 1
			for _, l := range want {
				most = max(most, len(l))
			}
			loser, lost := q.Put(k, v)
			if lost != (waiting == room) {
				t.Fatalf("lost %v with %d of %d", lost, waiting, room)
			}
			if lost && loser == k {
				if len(want[k])+1 != most {
					t.Fatalf("%d lost with %d, another has %d", k, len(want[k])+1, most)
				}
				continue
			}
			if lost && len(want[loser]) != most {
				t.Fatalf("%d lost with %d, another has %d", loser, len(want[loser]), most)
			}
			if lost {
				want[loser] = slices.Clone(want[loser][:len(want[loser])-1])
				waiting--
			}
			want[k] = append(want[k], v)
			waiting++
			if q.Len() != waiting || len(q.lines) != len(q.turns) || len(q.turns) > room {
				t.Fatalf("%d wait, want %d, in %d lines and %d turns", q.Len(), waiting, len(q.lines), len(q.turns))
			}
		}
	})
}

// A full queue in which everybody else has something costs most.
func BenchmarkPut(b *testing.B) {
	for _, room := range []int{256, 1024} {
		b.Run(fmt.Sprint(room), func(b *testing.B) {
			q := New[int, int](room)
			for i := range room {
				q.Put(i, i)
			}
			for b.Loop() {
				q.Put(0, 0)
			}
		})
	}
}
