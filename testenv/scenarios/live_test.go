package scenarios

import (
	"encoding/binary"
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
	conversations := []*pushed{s.push(t, tn.guests[3], g, 5001), s.push(t, g, tn.guests[2], 5002)} // vm1 has asked vm5, vm3 has asked vm1
	t.Run("Geneve", func(t *testing.T) { s.liveMoves(t, tn, conversations) })
	t.Run("cancelled", func(t *testing.T) { s.cancels(t, tn, conversations) })
	s.apply(t, unencapsulated(s.lab.Spec(), tn))
	for _, m := range tn.guests[1:] {
		s.reaches(t, m, g.v4())
	}
	t.Run("without encapsulation", func(t *testing.T) { s.liveMoves(t, tn, conversations) })
	s.remove(t, member.Object.UUID)
	s.together(t, tn)
}

// unencapsulated wires the tenant's network where guests are: as it is between hosts on one underlay, and by VXLAN otherwise.
func unencapsulated(spec lab.Spec, tn tenant) client.Documents {
	const under, over = "topo-liveunder", "topo-liveover"
	docs := client.Documents{
		"mac_range_groups": {{"uuid": "mrg-live"}},
		"mac_ranges":       {{"uuid": "mr-live", "mac_range_group_uuid": "mrg-live", "begin_mac_address": "52:57:01:00:00:00", "end_mac_address": "52:57:01:00:ff:ff"}},
		"topologies": {
			{"uuid": under, "mode": "simple_underlay"},
			{"uuid": over, "mode": "simple_overlay", "encapsulation": model.VXLAN, "mac2mac": true, "activity": true},
		},
		"topology_mac_range_groups": {{"topology_uuid": under, "mac_range_group_uuid": "mrg-live"}},
		"topology_layers":           {{"overlay_uuid": over, "underlay_uuid": under}},
		"topology_networks":         {{"topology_uuid": over, "network_uuid": tn.network()}},
	}
	for _, h := range spec.Hosts {
		docs["topology_datapaths"] = append(docs["topology_datapaths"], client.Params{"topology_uuid": under, "datapath_uuid": datapathOf(h.Name), "interface_uuid": "if-" + h.DPID})
	}
	return docs
}

// liveMoves moves the first guest to and fro between the hosts of the second and of the third, and says what that has cost.
func (s *scene) liveMoves(t *testing.T, tn tenant, conversations []*pushed) {
	g, worst := tn.guests[0], map[string][]int{}
	for n := range 6 {
		to := []string{"node2", "node1"}[n%2]
		askers := map[string]guest{"the host that it leaves": tn.guests[1+n%2], "the host that it comes to": tn.guests[2-n%2], "a third host": tn.guests[3]}
		streams := map[string]*stream{}
		for from, asker := range askers {
			streams[from] = s.stream(t, asker, g.v4())
			streams[from].carry(t, 10)
		}
		m := s.migrate(t, g, to)
		if n < 4 {
			finish(t, m)
		}
		for _, st := range streams {
			st.carry(t, 50)
			st.halt()
		}
		if n >= 4 { // the former host's port is there for long: it is not asked whether that is gone
			finish(t, m)
		}
		_ = streams["a third host"].settle(time.Second)
		for from, st := range streams {
			if r := st.result(); r.twice > 0 {
				t.Errorf("move to %s, asked from %s: %v", to, from, r)
			}
			worst[from] = append(worst[from], st.longest())
		}
		for _, c := range conversations {
			c.goesOn(t)
		}
	}
	for from, lost := range worst {
		t.Logf("packets lost in a row, of one each 10 ms from %s: %v, median %d", from, lost, slices.Sorted(slices.Values(lost))[len(lost)/2])
	}
}

// cancels announces a move and takes that back: nobody notices.
func (s *scene) cancels(t *testing.T, tn tenant, conversations []*pushed) {
	g := tn.guests[0]
	st := s.stream(t, tn.guests[3], g.v4())
	st.carry(t, 10)
	s.announces(t, g, "node3")
	st.carry(t, 20)
	if _, err := s.api.CancelMove(t.Context(), g.iface()); err != nil {
		t.Error(err)
	}
	st.carry(t, 20)
	st.lossless(t, "a move that is announced and cancelled")
	for _, c := range conversations {
		c.goesOn(t)
	}
}

// announces announces a move, and waits until the hosts have it.
func (s *scene) announces(t *testing.T, g guest, to string) *client.Item[model.Interface] {
	t.Helper()
	i, err := s.api.MoveInterface(t.Context(), g.iface(), datapathOf(to))
	if err != nil {
		t.Fatal(err)
	}
	if err := realised(i.Status); err != nil || !i.Applied {
		t.Errorf("move of %s to %s: applied %t, %v", g, to, i.Applied, err)
	}
	return i
}

// migrate moves a live guest as a hypervisor does, but for what is left at the former host, which finish removes.
func (s *scene) migrate(t *testing.T, g guest, to string) *lab.Migration {
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
	if err := m.Switch(); err != nil {
		t.Fatal(err)
	}
	return m
}

func finish(t *testing.T, m *lab.Migration) {
	t.Helper()
	if err := m.Finish(t.Context()); err != nil {
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
