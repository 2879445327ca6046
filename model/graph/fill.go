package graph

import (
	"cmp"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// Of gives the set of these objects, no two of one uuid. It is what New and Put for each give, in less time.
func Of(parts ...[]model.Object) *Graph {
	sizes := map[*model.Resource]int{}
	for _, part := range parts {
		for _, o := range part {
			sizes[model.Of(o)]++
		}
	}
	tables := make(map[*model.Resource][]model.Object, len(sizes))
	for r, n := range sizes {
		tables[r] = make([]model.Object, 0, n)
	}
	for _, part := range parts {
		for _, o := range part {
			r := model.Of(o)
			tables[r] = append(tables[r], o)
		}
	}
	g := sized(sizes)
	for _, os := range tables {
		for _, o := range byID(os) {
			g.Put(o) // appends
		}
	}
	return g
}

// byID sorts objects of one resource by id. Ids are nearly without gaps, so that each object's place is nearly known.
func byID(os []model.Object) []model.Object {
	least, most := ^uint32(0), uint32(0)
	for _, o := range os {
		least, most = min(least, o.Base().ID), max(most, o.Base().ID)
	}
	if len(os) == 0 || int64(most)-int64(least) > 4*int64(len(os)) {
		slices.SortFunc(os, compareID)
		return os
	}
	places := make([]model.Object, most-least+1)
	for _, o := range os {
		place := &places[o.Base().ID-least]
		if *place != nil { // which a store does not have
			slices.SortFunc(os, compareID)
			return os
		}
		*place = o
	}
	return slices.DeleteFunc(places, func(o model.Object) bool { return o == nil })
}

func compareID(a, b model.Object) int { return cmp.Compare(a.Base().ID, b.Base().ID) }
