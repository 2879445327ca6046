package lab

import "net/netip"

// gateways gives the default routers on an underlay: of the first router there, one address per family.
func (s *Spec) gateways(underlay string) []netip.Addr {
	for _, r := range s.Routers {
		for _, l := range r.Legs {
			if l.Underlay == underlay {
				return firstOfFamilies(l.Addresses)
			}
		}
	}
	return nil
}

func firstOfFamilies(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, is4 := range []bool{true, false} {
		for _, a := range addrs {
			if a.Is4() == is4 {
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// routes gives a router's routes to the prefixes that it is not on itself, by the fewest routers, per underlay of the
// next one.
func (s *Spec) routes(r Router) map[string][]route {
	out := map[string][]route{}
	type hop struct {
		underlay string // reached here
		leg      string // from r by this underlay
		via      []netip.Addr
	}
	var queue []hop
	seen := map[string]bool{}
	for _, l := range r.Legs {
		seen[l.Underlay] = true
		queue = append(queue, hop{underlay: l.Underlay, leg: l.Underlay})
	}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		for _, next := range s.Routers {
			in := next.leg(h.underlay)
			if in == nil || next.Name == r.Name {
				continue
			}
			via := h.via
			if via == nil { // the first router on the way
				via = firstOfFamilies(in.Addresses)
			}
			for _, l := range next.Legs {
				if seen[l.Underlay] {
					continue
				}
				seen[l.Underlay] = true
				queue = append(queue, hop{l.Underlay, h.leg, via})
				for _, p := range s.underlay(l.Underlay).Prefixes {
					for _, v := range via {
						if v.Is4() == p.Addr().Is4() {
							out[h.leg] = append(out[h.leg], route{p, v})
						}
					}
				}
			}
		}
	}
	return out
}

func (r *Router) leg(underlay string) *RouterLeg {
	for i := range r.Legs {
		if r.Legs[i].Underlay == underlay {
			return &r.Legs[i]
		}
	}
	return nil
}
