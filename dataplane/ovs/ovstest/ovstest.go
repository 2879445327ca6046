// Package ovstest gives tests a switch in memory with a session of dataplane/ovs, for what works on the packets that a switch sends up and puts
// packets into it, where Open vSwitch itself is not the point. Imported by tests only.
package ovstest

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/ofctl/oftest"
)

// Port is a port of the switch.
type Port struct {
	Number uint32
	Tunnel bool
}

// Frame is a frame that comes in or goes out.
type Frame struct {
	Port uint32
	Data []byte
	// Of a tunnel port.
	Key    uint64
	Remote netip.Addr
}

// Switch is a switch in memory.
type Switch struct {
	*oftest.Switch
	target string

	mu   sync.Mutex
	sent []Frame
	news chan struct{}
}

// New starts a switch, until the test ends.
func New(t testing.TB, ports ...Port) *Switch {
	t.Helper()
	return NewWith(t, Options{}, ports...)
}

// Options say what is otherwise with a switch.
type Options struct {
	NoND bool // its datapath has no extensions of neighbour discovery
}

// NewWith starts a switch with options, until the test ends.
func NewWith(t testing.TB, o Options, ports ...Port) *Switch {
	t.Helper()
	s := &Switch{news: make(chan struct{}, 1), target: filepath.Join(t.TempDir(), "mgmt")}
	opt := oftest.Options{NoND: o.NoND, Sent: func(_ *ofp.PacketOut, r oftest.Result) { s.note(t, r) }}
	for _, p := range ports {
		q := oftest.Port{No: flow.Port(p.Number)}
		if p.Tunnel {
			q.Kind = oftest.PortTunnel
		}
		opt.Ports = append(opt.Ports, q)
	}
	s.Switch = oftest.New(opt)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", s.target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// Target is where the switch is, as ovs.Dial takes it.
func (s *Switch) Target() string { return "unix:" + s.target }

// Dial gives a session, which runs until the test ends. take gets the packets that the switch sends up.
func (s *Switch) Dial(t testing.TB, take func(ovs.Packet)) *ovs.Switch {
	t.Helper()
	sw, err := ovs.Dial(t.Context(), s.Target(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sw.Run(ctx) })
	running.Go(func() { sw.Serve(take) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return sw
}

// Load gives the switch what a state holds.
func Load(t testing.TB, sw *ovs.Switch, full *state.Full) {
	t.Helper()
	refused, _, err := sw.Sync(t.Context(), full, false)
	if err != nil || len(refused) > 0 {
		t.Fatalf("the switch cannot be loaded: %v, refused %v", err, refused)
	}
}

// Receive lets a frame come in and gives the frames that go out. Packets for the agent go to the session.
func (s *Switch) Receive(t testing.TB, f Frame) []Frame {
	t.Helper()
	r := s.Process(oftest.Packet{InPort: flow.Port(f.Port), Frame: f.Data, Tunnel: oftest.Tunnel{ID: f.Key, Src: f.Remote}})
	return frames(t, r)
}

func frames(t testing.TB, r oftest.Result) []Frame {
	t.Helper()
	for _, e := range r.Errors {
		t.Errorf("the switch: %s", e)
	}
	var out []Frame
	for _, o := range r.Outputs {
		out = append(out, Frame{Port: uint32(o.Port), Data: o.Frame, Key: o.Tunnel.ID, Remote: o.Tunnel.Dst})
	}
	return out
}

// note keeps what has become of a frame of the agent.
func (s *Switch) note(t testing.TB, r oftest.Result) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, frames(t, r)...)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Sent waits for frames that the agent has put into the switch to go out, and gives the first for which want says yes, and takes it away with all before it. nil if
// the context ends first.
func (s *Switch) Sent(ctx context.Context, want func(Frame) bool) *Frame {
	for {
		s.mu.Lock()
		for i, f := range s.sent {
			if want(f) {
				s.sent = s.sent[i+1:]
				s.mu.Unlock()
				return &f
			}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-s.news:
		}
	}
}
