package cover

import (
	"net/netip"
	"slices"
)

// All gives the prefixes of every address, IPv4 and IPv6.
func All() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}

// Union gives the fewest prefixes that hold the addresses of ps and no other, sorted. Bits beyond a prefix's length do not count.
func Union(ps ...netip.Prefix) []netip.Prefix {
	sorted := make([]netip.Prefix, len(ps))
	for i, p := range ps {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, netip.Prefix.Compare) // by family and address; what holds others comes before them
	var out []netip.Prefix
	for _, p := range sorted {
		if n := len(out); n > 0 && holds(out[n-1], p) {
			continue
		}
		out = append(out, p)
		for n := len(out); n > 1 && siblings(out[n-2], out[n-1]); n = len(out) {
			out = append(out[:n-2], netip.PrefixFrom(out[n-2].Addr(), out[n-2].Bits()-1))
		}
	}
	return out
}

// Subtract gives the fewest prefixes that hold the addresses of from which are in none of without, sorted. It stops when it has more
// than most, and gives as many as it has then: the caller refuses them.
func Subtract(from, without []netip.Prefix, most int) []netip.Prefix {
	var out []netip.Prefix
	without = Union(without...)
	for _, p := range Union(from...) {
		out = subtract(out, p, without, most)
	}
	return out
}

func subtract(out []netip.Prefix, p netip.Prefix, without []netip.Prefix, most int) []netip.Prefix {
	if len(out) > most {
		return out
	}
	// Those of without that concern p stand beside each other, as they are sorted and none holds another.
	first := slices.IndexFunc(without, p.Overlaps)
	if first < 0 {
		return append(out, p)
	}
	without = without[first:]
	if end := slices.IndexFunc(without, func(q netip.Prefix) bool { return !p.Overlaps(q) }); end >= 0 {
		without = without[:end]
	}
	if holds(without[0], p) {
		return out
	}
	low, high := Halves(p)
	return subtract(subtract(out, low, without, most), high, without, most)
}

// holds reports whether p holds every address of q.
func holds(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

// siblings reports whether p and q are the lower and the upper half of one prefix.
func siblings(p, q netip.Prefix) bool {
	if p.Bits() != q.Bits() || p.Bits() == 0 || p == q {
		return false
	}
	parent := netip.PrefixFrom(p.Addr(), p.Bits()-1)
	return parent.Masked().Addr() == p.Addr() && parent.Contains(q.Addr())
}

// Halves gives the two halves of a prefix that holds more than one address.
func Halves(p netip.Prefix) (low, high netip.Prefix) {
	n := p.Bits()
	b := p.Addr().AsSlice()
	b[n/8] |= 0x80 >> (n % 8)
	upper, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), n+1), netip.PrefixFrom(upper, n+1)
}
