package pool

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Range is the numbers from First to Last, both included.
type Range struct{ First, Last Number }

// Contains reports whether n is in the range.
func (r Range) Contains(n Number) bool { return r.First.Compare(n) <= 0 && n.Compare(r.Last) <= 0 }

// Intersect gives what two ranges have in common, false if nothing.
func (r Range) Intersect(o Range) (Range, bool) {
	if o.First.Compare(r.First) > 0 {
		r.First = o.First
	}
	if o.Last.Compare(r.Last) < 0 {
		r.Last = o.Last
	}
	return r, r.First.Compare(r.Last) <= 0
}

// Ranges are sorted and apart from one another: see Join.
type Ranges []Range

// Join gives the ranges in order, those that overlap or touch as one.
func Join(ranges ...Range) Ranges {
	rs := slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return cmp.Or(a.First.Compare(b.First), a.Last.Compare(b.Last)) })
	var out Ranges
	for _, r := range rs {
		if n := len(out); n > 0 {
			if after, more := out[n-1].Last.next(); !more || r.First.Compare(after) <= 0 {
				if r.Last.Compare(out[n-1].Last) > 0 {
					out[n-1].Last = r.Last
				}
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether n is in one of the ranges.
func (rs Ranges) Contains(n Number) bool {
	return slices.ContainsFunc(rs, func(r Range) bool { return r.Contains(n) })
}

// Next gives the least number after last that is in the ranges and not in the set, and goes on at the beginning when there is none;
// without a last it begins there. The bool is false when all are in the set.
func (rs Ranges) Next(taken *Set, last *Number) (Number, bool) {
	from, ok := Number{}, true
	if last != nil {
		from, ok = last.next()
	}
	if ok {
		if n, ok := rs.up(taken, from); ok || last == nil {
			return n, ok
		}
	}
	return rs.up(taken, Number{})
}

// Prev is Next downwards, from the end.
func (rs Ranges) Prev(taken *Set, last *Number) (Number, bool) {
	top := Number{^uint64(0), ^uint64(0)}
	from, ok := top, true
	if last != nil {
		from, ok = last.prev()
	}
	if ok {
		if n, ok := rs.down(taken, from); ok || last == nil {
			return n, ok
		}
	}
	return rs.down(taken, top)
}

// Random gives some number of the ranges that is not in the set: each with the same chance as long as most are free, one
// behind a random place when few are.
func (rs Ranges) Random(taken *Set) (Number, bool) {
	if len(rs) == 0 {
		return Number{}, false
	}
	var n Number
	for range 16 {
		if n = rs.random(); !taken.Has(n) {
			return n, true
		}
	}
	return rs.Next(taken, &n)
}

func (rs Ranges) up(taken *Set, from Number) (Number, bool) {
	for _, r := range rs {
		if r.Last.Compare(from) < 0 {
			continue
		}
		if r.First.Compare(from) > 0 {
			from = r.First
		}
		if n, ok := taken.Next(from); ok && n.Compare(r.Last) <= 0 {
			return n, true
		}
	}
	return Number{}, false
}

func (rs Ranges) down(taken *Set, from Number) (Number, bool) {
	for _, r := range slices.Backward(rs) {
		if r.First.Compare(from) > 0 {
			continue
		}
		if r.Last.Compare(from) < 0 {
			from = r.Last
		}
		if n, ok := taken.Prev(from); ok && n.Compare(r.First) >= 0 {
			return n, true
		}
	}
	return Number{}, false
}

// random gives any number of the ranges, all with the same chance.
func (rs Ranges) random() Number {
	var last Number // how many there are, less one; of all of them 2^128-1
	for i, r := range rs {
		last = last.plus(r.Last.minus(r.First))
		if i > 0 {
			last, _ = last.next()
		}
	}
	at := below(last)
	for _, r := range rs {
		if size := r.Last.minus(r.First); at.Compare(size) > 0 {
			at = at.minus(size)
			at, _ = at.prev()
			continue
		}
		return r.First.plus(at)
	}
	return rs[len(rs)-1].Last
}

// below gives a number from 0 to last, all with the same chance.
func below(last Number) Number {
	mask := Number{lo: ^uint64(0) >> min(63, bits.LeadingZeros64(last.lo|1))}
	if last.hi != 0 {
		mask = Number{^uint64(0) >> bits.LeadingZeros64(last.hi), ^uint64(0)}
	}
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		n := Number{binary.BigEndian.Uint64(b[:8]) & mask.hi, binary.BigEndian.Uint64(b[8:]) & mask.lo}
		if n.Compare(last) <= 0 {
			return n
		}
	}
}
