package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// etherAll is ETH_P_ALL of linux/if_ether.h.
const etherAll = 0x0003

// watch keeps every frame that arrives at a guest's interface.
type watch struct {
	conn *packet.Conn
	nic  *net.Interface

	mu     sync.Mutex
	frames [][]byte
	err    error
	closed atomic.Bool
}

// watchGuest watches a guest until the test ends.
func watchGuest(t *testing.T, l *lab.Lab, name string) *watch {
	t.Helper()
	w := &watch{}
	err := l.Do(name, func() (err error) {
		if w.nic, err = net.InterfaceByName("eth0"); err != nil {
			return err
		}
		w.conn, err = packet.Listen(w.nic, packet.Raw, etherAll, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed [2]error
	err = raw.Control(func(fd uintptr) {
		failed[0] = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
		failed[1] = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	})
	if err := errors.Join(append(failed[:], err)...); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); w.run() }()
	t.Cleanup(func() {
		if s, err := w.conn.Stats(); err != nil || s.Drops > 0 {
			t.Errorf("the watch of %s has missed frames: %+v, %v", name, s, err)
		}
		w.closed.Store(true)
		w.conn.Close()
		<-done
		if w.err != nil {
			t.Errorf("the watch of %s ended: %v", name, w.err)
		}
	})
	return w
}

func (w *watch) run() {
	b := make([]byte, 1<<16)
	for {
		n, _, err := w.conn.ReadFrom(b)
		switch {
		case w.closed.Load():
			return
		case errors.Is(err, unix.ENETDOWN): // for a moment, while its other end is moved
			continue
		case err != nil:
			w.err = err
			return
		}
		w.mu.Lock()
		w.frames = append(w.frames, bytes.Clone(b[:n]))
		w.mu.Unlock()
	}
}

// mark says where the frames are now, for since.
func (w *watch) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames)
}

// since gives the frames since the mark.
func (w *watch) since(mark int) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames[mark:len(w.frames):len(w.frames)]
}

// count gives how many frames since the mark pass.
func (w *watch) count(mark int, pass func([]byte) bool) (n int) {
	for _, f := range w.since(mark) {
		if pass(f) {
			n++
		}
	}
	return n
}

// await waits for a frame since the mark that passes.
func (w *watch) await(t *testing.T, within time.Duration, what string, mark int, pass func([]byte) bool) []byte {
	t.Helper()
	var found []byte
	wait.For(t, within, what, func() error {
		for _, f := range w.since(mark) {
			if pass(f) {
				found = f
				return nil
			}
		}
		return fmt.Errorf("not among %d frames", len(w.since(mark)))
	})
	return found
}

// send sends frames as they are from a guest's interface.
func (s *scene) send(t *testing.T, from guest, frames ...[]byte) {
	t.Helper()
	w := s.watches[from.name]
	for _, f := range frames {
		if _, err := w.conn.WriteTo(f, &packet.Addr{HardwareAddr: net.HardwareAddr(f[:6])}); err != nil {
			t.Fatalf("send from %s: %v", from, err)
		}
	}
}

// holds passes frames that hold the text.
func holds(text string) func([]byte) bool {
	return func(f []byte) bool { return bytes.Contains(f, []byte(text)) }
}

// parse gives the layers of a frame; what cannot be read is left out.
func parse(f []byte) gopacket.Packet {
	return gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
}

// hardware gives all hardware addresses in a frame: of Ethernet, of ARP, of neighbour discovery.
func hardware(f []byte) []model.MAC {
	var macs []model.MAC
	add := func(b []byte) {
		if len(b) == len(model.MAC{}) {
			macs = append(macs, model.MAC(b))
		}
	}
	nd := func(options layers.ICMPv6Options) {
		for _, o := range options {
			add(o.Data)
		}
	}
	for _, l := range parse(f).Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			add(l.DstMAC)
			add(l.SrcMAC)
		case *layers.ARP:
			add(l.SourceHwAddress)
			add(l.DstHwAddress)
		case *layers.ICMPv6NeighborSolicitation:
			nd(l.Options)
		case *layers.ICMPv6NeighborAdvertisement:
			nd(l.Options)
		}
	}
	return macs
}

// apart fails the test if anything of one tenant has ever arrived at a guest of another, be it ARP or ND.
func (s *scene) apart(t *testing.T, tenants []tenant) {
	t.Helper()
	owner := map[model.MAC]string{}
	for _, tn := range tenants {
		owner[tn.serverMAC()] = tn.name
		for _, g := range tn.guests {
			owner[g.mac] = tn.name
		}
	}
	for _, g := range all(tenants) {
		frames := s.watches[g.name].since(0)
		if len(frames) == 0 {
			t.Errorf("nothing at all has arrived at %s", g)
		}
		for _, f := range frames {
			strange := ""
			for _, m := range hardware(f) {
				if o := owner[m]; o != "" && o != g.tenant {
					strange = m.String()
				}
			}
			for _, tn := range tenants {
				if tn.name != g.tenant && bytes.Contains(f, []byte("from "+tn.name+"/")) {
					strange = "a text"
				}
			}
			if strange != "" {
				t.Errorf("%s of another tenant has come to %s:\n%s", strange, g, words(f))
			}
		}
	}
}

// words describes a frame.
func words(f []byte) string {
	var b strings.Builder
	for _, l := range parse(f).Layers() {
		b.WriteString("  " + gopacket.LayerString(l) + "\n")
	}
	return b.String()
}
