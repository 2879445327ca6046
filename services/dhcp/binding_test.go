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
		c.Options = []Option{{138, []byte{10, 100, 0, 5}}, {42, []byte{10, 100, 0, 6}}}
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
		}, 121, []byte{0, 10, 100, 0, 1, 25, 192, 0, 2, 128, 0, 0, 0, 0, 16, 10, 200, 10, 100, 0, 2}},
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
		{"empty extra option", func(c *Config) { c.Options = []Option{{Code: 116}} }, 116, nil},
		{"option of 255 bytes", func(c *Config) { c.Options = []Option{{224, bytes.Repeat([]byte("x"), 255)}} }, 224, bytes.Repeat([]byte("x"), 255)},
		{"option of 600 bytes, split", func(c *Config) { c.Options = []Option{{224, bytes.Repeat([]byte("x"), 600)}} }, 224, bytes.Repeat([]byte("x"), 600)},
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

// TestGivenOptions: options that are given count instead of what follows from the fields, also where fields of the message and other options follow from them.
func TestGivenOptions(t *testing.T) {
	full := func(c *Config) {
		c.Routes = []Route{{prefix("10.200.0.0/16"), addr("10.100.0.2")}}
		c.Host, c.Search, c.TFTPServer, c.BootFile = "vm1", []string{"example.org"}, "boot.example.org", "a.efi"
	}
	ip := func(s string) []byte { return addr(s).AsSlice() }
	for _, c := range []struct {
		name  string
		given Option
		want  map[byte][]byte // of option codes
		boot  [3]string       // siaddr, sname, file
	}{
		{"nothing", Option{}, map[byte][]byte{3: ip("10.100.0.1"), 12: []byte("vm1")}, [3]string{"10.100.0.100", "boot.example.org", "a.efi"}},
		{"routers", Option{3, ip("10.100.0.7")}, map[byte][]byte{3: ip("10.100.0.7"), 121: {0, 10, 100, 0, 7, 16, 10, 200, 10, 100, 0, 2}}, [3]string{}},
		{"no routers", Option{Code: 3}, map[byte][]byte{3: nil, 121: {16, 10, 200, 10, 100, 0, 2}}, [3]string{}},
		{"name servers", Option{6, ip("10.100.0.8")}, map[byte][]byte{6: ip("10.100.0.8")}, [3]string{}},
		{"no name servers", Option{Code: 6}, map[byte][]byte{6: nil, 15: []byte("example.org")}, [3]string{}},
		{"host", Option{12, []byte("other")}, map[byte][]byte{12: []byte("other")}, [3]string{}},
		{"no search list", Option{Code: 119}, map[byte][]byte{119: nil}, [3]string{}},
		{"routes", Option{121, []byte{0, 10, 100, 0, 9}}, map[byte][]byte{3: ip("10.100.0.1"), 121: {0, 10, 100, 0, 9}}, [3]string{}},
		{"no routes", Option{Code: 121}, map[byte][]byte{3: ip("10.100.0.1"), 121: nil}, [3]string{}},
		{"a controller", Option{138, ip("10.100.0.5")}, map[byte][]byte{138: ip("10.100.0.5"), 3: ip("10.100.0.1")}, [3]string{}},
		{"a boot server by name", Option{66, []byte("b")}, map[byte][]byte{66: []byte("b")}, [3]string{"10.100.0.100", "b", "a.efi"}},
		{"a boot server by address", Option{66, []byte("192.0.2.66")}, map[byte][]byte{66: []byte("192.0.2.66")}, [3]string{"192.0.2.66", "192.0.2.66", "a.efi"}},
		{"boot servers", Option{150, append(ip("192.0.2.67"), ip("192.0.2.68")...)}, map[byte][]byte{150: append(ip("192.0.2.67"), ip("192.0.2.68")...)}, [3]string{"192.0.2.67", "boot.example.org", "a.efi"}},
		{"a boot file", Option{67, []byte("b.0")}, map[byte][]byte{67: []byte("b.0")}, [3]string{"10.100.0.100", "boot.example.org", "b.0"}},
		{"no boot file", Option{Code: 67}, map[byte][]byte{67: nil}, [3]string{"10.100.0.100", "boot.example.org", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := offered(t, func(cfg *Config) {
				if full(cfg); c.given.Code != 0 {
					cfg.Options = []Option{c.given}
				}
			}, message{options: []Option{{57, []byte{5, 0xdc}}}})
			for code, want := range c.want {
				if diff := cmp.Diff(want, value(got.Options, code), compare); diff != "" {
					t.Errorf("option %d (-want +got):\n%s", code, diff)
				}
			}
			if boot := [3]string{got.SIAddr.String(), got.SName, got.File}; c.boot[0] != "" && boot != c.boot {
				t.Errorf("siaddr, sname and file %v, want %v", boot, c.boot)
			}
		})
	}
}

// TestMessageSize: what does not fit into what the client takes is left out from the end; the rest stays whole.
func TestMessageSize(t *testing.T) {
	many := func(c *Config) {
		for i := range 40 {
			c.Options = append(c.Options, Option{Code: byte(180 + i), Data: make([]byte, 18)})
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
				if o.Code >= 180 {
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

	// What the default route leads to as well goes first, and what else the client asks for stays.
	many24 := func(via string) func(c *Config) {
		return func(c *Config) {
			for i := range 40 {
				c.Routes = append(c.Routes, Route{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 24), addr(via)})
			}
			c.Routes = append(c.Routes, Route{prefix("10.9.0.0/16"), addr("10.100.0.3")}, Route{Destination: prefix("169.254.169.254/32")})
		}
	}
	for name, via := range map[string]string{"by the default route": "10.100.0.1", "by another router": "10.100.0.4"} {
		t.Run("more routes than fit "+name, func(t *testing.T) {
			got := offered(t, many24(via), message{wants: []byte{121, 3, 6, 15}})
			routes := value(got.Options, 121)
			begins := []byte{0, 10, 100, 0, 1, 32, 169, 254, 169, 254, 0, 0, 0, 0}
			if via == "10.100.0.1" {
				begins = append(begins, 16, 10, 9, 10, 100, 0, 3)
			}
			if !bytes.HasPrefix(routes, append(begins, 24, 10, 200, 0)) || got.PayloadLen+28 > 576 || len(routes) < 180 || len(routes)%8 != len(append(begins, make([]byte, 16)...))%8 {
				t.Errorf("%d bytes of routes: %v", len(routes), routes)
			}
			if value(got.Options, 3) != nil || value(got.Options, 6) == nil || value(got.Options, 15) == nil {
				t.Errorf("options %v", codes(got.Options))
			}
			whole := offered(t, many24(via), message{wants: []byte{121, 3, 6, 15}, options: size(1500)})
			if n := len(value(whole.Options, 121)); n != 5+9+7+40*8 {
				t.Errorf("%d bytes of routes where there is room", n)
			}
		})
	}
	t.Run("no room for a route, routers instead", func(t *testing.T) {
		got := offered(t, func(c *Config) {
			c.Routes = []Route{{prefix("10.9.0.0/16"), addr("10.100.0.3")}}
			c.Options = []Option{{224, make([]byte, 264)}}
		}, message{wants: []byte{121, 3, 224}})
		if value(got.Options, 121) != nil || value(got.Options, 3) == nil || value(got.Options, 224) == nil {
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
		{"mtu", func(c *Config) { c.MTU = 67 }, "mtu:"},
		{"boot file", func(c *Config) { c.BootFile = strings.Repeat("x", 128) }, "boot file:"},
		{"boot file with a zero", func(c *Config) { c.BootFile = "a\x00b" }, "boot file:"},
		{"tftp server", func(c *Config) { c.TFTPServer = strings.Repeat("x", 64) }, "tftp server:"},
		{"negative lease", func(c *Config) { c.Lease = -time.Second }, "lease:"},
		{"lease of half a second", func(c *Config) { c.Lease = time.Second / 2 }, "lease:"},
		{"lease beyond infinity", func(c *Config) { c.Lease = Infinite + time.Second }, "lease:"},
		{"renew after rebind", func(c *Config) { c.Renew, c.Rebind = 2*time.Hour, time.Hour }, "lease:"},
		{"rebind after the lease", func(c *Config) { c.Lease, c.Rebind = time.Hour, 2*time.Hour }, "lease:"},
		{"renewal of an infinite lease", func(c *Config) { c.Lease, c.Renew = Infinite, time.Hour }, "lease:"},
		{"extra option of the protocol", func(c *Config) { c.Options = []Option{{54, []byte{1, 2, 3, 4}}} }, "options: option 54"},
		{"extra padding", func(c *Config) { c.Options = []Option{{Code: 0}} }, "options: option 0"},
		{"extra end", func(c *Config) { c.Options = []Option{{Code: 255}} }, "options: option 255"},
		{"the mask", func(c *Config) { c.Options = []Option{{1, []byte{255, 0, 0, 0}}} }, "options: option 1"},
		{"extra twice", func(c *Config) { c.Options = []Option{{Code: 138}, {Code: 138}} }, "options: option 138"},
		{"routers cut short", func(c *Config) { c.Options = []Option{{3, []byte{10, 0, 0}}} }, "options: option 3"},
		{"host with a dot", func(c *Config) { c.Host = "a.b" }, "host:"},
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
	c.Options = []Option{{138, []byte{1, 2, 3, 4}}}
	b := binding(t, c)
	before, _ := Respond(message{kind: discover}.frame(), only(b))
	c.Options[0].Data[0], c.DNS[0], c.Routers[0] = 9, awayIP, awayIP
	after, _ := Respond(message{kind: discover}.frame(), only(b))
	if !bytes.Equal(before, after) {
		t.Error("the answer changed with the configuration")
	}
}
