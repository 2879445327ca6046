package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// datapath is what Open vSwitch calls the datapath that the lab's hosts must have.
func (s *scene) datapath() string {
	if s.lab.Datapath() == lab.KernelDatapath {
		return "system@ovs-system"
	}
	return "netdev@ovs-netdev"
}

// Guests' packets go through the datapath that hosts ought to have: the kernel's in production, the userspace one where there is no other.
// Its own counters say so, and that Open vSwitch's daemon is asked for the first packets only. The fast path sits where it comes first there.
func TestPrivilegedDatapath(t *testing.T) {
	s := up(t, threeHosts(t, "sc-datapath", nil), lab.StartAgents)
	s.joined(t)
	tn := s.tenant("blue", "vm1", "vm2", "vm3", "vm5")
	s.apply(t, documents([]tenant{tn}))
	s.addressed(t, tn.guests...)
	for _, g := range tn.guests {
		s.serve(t, g)
	}
	t.Logf("the datapath is %s", s.datapath())
	t.Run("same host", func(t *testing.T) { s.carried(t, tn.guests[0], tn.guests[1], "node1") })
	t.Run("other host", func(t *testing.T) { s.carried(t, tn.guests[0], tn.guests[2], "node1", "node2") })
	t.Run("behind the router", func(t *testing.T) { s.carried(t, tn.guests[0], tn.guests[3], "node1", "node3") })
	t.Run("fast path", func(t *testing.T) { s.comesFirst(t, tn.guests[0], tn.guests[3]) })
	t.Run("neighbour discovery", func(t *testing.T) { s.solicits(t, tn.guests[0], tn.guests[3]) })
	t.Run("no flow refused", func(t *testing.T) {
		for _, h := range s.lab.Spec().Hosts {
			st, err := ask[local.Status](s, h.Name, local.PathStatus)
			if err != nil || len(st.Problems) > 0 {
				t.Errorf("%s: %+v, %v", h.Name, st, err)
			}
			if text, err := os.ReadFile(s.lab.Log(h.Name, lab.Agent)); err != nil || strings.Contains(string(text), "refused a change") {
				t.Errorf("the switch of %s has refused a change (%v):\n%s", h.Name, err, text)
			}
		}
	})
	s.together(t, tn) // IPv6 and TCP of full size too
	t.Run("without the daemon", func(t *testing.T) { s.withoutDaemon(t, tn.guests[0], tn.guests[2]) })
}

// withoutDaemon kills the daemon of a host. The kernel goes on with what it knows, and the userspace datapath is the daemon; both are
// there again when it is.
func (s *scene) withoutDaemon(t *testing.T, from, to guest) {
	const host = "node1"
	st := s.stream(t, from, to.v4())
	st.carry(t, 20)
	s.kill(t, host, lab.Switch)
	if s.lab.Datapath() == lab.KernelDatapath {
		st.carry(t, 50)
	}
	s.start(t, host, lab.Switch)
	st.carry(t, 20)
	t.Logf("the daemon of %s was killed and started again: %v", host, st.end())
	s.takesOrders(t, from)
}

// carried sends packets between two guests, and has the datapaths of the hosts on the way prove that they came by.
func (s *scene) carried(t *testing.T, from, to guest, hosts ...string) {
	t.Helper()
	const packets = 100
	st := s.stream(t, from, to.v4())
	st.carry(t, 10)
	before := map[string]usage{}
	for _, h := range hosts {
		before[h] = s.usage(t, h)
	}
	st.carry(t, packets)
	var errs []error
	for _, h := range hosts {
		now := s.usage(t, h)
		if now.hit < before[h].hit+2*packets {
			errs = append(errs, fmt.Errorf("the datapath of %s has handled %d packets, of %d and as many answers", h, now.hit-before[h].hit, packets))
		}
		if missed := now.missed - before[h].missed; missed > packets/4 {
			errs = append(errs, fmt.Errorf("the datapath of %s has asked for %d packets, of %d and as many answers", h, missed, packets))
		}
		if dump := s.appctl(t, h, "dpctl/dump-flows"); len(hosts) > 1 && !strings.Contains(dump, "set(tunnel(") && !strings.Contains(dump, "tnl_push(") {
			errs = append(errs, fmt.Errorf("no flow of the datapath of %s goes into a tunnel:\n%s", h, dump))
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	st.lossless(t, strings.Join(hosts, " to "))
}

// usage is what a datapath has done: packets that its flows have handled, and packets for which it had to ask the daemon.
type usage struct{ hit, missed int }

var lookups = regexp.MustCompile(`lookups: hit:(\d+) missed:(\d+)`)

// usage asks the datapath of a host, which must be the right one and have the tunnels' port.
func (s *scene) usage(t *testing.T, host string) usage {
	t.Helper()
	show := s.appctl(t, host, "dpctl/show")
	numbers := lookups.FindStringSubmatch(show)
	if !strings.HasPrefix(show, s.datapath()+":") || !strings.Contains(show, "genev_sys_6081 (geneve") || numbers == nil {
		t.Fatalf("the datapath of %s is not %s with a port for tunnels:\n%s", host, s.datapath(), show)
	}
	hit, err1 := strconv.Atoi(numbers[1])
	missed, err2 := strconv.Atoi(numbers[2])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return usage{hit, missed}
}

func (s *scene) appctl(t *testing.T, host string, args ...string) string {
	t.Helper()
	sw, err := s.lab.OVS(host)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sw.Appctl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// comesFirst shows that the program at the guest's port is where it comes before the datapath, and that it answers ARP there: once, so that
// the datapath has not seen the question.
func (s *scene) comesFirst(t *testing.T, from, asked guest) {
	const host = "node1"
	want := state.HookXDPGeneric
	if s.lab.Datapath() == lab.KernelDatapath {
		want = state.HookTC
	}
	wait.For(t, patience, "the program at "+from.port, func() error {
		r, err := fastpath.OpenReadOnly(s.lab.Dir("bpffs/" + host))
		if err != nil {
			return err
		}
		defer r.Close()
		var d *fastpath.Dump
		err = s.lab.Do(host, func() (err error) { // links are those of the host
			d, err = r.Dump()
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range d.Ports {
			if p.Name == from.port && p.Hook == want && !p.Gone {
				return nil
			}
		}
		return fmt.Errorf("it is not at the hook %s: %+v", want, d.Ports)
	})
	// The guest's own kernel must not ask meanwhile.
	s.exec(t, from.name, "ip", "neigh", "replace", asked.v4().String(), "lladdr", asked.mac.String(), "dev", "eth0", "nud", "permanent")
	before, mark := s.answered(t, host, bpf.AnswerARP), s.watches[from.name].mark()
	if mac := s.whoHas(t, from, asked); mac != asked.mac {
		t.Errorf("%s is said to be at %s, not at %s", asked.v4(), mac, asked.mac)
	}
	if err := s.ping(from, asked.v4()); err != nil { // a second answer would have come by then
		t.Error(err)
	}
	if after := s.answered(t, host, bpf.AnswerARP); after == before {
		t.Error("the fast path has not answered")
	}
	isAnswer := func(f []byte) bool {
		a, ok := parse(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && netip.AddrFrom4([4]byte(a.SourceProtAddress)) == asked.v4()
	}
	if n := s.watches[from.name].count(mark, isAnswer); n != 1 {
		t.Errorf("%d answers came to %s, want one", n, from)
	}
}

// solicits has a guest ask who has an IPv6 address: the program answers what it knows the form of, and the datapath the rest, or the agent where it cannot. Either answers once.
func (s *scene) solicits(t *testing.T, from, asked guest) {
	const host = "node1"
	s.exec(t, from.name, "ip", "neigh", "replace", asked.v6().String(), "lladdr", asked.mac.String(), "dev", "eth0", "nud", "permanent")
	group, groupMAC := solicited(asked.v6())
	plain := nd{from.mac, groupMAC, from.v6(), group, asked.v6(), from.mac}.solicitation(t)
	odd := append(plain[:len(plain):len(plain)], 14, 1, 1, 2, 3, 4, 5, 6) // an option more: the checksum is not looked at
	odd[19] += 8
	for name, question := range map[string][]byte{"plain": plain, "odd": odd} {
		w := s.watches[from.name]
		before, mark := s.answered(t, host, bpf.AnswerND), w.mark()
		s.send(t, from, question)
		isAnswer := func(f []byte) bool {
			p := parse(f)
			a, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
			if !ok || !a.TargetAddress.Equal(asked.v6().AsSlice()) {
				return false
			}
			if ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); a.Flags != 0x60 || ip.HopLimit != 255 || !ip.DstIP.Equal(from.v6().AsSlice()) ||
				len(f) != len(question) || !bytes.Equal(f[78:86], append([]byte{2, 1}, asked.mac[:]...)) {
				t.Errorf("%s: the answer is\n%s", name, words(f))
			}
			return true
		}
		w.await(t, 5*time.Second, "an advertisement of "+asked.v6().String(), mark, isAnswer)
		if err := s.ping(from, asked.v6()); err != nil { // a second answer would have come by then
			t.Error(err)
		}
		if n := w.count(mark, isAnswer); n != 1 {
			t.Errorf("%s: %d answers came to %s, want one", name, n, from)
		}
		if after := s.answered(t, host, bpf.AnswerND); (after > before) != (name == "plain") {
			t.Errorf("%s: the fast path has answered %d questions", name, after-before)
		}
	}
}
