package pipeline

//go:generate go test -count=1 -run ^TestDocumentIsCurrent$ . -update

import (
	"fmt"
	"io"
	"strings"

	"github.com/openvnet/openvnet/model/reason"
)

// WriteMarkdown writes the declaration as a document: docs/pipeline.md.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The OpenFlow pipeline

Generated from the declaration in dataplane/pipeline (make docs); do not edit. Ids, bits and numbers are constants and never
used again for something else.

A packet of a guest goes classify, guard_mac, guard_address, service, l2 and then output, transport or flood. A packet of another
host goes classify, tunnel_peer, tunnel_key, l2, and never back to another host. What nothing matches is dropped, and
the drop's cookie says why. vnctl host flows shows a host's flows in these words, vnctl host drops the counters by reason.

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
		if t.Outputs {
			next = append(next, "out")
		}
		miss := "dropped: " + t.Miss.String()
		if t.Miss == reason.None {
			miss = "goes on to " + TableByID(t.MissTo).Name
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", t.ID, t.Name, t.Doc, strings.Join(matches, ", "), strings.Join(sets, ", "), strings.Join(next, ", "), miss)
	}
	b.WriteString("\n## Registers\n\n| name | bits | holds |\n|---|---|---|\n")
	for _, r := range Registers() {
		fmt.Fprintf(&b, "| *%s* | %s | %s |\n", r.Name, r.Bits, r.Doc)
	}
	b.WriteString(`
## Cookies

64 bits: kind of the owner (4), id of the owner (28), hash of what the flow does (32). The hash is why a comparison needs no
look at the actions. 0 is nobody's.

| kind | owner | id |
|---|---|---|
| 1 | the pipeline itself | 0 |
| 2 | another host | the datapath's |
| 3 | a network | the network's |
| 4 | an interface | the interface's |
| 15 | a drop of the pipeline | the reason |

## Groups

| id | floods to |
|---|---|
| VNI * 2 | the network's interfaces on this host; a bucket for each, with the interface's id |
| VNI * 2 + 1 | the other hosts where the network is present; a bucket for each, with the datapath's id |

## Why packets are dropped

| number | reason | meaning |
|---|---|---|
`)
	for _, r := range reason.All() {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", r, r, r.Doc())
	}
	_, err := io.WriteString(w, b.String())
	return err
}
