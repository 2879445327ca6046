// Package bpf has the eBPF programs of the fast path: C (one file per attach point, the features in include/), the
// objects compiled from it, and Go types generated from it. It puts nothing into the kernel: dataplane/fastpath, which
// imports it, decides what is loaded, pinned and attached, and what the maps hold.
//
// A program answers, drops or passes a frame that a guest sends. What it passes goes on to Open vSwitch as if the program
// were not there, so a program may always say "not mine", and where it is missing only speed is.
package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

//go:generate -command bpf2go go run github.com/cilium/ebpf/cmd/bpf2go -target amd64,arm64
//go:generate bpf2go -output-stem guest_xdp -type ov_port -type ov_feature -type ov_source_key -type ov_source -type ov_neighbor_key -type ov_neighbor -type ov_source6_key -type ov_neighbor6_key -type ov_reason -type ov_class -type ov_limit -type ov_bucket -type ov_buckets -type ov_simulated_key xdp guest_xdp.c -- @cflags
//go:generate bpf2go -output-stem guest_tc -no-global-types tc guest_tc.c -- @cflags

// Programs of a guest's port, by the names that the kernel shows. Both do the same.
const (
	GuestXDP = xdpProgOvGuestXdp // XDP, generic or native
	GuestTC  = tcProgOvGuestTc   // tcx ingress
)

// Maps, by the names that the kernel shows. A name ends in the version of what the map holds: another key, value or size
// is another name. All but CountersMap and BucketsMap are read-only for the programs.
const (
	PortsMap     = xdpMapOvPortsV1     // uint32 ifindex -> Port
	SourcesMap   = xdpMapOvSourcesV1   // SourceKey -> Source
	NeighborsMap = xdpMapOvNeighborsV1 // NeighborKey -> Neighbor
	Sources6Map  = xdpMapOvSources6V1  // Source6Key -> Source
	Neighbor6Map = xdpMapOvNeighbor6V1 // Neighbor6Key -> Neighbor
	CountersMap  = xdpMapOvCountersV1  // Reason -> uint64 per CPU
	LimitsMap    = xdpMapOvLimitsV1    // Class -> Limit
	BucketsMap   = xdpMapOvBucketsV1   // uint32 ifindex -> Buckets
	SimulatedMap = xdpMapOvSimulatedV1 // SimulatedKey -> uint32 interface id
)

// Port is a guest's port. Network and Mac are those of frames that carry no source address (ARP probes); network 0 means
// that there are none.
type Port = xdpOvPort

// Feature is a bit of Port.Features.
type Feature = xdpOvFeature

// FeatureARP guards the sender of ARP and answers requests for known leases of other interfaces.
const FeatureARP Feature = xdpOvFeatureOV_FEATURE_ARP

// FeatureND does the same with neighbour solicitations.
const FeatureND Feature = xdpOvFeatureOV_FEATURE_ND

// SourceKey is an IPv4 address that an interface may send from.
type SourceKey = xdpOvSourceKey

// Source6Key is an IPv6 address that an interface may send from.
type Source6Key = xdpOvSource6Key

// Source is the network and the MAC that go with such an address.
type Source = xdpOvSource

// NeighborKey is a known IPv4 address of a network.
type NeighborKey = xdpOvNeighborKey

// Neighbor6Key is a known IPv6 address of a network.
type Neighbor6Key = xdpOvNeighbor6Key

// Neighbor is who has such an address, on whichever host.
type Neighbor = xdpOvNeighbor

// Limit is what a port may send of a class: an interval for each frame, and as much time as it may save up, in nanoseconds. A class without one is not limited.
type Limit = xdpOvLimit

// Buckets is what a port has taken of its limits, by Class. A port without them is not limited.
type Buckets = xdpOvBuckets

// SimulatedKey is an address of a simulated interface at this host, of IPv4 mapped into IPv6, or with the address zero its MAC address alone;
// with the MAC address zero, an address that is served whatever MAC address packets for it have.
type SimulatedKey = xdpOvSimulatedKey

// Spec gives both programs and the maps that they share. Maps are marked to be pinned by name; nothing is loaded. Every
// call gives a new copy.
func Spec() (*ebpf.CollectionSpec, error) {
	spec, err := loadXdp()
	if err != nil {
		return nil, err
	}
	tc, err := loadTc()
	if err != nil {
		return nil, err
	}
	for name := range tc.Maps {
		if spec.Maps[name] == nil || spec.Maps[name].Pinning != ebpf.PinByName {
			return nil, fmt.Errorf("map %s of %s is not shared with %s", name, GuestTC, GuestXDP)
		}
	}
	spec.Programs[GuestTC] = tc.Programs[GuestTC]
	return spec, nil
}
