package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/model"
)

func TestTokens(t *testing.T) {
	f := newFixture(t, nil)
	op := f.token(access.NewToken{Name: "op", Role: access.Operator})
	ofA := f.token(access.NewToken{Name: "a", Role: access.Viewer, Tenants: []string{"tn-a", "tn-a"}, Expires: time.Hour})

	status, who, _ := f.call(http.MethodGet, "/api/1.0/networks", op, nil)
	if status != http.StatusOK || who["name"] != "op" || who["role"] != "operator" || who["tenants"] != nil {
		t.Errorf("%d %v", status, who)
	}
	if _, who, _ := f.call(http.MethodGet, "/api/1.0/networks", ofA, nil); fmt.Sprint(who["tenants"]) != "[tn-a]" {
		t.Errorf("%v", who)
	}
	r := request(t, http.MethodGet, "/api/1.0/networks", "", nil)
	r.Header.Set("X-Auth-Token", op)
	if status, _, _ := f.send(r); status != http.StatusOK {
		t.Errorf("X-Auth-Token: %d", status)
	}

	for name, header := range map[string]string{
		"none": "", "of nobody": "Bearer vnt_x", "longer": "Bearer " + op + "x", "shorter": "Bearer " + op[:len(op)-1], "another scheme": "Basic " + op, "scheme only": "Bearer",
	} {
		r := request(t, http.MethodGet, "/api/1.0/networks", "", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		status, answer, h := f.send(r)
		if status != http.StatusUnauthorized || answer["error"] != "Unauthorized" || answer["code"] != "121" || h.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
		if strings.Contains(fmt.Sprint(answer), op[4:20]) {
			t.Errorf("%s: the answer repeats a token: %v", name, answer)
		}
	}

	// The list says everything but the secret; only its hash is kept.
	_, list, _ := f.call(http.MethodGet, "/api/1.0/tokens", f.token(access.NewToken{Name: "root", Role: access.Admin}), nil)
	if text := fmt.Sprint(list); strings.Contains(text, op) || !strings.Contains(text, "name:op") || list["total_count"] != 3.0 {
		t.Errorf("%v", list)
	}

	// An expiry and a revocation count at the next request.
	f.clock.pass(time.Hour)
	contains(t, f.refused(model.Unauthorized, request(t, http.MethodGet, "/api/1.0/networks", ofA, nil)), "expired")
	if _, _, err := f.RevokeToken(t.Context(), root, "op"); err != nil {
		t.Fatal(err)
	}
	f.refused(model.Unauthorized, request(t, http.MethodGet, "/api/1.0/networks", op, nil))
}

func TestWithoutToken(t *testing.T) {
	f := newFixture(t, nil)
	for _, r := range []*http.Request{request(t, http.MethodGet, "/healthz", "", nil), request(t, http.MethodOptions, "/api/1.0/networks", "", nil)} {
		if status, who, _ := f.send(r); status != http.StatusOK || who["role"] != "none" {
			t.Errorf("%s %s: %d %v", r.Method, r.URL, status, who)
		}
	}
	local := request(t, http.MethodGet, "/api/1.0/networks", "", nil)
	local = local.WithContext(access.With(t.Context(), access.Identity{Name: "local", Role: access.Admin}))
	if status, who, _ := f.send(local); status != http.StatusOK || who["name"] != "local" {
		t.Errorf("%d %v", status, who)
	}
	open := newFixture(t, func(o *access.Options) { o.Insecure, o.Authority = true, nil })
	if status, who, _ := open.call(http.MethodDelete, "/api/1.0/networks/nw-x", "", nil); status != http.StatusOK || who["role"] != "admin" {
		t.Errorf("%d %v", status, who)
	}
	if e := open.last(1); len(e) != 1 || e[0].Who != "insecure" {
		t.Errorf("%+v", e)
	}
}

func TestFirstToken(t *testing.T) {
	f := newFixture(t, nil)
	secret, err := f.FirstToken(t.Context())
	if err != nil || secret == "" {
		t.Fatal(secret, err)
	}
	f.clock.pass(10 * 365 * 24 * time.Hour)
	if status, who, _ := f.call(http.MethodGet, "/x", secret, nil); status != http.StatusOK || who["role"] != "admin" {
		t.Errorf("%d %v", status, who)
	}
	if again, err := f.FirstToken(t.Context()); err != nil || again != "" {
		t.Errorf("a second first token: %q, %v", again, err)
	}
}

// Who may make and revoke which tokens.
func TestDelegation(t *testing.T) {
	f := newFixture(t, nil)
	admin := f.token(access.NewToken{Name: "all", Role: access.Admin})
	ofA := f.token(access.NewToken{Name: "of-a", Role: access.Admin, Tenants: []string{"tn-a"}})
	op := f.token(access.NewToken{Name: "op", Role: access.Operator})
	f.token(access.NewToken{Name: "b", Role: access.Viewer, Tenants: []string{"tn-b"}})

	create := func(token string, body map[string]any) *http.Request {
		return request(t, http.MethodPost, "/api/1.0/tokens", token, body)
	}
	for name, test := range map[string]struct {
		token string
		body  map[string]any
		class model.Class
	}{
		"an operator makes none":     {op, map[string]any{"name": "x", "role": "viewer"}, model.Forbidden},
		"an admin of a, for b":       {ofA, map[string]any{"name": "x", "role": "viewer", "tenants": []string{"tn-b"}}, model.UnknownUUIDResource},
		"an admin of a, for a and b": {ofA, map[string]any{"name": "x", "role": "viewer", "tenants": "tn-a,tn-b"}, model.UnknownUUIDResource},
		"no such tenant":             {admin, map[string]any{"name": "x", "role": "viewer", "tenants": "tn-c"}, model.UnknownUUIDResource},
		"not a tenant":               {admin, map[string]any{"name": "x", "role": "viewer", "tenants": "nw-c"}, model.InvalidUUID},
		"name is taken":              {admin, map[string]any{"name": "op", "role": "viewer"}, model.Conflict},
		"no name":                    {admin, map[string]any{"role": "viewer"}, model.MissingArgument},
		"no role":                    {admin, map[string]any{"name": "x"}, model.MissingArgument},
		"no such role":               {admin, map[string]any{"name": "x", "role": "god"}, model.ArgumentError},
		"unknown parameter":          {admin, map[string]any{"name": "x", "role": "viewer", "hash": "0"}, model.ArgumentError},
		"a list for a name":          {admin, map[string]any{"name": []string{"x", "y"}, "role": "viewer"}, model.ArgumentError},
		"expired already":            {admin, map[string]any{"name": "x", "role": "viewer", "expires": "-1h"}, model.ArgumentError},
		"no time":                    {admin, map[string]any{"name": "x", "role": "viewer", "expires": "soon"}, model.ArgumentError},
	} {
		t.Run(name, func(t *testing.T) { f.refused(test.class, create(test.token, test.body)) })
	}
	status, made, _ := f.call(http.MethodPost, "/api/tokens?name=inherits&role=operator&expires=2d", ofA, nil)
	if status != http.StatusOK || fmt.Sprint(made["tenants"]) != "[tn-a]" || made["created_by"] != "of-a" {
		t.Fatalf("%d %v", status, made)
	}
	if status, who, _ := f.call(http.MethodGet, "/x", made["token"].(string), nil); status != http.StatusOK || fmt.Sprint(who["tenants"]) != "[tn-a]" {
		t.Errorf("%d %v", status, who)
	}

	f.refused(model.Forbidden, request(t, http.MethodGet, "/api/1.0/tokens", op, nil))
	f.refused(model.Forbidden, request(t, http.MethodDelete, "/api/1.0/tokens/b", op, nil))
	_, list, _ := f.call(http.MethodGet, "/api/1.0/tokens", ofA, nil)
	if list["total_count"] != 2.0 || strings.Contains(fmt.Sprint(list), "tn-b") {
		t.Errorf("an admin of a sees %v", list)
	}
	for _, name := range []string{"b", "all", "nobody", "tn-a"} {
		f.refused(model.UnknownUUIDResource, request(t, http.MethodDelete, "/api/1.0/tokens/"+name, ofA, nil))
	}
	if status, gone, _ := f.call(http.MethodDelete, "/api/1.0/tokens/inherits", ofA, nil); status != http.StatusOK || len(gone["list"].([]any)) != 1 {
		t.Errorf("%d %v", status, gone)
	}
	if status, _, h := f.call(http.MethodPut, "/api/1.0/tokens", admin, nil); status != http.StatusMethodNotAllowed || h.Get("Allow") != "GET, POST" {
		t.Errorf("%d %v", status, h)
	}
	f.refused(model.MissingArgument, create(admin, nil))
}

func TestBodiesAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	admin := f.token(access.NewToken{Name: "all", Role: access.Admin})
	r := request(t, http.MethodPost, "/api/1.0/tokens", admin, strings.Repeat("x", 100_000))
	if status, answer, _ := f.send(r); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %v", status, answer)
	}
	for _, body := range []string{"[]", "{", "null", `"x"`, `{"name": {"a": 1}}`, `{"name": 1, "role": [[]]}`} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/1.0/tokens", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+admin)
		if status, answer, _ := f.send(r); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", body, status, answer)
		}
	}
}

func TestRateLimit(t *testing.T) {
	f := newFixture(t, func(o *access.Options) { o.Limits = access.Limits{Rate: 2, Burst: 3, Anonymous: 1} })
	a, b := f.token(access.NewToken{Name: "a", Role: access.Viewer}), f.token(access.NewToken{Name: "b", Role: access.Viewer})
	allowed := func(token string, n int) (ok int, retry string) {
		for range n {
			status, answer, h := f.call(http.MethodGet, "/api/1.0/networks", token, nil)
			if status != http.StatusTooManyRequests {
				ok++
				continue
			}
			if answer["error"] != "TooManyRequests" || answer["code"] != "122" {
				t.Errorf("%v", answer)
			}
			retry = h.Get("Retry-After")
		}
		return ok, retry
	}
	if ok, retry := allowed(a, 5); ok != 3 || retry != "1" {
		t.Errorf("%d of 5 allowed, come back in %q", ok, retry)
	}
	if ok, _ := allowed(b, 3); ok != 3 {
		t.Errorf("another one's limit is shared: %d", ok)
	}
	f.clock.pass(time.Second)
	if ok, _ := allowed(a, 5); ok != 2 {
		t.Errorf("%d allowed after a second", ok)
	}
	if ok, _ := allowed("guessing", 20); ok != 4 {
		t.Errorf("%d tries without a token", ok)
	}
}

func TestConcurrentRequests(t *testing.T) {
	f := newFixture(t, func(o *access.Options) { o.Limits = access.Limits{Concurrent: 3} })
	a, b := f.token(access.NewToken{Name: "a", Role: access.Viewer}), f.token(access.NewToken{Name: "b", Role: access.Viewer})
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := f.Authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	var wg sync.WaitGroup
	hold := func(token string) {
		wg.Go(func() { slow.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/", token, nil)) })
		<-entered
	}
	hold(a)
	hold(a)
	f.refused(model.TooManyRequests, request(t, http.MethodGet, "/", a, nil)) // its half
	hold(b)
	contains(t, f.refused(model.TooManyRequests, request(t, http.MethodGet, "/", b, nil)), "under way")
	close(leave)
	wg.Wait()
	if status, _, _ := f.call(http.MethodGet, "/", a, nil); status != http.StatusOK {
		t.Errorf("%d after all have left", status)
	}
}

// A stream that is open ends with its token.
func TestRevocationEndsRequests(t *testing.T) {
	f := newFixture(t, nil)
	entered, ended := make(chan struct{}), make(chan error)
	watch := f.Authenticate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	}))
	open := func(token string) {
		go watch.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/api/1.0/watch", token, nil))
		<-entered
	}
	open(f.token(access.NewToken{Name: "revoked", Role: access.Viewer}))
	if _, _, err := f.RevokeToken(t.Context(), root, "revoked"); err != nil {
		t.Fatal(err)
	}
	contains(t, (<-ended).Error(), "revoked or has expired")
	open(f.token(access.NewToken{Name: "expires", Role: access.Viewer, Expires: 100 * time.Millisecond}))
	contains(t, (<-ended).Error(), "revoked or has expired")
}

func TestBackup(t *testing.T) {
	var fail error
	f := newFixture(t, func(o *access.Options) {
		o.Backup = func(_ context.Context, w io.Writer) error {
			if fail != nil {
				return fail
			}
			_, err := io.WriteString(w, `{"all": "of it"}`)
			return err
		}
	})
	admin, ofA := f.token(access.NewToken{Name: "all", Role: access.Admin}), f.token(access.NewToken{Name: "a", Role: access.Admin, Tenants: []string{"tn-a"}})
	if status, answer, _ := f.call(http.MethodGet, "/api/1.0/backup", admin, nil); status != http.StatusOK || answer["all"] != "of it" {
		t.Errorf("%d %v", status, answer)
	}
	f.refused(model.Forbidden, request(t, http.MethodGet, "/api/1.0/backup", ofA, nil))
	fail = errors.New("the disk")
	if status, _, _ := f.call(http.MethodGet, "/api/1.0/backup", admin, nil); status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
}

func TestAuditOfRequests(t *testing.T) {
	f := newFixture(t, nil)
	admin := f.token(access.NewToken{Name: "root", Role: access.Admin})
	view := f.token(access.NewToken{Name: "view", Role: access.Viewer})
	f.call(http.MethodGet, "/api/1.0/networks", admin, nil)
	f.call(http.MethodPut, "/api/1.0/networks/nw-x.json?secret=hidden&dry_run=true", admin, map[string]any{"password": "hidden"})
	f.call(http.MethodPost, "/api/networks?touch=nw-1&touch=if-2", admin, nil)
	f.call(http.MethodPost, "/api/1.0/tokens", view, map[string]any{"name": "x", "role": "admin"})
	f.call(http.MethodGet, "/api/1.0/networks", "guess", nil)
	_, made, header := f.call(http.MethodPost, "/api/1.0/tokens", admin, map[string]any{"name": "x", "role": "viewer"})
	revision := header.Get("OpenVNet-Revision")
	if revision == "" || revision == "0" {
		t.Errorf("revision %q", revision)
	}

	got := f.last(10)
	if len(got) != 5 {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
	for i, want := range []string{
		fmt.Sprint("root POST /api/1.0/tokens tokens [", made["uuid"], "] ", revision, " false 200 "),
		" GET /api/1.0/networks networks [] 0 false 401 Unauthorized",
		"view POST /api/1.0/tokens tokens [] 0 false 403 Forbidden",
		"root POST /api/networks networks [nw-1 if-2] 7 false 200 ",
		"root PUT /api/1.0/networks/nw-x.json networks [nw-x] 7 true 200 ",
	} {
		e := got[i]
		if text := fmt.Sprintln(e.Who, e.Method, e.Path, e.Resource, e.UUIDs, e.Revision, e.DryRun, e.Status, e.Error); text != want+"\n" {
			t.Errorf("entry %d: %q, want %q", i, text, want)
		}
		if e.Remote == "" || e.Time.IsZero() {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	var many []string
	for i := range 150 {
		many = append(many, fmt.Sprintf("touch=nw-%d", i))
	}
	f.call(http.MethodPost, "/api/1.0/apply?"+strings.Join(many, "&"), admin, nil)
	if e := f.last(1)[0]; len(e.UUIDs) != 100 || e.More != 50 {
		t.Errorf("%d uuids and %d more", len(e.UUIDs), e.More)
	}

	_, answer, _ := f.call(http.MethodGet, "/api/1.0/audit?limit=2", admin, nil)
	if len(answer["items"].([]any)) != 2 {
		t.Errorf("%v", answer)
	}
	f.refused(model.Forbidden, request(t, http.MethodGet, "/api/1.0/audit", view, nil))
	f.refused(model.ArgumentError, request(t, http.MethodGet, "/api/1.0/audit?limit=0", admin, nil))
	text, err := os.ReadFile(f.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hidden", admin, view, made["token"].(string), "guess"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestRememberedClientsAreBounded(t *testing.T) {
	if n := access.Remembered(access.MaxKeys + 100); n != access.MaxKeys {
		t.Errorf("%d are remembered", n)
	}
}

func TestWhomARequestIsFrom(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:99": "10.0.0.1", "[::ffff:10.0.0.1]:99": "10.0.0.1", "[fd00:1:2:3:4::5]:99": "fd00:1:2:3::/64", "[fe80::1%eth0]:99": "fe80::/64", "@": "@", "": "",
	} {
		if got := access.Host(remote); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
