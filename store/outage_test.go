package store

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// line is the way to an etcd that can be cut, and the etcd restarted meanwhile.
type line struct {
	t      testing.TB
	socket string // of the etcd
	l      net.Listener
	s      *Store
	e      *embed.Etcd

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

func newLine(t testing.TB) (*line, string) {
	dir := t.TempDir()
	n := &line{t: t, socket: filepath.Join(dir, "etcd.s"), conns: map[net.Conn]struct{}{}}
	n.s = &Store{log: slog.New(slog.DiscardHandler), opts: Options{Dir: dir, socket: n.socket}}
	n.start()
	var err error
	if n.l, err = net.Listen("unix", filepath.Join(dir, "line.s")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := n.l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { n.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = n.l.Close()
		n.cut()
		wg.Wait()
		n.stop()
	})
	return n, "unix://" + n.l.Addr().String()
}

func (n *line) start() {
	e, err := n.s.start(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	n.e = e
}

func (n *line) stop() {
	n.e.Close()
}

func (n *line) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", n.socket)
	if err != nil {
		return
	}
	defer server.Close()
	n.mu.Lock()
	if n.down {
		n.mu.Unlock()
		return
	}
	n.conns[client], n.conns[server] = struct{}{}, struct{}{}
	n.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
	_, _ = io.Copy(client, server)
	_ = client.Close()
	wg.Wait()
}

// cut ends all connections, and those to come until mend.
func (n *line) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for c := range n.conns {
		_ = c.Close()
	}
	clear(n.conns)
}

func (n *line) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// While the connection is cut again and again, in the middle of commits, and etcd restarts, updates take longer, and none is lost or
// done twice.
func TestOutage(t *testing.T) {
	line, endpoint := newLine(t)
	s, _ := run(t, Options{Endpoints: []string{endpoint}})
	create(t, s, network("nw-a", 1))
	var g errgroup.Group
	var stop atomic.Bool
	var raised, made atomic.Int32
	for k := range 4 {
		g.Go(func() error {
			for n := 0; !stop.Load(); n++ {
				_, err := s.Update(t.Context(), func(tx *Tx) error {
					o, _ := tx.Get("nw-a")
					n := model.Clone(o.(*model.Network))
					n.VNI++
					return tx.Update(n)
				})
				if err != nil {
					return fmt.Errorf("raise: %w", err)
				}
				raised.Add(1)
				if _, err := s.Update(t.Context(), creating(vif(fmt.Sprintf("if-%dx%d", k, n)))); err != nil {
					return fmt.Errorf("create: %w", err)
				}
				made.Add(1)
			}
			return nil
		})
	}
	for n := range 5 {
		was := raised.Load()
		waitFor(t, func() bool { return raised.Load() > was+20 })
		line.cut()
		if n == 2 {
			line.stop()
			line.start()
		}
		line.mend()
	}
	was := raised.Load()
	waitFor(t, func() bool { return raised.Load() > was+20 })
	stop.Store(true)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	consistent(t, s)
	s.View(func(x *span.Index, _ int64) {
		if n, _ := x.Graph().Get("nw-a"); n.(*model.Network).VNI != uint32(1+raised.Load()) {
			t.Errorf("raised %d times to %d", raised.Load(), n.(*model.Network).VNI)
		}
		if n := len(x.Graph().List(model.Interfaces)); n != int(made.Load()) {
			t.Errorf("%d interfaces, %d were made", n, made.Load())
		}
	})
}

func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it never happened")
		}
	}
}

// A commit whose answer is lost is found, and one that did not happen cannot happen any more.
func TestSettle(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	commit := func(token string, commit bool) (late func() bool) {
		tx, err := s.run(creating(vif("")))
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.number(ctx, ids{}); err != nil {
			t.Fatal(err)
		}
		ifs, ops, err := tx.request(token)
		if err != nil {
			t.Fatal(err)
		}
		do := func() bool {
			resp, err := s.kv.Txn(ctx).If(ifs...).Then(ops...).Commit()
			if err != nil {
				t.Fatal(err)
			}
			return resp.Succeeded
		}
		s.expect(token)
		if commit && !do() {
			t.Fatal("not committed")
		}
		return do
	}
	cause := fmt.Errorf("no answer")
	commit("happened", true)
	if rev, err := s.settle(ctx, "happened", cause); rev == 0 || err != nil {
		t.Errorf("a commit that happened: revision %d, %v", rev, err)
	}
	late := commit("lost", false)
	if rev, err := s.settle(ctx, "lost", cause); rev != 0 || err != nil {
		t.Errorf("a commit that did not happen: revision %d, %v", rev, err)
	}
	if late() {
		t.Error("a commit that was given up on came late")
	}
	consistent(t, s)
}
