package access_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
	"github.com/openvnet/openvnet/store/storetest"
)

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fixture is a gate on a store of the test's own, with two tenants.
type fixture struct {
	*access.Gate
	t     *testing.T
	store *store.Store
	clock *clock
	web   http.Handler // the gate's own paths, and behind the middleware one that answers who asks
}

var root = access.Identity{Name: "root", Role: access.Admin}

func newFixture(t *testing.T, change func(*access.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: storetest.Open(t, ""), clock: &clock{at: time.Now()}}
	f.put(&model.Tenant{Meta: model.Meta{UUID: "tn-a"}}, &model.Tenant{Meta: model.Meta{UUID: "tn-b"}})
	authority, err := pki.Make(pki.AuthorityOptions{Dir: filepath.Join(t.TempDir(), "pki")})
	if err != nil {
		t.Fatal(err)
	}
	audit, err := access.OpenAudit(access.AuditOptions{Path: filepath.Join(t.TempDir(), "audit.log"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := audit.Close(); err != nil {
			t.Error(err)
		}
	})
	o := access.Options{
		Store: f.store, Authority: authority, Audit: audit, Now: f.clock.now, Log: slog.New(slog.DiscardHandler),
		Managers: func() []string { return []string{"https://127.0.0.1:9090"} },
	}
	if change != nil {
		change(&o)
	}
	if f.Gate, err = access.New(o); err != nil {
		t.Fatal(err)
	}
	f.store.Observe(f.Observe)
	mux := http.NewServeMux()
	for _, p := range access.Patterns() {
		mux.Handle(p, f.Gate)
	}
	mux.Handle("/", f.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := access.From(r.Context())
		access.Touch(r.Context(), r.URL.Query()["touch"]...)
		w.Header().Set("OpenVNet-Revision", "7")
		_ = json.NewEncoder(w).Encode(map[string]any{"name": id.Name, "role": id.Role.String(), "tenants": id.Tenants})
	})))
	f.web = mux
	return f
}

func (f *fixture) put(objects ...model.Object) {
	f.t.Helper()
	_, err := f.store.Update(f.t.Context(), func(tx *store.Tx) error {
		for _, o := range objects {
			if err := tx.Create(model.Clone(o)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) token(n access.NewToken) string {
	f.t.Helper()
	info, err := f.CreateToken(f.t.Context(), root, n)
	if err != nil {
		f.t.Fatal(err)
	}
	return info.Secret
}

// call makes a request with a token and gives the status, the body and the header.
func (f *fixture) call(method, path, token string, body any) (int, map[string]any, http.Header) {
	f.t.Helper()
	return f.send(request(f.t, method, path, token, body))
}

func request(t *testing.T, method, path, token string, body any) *http.Request {
	t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, in)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (f *fixture) send(r *http.Request) (int, map[string]any, http.Header) {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.web.ServeHTTP(w, r)
	var answer any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		f.t.Fatalf("%s %s: %d %q", r.Method, r.URL, w.Code, w.Body)
	}
	m, ok := answer.(map[string]any)
	if !ok {
		m = map[string]any{"list": answer}
	}
	return w.Code, m, w.Header()
}

// refused expects a refusal of that class.
func (f *fixture) refused(class model.Class, r *http.Request) string {
	f.t.Helper()
	status, answer, _ := f.send(r)
	if status != class.Status || answer["error"] != class.Name || answer["code"] != class.Code {
		f.t.Errorf("%s %s: %d %v, want %s", r.Method, r.URL, status, answer, class.Name)
	}
	message, _ := answer["message"].(string)
	return message
}

func (f *fixture) last(n int) []access.Entry {
	f.t.Helper()
	entries, err := f.Audit.Last(n)
	if err != nil {
		f.t.Fatal(err)
	}
	return entries
}

func contains(t *testing.T, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%q lacks %q", text, want)
	}
}
