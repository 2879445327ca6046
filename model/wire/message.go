// Package wire is what vnmgr and vna say to each other: one stream per agent, opened by the agent, of JSON messages one to a
// line in both directions. The manager sends a snapshot of the host's share, a bookmark, then deltas; the agent acknowledges
// revisions with the problems it has, and reports ports that it cannot place. Each side sends a ping when it has nothing
// else to say, and takes a silence of three intervals as the end.
//
//	agent                          manager
//	  Hello ───────────────────────►
//	  ◄─────────────────── Welcome (or Refused, and the end)
//	  ◄──────────────────── Objects ... Bookmark{r}
//	  Ack{r} ──────────────────────►
//	  Ports ───────────────────────►
//	  ◄─────────────────── Delta{r+1}
//	  Ack{r+1, problems} ──────────►
//	  Asked ───────────────────────►  (a guest without lease asks by DHCP or DHCPv6)
//	  Arrived ─────────────────────►  (a guest that was to move here sends from here)
//	  Claimed ─────────────────────►  (guests want addresses that they have made themselves)
//	  Leases ──────────────────────►  (guests have renewed leases by DHCP, or given them back)
//
// The package holds the messages and their framing, no connection and no policy. Imported by manager/sync and agent/sync.
package wire

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/model"
)

const (
	// Version of the protocol. A peer that says another one is refused with both versions in the reason.
	Version = 1
	// Path of the stream on the manager: POST, HTTP/2, with both bodies of type ContentType.
	Path = "/agent/1.0/stream"
	// ContentType of both bodies.
	ContentType = "application/x-ndjson"
	// PingInterval is how long a side may be silent; three of them are the end of the stream.
	PingInterval = 5 * time.Second
	// MaxLine bounds one message, in bytes. A sender splits what is longer.
	MaxLine = 4 << 20
	// MaxObjects bounds the objects of one message.
	MaxObjects = 1000
)

// FromAgent is one message of an agent: exactly one member is set, none for a ping.
type FromAgent struct {
	Hello *Hello `json:"hello,omitempty"`
	Ack   *Ack   `json:"ack,omitempty"`
	Ports *Ports `json:"ports,omitempty"`
	Asked *Asked `json:"asked,omitempty"`

	Arrived *Arrived `json:"arrived,omitempty"`
	Leases  *Leases  `json:"leases,omitempty"`
	Claimed *Claimed `json:"claimed,omitempty"`
}

// Hello is the agent's first message.
type Hello struct {
	Version  int        `json:"version"`
	NodeID   string     `json:"node_id"`
	DPID     model.DPID `json:"dpid"`
	Instance string     `json:"instance"` // random, kept on the agent's disk: tells a returning agent from a second claimant
	Software string     `json:"software"` // version of the agent, for people
	Uplink   *Uplink    `json:"uplink,omitempty"`
}

// Uplink is the host's interface to the underlay, from which an automatic registration makes the host interface.
type Uplink struct {
	Name      string         `json:"name"` // of the NIC, a port of the bridge
	MAC       model.MAC      `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"` // of the bridge, with their subnets
	MTU       int            `json:"mtu"`
}

// Ack says that the host's data plane has everything up to Revision, but for Problems. The list is complete each time: a
// problem that it no longer names is over.
type Ack struct {
	Revision int64     `json:"revision"`
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is an object that the host could not realise, and why.
type Problem struct {
	UUID   string `json:"uuid"`
	Reason string `json:"reason"`
}

// Ports says which guests' ports the bridge has, as far as the manager has to know: where an interface without a host of its own is
// depends on it. Both lists are complete each time.
type Ports struct {
	// Unplaced are the names (iface-id and port name) of ports that belong to no interface on this host.
	Unplaced []string `json:"unplaced"`
	// Placed are the uuids of the interfaces on this host by an active_interface whose port is there.
	Placed []string `json:"placed"`
}

// Asked says that guests ask by DHCP who have no IPv4 lease, or for routers or by DHCPv6 who have no IPv6 lease; a lease policy may make one now.
type Asked struct {
	Interfaces  []string `json:"interfaces"`            // uuids, at most MaxAsked of both together
	Interfaces6 []string `json:"interfaces6,omitempty"` // likewise, of IPv6
}

// MaxAsked bounds the interfaces of one Asked.
const MaxAsked = 1000

// Arrived says that guests send from this host whose interfaces are to move here: they are here from now on.
type Arrived struct {
	Interfaces []Arrival `json:"interfaces"` // at most MaxArrived
}

// Arrival is an interface with the port that its guest sends from.
type Arrival struct {
	UUID string `json:"uuid"`
	Port string `json:"port"` // its iface-id, or its name
}

// MaxArrived bounds the interfaces of one Arrived.
const MaxArrived = 1000

// Leases says what guests have said of their IP leases by DHCP: that they go on using them, or that they give them back.
type Leases struct {
	Renewed  []string `json:"renewed,omitempty"`  // uuids, at most MaxLeases of both together
	Released []string `json:"released,omitempty"` // likewise
}

// MaxLeases bounds the leases of one Leases.
const MaxLeases = 1000

// FromManager is one message of a manager: exactly one member is set, none for a ping.
type FromManager struct {
	Welcome  *Welcome  `json:"welcome,omitempty"`
	Refused  *Refused  `json:"refused,omitempty"`
	Objects  []Object  `json:"objects,omitempty"`
	Bookmark *Bookmark `json:"bookmark,omitempty"`
	Delta    *Delta    `json:"delta,omitempty"`
}

// Welcome is the manager's answer to a Hello that it accepts.
type Welcome struct {
	Datapath string `json:"datapath"` // uuid of the host
	Store    string `json:"store"`    // identity of the store: revisions of two stores do not compare
}

// Refused is the manager's answer to a Hello that it does not accept; the stream ends.
type Refused struct {
	Reason string `json:"reason"`
}

// Bookmark ends a snapshot: the Objects since Welcome are the host's whole share as of Revision.
type Bookmark struct {
	Revision int64 `json:"revision"`
}

// Delta is the change of the share by one or more revisions up to Revision. A delta that is too long for one message comes in parts,
// all but the last with More.
type Delta struct {
	Revision int64    `json:"revision"`
	Upserts  []Object `json:"upserts,omitempty"`
	Deletes  []string `json:"deletes,omitempty"` // uuids
	More     bool     `json:"more,omitempty"`
}

// Object is an object of the model on the wire; its resource is known by the uuid's prefix.
type Object struct {
	Revision int64           `json:"revision"`
	Value    json.RawMessage `json:"value"`
}

// NewObject gives the wire form of o.
func NewObject(o model.Object) (Object, error) {
	b, err := model.Encode(o)
	if err != nil {
		return Object{}, err
	}
	return Object{Revision: o.Base().Revision, Value: b}, nil
}

// Model gives the object, or an error if it is of no known resource or malformed.
func (o Object) Model() (model.Object, error) {
	var m struct {
		UUID string `json:"uuid"`
	}
	if err := json.Unmarshal(o.Value, &m); err != nil {
		return nil, fmt.Errorf("object on the stream: %w", err)
	}
	r := model.ByUUID(m.UUID)
	if r == nil {
		return nil, fmt.Errorf("object on the stream: no resource has the prefix of %q", m.UUID)
	}
	v, err := r.Decode(o.Value)
	if err != nil {
		return nil, fmt.Errorf("object %s on the stream: %w", m.UUID, err)
	}
	v.Base().Revision = o.Revision
	return v, nil
}

// Claimed says that guests want IPv6 addresses that they have made of their networks' subnets.
type Claimed struct {
	Claims []Claim `json:"claims"` // at most MaxClaims
}

// Claim is an address that a guest wants, and those of its MAC address that it has given up for it.
type Claim struct {
	InterfaceUUID string       `json:"interface_uuid"`
	MAC           model.MAC    `json:"mac"`
	Address       netip.Addr   `json:"address"`
	Gone          []netip.Addr `json:"gone,omitempty"` // at most model.MaxClaims
}

// UnmarshalJSON implements [json.Unmarshaler]. The error names the field whose text is not what it must be.
func (c *Claim) UnmarshalJSON(b []byte) error {
	var texts struct {
		InterfaceUUID string   `json:"interface_uuid"`
		MAC           string   `json:"mac"`
		Address       string   `json:"address"`
		Gone          []string `json:"gone"`
	}
	if err := json.Unmarshal(b, &texts); err != nil {
		return err
	}
	*c = Claim{InterfaceUUID: texts.InterfaceUUID}
	if err := c.MAC.UnmarshalText([]byte(texts.MAC)); err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	if err := c.Address.UnmarshalText([]byte(texts.Address)); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	for _, text := range texts.Gone {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("gone: %w", err)
		}
		c.Gone = append(c.Gone, a)
	}
	return nil
}

// MaxClaims bounds the claims of one Claimed.
const MaxClaims = 1000
