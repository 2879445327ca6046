package join_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/agent/join"
	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 10 * time.Second

// site is a manager that lets everyone in, or answers what the test says.
type site struct {
	t         *testing.T
	url       string
	authority *pki.Authority

	back atomic.Int64 // by how much its clock is behind

	mu     sync.Mutex
	fail   func(w http.ResponseWriter) bool
	asked  []string // path and node of each request that came through
	signed int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	var err error
	s.authority, err = pki.Make(pki.AuthorityOptions{Dir: t.TempDir(), Now: func() time.Time {
		return time.Now().Add(-time.Duration(s.back.Load()))
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	server.TLS = s.authority.ServerConfig()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil && s.fail(w) {
		return
	}
	var j wire.Join
	if err := json.NewDecoder(r.Body).Decode(&j); err != nil {
		s.t.Error(err)
	}
	if r.URL.Path == wire.RenewPath {
		h, _ := pki.HostOf(r.TLS.PeerCertificates[0])
		j.NodeID = h.Node
	}
	s.asked = append(s.asked, r.URL.Path+" "+j.NodeID)
	s.signed++
	cert, _, err := s.authority.SignHost(j.Request, pki.Host{ID: fmt.Sprint("enr-", s.signed), Node: j.NodeID})
	if r.URL.Path == wire.RenewPath {
		cert, _, err = s.authority.SignHost(j.Request, pki.Host{ID: "enr-1", Node: j.NodeID})
	}
	if err != nil {
		s.t.Error(err)
	}
	roots, err := s.authority.RootsPEM()
	if err != nil {
		s.t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(wire.Joined{Certificate: cert, Authorities: roots})
}

func (s *site) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func (s *site) token(change func(*wire.JoinToken)) string {
	s.t.Helper()
	roots, err := s.authority.Roots()
	if err != nil {
		s.t.Fatal(err)
	}
	token := wire.JoinToken{Managers: []string{s.url}, Fingerprint: pki.Fingerprint(roots[0]), Secret: "secret"}
	if change != nil {
		change(&token)
	}
	return token.String()
}

func TestJoin(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := join.Load(dir); !errors.Is(err, join.ErrNotJoined) {
		t.Errorf("before: %v", err)
	}
	id, err := join.Join(t.Context(), join.Options{Token: " " + s.token(nil) + "\n", Dir: dir, Default: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := join.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []*join.Identity{id, again} {
		if id.NodeID() != "node1" || len(id.Managers()) != 1 || id.Managers()[0] != s.url {
			t.Errorf("%q at %v", id.NodeID(), id.Managers())
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	// A manager that is not there is passed over; the name is the option's, the token's, the machine's.
	if id, err = join.Join(t.Context(), join.Options{Token: s.token(func(j *wire.JoinToken) { j.NodeID = "node2" }), Dir: dir, Default: "node1", Managers: []string{"https://127.0.0.1:1", s.url}}); err != nil {
		t.Fatal(err)
	}
	if got := id.Managers(); len(got) != 2 || got[0] != s.url {
		t.Errorf("the manager that has answered is not the first: %v", got)
	}
	if got := strings.Join(s.requests(), ","); got != wire.JoinPath+" node1,"+wire.JoinPath+" node2" {
		t.Errorf("requests %s", got)
	}
}

func TestJoinIsRefused(t *testing.T) {
	s, other := newSite(t), newSite(t)
	answer := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	good := s.token(nil)
	for name, test := range map[string]struct {
		o    join.Options
		fail func(http.ResponseWriter) bool
		want string
	}{
		"no token":         {join.Options{NodeID: "n"}, nil, "does not begin with"},
		"a client's token": {join.Options{NodeID: "n", Token: "vnt_abc"}, nil, "not one for a host"},
		"a cut token":      {join.Options{NodeID: "n", Token: good[:len(good)-5]}, nil, "damaged"},
		"no name":          {join.Options{Token: good}, nil, "name is required"},
		"another's name":   {join.Options{NodeID: "n", Token: s.token(func(j *wire.JoinToken) { j.NodeID = "m" })}, nil, `is for host "m"`},
		"no manager":       {join.Options{NodeID: "n", Token: s.token(func(j *wire.JoinToken) { j.Managers = nil })}, nil, "--manager"},
		"plain http":       {join.Options{NodeID: "n", Token: good, Managers: []string{"http://127.0.0.1:1"}}, nil, "https"},
		"not reachable":    {join.Options{NodeID: "n", Token: good, Managers: []string{"https://127.0.0.1:1"}}, nil, "refused"},
		"an impostor":      {join.Options{NodeID: "n", Token: good, Managers: []string{other.url}}, nil, "not the one that the token names"},
		"used already":     {join.Options{NodeID: "n", Token: good}, answer(401, `{"error":"Unauthorized","message":"used already"}`), "refuses: used already"},
		"out of order":     {join.Options{NodeID: "n", Token: good}, answer(503, `{"message":"later"}`), "503 Service Unavailable later"},
		"not a manager":    {join.Options{NodeID: "n", Token: good}, answer(404, "nothing"), "404"},
		"nonsense":         {join.Options{NodeID: "n", Token: good}, answer(200, "nothing"), "malformed"},
		"no certificate":   {join.Options{NodeID: "n", Token: good}, answer(200, "{}"), "no certificate"},
		"another's redirect": {join.Options{NodeID: "n", Token: good}, func(w http.ResponseWriter) bool {
			w.Header().Set("Location", other.url)
			w.WriteHeader(307)
			return true
		}, "307"},
	} {
		t.Run(name, func(t *testing.T) {
			s.set(func() { s.fail = test.fail })
			test.o.Dir = t.TempDir()
			_, err := join.Join(t.Context(), test.o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the secret: %v", err)
			}
			if _, err := join.Load(test.o.Dir); !errors.Is(err, join.ErrNotJoined) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestKeep(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	s.back.Store(int64(pki.HostLifetime * 3 / 4))
	id, err := join.Join(t.Context(), join.Options{Token: s.token(nil), Dir: dir, NodeID: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	s.back.Store(0)
	var log logged
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- id.Keep(ctx, []string{"https://127.0.0.1:1", s.url}, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	wait.For(t, limit, "the renewal", func() error {
		to, err := id.Expires()
		if err == nil && time.Until(to) < pki.HostLifetime-time.Hour {
			err = fmt.Errorf("it expires at %v\n%s", to, &log)
		}
		return err
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.requests(); got[len(got)-1] != wire.RenewPath+" node1" {
		t.Errorf("%v", got)
	}
}

func TestKeepReportsWhatFails(t *testing.T) {
	s := newSite(t)
	s.back.Store(int64(pki.HostLifetime + time.Hour))
	dir := t.TempDir()
	id, err := join.Join(t.Context(), join.Options{Token: s.token(nil), Dir: dir, NodeID: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- id.Keep(ctx, id.Managers(), slog.New(slog.NewTextHandler(&log, nil))) }()
	wait.For(t, limit, "the report", func() error {
		if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "cannot be renewed") {
			return errors.New(text)
		}
		return nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
