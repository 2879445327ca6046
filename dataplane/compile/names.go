package compile

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// owners are the resources whose objects flows belong to.
var owners = map[pipeline.Kind]*model.Resource{
	pipeline.KindDatapath: model.Datapaths, pipeline.KindNetwork: model.Networks, pipeline.KindInterface: model.Interfaces, pipeline.KindSegment: model.Segments,
	pipeline.KindRouteLink: model.RouteLinks, pipeline.KindRoute: model.Routes, pipeline.KindTranslate: model.Translations, pipeline.KindFilter: model.FilterStatics,
	pipeline.KindGroup: model.SecurityGroups, pipeline.KindRule: model.SecurityGroupRules, pipeline.KindMirror: model.Mirrors, pipeline.KindLearned: model.Interfaces,
}

// Names gives the names of the objects and ports that flows mean by numbers. They look at the replica whenever they are asked.
func (in *Input) Names() pipeline.Names {
	g := in.X.Graph()
	byID := func(r *model.Resource, id uint32) string {
		if o, ok := g.ByID(r, id); ok {
			return o.Base().UUID
		}
		return ""
	}
	sets := sync.OnceValue(in.ruleSetNames)
	return pipeline.Names{
		Object: func(o pipeline.Owner) string {
			if r := owners[o.Kind]; r != nil {
				return byID(r, o.ID)
			}
			return ""
		},
		Number: func(n uint32) string {
			if id, segment, ok := pipeline.LocalID(n); ok {
				if segment {
					return byID(model.Segments, id)
				}
				return byID(model.Networks, id)
			}
			if n >= model.ReservedVNI {
				return reservedName(n)
			}
			uuid, _ := g.ByUnique(model.Networks, "vni", fmt.Sprint(n)) // of whatever has such a number
			return uuid
		},
		Leg:     in.legOfZone,
		RuleSet: func(number uint64) string { return sets()[number] },
		Rule: func(conj uint32) string {
			if conj&ruleIDs != 0 {
				return byID(model.SecurityGroupRules, conj&^ruleIDs)
			}
			group, place := byID(model.SecurityGroups, conj>>placeBits), conj&(1<<placeBits-1)
			switch {
			case group == "":
				return ""
			case place >= trustIn:
				return group + ".trust"
			}
			return fmt.Sprintf("%s.%d", group, place+1)
		},
		Port: in.portNames(),
		Slot: maps.Clone(in.Bridge.taken),
	}
}

func (in *Input) portNames() map[uint32]string {
	ports := map[uint32]string{}
	name := func(p flow.Port, name string) {
		if p != 0 { // is there
			ports[uint32(p)] = name
		}
	}
	name(in.Bridge.Uplink, "uplink")
	for kind, p := range in.Bridge.Tunnels {
		name(p, pipeline.Encapsulation(kind).String()) //nolint:gosec // 0 to 2
	}
	for p := range in.Bridge.Ports() {
		name(p.OFPort, p.Name)
	}
	return ports
}

// ruleSetNames gives the security groups of the rule sets that interfaces of this host have.
func (in *Input) ruleSetNames() map[uint64]string {
	names := map[uint64]string{}
	for i := range in.X.InterfacesAt(in.Self) {
		set := ruleSetOf(in.X.Domains(i))
		names[set.hash()] = strings.ReplaceAll(string(set), ",", "+")
	}
	names[noGroups.hash()] = "no-group"
	return names
}

// legOfZone gives the leg of this host that has a connection tracking zone, "" if none has.
func (in *Input) legOfZone(zone uint16) string {
	for id := pipeline.LegOfZone(zone); id <= pipeline.MaxOwnerID; id += pipeline.LegZoneStep {
		if o, ok := in.X.Graph().ByID(model.Interfaces, id); ok && in.hasLegZones(o.(*model.Interface)) {
			return o.Base().UUID
		}
	}
	return ""
}
