package conn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Options of a session.
type Options struct {
	TLS           *tls.Config   // required for ssl: targets
	Log           *slog.Logger  // optional: nowhere
	PacketIns     int           // optional: size of the queue of PacketIns; 0: 1024
	Events        int           // optional: size of the queue of Events; 0: 1024
	EchoInterval  time.Duration // optional: silence after which the switch is asked for an echo; 0: 5s; negative: never
	EchoTimeout   time.Duration // optional: further silence after which the session ends; 0: 15s
	PacketOutWait time.Duration // optional: for a packet-out to find room in the queue; 0: as long as its context lets it
	DialTimeout   time.Duration // optional: for connecting and agreeing on the version; 0: 5s
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.PacketIns <= 0 {
		o.PacketIns = 1024
	}
	if o.Events <= 0 {
		o.Events = 1024
	}
	if o.EchoInterval == 0 {
		o.EchoInterval = 5 * time.Second
	}
	if o.EchoTimeout <= 0 {
		o.EchoTimeout = 15 * time.Second
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = 5 * time.Second
	}
	return o
}

// queueSize is the number of buffers between callers and the writer.
const queueSize = 64

// Dial connects to a switch and agrees with it on OpenFlow 1.5. The target has the form of Open vSwitch: "unix:PATH"
// (such as the bridge's management socket RUNDIR/BRIDGE.mgmt), "tcp:HOST:PORT" or "ssl:HOST:PORT". A peer that speaks
// another version or another protocol is an error. ctx is for Dial only; the session itself is moved by Conn.Run.
func Dial(ctx context.Context, target string, opt Options) (*Conn, error) {
	opt = opt.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, opt.DialTimeout)
	defer cancel()
	nc, err := dialNet(ctx, target, opt.TLS)
	if err != nil {
		return nil, fmt.Errorf("dial OpenFlow switch %s: %w", target, err)
	}
	c := &Conn{
		opt: opt, target: target, net: nc, in: newMessageReader(nc),
		out: make(chan []byte, queueSize), echoes: make(chan []byte, queueSize), done: make(chan struct{}),
		packetIns: make(chan *ofp.PacketIn, opt.PacketIns), events: make(chan ofp.Message, opt.Events),
		start: time.Now(),
	}
	if err := c.hello(ctx); err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("dial OpenFlow switch %s: hello: %w", target, err)
	}
	return c, nil
}

func dialNet(ctx context.Context, target string, config *tls.Config) (net.Conn, error) {
	kind, addr, _ := strings.Cut(target, ":")
	var d net.Dialer
	switch {
	case addr == "":
	case kind == "unix":
		return d.DialContext(ctx, "unix", addr)
	case kind == "tcp":
		return d.DialContext(ctx, "tcp", addr)
	case kind == "ssl" && config == nil:
		return nil, errors.New("ssl target without TLS configuration")
	case kind == "ssl":
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
	}
	return nil, errors.New("the target is not of the form unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")
}

// hello exchanges hellos.
func (c *Conn) hello(ctx context.Context) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
	}()
	b, err := ofp.Append(nil, c.takeXIDs(1), &ofp.Hello{Versions: ofp.VersionBit})
	if err != nil {
		return err
	}
	_, lost := c.net.Write(b)
	_, m, err := c.in.next() // also when lost: the peer may have said why
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the peer closed the connection")
		}
		return err
	}
	switch m := m.(type) {
	case *ofp.Error:
		return m
	case *ofp.Hello:
		if m.Versions&ofp.VersionBit == 0 {
			return fmt.Errorf("the switch speaks %s, not OpenFlow 1.5", versions(m.Versions))
		}
		return lost
	}
	return fmt.Errorf("the peer began with a %s", ofp.Name(m))
}

// versions names the versions of a bitmap.
func versions(bitmap uint32) string {
	var names []string
	for v := 1; v < 32; v++ {
		if bitmap&(1<<v) != 0 {
			names = append(names, fmt.Sprintf("OpenFlow 1.%d", v-1))
		}
	}
	if len(names) == 0 {
		return "no version"
	}
	return strings.Join(names, ", ")
}

// messageReader takes messages from a stream.
type messageReader struct {
	r   *bufio.Reader
	buf []byte
}

func newMessageReader(r io.Reader) *messageReader {
	return &messageReader{bufio.NewReaderSize(r, 256<<10), make([]byte, ofp.MaxSize)}
}

// next gives the next message; io.EOF at the end of the stream. With an *unreadable error the stream can be read on.
func (r *messageReader) next() (ofp.Header, ofp.Message, error) {
	if _, err := io.ReadFull(r.r, r.buf[:ofp.HeaderSize]); err != nil {
		return ofp.Header{}, nil, err
	}
	h, err := ofp.ParseHeader(r.buf)
	if err != nil {
		return ofp.Header{}, nil, fmt.Errorf("garbage from the peer: %w", err)
	}
	if h.Version < 1 || h.Version > ofp.Version { // do not wait for the rest of something else
		return ofp.Header{}, nil, fmt.Errorf("garbage from the peer: OpenFlow version %#x", h.Version)
	}
	b := r.buf[:h.Length]
	if _, err := io.ReadFull(r.r, b[ofp.HeaderSize:]); err != nil {
		return ofp.Header{}, nil, err
	}
	_, m, err := ofp.Decode(b)
	if err != nil && h.Version == ofp.Version {
		err = &unreadable{err}
	}
	return h, m, err
}

// unreadable says that a message of the right version has a body that ofctl/ofp cannot read.
type unreadable struct{ error }

func (e *unreadable) Unwrap() error { return e.error }
