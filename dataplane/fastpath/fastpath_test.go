package fastpath

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "attach" {
		fmt.Fprintln(os.Stderr, attachAndWait(os.Args[1], os.Args[2], os.Args[3]))
		return
	}
	m.Run()
}

// attachAndWait is an agent that has brought its state into the kernel, says so, and waits to be killed.
func attachAndWait(dir, name, ifindex string) error {
	i, err := strconv.Atoi(ifindex)
	if err != nil {
		return err
	}
	d, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	s, c := state.New(), state.Changes{}
	err = s.Replace(state.Unit{Kind: "test"}, household(name, i, state.HookAuto), &c)
	if err != nil {
		return err
	}
	if _, err := d.Sync(context.Background(), s); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "attached")
	return unix.Pause()
}

func TestPrivilegedAnswers(t *testing.T) {
	for _, hook := range []state.FastHook{state.HookAuto, state.HookXDPGeneric, state.HookTC} {
		t.Run(hook.String(), func(t *testing.T) {
			h := newHost(t)
			ifindex := h.addVeth(t, "v.1", 1)
			s := h.socket(t, "eth-v.1")
			d := h.open(t)
			w, err := d.Sync(t.Context(), stateOf(t, household("v.1", ifindex, hook)))
			check(t, err)
			if want := (Work{Puts: 4, Attached: 1}); w != want {
				t.Errorf("%+v, want %+v", w, want)
			}
			s.wantAnswer(1, 2)
			s.wantSilence(1, 3) // unknown
			s.wantSilence(1, 1) // own
			s.wantSilence(2, 1) // spoofed

			dump, err := d.Dump()
			check(t, err)
			want := map[bpf.Reason]uint64{bpf.AnswerARP: 1, bpf.PassARPMiss: 1, bpf.PassARPOwn: 1, bpf.DropARPSender: 1}
			for _, c := range dump.Counters {
				if c.Frames != want[c.Reason] || c.Dropped() != (c.Reason.Verdict() == bpf.Drop) {
					t.Errorf("%s %s: %d frames, want %d", c.Verdict, c.Reason, c.Frames, want[c.Reason])
				}
			}
			chosen := hook
			if hook == state.HookAuto {
				chosen = state.HookXDPGeneric
			}
			if d := cmp.Diff([]state.FastPort{port("v.1", ifindex, 1, chosen)}, portsOf(dump)); d != "" {
				t.Errorf("ports (-want +got):\n%s", d)
			}
			if p := dump.Ports[0]; p.LinkID == 0 || p.ProgramID == 0 || len(p.Program) != 16 {
				t.Errorf("%+v", p)
			}
			if d := cmp.Diff([]state.FastSource{source(1)}, dump.Sources, cmpNetip); d != "" {
				t.Errorf("sources (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]state.Neighbor{neighbor(1), neighbor(2)}, dump.Neighbors, cmpNetip); d != "" {
				t.Errorf("neighbors (-want +got):\n%s", d)
			}
		})
	}
}

func TestPrivilegedArping(t *testing.T) {
	privileged.Require(t, "arping")
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	_, err := h.open(t).Sync(t.Context(), stateOf(t, household("v1", ifindex, state.HookAuto)))
	check(t, err)
	h.inGuest(t, func() error {
		l, err := netlink.LinkByName("eth-v1")
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(addr(1).String() + "/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return err
		}
		out, err := exec.Command("arping", "-c", "1", "-i", "eth-v1", addr(2).String()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), macOf(2).String()) {
			return fmt.Errorf("arping: %w\n%s", err, out)
		}
		return nil
	})
}

// A guest's own kernel, which looks at flags, hop limit and checksum, takes the answer to its solicitation.
func TestPrivilegedGuestFindsIPv6Neighbor(t *testing.T) {
	here, there := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	for _, hook := range []state.FastHook{state.HookXDPGeneric, state.HookTC} {
		t.Run(hook.String(), func(t *testing.T) {
			h := newHost(t)
			ifindex := h.addVeth(t, "v1", 1)
			items := household("v1", ifindex, hook)
			items.Sources = append(items.Sources, state.FastSource{Interface: 1, Addr: here, MAC: macOf(1), Network: 100})
			items.Neighbors = append(items.Neighbors, state.Neighbor{Network: 100, Addr: there, MAC: macOf(2), Interface: 2})
			d := h.open(t)
			w, err := d.Sync(t.Context(), stateOf(t, items))
			check(t, err)
			if want := (Work{Puts: 6, Attached: 1}); w != want {
				t.Errorf("%+v, want %+v", w, want)
			}
			h.inGuest(t, func() error {
				l, err := netlink.LinkByName("eth-v1")
				if err != nil {
					return err
				}
				if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: here.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}); err != nil {
					return err
				}
				fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				ctx, cancel := context.WithTimeout(t.Context(), wait.Scaled(10*time.Second))
				defer cancel()
				return wait.Until(ctx, 10*time.Millisecond, func() error {
					if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Addr: there.As16(), Port: 9}); err != nil {
						return err
					}
					ns, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V6)
					for _, n := range ns {
						if n.IP.Equal(there.AsSlice()) && n.State == netlink.NUD_REACHABLE && model.MAC(n.HardwareAddr) == macOf(2) {
							return nil
						}
					}
					return errors.Join(err, fmt.Errorf("neighbours %v", ns))
				})
			})
			dump, err := d.Dump()
			check(t, err)
			if want := []state.FastSource{source(1), items.Sources[1]}; !slices.Equal(dump.Sources, want) {
				t.Errorf("sources %v, want %v", dump.Sources, want)
			}
			if !slices.Equal(dump.Neighbors, items.Neighbors) {
				t.Errorf("neighbors %v, want %v", dump.Neighbors, items.Neighbors)
			}
			for _, c := range dump.Counters {
				if c.Reason == bpf.AnswerND && c.Frames == 0 || c.Reason == bpf.DropNDMalformed && c.Frames != 0 {
					t.Errorf("%s %s: %d frames", c.Verdict, c.Reason, c.Frames)
				}
			}
		})
	}
}

func TestPrivilegedTap(t *testing.T) {
	for _, hook := range []state.FastHook{state.HookAuto, state.HookXDPNative, state.HookXDPGeneric, state.HookTC} {
		t.Run(hook.String(), func(t *testing.T) {
			h := newHost(t)
			ifindex, fd := addTap(t, "tap1")
			d := h.open(t)
			items := household("tap1", ifindex, hook)
			_, err := d.Sync(t.Context(), stateOf(t, items))
			check(t, err)
			_, err = fd.Write(request(t, 1, 2))
			check(t, err)
			if mac := awaitAnswer(t, int(fd.Fd()), 5e9); mac != macOf(2) {
				t.Errorf("answer %q", mac)
			}
			dump, err := d.Dump()
			check(t, err)
			if hook == state.HookAuto {
				hook = state.HookXDPNative
			}
			if got := dump.Ports[0].Hook; got != hook {
				t.Errorf("hook %s", got)
			}
			w, err := d.Sync(t.Context(), stateOf(t, items))
			if err != nil || w != (Work{}) {
				t.Errorf("again: %+v %v", w, err)
			}
		})
	}
}

// The fast path goes on when the agent is killed, the next agent finds it and has nothing to write, and writes only what
// differs.
func TestPrivilegedSurvivesKill(t *testing.T) {
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	s := h.socket(t, "eth-v1")
	agent := child(t, "attach", h.dir, "v1", strconv.Itoa(ifindex))
	out, err := agent.StdoutPipe()
	check(t, err)
	check(t, agent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "attached\n" {
		t.Fatalf("%q %v", line, err)
	}
	s.wantAnswer(1, 2)
	if _, err := Open(Options{Dir: h.dir}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("two agents on one directory: %v", err)
	}
	check(t, agent.Process.Kill())
	_, _ = io.Copy(io.Discard, out)
	_ = agent.Wait()

	s.wantAnswer(1, 2)
	s.wantSilence(2, 1)

	d := h.open(t)
	s.wantAnswer(1, 2)
	items := household("v1", ifindex, state.HookAuto)
	w, err := d.Sync(t.Context(), stateOf(t, items))
	if err != nil || w != (Work{}) {
		t.Errorf("the same state: %+v %v", w, err)
	}
	items.Neighbors = []state.Neighbor{neighbor(1), neighbor(3)}
	w, err = d.Sync(t.Context(), stateOf(t, items))
	if err != nil || w != (Work{Puts: 1, Removes: 1}) {
		t.Errorf("another neighbor: %+v %v", w, err)
	}
	s.wantAnswer(1, 3)
	s.wantSilence(1, 2)

	check(t, d.Close())
	s.wantAnswer(1, 3)
	check(t, Remove(h.dir))
	s.wantSilence(1, 3)
	check(t, Remove(h.dir))
}

// A program of another version is replaced while guests ask: no request is left unanswered.
func TestPrivilegedUpgrade(t *testing.T) {
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	s := h.socket(t, "eth-v1")
	want := stateOf(t, household("v1", ifindex, state.HookAuto))
	d := h.open(t)
	_, err := d.Sync(t.Context(), want)
	check(t, err)
	check(t, d.Close())

	// The same program with one instruction more stands for the older version, in the pin and on the link.
	spec, err := bpf.Spec()
	check(t, err)
	old := spec.Programs[bpf.GuestXDP]
	first := asm.Mov.Imm(asm.R0, 0).WithMetadata(old.Instructions[0].Metadata)
	old.Instructions[0].Metadata = asm.Metadata{}
	old.Instructions = append(asm.Instructions{first}, old.Instructions...)
	maps := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		maps[name], err = ebpf.LoadPinnedMap(filepath.Join(h.dir, mapsDir, name), nil)
		check(t, err)
		defer maps[name].Close()
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	check(t, err)
	defer coll.Close()
	pin := filepath.Join(h.dir, progsDir, bpf.GuestXDP)
	check(t, os.Remove(pin))
	check(t, coll.Programs[bpf.GuestXDP].Pin(pin))
	l, err := link.LoadPinnedLink(filepath.Join(h.dir, linksDir, pinName("v1", ifindex)), nil)
	check(t, err)
	check(t, l.Update(coll.Programs[bpf.GuestXDP]))
	check(t, l.Close())
	// Leftovers of versions that are no more.
	stray, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	check(t, err)
	check(t, stray.Pin(filepath.Join(h.dir, mapsDir, "ov_ports_v0")))
	check(t, stray.Close())

	s.wantAnswer(1, 2)
	d = h.open(t)
	before, err := d.Dump()
	check(t, err)
	var asked, lost atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if s.ask(1, 2, 0) == (model.MAC{}) {
				lost.Add(1)
			}
			asked.Add(1)
		}
	}()
	waitAsked := func(n int64) {
		for asked.Load() < n {
			runtime.Gosched()
		}
	}
	waitAsked(100)
	w, err := d.Sync(t.Context(), want)
	waitAsked(asked.Load() + 100)
	close(stop)
	<-stopped
	if n := lost.Load(); n != 0 {
		t.Errorf("%d of %d requests unanswered during the upgrade", n, asked.Load())
	}
	if err != nil || w != (Work{Updated: 1, Pins: 1}) {
		t.Errorf("%+v %v", w, err)
	}
	after, err := d.Dump()
	check(t, err)
	if a, b := before.Ports[0], after.Ports[0]; a.Program == b.Program || a.LinkID != b.LinkID {
		t.Errorf("before %+v, after %+v", a, b)
	}
	if _, err := os.Stat(filepath.Join(h.dir, mapsDir, "ov_ports_v0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the map of another version is still pinned: %v", err)
	}
	if w, err := d.Sync(t.Context(), want); err != nil || w != (Work{}) {
		t.Errorf("again: %+v %v", w, err)
	}
	s.wantAnswer(1, 2)
}

func TestPrivilegedLinksComeAndGo(t *testing.T) {
	h := newHost(t)
	first := h.addVeth(t, "v1", 1)
	d := h.open(t)
	_, err := d.Sync(t.Context(), stateOf(t, household("v1", first, state.HookAuto)))
	check(t, err)
	l, err := netlink.LinkByName("v1")
	check(t, err)
	check(t, netlink.LinkDel(l))
	dump, err := d.Dump()
	check(t, err)
	if len(dump.Ports) != 1 || !dump.Ports[0].Gone {
		t.Errorf("%+v", dump.Ports)
	}
	var items Errors
	_, err = d.Sync(t.Context(), stateOf(t, household("v1", first, state.HookAuto)))
	if !errors.As(err, &items) || items[0].Key != "v1" {
		t.Errorf("a link that is not there: %v", err)
	}

	second := h.addVeth(t, "v1", 1)
	if second == first {
		t.Fatalf("the link came back with the same ifindex %d", first)
	}
	s := h.socket(t, "eth-v1")
	want := newDesired()
	w, err := d.Sync(t.Context(), stateOf(t, household("v1", second, state.HookAuto)))
	if err != nil || w != (Work{Puts: 1, Attached: 1}) {
		t.Errorf("%+v %v", w, err)
	}
	s.wantAnswer(1, 2)
	dump, err = d.Dump()
	check(t, err)
	if d := cmp.Diff([]state.FastPort{port("v1", second, 1, state.HookXDPGeneric)}, portsOf(dump)); d != "" {
		t.Errorf("ports (-want +got):\n%s", d)
	}

	// From XDP to tc, to another name, and away, by changes.
	want.set(t, household("v1", second, state.HookAuto))
	_, err = d.Apply(t.Context(), want.set(t, household("v1", second, state.HookTC)))
	check(t, err)
	s.wantAnswer(1, 2)
	l, err = netlink.LinkByName("v1")
	check(t, err)
	check(t, netlink.LinkSetName(l, "w.1"))
	w, err = d.Apply(t.Context(), want.set(t, household("w.1", second, state.HookTC)))
	if err != nil || w != (Work{Puts: 1, Pins: 1}) {
		t.Errorf("%+v %v", w, err)
	}
	s.wantAnswer(1, 2)
	w, err = d.Apply(t.Context(), want.set(t, state.Items{}))
	if err != nil || w != (Work{Detached: 1, Removes: 4}) {
		t.Errorf("%+v %v", w, err)
	}
	s.wantSilence(1, 2)
}

func TestPrivilegedOtherOwner(t *testing.T) {
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	other, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	check(t, err)
	defer other.Close()
	for name, flags := range map[string]link.XDPAttachFlags{"generic": link.XDPGenericMode, "native": link.XDPDriverMode} {
		l, err := link.AttachXDP(link.XDPOptions{Program: other, Interface: ifindex, Flags: flags})
		check(t, err)
		_, err = h.open(t).Sync(t.Context(), stateOf(t, household("v1", ifindex, state.HookAuto)))
		if !errors.Is(err, ErrOtherOwner) || !strings.Contains(err.Error(), "port v1") {
			t.Errorf("%s: %v", name, err)
		}
		check(t, l.Close())
		check(t, Remove(h.dir+"x"))
		h.dir += "x"
	}
}

func TestPrivilegedReadOnly(t *testing.T) {
	h := newHost(t)
	if _, err := OpenReadOnly(h.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	ifindex := h.addVeth(t, "v1", 1)
	s := h.socket(t, "eth-v1")
	d := h.open(t)
	_, err := d.Sync(t.Context(), stateOf(t, household("v1", ifindex, state.HookAuto)))
	check(t, err)
	r, err := OpenReadOnly(h.dir)
	check(t, err)
	want, err := d.Dump()
	check(t, err)
	got, err := r.Dump()
	check(t, err)
	if d := cmp.Diff(want, got, cmpNetip); d != "" {
		t.Errorf("(-driver +reader):\n%s", d)
	}
	if err := r.maps[bpf.PortsMap].Put(uint32(1), bpf.Port{}); !errors.Is(err, unix.EPERM) {
		t.Errorf("a reader may write: %v", err)
	}
	// A reader keeps nothing alive.
	_, err = d.Sync(t.Context(), state.New())
	check(t, err)
	s.wantSilence(1, 2)
	check(t, r.Close())
}

func TestPrivilegedOpenErrors(t *testing.T) {
	h := newHost(t)
	plain := t.TempDir()
	if _, err := Open(Options{Dir: filepath.Join(plain, "x", "y")}); err == nil || !strings.Contains(err.Error(), plain+" is not on a bpf file system") {
		t.Errorf("no bpf file system: %v", err)
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("no directory, no error")
	}
	check(t, os.MkdirAll(filepath.Join(h.dir, mapsDir), 0o700))
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	check(t, err)
	defer m.Close()
	pin := filepath.Join(h.dir, mapsDir, bpf.PortsMap)
	check(t, m.Pin(pin))
	if _, err := Open(Options{Dir: h.dir}); !errors.Is(err, ebpf.ErrMapIncompatible) || !strings.Contains(err.Error(), bpf.PortsMap) {
		t.Errorf("another map under the name: %v", err)
	}
	check(t, os.Remove(pin))
	check(t, h.open(t).Close())
	check(t, os.Mkdir(filepath.Join(h.dir, linksDir, "garbage"), 0o700))
	if _, err := h.open(t).Sync(t.Context(), state.New()); err == nil || !strings.Contains(err.Error(), "garbage") {
		t.Errorf("something else among the links: %v", err)
	}
}

func portsOf(d *Dump) []state.FastPort {
	var ps []state.FastPort
	for _, p := range d.Ports {
		ps = append(ps, p.FastPort)
	}
	return ps
}
