package scenarios

import (
	"strings"
	"testing"

	"github.com/openvnet/openvnet/client"
)

// metadataParams gives the tenant's service of metadata, of the interface that its DHCP service has.
func (t tenant) metadataParams() client.Params {
	return client.Params{"uuid": "ns-meta" + t.name, "mode": "metadata", "interface_uuid": t.server()}
}

// told gives what the guest is told.
func (g guest) told(userData string) client.Params {
	return client.Params{"uuid": "im-" + g.name, "interface_uuid": g.iface(), "user_data": userData}
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
			{"http://169.254.169.254/latest/meta-data/instance-id", g.iface(), curl},
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
