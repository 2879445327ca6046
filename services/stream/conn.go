package stream

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// Conn is a connection with a guest: a [net.Conn] with CloseWrite.
type Conn struct {
	*gonet.TCPConn
	guest  Guest
	local  netip.AddrPort
	of     *guest
	cancel context.CancelFunc
}

// Guest says who is at the other end.
func (c *Conn) Guest() Guest { return c.guest }

// Local gives the address that the guest has connected to.
func (c *Conn) Local() netip.AddrPort { return c.local }

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.guest.Addr) }

// Listener gives connections to what takes them from a [net.Listener], as http.Server does. Its method Handle is the [Handler].
type Listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewListener makes a listener.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// listened is a connection that says when it has been closed.
type listened struct {
	*Conn
	once   sync.Once
	closed chan struct{}
}

func (c *listened) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// Handle gives a connection to Accept, and waits until it has been closed.
func (l *Listener) Handle(ctx context.Context, c *Conn) {
	given := &listened{Conn: c, closed: make(chan struct{})}
	select {
	case l.conns <- given:
	case <-l.done:
		return
	case <-ctx.Done():
		return
	}
	<-given.closed
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements [net.Listener]. There is no such address.
func (*Listener) Addr() net.Addr { return &net.TCPAddr{} }

// GuestOf says who is at the other end of a connection of this package, as http.Server's ConnContext gets it.
func GuestOf(c net.Conn) (Guest, bool) {
	g, ok := c.(interface{ Guest() Guest })
	if !ok {
		return Guest{}, false
	}
	return g.Guest(), true
}
