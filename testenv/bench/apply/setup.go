package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

var hosts = []string{"node1", "node2", "node3"}

const measured = "node1" // whose processes are restarted

// The network is large enough for all that there are many of.
const (
	network = "nw-ba"
	bits    = 8
	bridge  = "br0"
)

func guestName(host int) string { return fmt.Sprintf("vm%d", host+1) }

// address is that of the n-th interface of the network; the guests' are the first.
func address(n int) netip.Addr {
	n += 10
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// spec is three hosts on one underlay with a guest each.
func spec() lab.Spec {
	const underlay = "u"
	s := lab.Spec{Name: "bench-apply", Underlays: []lab.Underlay{{Name: underlay, Prefixes: []netip.Prefix{netip.MustParsePrefix("172.16.82.0/24")}}}}
	for n, h := range hosts {
		nic := lab.NIC{Name: "eth0", Underlay: underlay, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, 82, byte(10 + n)})}}
		s.Hosts = append(s.Hosts, lab.Host{Name: h, NICs: []lab.NIC{nic}})
		s.Guests = append(s.Guests, lab.Guest{Name: guestName(n), Host: h, IP: lab.IP{Addresses: []netip.Prefix{netip.PrefixFrom(address(n), bits)}}})
	}
	return s
}

// setup is the lab, and what is in the manager's store beside its guests: interfaces of the same network, on the other hosts, without ports.
type setup struct {
	lab        *lab.Lab
	api        *client.Client
	socket     *http.Client // to the measured host's agent
	others     []string     // datapaths of the hosts that are not measured
	interfaces int
}

func newSetup(l *lab.Lab) (*setup, error) {
	api, err := client.New(client.Options{Server: l.API(), Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	path := ""
	for _, e := range l.Env(measured) {
		if p, ok := strings.CutPrefix(e, "VNA_SOCKET="); ok {
			path = p
		}
	}
	socket := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, // the agent is restarted
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	return &setup{lab: l, api: api, socket: socket}, nil
}

// start returns when the guests are in the flows of all hosts.
func (s *setup) start(ctx context.Context) error {
	joined, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	err := wait.Until(joined, 20*time.Millisecond, func() error {
		s.others = nil
		n := 0
		for d, err := range client.List[model.Datapath](joined, s.api, nil) {
			if err != nil {
				return err
			}
			if n++; d.Object.NodeID != measured {
				s.others = append(s.others, d.Object.UUID)
			}
		}
		if n < len(hosts) {
			return fmt.Errorf("%d of %d hosts have joined", n, len(hosts))
		}
		return nil
	})
	if err != nil {
		return err
	}
	a := address(0).As4()
	docs := client.Documents{model.Networks.Plural: {{"uuid": network, "ipv4_network": netip.AddrFrom4([4]byte{a[0]}).String(), "ipv4_prefix": bits}}}
	for n, g := range s.lab.Spec().Guests {
		docs[model.Interfaces.Plural] = append(docs[model.Interfaces.Plural], client.Params{
			"uuid": "if-ba" + g.Name, "mode": model.InterfaceVIF, "port_name": g.Port, "mac_address": g.MAC.String(), "network_uuid": network, "ipv4_address": address(n).String(),
		})
	}
	done, err := s.api.With(client.Write{Wait: 20 * time.Second}).Apply(ctx, docs)
	if err != nil {
		return fmt.Errorf("configure the network: %w", err)
	}
	if !done.Applied {
		return fmt.Errorf("the network is not applied on all hosts: %s", done.Body)
	}
	return s.reaches(ctx)
}

// reaches waits until the first guest has an answer of the second.
func (s *setup) reaches(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errors.New("the guests have not reached each other within 15 s"))
	defer cancel()
	return wait.Until(ctx, 50*time.Millisecond, func() error {
		_, err := s.lab.Exec(ctx, guestName(0), "ping", "-n", "-c", "1", "-W", "1", address(1).String())
		return err
	})
}

// batch is how many interfaces one call makes at most.
const batch = 10_000

// grow makes interfaces on the other hosts until the measured one has so many flows, and gives how many it has.
func (s *setup) grow(ctx context.Context, flows int, say func(string, ...any)) (int, error) {
	have, err := s.settled(ctx, 0)
	if err != nil {
		return 0, err
	}
	each := 0.0 // flows that one more makes
	for have < flows {
		more := 100 // a few say what each makes
		if each > 0 {
			more = min(batch, int(float64(flows-have)/each)+1)
		}
		docs := client.Documents{}
		for n := s.interfaces; n < s.interfaces+more; n++ {
			docs[model.Interfaces.Plural] = append(docs[model.Interfaces.Plural], client.Params{
				"uuid": fmt.Sprintf("if-bx%d", n), "mode": model.InterfaceVIF, "owner_datapath_uuid": s.others[n%len(s.others)], "network_uuid": network,
				"mac_address": model.MAC{2, 0x10, 0, byte(n >> 16), byte(n >> 8), byte(n)}.String(), "ipv4_address": address(len(hosts) + n).String(),
			})
		}
		done, err := s.api.Apply(ctx, docs)
		if err != nil {
			return 0, err
		}
		s.interfaces += more
		now, err := s.settled(ctx, done.Revision)
		if err != nil {
			return 0, err
		}
		if now <= have {
			return 0, fmt.Errorf("%d more interfaces have made %d flows of %d", more, now, have)
		}
		each, have = float64(now-have)/float64(more), now
		say("%s has %d flows of %d", measured, have, flows)
	}
	return have, nil
}

// settled waits until the measured host has the state of a revision in its switch, and gives how many flows that is.
func (s *setup) settled(ctx context.Context, revision int64) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, fmt.Errorf("%s has not got revision %d within 3 min", measured, revision))
	defer cancel()
	var st local.Status
	err := wait.Until(ctx, 100*time.Millisecond, func() (err error) {
		if st, err = s.status(ctx); err != nil {
			return err
		}
		if st.Revision < revision || !st.Switch || !st.Complete {
			return fmt.Errorf("it is at revision %d, with its switch %t, complete %t", st.Revision, st.Switch, st.Complete)
		}
		return s.programmed(ctx, st.Flows)
	})
	return st.Flows, err
}

// status asks the measured host's agent how it is.
func (s *setup) status(ctx context.Context) (st local.Status, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vna"+local.PathStatus, nil)
	if err != nil {
		return st, err
	}
	resp, err := s.socket.Do(q)
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return st, fmt.Errorf("the agent of %s answers %s", measured, resp.Status)
	}
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

var flowCount = regexp.MustCompile(`flow_count=(\d+)`)

// programmed reports an error unless the measured host's switch has so many flows.
func (s *setup) programmed(ctx context.Context, want int) error {
	out, err := s.lab.Exec(ctx, measured, "ovs-ofctl", "-O", "OpenFlow15", "dump-aggregate", bridge)
	if err != nil {
		return err
	}
	m := flowCount.FindStringSubmatch(out)
	if m == nil {
		return fmt.Errorf("there is no count of flows in %q", out)
	}
	if n, err := strconv.Atoi(m[1]); err != nil || n < want {
		return fmt.Errorf("the switch of %s has %d flows of %d: %w", measured, n, want, err)
	}
	return nil
}

// resident gives the resident memory of a process of the measured host, MiB.
func (s *setup) resident(c lab.Component) (float64, error) {
	r, err := s.lab.Record(measured, c)
	if err != nil {
		return 0, err
	}
	return proc.Resident(r.PID)
}
