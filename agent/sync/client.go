package sync

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Options of New.
type Options struct {
	Managers []string          // required: URLs of managers, as http://10.0.0.1:9090; tried in turn
	Hello    func() wire.Hello // required: what the agent says of itself, asked for each stream; Version is set by the client
	Handler  Handler           // required
	Log      *slog.Logger      // required

	TLS      *tls.Config   // optional: of https URLs
	Interval time.Duration // optional: between pings; wire.PingInterval
	Retry    time.Duration // optional: the first pause before a manager is dialled again; 50 ms
	MaxRetry time.Duration // optional: the longest; 2 s
}

// Handler takes what the manager sends. Its methods are called by one goroutine, and hold up the stream while they run. The
// objects may be kept but not changed.
type Handler interface {
	// Snapshot gives the host's whole share as of a revision: what it does not hold is gone. store is the identity of the
	// store and datapath the host's own uuid. The agent owes an Ack, also if nothing has changed.
	Snapshot(revision int64, store, datapath string, objects []model.Object)
	// Delta gives a change of the share. deletes may name objects that the host never had.
	Delta(revision int64, upserts []model.Object, deletes []string)
}

// State is how the client stands.
type State struct {
	Connected bool
	Manager   string    // URL, of the present or the last stream
	Since     time.Time // connected, or lost; when Run began before the first stream
	Reason    string    // why it is not connected
	Revision  int64     // the last that was handed over
}

// Client keeps a stream to one of the managers. All methods may be called concurrently.
type Client struct {
	opts Options

	mu       sync.Mutex
	state    State
	failures map[string]string // by manager, since the last connection
	send     *outbox           // of the present stream, or nil
	ports    *wire.Ports       // said on every stream
}

// New checks the options. The client does nothing before Run.
func New(o Options) (*Client, error) {
	if len(o.Managers) == 0 || o.Hello == nil || o.Handler == nil || o.Log == nil {
		return nil, errors.New("sync: Managers, Hello, Handler and Log are required")
	}
	for _, m := range o.Managers {
		u, err := url.Parse(m)
		if err != nil {
			return nil, fmt.Errorf("manager %q: %w", m, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			return nil, fmt.Errorf("manager %q is not a URL like http://10.0.0.1:9090", m)
		}
	}
	o.Interval = cmp.Or(o.Interval, wire.PingInterval)
	o.Retry = cmp.Or(o.Retry, 50*time.Millisecond)
	o.MaxRetry = cmp.Or(o.MaxRetry, 2*time.Second)
	return &Client{opts: o, failures: map[string]string{}}, nil
}

// Run keeps a stream until ctx ends, and returns nil then.
func (c *Client) Run(ctx context.Context) error {
	c.lost("", errors.New("not connected yet"))
	pause := c.opts.Retry
	for next := 0; ; next++ {
		manager := c.opts.Managers[next%len(c.opts.Managers)]
		began := time.Now()
		err := c.stream(ctx, manager)
		if ctx.Err() != nil {
			c.lost(manager, errors.New("the agent is shutting down"))
			return nil
		}
		if c.lost(manager, err) {
			c.opts.Log.Warn("stream with the manager lost", "manager", manager, "error", err, "connected", time.Since(began).Round(time.Millisecond))
		} else {
			c.opts.Log.Debug("no stream with the manager", "manager", manager, "error", err)
		}
		if time.Since(began) > 2*c.opts.MaxRetry { // it lasted: two that replace each other do not come here
			pause, next = c.opts.Retry, next-1 // and the same manager is the first to try
		}
		if (next+1)%len(c.opts.Managers) != 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, c.opts.MaxRetry)
	}
}

// lost notes the end of a stream, and reports whether this is news.
func (c *Client) lost(manager string, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.state.Connected || c.failures[manager] != err.Error()
	c.failures[manager] = err.Error()
	if c.state.Connected || c.state.Since.IsZero() {
		c.state.Since = time.Now()
	}
	c.state.Connected, c.state.Manager, c.state.Reason = false, manager, err.Error()
	return news
}

// State says how the client stands.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Ack tells the manager how far the data plane is. It does not block: of several the last is sent. Its revision must be one
// that the present stream has handed over, else it is dropped: the next snapshot will want another.
func (c *Client) Ack(a wire.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send != nil {
		c.send.ack(a)
	}
}

// Asked tells the manager that a guest asks for a lease of a family, 4 or 6, who has none. It does not block; with no stream it is dropped, as the guest
// will ask again.
func (c *Client) Asked(iface string, family int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send != nil {
		c.send.asked(asker{iface, family})
	}
}

// Arrived tells the manager that a guest sends from this host whose interface is to move here. It does not block; with no stream it is
// dropped, as the guest will send again.
func (c *Client) Arrived(a wire.Arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send != nil {
		c.send.arrived(a)
	}
}

// Lease tells the manager that a guest has renewed a lease by DHCP, or given it back. It does not block; with no stream it is dropped.
func (c *Client) Lease(uuid string, released bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send != nil {
		c.send.lease(uuid, released)
	}
}

// Claimed tells the manager of an address that a guest wants. It does not block; with no stream it is dropped.
func (c *Client) Claimed(claim wire.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send != nil {
		c.send.claimed(claim)
	}
}

// Ports tells the manager of the bridge's ports; the lists are complete each time and may not be changed afterwards. It does
// not block: of several the last is sent, and it is said again on each new stream. Lists that do not fit into a message
// are not sent: a shortened one would say that ports have gone.
func (c *Client) Ports(p wire.Ports) {
	if b, err := json.Marshal(p); err != nil || len(b) > wire.MaxLine-100 {
		c.opts.Log.Error("the list of ports is too long for the manager", "unplaced", len(p.Unplaced), "placed", len(p.Placed), "bytes", len(b), "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports = &p
	if c.send != nil {
		c.send.ports(p)
	}
}
