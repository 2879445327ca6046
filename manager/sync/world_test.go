package sync

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// limit is how long anything may take.
const limit = 20 * time.Second

// world is a store in memory and its use cases, with a hub on a real server.
type world struct {
	hub *Hub
	url string
	log *logged

	mu  sync.RWMutex
	x   *span.Index
	rev int64

	register func(wire.Hello) (string, error)
	place    func(datapath string, p wire.Ports) ([]wire.Problem, error)
	lease    func(iface string, family int) ([]*model.IPLease, error)
	arrive   func(datapath string, as []wire.Arrival) ([]string, error)
	claim    func([]wire.Claim) (map[netip.Addr]error, error)
	said     func(datapath string, m wire.Leases) ([]string, error)
}

// newWorld starts a world with the hosts of modeltest.
func newWorld(t testing.TB, interval time.Duration) *world {
	t.Helper()
	w := &world{x: span.New(graph.New()), log: &logged{}}
	w.register = func(h wire.Hello) (string, error) { return fmt.Sprintf("dp-%d", h.DPID-1), nil }
	w.place = func(string, wire.Ports) ([]wire.Problem, error) { return nil, nil }
	w.lease = func(string, int) ([]*model.IPLease, error) { return nil, nil }
	w.arrive = func(string, []wire.Arrival) ([]string, error) { return nil, nil }
	w.claim = func([]wire.Claim) (map[netip.Addr]error, error) { return nil, nil }
	w.said = func(string, wire.Leases) ([]string, error) { return nil, nil }
	w.start(t, interval)
	var changes []graph.Change
	for i, uuid := range modeltest.Hosts {
		changes = append(changes, write(&model.Datapath{Meta: model.Meta{UUID: uuid, ID: uint32(i + 1)}, DPID: model.DPID(i + 1), NodeID: fmt.Sprintf("node%d", i)}))
	}
	w.commit(append(changes, write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}, Automatic: true}))...)
	return w
}

// start starts a hub, as a manager does.
func (w *world) start(t testing.TB, interval time.Duration) (stop func()) {
	t.Helper()
	hub, err := New(Options{Store: w, App: w, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, hub)
	srv := &http.Server{Handler: mux}
	hub.Prepare(srv)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	wg.Go(func() { _ = hub.Run(ctx) })
	w.mu.Lock()
	w.hub, w.url = hub, "http://"+l.Addr().String()
	w.mu.Unlock()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			down, release := context.WithTimeout(context.Background(), limit)
			defer release()
			if err := srv.Shutdown(down); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			wg.Wait()
		})
	}
	t.Cleanup(stop)
	return stop
}

func (w *world) ID() string { return "store" }

func (w *world) View(f func(x *span.Index, revision int64)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	f(w.x, w.rev)
}

func (w *world) Register(_ context.Context, h wire.Hello) (string, error) { return w.register(h) }

func (w *world) Place(_ context.Context, datapath string, p wire.Ports) ([]wire.Problem, error) {
	return w.place(datapath, p)
}

func (w *world) Arrive(_ context.Context, datapath string, as []wire.Arrival) ([]string, error) {
	return w.arrive(datapath, as)
}

func (w *world) LeaseForDHCP(_ context.Context, iface string, family int) ([]*model.IPLease, error) {
	return w.lease(iface, family)
}

func (w *world) Claim(_ context.Context, claims []wire.Claim) (map[netip.Addr]error, error) {
	return w.claim(claims)
}

func (w *world) LeasesOfDHCP(_ context.Context, datapath string, m wire.Leases) ([]string, error) {
	return w.said(datapath, m)
}

// commit makes a revision.
func (w *world) commit(changes ...graph.Change) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rev++
	for _, c := range changes {
		if c.Object != nil {
			c.Object.Base().Revision = w.rev
		}
	}
	w.hub.Observe(w.rev, w.x, w.x.Apply(changes))
	return w.rev
}

func write(o model.Object) graph.Change { return graph.Change{UUID: o.Base().UUID, Object: o} }

func remove(uuid string) graph.Change { return graph.Change{UUID: uuid} }

// guest gives what makes an interface on a datapath and in a network.
func guest(n int, datapath, network string) []graph.Change {
	iface := fmt.Sprintf("if-%d", n)
	id := uint32(n)
	return []graph.Change{
		write(&model.Interface{Meta: model.Meta{UUID: iface, ID: id}, Mode: model.InterfaceVIF}),
		write(&model.InterfacePort{Meta: model.Meta{UUID: fmt.Sprintf("ifp-%d", n), ID: id}, InterfaceUUID: iface, DatapathUUID: datapath, PortName: fmt.Sprintf("tap%d", n)}),
		write(&model.MACLease{Meta: model.Meta{UUID: fmt.Sprintf("ml-%d", n), ID: id}, InterfaceUUID: iface, MACAddress: model.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)}}),
		write(&model.IPLease{Meta: model.Meta{UUID: fmt.Sprintf("il-%d", n), ID: id}, InterfaceUUID: iface, MACLeaseUUID: fmt.Sprintf("ml-%d", n), NetworkUUID: network}),
	}
}

func network(n int) graph.Change {
	return write(&model.Network{Meta: model.Meta{UUID: fmt.Sprintf("nw-%d", n), ID: uint32(n)}, Mode: model.NetworkVirtual, VNI: uint32(n)})
}

// logged is a log in memory.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// saysSoon waits for a text in the log.
func (l *logged) saysSoon(t testing.TB, text string) {
	t.Helper()
	wait.For(t, limit, fmt.Sprintf("%q in the log", text), func() error {
		if !strings.Contains(l.String(), text) {
			return fmt.Errorf("it says\n%s", l)
		}
		return nil
	})
}

// agent is the other end of a stream, spoken by hand.
type agent struct {
	t      testing.TB
	cancel context.CancelFunc
	out    *io.PipeWriter
	in     *wire.Reader[wire.FromManager]
	body   io.Closer
	status int
	tr     *http.Transport
}

// dial opens a stream and says hello.
func (w *world) dial(t testing.TB, dpid int, instance string) *agent {
	t.Helper()
	a := w.connect(t)
	a.hello(dpid, instance, "test")
	return a
}

func (a *agent) hello(dpid int, instance, software string) {
	a.say(wire.FromAgent{Hello: &wire.Hello{Version: wire.Version, NodeID: fmt.Sprintf("node%d", dpid-1), DPID: model.DPID(dpid), Instance: instance, Software: software}})
}

// connect opens a stream.
func (w *world) connect(t testing.TB) *agent {
	t.Helper()
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	a := &agent{t: t, tr: &http.Transport{
		Protocols: &p, DisableKeepAlives: true,
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 16}, // so that one which does not read is slow soon
	}}
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Canceled) })
	a.cancel, a.out = cancel, pw
	t.Cleanup(a.hangUp)
	w.mu.RLock()
	url := w.url
	w.mu.RUnlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+wire.Path, pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", wire.ContentType)
	resp, err := a.tr.RoundTrip(req) //nolint:bodyclose // hangUp closes it
	if err != nil {
		t.Fatal(err)
	}
	a.in, a.body, a.status = wire.NewReader[wire.FromManager](resp.Body), resp.Body, resp.StatusCode
	return a
}

// hangUp is what a killed agent does.
func (a *agent) hangUp() {
	a.cancel()
	if a.body != nil {
		_ = a.body.Close()
	}
	a.tr.CloseIdleConnections()
}

func (a *agent) say(m wire.FromAgent) {
	a.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		a.t.Fatal(err)
	}
	a.sayRaw(append(b, '\n'))
}

// sayRaw says anything; a manager that has hung up is no error.
func (a *agent) sayRaw(b []byte) { _, _ = a.out.Write(b) }

func (a *agent) ack(revision int64, problems ...wire.Problem) {
	a.t.Helper()
	a.say(wire.FromAgent{Ack: &wire.Ack{Revision: revision, Problems: problems}})
}

// pings speaks until the test ends.
func (a *agent) pings(interval time.Duration) {
	stop, done := make(chan struct{}), make(chan struct{})
	a.t.Cleanup(func() { close(stop); a.hangUp(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				a.sayRaw([]byte("{}\n"))
			}
		}
	}()
}

// next gives the manager's next message that is no ping.
func (a *agent) next() (wire.FromManager, error) {
	for {
		m, err := a.in.Next()
		if err != nil || m.Welcome != nil || m.Refused != nil || m.Objects != nil || m.Bookmark != nil || m.Delta != nil {
			return m, err
		}
	}
}

// must gives the next message, which there must be.
func (a *agent) must() wire.FromManager {
	a.t.Helper()
	stop := time.AfterFunc(limit, a.hangUp)
	defer stop.Stop()
	m, err := a.next()
	if err != nil {
		a.t.Fatalf("no message from the manager: %v", err)
	}
	return m
}

// snapshot reads up to the bookmark.
func (a *agent) snapshot() (held map[string]int64, revision int64) {
	a.t.Helper()
	held = map[string]int64{}
	if m := a.must(); m.Welcome == nil || m.Welcome.Store != "store" {
		a.t.Fatalf("got %+v, want a welcome", m)
	}
	for {
		m := a.must()
		if m.Bookmark != nil {
			return held, m.Bookmark.Revision
		}
		if m.Objects == nil {
			a.t.Fatalf("got %+v, want objects or a bookmark", m)
		}
		hold(held, m.Objects, nil)
	}
}

// delta reads a delta, which must be whole.
func (a *agent) delta() *wire.Delta {
	a.t.Helper()
	m := a.must()
	if m.Delta == nil || m.Delta.More {
		a.t.Fatalf("got %+v, want a delta", m)
	}
	return m.Delta
}

// ends reads to the end of the stream and gives the manager's reason, "" without.
func (a *agent) ends() string {
	a.t.Helper()
	stop := time.AfterFunc(limit, func() {
		a.t.Errorf("the manager did not end the stream within %v", limit)
		a.hangUp()
	})
	defer stop.Stop()
	reason := ""
	for {
		m, err := a.next()
		if err != nil {
			return reason
		}
		if m.Refused != nil {
			reason = m.Refused.Reason
		}
	}
}

func hold(held map[string]int64, objects []wire.Object, deletes []string) {
	for _, w := range objects {
		o, err := w.Model()
		if err != nil {
			panic(err)
		}
		held[o.Base().UUID] = o.Base().Revision
	}
	for _, uuid := range deletes {
		delete(held, uuid)
	}
}

// replica is an agent that follows its stream and acknowledges at once.
type replica struct {
	a    *agent
	name string // as its software
	deaf bool   // it acknowledges and holds nothing
	mu   sync.Mutex
	held map[string]int64
	at   int64
	end  chan struct{}
}

func (w *world) replica(t testing.TB, dpid int, instance string) *replica {
	t.Helper()
	return w.follower(t, dpid, instance, false)
}

func (w *world) follower(t testing.TB, dpid int, instance string, deaf bool) *replica {
	t.Helper()
	r := &replica{deaf: deaf, a: w.connect(t), name: rand.Text(), held: map[string]int64{}, end: make(chan struct{})}
	r.a.hello(dpid, instance, r.name)
	go r.follow()
	t.Cleanup(func() { r.a.hangUp(); <-r.end })
	return r
}

func (r *replica) follow() {
	defer close(r.end)
	coming := map[string]int64{}
	var gone []string
	for {
		m, err := r.a.next()
		if err != nil {
			return
		}
		var at int64
		if r.deaf {
			if m.Objects, gone = nil, nil; m.Delta != nil {
				m.Delta.Upserts = nil
			}
		}
		r.mu.Lock()
		switch {
		case m.Objects != nil:
			hold(coming, m.Objects, nil)
		case m.Bookmark != nil:
			r.held, coming, at = coming, map[string]int64{}, m.Bookmark.Revision
		case m.Delta != nil:
			hold(coming, m.Delta.Upserts, nil)
			gone = append(gone, m.Delta.Deletes...)
			if !m.Delta.More {
				maps.Copy(r.held, coming)
				hold(r.held, nil, gone)
				coming, gone, at = map[string]int64{}, nil, m.Delta.Revision
			}
		}
		if at > 0 {
			r.at = at
		}
		r.mu.Unlock()
		if at > 0 {
			r.a.ack(at)
		}
	}
}

func (r *replica) ended() bool {
	select {
	case <-r.end:
		return true
	default:
		return false
	}
}

// share gives what a host should hold.
func (w *world) share(datapath string) map[string]int64 {
	held := map[string]int64{}
	w.View(func(x *span.Index, _ int64) {
		for _, o := range span.NewView(datapath).Snapshot(x) {
			held[o.Base().UUID] = o.Base().Revision
		}
	})
	return held
}

// connected waits until the hub has so many streams with a share that is acknowledged.
func (w *world) connected(t testing.TB, n int) {
	t.Helper()
	wait.For(t, limit, fmt.Sprintf("%d hosts in step", n), func() error {
		ready := 0
		for _, h := range w.hub.Hosts() {
			if h.Connected && h.Pending == 0 {
				ready++
			}
		}
		if ready != n {
			return errors.New(fmt.Sprint(ready, " are"))
		}
		return nil
	})
}
