package pool

import "math/bits"

// levels is how many words lie above one another: six bits each, of 128.
const levels = 22

// Set is a set of numbers that finds the next one that is not in it. The zero value is empty. It is not safe for concurrent use.
type Set struct {
	// words[0] has a bit for each number; words[i+1] one for each word of words[i], set while that word is full. Words of
	// zeros are not kept, so that the set is as large as what is in it.
	words [levels]map[Number]uint64
	len   int
}

// Len gives how many numbers are in the set.
func (s *Set) Len() int { return s.len }

// Has reports whether n is in the set.
func (s *Set) Has(n Number) bool { return s.words[0][n.shift6()]&(1<<(n.lo&63)) != 0 }

// Add puts n into the set.
func (s *Set) Add(n Number) {
	if s.Has(n) {
		return
	}
	s.len++
	for i := range s.words {
		if s.words[i] == nil {
			s.words[i] = map[Number]uint64{}
		}
		at, bit := n.shift6(), n.lo&63
		w := s.words[i][at] | 1<<bit
		s.words[i][at] = w
		if w != ^uint64(0) {
			return
		}
		n = at
	}
}

// Remove takes n out of the set.
func (s *Set) Remove(n Number) {
	if !s.Has(n) {
		return
	}
	s.len--
	for i := range s.words {
		at, bit := n.shift6(), n.lo&63
		was := s.words[i][at]
		if w := was &^ (1 << bit); w == 0 {
			delete(s.words[i], at)
		} else {
			s.words[i][at] = w
		}
		if was != ^uint64(0) {
			return
		}
		n = at
	}
}

// Next gives the least number from n on that is not in the set, Prev the greatest down from n. The bool is false if there is none.
func (s *Set) Next(n Number) (Number, bool) { return s.free(n, 0, true) }

// Prev is Next downwards.
func (s *Set) Prev(n Number) (Number, bool) { return s.free(n, 0, false) }

// free looks at level i for the position from n on, or down from n, whose bit is not set.
func (s *Set) free(n Number, i int, up bool) (Number, bool) {
	if i == levels {
		return Number{}, false // words of this level are full: it holds every number there is
	}
	at := n.shift6()
	open := ^s.words[i][at]
	if i == levels-1 {
		open &= 3 // 128 bits are 21 times six and two
	}
	if up {
		open &= ^uint64(0) << (n.lo & 63)
	} else {
		open &= ^uint64(0) >> (63 - n.lo&63)
	}
	if open != 0 {
		if up {
			return at.unshift6(bits.TrailingZeros64(open)), true
		}
		return at.unshift6(63 - bits.LeadingZeros64(open)), true
	}
	beyond, ok := at.next()
	if !up {
		beyond, ok = at.prev()
	}
	if !ok || i+1 == levels {
		return Number{}, false
	}
	if up && overflows(beyond, i) {
		return Number{}, false
	}
	word, ok := s.free(beyond, i+1, up)
	if !ok {
		return Number{}, false
	}
	open = ^s.words[i][word]
	if up {
		return word.unshift6(bits.TrailingZeros64(open)), true
	}
	return word.unshift6(63 - bits.LeadingZeros64(open)), true
}

// overflows reports whether a word's position of level i lies beyond 128 bits.
func overflows(at Number, i int) bool {
	for range i + 1 {
		if at.hi>>58 != 0 {
			return true
		}
		at = at.unshift6(0)
	}
	return false
}
