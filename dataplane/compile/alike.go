package compile

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// alike is an index of the objects that compete: routes of one prefix, and rows that translate one address. What it says follows from the graph
// alone; it is kept beside it so that one of ten thousand routes is compiled without a look at the others.
type alike map[any][]string

// Keys of the index.
type (
	routeOf struct { // routes of a route link, or through an interface, to a prefix
		uuid string
		to   netip.Prefix
	}
	rowOf struct { // rows of a translation, of an address and port (0: all of it)
		translation string
		out         bool // the row's egress address, for what leaves; otherwise its ingress address
		link        string
		addr        netip.AddrPort
	}
)

// competing gives the objects of type T that have the key and count, by id.
func competing[T model.Object](in *Input, key any, counts func(T) bool) []T {
	var os []T
	for _, uuid := range in.alikes()[key] {
		if o, ok := graph.Lookup[T](in.X.Graph(), uuid); ok && counts(o) {
			os = append(os, o)
		}
	}
	slices.SortFunc(os, func(a, b T) int { return cmp.Compare(a.Base().ID, b.Base().ID) })
	return os
}

// alikes gives the index, which is built when it is first needed.
func (in *Input) alikes() alike {
	if in.alike == nil {
		in.alike = alike{}
		for _, r := range []*model.Resource{model.Routes, model.TranslationStaticAddresses} {
			for _, o := range in.X.Graph().List(r) {
				in.alike.add(o)
			}
		}
	}
	return in.alike
}

// changed brings the index up to date.
func (a alike) changed(e *span.Effects) {
	if a == nil {
		return // not needed yet
	}
	for _, c := range e.Changed {
		a.remove(c.Old)
		a.add(c.New)
	}
}

func (a alike) add(o model.Object) {
	for _, k := range alikeKeys(o) {
		if !slices.Contains(a[k], o.Base().UUID) {
			a[k] = append(a[k], o.Base().UUID)
		}
	}
}

func (a alike) remove(o model.Object) {
	for _, k := range alikeKeys(o) {
		rest := slices.DeleteFunc(a[k], func(uuid string) bool { return uuid == o.Base().UUID })
		if a[k] = rest; len(rest) == 0 {
			delete(a, k)
		}
	}
}

func alikeKeys(o model.Object) []any {
	var keys []any
	switch o := o.(type) {
	case *model.Route:
		for _, p := range prefixes(o) {
			keys = append(keys, routeOf{o.RouteLinkUUID, p})
			if o.InterfaceUUID != "" {
				keys = append(keys, routeOf{o.InterfaceUUID, p})
			}
		}
	case *model.TranslationStaticAddress:
		keys = append(keys, rowKey(o, false), rowKey(o, true))
	}
	return keys
}

// prefixes gives the subnets of a route.
func prefixes(r *model.Route) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range []netip.Prefix{r.Prefix4(), r.Prefix6()} {
		if p.IsValid() {
			ps = append(ps, p.Masked())
		}
	}
	return ps
}

// rowKey gives what a row translates: inwards its ingress address; outwards its egress address, of packets of its route link if it names one.
func rowKey(r *model.TranslationStaticAddress, out bool) rowOf {
	ingress, egress := rowEnds(r)
	if out {
		return rowOf{r.TranslationUUID, true, r.RouteLinkUUID, egress}
	}
	return rowOf{r.TranslationUUID, false, "", ingress}
}

// rowEnds gives the address and port (0: all of it) outside and the one inside.
func rowEnds(r *model.TranslationStaticAddress) (ingress, egress netip.AddrPort) {
	if r.IngressIPv4Address.IsValid() {
		return netip.AddrPortFrom(r.IngressIPv4Address, r.IngressPortNumber), netip.AddrPortFrom(r.EgressIPv4Address, r.EgressPortNumber)
	}
	return netip.AddrPortFrom(r.IngressIPv6Address, r.IngressPortNumber), netip.AddrPortFrom(r.EgressIPv6Address, r.EgressPortNumber)
}
