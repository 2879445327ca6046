package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// A watcher that applies its batches has what the store has.
func TestWatch(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	from := create(t, s, network("nw-a", 1))
	mine := graph.New()
	s.View(func(x *span.Index, _ int64) {
		for o := range x.Graph().All() {
			mine.Put(o)
		}
	})
	last := from
	for n := range 20 {
		last = create(t, s, vif(fmt.Sprintf("if-%d", n)), macLease(fmt.Sprintf("ml-%d", n), fmt.Sprintf("if-%d", n), uint32(n)))
		if n%3 == 0 {
			last = update(t, s, func(tx *Tx) error { _, err := tx.Delete(fmt.Sprintf("if-%d", n)); return err })
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	before := from
	for b, err := range s.Watch(ctx, from) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Revision <= before {
			t.Fatalf("revision %d comes after %d", b.Revision, before)
		}
		before = b.Revision
		for _, c := range b.Changes {
			var old model.Object
			if c.New != nil {
				old = mine.Put(c.New)
			} else {
				old = mine.Delete(c.Old.Base().UUID)
			}
			if (old == nil) != (c.Old == nil) || old != nil && !model.Equal(old, c.Old) {
				t.Errorf("revision %d says that %+v was there, and it was %+v", b.Revision, c.Old, old)
			}
		}
		if b.Revision == last {
			cancel() // ends the sequence
		}
	}
	s.View(func(x *span.Index, _ int64) {
		if d := cmp.Diff(contents(t, x.Graph()), contents(t, mine)); d != "" {
			t.Errorf("-store +watcher:\n%s", d)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	s, end := run(t, Options{Dir: t.TempDir(), History: 10})
	from := create(t, s, network("nw-a", 1))
	slow := 0
	for b, err := range s.Watch(t.Context(), from-1) {
		if err != nil {
			if !errors.Is(err, ErrCompacted) {
				t.Errorf("a slow watcher is cut with %v", err)
			}
			break
		}
		slow++
		for n := range 20 {
			create(t, s, vif(fmt.Sprintf("if-%dx%d", b.Revision, n)))
		}
	}
	if slow == 0 {
		t.Error("the watcher got nothing before it was cut")
	}
	for _, err := range s.Watch(t.Context(), from) {
		if !errors.Is(err, ErrCompacted) {
			t.Errorf("a watcher from too old a revision gets %v", err)
		}
		break
	}
	var now int64
	s.View(func(_ *span.Index, rev int64) { now = rev })
	got := make(chan error, 1)
	go func() {
		for _, err := range s.Watch(t.Context(), now) {
			got <- err
			return
		}
	}()
	end()
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("after the end of the store a watcher gets %v", err)
	}
	if _, err := s.Update(t.Context(), creating(vif("if-z"))); !errors.Is(err, ErrClosed) {
		t.Errorf("an update after the end gives %v", err)
	}
}

// Observers are told of every revision once, in order, with the copy as of it.
func TestObserve(t *testing.T) {
	var seen []int64
	count := 0
	s, _ := run(t, Options{Dir: t.TempDir()}, func(s *Store) {
		s.Observe(func(rev int64, x *span.Index, e *span.Effects) {
			seen = append(seen, rev)
			for _, c := range e.Changed {
				if c.Old == nil {
					count++
				}
			}
			if x.Graph().Len() != count {
				t.Errorf("revision %d: %d objects, %d were told of", rev, x.Graph().Len(), count)
			}
		})
	})
	var want []int64
	for n := range 10 {
		want = append(want, create(t, s, network(fmt.Sprintf("nw-%d", n), uint32(n+1))))
	}
	s.View(func(*span.Index, int64) {
		if d := cmp.Diff(want, seen); d != "" {
			t.Errorf("-revisions +told:\n%s", d)
		}
	})
}

// A copy that was cut off until after a compaction is loaded anew, and says what has changed as one batch.
func TestCopyBehindCompaction(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	a, _ := run(t, Options{Dir: dir, socket: socket})
	create(t, a, network("nw-gone", 1), network("nw-kept", 2), network("nw-changed", 3))

	b, err := Open(t.Context(), Options{Endpoints: []string{"unix://" + socket}, Logger: a.log})
	if err != nil {
		t.Fatal(err)
	}
	batches := map[string]string{}
	b.Observe(func(_ int64, _ *span.Index, e *span.Effects) {
		for _, c := range e.Changed {
			switch {
			case c.New == nil:
				batches[c.Old.Base().UUID] = "deleted"
			case c.Old == nil:
				batches[c.New.Base().UUID] = "created"
			default:
				batches[c.New.Base().UUID] = "changed"
			}
		}
	})
	// b does not run yet: it is behind.
	last := update(t, a, func(tx *Tx) error {
		_, err := tx.Delete("nw-gone")
		o, _ := tx.Get("nw-changed")
		n := model.Clone(o.(*model.Network))
		n.DisplayName = "x"
		return errors.Join(err, tx.Update(n), tx.Create(network("nw-new", 4)))
	})
	if _, err := a.kv.Compact(t.Context(), last, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	reach(t, b, last)
	want := map[string]string{"nw-gone": "deleted", "nw-changed": "changed", "nw-new": "created"}
	b.View(func(*span.Index, int64) {
		if d := cmp.Diff(want, batches); d != "" {
			t.Errorf("-want +told:\n%s", d)
		}
	})
	// And it goes on from there.
	reach(t, b, create(t, a, network("nw-later", 5)))
	consistent(t, a, b)
	cancel()
	if err := errors.Join(<-done, b.Close()); err != nil {
		t.Error(err)
	}
}

// The store compacts what is behind KeepRevisions, and its own copy and others go on.
func TestCompaction(t *testing.T) {
	a, _ := run(t, Options{Dir: t.TempDir(), KeepRevisions: 10, CompactEvery: 1e6})
	for n := range 30 {
		create(t, a, vif(fmt.Sprintf("if-%d", n)))
	}
	for compacted := false; !compacted; {
		_, err := a.kv.Get(t.Context(), a.keys.head(), clientv3.WithRev(5))
		compacted = err != nil
		if t.Context().Err() != nil {
			t.Fatal("never compacted")
		}
	}
	create(t, a, vif("if-last"))
	consistent(t, a)
}
