package scenarios

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/cloudinit"
)

// metadataParams gives the tenant's service of metadata, of the interface that its DHCP service has.
func (t tenant) metadataParams() client.Params {
	return client.Params{"uuid": "ns-meta" + t.name, "mode": "metadata", "interface_uuid": t.server()}
}

// told gives what the guest is told.
func (g guest) told(userData string) client.Params {
	return client.Params{
		"uuid": "im-" + g.name, "interface_uuid": g.iface(), "user_data": userData, "vendor_data": "#cloud-config\n{}\n", "instance_id": "i-" + g.name,
		"public_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN " + g.String(),
	}
}

// metadataDocuments gives the tenants' services, and what each guest is told.
func metadataDocuments(tenants []tenant) client.Documents {
	docs := client.Documents{}
	for _, tn := range tenants {
		docs["network_services"] = append(docs["network_services"], tn.metadataParams())
		for _, g := range tn.guests {
			docs["interface_metadata"] = append(docs["interface_metadata"], g.told("of "+g.String()))
		}
	}
	return docs
}

// metadata asks as cloud-init does: every guest gets its own over IPv4 and IPv6, though another tenant's guest has the same addresses, and what is changed counts for
// the next request.
func (s *scene) metadata(t *testing.T, tenants []tenant) {
	s.apply(t, metadataDocuments(tenants))
	get := func(g guest, path string, via ...string) string {
		return strings.TrimSpace(s.exec(t, g.name, append(via, path)...))
	}
	curl := []string{"curl", "-gsSf", "--max-time", "10"}
	for _, g := range all(tenants) {
		s.exec(t, g.name, "ip", "route", "replace", "169.254.169.254", "dev", "eth0")
		s.exec(t, g.name, "ip", "-6", "route", "replace", "fd00:ec2::254", "dev", "eth0")
		for _, c := range []struct {
			path, want string
			via        []string
		}{
			{"http://169.254.169.254/latest/meta-data/instance-id", "i-" + g.name, curl},
			{"http://169.254.169.254/latest/meta-data/local-ipv4", g.v4().String(), curl},
			{"http://[fd00:ec2::254]/latest/user-data", "of " + g.String(), curl},
			{"http://169.254.169.254/nocloud/user-data", "of " + g.String(), []string{"wget", "-q", "-T", "10", "-t", "1", "-O", "-"}},
		} {
			if got := get(g, c.path, c.via...); got != c.want {
				t.Errorf("%s gets %q from %s, not %q", g, got, c.path, c.want)
			}
		}
	}
	g := tenants[0].guests[0]
	s.exec(t, g.name, "ping", "-c", "1", "-W", "5", "169.254.169.254")
	s.apply(t, client.Documents{"interface_metadata": {g.told("changed")}})
	if got := get(g, "http://169.254.169.254/latest/user-data", curl...); got != "changed" {
		t.Errorf("after the change %s gets %q", g, got)
	}
}

// cloudInit asks by cloud-init's datasources, whose findings are what the API says, and asks again by the routes that cloud-init would then configure.
func (s *scene) cloudInit(t *testing.T, g guest) {
	const base = "http://169.254.169.254"
	ask := func() cloudinit.Answers {
		return cloudinit.Ask(t, base, "eth0", func(argv ...string) (string, error) { return s.lab.Exec(t.Context(), g.name, argv...) })
	}
	get := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	i, err := client.Get[model.Interface](t.Context(), s.api, g.iface())
	get(err)
	m, err := client.Get[model.InterfaceMetadata](t.Context(), s.api, "im-"+g.name)
	get(err)
	got := ask()
	for source, d := range map[string]cloudinit.Data{"EC2": got.EC2, "EC2 without a token": got.EC2WithoutToken, "NoCloud": got.NoCloud} {
		want := cloudinit.Data{
			InstanceID: m.Object.InstanceID, Hostname: i.Object.GuestName(), FQDN: d.FQDN, PublicKeys: m.Object.PublicKeys.All(), UserData: []byte(m.Object.UserData), VendorData: []byte{},
			NetworkConfig: d.NetworkConfig, Metadata: d.Metadata,
		}
		if source == "NoCloud" {
			want.VendorData = []byte(m.Object.VendorData)
		}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Errorf("%s by %s: -want +got:\n%s", g, source, diff)
		}
	}
	addrs := []string{netip.PrefixFrom(g.v4(), subnet4.Bits()).String(), netip.PrefixFrom(g.v6(), subnet6.Bits()).String()}
	routes := []string{"169.254.169.254/32 via " + server4.String()}
	if !slices.Equal(got.Static.Addresses, addrs) || !slices.Equal(got.Static.Routes, routes) {
		t.Errorf("cloud-init configures %s with %v and %v, not %v and %v", g, got.Static.Addresses, got.Static.Routes, addrs, routes)
	}
	s.exec(t, g.name, "ip", "route", "del", "169.254.169.254", "dev", "eth0")
	for _, r := range got.Static.Routes {
		s.exec(t, g.name, append([]string{"ip", "route", "replace"}, strings.Fields(r)...)...)
	}
	if again := ask(); again.EC2.InstanceID != got.EC2.InstanceID {
		t.Errorf("by the routes of its network-config %s gets %q", g, again.EC2.InstanceID)
	}
}
