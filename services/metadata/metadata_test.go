package metadata

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN jane@example"

// guest makes a graph with a guest in a network that has a router, a name server and a domain.
func guest(t *testing.T) (*graph.Graph, *model.Interface) {
	t.Helper()
	g := graph.New()
	id := uint32(0)
	meta := func(uuid string) model.Meta {
		id++
		return model.Meta{UUID: uuid, ID: id}
	}
	a := netip.MustParseAddr
	web := &model.Interface{Meta: meta("if-web1"), Mode: model.InterfaceVIF, Hostname: "web1"}
	for _, o := range []model.Object{
		web,
		&model.Interface{Meta: meta("if-gw"), Mode: model.InterfaceSimulated, EnableRouting: true},
		&model.Interface{Meta: meta("if-out"), Mode: model.InterfaceSimulated, EnableRouting: true},
		&model.Network{Meta: meta("nw-web"), Mode: model.NetworkVirtual, DomainName: "shop.example", IPv4Network: a("10.1.0.0"), IPv4Prefix: 24, IPv6Network: a("fd00:1::"), IPv6Prefix: 64},
		&model.Network{Meta: meta("nw-out"), Mode: model.NetworkVirtual, IPv4Network: a("10.9.0.0"), IPv4Prefix: 16},
		&model.MACLease{Meta: meta("ml-gw"), InterfaceUUID: "if-gw", MACAddress: model.MAC{2, 0, 0, 0, 0, 0xfe}},
		&model.IPLease{Meta: meta("il-gw"), InterfaceUUID: "if-gw", MACLeaseUUID: "ml-gw", NetworkUUID: "nw-web", IPv4Address: a("10.1.0.1"), EnableRouting: true},
		&model.MACLease{Meta: meta("ml-out"), InterfaceUUID: "if-out", MACAddress: model.MAC{2, 0, 0, 0, 0, 0xfd}},
		&model.IPLease{Meta: meta("il-out"), InterfaceUUID: "if-out", MACLeaseUUID: "ml-out", NetworkUUID: "nw-out", IPv4Address: a("10.9.0.1"), EnableRouting: true},
		&model.RouteLink{Meta: meta("rl-a")},
		&model.Route{Meta: meta("r-web"), InterfaceUUID: "if-gw", NetworkUUID: "nw-web", RouteLinkUUID: "rl-a", IPv4Network: a("10.1.0.0"), IPv4Prefix: 24, Ingress: true, Egress: true},
		&model.Route{Meta: meta("r-out"), InterfaceUUID: "if-out", NetworkUUID: "nw-out", RouteLinkUUID: "rl-a", IPv4Network: a("0.0.0.0"), Ingress: true, Egress: true},
		&model.IPLease{Meta: meta("il-gw6"), InterfaceUUID: "if-gw", MACLeaseUUID: "ml-gw", NetworkUUID: "nw-web", IPv6Address: a("fd00:1::1")},
		&model.NetworkService{Meta: meta("ns-dns"), Mode: model.ServiceDNS, InterfaceUUID: "if-gw"},
		&model.NetworkService{Meta: meta("ns-meta"), Mode: model.ServiceMetadata, InterfaceUUID: "if-gw"},
		&model.MACLease{Meta: meta("ml-web"), InterfaceUUID: "if-web1", MACAddress: model.MAC{2, 0, 0, 0, 0, 1}},
		&model.IPLease{Meta: meta("il-web"), InterfaceUUID: "if-web1", MACLeaseUUID: "ml-web", NetworkUUID: "nw-web", IPv4Address: a("10.1.0.10")},
		&model.IPLease{Meta: meta("il-web6"), InterfaceUUID: "if-web1", MACLeaseUUID: "ml-web", NetworkUUID: "nw-web", IPv6Address: a("fd00:1::10")},
		&model.IPLease{Meta: meta("il-own"), InterfaceUUID: "if-web1", MACLeaseUUID: "ml-web", NetworkUUID: "nw-web", IPv6Address: a("fe80::77"), Origin: model.OriginSLAAC}, // which it is not told of
		&model.InterfaceMetadata{Meta: meta("im-web"), InterfaceUUID: "if-web1", Encoding: model.EncodingText, PublicKeys: key, UserData: "#!/bin/sh\n", InstanceID: "i-1"},
	} {
		g.Put(o)
	}
	return g, web
}

func instance(t *testing.T) *Instance {
	t.Helper()
	g, web := guest(t)
	i, err := Of(g, web, func(string) int { return 1450 })
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ask asks a handler.
func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTree(t *testing.T) {
	i := instance(t)
	h := &Handler{Key: []byte("k"), Find: func(*http.Request) *Instance { return i }}
	const mac = "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/"
	for path, want := range map[string]string{
		"/":                                           "1.0\n2009-04-04\n2016-09-02\n2018-09-24\n2021-03-23\nlatest",
		"/latest":                                     "meta-data\ndynamic\nuser-data",
		"/2009-04-04/":                                "meta-data\ndynamic\nuser-data",
		"/latest/meta-data":                           "hostname\ninstance-id\ninstance-type\nipv6\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\npublic-keys/",
		"/latest/meta-data/":                          "hostname\ninstance-id\ninstance-type\nipv6\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\npublic-keys/",
		"/latest/meta-data/hostname":                  "web1.shop.example",
		"/latest/meta-data/hostname/":                 "web1.shop.example",
		"/2021-03-23/meta-data/instance-id":           "i-1",
		"/latest/meta-data/local-ipv4":                "10.1.0.10",
		"/latest/meta-data/ipv6":                      "fd00:1::10",
		"/latest/meta-data/mac":                       "02:00:00:00:00:01",
		"/latest/meta-data/public-keys/":              "0=key-0",
		"/latest/meta-data/public-keys/0/":            "openssh-key",
		"/latest/meta-data/public-keys/0/openssh-key": key,
		"/latest/meta-data/network/interfaces/macs/":  "02:00:00:00:00:01/",
		mac:                                            "device-number\ninterface-id\nipv6s\nlocal-hostname\nlocal-ipv4s\nmac\nsubnet-ipv4-cidr-block\nsubnet-ipv6-cidr-blocks",
		mac + "device-number":                          "0",
		mac + "local-ipv4s":                            "10.1.0.10",
		mac + "subnet-ipv4-cidr-block":                 "10.1.0.0/24",
		mac + "subnet-ipv6-cidr-blocks":                "fd00:1::/64",
		"/latest/meta-data/placement/":                 "availability-zone\nregion",
		"/latest/user-data":                            "#!/bin/sh\n",
		"/latest/dynamic/instance-identity/":           "document",
		"/nocloud/":                                    "meta-data\nnetwork-config\nuser-data\nvendor-data",
		"/nocloud/user-data":                           "#!/bin/sh\n",
		"/nocloud/vendor-data":                         "",
		"/latest/meta-data/public-keys/1/openssh-key":  "404",
		"/latest/meta-data/nothing":                    "404",
		"/latest/meta-data/local-ipv":                  "404",
		"/2000-01-01/meta-data/":                       "404",
		"/latest/meta-data/public-keys/0=key-0":        "404",
		"/latest/meta-data/../user-data":               "404",
		"/nocloud/other":                               "404",
		"/latest/meta-data/iam/security-credentials/x": "404",
	} {
		w := ask(h, http.MethodGet, path)
		got := w.Body.String()
		if w.Code != http.StatusOK {
			got = "404"
		}
		if got != want {
			t.Errorf("%s: %d %q instead of %q", path, w.Code, got, want)
		}
		if head := ask(h, http.MethodHead, path); head.Code != w.Code || head.Body.Len() > 0 && head.Code == http.StatusOK || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
			t.Errorf("HEAD %s: %d, %d bytes, %v", path, head.Code, head.Body.Len(), head.Header())
		}
	}
	i.UserData = nil
	if w := ask(h, http.MethodGet, "/latest/user-data"); w.Code != http.StatusNotFound {
		t.Errorf("no user data: %d", w.Code)
	}
	if w := ask(h, http.MethodPost, "/latest/user-data"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	if w := ask(h, http.MethodGet, "/latest/meta-data/", "X-Forwarded-For", "10.0.0.1"); w.Code != http.StatusForbidden {
		t.Errorf("forwarded: %d", w.Code)
	}
	i = nil
	if w := ask(h, http.MethodGet, "/latest/meta-data/"); w.Code != http.StatusNotFound {
		t.Errorf("nobody: %d", w.Code)
	}
}

func TestNoCloud(t *testing.T) {
	h := &Handler{Key: []byte("k"), Find: func(*http.Request) *Instance { return instance(t) }}
	var got any
	for path, want := range map[string]any{
		"/nocloud/meta-data": map[string]any{"instance-id": "i-1", "local-hostname": "web1.shop.example", "public-keys": []any{key}},
		"/nocloud/network-config": map[string]any{"version": 2.0, "ethernets": map[string]any{"eth0": map[string]any{
			"match": map[string]any{"macaddress": "02:00:00:00:00:01"}, "set-name": "eth0", "mtu": 1450.0, "dhcp4": false, "dhcp6": false,
			"addresses": []any{"10.1.0.10/24", "fd00:1::10/64"},
			"routes": []any{
				map[string]any{"to": "0.0.0.0/0", "via": "10.1.0.1"}, map[string]any{"to": "169.254.169.254/32", "via": "10.1.0.1"},
				map[string]any{"to": "fd00:ec2::254/128", "via": "fd00:1::1"},
			},
			"nameservers": map[string]any{"addresses": []any{"10.1.0.1", "fd00:1::1"}, "search": []any{"shop.example"}},
		}}},
	} {
		got = nil
		if err := json.Unmarshal(ask(h, http.MethodGet, path).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got:\n%s", path, d)
		}
	}
	i := instance(t)
	i.NetworkConfig = []byte("version: 2\n")
	if b, _, _ := i.noCloud("network-config"); string(b) != "version: 2\n" {
		t.Errorf("got %q", b)
	}
}

func TestTokens(t *testing.T) {
	i, now := instance(t), time.Unix(1_000_000, 0)
	h := &Handler{Key: []byte("k"), Find: func(*http.Request) *Instance { return i }, Now: func() time.Time { return now }}
	const path = "/latest/meta-data/instance-id"
	get := func(token string) int { return ask(h, http.MethodGet, path, tokenHeader, token).Code }
	w := ask(h, http.MethodPut, "/latest/api/token", ttlHeader, "60")
	token := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get(ttlHeader) != "60" || get(token) != http.StatusOK {
		t.Fatalf("a token: %d %q, by which one gets %d", w.Code, token, get(token))
	}
	for name, c := range map[string]struct {
		change func()
		token  string
	}{
		"too late":       {func() { now = now.Add(time.Minute) }, token},
		"of another":     {func() { i = &Instance{Interface: "if-other"} }, token},
		"of another key": {func() { h.Key = []byte("l") }, token},
		"another end":    {func() {}, "B" + token[1:]},
		"no base64":      {func() {}, "?"},
		"short":          {func() {}, "AAAA"},
		"long":           {func() {}, strings.Repeat("A", 4096)},
	} {
		wasNow, was := now, i
		c.change()
		if got := get(c.token); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
		now, i, h.Key = wasNow, was, []byte("k")
	}
	for _, ttl := range []string{"", "0", "21601", "x", "-1"} {
		if w := ask(h, http.MethodPut, "/latest/api/token", ttlHeader, ttl); w.Code != http.StatusBadRequest {
			t.Errorf("TTL %q: %d", ttl, w.Code)
		}
	}
	if w := ask(h, http.MethodGet, "/latest/api/token", ttlHeader, "60"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	if w := ask(h, http.MethodPut, "/latest/api/token", ttlHeader, "60", "X-Forwarded-For", "10.0.0.1"); w.Code != http.StatusForbidden {
		t.Errorf("forwarded: %d", w.Code)
	}
}

func TestHas(t *testing.T) {
	i := instance(t)
	for a, want := range map[string]bool{"10.1.0.10": true, "fd00:1::10": true, "fe80::ff:fe00:1": true, "fe80::77": true, "10.1.0.11": false, "fe80::1": false} {
		if got := i.Has(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// FuzzPath: no path does anything but find or miss something.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "/latest/meta-data/", "/latest/meta-data/public-keys/0/openssh-key", "/nocloud/network-config", "//latest//"} {
		f.Add(path)
	}
	g := graph.New()
	i, err := Of(g, &model.Interface{Meta: model.Meta{UUID: "if-a"}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if body, kind, ok := i.get(path); ok && (kind == "" || len(body) > 1<<20) {
			t.Errorf("%q: %q, %d bytes", path, kind, len(body))
		}
	})
}
