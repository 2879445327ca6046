package compile_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// pretty gives one sorted line for each item.
func pretty(p state.Full) string {
	var lines []string
	for _, f := range p.Flows {
		lines = append(lines, f.String())
	}
	for _, g := range p.Groups {
		lines = append(lines, fmt.Sprintf("group %d", g.ID))
	}
	for _, b := range p.Buckets {
		lines = append(lines, fmt.Sprintf("bucket of group %d: %s", b.Group, flow.Group{Buckets: []flow.Bucket{b.Bucket}}))
	}
	for _, m := range p.Meters {
		lines = append(lines, fmt.Sprintf("meter %+v", m))
	}
	for _, z := range p.Zones {
		lines = append(lines, fmt.Sprintf("zone %+v", z))
	}
	for _, x := range p.Ports {
		lines = append(lines, fmt.Sprintf("fast port %+v", x))
	}
	for _, x := range p.Sources {
		lines = append(lines, fmt.Sprintf("fast source %+v", x))
	}
	for _, x := range p.Neighbors {
		lines = append(lines, fmt.Sprintf("neighbor %+v", x))
	}
	for _, x := range p.Limits {
		lines = append(lines, fmt.Sprintf("fast limit %+v", x))
	}
	for _, x := range p.Simulated {
		lines = append(lines, fmt.Sprintf("fast simulated %+v", x))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
