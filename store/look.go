package store

import (
	"iter"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Now is the time of the transaction, which its objects get as created_at and updated_at.
func (tx *Tx) Now() time.Time { return tx.now }

// Base gives the copy of the store without the transaction's own writes. The commit notices nothing of what is read there: for what may
// be older than the transaction, or is made sure of by other means. It may not be changed, nor kept.
func (tx *Tx) Base() *graph.Graph { return tx.base }

// Changes gives what the transaction has written so far in the order of the first writes: the object before, nil of one that was
// created, and now, nil of one that was deleted. The transaction may not write during the iteration.
func (tx *Tx) Changes() iter.Seq2[model.Object, model.Object] {
	return func(yield func(old, new model.Object) bool) {
		for _, uuid := range tx.order {
			if w := tx.writes[uuid]; (w.old != nil || w.new != nil) && !yield(w.old, w.new) {
				return
			}
		}
	}
}

// Glance is Referrers, but the commit does not notice another object that comes to refer to uuid meanwhile: for what many transactions
// come to refer to at once, where one that has just come need not count.
func (tx *Tx) Glance(uuid, ref string) iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		for o := range tx.base.Referrers(uuid, ref) {
			if _, ok := tx.writes[o.Base().UUID]; ok {
				continue
			}
			tx.guards.object(o.Base().UUID, o)
			if !yield(o) {
				return
			}
		}
		for o := range tx.over.Referrers(uuid, ref) {
			if !yield(o) {
				return
			}
		}
	}
}
