package forward

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/services/dns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a DNS server on an address of the loopback.
type server struct {
	addr    netip.Addr
	asked   atomic.Int64
	overTCP atomic.Int64
	answer  atomic.Pointer[func(w mdns.ResponseWriter, q *mdns.Msg)]
}

// does sets what the server does with a question.
func (s *server) does(f func(w mdns.ResponseWriter, q *mdns.Msg)) { s.answer.Store(&f) }

func (s *server) ServeDNS(w mdns.ResponseWriter, q *mdns.Msg) {
	s.asked.Add(1)
	if _, ok := w.LocalAddr().(*net.TCPAddr); ok {
		s.overTCP.Add(1)
	}
	(*s.answer.Load())(w, q)
}

// address answers with an address.
func address(a string) func(w mdns.ResponseWriter, q *mdns.Msg) {
	return func(w mdns.ResponseWriter, q *mdns.Msg) { _ = w.WriteMsg(reply(q, a)) }
}

func reply(q *mdns.Msg, a string) *mdns.Msg {
	m := new(mdns.Msg)
	m.SetReply(q)
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 60}, A: net.ParseIP(a).To4()}}
	return m
}

func silence(mdns.ResponseWriter, *mdns.Msg) {}

// code answers with a code alone.
func code(rcode int) func(w mdns.ResponseWriter, q *mdns.Msg) {
	return func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := new(mdns.Msg)
		m.SetRcode(q, rcode)
		_ = w.WriteMsg(m)
	}
}

// serve starts servers at 127.0.0.1 and on, all at one port.
func serve(t *testing.T, n int) ([]*server, uint16) {
	t.Helper()
	var servers []*server
	port := 0
	for i := range n {
		s := &server{addr: netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})}
		s.does(silence)
		pc, err := net.ListenPacket("udp", fmt.Sprintf("%s:%d", s.addr, port))
		if err != nil {
			t.Fatal(err)
		}
		port = pc.LocalAddr().(*net.UDPAddr).Port
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", s.addr, port))
		if err != nil {
			t.Fatal(err)
		}
		for _, srv := range []*mdns.Server{{PacketConn: pc, Handler: s}, {Listener: l, Handler: s}} {
			started, done := make(chan struct{}), make(chan struct{})
			srv.NotifyStartedFunc = func() { close(started) }
			go func() { defer close(done); _ = srv.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { _ = srv.Shutdown(); <-done })
		}
		servers = append(servers, s)
	}
	return servers, uint16(port)
}

// run starts a forwarder.
func run(t *testing.T, o Options) *Forwarder {
	t.Helper()
	f := New(o)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	until(t, "it runs", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.ctx != nil })
	return f
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// question gives a question as a zone that knows nothing hands it out.
func question(t *testing.T, name string, change ...func(*mdns.Msg)) *dns.Elsewhere {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(name), mdns.TypeA)
	for _, c := range change {
		c(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	_, e, v := dns.Respond(b, dns.NewZone(dns.Config{Forwards: true}), dns.Options{TCP: true})
	if e == nil {
		t.Fatal(v)
	}
	return e
}

type said struct {
	m mdns.Msg
	v dns.Verdict
}

func (s said) String() string {
	if len(s.m.Answer) > 0 {
		if a, ok := s.m.Answer[0].(*mdns.A); ok {
			return a.A.String()
		}
	}
	return mdns.RcodeToString[s.m.Rcode]
}

// ask asks, and gives where the answer will be.
func ask(t *testing.T, f *Forwarder, asker uint32, e *dns.Elsewhere, servers ...*server) chan said {
	t.Helper()
	c := make(chan said, 1)
	var addrs []netip.Addr
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	f.Ask(asker, e, addrs, func(b []byte, v dns.Verdict) {
		var s said
		if err := s.m.Unpack(b); err != nil {
			t.Error(err)
		}
		s.v = v
		c <- s
	})
	return c
}

func hear(t *testing.T, c chan said) said {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
		return said{}
	}
}

func TestAsksAndKeeps(t *testing.T) {
	servers, port := serve(t, 1)
	s := servers[0]
	s.does(address("192.0.2.1"))
	f := run(t, Options{Port: port})
	for i, want := range []dns.Verdict{dns.Forwarded, dns.Cached} {
		if a := hear(t, ask(t, f, 1, question(t, "www.example.org"), s)); a.String() != "192.0.2.1" || a.v != want {
			t.Errorf("%d: %s, %s", i, a, a.v)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// Other servers may say otherwise.
	if a := hear(t, ask(t, f, 1, question(t, "www.example.org"))); a.v != dns.Failed {
		t.Errorf("without servers: %s, %s", a, a.v)
	}
}

// Many who ask the same are told by one question.
func TestTheSameIsAskedOnce(t *testing.T) {
	servers, port := serve(t, 1)
	s := servers[0]
	hold := make(chan struct{})
	s.does(func(w mdns.ResponseWriter, q *mdns.Msg) { <-hold; address("192.0.2.1")(w, q) })
	f := run(t, Options{Port: port, Attempt: 5 * time.Second, Within: 9 * time.Second})
	var answers []chan said
	for i := range 50 {
		answers = append(answers, ask(t, f, uint32(i), question(t, "www.example.org", func(m *mdns.Msg) { m.Id = uint16(i) }), s))
	}
	close(hold)
	for i, c := range answers {
		if a := hear(t, c); a.String() != "192.0.2.1" || a.m.Id != uint16(i) {
			t.Errorf("%d: %s, id %d", i, a, a.m.Id)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A server that does not answer costs one question a pause; then it is left out, tried in the background, and asked again when it answers.
func TestFailOver(t *testing.T) {
	servers, port := serve(t, 2)
	first, second := servers[0], servers[1]
	second.does(address("192.0.2.2"))
	const pause = 500 * time.Millisecond
	f := run(t, Options{Port: port, Attempt: 200 * time.Millisecond, PauseFirst: pause, PauseLast: time.Second})
	n := 0
	next := func() *dns.Elsewhere { n++; return question(t, fmt.Sprintf("n%d.example.org", n)) }
	if a := hear(t, ask(t, f, 1, next(), first, second)); a.String() != "192.0.2.2" {
		t.Fatalf("the second server says %s", a)
	}
	before, began := first.asked.Load(), time.Now()
	for range 30 {
		if a := hear(t, ask(t, f, 1, next(), first, second)); a.String() != "192.0.2.2" {
			t.Fatalf("the second server says %s", a)
		}
	}
	tried := first.asked.Load() - before
	if _, _, paused := f.Load(); int(tried) > 1+int(time.Since(began)/pause) || paused != 1 {
		t.Errorf("a server that does not answer was asked %d times meanwhile; %d are left out", tried, paused)
	}
	first.does(address("192.0.2.1"))
	until(t, "the first server is asked again", func() bool { return hear(t, ask(t, f, 1, next(), first, second)).String() == "192.0.2.1" })
	if _, _, paused := f.Load(); paused != 0 {
		t.Errorf("%d are left out", paused)
	}
}

// A port where nobody listens is no reason to wait.
func TestUnreachable(t *testing.T) {
	servers, port := serve(t, 1)
	servers[0].does(address("192.0.2.1"))
	const attempt = 5 * time.Second
	f := run(t, Options{Port: port, Attempt: attempt, Within: 2 * attempt})
	nobody := &server{addr: netip.MustParseAddr("127.0.0.9")}
	began := time.Now()
	if a := hear(t, ask(t, f, 1, question(t, "a.example.org"), nobody, servers[0])); a.String() != "192.0.2.1" {
		t.Errorf("says %s", a)
	}
	if a := hear(t, ask(t, f, 1, question(t, "b.example.org"), nobody)); a.String() != "SERVFAIL" || a.v != dns.Failed {
		t.Errorf("says %s, %s", a, a.v)
	}
	if d := time.Since(began); d > attempt {
		t.Errorf("took %s", d)
	}
}

func TestServersThatAreOfNoUse(t *testing.T) {
	for name, does := range map[string]func(w mdns.ResponseWriter, q *mdns.Msg){
		"fail":   code(mdns.RcodeServerFailure),
		"refuse": code(mdns.RcodeRefused),
		"lie about the question": func(w mdns.ResponseWriter, q *mdns.Msg) {
			m := reply(q, "192.0.2.66")
			m.Question[0].Name = "bank.example."
			_ = w.WriteMsg(m)
		},
		"guess": func(w mdns.ResponseWriter, q *mdns.Msg) {
			m := reply(q, "192.0.2.66")
			m.Id++
			_ = w.WriteMsg(m)
		},
		"send noise": func(w mdns.ResponseWriter, _ *mdns.Msg) { _, _ = w.Write([]byte("noise")) },
	} {
		t.Run(name, func(t *testing.T) {
			servers, port := serve(t, 2)
			servers[0].does(does)
			servers[1].does(address("192.0.2.2"))
			o := Options{Port: port, Attempt: 100 * time.Millisecond}
			if a := hear(t, ask(t, run(t, o), 1, question(t, "www.example.org"), servers...)); a.String() != "192.0.2.2" {
				t.Errorf("the second server says %s", a)
			}
			o.Within = 300 * time.Millisecond
			if a := hear(t, ask(t, run(t, o), 1, question(t, "b.example.org"), servers[0])); a.String() != "SERVFAIL" {
				t.Errorf("alone: %s", a)
			}
		})
	}
}

// What comes from elsewhere is not heard, and the true answer is, that comes later.
func TestGuessesDoNotCount(t *testing.T) {
	servers, port := serve(t, 1)
	servers[0].does(func(w mdns.ResponseWriter, q *mdns.Msg) {
		for i := range 10 {
			m := reply(q, "192.0.2.66")
			m.Id += uint16(i + 1)
			_ = w.WriteMsg(m)
		}
		if pc, err := net.ListenPacket("udp", "127.0.0.7:0"); err == nil {
			defer pc.Close()
			b, _ := reply(q, "192.0.2.66").Pack()
			_, _ = pc.WriteTo(b, w.RemoteAddr())
		}
		address("192.0.2.1")(w, q)
	})
	f := run(t, Options{Port: port})
	if a := hear(t, ask(t, f, 1, question(t, "www.example.org"), servers[0])); a.String() != "192.0.2.1" {
		t.Errorf("says %s", a)
	}
}

// A long answer comes over TCP, and a server that knows no EDNS is asked without.
func TestLongAnswersAndOldServers(t *testing.T) {
	servers, port := serve(t, 2)
	long, old := servers[0], servers[1]
	long.does(func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := reply(q, "192.0.2.1")
		for range 200 {
			m.Answer = append(m.Answer, m.Answer[0])
		}
		if _, ok := w.LocalAddr().(*net.UDPAddr); ok {
			m.Truncate(512)
		}
		_ = w.WriteMsg(m)
	})
	old.does(func(w mdns.ResponseWriter, q *mdns.Msg) {
		if q.IsEdns0() != nil {
			m := new(mdns.Msg)
			m.SetRcodeFormatError(q)
			_ = w.WriteMsg(m)
			return
		}
		address("192.0.2.2")(w, q)
	})
	f := run(t, Options{Port: port})
	if a := hear(t, ask(t, f, 1, question(t, "www.example.org"), long)); len(a.m.Answer) != 201 || a.m.Truncated || long.overTCP.Load() != 1 {
		t.Errorf("%d records, %d times over TCP", len(a.m.Answer), long.overTCP.Load())
	}
	if a := hear(t, ask(t, f, 1, question(t, "www.example.org"), old)); a.String() != "192.0.2.2" {
		t.Errorf("says %s", a)
	}
}

// A loss costs a moment, also with one server.
func TestLoss(t *testing.T) {
	servers, port := serve(t, 1)
	var lost atomic.Bool
	servers[0].does(func(w mdns.ResponseWriter, q *mdns.Msg) {
		if lost.Swap(true) {
			address("192.0.2.1")(w, q)
		}
	})
	f := run(t, Options{Port: port, Attempt: 50 * time.Millisecond})
	if a := hear(t, ask(t, f, 1, question(t, "www.example.org"), servers[0])); a.String() != "192.0.2.1" {
		t.Errorf("says %s", a)
	}
}

// One who asks for too much is refused; others are not. Nobody waits for longer than the limit.
func TestBounds(t *testing.T) {
	servers, port := serve(t, 1)
	f := run(t, Options{Port: port, Outstanding: 30, PerAsker: 20, Attempt: time.Second, Within: 3 * time.Second})
	var answers []chan said
	for i := range 100 {
		answers = append(answers, ask(t, f, 1, question(t, fmt.Sprintf("n%d.example.org", i)), servers[0]))
	}
	for i := range 20 {
		answers = append(answers, ask(t, f, 2, question(t, fmt.Sprintf("m%d.example.org", i)), servers[0]))
	}
	got := map[dns.Verdict]int{}
	for _, c := range answers {
		a := hear(t, c)
		got[a.v]++
		if a.String() != "SERVFAIL" {
			t.Errorf("says %s", a)
		}
	}
	if got[dns.Limited] != 90 || got[dns.Failed] != 30 {
		t.Errorf("%v", got)
	}
	if waiting, _, _ := f.Load(); waiting != 0 {
		t.Errorf("%d wait", waiting)
	}
}

func TestStop(t *testing.T) {
	servers, port := serve(t, 1)
	f := New(Options{Port: port, Attempt: 20 * time.Second, Within: 30 * time.Second})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	until(t, "it runs", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.ctx != nil })
	c := ask(t, f, 1, question(t, "www.example.org"), servers[0])
	stop()
	<-done
	if a := hear(t, c); a.String() != "SERVFAIL" {
		t.Errorf("says %s", a)
	}
	if a := hear(t, ask(t, f, 1, question(t, "b.example.org"), servers[0])); a.v != dns.Failed {
		t.Errorf("after the end: %s", a.v)
	}
}

func TestConnections(t *testing.T) {
	ours, theirs := net.Pipe()
	var mu sync.Mutex
	held := []func([]byte){}
	served := make(chan error, 1)
	go func() {
		served <- Serve(t.Context(), ours, func(q []byte, done func([]byte)) {
			switch {
			case strings.HasPrefix(string(q), "later"):
				mu.Lock()
				held = append(held, done)
				mu.Unlock()
			case string(q) == "none":
				done(nil)
			default:
				done([]byte("to " + string(q)))
			}
		})
	}()
	send := func(q string) {
		t.Helper()
		if _, err := theirs.Write(append([]byte{0, byte(len(q))}, q...)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		if b, err := readMessage(theirs); err != nil || string(b) != want {
			t.Fatalf("%q, %v; want %q", b, err, want)
		}
	}
	if err := theirs.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	send("a")
	expect("to a")
	send("later")
	send("none")
	send("b")
	expect("to b") // before what was asked before
	mu.Lock()
	held[0]([]byte("at last"))
	held = nil
	mu.Unlock()
	expect("at last")
	// No more questions are read than may wait.
	for range maxPipelined {
		send("later")
	}
	until(t, "all wait", func() bool { mu.Lock(); defer mu.Unlock(); return len(held) == maxPipelined })
	more := make(chan struct{})
	go func() { defer close(more); _, _ = theirs.Write([]byte{0, 1, 'x'}) }()
	select {
	case <-more:
		t.Fatal("more is read")
	case <-time.After(50 * time.Millisecond):
	}
	mu.Lock()
	for _, done := range held {
		done([]byte("ok"))
	}
	mu.Unlock()
	answers := map[string]int{} // in whatever order
	for range maxPipelined + 1 {
		b, err := readMessage(theirs)
		if err != nil {
			t.Fatal(err)
		}
		answers[string(b)]++
	}
	if <-more; answers["ok"] != maxPipelined || answers["to x"] != 1 {
		t.Errorf("%v", answers)
	}
	theirs.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
