package model

import (
	"fmt"
	"net/netip"
	"strings"
)

// canonicalName reads a domain name; its canonical form is in lower case and without the last dot (RFC 1035, section 2.3.1; also
// with underscores, RFC 8552).
func canonicalName(text string) (string, error) {
	s := strings.ToLower(strings.TrimSuffix(text, "."))
	if text == "" {
		return "", nil
	}
	if len(s) > 253 {
		return "", fmt.Errorf("is longer than 253 characters, the limit of a domain name")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, uuidAlphabet+"-_") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%q is not a domain name: %q is not a label of up to 63 letters, digits, '-' and '_' (no '-' at either end)", clip(text), clip(label))
		}
	}
	return s, nil
}

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
