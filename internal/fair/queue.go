// Package fair is a bounded queue that shares what is taken from it, and its room, among those who put things in: in turn, and who has
// most in it loses first. It is for work that many may ask for, of whom one may ask for too much. It knows nothing of packets.
package fair

import "slices"

// Queue holds up to a number of things of any number of keys. It is not for several goroutines at once.
type Queue[K comparable, V any] struct {
	room   int
	length int
	first  int // of turns: whose turn it is
	turns  []*line[K, V]
	lines  map[K]*line[K, V] // one for each key that has something waiting, hence at most as many as there is room
	spare  *line[K, V]       // one that nothing waits in any more
}

// line is what waits of one key, in the order in which it came.
type line[K comparable, V any] struct {
	key     K
	waiting []V
	room    []V // empty: what waiting began with
}

// New gives a queue for up to room things, at least one.
func New[K comparable, V any](room int) *Queue[K, V] {
	return &Queue[K, V]{room: max(room, 1), lines: map[K]*line[K, V]{}}
}

// Len gives how many things wait.
func (q *Queue[K, V]) Len() int { return q.length }

// Put lets a thing wait. Where there is no room the last thing of the key that has most is dropped: this one, if no key would have more than its own. It gives the
// key that lost a thing, if one did.
func (q *Queue[K, V]) Put(k K, v V) (loser K, lost bool) {
	own := q.lines[k]
	if q.length == q.room {
		most := 1
		if own != nil {
			most += len(own.waiting)
		}
		var longest *line[K, V]
		for _, l := range q.turns {
			if len(l.waiting) > most {
				longest, most = l, len(l.waiting)
			}
		}
		if longest == nil {
			return k, true
		}
		q.cut(longest)
		loser, lost = longest.key, true
	}
	if own == nil {
		if own = q.spare; own == nil {
			own = &line[K, V]{}
		}
		own.key, q.spare = k, nil
		q.lines[k] = own
		q.turns = slices.Insert(q.turns, q.first, own) // the last in turn stands before the first
		q.first = (q.first + 1) % len(q.turns)
	}
	if len(own.waiting) == 0 {
		own.waiting = own.room
	}
	own.waiting = append(own.waiting, v)
	if len(own.waiting) == 1 {
		own.room = own.waiting[:0]
	}
	q.length++
	return loser, lost
}

// cut drops the last thing of a line that has more than one.
func (q *Queue[K, V]) cut(l *line[K, V]) {
	last := len(l.waiting) - 1
	var none V
	l.waiting[last] = none
	l.waiting = l.waiting[:last]
	q.length--
}

// Take gives the first thing of the key whose turn it is; false if nothing waits.
func (q *Queue[K, V]) Take() (v V, ok bool) {
	if q.length == 0 {
		return v, false
	}
	l := q.turns[q.first]
	v = l.waiting[0]
	var none V
	l.waiting[0] = none
	l.waiting = l.waiting[1:]
	q.length--
	if len(l.waiting) == 0 {
		delete(q.lines, l.key)
		q.turns = slices.Delete(q.turns, q.first, q.first+1)
		q.spare = l
	} else {
		q.first++
	}
	if q.first >= len(q.turns) {
		q.first = 0
	}
	return v, true
}
