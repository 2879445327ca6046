package store

import (
	"testing"

	"github.com/openvnet/openvnet/model"
)

// A glance at referrers does not mind that another one comes meanwhile, but that one which it has seen goes.
func TestGlance(t *testing.T) {
	a, b := pair(t)
	reach(t, b, create(t, a, vif("if-a"), macLease("ml-a", "if-a", 1)))
	for n, test := range []struct {
		name      string
		meanwhile func(tx *Tx) error
		runs      int
	}{
		{"one that comes", creating(macLease("ml-b", "if-a", 2)), 1},
		{"one that goes", func(tx *Tx) error { _, err := tx.Delete("ml-a"); return err }, 2},
	} {
		runs, seen := 0, 0
		rev := update(t, a, func(tx *Tx) error {
			seen = 0
			for range tx.Glance("if-a", "mac_leases.interface_uuid") {
				seen++
			}
			if runs++; runs == 1 {
				done := make(chan error, 1)
				go func() { _, err := b.Update(t.Context(), test.meanwhile); done <- err }()
				if err := <-done; err != nil {
					t.Errorf("%s: meanwhile: %v", test.name, err)
				}
			}
			return tx.Create(network("", uint32(100+n)))
		})
		if runs != test.runs || seen != 1 {
			t.Errorf("%s: the function ran %d times, want %d; it saw %d", test.name, runs, test.runs, seen)
		}
		reach(t, b, rev)
	}
}

func TestChanges(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 1), vif("if-a"))
	update(t, s, func(tx *Tx) error {
		if err := tx.Create(vif("if-b")); err != nil {
			return err
		}
		o, _ := tx.Get("nw-a")
		n := model.Clone(o.(*model.Network))
		n.DisplayName = "changed"
		if err := tx.Update(n); err != nil {
			return err
		}
		if _, err := tx.Delete("if-a"); err != nil {
			return err
		}
		if err := tx.Create(vif("if-c")); err != nil {
			return err
		}
		if _, err := tx.Delete("if-c"); err != nil {
			return err
		}
		got := ""
		for old, o := range tx.Changes() {
			switch {
			case old == nil:
				got += "+" + o.Base().UUID
			case o == nil:
				got += "-" + old.Base().UUID
			default:
				got += "~" + o.Base().UUID
			}
		}
		if got != "+if-b~nw-a-if-a" {
			t.Errorf("changes %s", got)
		}
		for range tx.Glance("if-a", "mac_leases.interface_uuid") {
			t.Error("a deleted interface has a mac lease")
		}
		if _, ok := tx.Base().Get("if-b"); ok || tx.Now().IsZero() {
			t.Error("the base has what the transaction has written, or it has no time")
		}
		return nil
	})
}
