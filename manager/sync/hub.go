package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// Options of New.
type Options struct {
	Store Store        // required
	App   App          // required
	Log   *slog.Logger // required

	Interval time.Duration // optional: between pings; wire.PingInterval

	// Admit says whether the agent of a connection may speak as the host that its hello claims, and until when (zero: for ever). A
	// *model.Error is a refusal that the agent is told. Optional: without it every agent may.
	Admit func(r *http.Request, hello wire.Hello) (until time.Time, err error)
}

// Store is what the hub reads: store.Store.
type Store interface {
	// ID is the store's identity.
	ID() string
	// View calls f with the state as of a revision. f may not call the store.
	View(f func(x *span.Index, revision int64))
}

// App is what the hub asks to be decided: manager/app.
type App interface {
	// Register gives the datapath of an agent that says hello, making it if it may. A *model.Error is a refusal.
	Register(ctx context.Context, hello wire.Hello) (datapath string, err error)
	// Place takes what an agent says of its ports, and gives the interfaces that the host claims and may not have.
	Place(ctx context.Context, datapath string, ports wire.Ports) (conflicts []wire.Problem, err error)
	// Arrive takes an agent's word that guests send from its host whose interfaces are to move there, and gives those that are there now.
	Arrive(ctx context.Context, datapath string, arrivals []wire.Arrival) (arrived []string, err error)
	// LeaseForDHCP gives an interface the leases by its policies that it lacks, because its guest asks for one of the family, 4 or 6. A *model.Error says that there is none to give.
	LeaseForDHCP(ctx context.Context, interfaceUUID string, family int) ([]*model.IPLease, error)
	// Claim makes leases of addresses that guests have made themselves, and gives what it has refused, by address.
	Claim(ctx context.Context, claims []wire.Claim) (refused map[netip.Addr]error, err error)
	// LeasesOfDHCP takes an agent's word that guests of its host have renewed IP leases by DHCP, or given them back, and gives those that are released.
	LeasesOfDHCP(ctx context.Context, datapath string, leases wire.Leases) (released []string, err error)
}

// Hub holds the streams of all agents that are connected to this manager. It is an http.Handler for wire.Path. All methods may be
// called concurrently.
type Hub struct {
	store    Store
	app      App
	log      *slog.Logger
	interval time.Duration
	admit    func(*http.Request, wire.Hello) (time.Time, error)
	encoder  encoder
	joining  chan struct{} // a slot for each share that is being put together: when all agents come at once, connections must be served beside it
	handlers sync.WaitGroup

	// mu guards what follows, and the streams' own state. The store's lock comes before it.
	mu      sync.Mutex
	closed  bool
	open    map[*stream]struct{}   // all whose handlers run
	claims  map[model.DPID]*stream // whoever has said hello
	streams map[string]*stream     // by datapath: those with a view
	views   map[string]*span.View  // of streams, in the form that span.Update takes
	lost    map[string]loss        // by datapath: how its last stream ended
	waiting waitingPorts
}

// loss is how a host's last stream ended.
type loss struct {
	at     time.Time
	reason string
}

// New gives a hub without streams. The store must be told to call Observe before it runs.
func New(o Options) (*Hub, error) {
	if o.Store == nil || o.App == nil || o.Log == nil {
		return nil, errors.New("sync: Store, App and Log are required")
	}
	return &Hub{
		store: o.Store, app: o.App, log: o.Log, interval: cmp.Or(o.Interval, wire.PingInterval), admit: o.Admit, joining: make(chan struct{}, runtime.GOMAXPROCS(0)),
		open: map[*stream]struct{}{}, claims: map[model.DPID]*stream{}, streams: map[string]*stream{}, views: map[string]*span.View{}, lost: map[string]loss{}, waiting: waitingPorts{},
	}, nil
}

// Run returns when ctx has ended and with it all streams; from then on new ones are refused.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	h.mu.Lock()
	h.closed = true
	for s := range h.open {
		s.end(errShutdown)
	}
	h.mu.Unlock()
	h.handlers.Wait()
	return nil
}

// Observe is told of every revision of the store with its lock held: a store.Observer.
func (h *Hub) Observe(revision int64, x *span.Index, e *span.Effects) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.open) == 0 {
		return
	}
	now := time.Now()
	for datapath, delta := range span.Update(x, e, h.views) {
		h.streams[datapath].enqueue(revision, now, delta)
	}
	h.waiting.wake(revision, x, e)
	h.movesEnd(revision, e)
	for _, c := range e.Changed {
		if c.Old == nil || c.New != nil {
			continue
		}
		switch o := c.Old.(type) {
		case *model.Datapath:
			if s := h.streams[o.UUID]; s != nil {
				s.drain() // it may register again, or be told why not
			}
		case *model.Enrollment:
			for s := range h.open {
				if s.admitted == o.NodeID && h.admit != nil {
					s.end(errRevoked)
				}
			}
		}
	}
}

// enter counts a stream in, unless the hub has closed.
func (h *Hub) enter(s *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.open[s] = struct{}{}
	h.handlers.Add(1)
	return true
}

// claim takes the agent's datapath id for the stream. One instance of an agent replaces its own older stream; another
// instance is refused for as long as the first one lives.
func (h *Hub) claim(s *stream, hello *wire.Hello) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.released {
		return errors.New("ended before it began")
	}
	s.hello = *hello
	if old := h.claims[s.hello.DPID]; old != nil {
		if old.hello.Instance != s.hello.Instance {
			h.log.Error("a second agent claims a datapath and was refused", "dpid", s.hello.DPID, "node", s.hello.NodeID, "remote", s.remote,
				"holder_node", old.hello.NodeID, "holder_remote", old.remote, "holder_since", old.since)
			return refusal(fmt.Sprintf("datapath %v is claimed by another agent: node %s at %s, connected since %s. Two hosts have the same datapath id, or two agents run for one bridge",
				s.hello.DPID, old.hello.NodeID, old.remote, old.since.UTC().Format(time.RFC3339)))
		}
		old.end(refusal("another stream of the same agent, from " + s.remote + ", has replaced this one"))
	}
	h.claims[s.hello.DPID] = s
	return nil
}

// attach makes the stream that of the datapath and gives the snapshot to send; deltas follow on from it.
func (h *Hub) attach(s *stream, datapath string) (objects []model.Object, revision int64, err error) {
	h.store.View(func(x *span.Index, rev int64) {
		if _, ok := x.Graph().Get(datapath); !ok {
			err = fmt.Errorf("datapath %s was deleted", datapath)
			return
		}
		view := span.NewView(datapath)
		objects, revision = view.Snapshot(x), rev
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.claims[s.hello.DPID] != s {
			err = errors.New("replaced before it began")
			return
		}
		if old := h.streams[datapath]; old != nil {
			h.detach(old, "replaced")
		}
		s.attached(view, rev)
		h.streams[datapath], h.views[datapath] = s, view
		delete(h.lost, datapath)
	})
	return objects, revision, err
}

// exit counts the stream out: its handler returns.
func (h *Hub) exit(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, s)
	h.handlers.Done()
}

// release takes from a stream that ends what it holds.
func (h *Hub) release(s *stream, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.released = true
	if h.claims[s.hello.DPID] == s {
		delete(h.claims, s.hello.DPID)
	}
	if s.view != nil && h.streams[s.view.Host()] == s {
		h.detach(s, reason)
	}
}

func (h *Hub) detach(s *stream, reason string) {
	datapath := s.view.Host()
	delete(h.streams, datapath)
	delete(h.views, datapath)
	h.lost[datapath] = loss{time.Now(), reason}
	h.waiting.remove(s)
	s.progress.release()
	s.placing.release()
}

// Connected reports whether the datapath's agent is connected to this manager.
func (h *Hub) Connected(datapath string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[datapath] != nil
}

// Host is what the manager knows of one host and its agent.
type Host struct {
	DatapathUUID string     `json:"datapath_uuid"`
	NodeID       string     `json:"node_id"`
	DPID         model.DPID `json:"dpid"`
	Connected    bool       `json:"connected"`
	Since        *time.Time `json:"since"`  // connected, or lost; null if it was never connected to this manager
	Reason       string     `json:"reason"` // why it was lost

	// Of a connected one:
	Address      string         `json:"address"`
	Software     string         `json:"software"` // the agent's version
	Objects      int            `json:"objects"`  // in its share
	Revision     int64          `json:"revision"` // the last that changed its share
	Acknowledged int64          `json:"acknowledged"`
	Lag          time.Duration  `json:"lag"`     // how long the oldest change that is not acknowledged has been waiting, in ns
	Queued       int            `json:"queued"`  // objects that are still to be sent
	Pending      int            `json:"pending"` // objects whose last change is not acknowledged
	Problems     []wire.Problem `json:"problems"`
}

// Hosts gives every datapath of the store, by id.
func (h *Hub) Hosts() []Host {
	var out []Host
	h.store.View(func(x *span.Index, _ int64) {
		h.mu.Lock()
		defer h.mu.Unlock()
		now := time.Now()
		for _, o := range x.Graph().List(model.Datapaths) {
			d := o.(*model.Datapath)
			host := Host{DatapathUUID: d.UUID, NodeID: d.NodeID, DPID: d.DPID, Problems: []wire.Problem{}}
			if s := h.streams[d.UUID]; s != nil {
				s.describe(&host, now)
			} else if l, ok := h.lost[d.UUID]; ok {
				host.Since, host.Reason = &l.at, l.reason
			}
			out = append(out, host)
		}
	})
	return out
}

// describe fills in what is known of a connected host.
func (s *stream) describe(host *Host, now time.Time) {
	p := &s.progress
	since := s.since
	host.Connected, host.Since, host.Address, host.Software = true, &since, s.remote, s.hello.Software
	host.Objects, host.Revision, host.Acknowledged = s.view.Len(), p.last, p.acked
	host.Queued = s.queue.len()
	host.Pending = p.pendingCount(s.view)
	if at, ok := p.touched.oldest(); ok {
		host.Lag = now.Sub(at)
	}
	for _, problems := range []map[string]string{p.problems, s.placing.conflicts} {
		for _, uuid := range slices.Sorted(maps.Keys(problems)) {
			host.Problems = append(host.Problems, wire.Problem{UUID: uuid, Reason: problems[uuid]})
		}
	}
}

// Prepare sets what the streams need of the server that serves the hub: HTTP/2 also without TLS, and an end to connections
// that take no byte. Other settings of the server are left alone.
func (h *Hub) Prepare(srv *http.Server) {
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.HTTP2 = &http.HTTP2Config{WriteByteTimeout: 3 * h.interval}
}
