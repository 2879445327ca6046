package pipeline

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// WriteMarkdown writes the declaration as a document: the first part of docs/pipeline.md.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The OpenFlow pipeline

Generated (make docs); do not edit. The first part is the declaration, dataplane/pipeline: ids, bits and numbers are constants and
never used again for something else. The second part is [an example](#an-example): what one host of a small network has, flow by flow, and what
becomes of packets there.

A packet of a guest goes classify, guard_mac, guard_address, service, out_filter, out_rules, l2. From there it goes to another host (transport), to an interface of
this host (in_filter, in_rules, output), to everybody (flood), or to a router (l3_in to next_hop, and l2 again). A packet of another host goes classify,
tunnel_peer, tunnel_key, l2, and never back to another host unless it is routed. What nothing matches is dropped, and the drop's cookie says why.
` + "`vnctl host flows`" + ` shows a host's flows in the words of this document, ` + "`vnctl host drops`" + ` the counters by reason.

## Tables

| id | name | what it decides | matches | sets | goes on to | a packet that nothing matches |
|---|---|---|---|---|---|---|
`)
	for _, t := range Tables() {
		var matches, sets, next []string
		for _, r := range t.Reads {
			matches = append(matches, "*"+r.Name+"*")
		}
		for _, f := range t.Matches {
			matches = append(matches, f.String())
		}
		for _, r := range t.Writes {
			sets = append(sets, "*"+r.Name+"*")
		}
		for _, f := range t.Sets {
			sets = append(sets, f.String())
		}
		for _, id := range t.Next {
			next = append(next, TableByID(id).Name)
		}
		for _, id := range t.Again {
			next = append(next, "resubmit "+TableByID(id).Name)
		}
		if t.Tracks {
			next = append(next, "ct")
		}
		if t.Outputs {
			next = append(next, "out")
		}
		miss := "dropped: " + t.Miss.String()
		if t.Miss == reason.None {
			miss = "goes on to " + TableByID(t.MissTo).Name
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", t.ID, t.Name, t.Doc, strings.Join(matches, ", "), strings.Join(sets, ", "), strings.Join(next, ", "), miss)
	}
	b.WriteString(`
*Resubmit*: the packet is looked up there as well, and comes back. *ct*: the connection tracker may see it. *out*: to a port or to the agent.

## Registers

Bits that are not listed are zero.

| name | bits | holds |
|---|---|---|
`)
	for _, r := range Registers() {
		fmt.Fprintf(&b, "| *%s* | %s | %s |\n", r.Name, r.Bits, r.Doc)
	}
	b.WriteString("\nRegister *class* holds one of these:\n\n| number | class | the agent |\n|---|---|---|\n")
	for _, c := range PuntClasses {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", c.Class, c.Name, c.Doc)
	}
	writeMarks(&b)
	b.WriteString(`
## Cookies

64 bits: kind of the owner (4), id of the owner (28), hash of what the flow does (32). The hash is why a comparison needs no
look at the actions. 0 is nobody's.

| kind | name | owner | id |
|---|---|---|---|
`)
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", k.kind, k.name, k.doc, k.id)
	}
	fmt.Fprintf(&b, `
## Groups

The number of a domain is its VNI; of a physical or internal network, which has none, %#x + its id; of a physical segment %#x + its id.

| id | name | buckets |
|---|---|---|
`, LocalDomain(0, false), LocalDomain(0, true))
	for _, g := range groups {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", g.id, g.name, g.doc)
	}
	writeMeters(&b)
	b.WriteString("\n## Why packets are dropped\n\n| number | reason | meaning | what the sender is told |\n|---|---|---|---|\n")
	for _, r := range reason.All() {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r, r, r.Doc(), r.Told())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMeters says which meters there are.
func writeMeters(b *strings.Builder) {
	fmt.Fprintf(b, `
## Meters

Each port of an interface has a slot: the number of the port modulo %d, or the next that is free. Slot 0 is that of the host: of what it sends itself, of its NIC, of other hosts, and of what has been
routed. What exceeds a meter is dropped; a meter of packets for the agent drops the copy for the agent only. Limits are packets per second, and packets at once.

| id | name | what it limits | of a port | of the host |
|---|---|---|---|---|
`, MaxSlot+1)
	limit := func(l Limit) string {
		if l == (Limit{}) {
			return ""
		}
		return fmt.Sprintf("%d, %d", l.Rate, l.Burst)
	}
	for _, c := range PuntClasses {
		fmt.Fprintf(b, "| slot * %d + %d | PORT/%s | packets for the agent, which %s | %s | %s |\n", 1<<meterBits, c.Class, c.Name, c.Doc, limit(c.Port), limit(c.Host))
	}
	fmt.Fprintf(b, "| slot * %d + %d | PORT/egress | what the interface sends, in kbit/s; where it has a rate | its rate | |\n", 1<<meterBits, MeterEgress)
	fmt.Fprintf(b, "| slot * %d + %d | PORT/ingress | what the interface gets, in kbit/s; where it has a rate | its rate | |\n", 1<<meterBits, MeterIngress)
	b.WriteString(`
### Before Open vSwitch

Where all ports share one thread of ovs-vswitchd (the userspace datapath), what a meter drops has cost everybody already. The program at an interface's port has the same limits, and some more, and drops what
exceeds them first. What is for other guests is in none of these classes, but for ARP, neighbour discovery and DHCP questions, which are questions in any case. ` + "`vna --limit CLASS=RATE/BURST`" + ` sets other
limits of a host's ports, of meters and programs alike; ` + "`vnctl host limits`" + ` shows them, and what each port has had.

| class | what the program takes for it | of a port |
|---|---|---|
`)
	for _, p := range (Limits{}).Ports() {
		if p.Program {
			fmt.Fprintf(b, "| %s | %s | %s |\n", p.Name, p.Doc, limit(p.Limit))
		}
	}
}

// marks are what Open vSwitch can remember of a packet or connection beside registers.
var marks = []flow.Field{flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel, flow.PktMark, flow.Metadata}

// writeMarks says which zones and marks there are.
func writeMarks(b *strings.Builder) {
	b.WriteString(`
## Connection tracking

A zone remembers the conversations of one interface, or of one leg, so that tenants with the same addresses do not meet, and what one fills is its own. Zone 0 is never
used.

| zone | name | remembers |
|---|---|---|
`)
	for n, z := range portZones {
		fmt.Fprintf(b, "| slot of the port * 2 + %d | PORT/%s | %s |\n", n, z.name, z.doc)
	}
	for n, z := range legZones {
		fmt.Fprintf(b, "| %#x + id of the leg modulo %d * 2 + %d | LEG/%s | %s |\n", zonesOfLegs, LegZoneStep, n, z.name, z.doc)
	}
	fmt.Fprintf(b, `
What a conversation may do next follows from its zone and its state alone: it has no mark and no label, and a packet none either. The builder
refuses a flow that uses one.

| field | matched by | set by |
|---|---|---|
`)
	or := func(names []string) string {
		if names == nil {
			return "no table"
		}
		return strings.Join(names, ", ")
	}
	for _, f := range marks {
		var matched, set []string
		for _, t := range Tables() {
			if slices.Contains(t.Matches, f) {
				matched = append(matched, t.Name)
			}
			if slices.Contains(t.Sets, f) || t.Tracks && (f == flow.CTState || f == flow.CTZone) {
				set = append(set, t.Name)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", f, or(matched), or(set))
	}
}
