package app

import (
	"fmt"
	"time"

	"github.com/openvnet/openvnet/manager/app/pool"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// Settle makes the manager one that has run for long.
func (a *App) Settle() { a.began = time.Time{} }

// Inconsistencies gives what does not follow from the store as it should: rows of associations, and taken addresses.
func (a *App) Inconsistencies() (found []string) {
	a.store.View(func(x *span.Index, _ int64) {
		found = append(rowsAmiss(x.Graph()), a.spaces.amiss(x.Graph())...)
	})
	return found
}

func rowsAmiss(g *graph.Graph) (found []string) {
	for _, as := range associations {
		justified, rows := map[pair]bool{}, map[pair]bool{}
		for _, o := range g.List(as.by.of) {
			if p, ok := as.by.pairOf(o); ok {
				justified[p] = true
			}
		}
		for _, o := range g.List(as.rows.of) {
			p, _ := as.rows.pairOf(o)
			rows[p] = true
			if !justified[p] && !as.rows.of.Field("static").IsSet(o) {
				found = append(found, fmt.Sprintf("%s of %v stays without reason", as.rows.of.Plural, p))
			}
		}
		for p := range justified {
			if !rows[p] {
				found = append(found, fmt.Sprintf("%s of %v is missing", as.rows.of.Plural, p))
			}
		}
	}
	return found
}

func (s *spaces) amiss(g *graph.Graph) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	compare := func(name string, in *space, want map[pool.Number]bool) {
		if len(in.held) != 0 || in.taken.Len() != len(want) {
			found = append(found, fmt.Sprintf("%s: %d held, %d taken, want %d", name, len(in.held), in.taken.Len(), len(want)))
		}
		for n := range want {
			if !in.taken.Has(n) {
				found = append(found, fmt.Sprintf("%s: %v is not taken", name, n))
			}
		}
	}
	if s.mac != nil {
		want := map[pool.Number]bool{}
		for o := range g.All() {
			if m, ok := macOf(o); ok {
				want[pool.OfMAC(m)] = true
			}
		}
		compare("mac", s.mac, want)
	}
	for of, in := range s.ip {
		want := map[pool.Number]bool{}
		for o := range g.Referrers(of.network, "ip_leases.network_uuid") {
			if l := o.(*model.IPLease); subnetOf(l) == of {
				want[pool.OfAddr(l.Addr())] = true
			}
		}
		compare(fmt.Sprint(of), in, want)
	}
	return found
}
