package oftest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Serve speaks OpenFlow 1.5 with every controller that connects, until ctx is done or l fails. It closes l. A session that breaks
// the protocol ends alone.
func (s *Switch) Serve(ctx context.Context, l net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			l.Close()
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			g.Go(func() error { return err }) // ends the sessions
			return g.Wait()
		}
		g.Go(func() error {
			s.ServeConn(ctx, c)
			return nil
		})
	}
}

// ServeConn speaks OpenFlow 1.5 with one controller until ctx is done, the connection is lost or the controller breaks the
// protocol. It closes the connection.
func (s *Switch) ServeConn(ctx context.Context, c net.Conn) {
	x := &session{sw: s, bundles: bundles{}, wake: make(chan struct{}, 1), format: ofp.PacketInStandard}
	x.send(1, &ofp.Hello{Versions: ofp.VersionBit})
	s.mu.Lock()
	s.sessions[x] = struct{}{}
	s.mu.Unlock()
	g, gctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(gctx, func() { c.Close() })
	defer stop()
	g.Go(func() error { return x.write(gctx, c) })
	g.Go(func() error { return x.read(c) })
	_ = g.Wait() // the peer went, or broke the protocol: either way it is over
	c.Close()
	s.mu.Lock()
	delete(s.sessions, x)
	s.mu.Unlock()
}

// session is a connection with a controller.
type session struct {
	sw      *Switch
	bundles bundles

	mu   sync.Mutex
	out  []byte // to be written
	wake chan struct{}

	// Under the switch's lock:
	id       uint16
	role     uint32
	format   uint32
	missSend uint16 // packet-ins are sent only if it is not 0, as on the management socket of Open vSwitch
	async    *ofp.SetAsync
}

var errProtocol = errors.New("the controller broke the protocol")

func (x *session) read(c io.Reader) error {
	r := bufio.NewReaderSize(c, 64<<10)
	buf := make([]byte, ofp.MaxSize)
	for first := true; ; first = false {
		if _, err := io.ReadFull(r, buf[:ofp.HeaderSize]); err != nil {
			return err
		}
		h, err := ofp.ParseHeader(buf)
		if err != nil {
			return err
		}
		raw := buf[:h.Length]
		if _, err := io.ReadFull(r, raw[ofp.HeaderSize:]); err != nil {
			return err
		}
		_, m, err := ofp.Decode(raw)
		switch hello, ok := m.(*ofp.Hello); {
		case first && (!ok || hello.Versions&ofp.VersionBit == 0):
			x.send(h.XID, &ofp.Error{Type: ofp.ErrHelloFailed, Data: []byte("only OpenFlow 1.5 is supported")})
			return errProtocol
		case err != nil:
			x.refuse(h.XID, unreadable(raw), raw)
		default:
			x.message(h.XID, m, raw)
		}
	}
}

// unreadable gives the error for a message that ofctl/ofp cannot read.
func unreadable(raw []byte) *ofp.Error {
	if raw[0] != ofp.Version {
		return refuse(ofp.ErrBadRequest, 0) // OFPBRC_BAD_VERSION
	}
	return refuse(ofp.ErrBadRequest, 6) // OFPBRC_BAD_LEN
}

// write writes what send has queued.
func (x *session) write(ctx context.Context, c io.Writer) error {
	for {
		x.mu.Lock()
		b := x.out
		x.out = nil
		x.mu.Unlock()
		if len(b) > 0 {
			if _, err := c.Write(b); err != nil {
				return err
			}
			continue
		}
		select {
		case <-x.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send queues a message. It never blocks.
func (x *session) send(xid uint32, m ofp.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b, err := ofp.Append(x.out, xid, m)
	if err != nil { // of our own making: too long for a message
		b, err = ofp.Append(x.out, xid, refuse(ofp.ErrBadRequest, 6))
	}
	if err == nil {
		x.out = b
	}
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// refuse answers a message with an error that has the first 64 bytes of it.
func (x *session) refuse(xid uint32, e *ofp.Error, raw []byte) {
	c := *e
	if c.Data == nil {
		c.Data = raw[:min(len(raw), 64)]
	}
	x.send(xid, &c)
}

func (x *session) message(xid uint32, m ofp.Message, raw []byte) {
	s := x.sw
	s.mu.Lock()
	defer s.mu.Unlock()
	if writes(m) {
		err := s.check(m)
		if err == nil {
			err = s.write(m)
		}
		if err != nil {
			x.refuse(xid, err, raw)
		}
		return
	}
	switch m := m.(type) {
	case *ofp.Hello, *ofp.EchoReply, *ofp.Error:
	case *ofp.EchoRequest:
		x.send(xid, &ofp.EchoReply{Data: m.Data})
	case *ofp.BarrierRequest:
		x.send(xid, &ofp.BarrierReply{})
	case *ofp.FeaturesRequest:
		const capabilities = 0x4f // flow, table, port, group and queue statistics
		x.send(xid, &ofp.FeaturesReply{DatapathID: s.opt.DatapathID, Tables: 254, Capabilities: capabilities})
	case *ofp.GetConfigRequest:
		x.send(xid, &ofp.GetConfigReply{MissSendLen: x.missSend})
	case *ofp.SetConfig:
		x.missSend = m.MissSendLen
	case *ofp.SetAsync:
		x.async = m
	case *ofp.SetPacketInFormat:
		x.format = m.Format
	case *ofp.SetControllerID:
		x.id = m.ID
	case *ofp.RoleRequest:
		x.roleRequest(xid, m, raw)
	case *ofp.BundleControl:
		x.bundleControl(xid, m, raw)
	case *ofp.BundleAdd:
		x.bundleAdd(xid, m, raw)
	case *ofp.TLVTableRequest:
		x.send(xid, &ofp.TLVTableReply{MaxSpace: 256, MaxFields: 64})
	default:
		x.query(xid, m, raw)
	}
}

func (x *session) roleRequest(xid uint32, m *ofp.RoleRequest, raw []byte) {
	if m.Role > ofp.RoleSecondary {
		x.refuse(xid, refuse(ofp.ErrRoleRequestFailed, 2), raw)
		return
	}
	if m.Role != ofp.RoleNoChange {
		x.role = m.Role
	}
	role := x.role
	if role == ofp.RoleNoChange {
		role = ofp.RoleEqual
	}
	x.send(xid, &ofp.RoleReply{ControllerRole: ofp.ControllerRole{Role: role, Generation: m.Generation}})
}

func (x *session) bundleControl(xid uint32, m *ofp.BundleControl, raw []byte) {
	err := x.bundles.control(x.sw, m)
	var failed *failure
	var refused *ofp.Error
	switch {
	case errors.As(err, &failed):
		x.refuse(failed.xid, failed.err, failed.raw)
		x.refuse(xid, bundleError(ofp.BundleMsgFailed), raw)
	case errors.As(err, &refused):
		x.refuse(xid, refused, raw)
	default:
		x.send(xid, &ofp.BundleControl{ID: m.ID, Type: m.Type + 1, Flags: m.Flags})
	}
}

func (x *session) bundleAdd(xid uint32, m *ofp.BundleAdd, raw []byte) {
	const prefix = ofp.HeaderSize + 8 // of the message inside
	inner := append([]byte(nil), raw[min(len(raw), prefix):min(len(raw), prefix+64)]...)
	if err := x.bundles.add(x.sw, m, bundled{m.Message, xid, inner}); err != nil {
		x.refuse(xid, err, raw)
	}
}

// wants reports whether the session is to get an asynchronous message with that reason.
func (x *session) wants(mask func(*ofp.SetAsync) uint32, reason uint8, byDefault uint32) bool {
	if x.role == ofp.RoleSecondary {
		return false
	}
	if x.async != nil {
		byDefault = mask(x.async)
	}
	return byDefault&(1<<reason) != 0
}

// packetIn sends a packet-in, if it is for this session.
func (x *session) packetIn(in *PacketIn, m *ofp.PacketIn) {
	const byDefault = 0x3b // all but invalid TTL
	if in.ControllerID != x.id || x.missSend == 0 ||
		!x.wants(func(a *ofp.SetAsync) uint32 { return a.PacketIn }, m.Reason.Wire(), byDefault) {
		return
	}
	c := *m
	if x.format == ofp.PacketInStandard {
		c.Standard, c.Userdata = true, nil
	}
	x.send(0, &c)
}

// event sends a port-status or flow-removed message, if the session wants it.
func (x *session) event(m ofp.Message) {
	switch e := m.(type) {
	case *ofp.PortStatus:
		if x.wants(func(a *ofp.SetAsync) uint32 { return a.PortStatus }, uint8(e.Reason), 0) {
			x.send(0, m)
		}
	case *ofp.FlowRemoved:
		if x.wants(func(a *ofp.SetAsync) uint32 { return a.FlowRemoved }, uint8(e.Reason), 0) {
			x.send(0, m)
		}
	}
}

// query answers a request for what the switch has.
func (x *session) query(xid uint32, m ofp.Message, raw []byte) {
	s := x.sw
	now := s.opt.Now()
	switch m := m.(type) {
	case *ofp.DescRequest:
		x.send(xid, &ofp.DescReply{
			Manufacturer: "OpenVNet", Hardware: "memory", Software: "oftest", Serial: "None", Datapath: fmt.Sprintf("%016x", s.opt.DatapathID),
		})
	case *ofp.FlowStatsRequest:
		x.flows(xid, m)
	case *ofp.GroupRequest:
		desc, stats := &ofp.GroupDescReply{}, &ofp.GroupStatsReply{}
		for _, g := range s.sortedGroups() {
			if m.Group != ofp.GroupAll && m.Group != g.ID {
				continue
			}
			desc.Groups = append(desc.Groups, g.copy())
			stats.Groups = append(stats.Groups, ofp.GroupStats{
				Group: g.ID, RefCount: uint32(len(s.filter(ruleFilter{table: ofp.TableAll, group: g.ID}))),
				Duration: now.Sub(g.since), Packets: g.packets, Bytes: g.bytes, Buckets: make([]ofp.Counter, len(g.Buckets)),
			})
		}
		if m.Stats {
			parts(x, xid, stats.Groups, 200, func(p []ofp.GroupStats, more bool) ofp.Message {
				return &ofp.GroupStatsReply{More: more, Groups: p}
			})
			return
		}
		parts(x, xid, desc.Groups, 1, func(p []flow.Group, more bool) ofp.Message {
			return &ofp.GroupDescReply{More: more, Groups: p}
		})
	case *ofp.MeterRequest:
		x.meters(xid, m)
	case *ofp.PortDescRequest:
		var ports []ofp.Port
		for _, no := range s.portNumbers() {
			if m.No == flow.PortAny || m.No == no {
				ports = append(ports, s.ports[no].describe())
			}
		}
		parts(x, xid, ports, 500, func(p []ofp.Port, more bool) ofp.Message { return &ofp.PortDescReply{More: more, Ports: p} })
	case *ofp.UnknownMultipart:
		x.refuse(xid, refuse(ofp.ErrBadRequest, 2), raw)
	case *ofp.Experimenter, *ofp.TLVTableMod, *ofp.Resume:
		x.refuse(xid, refuse(ofp.ErrBadRequest, 4), raw)
	default:
		x.refuse(xid, refuse(ofp.ErrBadRequest, 1), raw)
	}
}

// flowOverhead is more than an entry of a flow description takes besides match and actions.
const flowOverhead = 128

func (x *session) flows(xid uint32, m *ofp.FlowStatsRequest) {
	f := ruleFilter{table: m.Table, cookie: m.Cookie, mask: m.CookieMask, match: m.Match, port: m.OutPort, group: m.OutGroup}
	var list []ofp.FlowStats
	sum := ofp.Stats{Duration: -1, Idle: -1}
	for _, r := range x.sw.filter(f) {
		list = append(list, ofp.FlowStats{Flow: r.Flow, Stats: x.sw.stats(r)})
		sum.Flows++
		sum.Packets += r.packets
		sum.Bytes += r.bytes
	}
	if m.Aggregate {
		x.send(xid, &ofp.AggregateReply{Stats: sum})
		return
	}
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size < ofp.MaxSize/2) {
			size += flowOverhead + len(list[n].Flow.Match.Encoded()) + len(list[n].Flow.Actions.Encoded())
			n++
		}
		if n > 1 && size > ofp.MaxSize {
			n--
		}
		x.send(xid, &ofp.FlowStatsReply{More: n < len(list), Flows: list[:n]})
		if list = list[n:]; len(list) == 0 {
			return
		}
	}
	x.send(xid, &ofp.FlowStatsReply{})
}

func (x *session) meters(xid uint32, m *ofp.MeterRequest) {
	s := x.sw
	var desc []flow.Meter
	var stats []ofp.MeterStats
	rules := s.sortedRules()
	for _, t := range s.sortedMeters() {
		if m.Meter != ofp.MeterAll && m.Meter != t.ID {
			continue
		}
		refs := uint32(0)
		for _, r := range rules {
			if usesMeter(r.acts, t.ID) {
				refs++
			}
		}
		desc = append(desc, t.Meter)
		stats = append(stats, ofp.MeterStats{
			Meter: t.ID, RefCount: refs, Packets: t.packets, Bytes: t.bytes, Duration: s.opt.Now().Sub(t.since),
			Bands: make([]ofp.Counter, len(t.Bands)),
		})
	}
	if m.Stats {
		parts(x, xid, stats, 500, func(p []ofp.MeterStats, more bool) ofp.Message { return &ofp.MeterStatsReply{More: more, Meters: p} })
		return
	}
	parts(x, xid, desc, 500, func(p []flow.Meter, more bool) ofp.Message { return &ofp.MeterDescReply{More: more, Meters: p} })
}

// parts sends a list in messages of at most n entries; an empty list is one message.
func parts[T any](x *session, xid uint32, list []T, n int, reply func([]T, bool) ofp.Message) {
	for {
		part := list[:min(n, len(list))]
		list = list[len(part):]
		x.send(xid, reply(part, len(list) > 0))
		if len(list) == 0 {
			return
		}
	}
}
