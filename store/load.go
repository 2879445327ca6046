package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// pageSize is how many objects one read of load fetches. For each, etcd goes through all that are left, to count them.
const pageSize = 20_000

// loaded is what etcd held at one moment.
type loaded struct {
	graph     *graph.Graph
	index     *span.Index // over graph, or nil
	revision  int64       // of the last transaction, or fence
	watchFrom int64       // first etcd revision that is not in it
}

// load reads all objects, as of one revision of etcd, again if a compaction overtakes it.
func (s *Store) load(ctx context.Context) (loaded, error) {
	for {
		l, err := s.loadOnce(ctx)
		if errors.Is(err, rpctypes.ErrCompacted) {
			s.log.Info("compacted while loading; loading again")
			continue
		}
		return l, err
	}
}

func (s *Store) loadOnce(ctx context.Context) (loaded, error) {
	resp, err := s.kv.Txn(ctx).Then(s.readClock()...).Commit()
	if err != nil {
		return loaded{}, fmt.Errorf("load: %w", err)
	}
	at := resp.Header.Revision
	g, gctx := errgroup.WithContext(ctx)
	pages := make(chan []*mvccpb.KeyValue, 1)
	g.Go(func() error {
		defer close(pages)
		for from := s.keys.objects(); ; {
			p, err := s.kv.Get(gctx, from, clientv3.WithRange(s.keys.objectsEnd()), clientv3.WithRev(at), clientv3.WithLimit(pageSize))
			if err != nil {
				return err
			}
			if len(p.Kvs) > 0 {
				select {
				case pages <- p.Kvs:
				case <-gctx.Done():
					return gctx.Err()
				}
			}
			if !p.More {
				return nil
			}
			from = string(p.Kvs[len(p.Kvs)-1].Key) + "\x00"
		}
	})
	workers := runtime.GOMAXPROCS(0)
	decoded := make([][]model.Object, workers)
	for i := range workers {
		g.Go(func() error {
			for page := range pages {
				for _, kv := range page {
					o, err := s.decode(kv)
					if err != nil {
						return err
					}
					decoded[i] = append(decoded[i], o)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return loaded{}, fmt.Errorf("load: %w", err)
	}
	return loaded{graph: graph.Of(decoded...), revision: clock(resp), watchFrom: at + 1}, nil
}

// readClock are the operations whose results clock reads.
func (s *Store) readClock() []clientv3.Op {
	return []clientv3.Op{clientv3.OpGet(s.keys.head()), clientv3.OpGet(s.keys.fence())}
}

// clock gives the revision of the last transaction, or fence.
func clock(resp *clientv3.TxnResponse) int64 {
	var rev int64
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().Kvs {
			rev = max(rev, kv.ModRevision)
		}
	}
	return rev
}

func (s *Store) decode(kv *mvccpb.KeyValue) (model.Object, error) {
	uuid, _ := s.keys.uuidOf(kv.Key)
	return decode(uuid, kv.Value, kv.ModRevision)
}

func decode(uuid string, value []byte, revision int64) (model.Object, error) {
	r := model.ByUUID(uuid)
	if r == nil {
		return nil, fmt.Errorf("%s: no resource has such a uuid; was it written by a newer version?", uuid)
	}
	o, err := r.Decode(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", uuid, err)
	}
	if o.Base().UUID != uuid {
		return nil, fmt.Errorf("the object under %s says that it is %s", uuid, o.Base().UUID)
	}
	o.Base().Revision = revision
	return o, nil
}

// difference gives the changes that make of one set of objects the other.
func difference(from, to *graph.Graph) []graph.Change {
	var changes []graph.Change
	for o := range from.All() {
		if _, ok := to.Get(o.Base().UUID); !ok {
			changes = append(changes, graph.Change{UUID: o.Base().UUID})
		}
	}
	for o := range to.All() {
		if old, ok := from.Get(o.Base().UUID); !ok || old.Base().Revision != o.Base().Revision {
			changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o})
		}
	}
	return changes
}
