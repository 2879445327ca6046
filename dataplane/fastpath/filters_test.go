package fastpath

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/dataplane/state"
)

// openOld opens a driver as on a kernel before 6.6.
func (h *host) openOld(t testing.TB) *Driver {
	t.Helper()
	d := h.open(t)
	d.pins.noTCX = true
	return d
}

// clsact tells whether a link has the queueing discipline of filters.
func clsact(t testing.TB, ifindex int) bool {
	t.Helper()
	l, err := netlink.LinkByIndex(ifindex)
	check(t, err)
	qs, err := netlink.QdiscList(l)
	check(t, err)
	for _, q := range qs {
		if q.Type() == "clsact" {
			return true
		}
	}
	return false
}

func TestPrivilegedFilter(t *testing.T) {
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	s := h.socket(t, "eth-v1")
	d := h.openOld(t)
	want := stateOf(t, household("v1", ifindex, state.HookTC))
	w, err := d.Sync(t.Context(), want)
	if err != nil || w != (Work{Puts: 4, Attached: 1}) {
		t.Fatalf("%+v %v", w, err)
	}
	s.wantAnswer(1, 2)
	s.wantSilence(2, 1) // spoofed
	check(t, d.Close())
	s.wantAnswer(1, 2) // without us

	d = h.openOld(t)
	if w, err = d.Sync(t.Context(), want); err != nil || w != (Work{}) {
		t.Errorf("after a restart: %+v %v", w, err)
	}
	dump, err := d.Dump()
	check(t, err)
	if diff := cmp.Diff([]state.FastPort{port("v1", ifindex, 1, state.HookTC)}, portsOf(dump)); diff != "" || dump.Ports[0].ProgramID == 0 {
		t.Errorf("ports (-want +got):\n%s\n%+v", diff, dump.Ports)
	}

	// Somebody takes the filter away; the next comparison puts it back.
	check(t, detachFilter(ifindex))
	s.wantSilence(1, 2)
	if w, err = d.Sync(t.Context(), want); err != nil || w.Updated != 1 {
		t.Errorf("a filter that was taken away: %+v %v", w, err)
	}
	s.wantAnswer(1, 2)

	// To another name, and away.
	l, err := netlink.LinkByName("v1")
	check(t, err)
	check(t, netlink.LinkSetName(l, "w.1"))
	if w, err = d.Sync(t.Context(), stateOf(t, household("w.1", ifindex, state.HookTC))); err != nil || w.Pins != 1 {
		t.Errorf("renamed: %+v %v", w, err)
	}
	s.wantAnswer(1, 2)
	if w, err = d.Sync(t.Context(), state.New()); err != nil || w != (Work{Detached: 1, Removes: 4}) {
		t.Errorf("removed: %+v %v", w, err)
	}
	s.wantSilence(1, 2)
	if clsact(t, ifindex) {
		t.Error("clsact is left")
	}

	// The link goes with its filter; the pin is what is left.
	if _, err = d.Sync(t.Context(), stateOf(t, household("w.1", ifindex, state.HookTC))); err != nil {
		t.Fatal(err)
	}
	check(t, netlink.LinkDel(l))
	if w, err = d.Sync(t.Context(), state.New()); err != nil || w.Removes != 4 {
		t.Errorf("the link went: %+v %v", w, err)
	}
	if dump, err = d.Dump(); err != nil || len(dump.Ports) != 0 {
		t.Errorf("%+v %v", dump.Ports, err)
	}
}

// Another owner's filter at our place is left alone, and one elsewhere keeps its queueing discipline.
func TestPrivilegedFilterOfAnotherOwner(t *testing.T) {
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	other, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}})
	check(t, err)
	defer other.Close()
	check(t, netlink.QdiscAdd(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}, QdiscType: "clsact",
	}))
	set := func(priority uint16) *netlink.BpfFilter {
		f := &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Priority: priority, Protocol: unix.ETH_P_ALL},
			Fd:          other.FD(), Name: "theirs", DirectAction: true,
		}
		check(t, netlink.FilterReplace(f))
		return f
	}
	want := stateOf(t, household("v1", ifindex, state.HookTC))
	theirs := set(filterPriority)
	if _, err := h.openOld(t).Sync(t.Context(), want); !errors.Is(err, ErrOtherOwner) {
		t.Errorf("another owner's filter: %v", err)
	}
	check(t, netlink.FilterDel(theirs))
	h.dir += "x"
	set(filterPriority + 1)
	d := h.openOld(t)
	_, err = d.Sync(t.Context(), want)
	check(t, err)
	s := h.socket(t, "eth-v1")
	s.wantAnswer(1, 2)
	check(t, d.Close())
	check(t, Remove(h.dir))
	s.wantSilence(1, 2)
	if !clsact(t, ifindex) {
		t.Error("another owner's filter has lost its clsact")
	}
}
