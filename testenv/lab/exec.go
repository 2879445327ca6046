package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"

	"github.com/openvnet/openvnet/testenv/netns"
)

// Env is what programs run at a node have in their environment beside this program's own: on a host, ovs-vsctl and its
// kind find the host's Open vSwitch, and vnctl the agent's socket and the manager.
func (l *Lab) Env(node string) []string {
	env := append(l.mark(), "VNLAB="+l.Name(), "VNLAB_NODE="+node)
	if l.st.Spec.host(node) == nil {
		return env
	}
	if sw, err := l.instance(node, nil); err == nil {
		env = append(env, sw.Env()...)
	}
	return append(env, "VNA_SOCKET="+l.agentSocket(node),
		"VNET_WEBAPI="+netip.AddrPortFrom(l.managerAddr(), managerPort).String())
}

// Exec runs a program at a node (host, guest, router, machine, or underlay, where its Linux bridge is) and gives its
// standard output; the error carries its standard error and is an *exec.ExitError for an exit code other than 0.
func (l *Lab) Exec(ctx context.Context, node string, argv ...string) (string, error) {
	ns, err := l.open(node)
	if err != nil {
		return "", l.noNode(node, err)
	}
	defer ns.Close()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), l.Env(node)...)
	out, err := ns.Output(cmd)
	return string(out), err
}

// StartAt starts a command at a node, to be waited for by the caller; Env is added to what the command has (this
// program's environment if nothing).
func (l *Lab) StartAt(node string, cmd *exec.Cmd) error {
	ns, err := l.open(node)
	if err != nil {
		return l.noNode(node, err)
	}
	defer ns.Close()
	cmd.Env = append(cmd.Environ(), l.Env(node)...)
	return ns.Start(cmd)
}

// Become replaces this program by another one at a node. It returns only on error.
func (l *Lab) Become(node string, argv []string) error {
	ns, err := l.open(node)
	if err != nil {
		return l.noNode(node, err)
	}
	return ns.Exec(argv, append(os.Environ(), l.Env(node)...))
}

// Do runs fn with the calling thread in the node's network namespace (see netns.NS.Do): for sockets of a test.
func (l *Lab) Do(node string, fn func() error) error {
	ns, err := l.open(node)
	if err != nil {
		return l.noNode(node, err)
	}
	defer ns.Close()
	return ns.Do(fn)
}

func (l *Lab) noNode(node string, err error) error {
	return fmt.Errorf("lab %s has no node %q: %w", l.Name(), node, err)
}

// addresses gives the addresses that a node's interface has now, without link-local ones.
func addresses(ns *netns.NS, link string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	err := ns.Do(func() error {
		nic, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		addrs, err := nic.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, p)
			}
		}
		return nil
	})
	return out, err
}
