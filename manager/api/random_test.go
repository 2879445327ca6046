package api_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// No request, however broken, is answered with 5xx.
func TestRandomRequests(t *testing.T) {
	n := 100_000
	if testing.Short() || raceEnabled {
		n = 5_000
	}
	const workers = 16 // each draws a sequence of its own from the seed
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newServer(t)
	s.world()
	var mu sync.Mutex
	codes := map[int]int{}
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			d := dice{rand.New(rand.NewPCG(seed, uint64(worker)))}
			for range n / workers {
				r := d.request()
				describe := fmt.Sprintf("%s %s %v", r.Method, r.URL, r.Header)
				w := httptest.NewRecorder()
				s.Handler.ServeHTTP(w, r)
				mu.Lock()
				codes[w.Code]++
				failed := t.Failed()
				mu.Unlock()
				if w.Code >= 500 {
					t.Errorf("worker %d: %s: %d %s\n%s", worker, describe, w.Code, w.Body, s.TakeLog())
				}
				if failed || w.Code >= 500 {
					return
				}
				if d.chance(1) {
					s.TakeLog()
				}
			}
		})
	}
	all.Wait()
	t.Logf("answers: %v", codes)
	for _, code := range []int{200, 400, 404, 405} {
		if codes[code] < n/200 {
			t.Errorf("only %d answers of %d: the requests are not what they should be", codes[code], code)
		}
	}
}

// dice draws requests: often nearly right, so that they get far.
type dice struct{ *rand.Rand }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

func (d dice) resource() *model.Resource { return pick(d, model.All()...) }

func (d dice) uuid(r *model.Resource) string {
	switch d.IntN(20) {
	case 0:
		return d.junk()
	case 1:
		return d.resource().Prefix + "-a"
	case 2:
		return r.Prefix + "-" + d.junk()
	}
	return r.Prefix + "-" + pick(d, "a", "b", "c", "w", "w0", "w1", "host", "sim", "vif", "gw", "edge", "over", "under", "default")
}

func (d dice) junk() string {
	switch d.IntN(6) {
	case 0:
		b := make([]byte, d.IntN(20))
		for i := range b {
			b[i] = byte(d.Uint32())
		}
		return string(b)
	case 1:
		return strings.Repeat("x", d.IntN(3000))
	}
	return pick(d, "", "..", "%", "null", "-1", "0", "1", "4294967296", "1e9", "true", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "02:00:00:00:00:01",
		"ff:ff:ff:ff:ff:ff", "0xffffffffffffffff", "\u202e", "a/b", "a;b", "\x00", "{}", "[]", "nw-a", "2026-01-01T00:00:00Z")
}

func (d dice) value(f *model.Field) any {
	if d.chance(4) {
		return pick[any](d, d.junk(), nil, 1, -1, 1.5, 1e300, true, []int{1}, map[string]int{"a": 1})
	}
	switch {
	case f.Enum != nil:
		return pick(d, f.Enum...)
	case f.Ref != "":
		return d.uuid(model.ByPlural(f.Ref))
	case f.Name == "uuid":
		return d.uuid(d.resource())
	}
	switch f.Type {
	case model.Boolean:
		return pick[any](d, true, false, "yes", "no", 1, 0)
	case model.Integer:
		return pick[any](d, d.IntN(40), "24", d.IntN(1<<30))
	case model.MACAddress:
		return fmt.Sprintf("02:00:00:00:00:%02x", d.IntN(8))
	case model.IPAddress:
		return pick(d, "10.9.0.0", "10.9.0.1", "10.9.0.2", "10.9.255.255", "10.9.0.300", "fd00::1", "fd00::")
	case model.IPPrefix:
		return pick(d, "10.9.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "fd00::/64", "10.9.0.1", "10.9.0.1/24")
	case model.DatapathID:
		return fmt.Sprintf("0x%x", d.IntN(8))
	}
	switch f.Name {
	case "labels":
		return pick[any](d, "a=b", "a=b,c=d", "=", map[string]any{"a": "b"}, map[string]any{"a": nil, "b": 1})
	case "rules":
		return pick(d, "tcp:22:0.0.0.0/0", "icmp:-1:sg-w", "tcp:80:sg-a\nudp:53:10.0.0.0/8", "tcp:0:::/0", d.junk())
	case "public_dns":
		return pick(d, "10.9.0.53", "10.9.0.53,fd00::53", d.junk())
	}
	return pick(d, "a", "b", d.junk())
}

func (d dice) params(r *model.Resource) app.Params {
	p := app.Params{}
	for _, f := range append(api.Settable(r), r.Fields...) {
		if f.Required && d.chance(97) || !f.ReadOnly && d.chance(12) || d.chance(1) {
			p[f.Name] = d.value(f)
		}
	}
	if d.chance(5) {
		p[d.junk()] = d.junk()
	}
	return p
}

func (d dice) path() (string, *model.Resource) {
	base := pick(d, "/api/1.0/", "/api/1.0/", "/api/", "/api/1.0", "/")
	if !d.chance(5) {
		base = "/api/1.0/"
	}
	r := d.resource()
	switch d.IntN(20) {
	case 0:
		return base + url.PathEscape(d.junk()) + "/" + url.PathEscape(d.junk()), r
	case 1, 2:
		return base + pick(d, "apply", "apply", "plan", "plan", "export", "export.yml", "watch", "hosts", "browse", "version", "openapi.json", "openapi"), r
	}
	path := base + r.Plural
	if d.chance(60) {
		path += "/" + url.PathEscape(d.uuid(r))
		if d.chance(5) {
			return path + pick(d, "/attach", "/release", "/ip_leases"), r
		}
		for _, sub := range model.All() {
			if sub.Parent != "" && sub.Field(sub.Parent).Ref == r.Plural && d.chance(60) {
				r = sub
				path += "/" + sub.Path
				if d.chance(60) && sub.Key != "" {
					path += "/" + url.PathEscape(d.uuid(model.ByPlural(sub.Field(sub.Key).Ref)))
				} else if d.chance(60) {
					path += "/" + url.PathEscape(d.uuid(sub))
				}
				break
			}
		}
	}
	return path + pick(d, "", "", "", ".json", ".yml", "/", ".xml"), r
}

func (d dice) request() *http.Request {
	path, r := d.path()
	method := pick(d, "GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE")
	if strings.Count(path, "/") > 3 && method == "POST" && d.chance(70) {
		method = "PUT"
	} else if strings.Count(path, "/") == 3 && method != "GET" && d.chance(80) {
		method = "POST"
	}
	if d.chance(4) {
		method = pick(d, "HEAD", "OPTIONS", "TRACE", "BREW")
	}
	q := url.Values{}
	for _, name := range []string{"limit", "offset", "status", "wait", "timeout", "dry_run", "mode", "uuid", "fields", "labels", "prune", "since", "resource", "format", "tenant_uuid"} {
		if d.chance(1) {
			q.Add(name, pick(d, "1", "applied", "2", "true", "1s", "uuid,status", "a=b", "networks", "json", d.junk()))
		}
	}
	body, kind := "", ""
	if method != "GET" || d.chance(5) {
		body, kind = d.body(r, path, q)
	}
	raw := q.Encode()
	if d.chance(3) {
		raw += pick(d, "&%zz=1", "&a;b", "&=", "&\xff=\xff", "&a=1&a=2")
	}
	u := &url.URL{Path: "/", RawQuery: raw}
	if p, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = p, path
	}
	req := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
	if strings.Contains(path, "watch") {
		ctx, cancel := context.WithCancel(req.Context())
		cancel()
		req = req.WithContext(ctx)
	}
	req.Method, req.URL = method, u
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if d.chance(5) {
		req.Header.Set("If-Match", pick(d, `"1"`, "*", `"x"`, d.junk()))
	}
	return req
}

func (d dice) body(r *model.Resource, path string, q url.Values) (body, kind string) {
	p := d.params(r)
	var tree any = p
	if strings.Contains(path, "apply") || strings.Contains(path, "plan") {
		docs := map[string]any{}
		for range d.IntN(4) {
			r := d.resource()
			list := []any{}
			for range d.IntN(4) {
				list = append(list, d.params(r))
			}
			docs[r.Plural] = list
		}
		tree = docs
	} else if d.chance(20) {
		tree = map[string]any{"any": p}
	}
	switch d.IntN(10) {
	case 0, 1:
		form := url.Values{}
		for name, v := range p {
			form.Add(name, fmt.Sprint(v))
		}
		body, kind = form.Encode(), "application/x-www-form-urlencoded"
	case 2:
		for name, v := range p {
			q.Add(name, fmt.Sprint(v))
		}
	case 3:
		body, kind = pick(d, yamlBombs...), "application/yaml"
	case 4, 5:
		b, _ := yamlMarshal(tree)
		body, kind = string(b), "text/yaml"
	default:
		b, err := jsonMarshal(tree)
		if err != nil {
			b = []byte(d.junk())
		}
		body, kind = string(b), "application/json"
	}
	if d.chance(10) && len(body) > 0 {
		at := d.IntN(len(body))
		body = pick(d, body[:at], body[at:], body[:at]+d.junk()+body[at:])
	}
	if d.chance(5) {
		kind = pick(d, "", "text/json", "text/csv", "application/json; charset=utf-16", d.junk())
	}
	return body, kind
}

var yamlBombs = []string{
	"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n",
	"&a [*a]", "&a {b: *a}", "a: &a {<<: *a}", "? [a]\n: b", "<<: [a, b]", "a: !!binary x", "a: !!float .inf", "--- !<x>\n", "%YAML 9.9\n---\na: b",
	strings.Repeat("[", 5000), strings.Repeat("{a: ", 5000), strings.Repeat("- ", 5000), "a: b\n---\nc: d\n", "\x00", "\ufeffa: b", "a: *b", "&a", "!!set {a, b}", "{}", "~",
}
