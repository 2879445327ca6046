package metadata

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/cloudinit"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// asked serves an instance in a namespace that has the guest's link and the addresses of metadata, and gives what cloud-init makes of it there.
func asked(t *testing.T, i *Instance, base string) cloudinit.Answers {
	t.Helper()
	ns, err := netns.Create(fmt.Sprintf("metadata-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Delete(ns.Name()); err != nil {
			t.Error(err)
		}
	})
	inside := func(argv ...string) (string, error) {
		out, err := ns.Output(exec.CommandContext(t.Context(), argv[0], argv[1:]...))
		return string(out), err
	}
	for _, argv := range []string{
		"link add eth0 address " + i.Devices[0].MAC.String() + " type veth peer name peer0", "link set peer0 up", "link set eth0 up",
		"addr add 169.254.169.254/32 dev lo", "addr add fd00:ec2::254/128 dev lo",
	} {
		if _, err := inside(append([]string{"ip"}, strings.Fields(argv)...)...); err != nil {
			t.Fatal(err)
		}
	}
	var l net.Listener
	if err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp", ":80") //nolint:gosec,noctx // of a namespace that has no other links
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: &Handler{Key: []byte("k"), Find: func(*http.Request) *Instance { return i }}, ReadTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != http.ErrServerClosed { //nolint:errorlint // as it is documented
			t.Error(err)
		}
	})
	return cloudinit.Ask(t, base, "eth0", inside)
}

// cloud-init's own datasources understand all that a guest is told, over both families, with a token and without.
func TestPrivilegedCloudInit(t *testing.T) {
	privileged.Require(t, "ip")
	g, web := guest(t)
	user, vendor := "\x1f\x8b\x08 no text \xff\x00", "#cloud-config\n{}\n"
	encode := func(s string) model.GuestData { return model.GuestData(base64.StdEncoding.EncodeToString([]byte(s))) }
	const second = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDO john@example"
	for _, o := range []model.Object{
		&model.IPLease{Meta: model.Meta{UUID: "il-web2", ID: 101}, InterfaceUUID: "if-web1", MACLeaseUUID: "ml-web", NetworkUUID: "nw-web", IPv4Address: netip.MustParseAddr("10.1.0.11")},
		&model.InterfaceMetadata{Meta: model.Meta{UUID: "im-web", ID: 102}, InterfaceUUID: "if-web1", Encoding: model.EncodingBase64, PublicKeys: key + "\n" + second,
			UserData: encode(user), VendorData: encode(vendor), InstanceID: "i-1"},
	} {
		g.Put(o)
	}
	i, err := Of(g, web, func(string) int { return 1450 })
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"http://169.254.169.254", "http://[fd00:ec2::254]"} {
		t.Run(base, func(t *testing.T) {
			got := asked(t, i, base)
			same(t, "EC2 without a token", got.EC2WithoutToken, got.EC2)
			same(t, "EC2: tree", got.EC2.Metadata["placement"], any(map[string]any{"availability-zone": place, "region": place}))
			for _, d := range []*cloudinit.Data{&got.EC2, &got.NoCloud} {
				d.Metadata = nil
			}
			common := cloudinit.Data{InstanceID: "i-1", Hostname: "web1", FQDN: "web1.shop.example", PublicKeys: []string{key, second}, UserData: []byte(user), VendorData: []byte{}}
			ec2, seed := common, common
			ec2.NetworkConfig = map[string]any{"version": 2.0, "ethernets": map[string]any{"eth0": map[string]any{
				"match": map[string]any{"macaddress": "02:00:00:00:00:01"}, "set-name": "eth0", "dhcp4": true, "dhcp6": true, "addresses": []any{"10.1.0.11/24"},
			}}}
			same(t, "EC2", got.EC2, ec2)
			seed.VendorData, seed.NetworkConfig = []byte(vendor), got.NoCloud.NetworkConfig // which is judged by what follows from it
			same(t, "NoCloud", got.NoCloud, seed)
			written := got.Static.Written
			got.Static.Written = nil
			same(t, "network-config", got.Static, cloudinit.Static{
				Addresses: []string{"10.1.0.10/24", "fd00:1::10/64", "10.1.0.11/24"}, Nameservers: []string{"10.1.0.1", "fd00:1::1"}, Search: []string{"shop.example"}, MTU: 1450,
				Routes: []string{"0.0.0.0/0 via 10.1.0.1", "169.254.169.254/32 via 10.1.0.1", "fd00:ec2::254/128 via fd00:1::1"},
			})
			for program, lines := range map[string][]string{
				"eni":      {"169.254.169.254"},
				"netplan":  {"to: 169.254.169.254/32", "to: fd00:ec2::254/128"},
				"networkd": {"Destination=169.254.169.254/32", "Destination=fd00:ec2::254/128"},
			} {
				for _, line := range lines {
					if !strings.Contains(written[program], line) {
						t.Errorf("for %s there is no %q:\n%s", program, line, written[program])
					}
				}
			}
		})
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: -want +got:\n%s", what, d)
	}
}
