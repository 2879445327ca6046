package agent

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// Bounds of the log of packets that rules have decided.
const (
	logLines  = 10 // at most, every logWindow
	logWindow = time.Second
)

// ruleLog writes a line for a packet that a rule of a security group has decided. The switch limits how many come; so does this.
type ruleLog struct {
	*desk
	since      time.Time // of the window
	lines      int       // in it
	suppressed uint64    // since the last line that said so
}

func (l *ruleLog) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	s, reason := frame.Summarize(p.Data)
	if reason != frame.OK || len(p.Userdata) != 4 {
		return dropMalformed
	}
	if now.Sub(l.since) >= logWindow {
		l.since, l.lines = now, 0
	}
	if l.lines++; l.lines > logLines {
		l.suppressed++
		return dropSuppressed
	}
	owner := binary.BigEndian.Uint32(p.Userdata)
	r, ok := l.replica.rule(pipeline.Kind(owner>>28), owner&pipeline.MaxOwnerID)
	if !ok {
		return dropUnknownRule
	}
	direction, id := model.RuleEgress, p.Ingress
	if p.Table == pipeline.InRules.ID {
		direction, id = model.RuleIngress, p.Egress
	}
	attrs := []any{
		"rule", r.uuid, "verdict", r.verdict, "direction", direction, "interface", l.replica.name(model.Interfaces, id),
		"protocol", s.ProtocolName(), "src", s.Src, "dst", s.Dst,
	}
	switch {
	case s.Ports && s.SrcPort|s.DstPort != 0:
		attrs = append(attrs, "src_port", s.SrcPort, "dst_port", s.DstPort)
	case s.Ports:
		attrs = append(attrs, "icmp_type", s.Type, "icmp_code", s.Code)
	}
	l.log.InfoContext(ctx, "a rule has decided a packet", attrs...)
	return ""
}

func (l *ruleLog) tick(ctx context.Context, _ time.Time) {
	if l.suppressed > 0 {
		l.log.InfoContext(ctx, "further packets that rules have decided", "packets", l.suppressed)
		l.suppressed = 0
	}
}

// loggedRule is a rule as the log names it.
type loggedRule struct{ uuid, verdict string }

// rule gives the rule that owns a flow; those of a group's text are the group's.
func (r *replica) rule(k pipeline.Kind, id uint32) (loggedRule, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch k {
	case pipeline.KindRule:
		if o, ok := r.in.X.Graph().ByID(model.SecurityGroupRules, id); ok {
			return loggedRule{o.Base().UUID, o.(*model.SecurityGroupRule).Action}, true
		}
	case pipeline.KindGroup:
		if o, ok := r.in.X.Graph().ByID(model.SecurityGroups, id); ok {
			return loggedRule{o.Base().UUID, model.RuleAllow}, true
		}
	}
	return loggedRule{}, false
}

// name gives the uuid of the object of that id, "" if there is none.
func (r *replica) name(res *model.Resource, id uint32) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if o, ok := r.in.X.Graph().ByID(res, id); ok {
		return o.Base().UUID
	}
	return ""
}
