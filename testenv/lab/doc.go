// Package lab builds a network of hypervisor hosts on one machine: every host a network namespace with an Open
// vSwitch of its own, underlays between them, routers, plain machines, guests, and the processes of the product if
// wanted. Open vSwitch forwards in the kernel where that has its module, each host with a datapath of its own, and in
// userspace elsewhere. It is the library behind cmd/vnlab; tests and benchmarks import it too. It neither configures virtual
// networks nor knows what the product does: that is the business of whoever uses the lab.
//
// A lab is described by a Spec (Parse reads one from YAML), built by Up and removed by Lab.Down. In between nothing
// of it lives in the program that built it: state is a directory below Options.Root, processes are detached, so that
// any program may Open the lab later, and clean up after one that crashed. What the machine holds of a lab:
//
//	/run/netns/vl<tag>-<name>    one namespace per host, guest, router and machine
//	/run/netns/vl<tag>..net      one with a Linux bridge per underlay, one for management, and the cable ends of detached guests
//	vl<tag>m                     the only link in the machine's own namespace: the manager's leg to the management network
//	<root>/<name>/               state, logs, Open vSwitch directories, a private bpffs
//	/etc/netns/vl<tag>-<name>/   resolv.conf of guests and machines with a DHCP client
package lab
