package flood

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Port is a packet socket (packet(7)) on a link.
type Port struct {
	fd  int
	buf [2048]byte
}

// Open opens a port on a link of the network namespace that the calling thread is in. The socket stays there.
func Open(link string) (*Port, error) {
	nic, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", link, err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1), unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: nic.Index}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bind a packet socket to %s: %w", link, err), unix.Close(fd))
	}
	return &Port{fd: fd}, nil
}

// Close closes the socket.
func (p *Port) Close() error { return unix.Close(p.fd) }

// Ask sends a question and waits for its answer, which may be long in coming: until patience is at its end. It gives the time that the answer took; false if there was none.
func (p *Port) Ask(q Question, patience time.Duration) (time.Duration, bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for { // what others have sent meanwhile
		if _, err := unix.Read(p.fd, p.buf[:]); err != nil {
			break
		}
	}
	asked := time.Now()
	if _, err := unix.Write(p.fd, q.Frame); err != nil {
		return 0, false, fmt.Errorf("send a question: %w", err)
	}
	for {
		n, err := unix.Read(p.fd, p.buf[:])
		took := time.Since(asked)
		switch {
		case err == nil && q.Answers(p.buf[:n]):
			return took, true, nil
		case took > patience:
			return 0, false, nil
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}} //nolint:gosec // a file descriptor
			if _, err := unix.Poll(fds, int((patience-took)/time.Millisecond)+1); err != nil && !errors.Is(err, unix.EINTR) {
				return 0, false, fmt.Errorf("wait for an answer: %w", err)
			}
		default:
			return 0, false, fmt.Errorf("receive an answer: %w", err)
		}
	}
}

// batch is how many frames go to the kernel at a time (sendmmsg(2)).
const batch = 50

// message is struct mmsghdr of sendmmsg(2).
type message struct {
	header unix.Msghdr
	_      uint32
	_      [4]byte
}

// Flood sends frames in turn until ctx ends, so many in a second or as many as the machine can, and gives how many in which time. It sends what it is late with, but no
// more than a hundredth of a second's at once.
func (p *Port) Flood(ctx context.Context, frames [][]byte, rate int) (sent int, took time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	vectors := make([]unix.Iovec, len(frames))
	messages := make([]message, len(frames)+batch)
	for n := range messages {
		v := &vectors[n%len(frames)]
		f := frames[n%len(frames)]
		v.Base = &f[0]
		v.SetLen(len(f))
		messages[n].header.Iov = v
		messages[n].header.SetIovlen(1)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, skipped := time.Now(), 0
	for {
		due := int(time.Since(began).Seconds()*float64(rate)) - skipped - sent
		if most := rate / 100; due > most {
			skipped += due - most
			due = most
		}
		for due > 0 {
			n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&messages[sent%len(frames)])), uintptr(min(due, batch)), 0, 0, 0)
			switch errno {
			case 0:
				sent += int(n)
				due -= int(n)
			case unix.EINTR, unix.EAGAIN, unix.ENOBUFS:
				due = 0 // the next time
			default:
				return sent, time.Since(began), fmt.Errorf("send frames: %w", errno)
			}
		}
		select {
		case <-ctx.Done():
			runtime.KeepAlive(vectors)
			return sent, time.Since(began), nil
		case <-tick.C:
		}
	}
}
