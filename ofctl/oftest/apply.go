package oftest

import (
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// bundles are the open bundles of a session, by id.
type bundles map[uint32]*bundle

type bundle struct {
	flags    ofp.BundleFlags
	messages []bundled
}

type bundled struct {
	message ofp.Message
	xid     uint32
	raw     []byte // as it came, for errors
}

// failure is the refusal of a message in a bundle.
type failure struct {
	bundled
	err *ofp.Error
}

func (f *failure) Error() string {
	return fmt.Sprintf("%s in the bundle: %v", ofp.Name(f.message), f.err)
}
func (f *failure) Unwrap() error { return f.err }

func bundleError(code uint16) *ofp.Error { return refuse(ofp.ErrBundleFailed, code) }

// Codes of ErrBundleFailed.
const (
	bundleBadID    = 2
	bundleExists   = 3
	bundleBadType  = 6
	bundleBadFlags = 7
	bundleMsgUnsup = 10
)

// Apply gives a message to the switch, as a controller does, and returns its refusal: an *ofp.Error, or what wraps one if a
// message of a bundle was refused. Messages that change nothing, and answers, are an error.
func (s *Switch) Apply(m ofp.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := m.(type) {
	case *ofp.BundleControl:
		return s.own.control(s, m)
	case *ofp.BundleAdd:
		if err := s.own.add(s, m, bundled{message: m.Message}); err != nil {
			return err
		}
		return nil
	}
	if !writes(m) {
		return fmt.Errorf("%s is not a message that changes a switch", ofp.Name(m))
	}
	if err := s.check(m); err != nil {
		return err
	}
	if err := s.write(m); err != nil {
		return err
	}
	return nil
}

// writes reports whether a message changes the switch or sends a packet.
func writes(m ofp.Message) bool {
	switch m.(type) {
	case *ofp.FlowMod, *ofp.GroupMod, *ofp.MeterMod, *ofp.PortMod, *ofp.PacketOut, *ofp.CTFlushZone:
		return true
	}
	return false
}

// check finds what is wrong with a message alone.
func (s *Switch) check(m ofp.Message) *ofp.Error {
	switch m := m.(type) {
	case *ofp.FlowMod:
		return s.checkFlow(m)
	case *ofp.GroupMod:
		return checkGroup(m)
	}
	return nil
}

// write applies a message that check has passed.
func (s *Switch) write(m ofp.Message) *ofp.Error {
	if s.opt.Fault != nil {
		if err := s.opt.Fault(m); err != nil {
			return err
		}
	}
	switch m := m.(type) {
	case *ofp.FlowMod:
		return s.flowMod(m)
	case *ofp.GroupMod:
		return s.groupMod(m)
	case *ofp.MeterMod:
		return s.meterMod(m)
	case *ofp.PortMod:
		return s.portMod(m)
	case *ofp.PacketOut:
		return s.packetOut(m)
	case *ofp.CTFlushZone:
		s.flush(m.Zone)
	}
	return nil
}

func (s *Switch) portMod(m *ofp.PortMod) *ofp.Error {
	p := s.ports[m.No]
	if p == nil {
		return refuse(ofp.ErrPortModFailed, 0)
	}
	if p.MAC != m.HWAddr {
		return refuse(ofp.ErrPortModFailed, 1)
	}
	old := p.Cfg
	p.Cfg = p.Cfg&^m.Mask | m.Config&m.Mask
	s.onUndo(func() { p.Cfg = old })
	return nil
}

// packetOut sends a packet through its actions.
func (s *Switch) packetOut(m *ofp.PacketOut) *ofp.Error {
	if err := s.refers(m.Actions.List()); err != nil {
		return err
	}
	s.sendOut(m)
	return nil
}

func (s *Switch) sendOut(m *ofp.PacketOut) {
	acts := m.Actions.List()
	res := Result{tracing: s.opt.Trace, names: s.opt.Names}
	if len(m.Data) >= ethHeader {
		in := Packet{InPort: m.InPort, Frame: m.Data}
		x := &execution{sw: s, res: &res}
		t := x.translator(&in)
		for p := range m.Metadata.Preds() {
			if placeOf(p.Field).known() {
				t.flow.put(p.Field, p.Value, p.Mask)
			}
		}
		p := &packet{frame: slices.Clone(m.Data)}
		p.parse(&t.flow)
		t.base, t.packetOut, t.cookie = t.flow, true, ^uint64(0)
		t.list(acts)
		x.run(t.finish(), p, 0)
	}
	s.deliver(&res)
	if s.opt.Sent != nil {
		s.opt.Sent(m, res)
	}
}

// control does a step in the life of a bundle.
func (b bundles) control(s *Switch, m *ofp.BundleControl) error {
	switch m.Type {
	case ofp.BundleOpenRequest:
		if b[m.ID] != nil {
			delete(b, m.ID)
			return bundleError(bundleBadID)
		}
		b[m.ID] = &bundle{flags: m.Flags}
		return nil
	case ofp.BundleCloseRequest, ofp.BundleCommitRequest, ofp.BundleDiscardRequest:
	default:
		return bundleError(bundleBadType)
	}
	u := b[m.ID]
	switch {
	case u == nil:
		return bundleError(bundleBadID)
	case m.Type == ofp.BundleDiscardRequest:
		delete(b, m.ID)
		return nil
	case u.flags != m.Flags:
		delete(b, m.ID)
		return bundleError(bundleBadFlags)
	case m.Type == ofp.BundleCommitRequest:
		delete(b, m.ID)
		return s.commit(u)
	}
	return nil
}

// add adds a message to a bundle, which opens it if it is not there.
func (b bundles) add(s *Switch, m *ofp.BundleAdd, add bundled) *ofp.Error {
	switch m.Message.(type) {
	case *ofp.FlowMod, *ofp.GroupMod, *ofp.PortMod, *ofp.PacketOut:
	default:
		return bundleError(bundleMsgUnsup)
	}
	u := b[m.ID]
	if u == nil {
		u = &bundle{flags: m.Flags}
		b[m.ID] = u
	}
	if u.flags != m.Flags {
		delete(b, m.ID)
		return bundleError(bundleBadFlags)
	}
	if err := s.check(m.Message); err != nil {
		return err
	}
	u.messages = append(u.messages, add)
	return nil
}

// commit applies the messages of a bundle in order. If one is refused, what those before it did is undone.
func (s *Switch) commit(b *bundle) error {
	var undo []func()
	s.undo = &undo
	defer func() { s.undo = nil }()
	var packets []*ofp.PacketOut // go out when all else is done
	for _, m := range b.messages {
		out, ok := m.message.(*ofp.PacketOut)
		var err *ofp.Error
		if ok {
			err = s.refers(out.Actions.List())
			packets = append(packets, out)
		}
		if ok && err == nil && s.opt.Fault != nil {
			err = s.opt.Fault(out)
		}
		if !ok {
			err = s.write(m.message)
		}
		if err != nil {
			s.undo = nil
			for _, f := range slices.Backward(undo) {
				f()
			}
			return &failure{m, err}
		}
	}
	s.undo = nil
	for _, m := range packets {
		s.sendOut(m)
	}
	return nil
}

// deliver gives packet-ins to the sessions that want them.
func (s *Switch) deliver(res *Result) {
	if len(s.sessions) == 0 {
		return
	}
	for i := range res.PacketIns {
		in := &res.PacketIns[i]
		m := &ofp.PacketIn{
			Reason: in.Reason, Table: in.Table, Cookie: in.Cookie, Metadata: in.Metadata(), Data: in.Data, Length: uint32(in.Length),
			Userdata: in.Userdata,
		}
		for c := range s.sessions {
			c.packetIn(in, m)
		}
	}
}

// tell sends a message to all sessions that want it.
func (s *Switch) tell(m ofp.Message) {
	for c := range s.sessions {
		c.event(m)
	}
}

func (s *Switch) tellRemoved(r *rule, reason ofp.RemovedReason) {
	if r.Flags&flow.SendFlowRem == 0 || len(s.sessions) == 0 {
		return
	}
	f := r.Flow
	f.Actions = flow.Actions{}
	s.tell(&ofp.FlowRemoved{Flow: f, Reason: reason, Stats: s.stats(r)})
}

func (s *Switch) stats(r *rule) ofp.Stats {
	age := s.opt.Now().Sub(r.added)
	return ofp.Stats{Duration: age, Idle: -1, Packets: r.packets, Bytes: r.bytes, Flows: ofp.NoCount}
}
