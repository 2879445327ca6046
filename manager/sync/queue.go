package sync

import (
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// maxDeletes bounds the removals that wait for a slow agent. Upserts need no bound: there is one per object at most, of the
// host's share.
const maxDeletes = 10_000

// queue is what a stream has still to send: of each object the newest state only. The hub's lock guards it.
type queue struct {
	changes  map[string]model.Object // nil is a removal
	order    []string                // of changes, by their first entry
	deletes  int
	revision int64 // of the newest change
}

func (q *queue) put(revision int64, d *span.Delta) {
	if q.changes == nil {
		q.changes = map[string]model.Object{}
	}
	for _, o := range d.Upserts {
		q.set(o.Base().UUID, o)
	}
	for _, uuid := range d.Deletes {
		q.set(uuid, nil)
	}
	q.revision = revision
}

func (q *queue) set(uuid string, o model.Object) {
	old, ok := q.changes[uuid]
	if !ok {
		q.order = append(q.order, uuid)
	}
	if ok && old == nil {
		q.deletes--
	}
	if o == nil {
		q.deletes++
	}
	q.changes[uuid] = o
}

func (q *queue) len() int { return len(q.order) }

// take empties the queue.
func (q *queue) take() (upserts []model.Object, deletes []string, revision int64) {
	for _, uuid := range q.order {
		if o := q.changes[uuid]; o != nil {
			upserts = append(upserts, o)
		} else {
			deletes = append(deletes, uuid)
		}
	}
	revision = q.revision
	*q = queue{}
	return upserts, deletes, revision
}
