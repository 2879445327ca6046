package scenarios

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// badRequests sends what the manager must refuse, by the Web API and by vnctl: each gives a clear error, and the store stays at its revision.
func (s *scene) badRequests(t *testing.T, tn tenant) {
	before, err := s.api.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	taken := tn.guests[0]
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the message
	}{
		{"unknown field", "POST", "networks", `{"ipv4_network": "10.1.0.0", "colour": "red"}`, 400, "colour"},
		{"bad prefix", "POST", "networks", `{"ipv4_network": "10.1.0.0", "ipv4_prefix": 33}`, 400, "ipv4_prefix"},
		{"bits beyond the prefix", "POST", "networks", `{"ipv4_network": "10.1.0.5", "ipv4_prefix": 24}`, 400, "10.1.0.0"},
		{"address outside the subnet", "POST", "ip_leases", `{"network_uuid": "` + tn.network() + `", "interface_uuid": "` + taken.iface() + `", "ipv4_address": "10.9.0.1"}`, 400, "10.9.0.1 is outside 10.0.0.0/24"},
		{"duplicate address", "POST", "interfaces", `{"mode": "vif", "network_uuid": "` + tn.network() + `", "ipv4_address": "` + taken.v4().String() + `"}`, 409, taken.v4().String()},
		{"duplicate MAC address", "POST", "mac_leases", `{"mac_address": "` + taken.mac.String() + `"}`, 409, taken.mac.String()},
		{"duplicate uuid", "POST", "networks", `{"uuid": "` + tn.network() + `", "ipv4_network": "10.1.0.0"}`, 400, tn.network()},
		{"reference to nothing", "POST", "interfaces", `{"mode": "vif", "network_uuid": "nw-nothing", "ipv4_address": "10.0.0.77"}`, 404, "nw-nothing"},
		{"service of a guest", "POST", "network_services", `{"mode": "dhcp", "interface_uuid": "` + taken.iface() + `"}`, 400, "simulated"},
		{"truncated JSON", "POST", "networks", `{"ipv4_network": "10.1.0.0", `, 400, ""},
		{"truncated JSON of many", "POST", "apply", `{"networks": [{"uuid": "nw-x", "ipv4_network": "10.1.0.0"}, {"uuid"`, 400, ""},
		{"one bad document of many", "POST", "apply", `{"networks": [{"uuid": "nw-x", "ipv4_network": "10.1.0.0"}, {"uuid": "nw-y"}]}`, 400, "networks[1]"},
		{"change of what is not there", "PUT", "interfaces/if-nothing", `{"display_name": "x"}`, 404, "if-nothing"},
		{"deletion of what is not there", "DELETE", "networks/nw-nothing", "", 404, "nw-nothing"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, s.api.Server()+"/"+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var refusal struct{ Error, Message, Code string }
		if err == nil {
			err = json.Unmarshal(body, &refusal)
		}
		if err != nil || resp.StatusCode != tc.status || refusal.Error == "" || refusal.Code == "" || refusal.Message == "" || !strings.Contains(refusal.Message, tc.want) {
			t.Errorf("%s: %s %s (%v), want %d with %q", tc.name, resp.Status, body, err, tc.status, tc.want)
		}
	}
	for _, tc := range []struct{ args, want string }{
		{"interfaces add --mode vif --network-uuid nw-nothing --ipv4-address 10.0.0.77", "nw-nothing"},
		{"networks add --ipv4-network 10.1.0.0 --ipv4-prefix 33", "ipv4-prefix"},
		{"ip-leases add --network-uuid " + tn.network() + " --interface-uuid " + taken.iface() + " --ipv4-address 10.9.0.1", "10.9.0.1 is outside"},
		{"networks add --colour red", "colour"},
	} {
		cmd := exec.CommandContext(t.Context(), programs.dir+"/vnctl", append([]string{"--server", s.lab.API()}, strings.Fields(tc.args)...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(strings.ReplaceAll(string(out), "_", "-"), tc.want) {
			t.Errorf("vnctl %s: %v, want a refusal with %q:\n%s", tc.args, err, tc.want, out)
		}
	}
	after, err := s.api.Version(t.Context())
	if err != nil || after.Revision != before.Revision {
		t.Errorf("the store is at revision %d after bad requests, was at %d (%v)", after.Revision, before.Revision, err)
	}
}

// lyingDHCP sends DHCP packets that lie about lengths: each is counted, no answer comes, and the service goes on.
func (s *scene) lyingDHCP(t *testing.T, g guest) {
	const host = "node1"
	discover, err := dhcpv4.NewDiscovery(hw(g.mac))
	if err != nil {
		t.Fatal(err)
	}
	honest := udp(t, g.mac, broadcast, at(netip.IPv4Unspecified(), 68), at(netip.MustParseAddr("255.255.255.255"), 67), string(discover.ToBytes()))
	const ipAt, udpAt, dhcpAt = 14, 34, 42
	options := dhcpAt + 240
	// Open vSwitch's daemon sees no IPv4 packet in one that is longer than its frame. The kernel does, and hands it on if it has a flow for it by then.
	longer, handedOn := counter{"flow", "ipv4_source"}, counter{"dhcp", "ipv4: bad total length"}
	lies := []struct {
		name  string
		where counter
		frame []byte
	}{
		{"UDP longer than IP", counter{"dhcp", "udp: bad length"}, changed(honest, func(f []byte) { binary.BigEndian.PutUint16(f[udpAt+4:], 2000) })},
		{"UDP shorter than its header", counter{"dhcp", "udp: bad length"}, changed(honest, func(f []byte) { binary.BigEndian.PutUint16(f[udpAt+4:], 3) })},
		{"IP longer than the frame", longer, changed(honest, func(f []byte) { binary.BigEndian.PutUint16(f[ipAt+2:], 9000); fixIP(f) })},
		{"hardware address longer than its field", counter{"dhcp", "dhcp: bad hardware type or length"}, changed(honest, func(f []byte) { f[dhcpAt+2] = 255 })},
		{"option longer than the packet", counter{"dhcp", "dhcp: bad option length"}, changed(honest, func(f []byte) { f[options+1] = 255 })},
		{"cut in the header", counter{"dhcp", "dhcp: short"}, udp(t, g.mac, broadcast, at(netip.IPv4Unspecified(), 68), at(netip.MustParseAddr("255.255.255.255"), 67), string(discover.ToBytes()[:100]))},
		{"cut in the options", counter{"dhcp", "dhcp: bad option length"}, udp(t, g.mac, broadcast, at(netip.IPv4Unspecified(), 68), at(netip.MustParseAddr("255.255.255.255"), 67), string(discover.ToBytes()[:242]))},
		{"empty", counter{"dhcp", "dhcp: short"}, udp(t, g.mac, broadcast, at(netip.IPv4Unspecified(), 68), at(netip.MustParseAddr("255.255.255.255"), 67), "")},
	}
	agent, err := s.lab.Record(host, lab.Agent)
	if err != nil {
		t.Fatal(err)
	}
	before, mark := s.drops(t, host), s.watches[g.name].mark()
	want := map[counter]uint64{}
	for _, l := range lies {
		s.send(t, g, l.frame)
		want[l.where]++
	}
	relevant := func(drops map[counter]uint64) map[counter]uint64 {
		grown := map[counter]uint64{}
		for c, n := range drops {
			if (c.where == "dhcp" || c.reason == "ipv4_source") && n != before[c] {
				n -= before[c]
				if c == handedOn && s.lab.Datapath() == lab.KernelDatapath {
					c = longer
				}
				grown[c] += n
			}
		}
		return grown
	}
	wait.For(t, patience, "the counters", func() error {
		if got := relevant(s.drops(t, host)); !maps.Equal(got, want) {
			return fmt.Errorf("%v were counted, want %v", got, want)
		}
		return nil
	})
	// An honest client is answered, and nobody else has been.
	s.send(t, g, honest)
	s.watches[g.name].await(t, patience, "an offer", mark, isDHCPAnswer)
	if n := s.watches[g.name].count(mark, isDHCPAnswer); n != 1 {
		t.Errorf("%d answers came, want that to the honest client", n)
	}
	if now, err := s.lab.Record(host, lab.Agent); err != nil || now.PID != agent.PID || !now.Alive() {
		t.Errorf("the agent is not the one that it was: %+v, %v", now, err)
	}
	if st, err := ask[local.Status](s, host, local.PathStatus); err != nil || len(st.Problems) > 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}

func isDHCPAnswer(f []byte) bool {
	return len(f) > 42 && f[12] == 8 && f[13] == 0 && f[23] == 17 && binary.BigEndian.Uint16(f[34:]) == 67
}

// changed gives a changed copy of a frame, without a UDP checksum.
func changed(f []byte, change func([]byte)) []byte {
	f = slices.Clone(f)
	f[40], f[41] = 0, 0
	change(f)
	return f
}

// fixIP puts the checksum of an IPv4 header of 20 bytes right.
func fixIP(f []byte) {
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
}
