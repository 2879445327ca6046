package agent

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/learn"
)

// counted says which of an object's flows count, and what: of each table that packets pass by one of them only.
var counted = map[pipeline.Kind]struct {
	resource *model.Resource
	what     map[uint8]string
}{
	pipeline.KindInterface: {model.Interfaces, map[uint8]string{pipeline.Classify.ID: "sent", pipeline.Output.ID: "received"}},
	pipeline.KindFilter:    {model.FilterStatics, judged},
	pipeline.KindGroup:     {model.SecurityGroups, judged},
	pipeline.KindRule:      {model.SecurityGroupRules, judged},
	pipeline.KindRoute:     {model.Routes, map[uint8]string{pipeline.L3Source.ID: "in", pipeline.L3Route.ID: "out"}},
	pipeline.KindTranslate: {model.Translations, map[uint8]string{
		pipeline.L3In.ID: "in", pipeline.TranslateIn.ID: "in", pipeline.L3Out.ID: "out", pipeline.TranslateOut.ID: "out",
	}},
}

var judged = map[uint8]string{
	pipeline.OutFilter.ID: model.RuleEgress, pipeline.InFilter.ID: model.RuleIngress, pipeline.OutRules.ID: model.RuleEgress, pipeline.InRules.ID: model.RuleIngress,
}

// localCounters counts by object what the switch's flows have seen: what interfaces have sent and got, which rules, routes and translations packets have met;
// and the frames by which MAC addresses were announced.
// ?object=UUID gives those of one object only.
func (a *Agent) localCounters(r *http.Request) ([]local.Counter, error) {
	s := a.services.current.Load()
	if s == nil {
		return nil, errNoSwitch
	}
	stats, err := s.Flows(r.Context(), 0)
	if err != nil {
		return nil, err
	}
	object := r.URL.Query().Get("object")
	counters := append(a.replica.counters(stats, object), a.services.announcer.counters(object)...)
	slices.SortFunc(counters, byObject)
	return counters, nil
}

// byObject is the order of counters.
func byObject(a, b local.Counter) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Object, b.Object), cmp.Compare(a.What, b.What))
}

// counters adds up the counters of flows by object; only that one's if object is not "".
func (r *replica) counters(stats []ovs.FlowStats, object string) []local.Counter {
	type key struct {
		owner pipeline.Owner
		what  string
	}
	sums := map[key]*local.Counter{}
	for _, f := range stats {
		o := pipeline.Cookie(f.Cookie).Owner()
		what := counted[o.Kind].what[f.Table]
		if what == "" {
			continue
		}
		c := sums[key{o, what}]
		if c == nil {
			c = &local.Counter{Resource: counted[o.Kind].resource.Name, What: what}
			sums[key{o, what}] = c
		}
		c.Packets += f.Packets
		c.Bytes += f.Bytes
	}
	out := []local.Counter{}
	for k, c := range sums {
		if c.Object = r.name(counted[k.owner.Kind].resource, k.owner.ID); c.Object == "" {
			c.Object = fmt.Sprint(k.owner.ID)
		}
		if object == "" || object == c.Object {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, byObject)
	return out
}

// status gives how the services are.
func (s *services) status() []local.Service {
	out := []local.Service{}
	for _, l := range s.lanes {
		out = append(out, local.Service{Class: l.class.String(), Packets: l.packets.Load(), Dropped: l.drops.all()})
	}
	return out
}

// dropped gives the packets that services have dropped.
func (s *services) dropped() []local.Drop {
	var drops []local.Drop
	for _, l := range s.lanes {
		for reason, n := range l.drops.all() {
			drops = append(drops, local.Drop{Where: l.class.String(), Reason: reason, Doc: dropDocs[reason], Packets: n})
		}
	}
	lost := s.lost.Load()
	if sess := s.current.Load(); sess != nil {
		lost += sess.Lost()
	}
	for _, d := range []local.Drop{
		{Where: "agent", Reason: "lost", Doc: "The agent did not keep up with what the switch sent it.", Packets: lost},
		{Where: "agent", Reason: "stray", Doc: "The switch sent up a packet of a class that this agent does not know.", Packets: s.strays.Load()},
	} {
		if d.Packets > 0 {
			drops = append(drops, d)
		}
	}
	slices.SortFunc(drops, func(a, b local.Drop) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Reason, b.Reason))
	})
	return drops
}

// dropDocs says what the reasons of services mean.
var dropDocs = map[string]string{
	dropQueueFull:       "Too many of these packets waited for the agent; of the interface that had most.",
	dropNoSwitch:        "There was no session with the switch to answer through.",
	dropMalformed:       "The packet is not what its class says.",
	dropCut:             "The switch sent only a part of the packet.",
	dropSender:          "The interface, router or host is not known any more.",
	dropLimit:           "The sender has as many entries as it may have.",
	dropTaken:           "Another has the address that a guest asks for, and is answered for.",
	dropNoAnswer:        "Nobody answered for the address of the next hop, or too many packets waited for it.",
	dropNotAsked:        "An answer to what was not asked.",
	dropNotAnswered:     "A packet whose sender must not be told what has become of it, such as an error, a reset, or one for many.",
	dropSuppressed:      "More packets to log than are written.",
	dropUnknownRule:     "The rule that asked for the log is not there any more.",
	learn.Full.String(): "As many MAC addresses are behind the port as may be learned.",
	learn.Held.String(): "The MAC address moves between ports too often.",
}
