package dhcp6

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/openvnet/openvnet/model"
)

// Infinite is the lifetime that never ends (RFC 8415, 7.7).
const Infinite = math.MaxUint32 * time.Second

const (
	defaultLease = 24 * time.Hour
	minRefresh   = 600 * time.Second // IRT_MINIMUM (RFC 8415, 7.6)
	minMTU       = 1280              // of every link with IPv6 (RFC 8200, section 5)
	overhead     = 48                // bytes of the headers of IPv6 and UDP
)

// Config is everything that the server says to one client on one network.
type Config struct {
	Client    model.MAC    // required: the client's MAC address
	Prefix    netip.Prefix // required: the IPv6 subnet of the network, which is what is on the link
	Addresses []netip.Addr // optional: the leased IPv6 addresses; without one the client gets options only
	ServerMAC model.MAC    // required: of the simulated interface, whose link-local address answers

	DNS    []netip.Addr // optional: option 23
	Search []string     // optional: option 24
	MTU    uint16       // optional: of the network; answers fit into it, and into 1280 when it is below that

	// Lease is the valid lifetime, in whole seconds. Preferred, Renew (T1) and Rebind (T2) are 5/8 of the lease, and 1/2 and 4/5 of
	// that when 0, and infinite with an infinite lease.
	Lease     time.Duration // optional: default one day; Infinite
	Preferred time.Duration // optional
	Renew     time.Duration // optional
	Rebind    time.Duration // optional

	Options []Option // optional: given by hand, instead of those above or besides, and none of the protocol's own; one without data takes away
}

// Binding is a client's configuration, checked and encoded. It is immutable and safe for concurrent use.
type Binding struct {
	client    model.MAC
	prefix    netip.Prefix
	addresses []netip.Addr
	server    netip.Addr // link-local
	serverMAC model.MAC
	duid      []byte
	limit     int // bytes of a message

	preferred, valid, renew, rebind uint32 // seconds

	options []Option // by falling importance
}

// NewBinding checks and encodes a configuration. The error names every bad field and why it is bad. c and what it
// refers to may be changed afterwards.
func NewBinding(c Config) (*Binding, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("dhcpv6 binding of %s: %w", c.Client, err)
	}
	lease, preferred, renew, rebind := c.times()
	b := &Binding{
		client:    c.Client,
		prefix:    c.Prefix.Masked(),
		addresses: slices.Clone(c.Addresses),
		server:    c.ServerMAC.LinkLocal(),
		serverMAC: c.ServerMAC,
		duid:      DUID(c.ServerMAC),
		limit:     max(minMTU, int(c.MTU)) - overhead,
		preferred: seconds(preferred), valid: seconds(lease), renew: seconds(renew), rebind: seconds(rebind),
	}
	if len(c.DNS) > 0 {
		var data []byte
		for _, a := range c.DNS {
			data = append(data, a.AsSlice()...)
		}
		b.options = append(b.options, Option{optDNS, data})
	}
	if len(c.Search) > 0 {
		l := rfc1035label.NewLabels()
		for _, n := range c.Search {
			l.Labels = append(l.Labels, strings.TrimSuffix(n, "."))
		}
		b.options = append(b.options, Option{optSearch, l.ToBytes()})
	}
	for _, o := range c.Options {
		b.options = slices.DeleteFunc(b.options, func(p Option) bool { return p.Code == o.Code })
		if len(o.Data) > 0 {
			b.options = append(b.options, Option{o.Code, slices.Clone(o.Data)})
		}
	}
	return b, nil
}

// Times gives for how long the client has its addresses, and after what time it renews them (T1).
func (b *Binding) Times() (lease, renew time.Duration) {
	return time.Duration(b.valid) * time.Second, time.Duration(b.renew) * time.Second
}

// DUID gives the identifier of a server by its MAC address, which stays what it is (DUID-LL, RFC 8415, 11.4).
func DUID(m model.MAC) []byte { return append([]byte{0, 3, 0, 1}, m[:]...) }

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

func (c *Config) times() (lease, preferred, renew, rebind time.Duration) {
	lease, preferred, renew, rebind = c.Lease, c.Preferred, c.Renew, c.Rebind
	or := func(d *time.Duration, other time.Duration) {
		if *d == 0 {
			*d = other.Truncate(time.Second)
		}
		if lease == Infinite {
			*d = Infinite
		}
	}
	or(&lease, defaultLease)
	or(&preferred, lease/8*5)
	or(&renew, preferred/2)
	or(&rebind, preferred/5*4)
	return lease, preferred, renew, rebind
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
	check(c.Prefix.IsValid() && c.Prefix.Addr().Is6(), "prefix: not of IPv6: %s", c.Prefix)
	check(len(c.Addresses) <= maxAddresses, "addresses: %d, at most %d fit", len(c.Addresses), maxAddresses)
	for _, a := range c.Addresses {
		check(host(a) && c.Prefix.Contains(a), "addresses: not an IPv6 address of a station in %s: %s", c.Prefix, a)
	}
	check(len(c.DNS) <= maxAddresses, "dns: %d addresses, at most %d fit", len(c.DNS), maxAddresses)
	for _, a := range c.DNS {
		check(host(a), "dns: not an IPv6 address of a station: %s", a)
	}
	for _, n := range c.Search {
		check(validName(n), "search: not a domain name: %q", n)
	}
	for _, d := range []time.Duration{c.Lease, c.Preferred, c.Renew, c.Rebind} {
		check(d >= 0 && d <= Infinite && d%time.Second == 0, "lease: times must be whole seconds up to 2^32-1: %s", d)
	}
	if lease, preferred, renew, rebind := c.times(); lease == Infinite {
		check(c.Preferred == 0 && c.Renew == 0 && c.Rebind == 0, "lease: an infinite lease is never renewed")
	} else {
		check(renew > 0 && renew <= rebind && rebind <= preferred && preferred <= lease,
			"lease: T1 %s, T2 %s, preferred lifetime %s and lease %s must be in this order", renew, rebind, preferred, lease)
	}
	seen := map[uint16]bool{}
	for _, o := range c.Options {
		check(!protocolOption(o.Code), "options: option %d is the protocol's own", o.Code)
		check(len(o.Data) <= math.MaxUint16, "options: option %d is %d bytes long", o.Code, len(o.Data))
		check(!seen[o.Code], "options: option %d is there twice", o.Code)
		seen[o.Code] = true
	}
	return errors.Join(errs...)
}

// host reports whether an address can be a station's.
func host(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
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

// refreshAfter is how long a client may go by options that came without a lease.
func (b *Binding) refreshAfter() []byte {
	return binary.BigEndian.AppendUint32(nil, max(b.valid, seconds(minRefresh)))
}
