package ovstest

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Wire is the far end of a session over a real socket: no switch, but who sends packets up and reads what is sent back, with as little work as it may be, for benchmarks.
type Wire struct {
	t    testing.TB
	conn net.Conn
	out  *bufio.Reader
}

// NewWire gives both ends of a session, which runs until the test ends. take gets the packets that are sent up.
func NewWire(t testing.TB, take func(ovs.Packet)) (*Wire, *ovs.Switch) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "mgmt")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", target)
	if err != nil {
		t.Fatal(err)
	}
	hello, err := ofp.Append(nil, 1, &ofp.Hello{Versions: ofp.VersionBit})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write(hello)
		}
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	sw, err := ovs.Dial(t.Context(), "unix:"+target, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{t: t, conn: <-accepted}
	w.out = bufio.NewReaderSize(w.conn, 1<<18)
	if err := w.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sw.Run(ctx) })
	running.Go(func() { sw.Serve(take) })
	t.Cleanup(func() { cancel(); running.Wait(); _ = w.conn.Close(); _ = l.Close() })
	return w, sw
}

// PacketIn sends a packet up that an interface has sent in a domain.
func (w *Wire) PacketIn(class pipeline.PuntClass, domain, ingress uint32, data []byte) {
	w.t.Helper()
	m, err := flow.NewMatch(flow.InPort.Is(uint64(ingress)), pipeline.Network.Is(domain), pipeline.Ingress.Is(ingress), pipeline.Class.Bits.Field.Is(uint64(class)<<pipeline.Class.Bits.Ofs))
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := ofp.Append(nil, 0, &ofp.PacketIn{Table: 40, Cookie: 1, Metadata: m, Data: data, Length: uint32(len(data)), Reason: flow.ReasonAction})
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// PacketOut reads the next frame that is put into the pipeline.
func (w *Wire) PacketOut() []byte {
	w.t.Helper()
	for {
		var head [ofp.HeaderSize]byte
		if _, err := io.ReadFull(w.out, head[:]); err != nil {
			w.t.Fatal(err)
		}
		h, err := ofp.ParseHeader(head[:])
		if err != nil {
			w.t.Fatal(err)
		}
		b := make([]byte, int(h.Length)-len(head))
		if _, err := io.ReadFull(w.out, b); err != nil {
			w.t.Fatal(err)
		}
		if head[1] != packetOut {
			continue
		}
		actions, match := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[10:]))
		return b[8+(match+7)/8*8+actions:]
	}
}

const packetOut = 13 // OFPT_PACKET_OUT
