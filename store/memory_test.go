package store

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// A store in memory checks, numbers and tells as one with etcd does.
func TestMemory(t *testing.T) {
	s := Memory(slog.New(slog.DiscardHandler))
	defer s.Close()
	var told []int
	s.Observe(func(_ int64, _ *span.Index, e *span.Effects) { told = append(told, len(e.Changed)) })
	network := func(uuid string) *model.Network {
		n := model.Networks.New().(*model.Network)
		n.UUID, n.Mode, n.IPv4Network, n.IPv4Prefix = uuid, model.NetworkPhysical, netip.MustParseAddr("10.0.0.0"), 24
		return n
	}
	do := func(f func(tx *Tx) error) int64 {
		t.Helper()
		rev, err := s.Update(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	first := do(func(tx *Tx) error { return errors.Join(tx.Create(network("nw-a")), tx.Create(network("nw-b"))) })
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.Create(network("nw-a")) }); err == nil {
		t.Error("a uuid is taken twice")
	}
	second := do(func(tx *Tx) error {
		if _, err := tx.Delete("nw-a"); err != nil {
			return err
		}
		return tx.Create(network("nw-c"))
	})
	if nothing := do(func(*Tx) error { return nil }); first != 1 || second != 2 || nothing != 2 {
		t.Errorf("revisions %d, %d, %d", first, second, nothing)
	}
	s.View(func(x *span.Index, _ int64) {
		for uuid, id := range map[string]uint32{"nw-b": 2, "nw-c": 3} {
			if o, ok := x.Graph().Get(uuid); !ok || o.Base().ID != id {
				t.Errorf("%s: %v, want number %d", uuid, o, id)
			}
		}
		if x.Graph().Len() != 2 {
			t.Errorf("%d objects", x.Graph().Len())
		}
	})
	if len(told) != 2 || told[0] != 2 || told[1] != 2 {
		t.Errorf("told of %v changes", told)
	}
}
