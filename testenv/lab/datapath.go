package lab

import (
	"context"
	"os"
	"os/exec"
)

// Datapath is where the Open vSwitch of every host of a lab forwards, as its column datapath_type has it.
type Datapath string

// The datapaths.
const (
	KernelDatapath    Datapath = "system"
	UserspaceDatapath Datapath = "netdev"
)

// Datapath says where the lab's hosts forward: in the kernel, where that can.
func (l *Lab) Datapath() Datapath { return l.st.Datapath }

// chooseDatapath looks whether the kernel has Open vSwitch's module, or can load it.
func chooseDatapath(ctx context.Context) Datapath {
	const module = "openvswitch"
	if _, err := os.Stat("/sys/module/" + module); err == nil {
		return KernelDatapath
	}
	if err := exec.CommandContext(ctx, "modprobe", "-q", module).Run(); err == nil {
		return KernelDatapath
	}
	return UserspaceDatapath
}

// offload turns transmit checksum offload off at an end of a cable, unless frames stay in the kernel, which carries on what
// is left to do, as it does with a guest of production.
func (l *Lab) offload(e end) error {
	if l.st.Datapath == KernelDatapath {
		return nil
	}
	return e.txOff()
}
