package store

import (
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/openvnet/openvnet/model/graph"
)

// Memory gives an empty store that is nothing but its copy: without etcd, and forgotten when the process ends. It takes transactions one at a time; Run need not run.
func Memory(log *slog.Logger) *Store {
	s := &Store{
		opts: Options{Logger: log, Now: time.Now, History: 1000}, log: log, keys: layout(defaultPrefix), id: rand.Text(), maxOps: MaxOps,
		ready: make(chan struct{}), stopped: make(chan struct{}), tokens: map[string]int64{},
	}
	s.hold(loaded{graph: graph.New()})
	return s
}

// keep makes what a transaction has written the copy, and gives the revision. The caller holds the gate, so that the copy is what the transaction has seen.
func (s *Store) keep(tx *Tx) (revision int64) {
	revision = tx.rev + 1
	changes := make([]graph.Change, 0, len(tx.order))
	for _, uuid := range tx.order {
		w := tx.writes[uuid]
		switch {
		case w.new != nil:
			w.new.Base().Revision = revision
			changes = append(changes, graph.Change{UUID: uuid, Object: w.new})
		case w.old != nil:
			changes = append(changes, graph.Change{UUID: uuid})
		}
	}
	s.apply(revision, changes, "")
	return revision
}
