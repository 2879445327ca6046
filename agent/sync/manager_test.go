package sync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	stdsync "sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/agent/sync"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 10 * time.Second

// script is a manager that does as it is told, stream by stream.
type script struct {
	t       *testing.T
	url     string
	streams chan *peer
}

// peer is the manager's end of one stream.
type peer struct {
	t     *testing.T
	hello wire.Hello
	out   chan []byte
	said  chan wire.FromAgent // without pings; closed when the request ends
	pings chan struct{}
	done  chan struct{} // closed by the test to end the stream
	gone  chan struct{} // closed when the stream has ended
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, streams: make(chan *peer)}
	s.url = serve(t, http.HandlerFunc(s.handle))
	return s
}

func (s *script) handle(w http.ResponseWriter, r *http.Request) {
	in := wire.NewReader[wire.FromAgent](r.Body)
	m, err := in.Next()
	if err != nil || m.Hello == nil {
		return
	}
	w.Header().Set("Content-Type", wire.ContentType)
	rc := http.NewResponseController(w)
	p := &peer{s.t, *m.Hello, make(chan []byte), make(chan wire.FromAgent, 10_000), make(chan struct{}, 1), make(chan struct{}), make(chan struct{})}
	defer close(p.gone)
	var wg stdsync.WaitGroup
	defer wg.Wait()
	defer func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) }()
	ended := make(chan struct{})
	wg.Go(func() {
		defer close(p.said)
		defer close(ended)
		p.read(in)
	})
	select {
	case s.streams <- p:
	case <-ended:
		return
	}
	for {
		select {
		case <-p.done:
			return
		case <-ended:
			return
		case b := <-p.out:
			if _, err := w.Write(b); err != nil {
				return
			}
			_ = rc.Flush()
		}
	}
}

func (p *peer) read(in *wire.Reader[wire.FromAgent]) {
	for {
		m, err := in.Next()
		if err != nil {
			return
		}
		if m == (wire.FromAgent{}) {
			select {
			case p.pings <- struct{}{}:
			default:
			}
			continue
		}
		p.said <- m
	}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + l.Addr().String()
}

// next gives the next stream.
func (s *script) next() *peer {
	s.t.Helper()
	return receive(s.t, s.streams, "a stream")
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(limit):
		t.Fatalf("no %s within %v", what, limit)
		panic("not reached")
	}
}

// say sends messages, or raw text.
func (p *peer) say(messages ...any) {
	p.t.Helper()
	for _, m := range messages {
		b, raw := m.([]byte)
		if !raw {
			var err error
			if b, err = json.Marshal(m); err != nil {
				p.t.Fatal(err)
			}
			b = append(b, '\n')
		}
		select {
		case p.out <- b:
		case <-p.gone: // the client has hung up, as it may
		}
	}
}

func (p *peer) end() { close(p.done) }

// ended waits until the client has closed the stream.
func (p *peer) ended() {
	p.t.Helper()
	receive(p.t, p.gone, "end of the stream")
}

// recorder is a handler that remembers, and checks that it is called by one goroutine at a time.
type recorder struct {
	events chan string
	mu     stdsync.Mutex
	busy   bool
}

func newRecorder() *recorder { return &recorder{events: make(chan string, 1000)} }

func (r *recorder) enter() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		panic("two calls at once")
	}
	r.busy = true
	return func() { r.mu.Lock(); r.busy = false; r.mu.Unlock() }
}

func (r *recorder) Snapshot(revision int64, store, datapath string, objects []model.Object) {
	defer r.enter()()
	r.events <- fmt.Sprintf("snapshot %d %s %s %v", revision, store, datapath, names(objects))
}

func (r *recorder) Delta(revision int64, upserts []model.Object, deletes []string) {
	defer r.enter()()
	r.events <- fmt.Sprintf("delta %d %v %v", revision, names(upserts), deletes)
}

func names(objects []model.Object) []string {
	out := make([]string, len(objects))
	for i, o := range objects {
		out[i] = fmt.Sprintf("%s@%d", o.Base().UUID, o.Base().Revision)
	}
	return out
}

func (r *recorder) expect(t *testing.T, want string) {
	t.Helper()
	if got := receive(t, r.events, "call of the handler"); got != want {
		t.Fatalf("handler got %q, want %q", got, want)
	}
}

func (r *recorder) expectNothing(t *testing.T) {
	t.Helper()
	select {
	case got := <-r.events:
		t.Fatalf("handler got %q, want nothing", got)
	default:
	}
}

// start runs a client of the managers until the test ends.
func start(t *testing.T, h sync.Handler, change func(*sync.Options), managers ...string) *sync.Client {
	t.Helper()
	o := sync.Options{
		Managers: managers, Handler: h, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{NodeID: "node1", DPID: 1, Instance: "i"} },
		Retry: time.Millisecond, MaxRetry: 20 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	c, err := sync.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done, "end of Run"); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

func welcome() wire.FromManager {
	return wire.FromManager{Welcome: &wire.Welcome{Datapath: "dp-1", Store: "s"}}
}

func bookmark(revision int64) wire.FromManager {
	return wire.FromManager{Bookmark: &wire.Bookmark{Revision: revision}}
}

func objects(os ...wire.Object) wire.FromManager { return wire.FromManager{Objects: os} }

func object(uuid string, revision int64) wire.Object {
	return wire.Object{Revision: revision, Value: json.RawMessage(`{"uuid":"` + uuid + `"}`)}
}

func deltaOf(d wire.Delta) wire.FromManager { return wire.FromManager{Delta: &d} }

func connected(t *testing.T, c *sync.Client) {
	t.Helper()
	wait.For(t, limit, "connection", func() error {
		if !c.State().Connected {
			return fmt.Errorf("%+v", c.State())
		}
		return nil
	})
}
