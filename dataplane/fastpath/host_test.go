package fastpath

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// host is a network namespace that the test's thread is in, one for a guest, and a bpf file system of its own.
type host struct {
	dir   string // for the pins
	guest vns.NsHandle
}

func newHost(t testing.TB) *host {
	t.Helper()
	privileged.Require(t)
	runtime.LockOSThread()
	origin, err := vns.Get()
	check(t, err)
	t.Cleanup(func() {
		if err := vns.Set(origin); err != nil {
			t.Errorf("return to the first namespace: %v", err)
			return // the thread stays locked, and ends with the test
		}
		check(t, origin.Close())
		runtime.UnlockOSThread()
	})
	h := &host{}
	h.guest, err = vns.New()
	check(t, err)
	t.Cleanup(func() { check(t, h.guest.Close()) })
	own, err := vns.New()
	check(t, err)
	check(t, own.Close())

	mount := filepath.Join(t.TempDir(), "bpf")
	check(t, os.Mkdir(mount, 0o700))
	check(t, unix.Mount("bpf", mount, "bpf", 0, ""))
	t.Cleanup(func() { check(t, unix.Unmount(mount, unix.MNT_DETACH)) })
	h.dir = filepath.Join(mount, "br0")
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inGuest calls f on a thread in the guest's namespace.
func (h *host) inGuest(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := vns.Set(h.guest); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	check(t, <-done)
}

func (h *host) open(t testing.TB) *Driver {
	t.Helper()
	d, err := Open(Options{Dir: h.dir})
	check(t, err)
	t.Cleanup(func() { _ = d.Close() }) // again, where a test has closed it
	return d
}

// addVeth makes a veth with one end here and one, called eth-<name>, with the MAC of iface, in the guest.
func (h *host) addVeth(t testing.TB, name string, iface uint32) int {
	t.Helper()
	mac := macOf(iface)
	check(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth-" + name,
		PeerHardwareAddr: mac[:], PeerNamespace: netlink.NsFd(h.guest),
	}))
	l, err := netlink.LinkByName(name)
	check(t, err)
	check(t, netlink.LinkSetUp(l))
	h.inGuest(t, func() error {
		l, err := netlink.LinkByName("eth-" + name)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	})
	return l.Attrs().Index
}

// addTap makes a tap; what is written to the file is what a guest sends.
func addTap(t testing.TB, name string) (ifindex int, file *os.File) {
	t.Helper()
	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_ONE_QUEUE, NonPersist: true, Queues: 1}
	check(t, netlink.LinkAdd(tap))
	t.Cleanup(func() { check(t, tap.Fds[0].Close()) })
	check(t, netlink.LinkSetUp(tap))
	l, err := netlink.LinkByName(name)
	check(t, err)
	return l.Attrs().Index, tap.Fds[0]
}

// socket sends and receives ARP frames of a guest.
type socket struct {
	fd int
	t  testing.TB
}

func (h *host) socket(t testing.TB, name string) socket {
	t.Helper()
	s := socket{t: t}
	h.inGuest(t, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		const arp = unix.ETH_P_ARP<<8&0xff00 | unix.ETH_P_ARP>>8
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, arp); err != nil {
			return err
		}
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: arp, Ifindex: l.Attrs().Index})
	})
	t.Cleanup(func() { check(t, unix.Close(s.fd)) })
	return s
}

// request is what iface sends when it asks who has the address of target.
func request(t testing.TB, iface, target uint32) []byte {
	t.Helper()
	mac, spa, tpa := macOf(iface), addr(iface).As4(), addr(target).As4()
	buf := gopacket.NewSerializeBuffer()
	check(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{},
		&layers.Ethernet{SrcMAC: mac[:], DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPRequest, SourceHwAddress: mac[:], SourceProtAddress: spa[:],
			DstHwAddress: make(net.HardwareAddr, 6), DstProtAddress: tpa[:]}))
	return buf.Bytes()[:42]
}

// answered gives the MAC in a reply, if the frame is one.
func answered(frame []byte) (model.MAC, bool) {
	arp, ok := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeARP).(*layers.ARP)
	if !ok || arp.Operation != layers.ARPReply {
		return model.MAC{}, false
	}
	return model.MAC(arp.SourceHwAddress), true
}

// ask sends a request and waits for the answer, at most for the time given; zero if there is none.
func (s socket) ask(iface, target uint32, wait time.Duration) model.MAC {
	s.t.Helper()
	_, err := unix.Write(s.fd, request(s.t, iface, target))
	check(s.t, err)
	return awaitAnswer(s.t, s.fd, wait)
}

func awaitAnswer(t testing.TB, fd int, wait time.Duration) model.MAC {
	t.Helper()
	deadline := time.Now().Add(wait)
	frame := make([]byte, 2048)
	for {
		left := time.Until(deadline)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(left, 0)/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		check(t, err)
		if n == 0 {
			return model.MAC{}
		}
		if n, err = unix.Read(fd, frame); err != nil {
			t.Fatal(err)
		}
		if mac, ok := answered(frame[:n]); ok {
			return mac
		}
	}
}

func (s socket) wantAnswer(iface, target uint32) {
	s.t.Helper()
	if mac := s.ask(iface, target, 5*time.Second); mac != macOf(target) {
		s.t.Errorf("who has %s? %q, want %s", addr(target), mac, macOf(target))
	}
}

// wantSilence: generic and native XDP and tcx answer before the write of the request returns, so no time has to pass.
func (s socket) wantSilence(iface, target uint32) {
	s.t.Helper()
	if mac := s.ask(iface, target, 0); mac != (model.MAC{}) {
		s.t.Errorf("who has %s? %s, want no answer", addr(target), mac)
	}
}

// household is a port for interface 1 on a link, and the addresses of interfaces 1 and 2.
func household(name string, ifindex int, hook state.FastHook) state.Items {
	return state.Items{
		Ports:     []state.FastPort{port(name, ifindex, 1, hook)},
		Sources:   []state.FastSource{source(1)},
		Neighbors: []state.Neighbor{neighbor(1), neighbor(2)},
	}
}

// child runs this test binary again, in the namespace of the calling thread, as a process that calls the function that
// TestMain has for what.
func child(t testing.TB, what string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), childEnv+"="+what)
	c.Stderr = os.Stderr
	return c
}

const childEnv = "FASTPATH_TEST_CHILD"

var cmpNetip = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
