package compile

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// How filters are made of flows. An interface's own flows, which are there anyway, load the zones of its filters and the number of its rule set: its
// security groups together. So what security groups cost are flows for rule sets in use, for rules, for protocols with ports, and for addresses,
// each once on a host, and no products of them:
//
//	rule_set units: dimension 1, which rules count for a rule set
//	rules of units security_group and security_group_rule: dimension 2, protocol and ports; dimension 3, addresses that the rule names; what the rule does
//	member units: dimension 3, addresses of members of groups that rules name
//
// Rules of one OpenFlow priority share flows of a dimension: units say their clause of it, and dataplane/state lists them.

// defaultConnections is how many conversations are remembered in a zone, where the interface does not say.
const defaultConnections = 65536

// policy is what the filters need to know of an interface whose port is here.
type policy struct {
	filterZone, groupZone uint16 // 0: that filter does not judge the interface
	ruleSet               uint64
	owner                 uint32
	connections           uint32
}

// policy gives the policy of an interface with its port. The error says why the interface must stay closed.
func (in *Input) policy(i *model.Interface, port Port) (policy, error) {
	set, judged := in.ruleSet(i)
	if !judged && !i.EnableFiltering {
		return policy{}, nil
	}
	if port.OFPort == flow.PortLocal {
		return policy{}, fmt.Errorf("%w: there are no filters for the host itself, so that interface %s is closed while it has one or is in a security group", ErrUnrealised, i.UUID)
	}
	slot, err := in.Bridge.slot(port)
	if err != nil {
		return policy{}, err
	}
	p := policy{owner: i.ID, connections: i.ConnectionLimit}
	if p.connections == 0 {
		p.connections = defaultConnections
	}
	filter, groups := pipeline.PortZones(slot)
	if i.EnableFiltering {
		p.filterZone = filter
		if err := in.checkFilter(i.UUID); err != nil {
			return policy{}, err
		}
	}
	if judged {
		p.groupZone, p.ruleSet = groups, set.hash()
		for _, g := range set.groups() {
			if o, ok := graph.Lookup[*model.SecurityGroup](in.X.Graph(), g); ok && o.ID > maxGroupID {
				return policy{}, groupIDError(o)
			}
		}
	}
	return p, nil
}

// sending gives the actions for what the interface sends, beside those that say which it is.
func (p policy) sending() []flow.Action {
	if p == (policy{}) {
		return nil
	}
	return p.actions()
}

// getting gives the actions for what the interface gets. They are there for every interface: the registers may hold the sender's.
func (p policy) getting() []flow.Action { return p.actions() }

func (p policy) actions() []flow.Action {
	return []flow.Action{
		pipeline.FilterZone.Set(uint32(p.filterZone)), pipeline.GroupZone.Set(uint32(p.groupZone)), pipeline.RuleSet.SetValue(flow.Uint(p.ruleSet)),
	}
}

// zones gives how many conversations the zones of the interface may hold.
func (p policy) zones() []state.ZoneLimit {
	var zs []state.ZoneLimit
	for _, z := range []uint16{p.filterZone, p.groupZone} {
		if z != 0 {
			zs = append(zs, state.ZoneLimit{Zone: z, Limit: p.connections, Owner: p.owner})
		}
	}
	return zs
}

// ruleSet is the security groups of an interface: their uuids, sorted, separated by commas; noGroups for one that is judged without any.
type ruleSet string

const noGroups = ruleSet("none")

// ruleSet gives the rule set of an interface. The bool is false if security groups do not judge it.
func (in *Input) ruleSet(i *model.Interface) (ruleSet, bool) {
	if set := ruleSetOf(in.X.Domains(i.UUID)); set != noGroups {
		return set, true
	}
	return noGroups, i.IngressFilteringEnabled
}

// ruleSetOf gives the rule set of an interface that is in these domains, which are sorted.
func ruleSetOf(domains []string) ruleSet {
	if gs := securityGroups(domains); len(gs) > 0 {
		return ruleSet(strings.Join(gs, ","))
	}
	return noGroups
}

// securityGroups gives the security groups among sorted domains.
func securityGroups(domains []string) []string {
	prefix := model.SecurityGroups.Prefix + "-"
	first, _ := slices.BinarySearch(domains, prefix)
	end := first
	for end < len(domains) && strings.HasPrefix(domains[end], prefix) {
		end++
	}
	return domains[first:end]
}

func (s ruleSet) groups() []string {
	if s == noGroups {
		return nil
	}
	return strings.Split(string(s), ",")
}

// hash gives the number of the rule set, which is never 0.
func (s ruleSet) hash() uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:]) | 1
}
