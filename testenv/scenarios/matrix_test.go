package scenarios

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/labs"
	"github.com/openvnet/openvnet/testenv/reach"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The topologies of a matrix.
const (
	underlay = "topo-under"
	overlay  = "topo-over"
)

// class is a class of scenarios: a configuration, and live changes of it.
type class struct {
	name     string
	make     func(p *plan)
	together []string      // nodes that reach each other in the beginning, so that silence everywhere is no success: "vm1 vm2 vm3"
	also     func() []also // optional: what is asked besides all pairs
	steps    []step
}

// also is an address, or an address and port, that a node asks.
type also struct{ from, to string }

// step is a change, made while everything is in use.
type step struct {
	name   string
	change func(p *plan)                 // optional: of the class's own configuration
	reason string                        // optional: why hosts can do nothing with some of it then
	act    func(t *testing.T, m *matrix) // optional: of what all classes have
}

// matrix is the lab of the classes.
type matrix struct {
	*scene
	now      *plan  // what is configured
	physical string // uuid of the network of underlay a, as the hosts' registration has made it
}

// Every class of scenarios of OpenVNet's own integration tests, in a lab like its: with the agents there before the configuration and after
// it, over each transport, by IPv4 and IPv6. Every node asks every other one by TCP, UDP and ping, and who answers is, each time, who the oracle
// says.
func TestPrivilegedMatrix(t *testing.T) {
	spec, err := lab.Parse(labs.Edge, "sc-classes")
	if err != nil {
		t.Fatal(err)
	}
	m := &matrix{scene: up(t, spec, lab.StartAgents)}
	m.joined(t)
	m.base(t)
	for _, h := range spec.Hosts {
		m.answer(t, h.Name)
	}
	for _, g := range spec.Guests {
		m.ready(t, g.Name)
	}
	for _, x := range spec.Machines {
		m.ready(t, x.Name)
	}
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) { m.run(t, c) })
	}
}

// run runs a class: configured while the agents run, then changed step by step, each time measured; then as it was in the beginning, with agents and
// switches that know nothing.
func (m *matrix) run(t *testing.T, c class) {
	m.configure(t, m.plan(class{})) // what another class has changed is as it was
	p := m.plan(c)
	m.configure(t, p)
	m.gather(t, c)
	m.transports(t, c, "agents first")
	for _, s := range c.steps {
		if s.change != nil {
			s.change(p)
			m.configureDespite(t, p, s.reason)
		}
		if s.act != nil {
			s.act(t, m)
		}
		m.compare(t, c, s.name)
	}
	m.forget(t, m.plan(c))
	m.transports(t, c, "configuration first")
}

// plan gives a class's configuration as it is in the beginning.
func (m *matrix) plan(c class) *plan {
	p := newPlan()
	p.physical = m.physical
	if c.make != nil {
		c.make(p)
	}
	return p
}

// transports measures over each transport, and leaves the first one in force.
func (m *matrix) transports(t *testing.T, c class, order string) {
	t.Helper()
	for k, how := range carriers {
		if k > 0 {
			m.encapsulate(t, how)
		}
		m.compare(t, c, fmt.Sprintf("%s, %v", order, how))
	}
	m.encapsulate(t, carriers[0])
}

// compare asks everybody from everywhere, and compares who answers with who answers by the oracle.
func (m *matrix) compare(t *testing.T, c class, what string) {
	t.Helper()
	begin := time.Now()
	net := m.net()
	probes := m.probes(net, c)
	want := m.predict(t, net, probes)
	ask := func(probes []reach.Probe) (reach.Answers, int) {
		for _, n := range net.Nodes {
			if err := m.unlearn(n.Name); err != nil {
				t.Fatal(err)
			}
		}
		return m.measure(t, probes, want)
	}
	got, late := ask(probes)
	reached := 0
	for _, p := range probes {
		if want[p] != "" {
			reached++
		}
	}
	wrong := disagree(probes, want, got)
	early := len(wrong)
	for len(wrong) > 0 && time.Since(begin) < wait.Scaled(patience) { // the switches may go by what they have cached, but not for long
		got, _ = ask(wrong)
		wrong = disagree(wrong, want, got)
	}
	t.Logf("%-44s %4d ms: %d nodes, %d probes, %d answered, %d of them when asked again; %d too early", what, time.Since(begin).Milliseconds(),
		len(net.Nodes), len(probes), reached, late, early)
	if len(wrong) == 0 {
		return
	}
	for k, p := range wrong {
		if k == maxShown {
			break
		}
		t.Errorf("%s: %v: %s answers, and by the oracle %s", what, p, nameOf(got[p]), nameOf(want[p]))
	}
	m.showCached(t, net, wrong[0])
	t.Fatalf("%s: %d of %d probes are not answered as the oracle says", what, len(wrong), len(probes))
}

// disagree gives the probes whose answers are not as they should be.
func disagree(probes []reach.Probe, want, got reach.Answers) []reach.Probe {
	var wrong []reach.Probe
	for _, p := range probes {
		if same := want[p] == got[p] || p.Proto == reach.Ping && (want[p] != "") == (got[p] != ""); !same {
			wrong = append(wrong, p)
		}
	}
	return wrong
}

// maxShown is how many disagreements are shown.
const maxShown = 20

func nameOf(who string) string {
	if who == "" {
		return "nobody"
	}
	return who
}

// showCached logs what the hosts' datapaths have decided about packets of a probe.
func (m *matrix) showCached(t *testing.T, net *reach.Net, p reach.Probe) {
	macs := []string{net.Node(p.From).MAC.String()}
	for _, n := range net.Nodes {
		for _, a := range n.Addresses {
			if a.Addr() == p.To {
				macs = append(macs, n.MAC.String())
			}
		}
	}
	for _, h := range m.lab.Spec().Hosts {
		shown := 0
		for line := range strings.Lines(m.appctl(t, h.Name, "dpctl/dump-flows", "-m")) {
			for _, mac := range macs {
				if strings.Contains(line, mac) && shown < maxShown {
					shown++
					t.Logf("%s: %s", h.Name, strings.TrimSpace(line))
					break
				}
			}
		}
	}
}

// predict asks the oracle.
func (m *matrix) predict(t *testing.T, net *reach.Net, probes []reach.Probe) reach.Answers {
	t.Helper()
	want, err := net.Predict(m.world(t, net), probes)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func (m *matrix) probes(net *reach.Net, c class) []reach.Probe {
	probes := net.Pairs(firstPort)
	if c.also != nil {
		for _, a := range c.also() {
			probes = append(probes, a.probes(net)...)
		}
	}
	return probes
}

// gather fails the test unless the class's nodes reach each other by the oracle: the measured matrix is the same.
func (m *matrix) gather(t *testing.T, c class) {
	t.Helper()
	net := m.net()
	probes := m.probes(net, c)
	want := m.predict(t, net, probes)
	asked := map[[2]string]bool{}
	for _, p := range probes {
		if want[p] != "" {
			asked[[2]string{p.From, want[p]}] = true
		}
	}
	for _, group := range c.together {
		for _, from := range strings.Fields(group) {
			for _, to := range strings.Fields(group) {
				if from != to && !asked[[2]string{from, to}] {
					t.Errorf("%s does not reach %s at all", from, to)
				}
			}
		}
	}
}

func (a also) probes(net *reach.Net) []reach.Probe {
	if strings.Contains(a.to, "]:") || strings.Count(a.to, ":") == 1 {
		to := netip.MustParseAddrPort(a.to)
		return net.Probes(a.from, to.Addr(), to.Port())
	}
	return net.Probes(a.from, netip.MustParseAddr(a.to), firstPort)
}
