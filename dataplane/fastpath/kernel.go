package fastpath

import (
	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
)

// kernel is what the driver writes to. Tests have another one, which fails on demand.
type kernel struct {
	ports     table[int, portEntry] // by ifindex
	sources   table[state.SourceKey, state.FastSource]
	neighbors table[state.NeighborKey, state.Neighbor]
	limits    table[string, state.FastLimit]
	simulated table[state.SimulatedKey, state.Simulated]
	links     links
}

// table is a map of the kernel. Removing what is not there is no error.
type table[K, V comparable] interface {
	all() (map[K]V, error)
	put(K, V) error
	remove(K) error
}

// links is the network devices, and our programs on them.
type links interface {
	device(ifindex int) (device, error)
	attached() ([]attachment, error)
	attach(name string, ifindex int, hook state.FastHook) (attachment, error)
	update(attachment) (attachment, error) // to the current program, without a gap
	rename(a attachment, name string) (attachment, error)
	detach(attachment) error
	prune() ([]string, error) // pins of versions that are no more
}

// device is a network device.
type device struct {
	name, kind string
	xdp        uint32 // id of the XDP program on it, 0 for none
	xdpMode    state.FastHook
	inKernel   bool // it is a port of Open vSwitch's kernel datapath, before which tc comes
}

// attachment is a program of ours on a device.
type attachment struct {
	name    string // of the port, when it was attached
	ifindex int
	hook    state.FastHook
	gone    bool // the device has gone; the pin is left
	stale   bool // not the current program
	filter  bool // a filter of clsact instead of a link, on a kernel without tcx
}

// portEntry is bpf.Port, comparable with what is desired.
type portEntry struct {
	iface, network uint32
	features       bpf.Feature
	mac            model.MAC
	unlimited      bool // there are no buckets, or nothing else, of the port
}

func entryOf(p state.FastPort) portEntry {
	e := portEntry{iface: p.Interface, network: p.Network, mac: p.MAC}
	if p.Guard {
		e.features = bpf.FeatureARP | bpf.FeatureND
	}
	return e
}
