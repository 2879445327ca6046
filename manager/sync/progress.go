package sync

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// progress is how far a host has come with what it was sent. The hub's lock guards it.
type progress struct {
	snapshot int64     // revision of the bookmark
	since    time.Time // of the bookmark
	last     int64     // newest revision that is queued or sent
	sent     int64     // newest revision that is sent, so that an acknowledgement of it can be true
	acked    int64

	touched  revisions         // that changed the share after the snapshot, and are not acknowledged
	unacked  map[string]int64  // objects of the share, by the revision that is to be acknowledged
	problems map[string]string // of the last acknowledgement
	waiters  waiters
}

// add notes a change of the share.
func (p *progress) add(revision int64, now time.Time, d *span.Delta) {
	p.last = revision
	p.touched.add(revision, now)
	for _, o := range d.Upserts {
		p.unacked[o.Base().UUID] = revision
	}
	for _, uuid := range d.Deletes {
		delete(p.unacked, uuid)
	}
}

// ack takes an acknowledgement; an error is a breach of the protocol.
func (p *progress) ack(a *wire.Ack) error {
	if a.Revision < p.snapshot || a.Revision > p.sent {
		return fmt.Errorf("the agent acknowledges revision %d; it has been sent %d to %d", a.Revision, p.snapshot, p.sent)
	}
	p.acked = max(p.acked, a.Revision)
	p.touched.drop(p.acked)
	maps.DeleteFunc(p.unacked, func(_ string, need int64) bool { return need <= p.acked })
	p.problems = make(map[string]string, len(a.Problems))
	for _, pr := range a.Problems {
		p.problems[pr.UUID] = clip(pr.Reason)
	}
	p.waiters.reached(p.acked)
	return nil
}

// release lets all who wait go: the host is not connected any more.
func (p *progress) release() { p.waiters.release() }

// pending gives the revision that is to be acknowledged for an object of the share, 0 for none.
func (p *progress) pending(uuid string) int64 {
	need := p.unacked[uuid]
	if p.acked < p.snapshot {
		need = max(need, p.snapshot)
	}
	return need
}

func (p *progress) pendingCount(v *span.View) int {
	if p.acked < p.snapshot {
		return v.Len()
	}
	return len(p.unacked)
}

// needs gives the revision that the host has to acknowledge before it has what the revision changed, and the newest
// change of the objects; 0 if it has.
func (p *progress) needs(v *span.View, revision int64, uuids []string) int64 {
	var need int64
	if p.touched.has(revision) {
		need = revision
	}
	for _, uuid := range uuids {
		if v.Has(uuid) {
			need = max(need, p.pending(uuid))
		}
	}
	return need
}

// maxTouched bounds the revisions that are remembered one by one.
const maxTouched = 4096

// revisions is an ascending list of revisions. The oldest of too many are taken for all revisions up to them.
type revisions struct {
	floor time.Time // of the oldest below; zero for none
	below int64     // every revision up to here counts as a member
	list  []touch
}

type touch struct {
	revision int64
	at       time.Time
}

func (r *revisions) add(revision int64, at time.Time) {
	if len(r.list) == maxTouched {
		if r.below == 0 {
			r.floor = r.list[0].at
		}
		r.below = r.list[maxTouched/2].revision
		r.list = slices.Delete(r.list, 0, maxTouched/2+1)
	}
	r.list = append(r.list, touch{revision, at})
}

func (r *revisions) after(revision int64) int {
	return sort.Search(len(r.list), func(i int) bool { return r.list[i].revision > revision })
}

func (r *revisions) has(revision int64) bool {
	i := r.after(revision)
	return revision <= r.below || i > 0 && r.list[i-1].revision == revision
}

func (r *revisions) drop(upTo int64) {
	r.list = slices.Delete(r.list, 0, r.after(upTo))
	if r.below <= upTo {
		r.below, r.floor = 0, time.Time{}
	}
}

func (r *revisions) oldest() (time.Time, bool) {
	switch {
	case r.below > 0:
		return r.floor, true
	case len(r.list) > 0:
		return r.list[0].at, true
	}
	return time.Time{}, false
}

// maxReason bounds a problem's reason, in bytes.
const maxReason = 1000

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return s[:maxReason] + "..."
}
