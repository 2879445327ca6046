// Package kernel runs a command on Debian's stock kernel: it boots the kernel of a Debian package in qemu, without any
// virtualization of the processor if need be, with a root file system that it makes in memory of the programs of this
// machine, and passes the command's output and exit status on. It is for what the kernel at hand does not have, above
// all Open vSwitch's kernel datapath. It knows neither labs nor tests: whoever uses it says which files go along and what
// is run. cmd/vnlab imports it; scripts/kernel.sh says which tests are run so.
//
// Nothing of the machine that it runs on is changed but a directory in the user's cache, which holds the kernel and its
// modules, and it needs no root.
package kernel
