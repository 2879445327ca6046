package dhcp

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// offered gives the answer to a DISCOVER with the configuration and message as changed.
func offered(t *testing.T, change func(*Config), m message) reply {
	t.Helper()
	c := config()
	if change != nil {
		change(&c)
	}
	m.kind = discover
	got, verdict := Respond(m.frame(), only(binding(t, c)))
	if verdict != Offer {
		t.Fatalf("verdict %q", verdict)
	}
	return decode(t, got)
}

func codes(options []Option) []byte {
	var out []byte
	for _, o := range options {
		out = append(out, o.Code)
	}
	return out
}

func value(options []Option, code byte) []byte {
	var out []byte
	for _, o := range options {
		if o.Code == code {
			out = append(out, o.Data...)
		}
	}
	return out
}

func TestOptionOrder(t *testing.T) {
	full := func(c *Config) {
		c.Routes = []Route{{Destination: prefix("10.200.0.0/16"), Via: addr("10.100.0.1")}}
		c.Search = []string{"example.org"}
		c.NextServer, c.TFTPServer, c.BootFile = addr("10.100.0.66"), "boot.example.org", "pxelinux.0"
		c.Extra = []Option{{138, []byte{10, 100, 0, 5}}, {42, []byte{10, 100, 0, 6}}}
	}
	always := []byte{53, 54, 51, 58, 59, 1}
	for _, c := range []struct {
		name  string
		wants []byte
		want  []byte // after always
	}{
		{"nothing asked", nil, []byte{3, 121, 6, 26, 28, 15, 119, 66, 67, 138, 42}},
		{"everything in another order", []byte{67, 66, 42, 138, 119, 15, 28, 26, 6, 3, 1}, []byte{67, 66, 42, 138, 119, 15, 28, 26, 6, 3, 121}},
		{"some", []byte{1, 28, 6}, []byte{28, 6, 3, 121, 26, 15, 119, 66, 67, 138, 42}},
		{"what we do not have", []byte{2, 252, 12, 6}, []byte{6, 3, 121, 26, 28, 15, 119, 66, 67, 138, 42}},
		{"repeated", []byte{6, 6, 15, 6}, []byte{6, 15, 3, 121, 26, 28, 119, 66, 67, 138, 42}},
		{"the protocol's own", []byte{53, 51, 54, 0, 255, 82, 61}, []byte{3, 121, 6, 26, 28, 15, 119, 66, 67, 138, 42}},
		// RFC 3442: who asks for routes is given no routers.
		{"routes", []byte{121, 3, 6}, []byte{121, 6, 26, 28, 15, 119, 66, 67, 138, 42}},
		{"routes after routers", []byte{3, 6, 121}, []byte{121, 6, 26, 28, 15, 119, 66, 67, 138, 42}},
		{"routers alone", []byte{3}, []byte{3, 121, 6, 26, 28, 15, 119, 66, 67, 138, 42}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := offered(t, full, message{wants: c.wants})
			if diff := cmp.Diff(append(bytes.Clone(always), c.want...), codes(got.Options)); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptionValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		code   byte
		want   []byte
	}{
		{"mask /28", func(c *Config) { c.Address = prefix("10.100.0.10/28") }, 1, []byte{255, 255, 255, 240}},
		{"broadcast /28", func(c *Config) { c.Address = prefix("10.100.0.10/28") }, 28, []byte{10, 100, 0, 15}},
		{"broadcast /31", func(c *Config) { c.Address = prefix("10.100.0.10/31") }, 28, nil},
		{"mask /32", func(c *Config) { c.Address = prefix("10.100.0.10/32") }, 1, []byte{255, 255, 255, 255}},
		{"no routers", func(c *Config) { c.Routers = nil }, 3, nil},
		{"no dns", func(c *Config) { c.DNS = nil }, 6, nil},
		{"no mtu", func(c *Config) { c.MTU = 0 }, 26, nil},
		{"no routes", nil, 121, nil},
		{"domain with a dot", func(c *Config) { c.Domain = "example.org." }, 15, []byte("example.org")},
		{"search", func(c *Config) { c.Search = []string{"a.example", "b."} }, 119, []byte("\x01a\x07example\x00\x01b\x00")},
		{"routes carry the default route", func(c *Config) {
			c.Routes = []Route{{prefix("10.200.0.0/16"), addr("10.100.0.2")}, {Destination: prefix("192.0.2.128/25")}}
		}, 121, []byte{0, 10, 100, 0, 1, 16, 10, 200, 10, 100, 0, 2, 25, 192, 0, 2, 128, 0, 0, 0, 0}},
		{"routes with their own default route", func(c *Config) {
			c.Routes = []Route{{prefix("0.0.0.0/0"), addr("10.100.0.2")}}
		}, 121, []byte{0, 10, 100, 0, 2}},
		{"routes without routers", func(c *Config) {
			c.Routers = nil
			c.Routes = []Route{{prefix("10.200.7.7/32"), addr("10.100.0.2")}}
		}, 121, []byte{32, 10, 200, 7, 7, 10, 100, 0, 2}},
		{"host bits of a route", func(c *Config) {
			c.Routers = nil
			c.Routes = []Route{{prefix("10.200.7.7/8"), addr("10.100.0.2")}}
		}, 121, []byte{8, 10, 10, 100, 0, 2}},
		{"lease", func(c *Config) { c.Lease = time.Hour }, 51, []byte{0, 0, 0x0e, 0x10}},
		{"renew", func(c *Config) { c.Lease = time.Hour }, 58, []byte{0, 0, 0x07, 0x08}},
		{"rebind", func(c *Config) { c.Lease = time.Hour }, 59, []byte{0, 0, 0x0c, 0x4e}},
		{"own renew", func(c *Config) { c.Renew = time.Minute }, 58, []byte{0, 0, 0, 60}},
		{"own rebind", func(c *Config) { c.Rebind = 22 * time.Hour }, 59, []byte{0, 1, 0x35, 0x60}},
		{"infinite lease", func(c *Config) { c.Lease = Infinite }, 51, []byte{255, 255, 255, 255}},
		{"infinite lease, no renewal", func(c *Config) { c.Lease = Infinite }, 58, nil},
		{"infinite lease, no rebinding", func(c *Config) { c.Lease = Infinite }, 59, nil},
		{"boot file", func(c *Config) { c.BootFile = "pxelinux.0" }, 67, []byte("pxelinux.0")},
		{"tftp server", func(c *Config) { c.TFTPServer = "boot" }, 66, []byte("boot")},
		{"empty extra option", func(c *Config) { c.Extra = []Option{{Code: 116}} }, 116, nil},
		{"option of 255 bytes", func(c *Config) { c.Extra = []Option{{224, bytes.Repeat([]byte("x"), 255)}} }, 224, bytes.Repeat([]byte("x"), 255)},
		{"option of 600 bytes, split", func(c *Config) { c.Extra = []Option{{224, bytes.Repeat([]byte("x"), 600)}} }, 224, bytes.Repeat([]byte("x"), 600)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := offered(t, c.change, message{options: []Option{{57, []byte{5, 0xdc}}}})
			if diff := cmp.Diff(c.want, value(got.Options, c.code), compare); diff != "" {
				t.Errorf("option %d (-want +got):\n%s", c.code, diff)
			}
		})
	}
	t.Run("boot fields", func(t *testing.T) {
		got := offered(t, func(c *Config) { c.NextServer, c.BootFile = addr("10.100.0.66"), "pxelinux.0" }, message{})
		if got.SIAddr != addr("10.100.0.66") || got.File != "pxelinux.0" || got.SName != "" {
			t.Errorf("siaddr %s, file %q, sname %q", got.SIAddr, got.File, got.SName)
		}
	})
}

// TestMessageSize: what does not fit into what the client takes is left out from the end; the rest stays whole.
func TestMessageSize(t *testing.T) {
	many := func(c *Config) {
		for i := range 40 {
			c.Extra = append(c.Extra, Option{Code: byte(130 + i), Data: make([]byte, 18)})
		}
	}
	size := func(n int) []Option { return []Option{{57, []byte{byte(n >> 8), byte(n)}}} }
	for _, c := range []struct {
		name    string
		mtu     uint16
		options []Option
		limit   int // bytes of the IP datagram
		extra   int // options that fit
	}{
		{"not announced", 1400, nil, 576, 11},
		{"below the minimum", 1400, size(300), 576, 11},
		{"announced", 1400, size(800), 800, 22},
		{"more than the network takes", 1400, size(9000), 1400, 40},
		{"small network", 700, size(1500), 700, 17},
		{"unknown network", 0, size(9000), 1500, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := offered(t, func(cfg *Config) { cfg.MTU = c.mtu; many(cfg) }, message{options: c.options})
			if n := got.PayloadLen + 28; n > c.limit {
				t.Errorf("%d bytes, the client takes %d", n, c.limit)
			}
			extra := 0
			for _, o := range got.Options {
				if o.Code >= 130 {
					extra++
				}
			}
			if extra != c.extra {
				t.Errorf("%d of 40 extra options, want %d", extra, c.extra)
			}
			if value(got.Options, 6) == nil {
				t.Error("the DNS servers are gone")
			}
		})
	}

	t.Run("routes too long, routers instead", func(t *testing.T) {
		got := offered(t, func(c *Config) {
			for i := range 40 {
				c.Routes = append(c.Routes, Route{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 24), addr("10.100.0.1")})
			}
		}, message{wants: []byte{121, 3}})
		if value(got.Options, 121) != nil || value(got.Options, 3) == nil {
			t.Errorf("options %v", codes(got.Options))
		}
	})
	t.Run("longest client id", func(t *testing.T) {
		id := bytes.Repeat([]byte{7}, 255)
		got := offered(t, many, message{clientID: id})
		if !bytes.Equal(value(got.Options, 61), id) || value(got.Options, 51) == nil || value(got.Options, 1) == nil {
			t.Errorf("options %v", codes(got.Options))
		}
	})
	t.Run("size", func(t *testing.T) {
		c := config()
		many(&c)
		got := offered(t, many, message{options: size(1500)})
		if want := got.PayloadLen + 28; binding(t, c).Size() != want {
			t.Errorf("Size() is %d, a whole answer has %d", binding(t, c).Size(), want)
		}
	})
}

func TestBindingErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // in the error
	}{
		{"no client", func(c *Config) { c.Client = model.MAC{} }, "client:"},
		{"multicast client", func(c *Config) { c.Client = model.MAC{1, 0, 0x5e} }, "client:"},
		{"no server mac", func(c *Config) { c.ServerMAC = model.MAC{} }, "server mac:"},
		{"broadcast server mac", func(c *Config) { c.ServerMAC = frame.Broadcast() }, "server mac:"},
		{"no server", func(c *Config) { c.Server = netip.Addr{} }, "server:"},
		{"ipv6 server", func(c *Config) { c.Server = addr("fd00::1") }, "server:"},
		{"no address", func(c *Config) { c.Address = netip.Prefix{} }, "address:"},
		{"ipv6 address", func(c *Config) { c.Address = prefix("fd00::1/64") }, "address:"},
		{"mapped address", func(c *Config) { c.Address = prefix("::ffff:10.0.0.1/120") }, "address:"},
		{"no prefix length", func(c *Config) { c.Address = prefix("10.100.0.10/0") }, "address:"},
		{"network address", func(c *Config) { c.Address = prefix("10.100.0.0/24") }, "address:"},
		{"broadcast address", func(c *Config) { c.Address = prefix("10.100.0.255/24") }, "address:"},
		{"multicast address", func(c *Config) { c.Address = prefix("224.0.0.5/24") }, "address:"},
		{"server's address", func(c *Config) { c.Address = prefix("10.100.0.100/24") }, "address:"},
		{"ipv6 router", func(c *Config) { c.Routers = []netip.Addr{addr("fd00::1")} }, "routers:"},
		{"64 routers", func(c *Config) { c.Routers = make([]netip.Addr, 64) }, "routers: 64 addresses"},
		{"no dns address", func(c *Config) { c.DNS = []netip.Addr{{}} }, "dns:"},
		{"next server", func(c *Config) { c.NextServer = addr("255.255.255.255") }, "next server:"},
		{"route of ipv6", func(c *Config) { c.Routes = []Route{{Destination: prefix("fd00::/8")}} }, "routes:"},
		{"route to nothing", func(c *Config) { c.Routes = []Route{{}} }, "routes:"},
		{"route via ipv6", func(c *Config) { c.Routes = []Route{{prefix("10.0.0.0/8"), addr("fd00::1")}} }, "routes:"},
		{"route twice", func(c *Config) {
			c.Routes = []Route{{prefix("10.0.0.0/8"), addr("10.100.0.1")}, {prefix("10.1.0.0/8"), addr("10.100.0.2")}}
		}, "routes: 10.1.0.0/8 is there twice"},
		{"domain", func(c *Config) { c.Domain = "exa mple" }, "domain:"},
		{"domain with an empty label", func(c *Config) { c.Domain = "a..b" }, "domain:"},
		{"domain with a shell in it", func(c *Config) { c.Domain = "a;reboot" }, "domain:"},
		{"label of 64", func(c *Config) { c.Domain = strings.Repeat("a", 64) }, "domain:"},
		{"domain of 254", func(c *Config) { c.Domain = strings.Repeat("a.", 127) + "a" }, "domain:"},
		{"search", func(c *Config) { c.Search = []string{"ok", ""} }, "search:"},
		{"mtu", func(c *Config) { c.MTU = 575 }, "mtu:"},
		{"boot file", func(c *Config) { c.BootFile = strings.Repeat("x", 128) }, "boot file:"},
		{"boot file with a zero", func(c *Config) { c.BootFile = "a\x00b" }, "boot file:"},
		{"tftp server", func(c *Config) { c.TFTPServer = strings.Repeat("x", 256) }, "tftp server:"},
		{"negative lease", func(c *Config) { c.Lease = -time.Second }, "lease:"},
		{"lease of half a second", func(c *Config) { c.Lease = time.Second / 2 }, "lease:"},
		{"lease beyond infinity", func(c *Config) { c.Lease = Infinite + time.Second }, "lease:"},
		{"renew after rebind", func(c *Config) { c.Renew, c.Rebind = 2*time.Hour, time.Hour }, "lease:"},
		{"rebind after the lease", func(c *Config) { c.Lease, c.Rebind = time.Hour, 2*time.Hour }, "lease:"},
		{"renewal of an infinite lease", func(c *Config) { c.Lease, c.Renew = Infinite, time.Hour }, "lease:"},
		{"extra option of the protocol", func(c *Config) { c.Extra = []Option{{54, []byte{1, 2, 3, 4}}} }, "extra: option 54"},
		{"extra padding", func(c *Config) { c.Extra = []Option{{Code: 0}} }, "extra: option 0"},
		{"extra end", func(c *Config) { c.Extra = []Option{{Code: 255}} }, "extra: option 255"},
		{"extra against a field", func(c *Config) { c.Extra = []Option{{6, []byte{1, 2, 3, 4}}} }, "extra: option 6"},
		{"extra twice", func(c *Config) { c.Extra = []Option{{Code: 138}, {Code: 138}} }, "extra: option 138"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config()
			c.change(&cfg)
			b, err := NewBinding(cfg)
			if err == nil || b != nil {
				t.Fatalf("binding %v, error %v", b, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}

	t.Run("every field is named", func(t *testing.T) {
		_, err := NewBinding(Config{MTU: 1})
		for _, field := range []string{"client", "server mac", "server", "address", "mtu"} {
			if err == nil || !strings.Contains(err.Error(), field+":") {
				t.Errorf("error %q does not name %s", err, field)
			}
		}
	})
}

// TestBindingOwnsItsBytes: the configuration may be changed after NewBinding.
func TestBindingOwnsItsBytes(t *testing.T) {
	c := config()
	c.Extra = []Option{{138, []byte{1, 2, 3, 4}}}
	b := binding(t, c)
	before, _ := Respond(message{kind: discover}.frame(), only(b))
	c.Extra[0].Data[0], c.DNS[0], c.Routers[0] = 9, awayIP, awayIP
	after, _ := Respond(message{kind: discover}.frame(), only(b))
	if !bytes.Equal(before, after) {
		t.Error("the answer changed with the configuration")
	}
}
