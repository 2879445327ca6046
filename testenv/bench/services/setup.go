package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

const host = "node1"

// spec is a host with all guests, which have their addresses already: whoever asks does not depend on what is answered.
func spec(guests int) lab.Spec {
	s := lab.Spec{Name: "bench-services", Hosts: []lab.Host{{Name: host}}}
	for n := range guests {
		s.Guests = append(s.Guests, lab.Guest{Name: guestName(n), Host: host, Port: fmt.Sprintf("bs%d", n), MAC: guestMAC(n), IP: lab.IP{Addresses: addresses(n)}})
	}
	return s
}

func addresses(guest int) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(guest4(guest), subnet4.Bits()), netip.PrefixFrom(guest6(guest), subnet6.Bits())}
}

// setup is the lab: guests of a network whose services vna answers.
type setup struct {
	lab   *lab.Lab
	api   *client.Client
	ended func() // ends the server of the names that the agent does not know
}

// start returns when the network with its services is in the host's switch.
func (s *setup) start(ctx context.Context, guests int) (err error) {
	for n := range guests {
		ns, err := s.space(guestName(n))
		if err != nil {
			return err
		}
		err = errors.Join(ns.Sysctl(quiet(guestNIC)...), ns.Link(func(h *netlink.Handle) error {
			nic, err := h.LinkByName(guestNIC)
			if err != nil {
				return err
			}
			return errors.Join(routeMetadata(h, nic), settled(ctx, h, nic))
		}), ns.Close())
		if err != nil {
			return err
		}
	}
	ns, err := s.space(host)
	if err != nil {
		return err
	}
	s.ended, err = serveUpstream(ctx, ns)
	if err := errors.Join(err, ns.Close()); err != nil {
		return err
	}
	if err := s.lab.Start(ctx, string(lab.Manager), lab.Manager); err != nil {
		return err
	}
	if err := s.lab.StartAgent(host, unlimited()...); err != nil {
		return err
	}
	if s.api, err = client.New(client.Options{Server: s.lab.API(), Timeout: time.Minute}); err != nil {
		return err
	}
	joined, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the host has not joined within 30 s"))
	defer cancel()
	err = wait.Until(joined, 20*time.Millisecond, func() error {
		page, err := s.api.Page(joined, model.Datapaths.Plural, nil, 0, 1)
		if err == nil && page.TotalCount == 0 {
			err = errors.New("there is no host")
		}
		return err
	})
	if err != nil {
		return err
	}
	done, err := s.api.With(client.Write{Wait: 30 * time.Second}).Apply(ctx, documents(guests))
	if err != nil {
		return fmt.Errorf("configure the network: %w", err)
	}
	if !done.Applied {
		return fmt.Errorf("the network is not applied: %s", done.Body)
	}
	return nil
}

// space opens the network namespace of a node.
func (s *setup) space(node string) (*netns.NS, error) {
	return netns.Open("vl" + s.lab.Tag() + "-" + node)
}

// settled waits until an interface has found that nobody else has its addresses: until then it cannot ask from its link-local one.
func settled(ctx context.Context, h *netlink.Handle, nic netlink.Link) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not within 10 s"))
	defer cancel()
	return wait.Until(ctx, 20*time.Millisecond, func() error {
		all, err := h.AddrList(nic, netlink.FAMILY_V6)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.Flags&unix.IFA_F_TENTATIVE != 0 {
				return fmt.Errorf("%s is tentative", a.IPNet)
			}
		}
		return nil
	})
}

// unlimited gives the flags by which the agent answers more than anybody asks, so that the service is measured and not the limits of ports.
func unlimited() []string {
	var flags []string
	for _, name := range pipeline.LimitNames() {
		flags = append(flags, "--limit", name+"=1000000")
	}
	return flags
}

// limit starts the agent anew with the limits that it has by itself, and waits until the switch has them.
func (s *setup) limit(ctx context.Context) error {
	if err := s.lab.Stop(ctx, host, lab.Agent); err != nil {
		return err
	}
	if err := s.lab.StartAgent(host); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("the switch does not have the agent's own limits within 10 s"))
	defer cancel()
	return wait.Until(ctx, 50*time.Millisecond, func() error {
		out, err := s.lab.Exec(ctx, host, "ovs-ofctl", "-O", "OpenFlow15", "dump-meters", "br0")
		if err == nil && strings.Contains(out, "rate=1000000 ") {
			err = errors.New("there are meters with other limits")
		}
		return err
	})
}

// documents gives the network, its services and its guests.
func documents(guests int) client.Documents {
	const network, server = "nw-bs", "if-bsserver"
	docs := client.Documents{}
	add := func(r *model.Resource, p client.Params) { docs[r.Plural] = append(docs[r.Plural], p) }
	add(model.Networks, client.Params{
		"uuid": network, "ipv4_network": subnet4.Addr(), "ipv4_prefix": subnet4.Bits(), "ipv6_network": subnet6.Addr(), "ipv6_prefix": subnet6.Bits(), "domain_name": domain,
	})
	add(model.Interfaces, client.Params{
		"uuid": server, "mode": model.InterfaceSimulated, "network_uuid": network, "mac_address": serverMAC, "ipv4_address": server4, "ipv6_address": server6,
	})
	add(model.NetworkServices, client.Params{"uuid": "ns-bsdhcp", "mode": model.ServiceDHCP, "interface_uuid": server})
	add(model.NetworkServices, client.Params{"uuid": "ns-bsdns", "mode": model.ServiceDNS, "interface_uuid": server})
	add(model.NetworkServices, client.Params{"uuid": "ns-bsmetadata", "mode": model.ServiceMetadata, "interface_uuid": server})
	add(model.DNSServices, client.Params{"uuid": "dnss-bs", "network_service_uuid": "ns-bsdns", "public_dns": upstream})
	for n := range guests {
		add(model.Interfaces, client.Params{
			"uuid": "if-bs" + guestName(n), "mode": model.InterfaceVIF, "port_name": fmt.Sprintf("bs%d", n), "mac_address": guestMAC(n), "network_uuid": network,
			"hostname": guestName(n), "ipv4_address": guest4(n), "ipv6_address": guest6(n),
		})
	}
	return docs
}

// close ends what does not end with the lab.
func (s *setup) close() {
	if s.ended != nil {
		s.ended()
	}
}

func (s *setup) do(guest int, fn func() error) error { return s.lab.Do(guestName(guest), fn) }

func (s *setup) cpu() (map[string]time.Duration, error) {
	used := map[string]time.Duration{}
	for name, c := range map[string]lab.Component{"agent": lab.Agent, "switch": lab.Switch} {
		r, err := s.lab.Record(host, c)
		if err != nil {
			return nil, err
		}
		if used[name], err = proc.CPUTime(r.PID); err != nil {
			return nil, err
		}
	}
	return used, nil
}
