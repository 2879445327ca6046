package compile_test

import (
	"path/filepath"
	"testing"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
)

// isFilterTable reports whether a table is one of filters.
func isFilterTable(id uint8) bool {
	return id >= pipeline.OutFilter.ID && id <= pipeline.OutRulesAnswer.ID || id >= pipeline.InFilter.ID && id <= pipeline.InRulesAnswer.ID
}

// What filters compile to, without what every host has.
func TestGoldenFilters(t *testing.T) {
	for name, world := range map[string]func(w *world){
		"filter-static": func(w *world) {
			w.filter("a1", model.Filter{EgressPassthrough: true},
				model.FilterStatic{Protocol: "ip", SrcAddress: prefix("10.0.0.0/24"), Action: "drop"},
				model.FilterStatic{Protocol: "tcp", DstPort: 22, SrcAddress: prefix("10.0.0.9/32"), Action: "pass"},
				model.FilterStatic{Protocol: "udp", SrcPort: 53, Action: "conn"},
				model.FilterStatic{Protocol: "icmp", DstAddress: prefix("fd00:a::1/128"), Action: "pass"},
				model.FilterStatic{Protocol: "arp", SrcAddress: prefix("10.0.0.66/32"), Action: "drop"})
			w.edit("if-a2", func(i *model.Interface) { i.EnableFiltering = true })
		},
		"filter-groups": func(w *world) {
			w.group("sg-1", "tcp:80:10.1.0.0/16\nicmp:-1:sg-2", model.SecurityGroup{TrustMembers: true}, "a1", "a2")
			w.group("sg-2", "", model.SecurityGroup{EgressFilteringEnabled: true}, "a2", "a3")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "tcp", PortFirst: 8000, PortLast: 8003})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "tcp", PortFirst: 80, RemoteAddresses: "10.1.0.0/16"})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-2", Direction: model.RuleEgress, RemoteGroupUUID: "sg-1", Action: model.RuleReject, Priority: 5, Log: true})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-2", Direction: model.RuleEgress})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := guests()
			everyHost := host(t, w)
			world(w)
			s, own := host(t, w), state.New()
			var items state.Items
			for k, f := range s.Flows.All() {
				if _, ok := everyHost.Flows.Get(k); !ok && isFilterTable(k.Table) {
					items.Flows = append(items.Flows, f)
				}
			}
			for _, z := range s.Zones.All() {
				items.Zones = append(items.Zones, z)
			}
			if err := own.Replace(state.Unit{Kind: "golden"}, items, &state.Changes{}); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".txt"), text(own))
		})
	}
}
