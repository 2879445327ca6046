package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// eachResource runs a test for every resource that is exposed, all in one world; what a test makes it takes away.
func eachResource(t *testing.T, test func(t *testing.T, s *server, r *model.Resource)) {
	s := newServer(t)
	s.world()
	for _, r := range model.All() {
		if !r.Hidden {
			t.Run(r.Plural, func(t *testing.T) { test(t, &server{t: t, Manager: s.Manager}, r) })
		}
	}
}

func TestContractReadWrite(t *testing.T) {
	eachResource(t, func(t *testing.T, s *server, r *model.Resource) {
		p := sample(r, 0)
		p["uuid"] = r.Prefix + "-contract"
		path := "/" + r.Plural + "/" + r.Prefix + "-contract"
		created := s.ok("POST", "/"+r.Plural, p)
		for name, v := range p {
			if n, ok := v.(json.Number); ok {
				v, _ = n.Float64()
			}
			if f := r.Field(name); f != nil && f.Type != model.DatapathID && f.Name != "name" && created[name] != v {
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
			v, ok := changes[f.Name]
			switch {
			case f.Name == "static" || f.Name == "stateless" || r == model.Topologies && f.Type == model.Boolean && f.Name != "mac2mac":
				continue // a row that is not static goes, what drops remembers nothing, and of topologies the others are for some only
			case f.Type == model.Boolean:
				v = created[f.Name] != true
			case !ok:
				continue
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
		for n := range room {
			uuid := s.ok("POST", "/"+r.Plural, sample(r, n))["uuid"]
			uuids = append(uuids, uuid)
			defer s.send("DELETE", "/"+r.Plural+"/"+uuid.(string), nil)
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
			case f.Ref != "" && !f.Lines:
				s.refused(model.ArgumentError, f.Name, "POST", base, with(f.Name, "zz-1"))
				if f.Ref != r.Plural && r != model.Tenants {
					s.refused(model.UnknownUUIDResource, f.Name, "POST", base, with(f.Name, model.ByPlural(f.Ref).Prefix+"-absent"))
				}
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
		defer s.send("DELETE", base+"/"+r.Prefix+"-dup", nil)
		again := sample(r, 1)
		again["uuid"] = r.Prefix + "-dup"
		s.refused(model.DuplicateUUID, "uuid", "POST", base, again)
		s.refused(api.StaleRevision, "If-Match", "DELETE", base+"/"+r.Prefix+"-dup", nil, "If-Match", `"1"`)
		if o := build(t, r, p); slices.ContainsFunc(r.Uniques, func(u *model.Unique) bool { _, in := u.Key(o); return in }) {
			p["uuid"] = r.Prefix + "-other"
			a := s.send("POST", base, p)
			m, _ := a.body.(map[string]any)
			if m["error"] != model.RelationAlreadyExists.Name && m["error"] != model.Conflict.Name || m["parameter"] == nil {
				t.Errorf("what is unique twice: %d %s", a.Code, a.Body)
			}
		}
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

// Every sub-resource through its parent: by key where it has one, else by the rows' own uuids.
func TestContractSubResources(t *testing.T) {
	eachResource(t, func(t *testing.T, s *server, r *model.Resource) {
		if r.Parent == "" {
			return
		}
		p := sample(r, 0)
		parent := p[r.Parent].(string)
		base := "/" + r.Field(r.Parent).Ref + "/" + parent + "/" + r.Path
		delete(p, r.Parent)
		before := s.ok("GET", base, nil)["total_count"].(float64)
		absent := "/" + r.Field(r.Parent).Ref + "/" + model.ByPlural(r.Field(r.Parent).Ref).Prefix + "-absent/" + r.Path
		s.refused(model.UnknownUUIDResource, r.Parent, "GET", absent, nil)
		s.refused(model.UnknownUUIDResource, r.Parent, "POST", absent, p)
		s.refused(model.InvalidUUID, r.Parent, "GET", "/"+r.Field(r.Parent).Ref+"/zz-1/"+r.Path, nil)
		var path, row, answered string
		if r.Key == "" {
			row = s.ok("POST", base, p)["uuid"].(string)
			path, answered = base+"/"+row, row
		} else {
			key := p[r.Key].(string)
			delete(p, r.Key)
			path, answered = base+"/"+key, key
			s.refused(model.UnknownResource, r.Key, "GET", path, nil)
			created := s.ok("POST", path, p)
			row, _ = created["uuid"].(string)
			if !r.Rows {
				row = created[r.Name+"_uuid"].(string)
				if created["uuid"] != key {
					t.Errorf("the path shows %v, not %s", created["uuid"], key)
				}
			}
			s.refused(model.RelationAlreadyExists, r.Key, "POST", path, p)
			other := model.ByPlural(r.Field(r.Key).Ref)
			s.refused(model.UnknownUUIDResource, r.Key, "GET", base+"/"+other.Prefix+"-absent", nil)
			s.refused(model.InvalidUUID, r.Key, "GET", base+"/zz-1", nil)
		}
		if got := s.ok("GET", "/"+r.Plural+"/"+row, nil); got[r.Parent] != parent {
			t.Errorf("the row itself: %v", got)
		}
		shown := s.ok("GET", path, nil)
		list := s.ok("GET", base+"?limit=1&offset="+strconv.Itoa(int(before)), nil)
		if list["total_count"] != before+1 || list["items"].([]any)[0].(map[string]any)["uuid"] != shown["uuid"] {
			t.Errorf("list %v, item %v", list, shown)
		}
		for _, f := range r.Fields {
			v, ok := changes[f.Name]
			if !ok || !f.Mutable || !r.Rows && r.Key != "" && model.ByPlural(r.Field(r.Key).Ref).Field(f.Name) != nil {
				continue // the object at the other end has a field of that name too, which is shown
			}
			if got := s.ok("PATCH", path, app.Params{f.Name: v}); got[f.Name] != v {
				t.Errorf("PATCH %s: %v", f.Name, got[f.Name])
			}
		}
		if a := s.send("DELETE", path, nil); a.Code != http.StatusOK || strings.TrimSpace(a.Body.String()) != fmt.Sprintf("[%q]", answered) {
			t.Errorf("DELETE: %d %s", a.Code, a.Body)
		}
		s.refused(model.UnknownUUIDResource, "uuid", "GET", "/"+r.Plural+"/"+row, nil)
		if got := s.ok("GET", base, nil)["total_count"]; got != before {
			t.Errorf("%v rows are left of %v", got, before)
		}
	})
}

// build makes the object that parameters describe, as far as they are its own.
func build(t *testing.T, r *model.Resource, p app.Params) model.Object {
	t.Helper()
	o := r.New()
	for name, v := range p {
		if f := r.Field(name); f != nil {
			parsed, err := f.Parse(v)
			if err != nil {
				t.Fatal(err)
			}
			f.Set(o, parsed)
		}
	}
	return o
}
