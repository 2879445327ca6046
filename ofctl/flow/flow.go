// Package flow holds OpenFlow flows, groups and meters as values: fields, matches, actions, how they are encoded for
// OpenFlow 1.5 with the Nicira extensions of Open vSwitch, and the text form of ovs-ofctl. It does no I/O and knows no
// pipeline: ofctl/ofp puts the values into messages, ofctl/conn sends those, and the data plane compiles to the values.
//
// Flow, Match and Actions are immutable and comparable by ==: what Open vSwitch 3.1 dumps is equal to what was sent.
// Everything here may be used by several goroutines at once.
package flow

// Flow is one entry of a flow table. It is comparable by ==.
type Flow struct {
	Table       uint8
	Priority    uint16
	Cookie      uint64
	Match       Match
	Actions     Actions
	IdleTimeout uint16 // seconds without packets; 0: none
	HardTimeout uint16 // seconds; 0: none
	Importance  uint16 // for eviction
	Flags       Flags
}

// Key is the identity of a flow: adding a flow replaces the one with the same Key.
type Key struct {
	Table    uint8
	Priority uint16
	Match    Match
}

// Key gives the identity of the flow.
func (f Flow) Key() Key { return Key{f.Table, f.Priority, f.Match} }

// String gives the line of "ovs-ofctl -O OpenFlow15 dump-flows --no-stats".
func (f Flow) String() string { return Format(f, Names{}) }

// DefaultPriority is the priority that the text form leaves out.
const DefaultPriority = 0x8000

// Flags are the flags of a flow (OFPFF_*, OpenFlow 1.5, section 7.3.4.2). Open vSwitch keeps and dumps all but CheckOverlap
// and ResetCounts, which say how a flow is added.
type Flags uint16

// Flags of flows.
const (
	SendFlowRem    Flags = 1 << iota // send a flow-removed message when the flow expires or is deleted
	CheckOverlap                     // refuse the flow if one of equal priority overlaps
	ResetCounts                      // zero the counters of a flow that is modified
	NoPacketCounts                   // the switch need not count packets
	NoByteCounts                     // the switch need not count bytes
)

// Group is an entry of the group table.
type Group struct {
	ID      uint32
	Type    GroupType
	Buckets []Bucket
	// Selection is how a Select group chooses: "hash" or "dp_hash" (the Netronome extension); empty: the default.
	Selection string
	Param     uint64  // selection_method_param: basis of the hash
	Fields    []Field // fields that are hashed, whole ones, ascending
}

// GroupType is how a group uses its buckets (OFPGT_*).
type GroupType uint8

// Types of groups.
const (
	All      GroupType = iota // every bucket
	Select                    // one bucket by hash and weight
	Indirect                  // the one bucket
	FF                        // the first live bucket
)

// Bucket is a list of actions of a group. It is comparable by ==.
type Bucket struct {
	ID         uint32  // unique in the group, up to MaxBucketID
	Weight     uint16  // in Select groups, where the text form leaves out 1
	WatchPort  Port    // the bucket is live while this port is; 0: none
	WatchGroup uint32  // the bucket is live while this group is; 0: none
	Actions    Actions // actions only, no instructions
}

// MaxBucketID is the largest id of a bucket; above are the ids of commands (OFPG_BUCKET_*).
const MaxBucketID = 0xffffff00

// Meter is an entry of the meter table.
type Meter struct {
	ID    uint32
	Unit  MeterUnit
	Burst bool // the burst sizes of the bands count
	Stats bool // collect statistics
	Bands []Band
}

// MeterUnit is the unit of rates and bursts.
type MeterUnit uint8

// Units of meters.
const (
	Kbps  MeterUnit = iota // kilobits per second
	Pktps                  // packets per second
)

// Band is one limit of a meter. Open vSwitch drops what is above.
type Band struct {
	Rate  uint32 // in the unit of the meter
	Burst uint32 // in the unit of the meter (kilobits or packets); 0 unless Meter.Burst
}
