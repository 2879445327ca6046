package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// eachResource runs a test for every resource that is exposed, in a world of its own.
func eachResource(t *testing.T, test func(t *testing.T, s *server, r *model.Resource)) {
	for _, r := range model.All() {
		if r.Hidden {
			continue
		}
		t.Run(r.Plural, func(t *testing.T) {
			s := newServer(t)
			s.world()
			test(t, s, r)
		})
	}
}

// room says how many samples of a resource fit the world.
func room(r *model.Resource) int {
	switch r {
	case model.DatapathNetworks:
		return 1
	case model.InterfacePorts:
		return 2
	}
	return 5
}

func TestContractReadWrite(t *testing.T) {
	eachResource(t, func(t *testing.T, s *server, r *model.Resource) {
		p := sample(r, 0)
		p["uuid"] = r.Prefix + "-contract"
		path := "/" + r.Plural + "/" + r.Prefix + "-contract"
		created := s.ok("POST", "/"+r.Plural, p)
		for name, v := range p {
			if f := r.Field(name); f != nil && f.Type != model.DatapathID && created[name] != v {
				t.Errorf("created with %s %v, answered %v", name, v, created[name])
			}
		}
		for _, f := range r.Fields {
			if _, ok := created[f.Name]; !ok {
				t.Errorf("the answer lacks %s", f.Name)
			}
		}
		delete(created, "notes")
		for _, base := range []string{path, path + ".json", "/api" + path} {
			got := s.ok("GET", base, nil)
			if d := cmp.Diff(created, got); d != "" {
				t.Errorf("GET %s: -created +got:\n%s", base, d)
			}
		}
		for _, f := range r.Fields {
			if !f.Mutable {
				continue
			}
			v := any("changed")
			switch {
			case f.Type == model.Boolean:
				v = created[f.Name] != true
			case f.Ref != "":
				v = "if-sim"
			}
			if r == model.Topologies && f.Name == "automatic" {
				continue // for one topology only
			}
			for _, method := range []string{"PUT", "PATCH"} {
				if got := s.ok(method, path, app.Params{f.Name: v}); got[f.Name] != v {
					t.Errorf("%s %s %v: answered %v", method, f.Name, v, got[f.Name])
				}
			}
		}
		got := s.send("DELETE", path, nil)
		if got.Code != http.StatusOK || strings.TrimSpace(got.Body.String()) != fmt.Sprintf("[%q]", r.Prefix+"-contract") {
			t.Errorf("DELETE: %d %s", got.Code, got.Body)
		}
		s.refused(model.UnknownUUIDResource, "uuid", "GET", path, nil)
	})
}

func TestContractPaging(t *testing.T) {
	eachResource(t, func(t *testing.T, s *server, r *model.Resource) {
		before := int(s.ok("GET", "/"+r.Plural, nil)["total_count"].(float64))
		var uuids []any
		for n := range room(r) {
			uuids = append(uuids, s.ok("POST", "/"+r.Plural, sample(r, n))["uuid"])
		}
		var got []any
		for offset := before; ; offset += 2 {
			page := s.ok("GET", fmt.Sprintf("/%s?limit=2&offset=%d", r.Plural, offset), nil)
			if page["total_count"] != float64(before+len(uuids)) || page["limit"] != 2.0 || page["offset"] != float64(offset) {
				t.Fatalf("page at %d: %v", offset, page)
			}
			items := page["items"].([]any)
			for _, item := range items {
				got = append(got, item.(map[string]any)["uuid"])
			}
			if len(items) < 2 {
				break
			}
		}
		if d := cmp.Diff(uuids, got); d != "" {
			t.Errorf("pages: -want +got:\n%s", d)
		}
		one := s.ok("GET", "/"+r.Plural+"?uuid="+uuids[0].(string), nil)
		if one["total_count"] != 1.0 {
			t.Errorf("by uuid: %v", one)
		}
		// Every field can be filtered by, and the object's own value finds it.
		object := one["items"].([]any)[0].(map[string]any)
		for _, f := range api.Filterable(r) {
			v := object[f.Name]
			if v == nil {
				v = ""
			}
			if n, ok := v.(float64); ok {
				v = int64(n)
			}
			found := s.ok("GET", fmt.Sprintf("/%s?uuid=%s&%s=%s", r.Plural, uuids[0], f.Name, url.QueryEscape(fmt.Sprint(v))), nil)
			if found["total_count"] != 1.0 {
				t.Errorf("filter %s=%v: %v", f.Name, v, found)
			}
		}
	})
}

func TestContractErrors(t *testing.T) {
	eachResource(t, func(t *testing.T, s *server, r *model.Resource) {
		base, absent := "/"+r.Plural, "/"+r.Plural+"/"+r.Prefix+"-absent"
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			s.refused(model.UnknownUUIDResource, "uuid", method, absent, nil)
			s.refused(model.InvalidUUID, "uuid", method, base+"/zz-a", nil)
			s.refused(model.InvalidUUID, "uuid", method, base+"/"+r.Prefix+"-UPPER", nil)
		}
		p := sample(r, 0)
		p["uuid"] = r.Prefix + "-dup"
		with := func(name string, v any) app.Params {
			q := maps.Clone(p)
			q["uuid"] = r.Prefix + "-x"
			q[name] = v
			return q
		}
		s.refused(model.ArgumentError, "no_such", "POST", base, with("no_such", 1))
		s.refused(model.InvalidUUID, "uuid", "POST", base, with("uuid", "zz-1"))
		for _, f := range api.Settable(r) {
			switch {
			case f.Enum != nil:
				s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, "no_such"))
			case f.Ref != "":
				s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, "zz-1"))
				s.refused(model.UnknownUUIDResource, f.Name, "POST", base, with(f.Name, model.ByPlural(f.Ref).Prefix+"-absent"))
			case f.Type != model.String:
				s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, "no_such"))
			}
			s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, []string{"a", "b"}))
			if f.Required && f.Type != model.Boolean && f.Type != model.Integer {
				q := with("uuid", r.Prefix+"-x")
				delete(q, f.Name)
				s.refused(model.MissingArgument, f.Name, "POST", base, q)
			}
		}
		for _, f := range r.Fields {
			if f.ReadOnly {
				s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, "1"))
			}
		}
		s.ok("POST", base, p)
		again := sample(r, min(1, room(r)-1))
		again["uuid"] = r.Prefix + "-dup"
		s.refused(model.DuplicateUUID, "uuid", "POST", base, again)
		for _, f := range r.Fields {
			if !f.Mutable {
				v := "x"
				if f.Name == "uuid" {
					v = r.Prefix + "-other"
				}
				s.refused(model.ArgumentError, f.Name, "PUT", base+"/"+r.Prefix+"-dup", app.Params{f.Name: v})
			}
		}
		s.refused(model.ArgumentError, "no_such", "GET", base+"?no_such=1", nil)
		s.refused(model.ArgumentError, "limit", "GET", base+"?limit=x", nil)
		s.refused(model.ArgumentError, "offset", "GET", base+"?offset=-1", nil)
		a := s.send("PUT", base, nil)
		if a.Code != 405 || a.Header().Get("Allow") != "GET, POST, OPTIONS" {
			t.Errorf("PUT %s: %d, Allow %q", base, a.Code, a.Header().Get("Allow"))
		}
	})
}
