package fastpath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
)

func (p *pins) programAt(hook state.FastHook) *ebpf.Program {
	if hook == state.HookTC {
		return p.progs[bpf.GuestTC]
	}
	return p.progs[bpf.GuestXDP]
}

func (p *pins) device(ifindex int) (device, error) { return readDevice(ifindex) }

func readDevice(ifindex int) (device, error) {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return device{}, fmt.Errorf("find the link with ifindex %d: %w", ifindex, err)
	}
	a := l.Attrs()
	d := device{name: a.Name, kind: l.Type(), xdpMode: state.HookNone}
	if a.Xdp != nil && a.Xdp.Attached {
		d.xdp, d.xdpMode = a.Xdp.ProgId, state.HookXDPNative
		if a.Xdp.AttachMode == xdpAttachedSKB {
			d.xdpMode = state.HookXDPGeneric
		}
	}
	if a.MasterIndex != 0 {
		master, err := netlink.LinkByIndex(a.MasterIndex)
		if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) { // it may have gone since
			return device{}, fmt.Errorf("find the link with ifindex %d, which %s belongs to: %w", a.MasterIndex, a.Name, err)
		}
		d.inKernel = err == nil && master.Type() == datapathKind
	}
	return d, nil
}

// datapathKind is the kind of the link that all ports of Open vSwitch's kernel datapath belong to, by the name ovs-system.
const datapathKind = "openvswitch"

// xdpAttachedSKB is XDP_ATTACHED_SKB of linux/if_link.h.
const xdpAttachedSKB = 2

func (p *pins) attached() ([]attachment, error) {
	pinned, err := readAll(p.dir)
	if err != nil {
		return nil, err
	}
	var all []attachment
	for _, l := range pinned {
		a := l.attachment
		prog := p.programAt(a.hook)
		info, err := prog.Info()
		if err != nil {
			return nil, fmt.Errorf("read program of %s: %w", a.hook, err)
		}
		current, _ := info.ID()
		a.stale = l.program != current
		all = append(all, a)
	}
	return all, nil
}

func (p *pins) attach(name string, ifindex int, hook state.FastHook) (attachment, error) {
	if hook == state.HookTC && p.noTCX {
		return p.attachFilter(name, ifindex)
	}
	var l link.Link
	var err error
	switch prog := p.programAt(hook); hook {
	case state.HookTC:
		// First, so that no other program can take a spoofed frame past the guard.
		l, err = link.AttachTCX(link.TCXOptions{Program: prog, Interface: ifindex, Attach: ebpf.AttachTCXIngress, Anchor: link.Head()})
	case state.HookXDPGeneric:
		l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: ifindex, Flags: link.XDPGenericMode})
	case state.HookXDPNative:
		l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: ifindex, Flags: link.XDPDriverMode})
	default:
		return attachment{}, fmt.Errorf("no program for hook %s", hook)
	}
	if hook == state.HookTC && errors.Is(err, ebpf.ErrNotSupported) {
		return p.attachFilter(name, ifindex)
	}
	if err != nil {
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			if d, e := readDevice(ifindex); e == nil && d.xdp != 0 {
				err = fmt.Errorf("%w: program id %d", ErrOtherOwner, d.xdp)
			}
		}
		return attachment{}, err
	}
	a := attachment{name: name, ifindex: ifindex, hook: hook}
	err = l.Pin(p.linkPath(a))
	return a, errors.Join(err, l.Close())
}

func (p *pins) update(a attachment) (attachment, error) {
	if a.filter {
		return p.attachFilter(a.name, a.ifindex)
	}
	l, err := link.LoadPinnedLink(p.linkPath(a), nil)
	if err != nil {
		return a, err
	}
	if err := errors.Join(l.Update(p.programAt(a.hook)), l.Close()); err != nil {
		return a, fmt.Errorf("update program at %s: %w", a.hook, err)
	}
	a.stale = false
	return a, nil
}

func (p *pins) rename(a attachment, name string) (attachment, error) {
	b := a
	b.name = name
	if err := os.Rename(p.linkPath(a), p.linkPath(b)); err != nil {
		return a, err
	}
	return b, nil
}

// detach takes the link off at once, even if a reader has it open; without a device the pin is all that there is.
func (p *pins) detach(a attachment) error {
	if a.filter && !a.gone {
		if err := detachFilter(a.ifindex); err != nil {
			return err
		}
	} else if !a.gone {
		l, err := link.LoadPinnedLink(p.linkPath(a), nil)
		if err != nil {
			return err
		}
		if err := errors.Join(l.Detach(), l.Close()); err != nil {
			return err
		}
	}
	return os.Remove(p.linkPath(a))
}

func (p *pins) linkPath(a attachment) string {
	if a.filter {
		return filepath.Join(p.dir, filtersDir, pinName(a.name, a.ifindex))
	}
	return filepath.Join(p.dir, linksDir, pinName(a.name, a.ifindex))
}

// A bpf file system has no dots in names; links may.
var (
	pinEscape   = strings.NewReplacer("%", "%25", ".", "%2e")
	pinUnescape = strings.NewReplacer("%25", "%", "%2e", ".")
)

func pinName(name string, ifindex int) string {
	return pinEscape.Replace(name) + "-" + strconv.Itoa(ifindex)
}

func parsePinName(pin string) (name string, ifindex int, ok bool) {
	i := strings.LastIndexByte(pin, '-')
	if i < 1 {
		return "", 0, false
	}
	ifindex, err := strconv.Atoi(pin[i+1:])
	return pinUnescape.Replace(pin[:i]), ifindex, err == nil && ifindex > 0
}

// pinnedLink is a pinned link as the kernel shows it.
type pinnedLink struct {
	attachment
	id      link.ID
	program ebpf.ProgramID
}

// readAll reads the links and the filters that are pinned below dir, without changing them.
func readAll(dir string) ([]pinnedLink, error) {
	links, err := readLinks(dir)
	if err != nil {
		return nil, err
	}
	filters, err := readFilters(dir)
	return append(links, filters...), err
}

// readLinks reads the links that are pinned below dir, without changing them.
func readLinks(dir string) ([]pinnedLink, error) {
	entries, err := os.ReadDir(filepath.Join(dir, linksDir))
	if err != nil {
		return nil, err
	}
	var all []pinnedLink
	for _, e := range entries {
		l, err := readLink(filepath.Join(dir, linksDir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // it went between the two calls
		}
		if err != nil {
			return nil, fmt.Errorf("read pinned link %s: %w", e.Name(), err)
		}
		all = append(all, l)
	}
	return all, nil
}

func readLink(path string) (p pinnedLink, err error) {
	name, ifindex, ok := parsePinName(filepath.Base(path))
	if !ok {
		return p, errors.New("the name is not of the form port-ifindex: it is not of the fast path")
	}
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	info, err := l.Info()
	if err != nil {
		return p, err
	}
	p = pinnedLink{attachment{name: name, ifindex: ifindex, hook: state.HookTC}, info.ID, info.Program}
	switch info.Type {
	case link.TCXType:
		p.gone = info.TCX() == nil || info.TCX().Ifindex == 0
	case link.XDPType:
		if p.gone = info.XDP() == nil || info.XDP().Ifindex == 0; p.gone {
			p.hook = state.HookXDPGeneric
			return p, nil
		}
		d, err := readDevice(ifindex)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			p.gone = true // since the line before
			return p, nil
		}
		if err != nil {
			return p, err
		}
		p.hook = d.xdpMode
	default:
		return p, fmt.Errorf("it is of type %v, not of the fast path", info.Type)
	}
	return p, nil
}
