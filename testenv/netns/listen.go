package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Wire is the raw frames of a link (packet(7)): all that come in by it, whomever they are for, as they were sent, with their VLAN tags, and with the checksums that the sender
// left to its NIC. Its methods may be called concurrently. The caller closes it.
type Wire struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// maxFrame is more than any frame has, also one that is left to the NIC to be cut.
const maxFrame = 1 << 17

// Listen opens a wire on a link of a namespace; without a name, of the one that the process is in.
func Listen(name, link string) (*Wire, error) {
	var w *Wire
	open := func() (err error) { w, err = listen(link); return err }
	if name == "" {
		err := open()
		return w, err
	}
	n, err := Open(name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(n.Do(open), n.Close()); err != nil {
		return nil, fmt.Errorf("in network namespace %s: %w", name, err)
	}
	return w, nil
}

// Links gives the names of the links of a namespace; without a name, of the one that the process is in.
func Links(name string) (links []string, err error) {
	list := func() error {
		nics, err := net.Interfaces()
		for _, nic := range nics {
			links = append(links, nic.Name)
		}
		return err
	}
	if name == "" {
		err = list()
		return links, err
	}
	n, err := Open(name)
	if err != nil {
		return nil, err
	}
	err = errors.Join(n.Do(list), n.Close())
	return links, err
}

func listen(link string) (*Wire, error) {
	nic, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", link, err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: open a packet socket: %w", link, err)
	}
	file := os.NewFile(uintptr(fd), link)
	raw, err := file.SyscallConn()
	for _, option := range []int{unix.PACKET_IGNORE_OUTGOING, unix.PACKET_AUXDATA, unix.PACKET_VNET_HDR} {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1))
	}
	promiscuous := &unix.PacketMreq{Ifindex: int32(nic.Index), Type: unix.PACKET_MR_PROMISC} //nolint:gosec // of 31 bits
	err = errors.Join(err, unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, promiscuous),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: nic.Index}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", link, err), file.Close())
	}
	return &Wire{file: file, raw: raw}, nil
}

// Serve gives take every frame that comes in, one after the other, until the wire is closed: then it returns nil. A frame may not be kept.
func (w *Wire) Serve(take func(frame []byte)) error {
	buf, control := make([]byte, maxFrame), make([]byte, 128)
	for {
		var n, controlled int
		var err error
		rerr := w.raw.Read(func(fd uintptr) bool {
			n, controlled, _, _, err = unix.Recvmsg(int(fd), buf, control, 0) //nolint:gosec // a descriptor
			return err != unix.EAGAIN
		})
		switch {
		case w.closed.Load():
			return nil
		case rerr == nil && (err == unix.EINTR || err == unix.ENETDOWN):
			continue // the link may come up again
		case rerr != nil || err != nil:
			return fmt.Errorf("receive from %s: %w", w.file.Name(), errors.Join(rerr, err))
		}
		if f := whole(buf[:n], control[:controlled]); f != nil {
			take(f)
		}
	}
}

// headerLen is that of struct virtio_net_hdr, which comes before a frame.
const headerLen = 10

// whole gives a frame as it would be on a cable, nil of what is none.
func whole(b, control []byte) []byte {
	if len(b) < headerLen+14 {
		return nil
	}
	const needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	header, frame := b[:headerLen], b[headerLen:]
	if header[0]&needsChecksum != 0 {
		from, at := int(binary.NativeEndian.Uint16(header[6:])), int(binary.NativeEndian.Uint16(header[8:]))
		if from+at+2 <= len(frame) {
			sum := checksum(frame[from:])
			if sum == 0 {
				sum = 0xffff // as UDP has it; to TCP it is the same
			}
			binary.BigEndian.PutUint16(frame[from+at:], sum)
		}
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return frame
	}
	for _, m := range messages {
		const size = 20 // of struct tpacket_auxdata
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < size {
			continue
		}
		status, tci, ethertype := binary.NativeEndian.Uint32(m.Data), binary.NativeEndian.Uint16(m.Data[16:]), binary.NativeEndian.Uint16(m.Data[18:])
		if status&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
			ethertype = unix.ETH_P_8021Q
		}
		frame = slices.Insert(frame, 12, byte(ethertype>>8), byte(ethertype), byte(tci>>8), byte(tci)) //nolint:gosec // halves
	}
	return frame
}

// checksum gives the Internet checksum (RFC 1071) of bytes that have, in its place, the sum of what is to be added.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum) //nolint:gosec // of 16 bits
}

// Send sends a frame out of the link. What there is no room for is an error.
func (w *Wire) Send(frame []byte) error {
	b := make([]byte, headerLen, headerLen+len(frame)) // nothing is left to the NIC
	b = append(b, frame...)
	var err error
	werr := w.raw.Write(func(fd uintptr) bool {
		_, err = unix.Write(int(fd), b) //nolint:gosec // a descriptor
		return !errors.Is(err, unix.EAGAIN)
	})
	if err = errors.Join(werr, err); err != nil {
		return fmt.Errorf("send out of %s: %w", w.file.Name(), err)
	}
	return nil
}

// Close closes the wire, and ends Serve.
func (w *Wire) Close() error {
	w.closed.Store(true)
	return w.file.Close()
}
