package ra

import (
	"bytes"
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

// Infinite is the lifetime that never ends.
const Infinite = math.MaxUint32 * time.Second

// Lifetimes of what is said. All are said again long before.
const (
	RouterLifetime = 3 * maxInterval // of the router, of routes and of DNS servers

	minPrefixLifetime = 3 * maxInterval
)

// Config is what a network says of itself.
type Config struct {
	Source  model.MAC // required: of the interface that advertises, from its link-local address
	Default bool      // optional: the interface is a router to everywhere
	Managed bool      // optional: addresses by DHCPv6
	Other   bool      // optional: other configuration by DHCPv6
	MTU     uint16    // optional: at least 1280

	Prefixes []Prefix       // optional
	Routes   []netip.Prefix // optional: through the interface; those that there is no room for are left out, the last first
	DNS      []netip.Addr   // optional
	Search   []string       // optional
}

// Prefix is a prefix whose addresses are on the link.
type Prefix struct {
	Prefix     netip.Prefix  // required
	Autonomous bool          // optional: guests may make addresses of it; it has 64 bits then
	Lifetime   time.Duration // required: whole seconds; at least half an hour, as it is said again; preferred are 5/8 of it
}

// maxAddresses bounds the DNS servers of an advertisement.
const maxAddresses = 8

// Advertisement is what a network says of itself, checked and encoded. It is immutable and safe for concurrent use.
type Advertisement struct {
	config Config
	gone   Config // what is not so any more
	body   []byte
}

// New checks and encodes what a network says of itself. The error names every bad field and why it is bad.
func New(c Config) (*Advertisement, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("router advertisement from %s: %w", c.Source, err)
	}
	c.Prefixes, c.Routes, c.DNS, c.Search = slices.Clone(c.Prefixes), slices.Clone(c.Routes), slices.Clone(c.DNS), slices.Clone(c.Search)
	return build(c, Config{}), nil
}

// Equal reports whether two advertisements say the same; either may be nil.
func (a *Advertisement) Equal(o *Advertisement) bool {
	if a == nil || o == nil {
		return a == o
	}
	return a.config.Source == o.config.Source && bytes.Equal(a.body, o.body)
}

// After gives the advertisement that takes the place of another one from the same source: it says also that is over what only the other said, or said to be over.
func (a *Advertisement) After(old *Advertisement) *Advertisement {
	var gone Config
	for _, p := range slices.Concat(old.config.Prefixes, old.gone.Prefixes) {
		if !slices.ContainsFunc(a.config.Prefixes, func(q Prefix) bool { return p.Prefix == q.Prefix && (q.Autonomous || !p.Autonomous) }) {
			gone.Prefixes = append(gone.Prefixes, p)
		}
	}
	gone.Routes = without(slices.Concat(old.config.Routes, old.gone.Routes), a.config.Routes)
	gone.DNS = without(slices.Concat(old.config.DNS, old.gone.DNS), a.config.DNS)
	gone.Search = without(slices.Concat(old.config.Search, old.gone.Search), a.config.Search)
	return build(a.config, gone)
}

// Final gives what is to be said when nothing is advertised any more: that all is over. (RFC 4861, section 6.2.5)
func (a *Advertisement) Final() *Advertisement {
	return build(Config{Source: a.config.Source}, Config{}).After(a)
}

func without[T comparable](list, others []T) []T {
	return slices.DeleteFunc(list, func(v T) bool { return slices.Contains(others, v) })
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// build encodes what is so and what is not so any more.
func build(c, gone Config) *Advertisement {
	var flags uint8
	if c.Managed {
		flags |= 0x80
	}
	if c.Other {
		flags |= 0x40
	}
	var router uint16
	if c.Default {
		router = uint16(seconds(RouterLifetime))
	}
	w := &writer{b: []byte{64, flags}}
	w.b = binary.BigEndian.AppendUint16(w.b, router)
	w.b = append(w.b, make([]byte, 8)...) // reachable time and retransmission timer: not said
	w.option(optSourceLink, c.Source[:])
	if c.MTU != 0 {
		w.option(optMTU, append([]byte{0, 0}, be32(uint32(c.MTU))...))
	}
	for _, p := range c.Prefixes {
		valid := max(p.Lifetime, minPrefixLifetime)
		preferred := valid / 8 * 5
		if valid == Infinite {
			preferred = valid
		}
		w.prefix(p, onLink, valid, preferred)
	}
	for _, p := range gone.Prefixes {
		flags := uint8(onLink)
		if slices.ContainsFunc(c.Prefixes, func(q Prefix) bool { return p.Prefix == q.Prefix }) {
			flags = 0 // it is on the link yet, but the addresses that guests have made of it are over
		}
		w.prefix(p, flags, 0, 0)
	}
	w.dns(c, RouterLifetime)
	w.dns(gone, 0)
	for _, r := range c.Routes {
		w.route(r, RouterLifetime)
	}
	for _, r := range gone.Routes {
		w.route(r, 0)
	}
	return &Advertisement{config: c, gone: gone, body: w.b}
}

const onLink = 0x80 // a flag of a prefix

func (w *writer) prefix(p Prefix, flags uint8, valid, preferred time.Duration) {
	if p.Autonomous {
		flags |= 0x40
	}
	data := append([]byte{uint8(p.Prefix.Bits()), flags}, be32(seconds(valid), seconds(preferred), 0)...) //nolint:gosec // up to 128
	w.option(optPrefix, append(data, p.Prefix.Addr().AsSlice()...))
}

func (w *writer) dns(c Config, lifetime time.Duration) {
	if len(c.DNS) > 0 {
		data := append([]byte{0, 0}, be32(seconds(lifetime))...)
		for _, a := range c.DNS {
			data = append(data, a.AsSlice()...)
		}
		w.option(optRDNSS, data)
	}
	if len(c.Search) > 0 {
		data := append([]byte{0, 0}, be32(seconds(lifetime))...)
		for _, n := range c.Search { // each by itself: names are not compressed here (RFC 8106, section 5.2)
			l := rfc1035label.NewLabels()
			l.Labels = []string{strings.TrimSuffix(n, ".")}
			data = append(data, l.ToBytes()...)
		}
		w.option(optDNSSL, data)
	}
}

func (w *writer) route(p netip.Prefix, lifetime time.Duration) {
	data := append([]byte{uint8(p.Bits()), 0}, be32(seconds(lifetime))...) //nolint:gosec // up to 128
	w.option(optRoute, append(data, p.Addr().AsSlice()[:(p.Bits()+63)/64*8]...))
}

func (c *Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Source != model.MAC{} && !c.Source.IsMulticast(), "source: not the MAC address of a station: %q", c.Source)
	check(c.MTU == 0 || c.MTU >= 1280, "mtu: %d is below 1280", c.MTU)
	masked := func(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is6() && p == p.Masked() }
	for _, p := range c.Prefixes {
		check(masked(p.Prefix), "prefixes: not an IPv6 prefix: %s", p.Prefix)
		check(!p.Autonomous || p.Prefix.Bits() == 64, "prefixes: guests make addresses of 64 bits only: %s", p.Prefix)
		check(p.Lifetime >= 0 && p.Lifetime <= Infinite && p.Lifetime%time.Second == 0, "prefixes: lifetimes must be whole seconds up to 2^32-1: %s", p.Lifetime)
	}
	for _, r := range c.Routes {
		check(masked(r), "routes: not an IPv6 prefix: %s", r)
	}
	check(len(c.DNS) <= maxAddresses, "dns: %d addresses, at most %d fit", len(c.DNS), maxAddresses)
	for _, a := range c.DNS {
		check(a.Is6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback(), "dns: not an IPv6 address of a station: %s", a)
	}
	for _, n := range c.Search {
		check(validName(n), "search: not a domain name: %q", n)
	}
	return errors.Join(errs...)
}

// validName takes names whose labels are 1 to 63 bytes long.
func validName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(s) <= 253
}
