package arp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// patience is how long an answer is waited for. Nothing tells an answer to one question from an answer to the next, so after a lost one
// nobody asks until none has come for as long again.
const patience = 500 * time.Millisecond

// manner is how an answer is waited for.
type manner int

const (
	// asleep waits in poll(2), as programs do: an answer that is not there at once has to wake the asker up.
	asleep manner = iota
	// awake looks again and again, giving way to whoever else wants the CPU: the least that an asker can add.
	awake
)

// asker asks the same question again and again: from inside a guest through a packet socket (packet(7)), or as a virtual machine
// monitor does, through the file of a tap.
type asker struct {
	fd      int
	request []byte
	buf     [2048]byte
}

// newAsker opens the socket on a link of the network namespace that the calling thread is in. The socket stays there.
func newAsker(link string, request []byte) (*asker, error) {
	nic, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", link, err)
	}
	proto := uint16(etherARP>>8 | etherARP&0xff<<8) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: nic.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind a packet socket to %s: %w", link, err), unix.Close(fd))
	}
	return &asker{fd: fd, request: request}, nil
}

// newTapAsker makes a tap in the network namespace that the calling thread is in. It goes when the asker is closed.
func newTapAsker(name string, request []byte) (*asker, error) {
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_ONE_QUEUE, NonPersist: true, Queues: 1,
	}
	if err := netlink.LinkAdd(tap); err != nil {
		return nil, fmt.Errorf("make tap %s: %w", name, err)
	}
	fd, err := unix.FcntlInt(tap.Fds[0].Fd(), unix.F_DUPFD_CLOEXEC, 0) // the file's own would be closed with the file
	if err = errors.Join(err, tap.Fds[0].Close()); err != nil {
		return nil, fmt.Errorf("open tap %s: %w", name, err)
	}
	if err := errors.Join(unix.SetNonblock(fd, true), netlink.LinkSetUp(tap)); err != nil {
		return nil, errors.Join(fmt.Errorf("set tap %s up: %w", name, err), unix.Close(fd))
	}
	return &asker{fd: fd, request: request}, nil
}

func (a *asker) close() error { return unix.Close(a.fd) }

// roundTrips asks n times, each time after the answer to the last, and gives the times that the answers took, and how many questions
// were not answered in time. It ends early after limit.
func (a *asker) roundTrips(ctx context.Context, m manner, n int, limit time.Duration) (times []time.Duration, lost int, err error) {
	defer lockThread()()
	times = make([]time.Duration, 0, n)
	if err := a.settle(patience / 10); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	for len(times)+lost < n && time.Since(began) < limit {
		if err := ctx.Err(); err != nil {
			return nil, 0, context.Cause(ctx)
		}
		asked := time.Now()
		if err := a.ask(); err != nil {
			return nil, 0, err
		}
		answered, err := a.await(m, asked)
		took := time.Since(asked)
		switch {
		case err != nil:
			return nil, 0, err
		case answered:
			times = append(times, took)
		default:
			lost++
			if err := a.settle(patience); err != nil {
				return nil, 0, err
			}
		}
	}
	return times, lost, nil
}

// stream keeps questions outstanding for a span of time, and gives how many answers came in which time.
func (a *asker) stream(ctx context.Context, outstanding int, span time.Duration) (answered int, took time.Duration, lost int, err error) {
	defer lockThread()()
	if err := a.settle(patience / 10); err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	for open := 0; ; {
		for ; open < outstanding; open++ {
			if err := a.ask(); err != nil {
				return 0, 0, 0, err
			}
		}
		now := time.Now()
		ok, err := a.await(awake, now)
		switch {
		case err != nil:
			return 0, 0, 0, err
		case ctx.Err() != nil:
			return 0, 0, 0, context.Cause(ctx)
		case ok:
			answered++
			open--
		default: // no answer at all for so long: those that were open are lost
			lost += open
			open = 0
		}
		if took = time.Since(began); took >= span {
			return answered, took, lost, nil
		}
	}
}

func (a *asker) ask() error {
	for {
		_, err := unix.Write(a.fd, a.request)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS):
			giveWay()
		default:
			return fmt.Errorf("send an ARP request: %w", err)
		}
	}
}

// await waits for an answer; false when none has come since the question and patience is at its end.
func (a *asker) await(m manner, asked time.Time) (bool, error) {
	for tries := 1; ; tries++ {
		n, err := unix.Read(a.fd, a.buf[:])
		switch {
		case err == nil && answers(a.buf[:n], a.request):
			return true, nil
		case err != nil && !again(err):
			return false, fmt.Errorf("receive an ARP answer: %w", err)
		case err != nil && m == awake:
			giveWay()
		case err != nil:
			fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, int(patience/time.Millisecond)); err != nil && !again(err) {
				return false, fmt.Errorf("wait for an ARP answer: %w", err)
			}
		}
		if (m == asleep || tries%16 == 0) && time.Since(asked) > patience {
			return false, nil
		}
	}
}

// settle takes what is left of earlier questions, and returns when nothing has come for a while.
func (a *asker) settle(quiet time.Duration) error {
	for last := time.Now(); ; {
		switch _, err := unix.Read(a.fd, a.buf[:]); {
		case err == nil:
			last = time.Now()
		case !again(err):
			return fmt.Errorf("receive an ARP answer: %w", err)
		case time.Since(last) >= quiet:
			return nil
		default:
			giveWay()
		}
	}
}

func again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }

// giveWay lets others run that want this CPU, and returns at once if nobody does (sched_yield(2)).
func giveWay() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// lockThread keeps a measurement on one thread.
func lockThread() (unlock func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
