// Package store keeps the domain's objects in etcd, embedded in the process by default: revisioned and typed by package model.
// A complete copy in memory, fed by a watch, answers every read and has all indexes; a transaction runs on that copy, and etcd
// commits it only if nothing that it looked at has changed meanwhile.
//
// It keeps resources and decides nothing: what may be created and what follows from it is said by model's declarations and
// by manager/app. Imported by manager and cmd.
package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model/span"
)

// Options of Open.
type Options struct {
	Dir       string       // required unless Endpoints: directory of the embedded etcd, made when absent; one process at a time
	Endpoints []string     // optional: an etcd cluster elsewhere instead (run it with --max-txn-ops and --max-request-bytes as MaxOps and MaxBytes)
	TLS       *tls.Config  // optional, with Endpoints
	Prefix    string       // optional: what all keys begin with; "/openvnet/"
	Logger    *slog.Logger // required

	KeepRevisions int64         // optional: how many revisions etcd's compaction leaves; 10,000
	CompactEvery  time.Duration // optional: a minute
	History       int           // optional: how many changes of objects Watch can look back; 100,000

	Now func() time.Time // optional: clock of created_at and updated_at

	socket string // tests: unix socket on which the embedded etcd serves clients
}

const (
	// MaxOps bounds a transaction: keys written, and keys looked at. An object takes one, and in a small transaction one for
	// each of its references and unique values.
	MaxOps = 250_000
	// MaxBytes bounds the encoded transaction.
	MaxBytes = 64 << 20
)

var (
	// ErrClosed is given by calls after Close, or after Run has returned.
	ErrClosed = errors.New("the store is closed")
	// ErrCompacted is given to a watcher that is further behind than the store looks back, because it asks for too old a
	// revision or takes batches too slowly. It starts again from a View.
	ErrCompacted = errors.New("the watcher is behind what the store remembers")
)

// Observer is told of every revision of the store, in order, with the copy as of that revision and what the revision moved
// (which may be nothing). It is called with the lock of View held for writing: it must be quick and may not call the store.
type Observer func(revision int64, x *span.Index, e *span.Effects)

// Store is an open store. All methods may be called concurrently.
type Store struct {
	opts     Options
	log      *slog.Logger
	keys     layout
	client   *clientv3.Client
	kv       clientv3.KV // nil of a store in memory
	embedded *embedded
	id       string
	maxOps   int // MaxOps; fewer in tests

	ready     chan struct{}
	stopped   chan struct{}
	stopOnce  sync.Once
	closeOnce sync.Once
	closeErr  error

	mu        sync.RWMutex // guards what follows
	observers []Observer
	x         *span.Index
	revision  int64 // that x is at
	watchFrom int64 // etcd revision from which the copy has to be fed
	waiters   []waiter
	tokens    map[string]int64 // of commits under way: the revision at which the copy met them
	history   history

	gate     sync.RWMutex // held for writing by a transaction that has met too many conflicts
	counters counters
	pools    pools
}

type waiter struct {
	revision int64
	reached  chan struct{}
}

// Open opens the store and loads the copy: reads work when it returns. Update needs Run to be running. A cluster elsewhere that does not
// answer is waited for until ctx is done.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Logger == nil || opts.Dir == "" && len(opts.Endpoints) == 0 {
		return nil, errors.New("open store: Logger, and Dir or Endpoints, are required")
	}
	if opts.Prefix == "" {
		opts.Prefix = defaultPrefix
	}
	if opts.KeepRevisions == 0 {
		opts.KeepRevisions = 10_000
	}
	if opts.CompactEvery == 0 {
		opts.CompactEvery = time.Minute
	}
	if opts.History == 0 {
		opts.History = 100_000
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{
		opts: opts, log: opts.Logger, keys: layout(opts.Prefix), maxOps: MaxOps,
		ready: make(chan struct{}), stopped: make(chan struct{}),
		tokens: map[string]int64{},
	}
	start := time.Now()
	early, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx, early); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.log.Info("store opened", "id", s.id, "revision", s.revision, "objects", s.x.Graph().Len(), "duration", time.Since(start))
	return s, nil
}

// open makes the copy, or brings the one that there is up to date.
func (s *Store) open(ctx context.Context, l *loaded) error {
	if err := s.identify(ctx); err != nil {
		return err
	}
	if l != nil {
		resp, err := s.kv.Txn(ctx).Then(s.readClock()...).Commit()
		if err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}
		s.hold(*l)
		if now := clock(resp); s.revision < now {
			if err := s.catchUp(ctx, now); err != nil {
				s.log.Debug("the file is too old; loading", "revision", s.revision, "now", now, "error", err)
				l = nil
			}
			s.history.reset(s.revision, s.opts.History)
		}
	}
	if l == nil {
		l, err := s.load(ctx)
		if err != nil {
			return err
		}
		s.hold(l)
	}
	return nil
}

// hold makes the copy what was loaded.
func (s *Store) hold(l loaded) {
	if l.index == nil {
		l.index = span.New(l.graph)
	}
	s.x, s.revision, s.watchFrom = l.index, l.revision, l.watchFrom
	s.history.reset(l.revision, s.opts.History)
}

// identify reads the store's identity, or writes it at the first start, and brings an older layout up to this version's.
func (s *Store) identify(ctx context.Context) error {
	current := strconv.Itoa(format)
	_, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(s.keys.identity()), "=", 0)).
		Then(clientv3.OpPut(s.keys.identity(), rand.Text()), clientv3.OpPut(s.keys.format(), current)).Commit()
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	for {
		resp, err := s.kv.Txn(ctx).Then(clientv3.OpGet(s.keys.identity()), clientv3.OpGet(s.keys.format())).Commit()
		if err != nil {
			return fmt.Errorf("read identity: %w", err)
		}
		var values [2]string
		for i, r := range resp.Responses {
			if kvs := r.GetResponseRange().Kvs; len(kvs) == 1 {
				values[i] = string(kvs[0].Value)
			}
		}
		if s.id = values[0]; values[1] == current {
			return nil
		}
		if err := s.upgrade(ctx, values[1]); err != nil {
			return err
		}
	}
}

// upgrade brings the layout from a format to the next one.
func (s *Store) upgrade(ctx context.Context, from string) error {
	var ops []clientv3.Op
	switch from {
	case "1": // it kept indexes
		ops = []clientv3.Op{
			clientv3.OpDelete(string(s.keys)+"u/", clientv3.WithPrefix()),
			clientv3.OpDelete(string(s.keys)+"r/", clientv3.WithPrefix()),
			clientv3.OpPut(s.keys.format(), "2"),
		}
	default:
		return fmt.Errorf("it has format %q; this version reads up to %d: was it written by a newer version?", from, format)
	}
	_, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.Value(s.keys.format()), "=", from)).Then(ops...).Commit()
	if err != nil {
		return fmt.Errorf("bring the layout up from format %s: %w", from, err)
	}
	s.log.Info("layout brought up", "from", from)
	return nil
}

// ID is the store's identity, drawn at its first start. Revisions of two stores do not compare.
func (s *Store) ID() string { return s.id }

// Ready is closed when Run feeds the copy, so that Update can succeed.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// View calls f with the copy and the revision that it is at. The copy may not be changed, and neither it nor the slices that it
// gives out may be kept; objects may, as they never change. f may not call the store.
func (s *Store) View(f func(x *span.Index, revision int64)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f(s.x, s.revision)
}

// Observe registers an observer, which is told of every revision from then on. What must miss none registers before Run.
func (s *Store) Observe(o Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observers = append(s.observers, o)
}

// Close ends the connection, or the embedded etcd. Run must have returned or its context have been cancelled.
func (s *Store) Close() error {
	s.stop()
	s.closeOnce.Do(func() {
		if s.kv == nil {
			return
		}
		s.closeErr = s.client.Close()
		if errors.Is(s.closeErr, context.Canceled) {
			s.closeErr = nil // what an in-process client says
		}
		if s.embedded != nil {
			s.closeErr = errors.Join(s.closeErr, s.embedded.close())
		}
	})
	return s.closeErr
}

func (s *Store) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

func (s *Store) stop() { s.stopOnce.Do(func() { close(s.stopped) }) }

// await returns when the copy has reached the revision.
func (s *Store) await(ctx context.Context, revision int64) error {
	s.mu.Lock()
	if s.revision >= revision {
		s.mu.Unlock()
		return nil
	}
	w := waiter{revision, make(chan struct{})}
	s.waiters = append(s.waiters, w)
	s.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-s.stopped:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
