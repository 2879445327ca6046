package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/manager/api/apitest"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// server is a manager's Web API in a test.
type server struct {
	t testing.TB
	*apitest.Manager
}

func newServer(t testing.TB) *server {
	t.Helper()
	return &server{t: t, Manager: apitest.Start(t)}
}

// answer is a response of the API.
type answer struct {
	*httptest.ResponseRecorder
	body any
}

// send makes one request; a path without /api is below /api/1.0. The content type is given by the body's type: url.Values,
// string (JSON), yamlText, or anything that is encoded as JSON.
func (s *server) send(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	if !strings.HasPrefix(path, "/api") && path != "/healthz" {
		path = "/api/1.0" + path
	}
	var text, kind string
	switch b := body.(type) {
	case nil:
	case url.Values:
		text, kind = b.Encode(), "application/x-www-form-urlencoded"
	case yamlText:
		text, kind = string(b), "application/yaml"
	case string:
		text, kind = b, "application/json"
	default:
		enc, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		text, kind = string(enc), "application/json"
	}
	r := httptest.NewRequest(method, path, strings.NewReader(text))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if strings.Contains(path, "/watch") { // whoever wants more than its beginning uses the server
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		r = r.WithContext(ctx)
	}
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	a := answer{ResponseRecorder: w}
	if w.Body.Len() > 0 && strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			s.t.Fatalf("%s %s answers what is not JSON: %v\n%s", method, path, err, w.Body)
		}
	}
	checkDescribed(s.t, method, path, a)
	return a
}

type yamlText string

// ok is send where nothing but 200 will do; it gives the body as an object.
func (s *server) ok(method, path string, body any, headers ...string) map[string]any {
	s.t.Helper()
	a := s.send(method, path, body, headers...)
	if a.Code != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, a.Code, a.Body)
	}
	m, _ := a.body.(map[string]any)
	return m
}

// refused is send where nothing but that class and parameter will do.
func (s *server) refused(class model.Class, parameter, method, path string, body any, headers ...string) {
	s.t.Helper()
	a := s.send(method, path, body, headers...)
	m, _ := a.body.(map[string]any)
	p, _ := m["parameter"].(string)
	if a.Code != class.Status || m["error"] != class.Name || m["code"] != class.Code || p != parameter || m["message"] == "" {
		s.t.Errorf("%s %s %v: got %d %s; want %d %s, parameter %q", method, path, body, a.Code, a.Body, class.Status, class.Name, parameter)
	}
}

// world makes the objects that samples refer to.
func (s *server) world() {
	s.t.Helper()
	s.ok("POST", "/apply", worldDocuments())
}

// worldDocuments are one of most things, and three, with a number at the end, of those that rows pair up.
func worldDocuments() map[string][]app.Params {
	docs := map[string][]app.Params{
		"networks":                   {{"uuid": "nw-w", "ipv4_network": "10.9.0.0", "ipv4_prefix": 16}},
		"datapaths":                  {{"uuid": "dp-w", "display_name": "w", "dpid": "0xaa", "node_id": "w"}, {"uuid": "dp-w2", "display_name": "w2", "dpid": "0xab", "node_id": "w2"}},
		"segments":                   {{"uuid": "seg-w", "mode": "virtual"}},
		"route_links":                {{"uuid": "rl-w", "mac_address": "02:fe:00:00:00:01"}},
		"mac_range_groups":           {{"uuid": "mrg-w"}},
		"mac_ranges":                 {{"uuid": "mr-w", "mac_range_group_uuid": "mrg-w", "begin_mac_address": "02:fd:00:00:00:00", "end_mac_address": "02:fd:00:00:ff:ff"}},
		"ip_range_groups":            {{"uuid": "iprg-w"}},
		"ip_ranges":                  {{"uuid": "ipr-w", "ip_range_group_uuid": "iprg-w", "begin_ipv4_address": "10.9.100.0", "end_ipv4_address": "10.9.100.255"}},
		"ip_lease_containers":        {{"uuid": "ilc-w"}},
		"ip_retention_containers":    {{"uuid": "irc-w"}},
		"lease_policies":             {{"uuid": "lp-w"}},
		"topologies":                 {{"uuid": "topo-over", "mode": "simple_overlay"}, {"uuid": "topo-under", "mode": "simple_underlay"}},
		"security_groups":            {{"uuid": "sg-w", "display_name": "w"}},
		"address_groups":             {{"uuid": "ag-w", "display_name": "w", "addresses": "10.0.0.0/8"}},
		"lease_policy_base_networks": {{"uuid": "lpn-w", "lease_policy_uuid": "lp-w", "network_uuid": "nw-w", "ip_range_group_uuid": "iprg-w"}},
		"interfaces": {
			{"uuid": "if-host", "mode": "host", "owner_datapath_uuid": "dp-w", "port_name": "eth0"}, {"uuid": "if-sim", "mode": "simulated"}, {"uuid": "if-vif", "mode": "vif", "port_name": "vif"},
			{"uuid": "if-gw", "mode": "simulated", "enable_routing": true, "network_uuid": "nw-w", "ipv4_address": "10.9.255.1", "mac_address": "02:fe:00:00:01:01"},
			{"uuid": "if-edge", "mode": "edge", "owner_datapath_uuid": "dp-w", "port_name": "eth9"},
		},
		"mac_leases":       {{"uuid": "ml-vif", "interface_uuid": "if-vif", "mac_address": "02:ff:00:00:00:01"}},
		"ip_leases":        {{"uuid": "il-vif", "mac_lease_uuid": "ml-vif", "network_uuid": "nw-w", "ipv4_address": "10.9.255.2"}},
		"network_services": {{"uuid": "ns-w", "mode": "dns", "interface_uuid": "if-gw"}, {"uuid": "ns-wd", "mode": "dhcp", "interface_uuid": "if-gw"}},
		"dns_services":     {{"uuid": "dnss-w", "network_service_uuid": "ns-w"}},
		"filters":          {{"uuid": "fil-w", "interface_uuid": "if-vif", "mode": "static"}},
		"translations":     {{"uuid": "tr-w", "interface_uuid": "if-gw", "mode": "static_address"}, {"uuid": "tr-edge", "interface_uuid": "if-edge", "mode": "vnet_edge"}},
	}
	for n := range 3 {
		more := map[string]app.Params{
			"networks":                {"uuid": "nw-w%d", "ipv4_network": "10.20%d.0.0"},
			"datapaths":               {"uuid": "dp-n%d", "display_name": "n%d", "dpid": "0xb%d", "node_id": "n%d"},
			"segments":                {"uuid": "seg-w%d", "mode": "virtual"},
			"route_links":             {"uuid": "rl-w%d", "mac_address": "02:fe:00:00:02:0%d"},
			"mac_range_groups":        {"uuid": "mrg-w%d"},
			"ip_lease_containers":     {"uuid": "ilc-w%d"},
			"ip_retention_containers": {"uuid": "irc-w%d"},
			"topologies":              {"uuid": "topo-u%d", "mode": "simple_underlay"},
		}
		for plural, p := range more {
			for name, v := range p {
				p[name] = strings.ReplaceAll(v.(string), "%d", strconv.Itoa(n))
			}
			docs[plural] = append(docs[plural], p)
		}
		docs["interfaces"] = append(docs["interfaces"],
			app.Params{"uuid": fmt.Sprintf("if-h%d", n), "mode": "host", "owner_datapath_uuid": fmt.Sprintf("dp-n%d", n), "port_name": "eth0"},
			app.Params{"uuid": fmt.Sprintf("if-v%d", n), "mode": "vif"})
		docs["mac_leases"] = append(docs["mac_leases"], app.Params{"uuid": fmt.Sprintf("ml-h%d", n), "interface_uuid": fmt.Sprintf("if-h%d", n), "mac_address": fmt.Sprintf("02:fe:00:00:03:0%d", n)},
			app.Params{"uuid": fmt.Sprintf("ml-v%d", n), "interface_uuid": fmt.Sprintf("if-v%d", n), "mac_address": fmt.Sprintf("02:fe:00:00:04:0%d", n)})
		docs["ip_leases"] = append(docs["ip_leases"], app.Params{"uuid": fmt.Sprintf("il-h%d", n), "mac_lease_uuid": fmt.Sprintf("ml-h%d", n), "network_uuid": "nw-w", "ipv4_address": fmt.Sprintf("10.9.254.%d", n+1)},
			app.Params{"uuid": fmt.Sprintf("il-v%d", n), "mac_lease_uuid": fmt.Sprintf("ml-v%d", n), "network_uuid": "nw-w", "ipv4_address": fmt.Sprintf("10.9.253.%d", n+1)})
	}
	return docs
}

// room says how many samples of a resource fit the world.
const room = 3

// sample gives the parameters of the n-th creation of a resource in that world, n < room. A resource without a case here has to do with
// its required fields alone.
func sample(r *model.Resource, n int) app.Params {
	p := app.Params{}
	for _, f := range r.Fields {
		if f.Required && f.Enum != nil {
			p[f.Name] = f.Enum[0]
		}
	}
	more := map[*model.Resource]app.Params{
		model.Datapaths:                        {"display_name": fmt.Sprintf("host %d", n), "dpid": fmt.Sprintf("0x%x", n+1), "node_id": fmt.Sprintf("node%d", n)},
		model.Networks:                         {"display_name": fmt.Sprintf("network %d", n), "ipv4_network": fmt.Sprintf("10.%d.0.0", 100+n)},
		model.Interfaces:                       {"display_name": fmt.Sprintf("guest %d", n), "port_name": fmt.Sprintf("port%d", n)},
		model.MACLeases:                        {"interface_uuid": "if-vif", "mac_address": fmt.Sprintf("02:00:00:00:00:%02x", n)},
		model.IPLeases:                         {"mac_lease_uuid": "ml-vif", "network_uuid": "nw-w", "ipv4_address": fmt.Sprintf("10.9.0.%d", n+1)},
		model.InterfacePorts:                   {"interface_uuid": "if-vif", "datapath_uuid": "dp-n%d"},
		model.NetworkServices:                  {"interface_uuid": "if-sim"},
		model.DatapathNetworks:                 {"datapath_uuid": "dp-w", "network_uuid": "nw-w%d", "interface_uuid": "if-host"},
		model.DatapathSegments:                 {"datapath_uuid": "dp-w", "segment_uuid": "seg-w%d", "interface_uuid": "if-host"},
		model.DatapathRouteLinks:               {"datapath_uuid": "dp-w", "route_link_uuid": "rl-w%d", "interface_uuid": "if-host"},
		model.InterfaceNetworks:                {"interface_uuid": "if-sim", "network_uuid": "nw-w%d", "static": true},
		model.InterfaceSegments:                {"interface_uuid": "if-sim", "segment_uuid": "seg-w%d", "static": true},
		model.InterfaceRouteLinks:              {"interface_uuid": "if-sim", "route_link_uuid": "rl-w%d", "static": true},
		model.TopologyDatapaths:                {"topology_uuid": "topo-under", "datapath_uuid": "dp-n%d", "interface_uuid": "if-h%d"},
		model.TopologyLayers:                   {"overlay_uuid": "topo-over", "underlay_uuid": "topo-u%d"},
		model.TopologyNetworks:                 {"topology_uuid": "topo-over", "network_uuid": "nw-w%d"},
		model.TopologySegments:                 {"topology_uuid": "topo-over", "segment_uuid": "seg-w%d"},
		model.TopologyRouteLinks:               {"topology_uuid": "topo-over", "route_link_uuid": "rl-w%d"},
		model.TopologyMACRangeGroups:           {"topology_uuid": "topo-under", "mac_range_group_uuid": "mrg-w%d"},
		model.MACRanges:                        {"mac_range_group_uuid": "mrg-w", "begin_mac_address": "02:fc:00:0%d:00:00", "end_mac_address": "02:fc:00:0%d:00:ff"},
		model.IPRanges:                         {"ip_range_group_uuid": "iprg-w", "begin_ipv4_address": "10.9.11%d.0", "end_ipv4_address": "10.9.11%d.9"},
		model.IPLeaseContainerIPLeases:         {"ip_lease_container_uuid": "ilc-w", "ip_lease_uuid": "il-v%d"},
		model.IPRetentions:                     {"ip_retention_container_uuid": "irc-w", "ip_lease_uuid": "il-v%d"},
		model.LeasePolicyBaseNetworks:          {"lease_policy_uuid": "lp-w", "network_uuid": "nw-w%d", "ip_range_group_uuid": "iprg-w"},
		model.LeasePolicyBaseInterfaces:        {"lease_policy_uuid": "lp-w", "interface_uuid": "if-v%d"},
		model.LeasePolicyIPLeaseContainers:     {"lease_policy_uuid": "lp-w", "ip_lease_container_uuid": "ilc-w%d"},
		model.LeasePolicyIPRetentionContainers: {"lease_policy_uuid": "lp-w", "ip_retention_container_uuid": "irc-w%d"},
		model.Routes:                           {"interface_uuid": "if-gw", "network_uuid": "nw-w", "route_link_uuid": "rl-w", "ipv4_network": "10.3%d.0.0"},
		model.InterfaceMetadatas:               {"interface_uuid": "if-v%d", "instance_id": "i-%d"},
		model.Filters:                          {"interface_uuid": "if-v%d"},
		model.FilterStatics:                    {"filter_uuid": "fil-w", "protocol": "tcp", "dst_port": json.Number(strconv.Itoa(22 + n)), "action": "pass"},
		model.Translations:                     {"interface_uuid": "if-gw", "mode": "masquerade"},
		model.TranslationStaticAddresses:       {"translation_uuid": "tr-w", "ingress_ipv4_address": "192.0.2.%d", "egress_ipv4_address": "10.9.0.1"},
		model.VLANTranslations:                 {"translation_uuid": "tr-edge", "network_uuid": "nw-w%d", "vlan_id": json.Number(strconv.Itoa(10 + n))},
		model.SecurityGroups:                   {"display_name": "group %d"},
		model.SecurityGroupInterfaces:          {"security_group_uuid": "sg-w", "interface_uuid": "if-v%d"},
		model.SecurityGroupRules:               {"security_group_uuid": "sg-w", "protocol": "tcp", "port_first": json.Number(strconv.Itoa(22 + n))},
		model.AddressGroups:                    {"display_name": "addresses %d"},
		model.Mirrors:                          {"interface_uuid": "if-vif", "target_interface_uuid": "if-v%d"},
		model.DHCPOptions:                      {"network_service_uuid": "ns-wd", "code": json.Number(strconv.Itoa(200 + n)), "format": "hex", "value": "01"},
		model.DNSServices:                      {"network_service_uuid": "ns-w"},
		model.DNSRecords:                       {"dns_service_uuid": "dnss-w", "name": "host%d.example", "type": "srv", "target": "a.example", "port": 5060.0},
		model.RouteLinks:                       {"mac_address": "02:00:00:00:01:0%d"},
	}
	for name, v := range more[r] {
		if text, ok := v.(string); ok {
			v = strings.ReplaceAll(text, "%d", strconv.Itoa(n))
		}
		p[name] = v
	}
	return p
}

// changes are values that fields of that name can be changed to, whatever the resource.
var changes = map[string]any{
	"display_name": "changed", "description": "changed", "label": "changed", "labels": "a=b,c=d", "timing": "dhcp", "allocation_type": "decremental",
	"lease_time": 10.0, "grace_time": 20.0, "ttl": 60.0, "domain_name": "changed", "public_dns": "10.9.0.53", "rules": "tcp:22:0.0.0.0/0", "node_id": "changed",
	"encapsulation": "vxlan", "multicast": "drop", "unknown_unicast": "flood", "mtu": 1400.0, "addresses": "10.1.0.0/16", "remote_addresses": "10.2.0.0/16", "priority": 5.0,
	"port_last": 99.0, "direction": "egress", "ingress_rate": 1000.0, "egress_burst": 10.0, "dscp": 46.0, "connection_limit": 100.0, "ipv4_gateway": "10.9.0.1",
	"incoming_port": 53.0, "outgoing_port": 54.0, "vlan_id": 77.0, "dhcp_lease_time": 600.0, "instance_id": "i-changed", "encoding": "base64", "user_data": "Iw==", "vendor_data": "Iw==", "network_config": "version: 2", "public_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN a@b", "format": "text", "value": "22", "action": "drop", "dst_port": 99.0, "mac_address": "02:aa:00:00:00:01",
}
