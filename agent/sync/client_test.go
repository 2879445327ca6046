package sync_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/agent/sync"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestSnapshotThenDeltas(t *testing.T) {
	s, h := newScript(t), newRecorder()
	start(t, h, nil, s.url)
	p := s.next()
	if diff := cmp.Diff(wire.Hello{Version: wire.Version, NodeID: "node1", DPID: 1, Instance: "i"}, p.hello); diff != "" {
		t.Errorf("hello (-want +got):\n%s", diff)
	}
	p.say(welcome(), objects(object("nw-a", 3)), wire.FromManager{}, objects(object("nw-b", 4)), bookmark(7))
	h.expect(t, "snapshot 7 s dp-1 [nw-a@3 nw-b@4]")
	p.say(deltaOf(wire.Delta{Revision: 9, Upserts: []wire.Object{object("nw-a", 9)}, Deletes: []string{"nw-b"}}))
	h.expect(t, "delta 9 [nw-a@9] [nw-b]")
}

func TestPartsAreJoined(t *testing.T) {
	s, h := newScript(t), newRecorder()
	start(t, h, nil, s.url)
	p := s.next()
	p.say(welcome(), bookmark(1))
	h.expect(t, "snapshot 1 s dp-1 []")
	p.say(deltaOf(wire.Delta{Revision: 5, Upserts: []wire.Object{object("nw-a", 4)}, More: true}))
	p.say(wire.FromManager{}, deltaOf(wire.Delta{Revision: 5, Upserts: []wire.Object{object("nw-b", 5)}, Deletes: []string{"nw-x"}, More: true}))
	h.expectNothing(t)
	p.say(deltaOf(wire.Delta{Revision: 5, Deletes: []string{"nw-y"}}))
	h.expect(t, "delta 5 [nw-a@4 nw-b@5] [nw-x nw-y]")
}

// What is cut off is never handed over; a new stream begins with a whole snapshot.
func TestCutOff(t *testing.T) {
	for name, before := range map[string][]any{
		"before the welcome": {},
		"before a snapshot":  {welcome()},
		"in a snapshot":      {welcome(), objects(object("nw-a", 3))},
		"in a line":          {welcome(), objects(object("nw-a", 3)), []byte(`{"bookmark":{"revision":7}}`)},
		"in a delta":         {welcome(), bookmark(2), deltaOf(wire.Delta{Revision: 5, Upserts: []wire.Object{object("nw-a", 4)}, More: true})},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := newScript(t), newRecorder()
			start(t, h, nil, s.url)
			p := s.next()
			p.say(before...)
			p.end()
			p = s.next()
			if name == "in a delta" {
				h.expect(t, "snapshot 2 s dp-1 []")
			}
			if name == "in a line" {
				h.expect(t, "snapshot 7 s dp-1 [nw-a@3]") // the line was whole but for its end
			}
			h.expectNothing(t)
			p.say(welcome(), objects(object("nw-b", 8)), bookmark(8))
			h.expect(t, "snapshot 8 s dp-1 [nw-b@8]")
		})
	}
}

// Whatever is against the protocol ends the stream with a reason, and changes nothing.
func TestBreaches(t *testing.T) {
	started := []any{welcome(), bookmark(5)}
	for name, test := range map[string]struct {
		say  []any
		want string
	}{
		"no JSON":                {append(started, []byte("hello\n")), "malformed message"},
		"truncated JSON":         {append(started, []byte(`{"delta":{"revision":6`+"\n")), "malformed message"},
		"of another type":        {append(started, []byte(`{"delta":{"revision":"6"}}`+"\n")), "malformed message"},
		"too long":               {append(started, bytes.Repeat([]byte(" "), wire.MaxLine+10)), "longer than"},
		"HTTP/1 of another kind": {[]any{[]byte("<html></html>\n")}, "malformed message"},
		"no welcome":             {[]any{bookmark(5)}, "not a welcome"},
		"second welcome":         {append(started, welcome()), "second welcome"},
		"welcome of no host":     {[]any{[]byte(`{"welcome":{"datapath":"x","store":"s"}}` + "\n")}, "uuid of a datapath"},
		"welcome of no store":    {[]any{[]byte(`{"welcome":{"datapath":"dp-1"}}` + "\n")}, "store is not set"},
		"two in one":             {append(started, []byte(`{"bookmark":{"revision":6},"delta":{"revision":6}}`+"\n")), "several messages"},
		"second bookmark":        {append(started, bookmark(6)), "second bookmark"},
		"bookmark of nothing":    {[]any{welcome(), bookmark(0)}, "revision 0"},
		"late objects":           {append(started, objects(object("nw-a", 1))), "after the bookmark"},
		"twice in a snapshot":    {[]any{welcome(), objects(object("nw-a", 1), object("nw-a", 2)), bookmark(3)}, "comes twice"},
		"delta too early":        {[]any{welcome(), deltaOf(wire.Delta{Revision: 1})}, "before the bookmark"},
		"delta of the past":      {append(started, deltaOf(wire.Delta{Revision: 5})), "after revision 5"},
		"parts of two deltas": {append(started, deltaOf(wire.Delta{Revision: 6, More: true}), deltaOf(wire.Delta{Revision: 7})),
			"a part of revision 7 within a delta of revision 6"},
		"unknown resource":      {append(started, deltaOf(wire.Delta{Revision: 6, Upserts: []wire.Object{object("zz-a", 6)}})), "no resource has the prefix"},
		"unknown member":        {append(started, []byte(`{"delta":{"revision":6,"upserts":[{"revision":6,"value":{"uuid":"nw-a","x":1}}]}}`+"\n")), `unknown field`},
		"bad uuid":              {append(started, deltaOf(wire.Delta{Revision: 6, Upserts: []wire.Object{object("nw-A/B", 6)}})), "is not the uuid"},
		"refused":               {[]any{wire.FromManager{Refused: &wire.Refused{Reason: "two of you"}}}, "the manager refuses: two of you"},
		"refused in the middle": {append(started, wire.FromManager{Refused: &wire.Refused{Reason: "replaced"}}), "the manager refuses: replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := newScript(t), newRecorder()
			var log lines
			c := start(t, h, func(o *sync.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }, s.url)
			p := s.next()
			p.say(test.say...)
			p.ended()
			s.next()
			if st := c.State(); st.Connected || !strings.Contains(st.Reason, test.want) {
				t.Errorf("state %+v, want a reason with %q", st, test.want)
			}
			if fmt.Sprint(test.say[:min(2, len(test.say))]) == fmt.Sprint(started) {
				h.expect(t, "snapshot 5 s dp-1 []")
			}
			h.expectNothing(t)
			wait.For(t, limit, "the log", func() error {
				if !strings.Contains(log.String(), "stream with the manager lost") {
					return fmt.Errorf("it says %q", log.String())
				}
				return nil
			})
		})
	}
}

// lines is a log in memory.
type lines struct {
	mu stdsync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAnswersThatAreNoStream(t *testing.T) {
	for name, test := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"not found": {http.NotFound, "404 Not Found: 404 page not found"},
		"a page":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, `of type "text/html`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRecorder()
			c := start(t, h, nil, serve(t, test.h))
			wait.For(t, limit, "the reason", func() error {
				if r := c.State().Reason; !strings.Contains(r, test.want) {
					return fmt.Errorf("reason %q, want %q", r, test.want)
				}
				return nil
			})
			h.expectNothing(t)
		})
	}
}

func TestManagersInTurn(t *testing.T) {
	a, b, h := newScript(t), newScript(t), newRecorder()
	dead := "http://127.0.0.1:1"
	c := start(t, h, func(o *sync.Options) { o.MaxRetry = time.Minute }, dead, a.url, b.url) // no stream counts as a long one
	p := a.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	connected(t, c)
	if m := c.State().Manager; m != a.url {
		t.Errorf("connected to %s, want %s", m, a.url)
	}
	p.end()
	b.next().say(welcome(), bookmark(6))
	h.expect(t, "snapshot 6 s dp-1 []")
}

// After a long stream its manager is the first to be tried again.
func TestSameManagerFirst(t *testing.T) {
	a, b, h := newScript(t), newScript(t), newRecorder()
	start(t, h, func(o *sync.Options) { o.MaxRetry = 10 * time.Millisecond }, a.url, b.url)
	p := a.next()
	p.say(welcome(), bookmark(5))
	<-time.After(50 * time.Millisecond)
	p.end()
	select {
	case <-a.streams:
	case <-b.streams:
		t.Error("the other manager was tried first")
	}
}

func TestAckAndPorts(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	c.Ack(wire.Ack{Revision: 1}) // nothing was handed over
	c.Ports(wire.Ports{Unplaced: []string{"tap0"}})
	p := s.next()
	p.say(welcome())
	if diff := cmp.Diff([]string{"tap0"}, receive(t, p.said, "ports").Ports.Unplaced); diff != "" {
		t.Error(diff)
	}
	c.Ack(wire.Ack{Revision: 1})
	p.say(objects(object("nw-a", 1)), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 [nw-a@1]")
	c.Ack(wire.Ack{Revision: 4}) // of an earlier stream
	c.Ack(wire.Ack{Revision: 6}) // of no stream
	c.Ack(wire.Ack{Revision: 5, Problems: []wire.Problem{{UUID: "nw-a", Reason: "no"}}})
	got := receive(t, p.said, "acknowledgement")
	if diff := cmp.Diff(&wire.Ack{Revision: 5, Problems: []wire.Problem{{UUID: "nw-a", Reason: "no"}}}, got.Ack); diff != "" {
		t.Error(diff)
	}
	// On a new stream the ports are said again, the acknowledgement is not.
	p.end()
	p = s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	if m := receive(t, p.said, "ports"); m.Ports == nil || m.Ack != nil {
		t.Errorf("got %+v, want ports", m)
	}
	c.Ack(wire.Ack{Revision: 5})
	if m := receive(t, p.said, "acknowledgement"); m.Ack == nil {
		t.Errorf("got %+v, want an acknowledgement", m)
	}
}

// What guests have come is said at once, each once, and not on a later stream.
func TestArrived(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	a, b := wire.Arrival{UUID: "if-a", Port: "tap0"}, wire.Arrival{UUID: "if-b", Port: "tap1"}
	c.Arrived(a) // to nobody
	p := s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	c.Arrived(b)
	if got := receive(t, p.said, "arrival"); got.Arrived == nil || !cmp.Equal(got.Arrived.Interfaces, []wire.Arrival{b}) {
		t.Errorf("got %+v", got)
	}
	for range 2 * wire.MaxArrived {
		c.Arrived(a)
	}
	if got := receive(t, p.said, "arrival"); got.Arrived == nil || !cmp.Equal(got.Arrived.Interfaces, []wire.Arrival{a}) {
		t.Errorf("got %+v", got)
	}
}

// What guests ask for is said at once, of each family, each once.
func TestAsked(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	p := s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	c.Asked("if-a", 4)
	if got := receive(t, p.said, "question"); got.Asked == nil || !cmp.Equal(*got.Asked, wire.Asked{Interfaces: []string{"if-a"}}) {
		t.Errorf("got %+v", got)
	}
	c.Asked("if-a", 6)
	if got := receive(t, p.said, "question"); got.Asked == nil || !cmp.Equal(*got.Asked, wire.Asked{Interfaces6: []string{"if-a"}}) {
		t.Errorf("got %+v", got)
	}
	var many []string
	for i := range 2 * wire.MaxAsked {
		c.Asked(fmt.Sprint("if-", i/2), 4+i%2*2)
	}
	for len(many) < wire.MaxAsked {
		got := receive(t, p.said, "questions")
		if got.Asked == nil || len(got.Asked.Interfaces)+len(got.Asked.Interfaces6) > wire.MaxAsked {
			t.Fatalf("got %+v", got)
		}
		many = append(append(many, got.Asked.Interfaces...), got.Asked.Interfaces6...)
	}
}

// What guests have said of their leases is said at once, of each lease the last word, and not on a later stream.
func TestLeases(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	c.Lease("il-a", true) // to nobody
	p := s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	c.Lease("il-b", false)
	if got := receive(t, p.said, "word"); got.Leases == nil || !cmp.Equal(*got.Leases, wire.Leases{Renewed: []string{"il-b"}}) {
		t.Errorf("got %+v", got)
	}
	c.Lease("il-b", true)
	if got := receive(t, p.said, "word"); got.Leases == nil || !cmp.Equal(*got.Leases, wire.Leases{Released: []string{"il-b"}}) {
		t.Errorf("got %+v", got)
	}
}

// What guests claim is said at once, and not on a later stream, where the same claim is said again when the guest makes it again.
func TestClaimed(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	claim := wire.Claim{InterfaceUUID: "if-a", MAC: model.MAC{2, 0, 0, 0, 0, 1}, Address: netip.MustParseAddr("fd00::1"), Gone: []netip.Addr{netip.MustParseAddr("fd00::2")}}
	c.Claimed(claim) // to nobody
	for range 2 {
		p := s.next()
		p.say(welcome(), bookmark(5))
		h.expect(t, "snapshot 5 s dp-1 []")
		c.Claimed(claim)
		if got := receive(t, p.said, "claim"); got.Claimed == nil || !cmp.Equal(got.Claimed.Claims, []wire.Claim{claim}, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
			t.Errorf("got %+v", got)
		}
		p.end()
	}
}

// What the agent says fits into a line, however much it is, and the last word wins.
func TestMuchToSay(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, nil, s.url)
	p := s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	var a wire.Ack
	var ports wire.Ports
	for i := range 30_000 {
		a.Problems = append(a.Problems, wire.Problem{UUID: fmt.Sprintf("if-%d", i), Reason: strings.Repeat("<&>", 100)})
		ports.Unplaced = append(ports.Unplaced, strings.Repeat("p", 30))
	}
	a.Revision = 5
	a.Revision = 5
	c.Ack(a)
	if got := receive(t, p.said, "acknowledgement"); got.Ack == nil || len(got.Ack.Problems) != 20_000 {
		t.Errorf("got %.100v", got)
	} else if b, err := json.Marshal(got); err != nil || len(b) > wire.MaxLine {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	c.Ports(ports)
	if got := receive(t, p.said, "ports"); got.Ports == nil || len(got.Ports.Unplaced) != len(ports.Unplaced) {
		t.Errorf("got %.100v", got)
	}
	ports.Placed = append(ports.Placed, strings.Repeat("x", wire.MaxLine))
	c.Ports(ports) // too long to be said
	for range 1000 {
		c.Ack(wire.Ack{Revision: 5, Problems: []wire.Problem{{UUID: "if-x"}}})
	}
	c.Ack(wire.Ack{Revision: 5})
	wait.For(t, limit, "the last acknowledgement", func() error {
		if m := receive(t, p.said, "acknowledgement"); len(m.Ack.Problems) > 0 {
			return fmt.Errorf("got %+v", m.Ack)
		}
		return nil
	})
}

func TestSilenceEndsTheStream(t *testing.T) {
	s, h := newScript(t), newRecorder()
	c := start(t, h, func(o *sync.Options) { o.Interval = 300 * time.Millisecond }, s.url)
	p := s.next()
	p.say(welcome(), bookmark(5))
	h.expect(t, "snapshot 5 s dp-1 []")
	receive(t, p.pings, "ping")
	p.ended()
	s.next()
	if r := c.State().Reason; !strings.Contains(r, "silent") {
		t.Errorf("reason %q", r)
	}
}

// The agent's own end is a closed request, not a lost connection.
func TestEndIsInOrder(t *testing.T) {
	s, h := newScript(t), newRecorder()
	var ends <-chan struct{}
	t.Run("agent", func(t *testing.T) {
		start(t, h, nil, s.url)
		p := s.next()
		p.say(welcome(), bookmark(5))
		h.expect(t, "snapshot 5 s dp-1 []")
		ends = p.gone
	})
	receive(t, ends, "end of the stream")
}

func TestOptions(t *testing.T) {
	good := sync.Options{Managers: []string{"http://127.0.0.1:9090"}, Hello: func() wire.Hello { return wire.Hello{} }, Handler: newRecorder(), Log: slog.New(slog.DiscardHandler)}
	if _, err := sync.New(good); err != nil {
		t.Errorf("good options: %v", err)
	}
	for name, change := range map[string]func(*sync.Options){
		"no manager": func(o *sync.Options) { o.Managers = nil },
		"no scheme":  func(o *sync.Options) { o.Managers = []string{"127.0.0.1:9090"} },
		"ftp":        func(o *sync.Options) { o.Managers = []string{"ftp://127.0.0.1"} },
		"path":       func(o *sync.Options) { o.Managers = []string{"http://127.0.0.1/api"} },
		"no hello":   func(o *sync.Options) { o.Hello = nil },
		"no handler": func(o *sync.Options) { o.Handler = nil },
		"no log":     func(o *sync.Options) { o.Log = nil },
	} {
		o := good
		if change(&o); true {
			if _, err := sync.New(o); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}
