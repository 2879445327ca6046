package agent

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/stream/streamtest"
)

// askers of a benchmark, each with one question under way.
const benchGuests = 4

// path is the agent's services with a session over a real socket.
type path struct {
	*services
	*ovstest.Wire
	b *testing.B
}

// newPath starts the services of dp-0 with guests in nw-a, which has a server of names, 10.0.0.98, and metadata.
func newPath(b *testing.B) *path {
	b.Helper()
	r := newReplica()
	d := &desk{replica: r, log: slog.New(slog.DiscardHandler), wake: func() {}}
	p := &path{services: newServices(d), b: b}
	objects := append(slices.Concat(base(), dnsServer("")), &model.NetworkService{Meta: model.Meta{UUID: "ns-meta", ID: 99}, Mode: model.ServiceMetadata, InterfaceUUID: "if-dns"})
	for n := 1; n <= benchGuests; n++ {
		objects = append(objects, guest(n, "dp-0", "")...)
	}
	r.load("store", "dp-0", 1, objects, true)
	ctx, cancel := context.WithCancel(context.Background())
	wire, sw := ovstest.NewWire(b, p.take)
	p.Wire = wire
	d.current.Store(&session{sw, cancel})
	d.ready.Store(true)
	var running sync.WaitGroup
	running.Go(func() { _ = p.run(ctx) })
	b.Cleanup(func() { cancel(); running.Wait() })
	return p
}

// cpuUsed is the CPU that the process has used.
func cpuUsed(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure has b.N questions asked by all guests: first gives the frame by which a guest begins, take those that follow from an answer's, and whether the question is done with.
func (p *path) measure(class pipeline.PuntClass, first func(n int) []byte, take func(frame []byte) (next [][]byte, done bool)) {
	p.b.ReportAllocs()
	before, frames, asked := cpuUsed(p.b), 0, 0
	send := func(f []byte) { p.PacketIn(class, 100, uint32(f[11]), f) } // by the MAC address of the sender
	for open := 0; asked < p.b.N || open > 0; {
		for ; asked < p.b.N && open < benchGuests; asked++ {
			send(first(asked))
			open++
		}
		frames++
		next, done := take(p.PacketOut())
		for _, f := range next {
			send(f)
		}
		if done {
			open--
		}
	}
	p.b.ReportMetric(float64((cpuUsed(p.b)-before).Nanoseconds())/float64(p.b.N), "cpu-ns/op") // the benchmark's own is in it
	p.b.ReportMetric(float64(frames)/float64(p.b.N), "frames/op")
}

// BenchmarkDNS is a question over UDP from packet-in to packet-out, with the socket to the switch.
func BenchmarkDNS(b *testing.B) {
	p := newPath(b)
	q := frame.Datagram{
		Ethernet: frame.Ethernet{Src: mac(1), Dst: mac(98)}, IP: frame.IPv4{TTL: 64, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.98")},
		UDP: frame.UDP{SrcPort: 1000, DstPort: 53}, Payload: question(b, "www.example", mdns.TypeA),
	}.Encode()
	p.measure(pipeline.PuntDNS, func(int) []byte { return q }, func([]byte) ([][]byte, bool) { return nil, true })
}

// BenchmarkTCP is a connection for each question, from its first packet-in to its last packet-out.
func BenchmarkTCP(b *testing.B) {
	q := question(b, "www.example", mdns.TypeA)
	for _, c := range []struct {
		name     string
		class    pipeline.PuntClass
		to       string
		question []byte
	}{
		{"dns", pipeline.PuntDNS, "10.0.0.98:53", append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)},
		{"metadata", pipeline.PuntMetadata, "169.254.169.254:80", []byte("GET /latest/meta-data/local-ipv4 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newPath(b)
			var guests [benchGuests]streamtest.Asker
			for i := range guests {
				n := byte(i + 1)
				guests[i] = streamtest.Asker{MAC: mac(n), Server: mac(98), From: netip.AddrFrom4([4]byte{10, 0, 0, n}), To: netip.MustParseAddrPort(c.to), Question: c.question}
			}
			p.measure(c.class, func(n int) []byte { return guests[n%benchGuests].Open(uint16(1024 + n/benchGuests%60_000)) }, func(f []byte) ([][]byte, bool) {
				next, over, err := guests[f[5]-1].Take(f) // by the MAC address of the receiver
				if err != nil {
					b.Fatal(err)
				}
				return next, over
			})
		})
	}
}
