package api_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// Parameters come from anywhere, and mean the same.
func TestParametersFromAnywhere(t *testing.T) {
	s := newServer(t)
	want := map[string]any{"ipv4_network": "10.0.0.0", "ipv4_prefix": 20.0, "display_name": "a"}
	for name, send := range map[string]func(path string) map[string]any{
		"query string": func(p string) map[string]any {
			return s.ok("POST", p+"?ipv4_network=10.0.0.0&ipv4_prefix=20&display_name=a", nil)
		},
		"form": func(p string) map[string]any {
			return s.ok("POST", p, url.Values{"ipv4_network": {"10.0.0.0"}, "ipv4_prefix": {"20"}, "display_name": {"a"}})
		},
		"JSON": func(p string) map[string]any {
			return s.ok("POST", p, `{"ipv4_network": "10.0.0.0", "ipv4_prefix": 20, "display_name": "a"}`)
		},
		"JSON with text for the number": func(p string) map[string]any {
			return s.ok("POST", p, `{"ipv4_network": "10.0.0.0", "ipv4_prefix": "20", "display_name": "a", "domain_name": null}`)
		},
		"JSON wrapped once": func(p string) map[string]any {
			return s.ok("POST", p, `{"any": {"ipv4_network": "10.0.0.0", "ipv4_prefix": 20, "display_name": "a"}}`)
		},
		"JSON said to be a form": func(p string) map[string]any {
			return s.ok("POST", p, `{"ipv4_network": "10.0.0.0", "ipv4_prefix": 20, "display_name": "a"}`, "Content-Type", "application/x-www-form-urlencoded")
		},
		"YAML": func(p string) map[string]any {
			return s.ok("POST", p, yamlText("ipv4_network: 10.0.0.0\nipv4_prefix: 20\ndisplay_name: a\n"))
		},
		"YAML wrapped once": func(p string) map[string]any {
			return s.ok("POST", p, yamlText("any:\n  ipv4_network: 10.0.0.0\n  ipv4_prefix: 20\n  display_name: a\n"))
		},
		"query string and body": func(p string) map[string]any {
			return s.ok("POST", p+"?ipv4_prefix=20&display_name=a", `{"ipv4_network": "10.0.0.0", "ipv4_prefix": 20}`)
		},
		"alias": func(p string) map[string]any {
			return s.ok("POST", "/api"+p+".json?ipv4_network=10.0.0.0&ipv4_prefix=20&display_name=a", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := send("/networks")
			for k, v := range want {
				if got[k] != v {
					t.Errorf("%s is %v, want %v", k, got[k], v)
				}
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	s := newServer(t)
	const base = "/networks"
	for name, test := range map[string]struct {
		path, parameter string
		body            any
		headers         []string
		want            string
		class           model.Class
	}{
		"unknown":             {path: base + "?ipv4_netmask=1", parameter: "ipv4_netmask", want: "is not a parameter of networks"},
		"twice in query":      {path: base + "?mode=virtual&mode=physical", parameter: "mode", want: "given twice"},
		"query and body":      {path: base + "?mode=virtual", body: `{"mode": "physical"}`, parameter: "mode", want: "given twice"},
		"twice in JSON":       {path: base, body: `{"mode": "virtual", "mode": "virtual"}`, want: `line 1: "mode" is given twice`},
		"twice in form":       {path: base, body: url.Values{"mode": {"virtual", "physical"}}, parameter: "mode", want: "given twice"},
		"twice in YAML":       {path: base, body: yamlText("mode: virtual\nmode: virtual"), want: `line 2: "mode" is given twice`},
		"truncated JSON":      {path: base, body: `{"mode": "virt`, want: "Invalid request body: line 1: the JSON ends too early"},
		"no JSON":             {path: base, body: `hello`, want: "Invalid request body: line 1: not JSON"},
		"list":                {path: base, body: `[1]`, want: "a list, not a map of parameters"},
		"wrapped twice":       {path: base, body: `{"a": {"b": {"c": 1}}}`, parameter: "b", want: "must be a single value, not a map"},
		"not UTF-8":           {path: base, body: "{\"mode\": \"\xff\"}", want: "is not UTF-8"},
		"not UTF-8 in query":  {path: base + "?display_name=%ff", parameter: "display_name", want: "is not UTF-8"},
		"bad escape":          {path: base + "?display_name=%zz", want: "the query string is malformed"},
		"control character":   {path: base, body: `{"ipv4_network": "10.0.0.0", "display_name": "a\u0000"}`, parameter: "display_name", want: "control character"},
		"lone surrogate":      {path: base, body: `{"ipv4_network": "10.0.0.0", "display_name": "\ud800"}`, parameter: "display_name", want: "invalid UTF-8"},
		"too deep":            {path: base, body: strings.Repeat(`{"a":`, 100), want: "nested deeper than 16 levels"},
		"YAML bomb":           {path: base, body: yamlText("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]"), want: "more than 1000 values"},
		"several documents":   {path: base, body: yamlText("a: b\n---\na: b\n"), want: "it holds 2 documents"},
		"content type":        {path: base, body: `{}`, headers: []string{"Content-Type", "text/csv"}, parameter: "Content-Type", want: "is not application/json"},
		"bad content type":    {path: base, body: `{}`, headers: []string{"Content-Type", "/;"}, parameter: "Content-Type", want: "malformed"},
		"wait for what":       {path: base + "?wait=yes", parameter: "wait", want: "is not applied"},
		"timeout":             {path: base + "?timeout=1h", parameter: "timeout", want: "is not a duration"},
		"dry_run":             {path: base + "?dry_run=perhaps", parameter: "dry_run", want: "is not a boolean"},
		"wait in the body":    {path: base, body: `{"wait": "applied"}`, parameter: "wait", want: "is not a parameter of networks"},
		"If-Match on POST":    {path: base, body: `{"ipv4_network": "10.0.0.0"}`, headers: []string{"If-Match", `"1"`}, parameter: "If-Match", want: "exists already"},
		"too large":           {path: base, body: `{"display_name": "` + strings.Repeat("x", api.MaxBody) + `"}`, class: api.RequestTooLarge, want: "larger than 4194304 bytes"},
		"apply without":       {path: "/apply", want: "takes documents"},
		"apply a form":        {path: "/apply", body: url.Values{"a": {"b"}}, want: "takes documents"},
		"apply what":          {path: "/apply", body: `{"network": []}`, parameter: "network", want: "line 1: is not a resource"},
		"apply a map":         {path: "/apply", body: `{"networks": {}}`, parameter: "networks", want: "must be a list"},
		"apply a text":        {path: "/apply", body: `{"networks": ["a"]}`, parameter: "networks[0]", want: "must be a map"},
		"apply hidden":        {path: "/apply", body: `{"active_interfaces": []}`, parameter: "active_interfaces", want: "is not a resource"},
		"apply and If-Match":  {path: "/apply", body: `{"networks": []}`, headers: []string{"If-Match", `"1"`}, parameter: "If-Match", want: "is for one object"},
		"apply with a filter": {path: "/apply?mode=x", body: `{"networks": []}`, parameter: "mode", want: "is not a parameter here"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.class.Name == "" {
				test.class = model.ArgumentError
			}
			s := &server{t: t, Manager: s.Manager}
			s.refused(test.class, test.parameter, "POST", test.path, test.body, test.headers...)
			m := s.send("POST", test.path, test.body, test.headers...).body.(map[string]any)
			if !strings.Contains(m["message"].(string), test.want) {
				t.Errorf("message %q, want %q", m["message"], test.want)
			}
		})
	}
	if n := s.ok("GET", base, nil)["total_count"]; n != 0.0 {
		t.Errorf("%v networks were created", n)
	}
}

func TestPaths(t *testing.T) {
	s := newServer(t)
	s.world()
	for path, want := range map[string]int{
		"/api/1.0/networks": 200, "/api/networks": 200, "/api/networks/": 200, "/api/1.0/networks.json": 200, "/api/1.0/networks.yml": 200,
		"/api/1.0/networks/nw-w.yml": 200, "/api/1.0/networks/nw%2dw": 200,
		"/": 404, "/api": 404, "/api/1.0": 404, "/api/1.0/": 404, "/api/2.0/networks": 404, "/api/1.0/network": 404, "/api/1.0//networks": 404,
		"/api/1.0/networks/nw-w/what": 404, "/api/1.0/networks/nw-w/what/else/more": 404, "/api/1.0/active_interfaces": 404,
		"/api/1.0/networks.xml": 404, "/api/1.0/networks/nw-w/": 200, "/api/1.0/networks/..": 400, "/api/1.0/interfaces/if-vif/networks": 200, "/api/1.0/networks/nw-w/ports": 404, "/browse": 200, "/api/browse.json": 200, "/api/1.0/watch": 200, "/api/1.0/hosts": 200, "/api/1.0/export.yml": 200,
		"/healthz": 200, "/api/1.0/version": 200, "/api/1.0/openapi.json": 200, "/api/1.0/openapi.yml": 200,
	} {
		if got := s.send("GET", path, nil); got.Code != want {
			t.Errorf("GET %s: %d %s, want %d", path, got.Code, got.Body, want)
		}
	}
	head := s.send("HEAD", "/networks/nw-w", nil)
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("ETag") == "" {
		t.Errorf("HEAD: %d, %d bytes, ETag %s", head.Code, head.Body.Len(), head.Header().Get("ETag"))
	}
	options := s.send("OPTIONS", "/networks", nil)
	if options.Code != 204 || options.Header().Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(options.Header().Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("OPTIONS: %d %v", options.Code, options.Header())
	}
}

func TestYAMLOutput(t *testing.T) {
	s := newServer(t)
	s.world()
	a := s.send("GET", "/networks/nw-w.yml", nil)
	if ct := a.Header().Get("Content-Type"); ct != "application/yaml; charset=utf-8" {
		t.Errorf("content type %s", ct)
	}
	var got map[string]any
	if err := yaml.Unmarshal(a.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["uuid"] != "nw-w" || got["ipv4_network"] != "10.9.0.0" || got["ipv4_prefix"] != 16 || got["ipv6_network"] != nil {
		t.Errorf("got %v", got)
	}
	bad := s.send("GET", "/networks/nw-none.yml", nil)
	if !strings.HasPrefix(bad.Body.String(), "error: UnknownUUIDResource\n") {
		t.Errorf("an error in YAML: %s", bad.Body)
	}
}

func TestInterfaceResponse(t *testing.T) {
	s := newServer(t)
	s.world()
	created := s.ok("POST", "/interfaces", app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap1", "network_uuid": "nw-w", "ipv4_address": "10.9.1.1",
		"mac_address": "02-00-00-AA-00-01"})
	for name, want := range map[string]any{"mac_address": "02:00:00:aa:00:01", "ipv4_address": "10.9.1.1", "ipv6_address": nil, "network_uuid": "nw-w",
		"owner_datapath_uuid": nil, "port_name": "tap1", "enable_routing": false, "display_name": nil} {
		if created[name] != want {
			t.Errorf("%s is %v, want %v", name, created[name], want)
		}
	}
	mac := created["mac_leases"].([]any)[0].(map[string]any)
	ip := mac["ip_leases"].([]any)[0].(map[string]any)
	if mac["mac_address"] != "02:00:00:aa:00:01" || ip["ipv4_address"] != "10.9.1.1" || ip["network_uuid"] != "nw-w" || ip["mac_lease_uuid"] != mac["uuid"] {
		t.Errorf("nested leases: %v", created["mac_leases"])
	}
	s.ok("POST", "/networks", app.Params{"uuid": "nw-x", "ipv4_network": "10.8.0.0"})
	s.ok("POST", "/ip_leases", app.Params{"network_uuid": "nw-x", "interface_uuid": "if-a", "ipv4_address": "10.8.0.1"})
	for _, filter := range []string{"network_uuid=nw-w", "network_uuid=nw-x", "ipv4_address=10.8.0.1&network_uuid=nw-w&mode=vif", "ipv6_address=&port_name=tap1", "mac_address=02:00:00:AA:00:01", "ipv4_address=10.9.1.1", "port_name=tap1"} {
		if got := s.ok("GET", "/interfaces?uuid=if-a&"+filter, nil); got["total_count"] != 1.0 {
			t.Errorf("by %s: %v", filter, got["total_count"])
		}
	}
}

func TestPorts(t *testing.T) {
	s := newServer(t)
	s.world()
	ports := "/interfaces/if-vif/ports"
	row := s.ok("POST", ports, app.Params{"datapath_uuid": "dp-w", "port_name": "p2", "singular": true})
	if row["interface_uuid"] != "if-vif" || row["singular"] != true {
		t.Errorf("created %v", row)
	}
	s.refused(model.ArgumentError, "interface_uuid", "POST", ports, app.Params{"interface_uuid": "if-sim", "port_name": "p3"})
	s.refused(model.UnknownUUIDResource, "interface_uuid", "GET", "/interfaces/if-none/ports", nil)
	if list := s.ok("GET", ports, nil); list["total_count"] != 2.0 {
		t.Errorf("ports: %v", list)
	}
	one := ports + "/" + row["uuid"].(string)
	if got := s.ok("GET", one, nil); got["port_name"] != "p2" {
		t.Errorf("one port: %v", got)
	}
	s.refused(model.UnknownUUIDResource, "uuid", "GET", "/interfaces/if-sim/ports/"+row["uuid"].(string), nil)
	s.refused(model.ArgumentError, "status", "DELETE", ports+"?status=true", nil)
	if a := s.send("DELETE", ports, `{"datapath_uuid": null, "port_name": "p2"}`); strings.TrimSpace(a.Body.String()) != "[]" {
		t.Errorf("deleted of no host: %s", a.Body)
	}
	if a := s.send("DELETE", ports+"?datapath_uuid=dp-w2", nil); strings.TrimSpace(a.Body.String()) != "[]" {
		t.Errorf("deleted of another host: %s", a.Body)
	}
	if a := s.send("DELETE", ports+"?datapath_uuid=dp-w", nil); !strings.Contains(a.Body.String(), row["uuid"].(string)) {
		t.Errorf("deleted: %s", a.Body)
	}
	if a := s.send("DELETE", ports, nil); a.Code != 200 || s.ok("GET", ports, nil)["total_count"] != 0.0 {
		t.Errorf("delete all: %d %s", a.Code, a.Body)
	}
}

func TestDatapathNetworks(t *testing.T) {
	s := newServer(t)
	s.world()
	link := "/datapaths/dp-w/networks/nw-w"
	s.refused(model.UnknownResource, "network_uuid", "GET", link, nil)
	s.refused(model.UnknownUUIDResource, "network_uuid", "GET", "/datapaths/dp-w/networks/nw-none", nil)
	s.refused(model.MissingArgument, "interface_uuid", "POST", link, nil)
	created := s.ok("POST", link, app.Params{"interface_uuid": "if-host", "mac_address": "02:00:00:bb:00:01"})
	row := created["datapath_network_uuid"].(string)
	for name, want := range map[string]any{"uuid": "nw-w", "ipv4_network": "10.9.0.0", "datapath_uuid": "dp-w", "network_uuid": "nw-w", "interface_uuid": "if-host",
		"mac_address": "02:00:00:bb:00:01"} {
		if created[name] != want {
			t.Errorf("%s is %v, want %v", name, created[name], want)
		}
	}
	list := s.ok("GET", "/datapaths/dp-w/networks", nil)
	if list["total_count"] != 1.0 || list["items"].([]any)[0].(map[string]any)["uuid"] != "nw-w" {
		t.Errorf("the datapath's networks: %v", list)
	}
	if got := s.ok("GET", "/datapath_networks/"+row, nil); got["uuid"] != row || got["network_uuid"] != "nw-w" {
		t.Errorf("the row itself: %v", got)
	}
	if a := s.send("DELETE", link, nil); a.Code != 200 || strings.TrimSpace(a.Body.String()) != `["nw-w"]` {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
	s.ok("GET", "/networks/nw-w", nil)
}

func TestIfMatch(t *testing.T) {
	s := newServer(t)
	s.world()
	a := s.send("GET", "/networks/nw-w", nil)
	tag := a.Header().Get("ETag")
	b := s.send("PUT", "/networks/nw-w", app.Params{"display_name": "b"}, "If-Match", tag)
	if b.Code != 200 || b.Header().Get("ETag") == tag || b.Header().Get("OpenVNet-Revision") == "" {
		t.Fatalf("PUT at the right revision: %d, ETag %s after %s", b.Code, b.Header().Get("ETag"), tag)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		s.refused(api.StaleRevision, "If-Match", method, "/networks/nw-w", nil, "If-Match", tag)
		s.refused(model.ArgumentError, "If-Match", method, "/networks/nw-w", nil, "If-Match", `W/"3"`)
	}
	s.ok("PUT", "/networks/nw-w", app.Params{"display_name": "c"}, "If-Match", "*")
}

func TestDryRun(t *testing.T) {
	s := newServer(t)
	s.world()
	s.ok("POST", "/networks?dry_run=true", app.Params{"uuid": "nw-dry", "ipv4_network": "10.0.0.0"})
	s.refused(model.UnknownUUIDResource, "uuid", "GET", "/networks/nw-dry", nil)
	s.ok("PUT", "/networks/nw-w?dry_run=1", app.Params{"display_name": "dry"})
	if a := s.send("DELETE", "/networks/nw-w?dry_run", nil); a.Code != 200 {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
	if got := s.ok("GET", "/networks/nw-w", nil); got["display_name"] != nil {
		t.Errorf("changed by a dry run: %v", got)
	}
}

func TestWaitAndStatus(t *testing.T) {
	s := newServer(t)
	s.world()
	host := model.HostStatus{DatapathUUID: "dp-w", NodeID: "w", State: model.StateApplied}
	var waited []string
	var waitErr error
	s.Hosts.Status = func(o model.Object) []model.HostStatus { return []model.HostStatus{host} }
	s.Hosts.Wait = func(_ context.Context, _ int64, uuids []string) error { waited = uuids; return waitErr }

	if got := s.ok("GET", "/networks/nw-w", nil); cmp.Diff(got["status"], []any{map[string]any{"datapath_uuid": "dp-w", "node_id": "w", "state": "applied"}}) != "" {
		t.Errorf("status: %v", got["status"])
	}
	item := func(query string) map[string]any {
		return s.ok("GET", "/networks"+query, nil)["items"].([]any)[0].(map[string]any)
	}
	if _, ok := item("")["status"]; ok {
		t.Error("a list has the status unasked")
	}
	if _, ok := item("?status=true")["status"]; !ok {
		t.Error("a list has no status though asked")
	}
	s.ok("PUT", "/networks/nw-w", app.Params{"display_name": "b"})
	if waited != nil {
		t.Error("waited unasked")
	}
	for _, test := range []struct {
		name  string
		state model.HostState
		err   error
		want  int
	}{
		{"applied", model.StateApplied, nil, 200},
		{"unreachable", model.StateUnreachable, nil, 200},
		{"problem", model.StateError, nil, 202},
		{"too late", model.StatePending, context.DeadlineExceeded, 202},
	} {
		host.State, waitErr, waited = test.state, test.err, nil
		a := s.send("PUT", "/networks/nw-w?wait=applied&timeout=5", app.Params{"display_name": test.name})
		m, _ := a.body.(map[string]any)
		if a.Code != test.want || m["display_name"] != test.name || len(m["status"].([]any)) != 1 || len(waited) == 0 || waited[0] != "nw-w" {
			t.Errorf("%s: %d %s, waited for %v", test.name, a.Code, a.Body, waited)
		}
	}
	// What follows while it waits is waited for too.
	waits := 0
	s.Hosts.Wait = func(context.Context, int64, []string) error {
		if waits++; waits == 2 {
			host.State = model.StateApplied
		}
		return nil
	}
	host.State = model.StatePending
	if a := s.send("PUT", "/networks/nw-w?wait=applied", app.Params{"display_name": "c"}); a.Code != 200 || waits != 2 {
		t.Errorf("what was pending after the first wait: %d %s after %d waits", a.Code, a.Body, waits)
	}
	s.Hosts.Wait = func(_ context.Context, _ int64, uuids []string) error { return waitErr }
	host.State, waitErr = model.StateApplied, context.DeadlineExceeded
	if a := s.send("DELETE", "/networks/nw-w?wait=applied", nil); a.Code != 202 || strings.TrimSpace(a.Body.String()) != `["nw-w"]` {
		t.Errorf("DELETE too late: %d %s", a.Code, a.Body)
	}
}

func TestApply(t *testing.T) {
	s := newServer(t)
	docs := yamlText(`
interfaces:
- {uuid: if-a, mode: vif, port_name: a, network_uuid: nw-a, ipv4_address: 10.0.0.5, mac_address: 02:00:00:00:00:05}
---
networks:
- {uuid: nw-a, ipv4_network: 10.0.0.0}
`)
	actions := func(m map[string]any) map[string]string {
		out := map[string]string{}
		for _, i := range m["items"].([]any) {
			out[i.(map[string]any)["uuid"].(string)] = i.(map[string]any)["action"].(string)
		}
		return out
	}
	s.ok("POST", "/apply?dry_run=true", docs)
	s.refused(model.UnknownUUIDResource, "uuid", "GET", "/networks/nw-a", nil)
	if d := cmp.Diff(map[string]string{"nw-a": "created", "if-a": "created"}, actions(s.ok("POST", "/apply", docs))); d != "" {
		t.Errorf("first: -want +got:\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"nw-a": "unchanged", "if-a": "unchanged"}, actions(s.ok("POST", "/apply", docs))); d != "" {
		t.Errorf("second: -want +got:\n%s", d)
	}
	changed := strings.Replace(string(docs), "{uuid: nw-a,", "{uuid: nw-a, display_name: b,", 1)
	if d := cmp.Diff(map[string]string{"nw-a": "updated", "if-a": "unchanged"}, actions(s.ok("POST", "/apply", yamlText(changed)))); d != "" {
		t.Errorf("changed: -want +got:\n%s", d)
	}
	// All or nothing.
	s.refused(model.ArgumentError, "networks[1].ipv4_network", "POST", "/apply", `{"networks": [{"uuid": "nw-c", "ipv4_network": "10.2.0.0"}, {"uuid": "nw-d", "ipv4_network": "10.2.0.1"}]}`)
	s.refused(model.UnknownUUIDResource, "uuid", "GET", "/networks/nw-c", nil)
}

// broken is a backend that fails, or worse.
type broken struct {
	api.UseCases
	err error
}

func (b broken) Create(context.Context, *model.Resource, app.Params, app.Write) (*app.Result, error) {
	if b.err == nil {
		panic("oh no")
	}
	return nil, b.err
}

func (broken) View(f func(x *span.Index, rev int64)) { f(nil, 1) }

func (broken) Watch(context.Context, int64) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) { yield(store.Batch{}, store.ErrClosed) }
}

func TestFaultsAreOurs(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		log    string
	}{
		"panic":    {nil, 500, "oh no"},
		"failure":  {errors.New("disk on fire"), 500, "disk on fire"},
		"too long": {context.DeadlineExceeded, 503, ""},
		"refusal":  {&model.Error{Class: model.Exhausted, Reason: "none left"}, 409, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h, err := api.New(api.Options{UseCases: broken{err: test.err}, Reader: broken{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			access.Insecure(h).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/1.0/networks?ipv4_network=10.0.0.0", nil))
			if w.Code != test.status {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "fire") || strings.Contains(w.Body.String(), "oh no") {
				t.Errorf("the client is told the cause: %s", w.Body)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestHealth(t *testing.T) {
	h, err := api.New(api.Options{UseCases: broken{}, Reader: broken{}, Log: slog.New(slog.DiscardHandler), Health: func(context.Context) error { return errors.New("no quorum") }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), "no quorum") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// No field may have the name of a parameter that every request of its kind has, no path the name of a fixed one.
func TestNamesAreFree(t *testing.T) {
	for _, r := range model.All() {
		if api.IsFixed(r.Plural) {
			t.Errorf("%s is also a fixed path", r.Plural)
		}
		for _, f := range append(r.Inputs, r.Fields...) {
			for _, taken := range api.Controls() {
				if f.Name == taken {
					t.Errorf("%s.%s is also a control", r.Plural, f.Name)
				}
			}
		}
	}
}
