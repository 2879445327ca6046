package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// Many at once get numbers of their own, from two managers.
func TestConcurrentAllocate(t *testing.T) {
	a, b := pair(t)
	const each, lo = 8, 100
	g, ctx := errgroup.WithContext(t.Context())
	var mu sync.Mutex
	vnis := map[uint32]string{}
	hi := uint32(lo + 2*32*each - 1)
	make1 := func(s *Store) error {
		n := network("", 0)
		_, err := s.Update(ctx, func(tx *Tx) (err error) {
			n = network("", 0)
			if n.VNI, err = tx.Allocate(model.Networks, "vni", lo, hi); err != nil {
				return err
			}
			return tx.Create(n)
		})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if other := vnis[n.VNI]; other != "" {
			return fmt.Errorf("%s and %s have %d", other, n.UUID, n.VNI)
		}
		vnis[n.VNI] = n.UUID
		return nil
	}
	for k := range 64 {
		s := []*Store{a, b}[k%2]
		g.Go(func() error {
			for range each {
				if err := make1(s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(vnis) != 64*each {
		t.Errorf("%d numbers for %d networks", len(vnis), 64*each)
	}
	consistent(t, a, b)
	// All are in use; one that becomes free is found.
	for _, s := range []*Store{a, b} {
		ctx := t.Context()
		_, err := s.Update(ctx, func(tx *Tx) error { _, err := tx.Allocate(model.Networks, "vni", lo, hi); return err })
		refused(t, err, model.Exhausted, "vni")
	}
	rev := update(t, a, func(tx *Tx) error { _, err := tx.Delete(vnis[lo+5]); return err })
	reach(t, b, rev)
	update(t, b, func(tx *Tx) error {
		v, err := tx.Allocate(model.Networks, "vni", lo, hi)
		if v != lo+5 {
			t.Errorf("allocated %d, want %d", v, lo+5)
		}
		_, full := tx.Allocate(model.Networks, "vni", lo, hi)
		refused(t, full, model.Exhausted, "vni")
		return err
	})
}

// Many want the last few values; as many get one as there are.
func TestLastValues(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	const left, wanting = 5, 32
	var got, refusals atomic.Int32
	var g errgroup.Group
	for range wanting {
		g.Go(func() error {
			_, err := s.Update(t.Context(), func(tx *Tx) error {
				v, err := tx.Allocate(model.Networks, "vni", 1, left)
				if err != nil {
					return err
				}
				return tx.Create(network("", v))
			})
			var e *model.Error
			switch {
			case err == nil:
				got.Add(1)
			case errors.As(err, &e) && e.Class == model.Exhausted:
				refusals.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got.Load() != left || refusals.Load() != wanting-left {
		t.Errorf("%d got one, %d were refused", got.Load(), refusals.Load())
	}
}

// Of many that want the same value, one gets it, and the others are told who has it.
func TestConcurrentUnique(t *testing.T) {
	a, b := pair(t)
	var made, refusals atomic.Int32
	var g errgroup.Group
	create(t, a, vif("if-a"))
	reach(t, b, get(a, "if-a").Base().Revision)
	for k := range 64 {
		g.Go(func() error {
			_, err := []*Store{a, b}[k%2].Update(t.Context(), creating(macLease(fmt.Sprintf("ml-%d", k), "if-a", uint32(k/8))))
			var e *model.Error
			switch {
			case err == nil:
				made.Add(1)
			case errors.As(err, &e) && e.Class == model.Conflict && e.Field == "mac_address":
				refusals.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if made.Load() != 8 || refusals.Load() != 56 {
		t.Errorf("%d made, %d refused", made.Load(), refusals.Load())
	}
	consistent(t, a, b)
}

// A counter in one object, which everybody raises: no raise is lost, whatever the number of conflicts.
func TestConflictsAreRetried(t *testing.T) {
	a, b := pair(t)
	reach(t, b, create(t, a, network("nw-a", 1)))
	const workers, raises = 8, 20
	var runs atomic.Int32
	g, ctx := errgroup.WithContext(t.Context())
	for k := range workers {
		g.Go(func() error {
			for range raises {
				_, err := []*Store{a, b}[k%2].Update(ctx, func(tx *Tx) error {
					runs.Add(1)
					o, _ := tx.Get("nw-a")
					n := model.Clone(o.(*model.Network))
					n.VNI++
					return tx.Update(n)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	consistent(t, a, b)
	if n := get(b, "nw-a").(*model.Network); n.VNI != 1+workers*raises {
		t.Errorf("raised to %d, want %d", n.VNI, 1+workers*raises)
	}
	t.Logf("%d raises took %d runs", workers*raises, runs.Load())
}

// A referrer that is created while its target is deleted, by another manager: one of the two fails.
func TestDeletionAgainstReference(t *testing.T) {
	a, b := pair(t)
	for n := range 40 {
		iface := fmt.Sprintf("if-%d", n)
		reach(t, b, create(t, a, vif(iface)))
		var created, deleted error
		var g errgroup.Group
		g.Go(func() error {
			_, created = a.Update(t.Context(), creating(macLease("", iface, uint32(n))))
			return nil
		})
		g.Go(func() error {
			_, deleted = b.Update(t.Context(), func(tx *Tx) error { _, err := tx.Delete(iface); return err })
			return nil
		})
		_ = g.Wait()
		if deleted != nil {
			t.Fatal(deleted)
		}
		if created != nil {
			refused(t, created, model.UnknownUUIDResource, "interface_uuid")
		}
	}
	consistent(t, a, b)
	a.View(func(x *span.Index, _ int64) {
		if n := len(x.Graph().List(model.MACLeases)); n != 0 {
			t.Errorf("%d mac leases of interfaces that are gone", n)
		}
	})
}

// The commit notices if anything that its function has looked at has changed, also if it was not there.
func TestReadsAreGuarded(t *testing.T) {
	a, b := pair(t)
	reach(t, b, create(t, a, append(dnsService(), network("nw-a", 1), vif("if-a"), vif("if-b"), macLease("ml-a", "if-a", 1))...))
	alike := func(tx *Tx) {
		for range tx.Alike(dnsRecord("", "a.example"), "name") {
		}
	}
	macsOf := func(iface string) func(tx *Tx) {
		return func(tx *Tx) {
			for range tx.Referrers(iface, "mac_leases.interface_uuid") {
			}
		}
	}
	remove := func(uuid string) func(tx *Tx) error {
		return func(tx *Tx) error { _, err := tx.Delete(uuid); return err }
	}
	for n, test := range []struct {
		name      string
		look      func(tx *Tx)
		meanwhile func(tx *Tx) error
	}{
		{"an object", func(tx *Tx) { tx.Get("nw-a") }, func(tx *Tx) error {
			o, _ := tx.Get("nw-a")
			n := model.Clone(o.(*model.Network))
			n.DisplayName = "changed"
			return tx.Update(n)
		}},
		{"no object", func(tx *Tx) { tx.Get("nw-c") }, creating(network("nw-c", 2))},
		{"no unique value", func(tx *Tx) { tx.ByUnique(model.Networks, "vni", "5") }, creating(network("nw-d", 5))},
		{"a unique value", func(tx *Tx) { tx.ByUnique(model.MACLeases, "mac", "02:00:00:00:00:01") }, remove("ml-a")},
		{"a list", func(tx *Tx) { tx.List(model.Networks) }, creating(network("nw-e", 6))},
		{"referrers that come", macsOf("if-b"), creating(macLease("ml-c", "if-b", 3))},
		{"referrers that go", macsOf("if-b"), remove("ml-c")},
		{"the alike that come", alike, creating(dnsRecord("dnsr-a", "a.example"))},
		{"the alike that change", alike, func(tx *Tx) error { return tx.Update(dnsRecord("dnsr-a", "b.example")) }},
		{"the alike that come by a change", alike, func(tx *Tx) error { return tx.Update(dnsRecord("dnsr-a", "a.example")) }},
		{"the alike that go", alike, remove("dnsr-a")},
		{"what will be deleted", func(tx *Tx) {
			if _, err := tx.Delete("if-b"); err != nil {
				t.Error(err)
			}
		}, creating(&model.InterfacePort{InterfaceUUID: "if-b", PortName: "b"})},
	} {
		runs := 0
		rev := update(t, a, func(tx *Tx) error {
			test.look(tx)
			if runs++; runs == 1 {
				done := make(chan error, 1)
				go func() { _, err := b.Update(t.Context(), test.meanwhile); done <- err }()
				if err := <-done; err != nil {
					t.Errorf("%s: meanwhile: %v", test.name, err)
				}
			}
			return tx.Create(network("", uint32(100+n)))
		})
		if runs != 2 {
			t.Errorf("%s: the function ran %d times, want 2", test.name, runs)
		}
		reach(t, b, rev)
	}
	consistent(t, a, b)
}

// A value that another manager takes, and a reference that it makes, between a transaction's reads and its commit are noticed;
// also if it takes so many that it writes no guards.
func TestTakenMeanwhile(t *testing.T) {
	a, b := pair(t)
	for _, n := range []int{1, maxNames} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			iface, mine := fmt.Sprintf("if-x%d", n), fmt.Sprintf("if-y%d", n)
			reach(t, b, create(t, a, vif(iface), vif(mine)))
			var leases []model.Object
			for k := range n {
				leases = append(leases, macLease(fmt.Sprintf("ml-%dx%d", n, k), iface, uint32(1000*n+k)))
			}
			attempts := 0
			_, err := a.Update(t.Context(), func(tx *Tx) error {
				if attempts++; attempts == 1 {
					create(t, b, leases...)
				}
				return tx.Create(macLease("", mine, uint32(1000*n)))
			})
			refused(t, err, model.Conflict, "mac_address")
			if attempts != 2 {
				t.Errorf("%d attempts at a value", attempts)
			}
			attempts = 0
			update(t, a, func(tx *Tx) error {
				if attempts++; attempts == 1 {
					var more []model.Object
					for k := range n {
						more = append(more, macLease(fmt.Sprintf("ml-%dy%d", n, k), mine, uint32(500_000+1000*n+k)))
					}
					create(t, b, more...)
				}
				_, err := tx.Delete(mine)
				return err
			})
			if attempts != 2 || get(a, fmt.Sprintf("ml-%dy0", n)) != nil {
				t.Errorf("%d attempts at a deletion", attempts)
			}
			consistent(t, a, b)
		})
	}
}
