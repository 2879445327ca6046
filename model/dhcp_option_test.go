package model

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestDHCPOptionValues(t *testing.T) {
	for _, c := range []struct {
		family        int
		code          uint16
		format, value string
		want, refused string // in hexadecimal; part of the error
	}{
		{4, 3, "ip", "10.0.0.1, 10.0.0.2", "0a0000010a000002", ""},
		{4, 138, "ip", "192.0.2.1", "c0000201", ""},
		{4, 3, "ip", "", "", ""},
		{4, 3, "ip", "fd00::1", "", "value: \"fd00::1\" is not an IPv4 address"},
		{4, 3, "ip", "224.0.0.1", "", "value: 224.0.0.1 is not the address of a station"},
		{4, 3, "ip", "10.0.0.1,", "", "is not an IPv4 address"},
		{4, 3, "hex", "0a000001", "", "format: option 3 takes format ip, not hex"},
		{4, 19, "uint8", "1", "01", ""},
		{4, 19, "uint8", "256", "", "is not a number of 0 to 255"},
		{4, 25, "uint16", "68,0x100", "00440100", ""},
		{4, 35, "uint32", "4294967295", "ffffffff", ""},
		{4, 35, "uint32", "-1", "", "is not a number of 0 to 4294967295"},
		{4, 17, "text", "/srv/root", "2f7372762f726f6f74", ""},
		{4, 17, "text", "\u00e4", "", "not printable ASCII"},
		{4, 119, "domain", "a.example, b.", "0161076578616d706c65000162" + "00", ""},
		{4, 119, "domain", "a..b", "", "is not a domain name"},
		{4, 119, "domain", "a,,b", "", "an empty name"},
		{4, 15, "text", "not a name", "", "is not a domain name"},
		{4, 43, "hex", "01:02 ff", "0102ff", ""},
		{4, 43, "hex", "0x0102", "0102", ""},
		{4, 43, "hex", "1", "", "hexadecimal digits"},
		{4, 66, "text", strings.Repeat("x", 64), "", "longer than 63"},
		{4, 67, "text", strings.Repeat("x", 128), "", "longer than 127"},
		{4, 51, "uint32", "5", "", "code: 51 cannot be given: the lease time is the network's dhcp_lease_time"},
		{4, 54, "ip", "10.0.0.1", "", "server identifier"},
		{4, 82, "hex", "00", "", "relay agent information"},
		{4, 255, "hex", "00", "", "outside 1 to 254"},
		{5, 3, "ip", "10.0.0.1", "", "family: 5 is neither 4 nor 6"},
		{6, 23, "ip", "fd00::53", "fd000000000000000000000000000053", ""},
		{6, 23, "ip", "10.0.0.1", "", "is not an IPv6 address"},
		{6, 3, "hex", "00", "", "addresses are given by leases"},
		{6, 300, "uint16", "7", "0007", ""},
	} {
		o := &DHCPOption{Meta: Meta{UUID: "dhco-a", ID: 1}, NetworkServiceUUID: "ns-a", Family: c.family, Code: c.code, Format: c.format, Value: DHCPOptionValue(c.value)}
		err := DHCPOptions.Validate(o)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%d/%d %s %q: error %v, want one with %q", c.family, c.code, c.format, c.value, err, c.refused)
			}
			continue
		}
		data, _ := o.Data()
		if got := hex.EncodeToString(data); err != nil || got != c.want {
			t.Errorf("%d/%d %s %q: %s, %v; want %s", c.family, c.code, c.format, c.value, got, err, c.want)
		}
	}
}
