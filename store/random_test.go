package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// action is one step of a random transaction; what it refers to may be there or not.
type action struct {
	Kind         int
	A, B, C, Val int
}

func (a action) run(tx *Tx) error {
	n := fmt.Sprintf("nw-%d", a.A)
	i := fmt.Sprintf("if-%d", a.B)
	m := fmt.Sprintf("ml-%d", a.C)
	there := func(uuids ...string) bool {
		for _, uuid := range uuids {
			if _, ok := tx.Get(uuid); !ok {
				return false
			}
		}
		return true
	}
	// Most of what would be refused is left out.
	if a.Val < 3 && (a.Kind == 0 && there(n) || a.Kind == 1 && there(i) || a.Kind == 2 && (there(m) || !there(i)) ||
		a.Kind == 3 && !there(i, m, n) || a.Kind == 4 && !there(i) || a.Kind == 5 && !there(i)) {
		return nil
	}
	switch a.Kind {
	case 0:
		vni, err := tx.Allocate(model.Networks, "vni", 1, 4)
		if err != nil {
			return err
		}
		return tx.Create(network(n, vni))
	case 1:
		return tx.Create(vif(i))
	case 2:
		return tx.Create(macLease(m, i, uint32(a.Val)))
	case 3:
		if o, ok := tx.Get(m); ok && a.Val < 3 {
			i = o.(*model.MACLease).InterfaceUUID
		}
		return tx.Create(ipLease("", i, m, n, uint16(a.Val+1)))
	case 4:
		return tx.Create(&model.InterfacePort{InterfaceUUID: i, PortName: fmt.Sprint(a.Val)})
	case 5: // moves a mac lease, its ip leases along
		o, ok := tx.Get(m)
		if !ok {
			return nil
		}
		l := model.Clone(o.(*model.MACLease))
		l.InterfaceUUID, l.MACAddress[5] = i, byte(a.Val)
		var leases []*model.IPLease
		for o := range tx.Referrers(m, "ip_leases.mac_lease_uuid") {
			leases = append(leases, model.Clone(o.(*model.IPLease)))
		}
		for _, l := range leases {
			l.InterfaceUUID = i
			if err := tx.Update(l); err != nil {
				return err
			}
		}
		return tx.Update(l)
	default:
		uuid := []string{n, i, m}[a.Val%3]
		if _, ok := tx.Get(uuid); !ok {
			return nil
		}
		_, err := tx.Delete(uuid)
		return err
	}
}

// Whatever transactions several managers make at once: what is stored is valid, unique and indexed, both copies are equal to
// it, and an observer that applies the changes has it too.
func TestRandomTransactions(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	run(t, Options{Dir: dir, socket: socket})
	number := rapid.IntRange(0, 3)
	actions := rapid.Custom(func(t *rapid.T) action {
		return action{Kind: rapid.IntRange(0, 7).Draw(t, "kind"), A: number.Draw(t, "a"), B: number.Draw(t, "b"), C: number.Draw(t, "c"), Val: number.Draw(t, "val")}
	})
	round := 0
	var done, refusals atomic.Int32
	rapid.Check(t, func(rt *rapid.T) {
		round++
		prefix := fmt.Sprintf("/round%d/", round)
		var stores []*Store
		var replicas []*graph.Graph
		var ends []func()
		for range 2 {
			g := graph.New()
			s, end := run(t, Options{Endpoints: []string{"unix://" + socket}, Prefix: prefix}, func(s *Store) {
				s.Observe(func(_ int64, _ *span.Index, e *span.Effects) {
					for _, c := range e.Changed {
						if c.New == nil {
							g.Delete(c.Old.Base().UUID)
						} else {
							g.Put(c.New)
						}
					}
				})
			})
			stores, replicas, ends = append(stores, s), append(replicas, g), append(ends, end)
		}
		var g errgroup.Group
		for k := range 4 {
			txs := rapid.SliceOfN(rapid.SliceOfN(actions, 1, 5), 1, 6).Draw(rt, "transactions")
			g.Go(func() error {
				for _, as := range txs {
					_, err := stores[k%2].Update(t.Context(), func(tx *Tx) error {
						for _, a := range as {
							if err := a.run(tx); err != nil {
								return err
							}
						}
						return nil
					})
					var e *model.Error
					switch {
					case err == nil:
						done.Add(1)
					case errors.As(err, &e):
						refusals.Add(1)
					default:
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			rt.Fatal(err)
		}
		consistent(t, stores...)
		for i, s := range stores {
			s.View(func(x *span.Index, _ int64) {
				if len(contents(t, x.Graph())) != replicas[i].Len() {
					t.Errorf("an observer has %d objects, the copy %d", replicas[i].Len(), x.Graph().Len())
				}
			})
		}
		for _, end := range ends {
			end()
		}
		if t.Failed() {
			rt.Fatal("not consistent")
		}
	})
	t.Logf("%d transactions, %d refused", done.Load(), refusals.Load())
}
