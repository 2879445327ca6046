package dhcp

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/openvnet/openvnet/model"
)

// Infinite is the lease time that never ends (RFC 2131, 3.3).
const Infinite = math.MaxUint32 * time.Second

// MinMTU is the smallest MTU that can be told (RFC 2132, 5.1).
const MinMTU = 68

// DefaultLease is the lease time if none is given.
const DefaultLease = 24 * time.Hour

const defaultMTU = 1500

// Config is everything that the server says to one client on one network.
type Config struct {
	Client    model.MAC    // required: the client's hardware address
	Address   netip.Prefix // required: the leased IPv4 address, with the prefix length of its network
	Server    netip.Addr   // required: the server identifier, which is the address of the simulated interface
	ServerMAC model.MAC    // required: of the simulated interface

	Routers []netip.Addr // optional: option 3; the first is also the default route among Routes
	Routes  []Route      // optional: option 121; must not repeat a destination
	DNS     []netip.Addr // optional: option 6
	Host    string       // optional: option 12, one label
	Domain  string       // optional: option 15
	Search  []string     // optional: option 119
	MTU     uint16       // optional: option 26, at least 68; replies fit into it or into 576, and into 1500 when it is 0

	// Times of the lease, in whole seconds: options 51, 58, 59. Renew and Rebind are 1/2 and 7/8 of the lease when 0,
	// and not sent with an infinite one.
	Lease  time.Duration // optional: default one day; Infinite
	Renew  time.Duration // optional: T1
	Rebind time.Duration // optional: T2

	NextServer netip.Addr // optional: siaddr, the server of the boot file; default the address that TFTPServer is, or Server
	TFTPServer string     // optional: option 66 and the field sname, its name, at most 63 bytes
	BootFile   string     // optional: the field file and option 67, at most 127 bytes

	// Options count instead of those that follow from the fields above, in these fields too, or are further ones; one without Data takes away. None may be
	// the protocol's own.
	Options []Option // optional
}

// Route is one route of option 121.
type Route struct {
	Destination netip.Prefix // required
	Via         netip.Addr   // optional: the router; none says that the destination is on the link
}

// Binding is a client's configuration, checked and encoded. It is immutable and safe for concurrent use.
type Binding struct {
	client     model.MAC
	address    netip.Addr
	prefix     netip.Prefix // of the network
	broadcast  netip.Addr
	server     netip.Addr
	serverMAC  model.MAC
	nextServer netip.Addr
	serverName string
	bootFile   string
	maxSize    int      // bytes of an IP datagram that the network takes
	times      []Option // lease, T1, T2
	options    []Option // the mask, then by falling importance
	routes     []int    // where each route of option 121 begins, if it may be cut there
}

// NewBinding checks and encodes a configuration. The error names every bad field and why it is bad. c and what it
// refers to may be changed afterwards.
func NewBinding(c Config) (*Binding, error) {
	given, err := c.given()
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("dhcp binding of %s: %w", c.Client, err)
	}
	b := &Binding{
		client:     c.Client,
		address:    c.Address.Addr(),
		prefix:     c.Address.Masked(),
		broadcast:  broadcast(c.Address),
		server:     c.Server,
		serverMAC:  c.ServerMAC,
		nextServer: c.nextServer(),
		serverName: c.TFTPServer,
		bootFile:   c.BootFile,
		maxSize:    defaultMTU,
	}
	if c.MTU != 0 {
		b.maxSize = max(int(c.MTU), minMaxSize)
	}

	lease, renew, rebind := c.times()
	b.times = append(b.times, Option{optLease, dhcpv4.Duration(lease).ToBytes()})
	if lease != Infinite {
		b.times = append(b.times, Option{optRenew, dhcpv4.Duration(renew).ToBytes()},
			Option{optRebind, dhcpv4.Duration(rebind).ToBytes()})
	}

	add := func(code uint8, present bool, v dhcpv4.OptionValue) {
		if _, replaced := given[code]; present && !replaced {
			b.options = append(b.options, Option{code, v.ToBytes()})
		}
	}
	add(optMask, true, dhcpv4.IPMask(net.CIDRMask(c.Address.Bits(), 32)))
	add(optRouter, len(c.Routers) > 0, ips(c.Routers))
	if len(c.Routes) > 0 && given[optRoutes] == nil {
		var data []byte
		data, b.routes = c.routes()
		b.options = append(b.options, Option{optRoutes, data})
	}
	add(optDNS, len(c.DNS) > 0, ips(c.DNS))
	add(optMTU, c.MTU != 0, dhcpv4.Uint16(c.MTU))
	add(optBroadcast, b.broadcast.IsValid(), dhcpv4.IP(b.broadcast.AsSlice()))
	add(optDomain, c.Domain != "", dhcpv4.String(strings.TrimSuffix(c.Domain, ".")))
	add(optSearch, len(c.Search) > 0, searchList(c.Search))
	add(optHost, c.Host != "", dhcpv4.String(c.Host))
	add(optTFTP, c.TFTPServer != "", dhcpv4.String(c.TFTPServer))
	add(optBootFile, c.BootFile != "", dhcpv4.String(c.BootFile))
	for _, o := range c.Options {
		if len(o.Data) > 0 && !slices.ContainsFunc(b.options, func(have Option) bool { return have.Code == o.Code }) {
			b.options = append(b.options, Option{o.Code, slices.Clone(o.Data)})
		}
	}
	return b, nil
}

// given gives the options that count instead of what follows from the fields, and brings those that fields stand for into the fields.
func (c *Config) given() (map[uint8][]byte, error) {
	given := map[uint8][]byte{}
	for _, o := range c.Options {
		if _, twice := given[o.Code]; twice {
			return nil, fmt.Errorf("options: option %d is there twice", o.Code)
		}
		if given[o.Code] = o.Data; o.Data == nil {
			given[o.Code] = []byte{}
		}
		switch o.Code {
		case optRouter, optTFTPList:
			if len(o.Data)%4 != 0 {
				return nil, fmt.Errorf("options: option %d is no list of addresses", o.Code)
			}
			var addrs []netip.Addr
			for b := o.Data; len(b) > 0; b = b[4:] {
				addrs = append(addrs, netip.AddrFrom4([4]byte(b)))
			}
			if o.Code == optRouter {
				c.Routers = addrs
				delete(given, o.Code)
			} else if len(addrs) > 0 && !c.NextServer.IsValid() {
				c.NextServer = addrs[0]
			}
		case optTFTP:
			c.TFTPServer = string(o.Data)
			delete(given, o.Code)
		case optBootFile:
			c.BootFile = string(o.Data)
			delete(given, o.Code)
		}
	}
	return given, nil
}

// nextServer gives what is told as siaddr.
func (c *Config) nextServer() netip.Addr {
	if c.NextServer.IsValid() {
		return c.NextServer
	}
	if a, err := netip.ParseAddr(c.TFTPServer); err == nil && host(a) {
		return a
	}
	return c.Server
}

// Size is the length of an IP datagram, in bytes, that carries the whole configuration. A client that announces no
// larger size takes 576 (RFC 2132, 9.10), and one answer never exceeds the network's MTU: what does not fit is left out,
// the least important first.
func (b *Binding) Size() int {
	n := ipOverhead + headerLen + optionLen(1) + optionLen(4) + 1
	for _, o := range b.times {
		n += optionLen(len(o.Data))
	}
	for _, o := range b.options {
		n += optionLen(len(o.Data))
	}
	return n
}

func (c *Config) times() (lease, renew, rebind time.Duration) {
	lease, renew, rebind = c.Lease, c.Renew, c.Rebind
	if lease == 0 {
		lease = DefaultLease
	}
	if renew == 0 {
		renew = (lease / 2).Truncate(time.Second)
	}
	if rebind == 0 {
		rebind = max(renew, (lease / 8 * 7).Truncate(time.Second))
	}
	return lease, renew, rebind
}

// routes is option 121, with the default route in it: a client that takes routes ignores the routers (RFC 3442). The routes come by falling importance, as not
// all may fit: the default route, what is on the link, then what the default route does not lead to as well. at says where each begins.
func (c *Config) routes() (data []byte, at []int) {
	all := slices.Clone(c.Routes)
	if len(c.Routers) > 0 && !slices.ContainsFunc(all, func(r Route) bool { return r.Destination.Bits() == 0 }) {
		all = append(all, Route{netip.PrefixFrom(netip.IPv4Unspecified(), 0), c.Routers[0]})
	}
	var standard netip.Addr
	for _, r := range all {
		if r.Destination.Bits() == 0 {
			standard = r.Via
		}
	}
	rank := func(r Route) int {
		switch {
		case r.Destination.Bits() == 0:
			return 0
		case !r.Via.IsValid():
			return 1
		case r.Via != standard:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(all, func(a, b Route) int { return cmp.Compare(rank(a), rank(b)) })
	for _, r := range all {
		via := r.Via
		if !via.IsValid() {
			via = netip.IPv4Unspecified()
		}
		dst := r.Destination.Masked()
		at = append(at, len(data))
		data = append(data, dhcpv4.Routes{{
			Dest:   &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), 32)},
			Router: via.AsSlice(),
		}}.ToBytes()...)
	}
	return data, at
}

func ips(addrs []netip.Addr) dhcpv4.IPs {
	var out dhcpv4.IPs
	for _, a := range addrs {
		out = append(out, a.AsSlice())
	}
	return out
}

func searchList(names []string) *rfc1035label.Labels {
	l := rfc1035label.NewLabels()
	for _, n := range names {
		l.Labels = append(l.Labels, strings.TrimSuffix(n, "."))
	}
	return l
}

// broadcast is the directed broadcast address of the network of p, and the zero Addr where there is none (RFC 3021).
func broadcast(p netip.Prefix) netip.Addr {
	if p.Bits() > 30 {
		return netip.Addr{}
	}
	a := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}

func (c *Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Client != model.MAC{} && !c.Client.IsMulticast(), "client: not the MAC address of a station: %q", c.Client)
	check(c.ServerMAC != model.MAC{} && !c.ServerMAC.IsMulticast(), "server mac: not the MAC address of a station: %q", c.ServerMAC)
	check(host(c.Server), "server: not an IPv4 address of a station: %s", c.Server)
	switch p := c.Address; {
	case !p.IsValid() || p.Bits() == 0 || !host(p.Addr()):
		check(false, "address: not an IPv4 address of a station with its prefix length: %s", p)
	case p.Addr() == broadcast(p) || p.Bits() <= 30 && p.Addr() == p.Masked().Addr():
		check(false, "address: %s is not a station's address in its network", p)
	case p.Addr() == c.Server:
		check(false, "address: %s is the server's", p)
	}

	checkAddrs := func(field string, addrs []netip.Addr) {
		check(len(addrs) <= maxOption/4, "%s: %d addresses, at most %d fit", field, len(addrs), maxOption/4)
		for _, a := range addrs {
			check(host(a), "%s: not an IPv4 address of a station: %s", field, a)
		}
	}
	checkAddrs("routers", c.Routers)
	checkAddrs("dns", c.DNS)
	check(!c.NextServer.IsValid() || host(c.NextServer), "next server: not an IPv4 address of a station: %s", c.NextServer)

	seen := map[netip.Prefix]bool{}
	for _, r := range c.Routes {
		d := r.Destination
		check(d.IsValid() && d.Addr().Is4(), "routes: not an IPv4 prefix: %s", d)
		check(!r.Via.IsValid() || host(r.Via), "routes: %s via %s: not an IPv4 address of a station", d, r.Via)
		check(!seen[d.Masked()], "routes: %s is there twice", d)
		seen[d.Masked()] = true
	}

	check(c.Domain == "" || validName(c.Domain), "domain: not a domain name: %q", c.Domain)
	for _, n := range c.Search {
		check(validName(n), "search: not a domain name: %q", n)
	}
	check(c.Host == "" || validName(c.Host) && !strings.Contains(c.Host, "."), "host: not a label of a domain name: %q", c.Host)
	check(c.MTU == 0 || c.MTU >= MinMTU, "mtu: %d is below %d", c.MTU, MinMTU)
	check(validText(c.TFTPServer, snameLen-1), "tftp server: must be at most %d printable characters: %q", snameLen-1, c.TFTPServer)
	check(validText(c.BootFile, fileLen-1), "boot file: must be at most %d printable characters: %q", fileLen-1, c.BootFile)

	for _, d := range []time.Duration{c.Lease, c.Renew, c.Rebind} {
		check(d >= 0 && d <= Infinite && d%time.Second == 0, "lease: times must be whole seconds up to 2^32-1: %s", d)
	}
	if lease, renew, rebind := c.times(); lease == Infinite {
		check(c.Renew == 0 && c.Rebind == 0, "lease: an infinite lease is never renewed")
	} else {
		check(renew > 0 && renew <= rebind && rebind <= lease, "lease: T1 %s, T2 %s and lease %s must be in this order", renew, rebind, lease)
	}

	for _, o := range c.Options {
		check(!protocolOption(o.Code), "options: option %d is the protocol's own", o.Code)
		check(len(o.Data) <= math.MaxUint16, "options: option %d is %d bytes long", o.Code, len(o.Data))
	}
	return errors.Join(errs...)
}

// host reports whether an address can be a station's.
func host(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != limitedBroadcast
}

// validName takes names of letters, digits, hyphens and underscores: the scripts of DHCP clients put them into files.
func validName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// validText takes printable ASCII.
func validText(s string, limit int) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= limit
}
