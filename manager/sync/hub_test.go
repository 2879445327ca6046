package sync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

const calm = time.Minute // an interval that no test waits for

func TestSnapshotThenDeltas(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	w.commit(guest(1, "dp-0", "nw-1")...)
	a := w.dial(t, 1, "a")
	held, rev := a.snapshot()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" || rev != w.rev {
		t.Errorf("revision %d of %d; snapshot (-want +got):\n%s", rev, w.rev, diff)
	}
	rev = w.commit(guest(2, "dp-0", "nw-1")...)
	d := a.delta()
	hold(held, d.Upserts, d.Deletes)
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" || d.Revision != rev {
		t.Errorf("revision %d, want %d; share (-want +got):\n%s", d.Revision, rev, diff)
	}
	rev = w.commit(remove("ml-1"))
	if diff := cmp.Diff(&wire.Delta{Revision: rev, Deletes: []string{"ml-1"}}, a.delta()); diff != "" {
		t.Errorf("delta (-want +got):\n%s", diff)
	}
}

// Whatever changes and whoever comes and goes: when Wait has returned, every connected host has its share.
func TestSharesFollow(t *testing.T) {
	w := newWorld(t, calm)
	rapid.Check(t, func(rt *rapid.T) {
		var all []graph.Change // a new world in the old one
		w.View(func(x *span.Index, _ int64) {
			for o := range x.Graph().All() {
				if model.Of(o) != model.Datapaths {
					all = append(all, remove(o.Base().UUID))
				}
			}
		})
		w.commit(all...)
		agents := map[string]*replica{}
		defer func() {
			for _, r := range agents {
				r.a.hangUp()
				<-r.end
			}
		}()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			for i, host := range modeltest.Hosts {
				r := agents[host]
				switch rapid.IntRange(0, 5).Draw(rt, host) {
				case 0:
					if r == nil || r.ended() {
						agents[host] = w.replica(t, i+1, host)
					}
				case 1:
					if r != nil && rapid.Bool().Draw(rt, "hangs up") {
						r.a.hangUp()
						<-r.end
						delete(agents, host)
					}
				case 2:
					if r != nil && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
						agents[host] = w.replica(t, i+1, host) // the same instance, while the old stream is there
						r.ended()
					}
				}
			}
			for range rapid.IntRange(1, 5).Draw(rt, "commits") {
				w.commit(modeltest.Batch(rt, w.rev+1)...)
			}
		}
		// The last revision concerns everybody who is still there.
		batch := []graph.Change{write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}, Automatic: true})}
		for i, host := range modeltest.Hosts {
			batch = append(batch, write(&model.Datapath{Meta: model.Meta{UUID: host, ID: uint32(i + 1)}, DPID: model.DPID(i + 1)}))
		}
		wait.For(t, limit, "the streams to be attached", func() error { // a hello may still be under way
			w.hub.mu.Lock()
			defer w.hub.mu.Unlock()
			for host, r := range agents {
				if s := w.hub.streams[host]; (s == nil || s.hello.Software != r.name) && !r.ended() {
					return errors.New(host)
				}
			}
			return nil
		})
		rev := w.commit(batch...)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := w.hub.Wait(ctx, rev, []string{model.DefaultTopology}); err != nil {
			rt.Fatalf("wait for revision %d: %v\n%+v", rev, err, w.hub.Hosts())
		}
		w.hub.mu.Lock()
		there := maps.Clone(w.hub.streams) // of the others the datapath was deleted
		w.hub.mu.Unlock()
		for host, r := range agents {
			if s := there[host]; s == nil || s.hello.Software != r.name {
				continue
			}
			r.mu.Lock()
			if diff := cmp.Diff(w.share(host), r.held); diff != "" {
				rt.Errorf("share of %s at %d (-want +got):\n%s", host, r.at, diff)
			}
			r.mu.Unlock()
		}
	})
}

// A change in one network wakes no host without it.
func TestOnlyConcernedHostsAreWoken(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1), network(2))
	w.commit(guest(1, "dp-0", "nw-1")...)
	w.commit(guest(2, "dp-1", "nw-2")...)
	a, b := w.dial(t, 1, "a"), w.dial(t, 2, "b")
	a.snapshot()
	b.snapshot()
	for i := range 10 {
		w.commit(guest(10+i, "dp-0", "nw-1")...)
	}
	last := w.commit(guest(30, "dp-1", "nw-2")...)
	if d := b.delta(); d.Revision != last || len(d.Upserts) != 4 {
		t.Errorf("dp-1 got %+v first, want revision %d", d, last)
	}
}

// What comes while an agent is slow is sent as one delta with the newest state of each object.
func TestSlowAgentGetsTheNewest(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	w.commit(guest(1, "dp-0", "nw-1")...)
	a := w.dial(t, 1, "a")
	held, _ := a.snapshot()
	// The agent does not read; more is sent than its buffers hold.
	for n := range 3000 {
		i := &model.Interface{Meta: model.Meta{UUID: "if-1", ID: 1}, Mode: model.InterfaceVIF, DisplayName: strings.Repeat("x", 255)}
		w.commit(write(i))
		if n%100 == 0 {
			w.commit(guest(2+n/100, "dp-0", "nw-1")...)
		}
	}
	w.hub.mu.Lock()
	queued := w.hub.streams["dp-0"].queue.len()
	w.hub.mu.Unlock()
	if queued > 200 {
		t.Errorf("%d objects are queued", queued)
	}
	deltas := 0
	for at := int64(0); at < w.rev; {
		d := a.delta()
		hold(held, d.Upserts, d.Deletes)
		at = d.Revision
		deltas++
	}
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
	if deltas > 1000 {
		t.Errorf("%d revisions came as %d deltas", w.rev, deltas)
	}
}

// An agent that takes nothing is cut, comes back and gets everything.
func TestStalledAgentIsCut(t *testing.T) {
	w := newWorld(t, 300*time.Millisecond)
	w.commit(network(1))
	w.commit(guest(1, "dp-0", "nw-1")...)
	a := w.dial(t, 1, "a")
	a.snapshot()
	a.pings(50 * time.Millisecond) // it speaks, but does not listen
	var batch []graph.Change
	for n := range 1000 {
		batch = append(batch, guest(2+n, "dp-0", "nw-1")...)
	}
	w.commit(batch...)
	w.log.saysSoon(t, "agent disconnected")
	if log := w.log.String(); !strings.Contains(log, errStalled.Error()) {
		t.Errorf("log:\n%s", log)
	}
	b := w.dial(t, 1, "a")
	b.pings(50 * time.Millisecond)
	held, _ := b.snapshot()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
}

// An agent that is far behind with removals is cut, rather than remembered for.
func TestFarBehindIsCut(t *testing.T) {
	var cause error
	s := &stream{cancel: func(err error) { cause = err }, wake: make(chan struct{}, 1)}
	s.attached(span.NewView("dp-0"), 1)
	for n := range maxDeletes + 1 {
		if cause != nil {
			t.Fatalf("cut after %d removals", n)
		}
		s.enqueue(int64(n+2), time.Now(), &span.Delta{Upserts: []model.Object{network(n).Object}})
		s.enqueue(int64(n+2), time.Now(), &span.Delta{Deletes: []string{fmt.Sprintf("nw-%d", n)}})
	}
	if !errors.Is(cause, errBehind) {
		t.Errorf("the stream ends with %v", cause)
	}
}

func TestSilentAgentIsCut(t *testing.T) {
	w := newWorld(t, 30*time.Millisecond)
	a := w.dial(t, 1, "a")
	a.snapshot()
	a.ends()
	w.log.saysSoon(t, "silent")
	b := w.connect(t) // and one that does not even say hello
	b.ends()
}

// Pings keep a stream without traffic.
func TestPingsKeepTheStream(t *testing.T) {
	w := newWorld(t, 50*time.Millisecond)
	a := w.dial(t, 1, "a")
	a.snapshot()
	for range 10 {
		m, err := a.in.Next()
		if err != nil || m.Delta != nil {
			t.Fatalf("got %+v, %v, want a ping", m, err)
		}
		a.say(wire.FromAgent{})
	}
	rev := w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	if d := a.delta(); d.Revision != rev {
		t.Errorf("got %+v", d)
	}
}

func TestSecondClaimant(t *testing.T) {
	w := newWorld(t, calm)
	a := w.dial(t, 1, "a")
	a.snapshot()
	b := w.dial(t, 1, "b")
	if reason := b.ends(); !strings.Contains(reason, "datapath 0x0000000000000001 is claimed by another agent: node node0") {
		t.Errorf("reason %q", reason)
	}
	if log := w.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "a second agent claims a datapath") {
		t.Errorf("log:\n%s", log)
	}
	rev := w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	if d := a.delta(); d.Revision != rev {
		t.Errorf("the first one got %+v", d)
	}
	a.hangUp()
	wait.For(t, limit, "the datapath to be free", func() error {
		b := w.dial(t, 1, "b")
		if m := b.must(); m.Welcome == nil {
			return errors.New(m.Refused.Reason)
		}
		return nil
	})
}

// An agent that comes back while its old stream is still there takes over at once.
func TestSameInstanceReplaces(t *testing.T) {
	w := newWorld(t, calm)
	a := w.dial(t, 1, "a")
	a.snapshot()
	b := w.dial(t, 1, "a")
	b.snapshot()
	if reason := a.ends(); !strings.Contains(reason, "has replaced this one") {
		t.Errorf("reason %q", reason)
	}
	rev := w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	if d := b.delta(); d.Revision != rev {
		t.Errorf("got %+v", d)
	}
	if hosts := w.hub.Hosts(); !hosts[0].Connected {
		t.Errorf("%+v", hosts[0])
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, calm)
	good := wire.Hello{Version: wire.Version, NodeID: "n", DPID: 1, Instance: "a"}
	for name, test := range map[string]struct {
		hello func(*wire.Hello)
		err   error
		want  string
	}{
		"version":       {hello: func(h *wire.Hello) { h.Version = 99 }, want: "version 99 of the protocol, this manager version 1"},
		"no dpid":       {hello: func(h *wire.Hello) { h.DPID = 0 }, want: "dpid is not set"},
		"no node":       {hello: func(h *wire.Hello) { h.NodeID = "" }, want: "node_id is empty"},
		"no instance":   {hello: func(h *wire.Hello) { h.Instance = "" }, want: "instance is empty"},
		"long node":     {hello: func(h *wire.Hello) { h.NodeID = strings.Repeat("n", 300) }, want: "longer than 255"},
		"long software": {hello: func(h *wire.Hello) { h.Software = strings.Repeat("n", 300) }, want: "software is longer"},
		"use case":      {err: model.Errorf(model.Conflict, "node_id", "is another's"), want: "node_id: is another's"},
		"store":         {err: errors.New("secret address"), want: "the manager cannot register the host now"},
	} {
		t.Run(name, func(t *testing.T) {
			w.register = func(wire.Hello) (string, error) { return "dp-0", test.err }
			a := w.connect(t)
			h := good
			if test.hello != nil {
				test.hello(&h)
			}
			a.say(wire.FromAgent{Hello: &h})
			if reason := a.ends(); !strings.Contains(reason, test.want) || strings.Contains(reason, "secret") {
				t.Errorf("reason %q, want %q", reason, test.want)
			}
		})
	}
}

func TestRequestsThatAreNoStream(t *testing.T) {
	w := newWorld(t, calm)
	for name, test := range map[string]struct {
		method, contentType string
		http2               bool
		want                int
	}{
		"get":    {http.MethodGet, wire.ContentType, true, http.StatusMethodNotAllowed},
		"http/1": {http.MethodPost, wire.ContentType, false, http.StatusHTTPVersionNotSupported},
		"json":   {http.MethodPost, "application/json", true, http.StatusUnsupportedMediaType},
	} {
		t.Run(name, func(t *testing.T) {
			var p http.Protocols
			p.SetUnencryptedHTTP2(test.http2)
			p.SetHTTP1(!test.http2)
			tr := &http.Transport{Protocols: &p}
			defer tr.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), test.method, w.url+wire.Path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", test.contentType)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != test.want {
				t.Errorf("status %d, want %d", resp.StatusCode, test.want)
			}
		})
	}
}

// Garbage ends the stream with a reason in the log, and changes nothing.
func TestGarbage(t *testing.T) {
	for name, test := range map[string]struct {
		say  func(a *agent) []byte
		want string
	}{
		"no JSON":           {func(*agent) []byte { return []byte("hello\n") }, "malformed message"},
		"binary":            {func(*agent) []byte { return bytes.Repeat([]byte{0xff, 0, '\n'}, 100) }, "malformed message"},
		"truncated":         {func(a *agent) []byte { a.sayRaw([]byte(`{"ack":{"revi`)); _ = a.out.Close(); return nil }, "malformed message"},
		"too long":          {func(*agent) []byte { return bytes.Repeat([]byte("x"), wire.MaxLine+1) }, "longer than"},
		"second hello":      {func(*agent) []byte { return []byte(`{"hello":{"version":1}}` + "\n") }, "second hello"},
		"two in one":        {func(*agent) []byte { return []byte(`{"ack":{"revision":1},"ports":{}}` + "\n") }, "several messages in one"},
		"ack of tomorrow":   {func(*agent) []byte { return []byte(`{"ack":{"revision":1000}}` + "\n") }, "acknowledges revision 1000"},
		"claimed MAC":       {func(*agent) []byte { return []byte(`{"claimed":{"claims":[{"mac":"02:00"}]}}` + "\n") }, "malformed message: mac: "},
		"claimed address":   {func(*agent) []byte { return []byte(`{"claimed":{"claims":[{"address":"fd00::g"}]}}` + "\n") }, "malformed message: address: "},
		"gone address":      {func(*agent) []byte { return []byte(`{"claimed":{"claims":[{"gone":["fd00::1","x"]}]}}` + "\n") }, "malformed message: gone: "},
		"claim of a number": {func(*agent) []byte { return []byte(`{"claimed":{"claims":[{"interface_uuid":1}]}}` + "\n") }, "claims.interface_uuid"},
		"claims of no list": {func(*agent) []byte { return []byte(`{"claimed":{"claims":{}}}` + "\n") }, "claimed.claims"},
		"ack of the past":   {func(*agent) []byte { return []byte(`{"ack":{"revision":-1}}` + "\n") }, "acknowledges revision -1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, calm)
			a := w.dial(t, 1, "a")
			a.snapshot()
			go func() { a.sayRaw(test.say(a)) }()
			a.ends()
			w.log.saysSoon(t, test.want)
			if h := w.hub.Hosts()[0]; h.Acknowledged != 0 {
				t.Errorf("%+v", h)
			}
			w.dial(t, 1, "a").snapshot()
		})
	}
}

// A manager that goes down ends its streams in order; at the next one everything is told again.
func TestManagerRestart(t *testing.T) {
	w := newWorld(t, calm)
	stop := w.start(t, calm)
	w.commit(network(1))
	w.commit(guest(1, "dp-0", "nw-1")...)
	a := w.dial(t, 1, "a")
	a.snapshot()
	stop()
	if reason := a.ends(); reason != "" {
		t.Errorf("reason %q", reason)
	}
	w.start(t, calm)
	w.commit(guest(2, "dp-0", "nw-1")...)
	b := w.dial(t, 1, "a")
	held, _ := b.snapshot()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
}

// A deleted datapath's agent is told of it and let go, to register again.
func TestDeletedDatapath(t *testing.T) {
	w := newWorld(t, calm)
	a := w.dial(t, 1, "a")
	a.snapshot()
	rev := w.commit(remove("dp-0"))
	if d := a.delta(); d.Revision != rev || !slices.Contains(d.Deletes, "dp-0") {
		t.Errorf("got %+v", d)
	}
	a.ends()
	b := w.dial(t, 1, "a")
	b.ends() // the use case named a datapath that is not there
	w.log.saysSoon(t, "datapath dp-0 was deleted")
}

// A snapshot and a delta that exceed one message come in parts.
func TestParts(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	fill := func(from, n int) {
		var batch []graph.Change
		for i := range n {
			g := guest(from+i, "dp-0", "nw-1")
			g[0].Object.(*model.Interface).DisplayName = strings.Repeat("x", 3000)
			batch = append(batch, g...)
		}
		w.commit(batch...)
	}
	fill(1, 700)
	a := w.dial(t, 1, "a")
	held, _ := a.snapshot()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Fatalf("snapshot (-want +got):\n%s", diff)
	}
	read := func() (parts int) {
		for {
			m := a.must()
			if n := len(m.Delta.Upserts) + len(m.Delta.Deletes); n == 0 || n > wire.MaxObjects {
				t.Errorf("a part of %d objects", n)
			}
			hold(held, m.Delta.Upserts, m.Delta.Deletes)
			parts++
			if !m.Delta.More {
				return parts
			}
		}
	}
	fill(5001, 700)
	if parts := read(); parts < 3 {
		t.Errorf("%d parts", parts)
	}
	var away []graph.Change
	for uuid := range maps.Clone(held) {
		if strings.HasPrefix(uuid, "il-") {
			away = append(away, remove(uuid))
		}
	}
	w.commit(away...)
	read()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
}

// An agent that is lost in the middle of its snapshot begins again.
func TestReconnectMidSnapshot(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	var batch []graph.Change
	for n := range 2000 {
		batch = append(batch, guest(n, "dp-0", "nw-1")...)
	}
	w.commit(batch...)
	a := w.dial(t, 1, "a")
	a.must() // the welcome
	if m := a.must(); m.Objects == nil {
		t.Fatalf("got %+v", m)
	}
	a.hangUp()
	b := w.dial(t, 1, "a")
	held, _ := b.snapshot()
	if diff := cmp.Diff(w.share("dp-0"), held); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
}

// A lease is made for an interface whose guest asks, if it is on the host that says so; that there is none to give ends nothing.
func TestAsked(t *testing.T) {
	w := newWorld(t, calm)
	calls := make(chan string, 100)
	w.lease = func(iface string, family int) ([]*model.IPLease, error) {
		calls <- fmt.Sprint(iface, " ", family)
		if iface == "if-x" {
			return nil, model.Errorf(model.UnknownResource, "interface_uuid", "no policy")
		}
		return []*model.IPLease{{Meta: model.Meta{UUID: "il-1"}}}, nil
	}
	for n, at := range map[string]string{"if-x": "dp-0", "if-y": "dp-0", "if-elsewhere": "dp-1"} {
		w.commit(write(&model.Interface{Meta: model.Meta{UUID: n}, Mode: model.InterfaceVIF}),
			write(&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + n[3:]}, InterfaceUUID: n, DatapathUUID: at}))
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	a.say(wire.FromAgent{Asked: &wire.Asked{Interfaces: []string{"if-elsewhere", "if-none", "if-x", "if-y"}, Interfaces6: []string{"if-elsewhere", "if-y"}}})
	for _, want := range []string{"if-x 4", "if-y 4", "if-y 6"} {
		select {
		case got := <-calls:
			if got != want {
				t.Fatalf("a lease for %s, want %s", got, want)
			}
		case <-time.After(limit):
			t.Fatalf("no lease for %s", want)
		}
	}
	w.log.saysSoon(t, "lease made for a guest that asked by DHCP")
}

// What guests have said of their leases is told, and a failure ends nothing.
func TestLeases(t *testing.T) {
	w := newWorld(t, calm)
	calls := make(chan string, 100)
	failures := 1
	w.said = func(datapath string, m wire.Leases) ([]string, error) {
		calls <- fmt.Sprint(datapath, m.Renewed, m.Released)
		if failures--; failures >= 0 {
			return nil, errors.New("no store")
		}
		return m.Released, nil
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	for _, m := range []wire.Leases{{Renewed: []string{"il-a"}}, {Released: []string{"il-a"}}, {Renewed: []string{"il-b"}, Released: []string{"il-b"}}} {
		a.say(wire.FromAgent{Leases: &m})
		want := fmt.Sprint("dp-0", m.Renewed, m.Released)
		if len(m.Renewed) == len(m.Released) {
			want = fmt.Sprint("dp-0", []string(nil), m.Released) // the last word
		}
		select {
		case got := <-calls:
			if got != want {
				t.Errorf("told %s, want %s", got, want)
			}
		case <-time.After(limit):
			t.Fatalf("not told: %s", want)
		}
	}
	w.log.saysSoon(t, "ip leases released: their guests gave them back")
}

// Leases are made of what guests of the agent's own host claim; what is refused is said with its reason, and a failure ends nothing.
func TestClaimed(t *testing.T) {
	w := newWorld(t, calm)
	calls := make(chan string, 100)
	w.claim = func(claims []wire.Claim) (map[netip.Addr]error, error) {
		refused := map[netip.Addr]error{}
		var got []string
		for _, c := range claims {
			got = append(got, fmt.Sprint(c.InterfaceUUID, " ", c.Address, " ", c.Gone))
			switch {
			case c.Address == netip.MustParseAddr("fd00::bad"):
				refused[c.Address] = model.Errorf(model.Conflict, "ipv6_address", "leased already")
			case c.InterfaceUUID == "if-y":
				calls <- "failed"
				return nil, errors.New("no store")
			}
		}
		calls <- strings.Join(got, ", ")
		return refused, nil
	}
	for n, at := range map[string]string{"if-x": "dp-0", "if-y": "dp-0", "if-elsewhere": "dp-1"} {
		w.commit(write(&model.Interface{Meta: model.Meta{UUID: n}, Mode: model.InterfaceVIF}),
			write(&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + n[3:]}, InterfaceUUID: n, DatapathUUID: at}))
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	const first = `{"interface_uuid":"if-x","mac":"02:00:00:00:00:01","address":"fd00::1","gone":["fd00::2"]}`
	others := `{"interface_uuid":"if-elsewhere","address":"fd00::3"},{"interface_uuid":"if-none","address":"fd00::4"},{}`
	for _, c := range []struct{ claims, want string }{
		{first, "if-x fd00::1 [fd00::2]"},
		{first + "," + others + `,{"interface_uuid":"if-x","address":"fd00::bad"}`, "if-x fd00::1 [fd00::2], if-x fd00::bad []"},
		{`{"interface_uuid":"if-y"}`, "failed"},
		{first, "if-x fd00::1 [fd00::2]"},
		{"", ""},
	} {
		a.sayRaw([]byte(`{"claimed":{"claims":[` + c.claims + "]}}\n"))
		if got := heard(t, calls); got != c.want {
			t.Errorf("of %s: %s, want %s", c.claims, got, c.want)
		}
	}
	w.log.saysSoon(t, `address=fd00::bad reason="ipv6_address: leased already"`)
	w.log.saysSoon(t, "addresses that guests have made cannot be leased to them")
	a.hangUp()
	a = w.dial(t, 1, "a")
	a.snapshot()
	a.sayRaw([]byte(`{"claimed":{"claims":[` + first + "]}}\n"))
	if got := heard(t, calls); got != "if-x fd00::1 [fd00::2]" {
		t.Errorf("on the next stream: %s", got)
	}
}

// heard gives what was called.
func heard(t *testing.T, calls <-chan string) string {
	t.Helper()
	select {
	case got := <-calls:
		return got
	case <-time.After(limit):
		t.Fatal("nothing was called")
		return ""
	}
}

// While leases are being made so many claims wait as one message may have, whatever the agent says.
func TestClaimsAreBounded(t *testing.T) {
	w := newWorld(t, calm)
	sizes, proceed := make(chan int), make(chan struct{})
	w.claim = func(claims []wire.Claim) (map[netip.Addr]error, error) {
		sizes <- len(claims)
		<-proceed
		return nil, nil
	}
	read := make(chan string)
	w.place = func(string, wire.Ports) ([]wire.Problem, error) {
		read <- "ports"
		return nil, nil
	}
	w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-x"}, Mode: model.InterfaceVIF}),
		write(&model.InterfacePort{Meta: model.Meta{UUID: "ifp-x"}, InterfaceUUID: "if-x", DatapathUUID: "dp-0"}))
	a := w.dial(t, 1, "a")
	a.snapshot()
	claims := make([]wire.Claim, wire.MaxClaims/2+1)
	for n := range claims {
		claims[n] = wire.Claim{InterfaceUUID: "if-x", Address: netip.MustParseAddr("fd00::1")}
	}
	a.say(wire.FromAgent{Claimed: &wire.Claimed{Claims: claims[:1]}})
	if n := <-sizes; n != 1 {
		t.Fatalf("%d claims", n)
	}
	for range 5 {
		a.say(wire.FromAgent{Claimed: &wire.Claimed{Claims: claims}})
	}
	a.say(wire.FromAgent{Ports: &wire.Ports{}})
	heard(t, read) // and so all before it
	close(proceed)
	if n := <-sizes; n != wire.MaxClaims {
		t.Errorf("%d claims waited, want %d", n, wire.MaxClaims)
	}
}

// A guest that has come is told to the store, again if the agent says so again, and a failure ends nothing.
func TestArrived(t *testing.T) {
	w := newWorld(t, calm)
	calls := make(chan string, 100)
	failures := 1
	w.arrive = func(datapath string, as []wire.Arrival) ([]string, error) {
		if failures--; failures >= 0 {
			calls <- "failed"
			return nil, errors.New("no store")
		}
		calls <- fmt.Sprint(datapath, as)
		return []string{as[0].UUID}, nil
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	for _, want := range []string{"failed", "dp-0[{if-x tap0}]"} {
		a.say(wire.FromAgent{Arrived: &wire.Arrived{Interfaces: []wire.Arrival{{UUID: "if-x", Port: "tap0"}}}})
		select {
		case got := <-calls:
			if got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		case <-time.After(limit):
			t.Fatalf("no %s", want)
		}
	}
	w.log.saysSoon(t, "interfaces have moved to the host")
}

// What ports wait for during a move is looked at again when the move is over, or was cancelled.
func TestPlacedAgainAfterAMove(t *testing.T) {
	w := newWorld(t, calm)
	calls := make(chan string, 100)
	w.place = func(datapath string, _ wire.Ports) ([]wire.Problem, error) {
		calls <- datapath
		return nil, nil
	}
	next := func() {
		t.Helper()
		select {
		case <-calls:
		case <-time.After(limit):
			t.Fatal("the ports are not placed")
		}
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	a.say(wire.FromAgent{Ports: &wire.Ports{}})
	next()
	row := func(target, previous string) int64 {
		return w.commit(write(&model.ActiveInterface{Meta: model.Meta{UUID: "aif-x", ID: 1}, InterfaceUUID: "if-x", DatapathUUID: "dp-1", TargetDatapathUUID: target, PreviousDatapathUUID: previous}))
	}
	w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-x", ID: 1}, Mode: model.InterfaceVIF}))
	row("dp-0", "")
	row("", "")
	next()
	row("", "dp-0")
	row("", "")
	next()
}

// FuzzFromAgent gives a stream whatever bytes may come after the hello, or instead of it.
func FuzzFromAgent(f *testing.F) {
	f.Add([]byte(`{"ack":{"revision":1,"problems":[{"uuid":"if-1","reason":"no"}]}}`+"\n"+`{"ports":{"unplaced":["a"],"placed":["if-1"]}}`+"\n{}\n"), true)
	f.Add([]byte(`{"asked":{"interfaces":["if-1"]}}`+"\n"), true)
	f.Add([]byte(`{"arrived":{"interfaces":[{"uuid":"if-1","port":"tap0"}]}}`+"\n"), true)
	f.Add([]byte(`{"claimed":{"claims":[{"interface_uuid":"if-1","mac":"02:00:00:00:00:01","address":"fd00::1","gone":["fd00::2"]}]}}`+"\n"), true)
	f.Add([]byte(`{"hello":{"version":1,"node_id":"n","dpid":"0x1","instance":"i","uplink":{"mac":"02:00:00:00:00:01","addresses":["10.0.0.1/24"]}}}`+"\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, greeted bool) {
		h, err := New(Options{Store: &world{x: span.New(graph.New())}, App: &world{}, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		s := &stream{hub: h, log: quiet, cancel: func(error) {}, in: wire.NewReader[wire.FromAgent](bytes.NewReader(b)), heard: time.NewTimer(calm), report: make(chan struct{}, 1), come: make(chan struct{}, 1), want: make(chan struct{}, 1), word: make(chan struct{}, 1)}
		if !greeted {
			if hello, err := s.greet(); err == nil && (hello.DPID == 0 || hello.NodeID == "") {
				t.Errorf("accepted %+v", hello)
			}
			return
		}
		s.attached(span.NewView("dp-0"), 1)
		s.progress.sent = 5
		h.streams["dp-0"] = s
		if err := s.read(); err == nil {
			t.Error("the end of the stream has no reason")
		}
		if a := s.progress.acked; a < 0 || a > 5 {
			t.Errorf("acknowledged %d", a)
		}
		h.waiting.remove(s)
		if len(h.waiting) != 0 {
			t.Errorf("%d names are left", len(h.waiting))
		}
	})
}
