package services

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/sys/unix"
)

// question is what a guest asks: bytes with room for a number that comes back in the answer.
type question struct {
	text   []byte
	number func(text []byte, id uint16) // writes it
	// read tells an answer to this guest's questions, whatever its number, from all else (mine is false), and says what is wrong with one.
	// The number is noNumber where answers have none.
	read func(b []byte) (id uint16, mine bool, err error)
}

// noNumber is of answers that do not say which question they answer: that is the oldest.
const noNumber = 0

// datagrams is a line of one socket for all questions.
type datagrams struct {
	fd      int
	watched bool
	question
	ids  []uint16 // by slot; noNumber for none
	last uint16
	buf  [2048]byte
	to   unix.Sockaddr // optional: where a socket that is not connected sends
	idle int           // optional: another descriptor, to be closed with it
}

func newDatagrams(fd int, q question, outstanding int) *datagrams {
	return &datagrams{fd: fd, question: q, ids: make([]uint16, outstanding)}
}

func (d *datagrams) slots() int { return len(d.ids) }

func (d *datagrams) ask(slot int, watch watch) error {
	if !d.watched {
		if err := watch(d.fd, unix.EPOLLIN); err != nil {
			return err
		}
		d.watched = true
	}
	if d.last++; d.last == noNumber {
		d.last++
	}
	d.ids[slot] = d.last
	d.number(d.text, d.last)
	for {
		var err error
		if d.to != nil {
			err = unix.Sendto(d.fd, d.text, 0, d.to)
		} else {
			_, err = unix.Write(d.fd, d.text)
		}
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ECONNREFUSED):
			return nil // one that does not get through is lost
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("send a question: %w", err)
		}
	}
}

func (d *datagrams) take(answered func(int)) error {
	for {
		n, err := unix.Read(d.fd, d.buf[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED):
			continue
		case err != nil:
			return fmt.Errorf("receive an answer: %w", err)
		}
		id, mine, err := d.read(d.buf[:n])
		if err != nil {
			return err
		}
		if slot := d.slot(id); mine && slot >= 0 {
			d.ids[slot] = noNumber
			answered(slot)
		}
	}
}

// slot gives where the question of a number is, -1 if it is not under way any more.
func (d *datagrams) slot(id uint16) int {
	if id != noNumber {
		return slices.Index(d.ids, id)
	}
	oldest := -1
	for n, other := range d.ids {
		if other != noNumber && (oldest < 0 || int16(other-d.ids[oldest]) < 0) {
			oldest = n
		}
	}
	return oldest
}

func (d *datagrams) forget(slot int) { d.ids[slot] = noNumber }

func (d *datagrams) close() error {
	err := unix.Close(d.fd)
	if d.idle > 0 {
		err = errors.Join(err, unix.Close(d.idle))
	}
	return err
}

// packetSocket opens a socket for whole frames of an EtherType on the guest's interface (packet(7)), in the network namespace that the
// calling thread is in. It stays there, as all that are opened here.
func packetSocket(etherType uint16) (int, error) {
	nic, err := net.InterfaceByName(guestNIC)
	if err != nil {
		return -1, fmt.Errorf("look for %s: %w", guestNIC, err)
	}
	proto := etherType>>8 | etherType<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: nic.Index}); err != nil {
		return -1, errors.Join(fmt.Errorf("bind a packet socket to %s: %w", guestNIC, err), unix.Close(fd))
	}
	return fd, nil
}

// udpSocket opens one that is bound to an address, and connected to another if that is not nil.
func udpSocket(family int, bind, connect unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a UDP socket: %w", err)
	}
	if err := unix.Bind(fd, bind); err != nil {
		return -1, errors.Join(fmt.Errorf("bind a UDP socket to %+v: %w", bind, err), unix.Close(fd))
	}
	if connect != nil {
		if err := unix.Connect(fd, connect); err != nil {
			return -1, errors.Join(fmt.Errorf("connect a UDP socket to %+v: %w", connect, err), unix.Close(fd))
		}
	}
	return fd, nil
}
