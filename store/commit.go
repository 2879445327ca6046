package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

const (
	// maxAttempts bounds the runs of one Update.
	maxAttempts = 50
	// patience is how many conflicts a transaction takes before it holds off the others of this process.
	patience = 3
	// outageLimit bounds the wait for an etcd that does not answer.
	outageLimit = 30 * time.Second
	// outcomeLost stands for the revision of a commit whose token the copy can no longer meet.
	outcomeLost = -1
)

// Update runs f as one transaction: f reads and writes through tx alone, and all its writes are committed together, or none.
// Another transaction of this or another manager that gets in the way makes f run again, a bounded number of times, so f
// must have no other effect. At the end every written object is checked against the state with all writes, so their
// order does not matter.
//
// Update returns when the copy has reached the revision: what the caller has written, it reads. If f wrote nothing, nothing
// is committed and the revision is the copy's. An error of f is returned as it is; of the checks, as an *ObjectError.
func (s *Store) Update(ctx context.Context, f func(tx *Tx) error) (revision int64, err error) {
	ids := ids{}
	for n := range maxAttempts {
		if s.isStopped() {
			return 0, ErrClosed
		}
		rev, again, err := s.attempt(ctx, f, ids, n >= patience)
		if !again {
			return rev, err
		}
		s.log.Debug("transaction runs again", "attempt", n+1)
	}
	return 0, model.Errorf(model.Conflict, "", "other changes got in the way %d times; try again", maxAttempts)
}

// Plan does what Update does, but commits nothing.
func (s *Store) Plan(ctx context.Context, f func(tx *Tx) error) (revision int64, err error) {
	for range maxAttempts {
		tx, err := s.run(f)
		tx.release()
		if errors.Is(err, errBusy) && s.pause(ctx) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, w := range tx.writes {
			if w.new != nil && w.new.Base().ID >= freshID {
				w.new.Base().ID = 0
			}
		}
		return tx.rev, nil
	}
	return 0, model.Errorf(model.Conflict, "", "other changes got in the way %d times; try again", maxAttempts)
}

// run calls f and checks what it has written.
func (s *Store) run(f func(tx *Tx) error) (*Tx, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tx := &Tx{
		s: s, base: s.x.Graph(), rev: s.revision, now: s.opts.Now().UTC().Truncate(time.Microsecond),
		writes: map[string]*write{}, over: graph.New(), guards: newGuards(),
	}
	if err := f(tx); err != nil {
		return tx, err
	}
	return tx, tx.check()
}

func (s *Store) attempt(ctx context.Context, f func(tx *Tx) error, ids ids, alone bool) (rev int64, again bool, err error) {
	if alone || s.kv == nil {
		s.gate.Lock()
		defer s.gate.Unlock()
	} else {
		s.gate.RLock()
		defer s.gate.RUnlock()
	}
	tx, err := s.run(f)
	defer tx.release()
	switch {
	case errors.Is(err, errBusy):
		return 0, s.pause(ctx), ctx.Err()
	case err != nil:
		return 0, false, err
	case !tx.Written():
		return tx.rev, false, nil
	}
	if err := tx.number(ctx, ids); err != nil {
		return 0, false, err
	}
	if s.kv == nil {
		return s.keep(tx), false, nil
	}
	token := rand.Text()
	ifs, ops, err := tx.request(token)
	if err != nil {
		return 0, false, err
	}
	s.expect(token)
	defer s.forget(token)
	resp, err := s.kv.Txn(ctx).If(ifs...).Then(ops...).Else(s.readClock()...).Commit()
	if err != nil {
		rev, err = s.settle(ctx, token, err)
		if rev == 0 {
			return 0, err == nil, err
		}
	} else if !resp.Succeeded {
		err := s.await(ctx, clock(resp))
		return 0, err == nil, err
	} else {
		rev = resp.Header.Revision
	}
	if err := s.await(ctx, rev); err != nil {
		return rev, false, fmt.Errorf("committed at revision %d, but not yet seen: %w", rev, err)
	}
	for _, w := range tx.writes {
		if w.new != nil {
			w.new.Base().Revision = rev
		}
	}
	return rev, false, nil
}

// pause waits a moment for other transactions.
func (s *Store) pause(ctx context.Context) bool {
	b := backoff{}
	return b.sleep(ctx)
}

func (s *Store) expect(token string) {
	s.mu.Lock()
	s.tokens[token] = 0
	s.mu.Unlock()
}

func (s *Store) forget(token string) {
	s.mu.Lock()
	delete(s.tokens, token)
	s.mu.Unlock()
}

// settle finds out what became of a commit that failed without an answer. It gives the revision of the commit; 0 and no error when it did
// not happen, and never will; or 0 and an error.
func (s *Store) settle(ctx context.Context, token string, cause error) (int64, error) {
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("commit: %w (it may have happened)", ctx.Err())
	case errors.Is(cause, rpctypes.ErrTooManyOps), errors.Is(cause, rpctypes.ErrRequestTooLarge):
		return 0, tooLarge("the etcd cluster takes no more (its --max-txn-ops and --max-request-bytes): %v", cause)
	case errors.Is(cause, rpctypes.ErrNoSpace), errors.Is(cause, rpctypes.ErrPermissionDenied), errors.Is(cause, rpctypes.ErrUserEmpty),
		errors.Is(cause, rpctypes.ErrDuplicateKey), errors.Is(cause, rpctypes.ErrInvalidAuthToken):
		return 0, fmt.Errorf("commit: %w", cause)
	}
	s.log.Warn("a commit has failed without an answer; finding out what became of it", "error", cause)
	ctx, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	wait := backoff{}
	for {
		resp, err := s.kv.Put(ctx, s.keys.fence(), token)
		if err == nil {
			err = s.await(ctx, resp.Header.Revision)
		}
		switch {
		case err == nil:
			s.mu.RLock()
			rev := s.tokens[token]
			s.mu.RUnlock()
			if rev == outcomeLost {
				return 0, fmt.Errorf("commit: %w (it may have happened)", cause)
			}
			return rev, nil
		case s.isStopped(), !wait.sleep(ctx):
			return 0, fmt.Errorf("commit: %w (it may have happened)", cause)
		}
	}
}

// maxNames is how many values and references a transaction takes one by one; one that takes more writes the fence instead, so
// that no transaction that began earlier commits after it.
const maxNames = 2000

// request gives the transaction as etcd's comparisons and operations. It does not look at the base, which may have moved on.
func (tx *Tx) request(token string) ([]clientv3.Cmp, []clientv3.Op, error) {
	l := tx.s.keys
	ops := []clientv3.Op{clientv3.OpPut(l.head(), token)}
	bytes := 0
	put := func(key, value string) {
		ops = append(ops, clientv3.OpPut(key, value))
		bytes += len(key) + len(value)
	}
	taken := map[string]struct{}{}
	for _, uuid := range tx.order {
		w := tx.writes[uuid]
		switch {
		case w.new != nil:
			b, err := model.Encode(w.new)
			if err != nil {
				return nil, nil, fmt.Errorf("encode %s: %w", uuid, err)
			}
			put(l.object(uuid), string(b))
			takes(w, taken)
		case w.old != nil:
			ops = append(ops, clientv3.OpDelete(l.object(uuid)))
			bytes += len(l.object(uuid))
		}
	}
	if len(taken) > maxNames {
		put(l.fence(), token)
	} else {
		guards := make(map[string]struct{}, len(taken)) // two names may have one
		for name := range taken {
			guards[l.guard(name)] = struct{}{}
		}
		for key := range guards {
			put(key, "")
		}
	}
	switch {
	case len(ops) > tx.s.maxOps:
		return nil, nil, tooLarge("it writes %d keys; the limit is %d", len(ops), tx.s.maxOps)
	case bytes > MaxBytes*3/4:
		return nil, nil, tooLarge("it writes %d bytes; the limit is %d", bytes, MaxBytes*3/4)
	}
	return tx.guards.compares(l, tx.rev), ops, nil
}

// takes adds the names of the unique values, the values of indexes and the references that a written object has and did not have before.
func takes(w *write, names map[string]struct{}) {
	r := model.Of(w.new)
	take := func(groups []*model.Unique, name func(*model.Resource, *model.Unique, string) string) {
		for _, u := range groups {
			k, ok := u.Key(w.new)
			if !ok {
				continue
			}
			if w.old != nil {
				if was, ok := u.Key(w.old); ok && was == k {
					continue
				}
			}
			names[name(r, u, k)] = struct{}{}
		}
	}
	take(r.Uniques, valueName)
	take(r.Indexes, indexName)
	for _, ref := range r.Refs {
		if w.old != nil && ref.Field.Text(w.old) == ref.Field.Text(w.new) {
			continue
		}
		for target := range ref.Targets(w.new) {
			names[referenceName(target)] = struct{}{}
		}
	}
}

func tooLarge(format string, args ...any) *model.Error {
	return model.Errorf(model.ArgumentError, "", "the change is too large for one transaction: "+format, args...)
}
