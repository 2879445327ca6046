package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/wait"
)

// echoPort is where guests answer TCP and UDP.
const echoPort = 7007

// bulk is how much goes each way of a TCP connection: many segments of full size.
const bulk = 256 << 10

// serve lets a guest answer TCP and UDP of both families, until the test ends: with its name in front of what it is sent.
func (s *scene) serve(t *testing.T, g guest) {
	t.Helper()
	for _, family := range []string{"4", "6"} {
		var l net.Listener
		var p net.PacketConn
		err := s.lab.Do(g.name, func() (err error) {
			if l, err = net.Listen("tcp"+family, fmt.Sprintf(":%d", echoPort)); err != nil {
				return err
			}
			p, err = net.ListenPacket("udp"+family, fmt.Sprintf(":%d", echoPort))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer c.Close()
					_ = c.SetDeadline(time.Now().Add(patience))
					if _, err := io.WriteString(c, g.String()+"\n"); err == nil {
						_, _ = io.CopyN(c, c, bulk)
					}
				})
			}
		})
		wg.Go(func() {
			b := make([]byte, 2048)
			for {
				n, from, err := p.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = p.WriteTo([]byte(g.String()+"\n"+string(b[:n])), from)
			}
		})
		t.Cleanup(func() { l.Close(); p.Close(); wg.Wait() })
	}
}

// dial opens a TCP or UDP connection from a guest.
func (s *scene) dial(from guest, network string, to netip.Addr, limit time.Duration) (net.Conn, error) {
	limit = wait.Scaled(limit)
	var c net.Conn
	err := s.lab.Do(from.name, func() (err error) {
		c, err = (&net.Dialer{Timeout: limit}).Dial(network, netip.AddrPortFrom(to, echoPort).String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(limit))
}

// tcp sends data to the guest with that address and takes it back.
func (s *scene) tcp(from, to guest, addr netip.Addr) error {
	c, err := s.dial(from, "tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	data := bytes.Repeat([]byte("from "+from.String()+" "), bulk)[:bulk]
	go func() { _, _ = c.Write(data) }() // the reader sees what is missing
	back := make([]byte, len(to.String())+1+bulk)
	if _, err := io.ReadFull(c, back); err != nil {
		return err
	}
	name, echo, _ := bytes.Cut(back, []byte("\n"))
	if string(name) != to.String() || !bytes.Equal(echo, data) {
		return fmt.Errorf("%s answered, and not with what was sent", name)
	}
	return nil
}

// udp sends a datagram to the guest with that address and takes its answer.
func (s *scene) udp(from, to guest, addr netip.Addr) error {
	c, err := s.dial(from, "udp", addr, 2*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	text := "from " + from.String()
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, 2048)
	n, err := c.Read(b)
	if err != nil {
		return err
	}
	if want := to.String() + "\n" + text; string(b[:n]) != want {
		return fmt.Errorf("the answer is %q, not %q", b[:n], want)
	}
	return nil
}

// together fails the test unless every guest reaches every other one by ping, TCP and UDP of both families.
func (s *scene) together(t *testing.T, tn tenant) {
	t.Helper()
	for _, from := range tn.guests {
		for _, to := range tn.guests {
			if from.name == to.name {
				continue
			}
			for _, addr := range []netip.Addr{to.v4(), to.v6()} {
				if err := s.ping(from, addr); err != nil {
					t.Errorf("%s pings %s at %s: %v", from, to, addr, err)
				}
				if err := s.tcp(from, to, addr); err != nil {
					t.Errorf("TCP from %s to %s at %s: %v", from, to, addr, err)
				}
				if err := s.udp(from, to, addr); err != nil {
					t.Errorf("UDP from %s to %s at %s: %v", from, to, addr, err)
				}
			}
		}
	}
}

// ping sends one echo request and waits for its answer.
func (s *scene) ping(from guest, to netip.Addr) error {
	st, err := s.open(from, to)
	if err != nil {
		return err
	}
	defer st.close()
	if err := st.request(); err != nil {
		return err
	}
	return st.settle(2 * time.Second)
}

// reaches waits until one guest has an answer from an address, and says how long that took.
func (s *scene) reaches(t *testing.T, from guest, to netip.Addr) time.Duration {
	t.Helper()
	begin := time.Now()
	wait.For(t, patience, fmt.Sprintf("%s to reach %s", from, to), func() error {
		st, err := s.open(from, to)
		if err != nil {
			return err
		}
		defer st.close()
		if err := st.request(); err != nil {
			return err
		}
		return st.settle(50 * time.Millisecond)
	})
	return time.Since(begin)
}

// stream is echo requests from one guest to an address, and the answers.
type stream struct {
	conn net.PacketConn
	from guest
	to   netip.Addr
	id   uint16

	mu       sync.Mutex
	answered []bool // by sequence number
	twice    int    // answers that came once more
	err      error

	stop, done chan struct{} // of a running stream
	finished   chan struct{} // the reader's
}

// open prepares a stream that sends only when request says so. ICMP is spoken over a raw socket, so that every answer is seen.
func (s *scene) open(from guest, to netip.Addr) (*stream, error) {
	st := &stream{from: from, to: to, id: uint16(time.Now().UnixNano() >> 10), finished: make(chan struct{})}
	network := "ip4:icmp"
	if to.Is6() {
		network = "ip6:ipv6-icmp"
	}
	err := s.lab.Do(from.name, func() (err error) {
		st.conn, err = net.ListenPacket(network, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	go st.read()
	return st, nil
}

func (st *stream) close() {
	st.conn.Close()
	<-st.finished
}

// request sends the next echo request (RFC 792; RFC 4443, section 4.1, where the kernel fills in the checksum).
func (st *stream) request() error {
	st.mu.Lock()
	seq := len(st.answered)
	st.answered = append(st.answered, false)
	st.mu.Unlock()
	m := make([]byte, 56)
	m[0] = 8
	if st.to.Is6() {
		m[0] = 128
	}
	binary.BigEndian.PutUint16(m[4:], st.id)
	binary.BigEndian.PutUint16(m[6:], uint16(seq))
	copy(m[8:], "from "+st.from.String())
	if st.to.Is4() {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	_, err := st.conn.WriteTo(m, &net.IPAddr{IP: st.to.AsSlice()})
	return err
}

// checksum is the internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func (st *stream) read() {
	defer close(st.finished)
	kind := byte(0)
	if st.to.Is6() {
		kind = 129
	}
	b := make([]byte, 2048)
	for {
		n, from, err := st.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if n < 8 || b[0] != kind || binary.BigEndian.Uint16(b[4:]) != st.id || strings.Split(from.String(), "%")[0] != st.to.String() {
			continue
		}
		st.mu.Lock()
		if seq := int(binary.BigEndian.Uint16(b[6:])); seq < len(st.answered) {
			if st.answered[seq] {
				st.twice++
			}
			st.answered[seq] = true
		}
		st.mu.Unlock()
	}
}

// settle waits until every request is answered, at most for a time; the error says how many are not.
func (st *stream) settle(limit time.Duration) error {
	deadline := time.Now().Add(wait.Scaled(limit))
	for {
		r := st.result()
		if r.lost == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d echo requests to %s were not answered", r.lost, r.sent, st.to)
		}
		<-time.After(200 * time.Microsecond)
	}
}

// result is what has become of a stream's requests.
type result struct {
	sent, lost int
	twice      int
}

func (r result) String() string {
	return fmt.Sprintf("%d of %d packets lost, %d answered twice", r.lost, r.sent, r.twice)
}

func (st *stream) result() result {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := result{sent: len(st.answered), twice: st.twice}
	for _, ok := range st.answered {
		if !ok {
			r.lost++
		}
	}
	return r
}

// stream sends an echo request every 10 ms until end is called.
func (s *scene) stream(t *testing.T, from guest, to netip.Addr) *stream {
	t.Helper()
	st, err := s.open(from, to)
	if err != nil {
		t.Fatal(err)
	}
	st.stop, st.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(st.done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := st.request(); err != nil {
				st.mu.Lock()
				st.err = err
				st.mu.Unlock()
			}
			select {
			case <-st.stop:
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() { st.halt(); st.close() })
	return st
}

func (st *stream) halt() {
	select {
	case <-st.stop:
	default:
		close(st.stop)
	}
	<-st.done
}

// carry waits until n further requests are answered.
func (st *stream) carry(t *testing.T, n int) {
	t.Helper()
	first := st.result()
	wait.For(t, patience, fmt.Sprintf("%d packets from %s to %s", n, st.from, st.to), func() error {
		if r := st.result(); r.sent-r.lost < first.sent-first.lost+n {
			return fmt.Errorf("%v, then %v", first, r)
		}
		return nil
	})
}

// end stops sending, waits for the last answers, and gives the result.
func (st *stream) end() result {
	st.halt()
	_ = st.settle(time.Second)
	return st.result()
}

// lossless ends the stream and fails the test if anything was lost.
func (st *stream) lossless(t *testing.T, what string) {
	t.Helper()
	r := st.end()
	t.Logf("%s: %v", what, r)
	if r.lost > 0 || r.twice > 0 {
		st.mu.Lock()
		defer st.mu.Unlock()
		t.Errorf("%s under traffic from %s to %s: %v (last error of sending: %v)", what, st.from, st.to, r, st.err)
	}
}
