package forward

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// guestNIC is the interface inside a guest, of the lab and of the baseline.
const guestNIC = "eth0"

// place is where programs of a guest run and its sockets are: a *netns.NS, or a guest of a lab.
type place interface {
	Do(fn func() error) error
	Start(cmd *exec.Cmd) error
}

type guest struct {
	lab  *lab.Lab
	name string
}

// Do runs fn in the guest's network namespace.
func (g guest) Do(fn func() error) error { return g.lab.Do(g.name, fn) }

// Start starts a command in the guest.
func (g guest) Start(cmd *exec.Cmd) error { return g.lab.StartAt(g.name, cmd) }

// patience is how long a connection or a response is waited for.
const patience = 2 * time.Second

// requests sends a byte through a TCP connection and waits for the byte that comes back, again and again for a span of time, and gives the
// times that it took.
func requests(ctx context.Context, from, to place, addr netip.Addr, span time.Duration) ([]time.Duration, error) {
	asker, server, err := connect(ctx, from, to, addr)
	if err != nil {
		return nil, err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.echo()
	}()
	times, err := asker.ask(ctx, span)
	if err := errors.Join(err, asker.close()); err != nil { // the server's end ends with it
		<-served
		return nil, errors.Join(err, server.close())
	}
	<-served
	return times, server.close()
}

// line is an end of a connection, whose reader sleeps in read(2), as a program with a thread for each connection does.
type line struct{ file *os.File }

// connect makes a TCP connection between two places.
func connect(ctx context.Context, from, to place, addr netip.Addr) (asker, server line, err error) {
	var l net.Listener
	err = to.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp4", ":0")
		return err
	})
	if err != nil {
		return line{}, line{}, err
	}
	defer l.Close()
	tcp := l.(*net.TCPListener)
	if err := tcp.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return line{}, line{}, err
	}
	var c net.Conn
	err = from.Do(func() (err error) {
		at := netip.AddrPortFrom(addr, uint16(tcp.Addr().(*net.TCPAddr).Port))
		c, err = (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp4", at.String())
		return err
	})
	if err != nil {
		return line{}, line{}, err
	}
	accepted, err := tcp.AcceptTCP()
	if err != nil {
		return line{}, line{}, errors.Join(err, c.Close())
	}
	asker, err = blocking(c.(*net.TCPConn))
	if err != nil {
		return line{}, line{}, errors.Join(err, accepted.Close())
	}
	if server, err = blocking(accepted); err != nil {
		return line{}, line{}, errors.Join(err, asker.close())
	}
	return asker, server, nil
}

// fileConn is a connection whose socket can be had.
type fileConn interface {
	net.Conn
	File() (*os.File, error)
}

// blocking takes a connection away from Go's poller.
func blocking(c fileConn) (line, error) {
	f, err := c.File()
	if err = errors.Join(err, c.Close()); err != nil {
		return line{}, err
	}
	limit := unix.NsecToTimeval(int64(patience))
	fd := int(f.Fd())
	if err := errors.Join(unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)); err != nil {
		return line{}, errors.Join(err, f.Close())
	}
	return line{f}, nil
}

func (l line) close() error { return l.file.Close() }

// ask is the asker's side of requests.
func (l line) ask(ctx context.Context, span time.Duration) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, b := int(l.file.Fd()), []byte{0}
	times := make([]time.Duration, 0, 1<<16)
	for began := time.Now(); time.Since(began) < span; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		asked := time.Now()
		if _, err := unix.Write(fd, b); err != nil {
			return nil, fmt.Errorf("send a request: %w", err)
		}
		if n, err := read(fd, b); err != nil || n == 0 {
			return nil, fmt.Errorf("no response within %v: %w", patience, err)
		}
		times = append(times, time.Since(asked))
	}
	return times, nil
}

// echo sends back what comes until nothing does.
func (l line) echo() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, b := int(l.file.Fd()), []byte{0}
	for {
		if n, err := read(fd, b); n == 0 || err != nil {
			return
		}
		if _, err := unix.Write(fd, b); err != nil {
			return
		}
	}
}

// read is read(2) which no signal interrupts: with a limit of time it is not taken up again by itself, signal(7).
func read(fd int, b []byte) (int, error) {
	for {
		if n, err := unix.Read(fd, b); err != unix.EINTR {
			return n, err
		}
	}
}

// payload makes a frame of 60 bytes, without the check sum of Ethernet the least that there is: 14 of Ethernet, 20 of IPv4, 8 of UDP.
const payload = 60 - 14 - 20 - 8

// packets sends UDP packets as fast as one thread can, and gives how many per second came to the other guest's interface. Nobody reads them
// there: what a reader could keep up with is not the question.
func packets(ctx context.Context, from, to place, addr netip.Addr, span time.Duration) (float64, error) {
	var sink *net.UDPConn
	err := to.Do(func() (err error) {
		sink, err = net.ListenUDP("udp4", nil)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer sink.Close()
	if err := sink.SetReadBuffer(4096); err != nil {
		return 0, err
	}
	var source line
	err = from.Do(func() error {
		c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: addr.AsSlice(), Port: sink.LocalAddr().(*net.UDPAddr).Port})
		if err == nil {
			source, err = blocking(c)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	before, err := arrived(to)
	if err != nil {
		return 0, errors.Join(err, source.close())
	}
	began := time.Now()
	err = source.flood(ctx, span)
	after := before
	if err == nil { // at once, unless the span is so short that everything is still under way
		limit, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("nothing arrived within %v", patience))
		defer cancel()
		err = wait.Until(limit, time.Millisecond, func() (err error) {
			if after, err = arrived(to); err == nil && after == before {
				err = errors.New("nothing arrived")
			}
			return err
		})
	}
	took := time.Since(began)
	if err := errors.Join(err, source.close()); err != nil {
		return 0, err
	}
	return float64(after-before) / took.Seconds(), nil
}

// flood sends packets for a span of time.
func (l line) flood(ctx context.Context, span time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, b := int(l.file.Fd()), make([]byte, payload)
	for began := time.Now(); time.Since(began) < span; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for range 64 {
			if _, err := unix.Write(fd, b); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("send a packet: %w", err)
			}
		}
	}
	return nil
}

// arrived counts the packets that have come to a guest's interface.
func arrived(at place) (n uint64, err error) {
	err = at.Do(func() error {
		link, err := netlink.LinkByName(guestNIC)
		if err != nil {
			return err
		}
		s := link.Attrs().Statistics
		if s == nil {
			return fmt.Errorf("%s has no counters", guestNIC)
		}
		n = s.RxPackets
		return nil
	})
	return n, err
}

// stream gives what one TCP stream of iperf3 brings across, in Gb/s.
func stream(ctx context.Context, from, to place, addr netip.Addr, span time.Duration) (_ float64, err error) {
	length := []string{"-t", strconv.Itoa(int(math.Round(span.Seconds())))}
	if span < time.Second { // iperf3 knows whole seconds only
		length = []string{"-n", "1M"}
	}
	ctx, cancel := context.WithTimeout(ctx, span+20*time.Second)
	defer cancel()
	server := exec.CommandContext(ctx, "iperf3", "-s", "-1", "--forceflush", "--idle-timeout", strconv.Itoa(int(span.Seconds())+20))
	out, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := to.Start(server); err != nil {
		return 0, fmt.Errorf("start iperf3: %w", err)
	}
	defer func() {
		cancel()
		_ = server.Wait() // it was killed, or it served one client and is gone: no news
	}()
	for s := bufio.NewScanner(out); ; {
		if !s.Scan() {
			return 0, errors.Join(errors.New("iperf3 -s has ended"), context.Cause(ctx))
		}
		if strings.Contains(s.Text(), "Server listening") {
			break
		}
	}
	var answer bytes.Buffer
	client := exec.CommandContext(ctx, "iperf3", append(length, "-c", addr.String(), "-J", "--connect-timeout", strconv.FormatInt(patience.Milliseconds(), 10))...)
	client.Stdout = &answer
	if err := from.Start(client); err != nil {
		return 0, fmt.Errorf("start iperf3: %w", err)
	}
	failed := client.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	bits, err := received(answer.Bytes())
	return bits / 1e9, errors.Join(failed, err)
}

// received reads from iperf3's answer how many bits per second came across.
func received(answer []byte) (float64, error) {
	var a struct {
		Error string
		End   struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return 0, fmt.Errorf("read the answer of iperf3: %w", err)
	}
	if a.Error != "" {
		return 0, fmt.Errorf("iperf3: %s", a.Error)
	}
	if a.End.Received.Bits <= 0 {
		return 0, errors.New("iperf3: nothing came across")
	}
	return a.End.Received.Bits, nil
}
