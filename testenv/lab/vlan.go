package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/openvnet/openvnet/testenv/netns"
)

// Verdicts of tcx programs (linux/bpf.h, enum tcx_action_base), and offsets in struct __sk_buff (linux/bpf.h).
const (
	tcxNext = -1
	tcxDrop = 2

	skbVLANPresent = 20
	skbVLANTCI     = 24
)

// tag makes a link speak 802.1Q with one VLAN id: it adds the tag to what the link sends, and takes it off what it
// receives, dropping frames without it. Kernels without VLAN devices, and guests that know nothing of VLANs, serve as
// tagged machines that way. The links are pinned in dir, below a bpffs, and end with the namespace or when they are
// unpinned.
func tag(ns *netns.NS, name string, vlan uint16, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	err := ns.Do(func() error {
		nic, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		return errors.Join(
			attach(nic.Index, ebpf.AttachTCXEgress, pushTag(vlan), filepath.Join(dir, "egress")),
			attach(nic.Index, ebpf.AttachTCXIngress, popTag(vlan), filepath.Join(dir, "ingress")),
		)
	})
	if err != nil {
		return fmt.Errorf("tag frames of %s in %s with VLAN %d: %w", name, ns.Name(), vlan, err)
	}
	return nil
}

func attach(ifindex int, where ebpf.AttachType, code asm.Instructions, pin string) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "vnlab_" + filepath.Base(pin), Type: ebpf.SchedCLS, AttachType: where, Instructions: code, License: "Dual BSD/GPL",
	})
	if err != nil {
		return fmt.Errorf("load %v program: %w", where, err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: prog, Attach: where})
	if err != nil {
		return fmt.Errorf("attach %v program: %w", where, err)
	}
	defer l.Close()
	if err := l.Pin(pin); err != nil {
		return fmt.Errorf("pin %v program: %w", where, err)
	}
	return nil
}

// pushTag: r1 is the skb; bpf_skb_vlan_push(skb, ETH_P_8021Q in network order, tci).
func pushTag(vlan uint16) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R2, 0x8100),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.Mov.Imm(asm.R3, int32(vlan)),
		asm.FnSkbVlanPush.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R0, tcxNext),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcxDrop).WithSymbol("drop"),
		asm.Return(),
	}
}

// popTag compares the id only: the priority bits of the tag may be anything.
func popTag(vlan uint16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, skbVLANPresent, asm.Word),
		asm.JEq.Imm(asm.R2, 0, "drop"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANTCI, asm.Word),
		asm.And.Imm(asm.R2, 0xfff),
		asm.JNE.Imm(asm.R2, int32(vlan), "drop"),
		asm.FnSkbVlanPop.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R0, tcxNext),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcxDrop).WithSymbol("drop"),
		asm.Return(),
	}
}
