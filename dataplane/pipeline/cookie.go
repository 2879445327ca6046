package pipeline

import (
	"fmt"
	"hash/crc32"

	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Kind is the kind of object that a flow belongs to.
type Kind uint8

// The kinds. 0 is nobody's: a flow that was not made here.
const (
	KindHost      Kind = 1  // the pipeline itself; the id is 0
	KindDatapath  Kind = 2  // another host; its id
	KindNetwork   Kind = 3  // a network; its id
	KindInterface Kind = 4  // an interface; its id
	KindSegment   Kind = 5  // a segment; its id
	KindRouteLink Kind = 6  // a route link; its id
	KindRoute     Kind = 7  // a route; its id
	KindTranslate Kind = 8  // a translation; its id
	KindFilter    Kind = 9  // a rule of a static filter; its id
	KindGroup     Kind = 10 // a security group's own rules, those of its text and of trust; its id
	KindRule      Kind = 11 // a security group's rule; its id
	KindPeers     Kind = 12 // addresses and ports that rules of several groups share; the id is 0
	KindMirror    Kind = 13 // a mirror; its id
	KindLearned   Kind = 14 // what was found out about devices outside; the id is that of the interface they are behind
	KindDrop      Kind = 15 // a drop of the pipeline itself; the id is the reason
)

// kinds says what each kind is: its name, whose flows they are, and what the id in a cookie is.
var kinds = []struct {
	kind          Kind
	name, doc, id string
}{
	{KindHost, "host", "the pipeline itself", "0"},
	{KindDatapath, "datapath", "another host", "the datapath's"},
	{KindNetwork, "network", "a network", "the network's"},
	{KindInterface, "interface", "an interface", "the interface's"},
	{KindSegment, "segment", "a segment", "the segment's"},
	{KindRouteLink, "route_link", "a route link", "the route link's"},
	{KindRoute, "route", "a route", "the route's"},
	{KindTranslate, "translation", "a translation, with its rows", "the translation's"},
	{KindFilter, "filter_static", "a rule of a static filter", "the rule's"},
	{KindGroup, "security_group", "a security group: the rules of its text, and those of trust", "the group's"},
	{KindRule, "security_group_rule", "a security group's rule", "the rule's"},
	{KindPeers, "peers", "addresses, ports and sets of groups that rules of several groups share", "0"},
	{KindMirror, "mirror", "a mirror", "the mirror's"},
	{KindLearned, "learned", "what was found out about devices outside", "that of the interface they are behind"},
	{KindDrop, "drop", "a drop of the pipeline itself", "the reason"},
}

func (k Kind) String() string {
	for _, d := range kinds {
		if d.kind == k {
			return d.name
		}
	}
	return fmt.Sprintf("kind_%d", uint8(k))
}

// MaxOwnerID is the largest id that a cookie has room for.
const MaxOwnerID = 1<<28 - 1

// Owner is the object that a flow belongs to.
type Owner struct {
	Kind Kind
	ID   uint32 // up to MaxOwnerID
}

// Cookie is the 64-bit cookie of a flow: kind (4 bits), id (28 bits), and a hash of what the flow does (32 bits), so that a
// dump tells whose a flow is, and whether it is current, without comparing its actions (which a switch may write in another way).
type Cookie uint64

func newCookie(o Owner, f flow.Flow) Cookie {
	h := crc32.New(castagnoli)
	_, _ = fmt.Fprintf(h, "%d %d %d ", f.IdleTimeout, f.HardTimeout, f.Flags)
	_, _ = h.Write([]byte(f.Actions.Encoded()))
	return Cookie(uint64(o.Kind)<<60 | uint64(o.ID)<<32 | uint64(h.Sum32()))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Owner gives the object that the flow belongs to.
func (c Cookie) Owner() Owner { return Owner{Kind(c >> 60), uint32(c>>32) & MaxOwnerID} }

// Reason gives the reason of a drop flow, reason.None for others.
func (c Cookie) Reason() reason.Reason {
	if o := c.Owner(); o.Kind == KindDrop {
		return reason.Reason(o.ID)
	}
	return reason.None
}

// KindCookie gives value and mask of the cookies of all owners of a kind.
func KindCookie(k Kind) (value, mask uint64) { return uint64(k) << 60, 0xf << 60 }
