package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/api/apitest"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/manager/sync"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

func items(m map[string]any) []map[string]any {
	var out []map[string]any
	for _, i := range m["items"].([]any) {
		out = append(out, i.(map[string]any))
	}
	return out
}

func uuidsOf(m map[string]any) []string {
	var out []string
	for _, i := range items(m) {
		out = append(out, i["uuid"].(string))
	}
	return out
}

func TestFields(t *testing.T) {
	s := newServer(t)
	s.world()
	for path, want := range map[string][]string{
		"/networks/nw-w?fields=uuid,display_name":             {"display_name", "uuid"},
		"/networks/nw-w?fields=status":                        {"status"},
		"/interfaces/if-vif?fields=mac_address,mac_leases":    {"mac_address", "mac_leases"},
		"/security_groups/sg-w/interfaces/if-v0?fields=uuid":  nil,
		"/interfaces/if-vif/networks/nw-w?fields=static,uuid": {"static", "uuid"},
	} {
		if want == nil {
			s.ok("POST", "/security_groups/sg-w/interfaces/if-v0", nil)
			want = []string{"uuid"}
		}
		got := s.ok("GET", path, nil)
		var names []string
		for name := range got {
			names = append(names, name)
		}
		slices.Sort(names)
		if d := cmp.Diff(want, names); d != "" {
			t.Errorf("%s: -want +got:\n%s", path, d)
		}
	}
	for _, item := range items(s.ok("GET", "/interfaces?fields=uuid,status", nil)) {
		if len(item) != 2 || item["uuid"] == nil {
			t.Errorf("item %v", item)
		}
	}
	s.refused(model.ArgumentError, "fields", "GET", "/networks?fields=uuid,colour", nil)
	s.refused(model.ArgumentError, "fields", "GET", "/networks/nw-w?fields=", nil)
}

func TestLabels(t *testing.T) {
	s := newServer(t)
	s.ok("POST", "/networks", `{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "labels": {"tier": "web", "app": "shop"}}`)
	s.ok("POST", "/networks?labels=app=shop,tier=db&uuid=nw-b&ipv4_network=10.0.1.0", nil)
	s.ok("POST", "/networks", `{"uuid": "nw-c", "ipv4_network": "10.0.2.0"}`)
	s.ok("PUT", "/networks/nw-c", `{"labels": {"app": "mail"}}`)
	for selector, want := range map[string][]string{
		"app=shop": {"nw-a", "nw-b"}, "app=shop,tier=db": {"nw-b"}, "tier": {"nw-a", "nw-b"}, "app=mail": {"nw-c"}, "app=sho": nil, "": nil,
	} {
		if d := cmp.Diff(want, uuidsOf(s.ok("GET", "/networks?labels="+selector, nil))); d != "" {
			t.Errorf("%s: -want +got:\n%s", selector, d)
		}
	}
	s.refused(model.ArgumentError, "labels", "GET", "/networks?labels==x", nil)
	s.refused(model.ArgumentError, "labels", "PUT", "/networks/nw-c", `{"labels": {"a": ["b"]}}`)
	s.refused(model.ArgumentError, "labels", "PUT", "/networks/nw-c", `{"labels": {"a": "b,c=d"}}`)
}

// OpenVNet's own clients put everything into the query string and read these members.
func TestLegacyClients(t *testing.T) {
	s := newServer(t)
	s.world()
	s.ok("POST", "/networks.json?uuid=nw-old&ipv4_network=10.5.0.0&ipv4_prefix=24&network_mode=physical", nil)
	if got := s.ok("GET", "/networks/nw-old.json", nil); got["mode"] != "physical" {
		t.Errorf("network_mode: %v", got)
	}
	s.refused(model.ArgumentError, "mode", "POST", "/networks?ipv4_network=10.5.0.0&network_mode=physical&mode=virtual", nil)
	s.ok("POST", "/network_services.json?type=dhcp&interface_uuid=if-sim", nil)
	s.ok("POST", "/datapaths/dp-w/networks/nw-w.json?interface_uuid=if-host&broadcast_mac_address=02:00:00:cc:00:01", nil)
	if got := s.ok("GET", "/datapaths/dp-w/networks.json", nil); got["total_count"] != 1.0 || items(got)[0]["uuid"] != "nw-w" || items(got)[0]["mac_address"] != "02:00:00:cc:00:01" {
		t.Errorf("a datapath's networks: %v", got)
	}
	if got := s.ok("PUT", "/interfaces/if-sim/segments/seg-w.json", nil); len(got) != 0 {
		t.Errorf("PUT without static: %v", got)
	}
	if got := s.ok("PUT", "/interfaces/if-sim/segments/seg-w.json?static=true", nil); got["static"] != true || got["segment_uuid"] != "seg-w" {
		t.Errorf("PUT static: %v", got)
	}
	if got := s.ok("GET", "/interfaces/if-sim/segments.json", nil); got["total_count"] != 1.0 || items(got)[0]["segment_uuid"] != "seg-w" {
		t.Errorf("an interface's segments: %v", got)
	}
	s.ok("PUT", "/interfaces/if-sim/segments/seg-w.json?static=false", nil)
	if got := s.ok("GET", "/interfaces/if-sim/segments", nil); got["total_count"] != 0.0 {
		t.Errorf("an interface's segments, not static any more: %v", got)
	}
	s.ok("POST", "/topologies/topo-over/networks/nw-w.json", nil)
	if got := items(s.ok("GET", "/topologies/topo-over/networks.json", nil)); len(got) != 1 || got[0]["topology_uuid"] != "topo-over" || got[0]["network_uuid"] != "nw-w" {
		t.Errorf("a topology's networks: %v", got)
	}
	s.refused(model.RelationAlreadyExists, "network_uuid", "POST", "/topologies/topo-over/networks/nw-w.json", nil)
	s.ok("POST", "/interfaces/if-vif/security_groups/sg-w.json", nil)
	if got := s.ok("GET", "/interfaces/if-vif/security_groups.json", nil); got["total_count"] != 1.0 || items(got)[0]["uuid"] != "sg-w" {
		t.Errorf("an interface's security groups: %v", got)
	}
	if a := s.send("DELETE", "/interfaces/if-vif/security_groups/sg-w.json", nil); strings.TrimSpace(a.Body.String()) != `["sg-w"]` {
		t.Errorf("DELETE: %s", a.Body)
	}
}

func TestDeleteMatching(t *testing.T) {
	s := newServer(t)
	s.world()
	rules := "/filters/fil-w/static"
	rule := s.ok("POST", rules+"?protocol=tcp&src_address=0.0.0.0/0&dst_port=22&action=pass", nil)["uuid"].(string)
	s.ok("POST", rules+"?protocol=tcp&src_address=10.0.0.0/8&dst_port=22&action=pass", nil)
	s.ok("POST", rules+"?protocol=icmp&action=pass", nil)
	s.refused(model.MissingArgument, "protocol", "DELETE", rules, nil)
	s.refused(model.UnknownResource, "", "DELETE", rules+"?protocol=tcp", nil) // missing means any, which no rule has
	if a := s.send("DELETE", rules+"?protocol=tcp&dst_port=22", nil); strings.TrimSpace(a.Body.String()) != fmt.Sprintf("[%q]", rule) {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
	if n := s.ok("GET", rules, nil)["total_count"]; n != 2.0 {
		t.Errorf("%v rules are left", n)
	}
	for _, path := range []string{"/filters/static/fil-w", "/filters/static/?filter_uuid=fil-w", "/filters/static/.json?filter_uuid=fil-w"} { // as OpenVNet's client library asks
		if n := s.ok("GET", path, nil)["total_count"]; n != 2.0 {
			t.Errorf("%s: %v rules", path, n)
		}
	}
	addresses := "/translations/tr-w/static_address"
	s.ok("POST", addresses+"?ingress_ipv4_address=192.0.2.1&egress_ipv4_address=10.9.0.1&ingress_network_uuid=nw-w", nil)
	s.ok("POST", addresses+"?ingress_ipv4_address=192.0.2.1&egress_ipv4_address=10.9.0.2&ingress_port_number=80&egress_port_number=8080", nil)
	s.refused(model.UnknownResource, "", "DELETE", addresses+"?ingress_ipv4_address=192.0.2.7&egress_ipv4_address=10.9.0.1", nil)
	s.refused(model.MissingArgument, "uuid", "DELETE", addresses, nil)
	if a := s.send("DELETE", addresses+"?ingress_ipv4_address=192.0.2.1&egress_ipv4_address=10.9.0.2&ingress_port_number=80&egress_port_number=8080&egress_network_uuid=nw-w", nil); a.Code != 200 {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
	if n := s.ok("GET", addresses, nil)["total_count"]; n != 1.0 {
		t.Errorf("%v rows are left", n)
	}
}

func TestLeaseActions(t *testing.T) {
	s := newServer(t)
	s.world()
	lease := s.ok("POST", "/lease_policies/lp-w/ip_leases?ip_lease_uuid=il-free", nil)
	if lease["uuid"] != "il-free" || lease["interface_uuid"] != nil || lease["network_uuid"] != "nw-w" {
		t.Errorf("allocated %v", lease)
	}
	if got := s.ok("PUT", "/ip_leases/il-free/attach?interface_uuid=if-v0", nil); got["interface_uuid"] != "if-v0" || got["mac_lease_uuid"] != "ml-v0" {
		t.Errorf("attached %v", got)
	}
	if got := s.ok("PUT", "/ip_leases/il-free/release", nil); got["interface_uuid"] != nil {
		t.Errorf("released %v", got)
	}
	s.ok("POST", "/ip_range_groups?uuid=iprg-one", nil)
	s.ok("POST", "/ip_range_groups/iprg-one/ip_ranges?begin_ipv4_address=10.9.120.1&end_ipv4_address=10.9.120.1", nil)
	s.ok("POST", "/lease_policies?uuid=lp-one", nil)
	s.ok("POST", "/lease_policies/lp-one/networks/nw-w?ip_range_group_uuid=iprg-one", nil)
	s.ok("POST", "/lease_policies/lp-one/ip_leases", nil)
	s.refused(model.Exhausted, "network_uuid", "POST", "/lease_policies/lp-one/ip_leases", nil)
	s.refused(model.ArgumentError, "network_uuid", "PUT", "/ip_leases/il-free/attach?network_uuid=nw-w", nil)
	s.refused(model.UnknownUUIDResource, "uuid", "PUT", "/ip_leases/il-none/release", nil)
	s.refused(model.UnknownUUIDResource, "uuid", "POST", "/lease_policies/lp-none/ip_leases", nil)
}

// An interface that was found on a host shows where, and where it moves to; who moves it is the provider.
func TestMoveInterface(t *testing.T) {
	s := &server{t: t, Manager: apitest.StartWith(t, apitest.Options{Identity: tenantOf})}
	s.world()
	way := func(want ...any) {
		t.Helper()
		got := s.ok("GET", "/interfaces/if-vif", nil)
		if d := cmp.Diff(want, []any{got["active_datapath_uuid"], got["target_datapath_uuid"], got["previous_datapath_uuid"]}); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
	way(nil, nil, nil)
	s.refused(model.Conflict, "uuid", "POST", "/interfaces/if-vif/move", app.Params{"datapath_uuid": "dp-w2"})
	if _, err := s.Cases.Place(t.Context(), "dp-w", wire.Ports{Unplaced: []string{"vif"}}); err != nil {
		t.Fatal(err)
	}
	way("dp-w", nil, nil)
	if got := s.ok("POST", "/interfaces/if-vif/move?dry_run=true", app.Params{"datapath_uuid": "dp-w2"}); got["uuid"] != "if-vif" {
		t.Errorf("dry run: %v", got)
	}
	way("dp-w", nil, nil)
	if got := s.ok("POST", "/interfaces/if-vif/move", app.Params{"datapath_uuid": "dp-w2"}); got["target_datapath_uuid"] != "dp-w2" {
		t.Errorf("moves: %v", got)
	}
	if names := uuidsOf(s.ok("GET", "/interfaces?target_datapath_uuid=dp-w2", nil)); !slices.Equal(names, []string{"if-vif"}) {
		t.Errorf("those that move to dp-w2: %v", names)
	}
	s.refused(model.UnknownUUIDResource, "datapath_uuid", "POST", "/interfaces/if-vif/move", app.Params{"datapath_uuid": "dp-none"})
	s.refused(model.ArgumentError, "to", "POST", "/interfaces/if-vif/move", app.Params{"to": "dp-w2"})
	s.refused(model.ArgumentError, "target_datapath_uuid", "PUT", "/interfaces/if-vif", app.Params{"target_datapath_uuid": "dp-w2"})
	s.ok("DELETE", "/interfaces/if-vif/move", nil)
	way("dp-w", nil, nil)
	s.ok("POST", "/interfaces/if-vif/move?datapath_uuid=dp-w2", nil)
	if here, err := s.Cases.Arrive(t.Context(), "dp-w2", []wire.Arrival{{UUID: "if-vif", Port: "vif"}}); err != nil || len(here) != 1 {
		t.Fatalf("%v, %v", here, err)
	}
	way("dp-w2", nil, "dp-w")
	s.ok("POST", "/tenants", app.Params{"uuid": "tn-a"})
	for _, method := range []string{"POST", "DELETE"} {
		for _, who := range []string{"a", "viewer"} {
			s.refused(model.Forbidden, "", method, "/interfaces/if-vif/move", app.Params{"datapath_uuid": "dp-w"}, "X-Test", who)
		}
	}
}

func TestPlanAndPrune(t *testing.T) {
	s := newServer(t)
	s.ok("POST", "/apply?prune=app=shop", `{"networks": [{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}, {"uuid": "nw-b", "ipv4_network": "10.0.1.0"}]}`)
	docs := `{"networks": [{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "display_name": "web"}, {"uuid": "nw-c", "ipv4_network": "10.0.2.0"}]}`
	for _, path := range []string{"/plan?prune=app=shop", "/apply?prune=app=shop"} {
		actions := map[string]string{}
		for _, i := range items(s.ok("POST", path, docs)) {
			actions[i["uuid"].(string)] = i["action"].(string)
			if i["uuid"] == "nw-a" {
				if d := cmp.Diff([]any{map[string]any{"field": "display_name", "from": "", "to": "web"}}, i["changes"]); d != "" {
					t.Errorf("changes: -want +got:\n%s", d)
				}
			}
		}
		if d := cmp.Diff(map[string]string{"nw-a": "updated", "nw-b": "deleted", "nw-c": "created"}, actions); d != "" {
			t.Errorf("%s: -want +got:\n%s", path, d)
		}
		if path[:5] == "/plan" {
			s.ok("GET", "/networks/nw-b", nil)
		}
	}
	s.refused(model.UnknownUUIDResource, "uuid", "GET", "/networks/nw-b", nil)
	s.refused(model.ArgumentError, "dry_run", "POST", "/plan?dry_run=true", docs)
	s.refused(model.ArgumentError, "prune", "POST", "/apply?prune==", docs)
}

func TestCompact(t *testing.T) {
	s := newServer(t)
	doc := yamlText("virtual_network: shop\nnetworks:\n  web: {subnets: [10.1.0.0/24], gateway: true, dhcp: true}\nguests:\n  web1: {network: web, address: [10.1.0.10]}\n")
	first := items(s.ok("POST", "/apply", doc))
	if len(first) < 3 {
		t.Errorf("applied %v", first)
	}
	for _, i := range items(s.ok("POST", "/plan", doc)) {
		if i["action"] != "unchanged" {
			t.Errorf("again: %v", i)
		}
	}
	s.refused(model.ArgumentError, "virtual_network", "POST", "/plan", yamlText("virtual_network: shop\nnetwork: {}\n"))
}

// What is exported changes nothing where it comes from, and makes the same elsewhere.
func TestExport(t *testing.T) {
	s := newServer(t)
	s.world()
	s.ok("POST", "/topologies/topo-under/datapaths/dp-n0?interface_uuid=if-h0", nil)
	s.ok("POST", "/topologies/topo-under/mac_range_groups/mrg-w", nil)
	s.ok("POST", "/topologies/topo-over/underlays/topo-under", nil)
	s.ok("POST", "/topologies/topo-over/networks/nw-w1", nil)
	s.ok("PUT", "/interfaces/if-sim/networks/nw-w2?static=true", nil)
	s.ok("POST", "/interfaces/if-vif/ports?datapath_uuid=dp-w2&port_name=other", nil)
	s.ok("POST", "/lease_policies/lp-w/ip_lease_containers/ilc-w", nil)
	s.ok("POST", "/lease_policies/lp-w/ip_retention_containers/irc-w", nil)
	s.ok("POST", "/lease_policies/lp-w/interfaces/if-v0", nil)
	s.ok("POST", "/security_groups/sg-w/interfaces/if-v0", nil)
	s.ok("POST", "/filters/fil-w/static?protocol=tcp&dst_port=22&action=pass", nil)
	s.ok("POST", "/networks?uuid=nw-six&ipv6_network=fd00:6::", nil)
	s.ok("POST", "/interfaces?uuid=if-six&mode=vif&network_uuid=nw-six&ipv6_address=fd00:6::6&mac_address=02:00:00:00:06:06", nil)
	chosen := wire.Claim{InterfaceUUID: "if-six", MAC: model.MAC{2, 0, 0, 0, 6, 6}, Address: netip.MustParseAddr("fe80::66")} // which no document can give back
	if refused, err := s.Cases.Claim(t.Context(), []wire.Claim{chosen}); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	if leases := items(s.ok("GET", "/ip_leases?ipv6_address=fe80::66", nil)); len(leases) != 1 || leases[0]["origin"] != "slaac" || leases[0]["network_uuid"] != "nw-six" {
		t.Errorf("leases: %v", leases)
	}
	for _, syntax := range []string{"", ".yml"} {
		text := s.send("GET", "/export"+syntax, nil).Body.String()
		var body any = text
		if syntax != "" {
			body = yamlText(text)
		}
		for _, i := range items(s.ok("POST", "/apply", body)) {
			if i["action"] != "unchanged" {
				t.Errorf("applied to where it comes from: %v", i)
			}
		}
		other := newServer(t)
		other.ok("POST", "/apply", body)
		if d := cmp.Diff(text, other.send("GET", "/export"+syntax, nil).Body.String()); d != "" {
			t.Errorf("applied elsewhere: -want +got:\n%s", d)
		}
	}
	if got := s.ok("GET", "/export?resource=networks,segments&labels=a=b", nil); len(got) != 0 {
		t.Errorf("by label: %v", got)
	}
	got := s.ok("GET", "/export?resource=networks,segments&tenant_uuid=", nil)
	if len(got) != 2 || got["networks"] == nil {
		t.Errorf("by resource: %v", got)
	}
	if text := s.send("GET", "/export.yml?labels=a=b", nil).Body.String(); strings.TrimSpace(text) != "{}" {
		t.Errorf("nothing in YAML: %q", text)
	}
	s.refused(model.ArgumentError, "resource", "GET", "/export?resource=tokens", nil)
}

func TestBrowse(t *testing.T) {
	s := newServer(t)
	page := s.send("GET", "/browse", nil)
	if page.Header().Get("Content-Type") != "text/html; charset=utf-8" || page.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("headers %v", page.Header())
	}
	data := s.ok("GET", "/browse?format=json", nil)
	for _, r := range model.All() {
		shown := strings.Contains(page.Body.String(), `id="`+r.Plural+`"`)
		described := slices.ContainsFunc(data["resources"].([]any), func(v any) bool { return v.(map[string]any)["plural"] == r.Plural })
		if shown == r.Hidden || described == r.Hidden {
			t.Errorf("%s: hidden %v, on the page %v, in the data %v", r.Plural, r.Hidden, shown, described)
		}
	}
	if a := s.send("GET", "/browse?format=yaml", nil); !strings.HasPrefix(a.Body.String(), "version: ") {
		t.Errorf("YAML: %.60s", a.Body)
	}
	s.refused(model.ArgumentError, "format", "GET", "/browse?format=pdf", nil)
}

func TestHosts(t *testing.T) {
	s := newServer(t)
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.Hosts.List = func() []sync.Host {
		return []sync.Host{{DatapathUUID: "dp-w", NodeID: "w", Connected: true, Since: &since, Lag: 5 * time.Millisecond}, {DatapathUUID: "dp-x"}}
	}
	got := s.ok("GET", "/hosts", nil)
	if h := items(got); got["total_count"] != 2.0 || h[0]["since"] != "2026-01-01T00:00:00Z" || h[0]["lag_ms"] != 5.0 || h[1]["since"] != nil {
		t.Errorf("hosts %v", got)
	}
}

// event is a server-sent event.
type event struct {
	id, name string
	data     map[string]any
}

// stream is the events of GET /watch.
type stream struct {
	t    *testing.T
	body *bufio.Reader
	res  *http.Response
	id   string // the last
}

func (s *server) stream(t *testing.T, query string, headers ...string) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/1.0/watch"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("watch: %s %v", res.Status, res.Header)
	}
	return &stream{t: t, body: bufio.NewReader(res.Body), res: res}
}

// next gives the next event; what has no name only moves the id.
func (s *stream) next() event {
	s.t.Helper()
	var e event
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream has ended: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			s.id, e.id = value, value
		case "event":
			e.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				s.t.Fatal(err)
			}
		case "":
			if line == "\n" && e.name != "" {
				return e
			}
		}
	}
}

func TestWatch(t *testing.T) {
	s := newServer(t)
	begin := s.send("GET", "/networks", nil).Header().Get("OpenVNet-Revision")
	all := s.stream(t, "")
	some := s.stream(t, "?resource=networks,segments&uuid=nw-a")
	s.ok("POST", "/networks", app.Params{"uuid": "nw-b", "ipv4_network": "10.0.1.0"})
	s.ok("POST", "/networks", app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"})
	s.ok("PUT", "/networks/nw-a", app.Params{"display_name": "x"})
	s.send("DELETE", "/networks/nw-a", nil)
	var got []string
	for range 3 {
		e := some.next()
		o := e.data["object"].(map[string]any)
		got = append(got, fmt.Sprint(e.name, " ", e.data["uuid"], " ", o["display_name"]))
		if e.id != fmt.Sprint(e.data["revision"]) || e.data["resource"] != "networks" {
			t.Errorf("event %v", e)
		}
	}
	if d := cmp.Diff([]string{"upsert nw-a <nil>", "upsert nw-a x", "delete nw-a x"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if e := all.next(); e.data["uuid"] != "nw-b" {
		t.Errorf("all: %v", e)
	}
	// Whoever comes back with an id goes on there.
	for _, again := range []*stream{s.stream(t, "?resource=networks&since="+begin), s.stream(t, "?resource=networks&since=1", "Last-Event-ID", begin)} {
		if e := again.next(); e.data["uuid"] != "nw-b" || e.name != "upsert" {
			t.Errorf("since %s: %v", begin, e)
		}
	}
	again := s.stream(t, "", "Last-Event-ID", some.id)
	s.ok("POST", "/networks", app.Params{"uuid": "nw-c", "ipv4_network": "10.0.2.0"})
	if e := again.next(); e.data["uuid"] != "nw-c" {
		t.Errorf("after %s: %v", some.id, e)
	}
	// Of several changes at once only the last has an id.
	s.ok("POST", "/apply", `{"networks": [{"uuid": "nw-d", "ipv4_network": "10.0.3.0"}, {"uuid": "nw-e", "ipv4_network": "10.0.4.0"}]}`)
	if e, f := again.next(), again.next(); e.id != "" || f.id == "" {
		t.Errorf("ids %q and %q", e.id, f.id)
	}
	if e := s.stream(t, "?since=999999999").next(); e.name != "resync" || e.id != fmt.Sprint(e.data["revision"]) {
		t.Errorf("since a revision that is to come: %v", e)
	}
	for query, parameter := range map[string]string{"resource=tokens": "resource", "since=x": "since", "colour=red": "colour"} {
		s.refused(model.ArgumentError, parameter, "GET", "/watch?"+query, nil)
	}
	s.refused(model.InvalidUUID, "uuid", "GET", "/watch?uuid=zz-1", nil)
	s.refused(model.ArgumentError, "Last-Event-ID", "GET", "/watch", nil, "Last-Event-ID", "-1")
}

// A stream that has nothing to say says so, and moves the id past what did not concern it.
func TestWatchHeartbeat(t *testing.T) {
	s := &server{t: t, Manager: apitest.StartWith(t, apitest.Options{Heartbeat: 10 * time.Millisecond})}
	w := s.stream(t, "?resource=segments")
	rev := s.send("POST", "/networks", app.Params{"ipv4_network": "10.0.0.0"}).Header().Get("OpenVNet-Revision")
	for {
		line, err := w.body.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "id: "+rev+"\n" {
			return
		}
	}
}

// tenants is who a request is from in TestTenants, by the header X-Test.
func tenantOf(r *http.Request) *access.Identity {
	switch name := r.Header.Get("X-Test"); name {
	case "":
		return &access.Identity{Name: "provider", Role: access.Admin}
	case "viewer":
		return &access.Identity{Name: name, Role: access.Viewer}
	default:
		return &access.Identity{Name: name, Role: access.Operator, Tenants: []string{"tn-" + name}}
	}
}

func TestTenants(t *testing.T) {
	s := &server{t: t, Manager: apitest.StartWith(t, apitest.Options{Identity: tenantOf})}
	s.world()
	a, b := []string{"X-Test", "a"}, []string{"X-Test", "b"}
	s.ok("POST", "/tenants", app.Params{"uuid": "tn-a"})
	s.ok("POST", "/tenants", app.Params{"uuid": "tn-b"})
	if got := s.ok("POST", "/networks", app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "labels": "app=x"}, a...); got["tenant_uuid"] != "tn-a" {
		t.Errorf("made by a: %v", got)
	}
	s.ok("POST", "/networks", app.Params{"uuid": "nw-b", "ipv4_network": "10.0.0.0", "labels": "app=x"}, b...)
	if got := s.ok("POST", "/interfaces", app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.1"}, a...); got["tenant_uuid"] != "tn-a" {
		t.Errorf("made by a: %v", got)
	}
	s.ok("POST", "/interfaces", app.Params{"uuid": "if-b", "mode": "vif", "network_uuid": "nw-b", "ipv4_address": "10.0.0.1", "owner_datapath_uuid": "dp-w"}, b...)
	for _, i := range items(s.ok("GET", "/ip_leases?interface_uuid=if-a", nil)) {
		if i["tenant_uuid"] != "tn-a" {
			t.Errorf("made with a's interface: %v", i)
		}
	}
	// What is another tenant's is absent; what is shared is there, but not to be changed.
	names := uuidsOf(s.ok("GET", "/networks", nil, b...))
	if slices.Contains(names, "nw-a") || !slices.Contains(names, "nw-b") || !slices.Contains(names, "nw-w") {
		t.Errorf("b sees %v", names)
	}
	if text := s.send("GET", "/export", nil, b...).Body.String(); strings.Contains(text, "nw-a") || !strings.Contains(text, "nw-b") {
		t.Errorf("b exports %s", text)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.refused(model.UnknownUUIDResource, "uuid", method, "/networks/nw-a", nil, b...)
	}
	for _, who := range [][]string{a, {"X-Test", "viewer"}} {
		s.refused(model.Forbidden, "", "PUT", "/networks/nw-w", app.Params{"display_name": "x"}, who...)
		s.refused(model.Forbidden, "", "DELETE", "/networks/nw-w", nil, who...)
		s.refused(model.Forbidden, "", "POST", "/tenants", nil, who...)
		s.refused(model.Forbidden, "", "POST", "/datapaths/dp-w/networks/nw-w", app.Params{"interface_uuid": "if-host"}, who...)
	}
	s.refused(model.UnknownUUIDResource, "network_uuid", "POST", "/interfaces", app.Params{"mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.9"}, b...)
	s.refused(model.UnknownUUIDResource, "tenant_uuid", "POST", "/networks", app.Params{"ipv4_network": "10.0.0.0", "tenant_uuid": "tn-a"}, b...)
	s.refused(model.UnknownUUIDResource, "interface_uuid", "PUT", "/ip_leases/"+uuidsOf(s.ok("GET", "/ip_leases?interface_uuid=if-b", nil))[0]+"/attach", app.Params{"interface_uuid": "if-a"}, b...)
	if n := len(items(s.ok("POST", "/plan", `{"networks": [{"uuid": "nw-w", "display_name": "x"}]}`, "X-Test", "viewer"))); n != 1 {
		t.Errorf("a viewer's plan has %d items", n)
	}
	s.refused(model.Forbidden, "", "POST", "/apply?dry_run=true", `{"networks": []}`, "X-Test", "viewer")
	// What is the provider's is not changed by what refers to it.
	s.refused(model.Forbidden, "", "POST", "/topology_networks", app.Params{"topology_uuid": "topo-over", "network_uuid": "nw-b"}, b...)
	s.refused(model.Forbidden, "", "POST", "/datapaths", app.Params{"display_name": "x", "dpid": "1", "node_id": "x"}, b...)
	s.refused(model.Forbidden, "interface_uuid", "POST", "/ip_leases", app.Params{"interface_uuid": "if-gw", "network_uuid": "nw-b", "ipv4_address": "10.0.0.8"}, b...)
	s.refused(model.Forbidden, "route_link_uuid", "POST", "/routes", app.Params{"interface_uuid": "if-b", "network_uuid": "nw-b", "route_link_uuid": "rl-w", "ipv4_network": "10.0.0.0"}, b...)
	s.refused(model.Forbidden, "mode", "POST", "/interfaces", app.Params{"mode": "host", "owner_datapath_uuid": "dp-w"}, b...)
	s.refused(model.Forbidden, "mode", "PUT", "/interfaces/if-b", app.Params{"mode": "promiscuous"}, b...)
	s.refused(model.Forbidden, "filters[0].interface_uuid", "POST", "/apply", `{"filters": [{"interface_uuid": "if-gw", "mode": "static"}]}`, b...)
	s.refused(model.Forbidden, "", "POST", "/lease_policies/lp-w/ip_leases", nil, b...)
	s.refused(model.Forbidden, "", "GET", "/hosts", nil, b...)
	// Documents and what they prune are bound as single requests are.
	s.refused(model.UnknownUUIDResource, "uuid", "POST", "/apply", `{"networks": [{"uuid": "nw-a", "display_name": "x"}]}`, b...)
	s.refused(model.Forbidden, "", "POST", "/apply", `{"networks": [{"uuid": "nw-w", "display_name": "x"}]}`, b...)
	s.refused(model.UnknownUUIDResource, "uuid", "POST", "/apply?prune=app=x", `{"networks": [{"uuid": "nw-b"}]}`, b...)
	s.ok("POST", "/apply", `{"networks": [{"uuid": "nw-b", "display_name": "x"}, {"uuid": "nw-b2", "ipv4_network": "10.0.1.0"}]}`, b...)
	if got := s.ok("GET", "/networks/nw-b2", nil); got["tenant_uuid"] != "tn-b" {
		t.Errorf("applied by b: %v", got)
	}
	s.ok("GET", "/networks/nw-a", nil)
	// A stream tells of what its client sees only.
	w := s.stream(t, "?resource=networks", b...)
	s.ok("PUT", "/networks/nw-a", app.Params{"display_name": "y"}, a...)
	s.ok("PUT", "/networks/nw-b", app.Params{"display_name": "y"}, b...)
	if e := w.next(); e.data["uuid"] != "nw-b" {
		t.Errorf("b is told of %v", e)
	}
}

// past is a store that is at revision 7 and remembers nothing of before; then come the batches.
type past struct{ batches iter.Seq[store.Batch] }

func (past) View(f func(x *span.Index, rev int64)) { f(span.New(graph.New()), 7) }

func (p past) Watch(ctx context.Context, after int64) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		if after < 7 {
			yield(store.Batch{}, store.ErrCompacted)
			return
		}
		for b := range p.batches {
			if ctx.Err() != nil || !yield(b, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

// watchPast serves streams of a store; ended gets a value whenever one has ended.
func watchPast(t *testing.T, o api.Options) (s *server, ended chan struct{}) {
	t.Helper()
	o.UseCases, o.Log = broken{}, slog.New(slog.DiscardHandler)
	web, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{}, 10)
	srv := httptest.NewServer(access.Insecure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.ServeHTTP(w, r)
		ended <- struct{}{}
	})))
	t.Cleanup(srv.Close)
	return &server{t: t, Manager: &apitest.Manager{URL: srv.URL, Handler: access.Insecure(web)}}, ended
}

func none(func(store.Batch) bool) {}

func TestWatchCompacted(t *testing.T) {
	network := &model.Network{Meta: model.Meta{UUID: "nw-a"}}
	s, _ := watchPast(t, api.Options{Reader: past{slices.Values([]store.Batch{{Revision: 8, Changes: []span.Changed{{New: network}}}})}})
	w := s.stream(t, "?since=3")
	if e := w.next(); e.name != "resync" || e.id != "7" {
		t.Errorf("first %v", e)
	}
	if e := w.next(); e.name != "upsert" || e.id != "8" {
		t.Errorf("then %v", e)
	}
}

func TestWatchEndsWithTheManager(t *testing.T) {
	stopping := make(chan struct{})
	s, ended := watchPast(t, api.Options{Reader: past{none}, Stopping: stopping, MaxStreams: 1})
	w := s.stream(t, "")
	s.refused(model.TooManyRequests, "", "GET", "/watch", nil)
	close(stopping)
	<-ended
	if _, err := io.Copy(io.Discard, w.body); err != nil {
		t.Errorf("the stream did not end, it broke: %v", err)
	}
	s.stream(t, "") // there is room again
}

// A client that takes nothing is cut, however much there is to tell.
func TestWatchSlowClient(t *testing.T) {
	batch := store.Batch{}
	for range 1000 {
		batch.Changes = append(batch.Changes, span.Changed{New: &model.Network{Meta: model.Meta{UUID: "nw-a"}, DisplayName: strings.Repeat("x", 255)}})
	}
	endless := func(yield func(store.Batch) bool) {
		for batch.Revision = 8; yield(batch); batch.Revision++ {
		}
	}
	s, ended := watchPast(t, api.Options{Reader: past{endless}, Heartbeat: 50 * time.Millisecond})
	s.stream(t, "")
	<-ended
}

// A body that comes too slowly is not waited for.
func TestSlowBody(t *testing.T) {
	s, _ := watchPast(t, api.Options{Reader: past{none}, BodyTime: 20 * time.Millisecond})
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	res, err := http.Post(s.URL+"/api/1.0/networks", "application/json", r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), "RequestTimeout") {
		t.Errorf("%s %s %v", res.Status, text, err)
	}
}

func TestOrigins(t *testing.T) {
	for _, test := range []struct {
		origins      []string
		origin, want string
	}{
		{nil, "http://a", ""}, {[]string{"*"}, "http://a", "*"}, {[]string{"http://a"}, "http://a", "http://a"}, {[]string{"http://a"}, "http://b", ""},
	} {
		s, _ := watchPast(t, api.Options{Reader: past{none}, Origins: test.origins})
		if got := s.send("GET", "/version", nil, "Origin", test.origin).Header().Get("Access-Control-Allow-Origin"); got != test.want {
			t.Errorf("%v asked by %s: %q", test.origins, test.origin, got)
		}
	}
}
