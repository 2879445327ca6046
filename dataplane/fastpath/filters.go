package fastpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
)

// Kernels before 6.6 have no tcx: there the program is a filter of the port's clsact queueing discipline (tc-bpf(8)), which
// stays without a pin. A pin of the program, in a folder of its own, says that the filter is ours.

const (
	filterName     = "openvnet"
	filterPriority = 1 // before all others, so that none can take a spoofed frame past the guard
	filterHandle   = 1
)

func (p *pins) filter(ifindex int, prog *ebpf.Program) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS, Handle: filterHandle, Priority: filterPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: prog.FD(), Name: filterName, DirectAction: true,
	}
}

// attachFilter attaches the program, or replaces the one that is attached, without a gap.
func (p *pins) attachFilter(name string, ifindex int) (attachment, error) {
	prog := p.progs[bpf.GuestTC]
	a := attachment{name: name, ifindex: ifindex, hook: state.HookTC, filter: true}
	present, err := findFilter(ifindex)
	if err != nil {
		return a, err
	}
	if present != nil && present.Name != filterName {
		return a, fmt.Errorf("%w: tc filter %q of priority %d", ErrOtherOwner, present.Name, filterPriority)
	}
	if err := p.pinFilter(a, prog); err != nil { // first: what is attached must be known to be ours
		return a, err
	}
	err = netlink.QdiscAdd(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}, QdiscType: "clsact",
	})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return a, fmt.Errorf("add clsact: %w", err)
	}
	if err := netlink.FilterReplace(p.filter(ifindex, prog)); err != nil {
		return a, fmt.Errorf("set tc filter: %w", err)
	}
	return a, nil
}

// pinFilter makes the pin, in place of one that is there.
func (p *pins) pinFilter(a attachment, prog *ebpf.Program) error {
	path := p.linkPath(a)
	next := path + "_next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	second, err := prog.Clone() // the program has a pin of its own, which would be moved
	if err != nil {
		return err
	}
	if err := errors.Join(second.Pin(next), second.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// detachFilter takes the filter away, and the queueing discipline if nothing else is in it.
func detachFilter(ifindex int) error {
	present, err := findFilter(ifindex)
	if err != nil || present == nil || present.Name != filterName {
		return err
	}
	if err := netlink.FilterDel(present); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove tc filter: %w", err)
	}
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return err
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		left, err := netlink.FilterList(l, parent)
		if err != nil || len(left) > 0 {
			return err
		}
	}
	return netlink.QdiscDel(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}, QdiscType: "clsact",
	})
}

// findFilter gives the filter at our priority and handle, nil if there is none.
func findFilter(ifindex int) (*netlink.BpfFilter, error) {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil, fmt.Errorf("find the link with ifindex %d: %w", ifindex, err)
	}
	filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil, nil // no clsact
		}
		return nil, fmt.Errorf("list tc filters: %w", err)
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Priority == filterPriority && b.Handle == filterHandle {
			return b, nil
		}
	}
	return nil, nil
}

// readFilters reads the filters that are pinned below dir.
func readFilters(dir string) ([]pinnedLink, error) {
	entries, err := os.ReadDir(filepath.Join(dir, filtersDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // made by an earlier version, which knew none
	}
	if err != nil {
		return nil, err
	}
	var all []pinnedLink
	for _, e := range entries {
		name, ifindex, ok := parsePinName(e.Name())
		if !ok {
			continue // of an agent that died while it made it
		}
		l := pinnedLink{attachment: attachment{name: name, ifindex: ifindex, hook: state.HookTC, filter: true}}
		present, err := findFilter(ifindex)
		switch {
		case errors.As(err, &netlink.LinkNotFoundError{}):
			l.gone = true
		case err != nil:
			return nil, fmt.Errorf("read pinned filter %s: %w", e.Name(), err)
		case present == nil || present.Name != filterName:
			// Somebody took it away: it is attached again as one of another program is.
		default:
			l.program = ebpf.ProgramID(present.Id)
		}
		all = append(all, l)
	}
	return all, nil
}
