package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	for _, o := range []struct {
		path string
		p    app.Params
	}{
		{"/networks", app.Params{"uuid": "nw-w", "ipv4_network": "10.9.0.0", "ipv4_prefix": 16}},
		{"/datapaths", app.Params{"uuid": "dp-w", "display_name": "w", "dpid": "0xaa", "node_id": "w"}},
		{"/datapaths", app.Params{"uuid": "dp-w2", "display_name": "w2", "dpid": "0xab", "node_id": "w2"}},
		{"/interfaces", app.Params{"uuid": "if-host", "mode": "host", "owner_datapath_uuid": "dp-w", "port_name": "eth0"}},
		{"/interfaces", app.Params{"uuid": "if-sim", "mode": "simulated"}},
		{"/interfaces", app.Params{"uuid": "if-vif", "mode": "vif", "port_name": "vif"}},
		{"/mac_leases", app.Params{"uuid": "ml-vif", "interface_uuid": "if-vif", "mac_address": "02:ff:00:00:00:01"}},
	} {
		s.ok("POST", o.path, o.p)
	}
}

// sample gives the parameters of the n-th creation of a resource in that world. A resource without a case here has to do with
// its required fields alone.
func sample(r *model.Resource, n int) app.Params {
	p := app.Params{}
	for _, f := range r.Fields {
		if f.Required && f.Enum != nil {
			p[f.Name] = f.Enum[0]
		}
	}
	more := map[*model.Resource]app.Params{
		model.Datapaths:        {"display_name": fmt.Sprintf("host %d", n), "dpid": fmt.Sprintf("0x%x", n+1), "node_id": fmt.Sprintf("node%d", n)},
		model.Networks:         {"display_name": fmt.Sprintf("network %d", n), "ipv4_network": fmt.Sprintf("10.%d.0.0", 100+n)},
		model.Interfaces:       {"display_name": fmt.Sprintf("guest %d", n), "port_name": fmt.Sprintf("port%d", n)},
		model.MACLeases:        {"interface_uuid": "if-vif", "mac_address": fmt.Sprintf("02:00:00:00:00:%02x", n)},
		model.IPLeases:         {"mac_lease_uuid": "ml-vif", "network_uuid": "nw-w", "ipv4_address": fmt.Sprintf("10.9.0.%d", n+1)},
		model.InterfacePorts:   {"interface_uuid": "if-vif", "datapath_uuid": []string{"dp-w", "dp-w2"}[n%2]},
		model.NetworkServices:  {"interface_uuid": "if-sim"},
		model.DatapathNetworks: {"datapath_uuid": "dp-w", "network_uuid": "nw-w", "interface_uuid": "if-host"},
	}
	for name, v := range more[r] {
		p[name] = v
	}
	return p
}
