package services

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// exchange is what a guest says through a TCP connection, and how the answer is known.
type exchange struct {
	to   unix.Sockaddr
	text []byte
	// whole reports whether what has come is all of the answer, and says what is wrong with one.
	whole func(b []byte) (bool, error)
}

// connections is a line with a connection for each question, one at a time: opened, asked, answered and closed.
type connections struct {
	exchange
	namespace int // of the guest
	fd        int // -1 for none
	sent      bool
	got       []byte
}

// newConnections gives so many lines, at most connected, of the guest whose network namespace the calling thread is in.
func newConnections(e exchange, outstanding int) (all []line, err error) {
	for range min(outstanding, connected) {
		ns, err := ownNamespace()
		if err != nil {
			return all, err
		}
		all = append(all, &connections{exchange: e, namespace: ns, fd: -1})
	}
	return all, nil
}

func (*connections) slots() int { return 1 }

func (c *connections) ask(_ int, watch watch) error {
	if err := unix.Setns(c.namespace, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a guest's network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a TCP socket: %w", err)
	}
	c.fd, c.sent, c.got = fd, false, c.got[:0]
	if err := unix.Connect(fd, c.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP)
}

func (c *connections) take(answered func(int)) error {
	if c.fd < 0 {
		return nil
	}
	if !c.sent {
		switch _, err := unix.Write(c.fd, c.text); {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			c.forget(0) // a connection that fails is a question that is lost
			return nil
		}
		c.sent = true
	}
	var buf [4096]byte
	for {
		n, err := unix.Read(c.fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil, n == 0:
			c.forget(0)
			return nil
		}
		c.got = append(c.got, buf[:n]...)
		whole, err := c.whole(c.got)
		if err != nil {
			return err
		}
		if whole {
			c.forget(0)
			answered(0)
			return nil
		}
	}
}

func (c *connections) forget(int) {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // nobody reads it any more
		c.fd = -1
	}
}

func (c *connections) close() error {
	c.forget(0)
	return unix.Close(c.namespace)
}

// readHTTP looks for a whole answer with that body.
func readHTTP(b []byte, body string) (bool, error) {
	head, got, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || len(got) < len(body) {
		return false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || string(got) != body {
		return true, fmt.Errorf("the answer is not %q, but\n%s", body, b)
	}
	return true, nil
}
