package app

import (
	"context"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// association is the rows that say where interfaces belong: one for each pair that something justifies, and those that are static.
type association struct {
	rows, by ends   // by: what justifies a row, a lease or route with both ends
	ref      string // by's reference to the interface
}

// ends are the fields of both ends of a resource's objects.
type ends struct {
	of           *model.Resource
	iface, other *model.Field
}

func endsOf(r *model.Resource, other string) ends {
	return ends{r, r.Field("interface_uuid"), r.Field(other)}
}

func associationOf(rows, by *model.Resource, other string) association {
	return association{endsOf(rows, other), endsOf(by, other), by.Plural + ".interface_uuid"}
}

var associations = []association{
	associationOf(model.InterfaceNetworks, model.IPLeases, "network_uuid"),
	associationOf(model.InterfaceSegments, model.MACLeases, "segment_uuid"),
	associationOf(model.InterfaceRouteLinks, model.Routes, "route_link_uuid"),
}

// pair is both ends of a row.
type pair struct{ iface, other string }

// pairOf gives both ends of an object, false if it lacks one.
func (e ends) pairOf(o model.Object) (pair, bool) {
	p := pair{e.iface.Text(o), e.other.Text(o)}
	return p, p.iface != "" && p.other != ""
}

// associate makes and deletes the rows of what the transaction has changed. A new row that would go at once is refused.
func (u *unit) associate() error {
	for _, a := range associations {
		for _, p := range u.affected(a) {
			if err := u.associatePair(a, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// affected gives the pairs that a change may have begun or ceased to justify, in the order of the changes.
func (u *unit) affected(a association) []pair {
	var pairs []pair
	seen := map[pair]bool{}
	note := func(o model.Object) {
		if o == nil {
			return
		}
		for _, e := range []ends{a.rows, a.by} {
			if model.Of(o) != e.of {
				continue
			}
			if p, ok := e.pairOf(o); ok && !seen[p] {
				seen[p] = true
				pairs = append(pairs, p)
			}
		}
	}
	for old, o := range u.tx.Changes() {
		note(old)
		note(o)
	}
	return pairs
}

// associateAll makes the rows that are missing.
func (a *App) associateAll(ctx context.Context) error {
	type missing struct {
		association
		pair
	}
	var all []missing
	a.store.View(func(x *span.Index, _ int64) {
		for _, as := range associations {
			for _, o := range x.Graph().List(as.by.of) {
				p, ok := as.by.pairOf(o)
				if !ok {
					continue
				}
				if _, ok := x.Graph().ByUnique(as.rows.of, "pair", p.iface, p.other); !ok {
					all = append(all, missing{as, p})
				}
			}
		}
	})
	for some := range slices.Chunk(all, 5000) {
		_, err := a.transact(ctx, Write{}, func(u *unit) error {
			for _, m := range some {
				if err := u.associatePair(m.association, m.pair); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unit) associatePair(a association, p pair) error {
	row := u.tx.ByUnique(a.rows.of, "pair", p.iface, p.other)
	justified := u.justified(a, p)
	switch {
	case row == nil && justified:
		o := a.rows.of.New()
		o.Base().UUID = u.freeUUID(a.rows.of)
		a.rows.iface.Set(o, p.iface)
		a.rows.other.Set(o, p.other)
		u.inherit(o)
		return u.tx.Create(o)
	case row != nil && !justified && !a.rows.of.Field("static").IsSet(row):
		if _, ok := u.tx.Base().Get(row.Base().UUID); !ok {
			return &store.ObjectError{UUID: row.Base().UUID, Err: model.Errorf(model.ArgumentError, "static", "must be true: nothing else puts %s on %s", p.iface, p.other)}
		}
		deleted, err := u.tx.Delete(row.Base().UUID)
		u.alsoDeleted(deleted)
		return err
	}
	return nil
}

func (u *unit) justified(a association, p pair) bool {
	for o := range u.tx.Referrers(p.iface, a.ref) {
		if got, _ := a.by.pairOf(o); got == p {
			return true
		}
	}
	return false
}
