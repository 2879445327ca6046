package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
)

const (
	agentName = "vna"

	// managerPort is where the manager answers agents, on the management network.
	managerPort = 9090
)

// Component is a process of a lab, or two in the case of OpenVSwitch.
type Component string

// The components.
const (
	Manager     Component = managerName // one for the lab; its node has the same name
	Agent       Component = agentName   // of a host
	OpenVSwitch Component = "ovs"       // of a host: database and switch
	Database    Component = "ovsdb"
	Switch      Component = "vswitchd"
	DHCPClient  Component = "dhcp" // of a guest or machine with DHCP
)

// Components gives what a node consists of, OpenVSwitch as its two processes; none for a node that has no process.
func (l *Lab) Components(node string) []Component {
	if node == managerName {
		return []Component{Manager}
	}
	if l.st.Spec.host(node) != nil {
		return []Component{Database, Switch, Agent}
	}
	if ip := l.st.Spec.ip(node); ip != nil && ip.DHCP {
		return []Component{DHCPClient}
	}
	return nil
}

func (s *Spec) ip(node string) *IP {
	if g := s.guest(node); g != nil {
		return &g.IP
	}
	if m := byName(s.Machines, node, func(m *Machine) string { return m.Name }); m != nil {
		return &m.IP
	}
	return nil
}

// Start starts a component that does not run. After a start of the switch the host is provisioned again, as systemd
// does on a real one.
func (l *Lab) Start(ctx context.Context, node string, c Component) error {
	if err := l.has(node, c); err != nil {
		return err
	}
	if c == Manager {
		return l.startManager()
	}
	ns, err := l.open(node)
	if err != nil {
		return err
	}
	defer ns.Close()
	switch c {
	case Agent:
		return l.startAgent(l.st.Spec.host(node), ns)
	case DHCPClient:
		if r, err := l.Record(node, c); err == nil && r.Alive() {
			return nil
		}
		return l.startDHCP(node, l.st.Spec.ip(node).DHCPClient, ns)
	}
	sw, err := l.instance(node, ns)
	if err != nil {
		return err
	}
	switch c {
	case Database:
		return sw.StartDaemon(ctx, ovs.Database)
	case Switch:
		if err := sw.StartDaemon(ctx, ovs.Switch); err != nil {
			return err
		}
		return l.provision(ctx, l.st.Spec.host(node), ns)
	default:
		return l.startSwitch(ctx, l.st.Spec.host(node), ns)
	}
}

// StartAgent is Start of a host's agent with further flags, for this once.
func (l *Lab) StartAgent(host string, flags ...string) error {
	if err := l.has(host, Agent); err != nil {
		return err
	}
	ns, err := l.open(host)
	if err != nil {
		return err
	}
	defer ns.Close()
	return l.startAgent(l.st.Spec.host(host), ns, flags...)
}

// Stop sends SIGTERM to a component and waits until it has ended; one that does not run is no error, one that ignores
// the signal until ctx ends is.
func (l *Lab) Stop(ctx context.Context, node string, c Component) error {
	return l.end(node, c, func(r proc.Record) error { return r.Stop(ctx) })
}

// Kill is Stop with SIGKILL.
func (l *Lab) Kill(ctx context.Context, node string, c Component) error {
	return l.end(node, c, func(r proc.Record) error { return r.Kill(ctx) })
}

func (l *Lab) end(node string, c Component, end func(proc.Record) error) error {
	if err := l.has(node, c); err != nil {
		return err
	}
	parts := []Component{c}
	if c == OpenVSwitch {
		parts = []Component{Switch, Database}
	}
	for _, p := range parts {
		r, err := l.Record(node, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := end(r); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) has(node string, c Component) error {
	have := l.Components(node)
	if slices.Contains(have, c) || c == OpenVSwitch && slices.Contains(have, Switch) {
		return nil
	}
	if len(have) == 0 {
		return fmt.Errorf("lab %s has no process of a node named %q", l.Name(), node)
	}
	return fmt.Errorf("%s has no %s, but %v", node, c, have)
}

// Record is the process record of a component, by which its pid is known; fs.ErrNotExist when it has never run.
// OpenVSwitch has none of its own.
func (l *Lab) Record(node string, c Component) (proc.Record, error) {
	return proc.Load(strings.TrimSuffix(l.Log(node, c), ".log") + ".json")
}

// Log is the log file of a component; that of OpenVSwitch is the switch's.
func (l *Lab) Log(node string, c Component) string {
	switch c {
	case OpenVSwitch:
		c = Switch
		fallthrough
	case Database, Switch:
		return l.path(node, "ovs", string(c)+".log")
	}
	return l.path(node, string(c)+".log")
}

// startManager starts the manager in the namespace of this program. It listens on the lab's API address and, for the
// agents, on the management network.
func (l *Lab) startManager() error {
	data := l.path(managerName, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	args := []string{"--data", data, "--api", l.st.API}
	if !wildcard(l.st.API) {
		args = append(args, "--api", netip.AddrPortFrom(l.managerAddr(), managerPort).String())
	}
	return l.startOurs(managerName, managerName, nil, nil, append(args, "--insecure", "--log-level", "info"))
}

// wildcard reports whether an address covers all of the machine's, and the management port with it.
func wildcard(api string) bool {
	host, port, err := net.SplitHostPort(api)
	if err != nil || port != fmt.Sprint(managerPort) {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func (l *Lab) startAgent(h *Host, ns *netns.NS, flags ...string) error {
	sw, err := l.instance(h.Name, nil)
	if err != nil {
		return err
	}
	stateDir := l.path(h.Name, "vna")
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	args := []string{"--manager", l.ManagerURL(), "--node-id", h.Name, "--bridge", bridgeName}
	if u := h.uplink(); u != nil {
		args = append(args, "--uplink", u.Name)
	}
	args = append(args, "--ovsdb", sw.DB(), "--state-dir", stateDir, "--bpffs", l.path(bpffsDir, h.Name),
		"--socket", l.agentSocket(h.Name), "--insecure", "--log-level", "info")
	return l.startOurs(h.Name, agentName, ns, sw.Env(), append(args, flags...))
}

func (l *Lab) agentSocket(host string) string { return l.path(host, "vna.sock") }

// startOurs starts a program of the product unless it runs.
func (l *Lab) startOurs(node, program string, ns *netns.NS, env, args []string) error {
	if r, err := l.Record(node, Component(program)); err == nil && r.Alive() {
		return nil
	}
	bin, err := l.binary(program)
	if err != nil {
		return err
	}
	_, err = proc.Start(proc.Spec{
		Args: append([]string{bin}, args...), Env: append(l.mark(), env...), NS: ns,
		Log: l.path(node, program+".log"), Record: l.path(node, program+".json"),
	})
	return err
}

// binary finds a program of the product.
func (l *Lab) binary(program string) (string, error) {
	if l.st.Bin != "" {
		return executable(filepath.Join(l.st.Bin, program))
	}
	if self, err := os.Executable(); err == nil {
		if path, err := executable(filepath.Join(filepath.Dir(self), program)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("the program %s is neither beside this one nor in $PATH: build it, or start no agents", program)
	}
	return filepath.Abs(path)
}

func executable(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("find program: %w", err)
	}
	if st.IsDir() || st.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s is not a program", path)
	}
	return path, nil
}
