package scenarios

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// A guest moves to another host and back while it runs, as often as in a bad week. Guests on the host that it leaves, on the one that it comes to and on a third reach it all the
// time, what comes comes once, and its TCP connections go on, whoever speaks: those that it has opened too, whose answers a security group lets pass only because it has asked.
func TestPrivilegedLiveMove(t *testing.T) {
	s := up(t, threeHosts(t, "sc-live", func(spec *lab.Spec) { guestOf(spec, "vm1").Live = true }), lab.StartAgents)
	s.joined(t)
	tn := s.tenant("blue", "vm1", "vm2", "vm3", "vm5")
	s.apply(t, documents([]tenant{tn}))
	s.addressed(t, tn.guests...)
	for _, g := range tn.guests {
		s.serve(t, g)
	}
	g := tn.guests[0]
	create[model.SecurityGroup](t, s, client.Params{"uuid": "sg-blue", "display_name": "blue", "rules": "icmp::0.0.0.0/0\ntcp:5002:0.0.0.0/0"})
	member := create[model.SecurityGroupInterface](t, s, client.Params{"security_group_uuid": "sg-blue", "interface_uuid": g.iface()})
	asked := s.push(t, tn.guests[3], g, 5001) // vm5 sends to vm1, which has asked it to
	sent := s.push(t, g, tn.guests[2], 5002)
	worst := map[string][]int{}
	for n := range 6 {
		to := []string{"node2", "node1"}[n%2]
		streams := []*stream{s.stream(t, tn.guests[1], g.v4()), s.stream(t, tn.guests[2], g.v4()), s.stream(t, tn.guests[3], g.v4())}
		for _, st := range streams {
			st.carry(t, 10)
		}
		s.migrate(t, g, to)
		for k, st := range streams {
			st.carry(t, 50)
			r := st.end()
			if r.twice > 0 {
				t.Errorf("move to %s, asked by %s: %v", to, st.from, r)
			}
			from := []string{"the host that it leaves", "the host that it comes to", "a third host"}[k]
			if n%2 == 1 && k < 2 {
				from = []string{"the host that it comes to", "the host that it leaves"}[k]
			}
			worst[from] = append(worst[from], st.longest())
		}
		asked.goesOn(t)
		sent.goesOn(t)
	}
	for _, from := range []string{"the host that it leaves", "the host that it comes to", "a third host"} {
		slices.Sort(worst[from])
		t.Logf("packets lost in a row, one each 10 ms, from %s: %v, median %d", from, worst[from], worst[from][len(worst[from])/2])
	}
	s.remove(t, member.Object.UUID)
	s.together(t, tn)
}

// announces announces a move, and waits until the hosts have it.
func (s *scene) announces(t *testing.T, g guest, to string) *client.Item[model.Interface] {
	t.Helper()
	i, err := s.api.MoveInterface(t.Context(), g.iface(), s.datapathOf(t, to))
	if err != nil {
		t.Fatal(err)
	}
	if err := realised(i.Status); err != nil || !i.Applied {
		t.Errorf("move of %s to %s: applied %t, %v", g, to, i.Applied, err)
	}
	return i
}

// datapathOf gives the uuid of a host's datapath.
func (s *scene) datapathOf(t *testing.T, host string) string {
	t.Helper()
	for d, err := range client.List[model.Datapath](t.Context(), s.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Object.NodeID == host {
			return d.Object.UUID
		}
	}
	t.Fatalf("no datapath of %s", host)
	return ""
}

// migrate moves a live guest as a hypervisor does, and waits until the manager has it there.
func (s *scene) migrate(t *testing.T, g guest, to string) {
	t.Helper()
	s.announces(t, g, to)
	m, err := s.lab.Migrate(t.Context(), g.name, to)
	if err != nil {
		t.Fatal(err)
	}
	wait.For(t, patience, "the port to be ready on "+to, func() error {
		ports, err := ask[[]local.Port](s, to, local.PathPorts)
		if err == nil && !slices.ContainsFunc(ports, func(p local.Port) bool { return p.Name == g.port && p.Interface == g.iface() }) {
			err = fmt.Errorf("ports %+v", ports)
		}
		return err
	})
	if err := errors.Join(m.Switch(), m.Finish(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// longest gives how many requests in a row have not been answered, at most.
func (st *stream) longest() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	most, run := 0, 0
	for _, ok := range st.answered {
		if run++; ok {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

// pushed is a TCP connection on which one side counts and the other reads.
type pushed struct {
	what string
	got  atomic.Uint32
	err  atomic.Pointer[error]
}

// push has a guest send numbers to another, which has connected to it, until the test ends.
func (s *scene) push(t *testing.T, from, to guest, port int) *pushed {
	t.Helper()
	var l net.Listener
	if err := s.lab.Do(from.name, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var c net.Conn
	if err := s.lab.Do(to.name, func() (err error) {
		c, err = net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", from.v4(), port), wait.Scaled(5*time.Second))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sender, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := &pushed{what: fmt.Sprintf("what %s sends to %s, which has connected to it", from, to)}
	wrote, read := make(chan struct{}), make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(wrote)
		b := make([]byte, 4)
		for n := uint32(1); ; n++ {
			binary.BigEndian.PutUint32(b, n)
			if _, err := sender.Write(b); err != nil {
				return // the reader says what is wrong
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	go func() {
		defer close(read)
		b := make([]byte, 4)
		for n := uint32(1); ; n++ {
			_, err := io.ReadFull(c, b)
			if got := binary.BigEndian.Uint32(b); err == nil && got != n {
				err = fmt.Errorf("%d came instead of %d", got, n)
			}
			if err != nil {
				p.err.Store(&err)
				return
			}
			p.got.Store(n)
		}
	}()
	t.Cleanup(func() {
		close(stop)
		for _, c := range []io.Closer{sender, c, l} {
			c.Close()
		}
		<-wrote
		<-read
	})
	return p
}

// goesOn waits until more has come.
func (p *pushed) goesOn(t *testing.T) {
	t.Helper()
	first := p.got.Load()
	wait.For(t, patience, p.what, func() error {
		if err := p.err.Load(); err != nil {
			return *err
		}
		if now := p.got.Load(); now < first+10 {
			return fmt.Errorf("%d, then %d", first, now)
		}
		return nil
	})
}
