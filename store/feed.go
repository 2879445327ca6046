package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model/graph"
)

// Run feeds the copy from etcd's watch and compacts etcd's history now and then. It returns nil when ctx is done, and an error
// when the store cannot go on: the embedded etcd has failed, or holds what this version cannot read. A cluster elsewhere
// that does not answer is waited for.
func (s *Store) Run(ctx context.Context) error {
	defer s.stop()
	if s.kv == nil {
		close(s.ready)
		<-ctx.Done()
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.feed(ctx) })
	g.Go(func() error { return s.compact(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.failed():
			return errors.New("the embedded etcd has stopped")
		}
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// errUnreadable marks what no retry mends.
var errUnreadable = errors.New("cannot read what the store holds")

func (s *Store) feed(ctx context.Context) error {
	wait := backoff{}
	for ctx.Err() == nil {
		from := s.watchFrom // feed alone writes it once Run runs
		err := s.watch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errUnreadable):
			return err
		case errors.Is(err, rpctypes.ErrCompacted):
			s.log.Warn("the copy is behind the compaction; loading it anew", "revision", s.revision)
			err = s.reload(ctx)
			if err == nil {
				continue
			}
		}
		if s.watchFrom > from {
			wait = backoff{}
		}
		s.log.Warn("etcd's watch has ended; trying again", "error", err)
		wait.sleep(ctx)
	}
	return nil
}

// watch feeds the copy until the watch ends.
func (s *Store) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	// Created is announced, so that Ready is not closed before.
	events := s.client.Watch(ctx, s.keys.objects(), clientv3.WithRange(s.keys.fedEnd()), clientv3.WithRev(s.watchFrom), clientv3.WithCreatedNotify())
	for resp := range events {
		if err := resp.Err(); err != nil {
			return err
		}
		if resp.Created {
			select {
			case <-s.ready:
			default:
				close(s.ready)
			}
		}
		if err := s.feedEvents(resp.Events); err != nil {
			return err
		}
	}
	return errWatchClosed
}

var errWatchClosed = errors.New("the watch's channel was closed")

// catchUp feeds the copy until it is at a revision.
func (s *Store) catchUp(ctx context.Context, to int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for resp := range s.client.Watch(ctx, s.keys.objects(), clientv3.WithRange(s.keys.fedEnd()), clientv3.WithRev(s.watchFrom)) {
		if err := errors.Join(resp.Err(), s.feedEvents(resp.Events)); err != nil {
			return err
		}
		if s.revision >= to {
			return nil
		}
	}
	return errWatchClosed
}

func (s *Store) feedEvents(events []*clientv3.Event) error {
	for len(events) > 0 {
		rev := events[0].Kv.ModRevision
		n := 1
		for n < len(events) && events[n].Kv.ModRevision == rev {
			n++
		}
		if err := s.feedRevision(rev, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// feedRevision brings the copy to a revision.
func (s *Store) feedRevision(rev int64, events []*clientv3.Event) error {
	changes := make([]graph.Change, 0, len(events))
	token := ""
	for _, e := range events {
		uuid, ok := s.keys.uuidOf(e.Kv.Key)
		switch {
		case ok && e.Type == mvccpb.DELETE:
			changes = append(changes, graph.Change{UUID: uuid})
		case ok:
			o, err := s.decode(e.Kv)
			if err != nil {
				return fmt.Errorf("%w: %w", errUnreadable, err)
			}
			changes = append(changes, graph.Change{UUID: uuid, Object: o})
		case string(e.Kv.Key) == s.keys.head():
			token = string(e.Kv.Value)
		}
	}
	s.apply(rev, changes, token)
	s.watchFrom = rev + 1
	return nil
}

// reload replaces the copy by what etcd holds now, and tells of the difference as one batch.
func (s *Store) reload(ctx context.Context) error {
	l, err := s.load(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for t, rev := range s.tokens {
		if rev == 0 {
			s.tokens[t] = outcomeLost
		}
	}
	changes := difference(s.x.Graph(), l.graph)
	s.mu.Unlock() // feed alone changes the copy
	s.apply(l.revision, changes, "")
	s.watchFrom = l.watchFrom
	return nil
}

// apply brings the copy to a revision, tells the observers, and wakes who waits for it.
func (s *Store) apply(rev int64, changes []graph.Change, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.x.Apply(changes)
	if rev < s.revision {
		rev = s.revision
	}
	s.revision = rev
	s.history.add(Batch{Revision: rev, Changes: e.Changed})
	if at, ok := s.tokens[token]; ok && at == 0 {
		s.tokens[token] = rev
	}
	for _, o := range s.observers {
		o(rev, s.x, e)
	}
	s.waiters = slices.DeleteFunc(s.waiters, func(w waiter) bool {
		if w.revision > rev {
			return false
		}
		close(w.reached)
		return true
	})
}

// compact drops etcd's history beyond KeepRevisions every CompactEvery. Several stores on one cluster may do it at once.
func (s *Store) compact(ctx context.Context) error {
	tick := time.NewTicker(s.opts.CompactEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s.mu.RLock()
		to := s.revision - s.opts.KeepRevisions
		s.mu.RUnlock()
		if to <= 0 {
			continue
		}
		if _, err := s.kv.Compact(ctx, to); err != nil && !errors.Is(err, rpctypes.ErrCompacted) && ctx.Err() == nil {
			s.log.Warn("compaction failed; trying again later", "revision", to, "error", err)
		}
	}
}
