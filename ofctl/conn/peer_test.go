package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen serves one connection with handle and gives the target to dial.
func listen(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		handle(c)
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return "unix:" + path
}

func send(c net.Conn, xid uint32, m ofp.Message) {
	b, err := ofp.Append(nil, xid, m)
	if err != nil {
		panic(err)
	}
	c.Write(b)
}

// fakeSwitch says hello and then calls handle for each message.
func fakeSwitch(handle func(c net.Conn, xid uint32, m ofp.Message)) func(net.Conn) {
	return func(c net.Conn) {
		send(c, 1, &ofp.Hello{Versions: ofp.VersionBit})
		r := newMessageReader(c)
		for {
			h, m, err := r.next()
			if err != nil {
				return
			}
			handle(c, h.XID, m)
		}
	}
}

func TestGarbagePeer(t *testing.T) {
	t.Run("instead of hello", func(t *testing.T) {
		for seed := range uint64(100) {
			random := rand.NewChaCha8([32]byte{byte(seed), 1})
			target := listen(t, func(c net.Conn) { io.CopyN(c, random, 1<<20) })
			_, err := Dial(t.Context(), target, Options{DialTimeout: 300 * time.Millisecond})
			if err == nil {
				t.Fatal("no error")
			}
			if seed < 3 {
				t.Log(err)
			}
		}
	})
	texts := []struct{ name, peer, want string }{
		{"http", "HTTP/1.1 400 Bad Request\r\n\r\n", "garbage from the peer: OpenFlow version 0x48"},
		{"zero length", "\x06\x00\x00\x00\x00\x00\x00\x00", "garbage from the peer: OpenFlow message of length 0"},
		{"nothing", "", "closed the connection"},
		{"half", "\x06\x00\x00\x10\x00\x00", "unexpected EOF"},
		{"barrier", "\x06\x14\x00\x08\x00\x00\x00\x00", "the peer began with a barrier-request"},
		{"version 1.0", "\x01\x00\x00\x08\x00\x00\x00\x00", "the switch speaks OpenFlow 1.0, not OpenFlow 1.5"},
		{"error", "\x06\x01\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00oops", "OFPHFC_INCOMPATIBLE: oops"},
	}
	for _, test := range texts {
		t.Run(test.name, func(t *testing.T) {
			target := listen(t, func(c net.Conn) {
				io.ReadFull(c, make([]byte, 16)) // our hello: unread data would turn the close into a reset
				io.WriteString(c, test.peer)
			})
			_, err := Dial(t.Context(), target, Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	t.Run("after hello", func(t *testing.T) {
		for seed := range uint64(100) {
			random := rand.NewChaCha8([32]byte{byte(seed), 2})
			target := listen(t, func(c net.Conn) {
				send(c, 1, &ofp.Hello{Versions: ofp.VersionBit})
				io.CopyN(c, random, 1<<20)
			})
			c, err := Dial(t.Context(), target, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	})
	t.Run("well formed headers", func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 3))
			target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
				for range 20 {
					b := make([]byte, 8+8*r.IntN(20))
					for i := range b {
						b[i] = byte(r.Uint32() >> (r.IntN(3) * 8))
					}
					copy(b, []byte{6, byte(r.IntN(36)), byte(len(b) >> 8), byte(len(b)), 0, 0, 0, byte(xid)})
					c.Write(b)
				}
			}))
			c := dialAndRun(t, target, Options{})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			c.DumpFlows(ctx, FlowFilter{})
			c.Bundle(ctx, badFlows(3, nil, nil), BundleOptions{Atomic: true})
			cancel()
		}
	})
}

func TestBadTargets(t *testing.T) {
	for target, want := range map[string]string{
		"":                          "not of the form",
		"unix":                      "not of the form",
		"udp:1.2.3.4:5":             "not of the form",
		"ssl:127.0.0.1:1":           "without TLS configuration",
		"tcp:127.0.0.1:1":           "refused",
		"unix:/nonexistent/br.mgmt": "no such file",
	} {
		if _, err := Dial(t.Context(), target, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", target, err, want)
		}
	}
}

// The peer never says hello: Dial gives up in time.
func TestSilentDial(t *testing.T) {
	done := make(chan struct{})
	target := listen(t, func(net.Conn) { <-done })
	defer close(done)
	_, err := Dial(t.Context(), target, Options{DialTimeout: 50 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestEcho(t *testing.T) {
	answers := make(chan []byte, 1)
	target := listen(t, func(nc net.Conn) {
		fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
			switch m := m.(type) {
			case *ofp.Hello:
				send(c, 99, &ofp.EchoRequest{Data: []byte("ping")})
			case *ofp.EchoReply:
				answers <- append(m.Data, byte(xid))
			}
		})(nc)
	})
	dialAndRun(t, target, Options{})
	if got := receive(t, answers); !bytes.Equal(got, []byte("ping\x63")) {
		t.Errorf("echo reply %q", got)
	}
}

// A switch that answers echoes keeps the session; one that is silent loses it.
func TestKeepAlive(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprintf("answers %v", answers), func(t *testing.T) {
			target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
				if _, ok := m.(*ofp.EchoRequest); ok && answers {
					send(c, xid, &ofp.EchoReply{})
				}
			}))
			c, err := Dial(t.Context(), target, Options{EchoInterval: 20 * time.Millisecond, EchoTimeout: 40 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err = c.Run(ctx)
			if answers != errors.Is(err, context.DeadlineExceeded) || !answers && !strings.Contains(err.Error(), "silent for") {
				t.Error(err)
			}
		})
	}
}

// A switch that refuses every message, and does not read on before its errors are taken, must not lock up with a large
// bundle.
func TestNoDeadlock(t *testing.T) {
	const n = 50000
	reason := ofp.Error{Type: ofp.ErrFlowModFailed, Code: 1, Data: make([]byte, 64)}
	target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
		switch m := m.(type) {
		case *ofp.BundleControl:
			send(c, xid, &ofp.BundleControl{ID: m.ID, Type: m.Type + 1})
		case *ofp.BundleAdd:
			send(c, xid, &reason)
		case *ofp.BarrierRequest:
			send(c, xid, &ofp.BarrierReply{})
			send(c, xid, &ofp.BarrierReply{}) // twice: the second is nobody's
		}
	}))
	c := dialAndRun(t, target, Options{})
	err := c.Bundle(t.Context(), badFlows(n, nil, nil), BundleOptions{Atomic: true})
	var failed *ApplyError
	if !errors.As(err, &failed) || len(failed.Failed) != n || failed.Applied || failed.Failed[n-1].Index != n-1 {
		t.Errorf("%v", err)
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
}

// Packets that nobody takes are dropped and counted, and keep no answer and no event from who waits for it.
func TestPacketsKeepNothingWaiting(t *testing.T) {
	const n, room = 20_000, 16
	target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
		if _, ok := m.(*ofp.BarrierRequest); !ok {
			return
		}
		for range n {
			send(c, 0, &ofp.PacketIn{Data: make([]byte, 60), Length: 60})
		}
		send(c, 0, &ofp.PortStatus{})
		send(c, xid, &ofp.BarrierReply{})
	}))
	c := dialAndRun(t, target, Options{PacketIns: room})
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := (<-c.Events()).(*ofp.PortStatus); !ok {
		t.Error("the state of a port was lost")
	}
	if dropped := c.Counters().DroppedPacketIns; dropped != n-room {
		t.Errorf("%d packets are counted as dropped, want %d", dropped, n-room)
	}
}

// Packets to a switch that reads none find no room in the end, and do not wait for longer than they may. What has waited is sent together, in order.
func TestPacketsToASlowSwitch(t *testing.T) {
	release := make(chan struct{})
	var got []byte
	target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
		<-release
		switch m := m.(type) {
		case *ofp.PacketOut:
			got = append(got, m.Data[0])
		case *ofp.BarrierRequest:
			send(c, xid, &ofp.BarrierReply{})
		}
	}))
	c := dialAndRun(t, target, Options{PacketOutWait: 10 * time.Millisecond})
	taken := 0
	for {
		err := c.PacketOut(t.Context(), &ofp.PacketOut{InPort: flow.PortController, Data: append([]byte{byte(taken)}, make([]byte, 60_000)...)})
		if err != nil {
			break
		}
		taken++
	}
	if taken < queueSize {
		t.Errorf("%d packets found room", taken)
	}
	close(release)
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, b := range got {
		if b != byte(n) {
			t.Fatalf("packet %d came as number %d", b, n)
		}
	}
	if len(got) != taken {
		t.Errorf("%d of %d packets came", len(got), taken)
	}
}

// A call ends with its context, and what comes late for it disturbs nothing.
func TestLateAnswer(t *testing.T) {
	release := make(chan struct{})
	target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
		switch m.(type) {
		case *ofp.FeaturesRequest:
			<-release
			send(c, xid, &ofp.FeaturesReply{})
		case *ofp.BarrierRequest:
			send(c, xid, &ofp.BarrierReply{})
		}
	}))
	c := dialAndRun(t, target, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Features(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	got, ok := receive(t, c.Events()).(*ofp.FeaturesReply)
	if !ok {
		t.Errorf("late answer %T", got)
	}
}

// Open is refused: the error is about the bundle.
func TestBundleRefused(t *testing.T) {
	target := listen(t, fakeSwitch(func(c net.Conn, xid uint32, m ofp.Message) {
		switch m.(type) {
		case *ofp.BundleControl:
			send(c, xid, &ofp.Error{Type: ofp.ErrBundleFailed, Code: 5})
		case *ofp.BarrierRequest:
			send(c, xid, &ofp.BarrierReply{})
		}
	}))
	c := dialAndRun(t, target, Options{})
	err := c.Bundle(t.Context(), []ofp.Message{&ofp.FlowMod{Flow: flow.Flow{}}}, BundleOptions{})
	var failed *ApplyError
	if !errors.As(err, &failed) || failed.Bundle == nil || failed.Bundle.Name() != "OFPBFC_OUT_OF_BUNDLES" || failed.Applied {
		t.Error(err)
	}
}
