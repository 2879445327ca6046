package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddressList is a list of IP addresses in its canonical form: a,b,c.
type AddressList string

// Addrs gives the addresses, in their order.
func (l AddressList) Addrs() []netip.Addr {
	var as []netip.Addr
	for part := range strings.SplitSeq(string(l), ",") {
		if a, err := netip.ParseAddr(part); err == nil {
			as = append(as, a)
		}
	}
	return as
}

const maxListedAddresses = 16

func (l *AddressList) parse(text string) error {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		a, err := netip.ParseAddr(part)
		if err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("%q is not the IP address of a server", clip(part))
		}
		out = append(out, a.String())
	}
	if len(out) > maxListedAddresses {
		return fmt.Errorf("has %d addresses; the limit is %d", len(out), maxListedAddresses)
	}
	*l = AddressList(strings.Join(out, ","))
	return nil
}

func (*AddressList) limits() (maxBytes int, lines bool) { return 1024, false }

// PrefixList is a list of IP prefixes in its canonical form: a/n,b/n,c/n, sorted, each once.
type PrefixList string

// Prefixes gives the prefixes.
func (l PrefixList) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	for part := range strings.SplitSeq(string(l), ",") {
		if p, err := netip.ParsePrefix(part); err == nil {
			ps = append(ps, p)
		}
	}
	return ps
}

const maxListedPrefixes = 1024

func (l *PrefixList) parse(text string) error {
	var ps []netip.Prefix
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := parsePrefix(part)
		if err != nil {
			return err
		}
		ps = append(ps, p)
	}
	slices.SortFunc(ps, netip.Prefix.Compare)
	ps = slices.Compact(ps)
	if len(ps) > maxListedPrefixes {
		return fmt.Errorf("has %d prefixes; the limit is %d", len(ps), maxListedPrefixes)
	}
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	*l = PrefixList(strings.Join(texts, ","))
	return nil
}

func (*PrefixList) limits() (maxBytes int, lines bool) { return 64 << 10, true }
