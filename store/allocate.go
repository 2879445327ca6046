package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
)

// idBlock is how many numbers of a resource are reserved at once. What is left of a block when the process ends is lost.
const idBlock = 256

// ids are numbers that one Update has taken, kept from one attempt to the next.
type ids map[*model.Resource][]uint32

// counters hand out the numbers of objects from blocks that were reserved in etcd.
type counters struct {
	mu sync.Mutex
	of map[*model.Resource]*counter
}

type counter struct {
	mu        sync.Mutex // held while a block is reserved
	next, end uint32
}

func (c *counters) counter(r *model.Resource) *counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[*model.Resource]*counter{}
	}
	if c.of[r] == nil {
		c.of[r] = &counter{}
	}
	return c.of[r]
}

// number gives the created objects their numbers.
func (tx *Tx) number(ctx context.Context, ids ids) error {
	need := map[*model.Resource]int{}
	created := func(yield func(*model.Resource, model.Object)) {
		for _, uuid := range tx.order {
			if o := tx.writes[uuid].new; o != nil && o.Base().ID >= freshID {
				yield(model.Of(o), o)
			}
		}
	}
	created(func(r *model.Resource, _ model.Object) { need[r]++ })
	for r, n := range need {
		if missing := n - len(ids[r]); missing > 0 {
			more, err := tx.s.takeIDs(ctx, r, missing)
			if err != nil {
				return err
			}
			ids[r] = append(ids[r], more...)
		}
	}
	used := map[*model.Resource]int{}
	created(func(r *model.Resource, o model.Object) {
		o.Base().ID = ids[r][used[r]]
		used[r]++
	})
	return nil
}

func (s *Store) takeIDs(ctx context.Context, r *model.Resource, n int) ([]uint32, error) {
	c := s.counters.counter(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := make([]uint32, 0, n)
	for len(taken) < n {
		if c.next == c.end {
			first, err := s.reserveIDs(ctx, r, max(idBlock, n-len(taken)))
			if err != nil {
				return nil, err
			}
			c.next, c.end = first, first+uint32(max(idBlock, n-len(taken)))
		}
		taken = append(taken, c.next)
		c.next++
	}
	return taken, nil
}

// reserveIDs takes n numbers of the resource for this process, for good.
func (s *Store) reserveIDs(ctx context.Context, r *model.Resource, n int) (first uint32, err error) {
	if s.kv == nil {
		return max(1, s.counters.counter(r).end), nil
	}
	key := s.keys.next(r)
	wait := backoff{}
	ctx, cancel := context.WithTimeout(ctx, outageLimit)
	defer cancel()
	for {
		var resp *clientv3.GetResponse
		if resp, err = s.kv.Get(ctx, key); err == nil {
			next, at := uint64(1), int64(0)
			if len(resp.Kvs) == 1 {
				at = resp.Kvs[0].ModRevision
				if next, err = strconv.ParseUint(string(resp.Kvs[0].Value), 10, 31); err != nil {
					return 0, fmt.Errorf("the counter of %s: %w", r.Plural, err)
				}
			}
			if next+uint64(n) >= freshID {
				return 0, model.Errorf(model.Exhausted, "", "all numbers of %s have been used", r.Plural)
			}
			var put *clientv3.TxnResponse
			put, err = s.kv.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", at)).
				Then(clientv3.OpPut(key, strconv.FormatUint(next+uint64(n), 10))).Commit()
			if err == nil && put.Succeeded {
				return uint32(next), nil
			}
			if err == nil {
				continue // another manager was first
			}
		}
		if !wait.sleep(ctx) {
			return 0, fmt.Errorf("reserve numbers of %s: %w", r.Plural, err)
		}
	}
}

// pools remember, by resource and field, where the search for a free value goes on, and which values are held by transactions
// under way.
type pools struct {
	mu sync.Mutex
	of map[string]*pool
}

type pool struct {
	next uint32
	held map[uint32]struct{}
}

type hold struct {
	pool  *pool
	value uint32
}

// Allocate finds a value from lo to hi that no object of the resource has in the field, which must be unique by itself; in a shared group, no
// object of any. It goes round
// the range, so that a value that was just freed rests. Transactions of one process that run at the same time get
// different values; those of several processes conflict and run again. The error is a *model.Error of class Exhausted
// when all are in use.
func (tx *Tx) Allocate(r *model.Resource, field string, lo, hi uint32) (uint32, error) {
	group, name := "", r.Plural+"."+field
	for _, u := range r.Uniques {
		if len(u.Fields) == 1 && u.Fields[0].Name == field {
			if group = u.Name; u.Shared {
				name = "@" + u.Name
			}
		}
	}
	if group == "" || lo > hi {
		return 0, fmt.Errorf("allocate: %s.%s is not unique by itself, or %d to %d is no range", r.Plural, field, lo, hi)
	}
	ps := &tx.s.pools
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.pool(tx, name, r, field, lo)
	busy := false
	if p.next < lo || p.next > hi {
		p.next = lo
	}
	for v, n := p.next, uint64(0); n <= uint64(hi-lo); n++ {
		free := v
		if v++; v > hi || v < lo {
			v = lo
		}
		if _, ok := p.held[free]; ok {
			busy = true
			continue
		}
		text := strconv.FormatUint(uint64(free), 10)
		if _, ok := tx.over.ByUnique(r, group, text); ok {
			continue
		}
		if _, ok := tx.base.ByUnique(r, group, text); ok {
			continue
		}
		p.next = v
		p.held[free] = struct{}{}
		tx.held = append(tx.held, hold{p, free})
		return free, nil
	}
	if busy && !tx.holdsAll(p) {
		return 0, errBusy
	}
	return 0, model.Errorf(model.Exhausted, field, "all of %d to %d are in use", lo, hi)
}

// pool gives the pool of a field; at its first use the search goes on behind the highest value in use.
func (ps *pools) pool(tx *Tx, name string, r *model.Resource, field string, lo uint32) *pool {
	if p := ps.of[name]; p != nil {
		return p
	}
	if ps.of == nil {
		ps.of = map[string]*pool{}
	}
	p := &pool{next: lo, held: map[uint32]struct{}{}}
	f := r.Field(field)
	for _, o := range tx.base.List(r) {
		if v, err := strconv.ParseUint(f.Text(o), 10, 32); err == nil && v >= uint64(p.next) {
			p.next = uint32(v) + 1
		}
	}
	ps.of[name] = p
	return p
}

// holdsAll reports whether every value of the pool that is held is held by tx itself.
func (tx *Tx) holdsAll(p *pool) bool {
	own := 0
	for _, h := range tx.held {
		if h.pool == p {
			own++
		}
	}
	return own == len(p.held)
}

// release ends the transaction's hold on values; those that it has committed are in the copy by then.
func (tx *Tx) release() {
	ps := &tx.s.pools
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, h := range tx.held {
		delete(h.pool.held, h.value)
	}
	tx.held = nil
}
