package access_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// site is a fixture that serves over TLS; /hello answers what CheckAgent says about the hello that it is sent.
type site struct {
	*fixture
	server *httptest.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{fixture: newFixture(t, nil)}
	mux := http.NewServeMux()
	mux.Handle("/", s.web)
	mux.Handle(wire.Path, s.Agents(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })))
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		var h wire.Hello
		if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
			t.Error(err)
		}
		until, err := s.CheckAgent(r, h)
		if err != nil {
			var refused *model.Error
			if !errors.As(err, &refused) {
				t.Errorf("not a refusal: %v", err)
			}
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, until.Format(time.RFC3339))
	})
	s.server = httptest.NewUnstartedServer(mux)
	s.server.TLS = s.Authority.ServerConfig()
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) joinToken(n access.NewJoinToken) string {
	s.t.Helper()
	info, err := s.CreateJoinToken(s.t.Context(), root, n)
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Secret
}

// post sends a body and gives the status and the answer.
func (s *site) post(config *tls.Config, path string, body any) (int, string) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.server.URL+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// join takes a token as a host, and gives the host's credentials if it was let in.
func (s *site) join(token, node string) (c *pki.Credentials, dir string, status int, answer string) {
	s.t.Helper()
	parsed, err := wire.ParseJoinToken(token)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := pki.NewRequest()
	if err != nil {
		s.t.Fatal(err)
	}
	status, answer = s.post(pki.JoinConfig(parsed.Fingerprint), wire.JoinPath, wire.Join{Secret: parsed.Secret, NodeID: node, Request: req.DER})
	if status != http.StatusOK {
		return nil, "", status, answer
	}
	c, dir = s.keep(req, answer)
	return c, dir, status, answer
}

func (s *site) keep(req *pki.Request, answer string) (*pki.Credentials, string) {
	s.t.Helper()
	var joined wire.Joined
	if err := json.Unmarshal([]byte(answer), &joined); err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	if err := req.Store(dir, joined.Certificate, joined.Authorities); err != nil {
		s.t.Fatal(err)
	}
	c, err := pki.LoadCredentials(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, dir
}

// mustJoin is a host that is let in.
func (s *site) mustJoin(node string) *pki.Credentials {
	s.t.Helper()
	c, _, status, answer := s.join(s.joinToken(access.NewJoinToken{NodeID: node}), node)
	if status != http.StatusOK {
		s.t.Fatalf("%s cannot join: %d %s", node, status, answer)
	}
	return c
}

func (s *site) hello(c *pki.Credentials, node string, dpid model.DPID) (int, string) {
	s.t.Helper()
	return s.post(c.ClientConfig(), "/hello", wire.Hello{NodeID: node, DPID: dpid})
}

func TestJoin(t *testing.T) {
	s := newSite(t)
	token := s.joinToken(access.NewJoinToken{})
	c, _, status, answer := s.join(token, "node1")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	if h, err := c.Host(); err != nil || h.Node != "node1" {
		t.Errorf("%+v, %v", h, err)
	}
	if status, answer := s.hello(c, "node1", 1); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}

	for name, test := range map[string]struct {
		token, node string
		want        string
	}{
		"used already":    {token, "node2", "used already"},
		"never made":      {wire.JoinToken{Fingerprint: parse(t, token).Fingerprint, Secret: "x"}.String(), "node2", "not known"},
		"another host's":  {s.joinToken(access.NewJoinToken{NodeID: "node3"}), "node2", `is for host \"node3\"`},
		"has joined":      {s.joinToken(access.NewJoinToken{}), "node1", "has joined already"},
		"without a name":  {s.joinToken(access.NewJoinToken{}), "", "is required"},
		"malformed name":  {s.joinToken(access.NewJoinToken{}), "node\x01", "control character"},
		"expired":         {expiredToken(s), "node2", "expired"},
		"revoked":         {revokedToken(s), "node2", "revoked"},
		"of another site": {newSite(t).joinToken(access.NewJoinToken{}), "node2", "not the one that the token names"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, status, answer := s.join(test.token, test.node)
			if status == http.StatusOK || status >= 500 || !strings.Contains(answer, test.want) {
				t.Errorf("%d %s, want %q", status, answer, test.want)
			}
		})
	}
	// A token that was refused for the name has not been used up.
	if n, err := s.JoinTokens(root); err != nil || len(n) < 3 {
		t.Errorf("%d tokens are left, %v", len(n), err)
	}
	if e := s.last(1); e[0].Resource != "join" || e[0].Status != http.StatusUnauthorized && e[0].Status != http.StatusForbidden && e[0].Status != http.StatusConflict && e[0].Status != http.StatusBadRequest {
		t.Errorf("%+v", e[0])
	}
}

func parse(t *testing.T, token string) wire.JoinToken {
	t.Helper()
	parsed, err := wire.ParseJoinToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func expiredToken(s *site) string {
	token := s.joinToken(access.NewJoinToken{Expires: time.Nanosecond})
	s.clock.pass(time.Nanosecond)
	return token
}

func revokedToken(s *site) string {
	info, err := s.CreateJoinToken(s.t.Context(), root, access.NewJoinToken{})
	if err != nil {
		s.t.Fatal(err)
	}
	if status, answer, _ := s.call(http.MethodDelete, "/api/1.0/join_tokens/"+info.UUID, s.admin(), nil); status != http.StatusOK {
		s.t.Fatalf("%d %v", status, answer)
	}
	return info.Secret
}

func (s *site) admin() string {
	return s.token(access.NewToken{Name: model.Tokens.NewUUID(), Role: access.Admin})
}

// One token, many hosts at the same time: one is let in.
func TestJoinTokenServesOnce(t *testing.T) {
	s := newSite(t)
	token := parse(t, s.joinToken(access.NewJoinToken{}))
	const hosts = 8
	statuses := make(chan int, hosts)
	for i := range hosts {
		req, err := pki.NewRequest()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			status, _ := s.post(pki.JoinConfig(token.Fingerprint), wire.JoinPath, wire.Join{Secret: token.Secret, NodeID: string(rune('a' + i)), Request: req.DER})
			statuses <- status
		}()
	}
	in := 0
	for range hosts {
		if status := <-statuses; status == http.StatusOK {
			in++
		} else if status != http.StatusUnauthorized {
			t.Errorf("status %d", status)
		}
	}
	if list, err := s.Enrollments(root); in != 1 || len(list) != 1 || err != nil {
		t.Errorf("%d were let in, %d have joined, %v", in, len(list), err)
	}
}

// A host may only be itself.
func TestClaims(t *testing.T) {
	s := newSite(t)
	s.put(&model.Datapath{Meta: model.Meta{UUID: "dp-node3"}, DisplayName: "node3", NodeID: "node3", DPID: 3})
	one, two := s.mustJoin("node1"), s.mustJoin("node2")
	ok := func(status int, answer string) {
		t.Helper()
		if status != http.StatusOK {
			t.Errorf("%d %s", status, answer)
		}
	}
	no := func(want string) func(int, string) {
		return func(status int, answer string) {
			t.Helper()
			if status != http.StatusForbidden {
				t.Errorf("%d %s", status, answer)
			}
			contains(t, answer, want)
		}
	}
	ok(s.hello(one, "node1", 1))
	ok(s.post(one.ClientConfig(), wire.Path, nil))
	if status, answer := s.post(pki.JoinConfig(parse(t, s.joinToken(access.NewJoinToken{})).Fingerprint), wire.Path, nil); status != http.StatusUnauthorized || !strings.Contains(answer, "vna join") {
		t.Errorf("a stream without a certificate: %d %s", status, answer)
	}
	no(`certificate is for host "node1"`)(s.hello(one, "node2", 2))
	no("joined with datapath id 0x0000000000000001")(s.hello(one, "node1", 4))
	no(`belongs to host "node1"`)(s.hello(two, "node2", 1))
	no(`belongs to host "node3"`)(s.hello(two, "node2", 3))
	ok(s.hello(two, "node2", 2))
	ok(s.hello(two, "node2", 2))
	no("no certificate")(s.post(pki.JoinConfig(parse(t, s.joinToken(access.NewJoinToken{})).Fingerprint), "/hello", wire.Hello{NodeID: "node1", DPID: 1}))

	// Joined again, the host's older certificate is worth nothing, and its bridge may be another.
	again := s.mustJoin("node1")
	no("revoked")(s.hello(one, "node1", 1))
	ok(s.hello(again, "node1", 5))

	if status, answer, _ := s.call(http.MethodDelete, "/api/1.0/enrollments/node1", s.admin(), nil); status != http.StatusOK {
		t.Errorf("%d %v", status, answer)
	}
	no("revoked")(s.hello(again, "node1", 5))

	// A certificate that was made by other means than joining.
	req, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := s.Authority.SignHost(req.DER, pki.Host{ID: "enr-forged", Node: "node9"})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := s.Authority.RootsPEM()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(wire.Joined{Certificate: cert, Authorities: roots})
	if err != nil {
		t.Fatal(err)
	}
	forged, _ := s.keep(req, string(answer))
	no("revoked")(s.hello(forged, "node9", 9))
}

func TestRenewal(t *testing.T) {
	s := newSite(t)
	c := s.mustJoin("node1")
	before, err := s.Enrollments(root)
	if err != nil {
		t.Fatal(err)
	}
	req, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	status, answer := s.post(c.ClientConfig(), wire.RenewPath, wire.Renew{Request: req.DER})
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	renewed, _ := s.keep(req, answer)
	for name, c := range map[string]*pki.Credentials{"renewed": renewed, "old": c} {
		if status, answer := s.hello(c, "node1", 1); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	after, err := s.Enrollments(root)
	if err != nil || len(after) != 1 || after[0].ExpiresAt.Before(before[0].ExpiresAt) {
		t.Errorf("%+v, %v", after, err)
	}
	if e := s.last(1)[0]; e.Who != "host node1" || e.Resource != "renew" {
		t.Errorf("%+v", e)
	}
	for name, post := range map[string]func() (int, string){
		"no certificate": func() (int, string) {
			return s.post(pki.JoinConfig(parse(t, s.joinToken(access.NewJoinToken{})).Fingerprint), wire.RenewPath, wire.Renew{Request: req.DER})
		},
		"no request": func() (int, string) { return s.post(c.ClientConfig(), wire.RenewPath, wire.Renew{}) },
		"junk":       func() (int, string) { return s.post(c.ClientConfig(), wire.RenewPath, strings.Repeat("x", 100)) },
		"too long": func() (int, string) {
			return s.post(c.ClientConfig(), wire.RenewPath, strings.Repeat("x", 2*wire.MaxJoin))
		},
	} {
		if status, answer := post(); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
}

func TestWhoMayAdmitHosts(t *testing.T) {
	s := newSite(t)
	ofA, op := s.token(access.NewToken{Name: "a", Role: access.Admin, Tenants: []string{"tn-a"}}), s.token(access.NewToken{Name: "op", Role: access.Operator})
	for _, token := range []string{ofA, op} {
		for _, path := range []string{"GET join_tokens", "POST join_tokens", "DELETE join_tokens/join-x", "GET enrollments", "DELETE enrollments/node1"} {
			method, path, _ := strings.Cut(path, " ")
			s.refused(model.Forbidden, request(t, method, "/api/1.0/"+path, token, nil))
		}
	}
	admin := s.admin()
	for name, body := range map[string]map[string]any{
		"for ever":    {"expires": "never"},
		"plain http":  {"managers": "http://10.0.0.1:9090"},
		"no URL":      {"managers": []string{"10.0.0.1"}},
		"a long name": {"node_id": strings.Repeat("x", 300)},
	} {
		if status, answer, _ := s.call(http.MethodPost, "/api/1.0/join_tokens", admin, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	_, made, _ := s.call(http.MethodPost, "/api/1.0/join_tokens", admin, map[string]any{"node_id": "node1", "managers": []string{"https://a:1", "https://b:2"}})
	if got := parse(t, made["token"].(string)); len(got.Managers) != 2 || got.NodeID != "node1" {
		t.Errorf("%+v", got)
	}
	if _, list, _ := s.call(http.MethodGet, "/api/1.0/join_tokens", admin, nil); strings.Contains(string(must(json.Marshal(list))), parse(t, made["token"].(string)).Secret) {
		t.Error("the list holds the secret")
	}

	open := newFixture(t, func(o *access.Options) { o.Insecure, o.Authority = true, nil })
	open.refused(model.Conflict, request(t, http.MethodPost, "/api/1.0/join_tokens", "", nil))
	open.refused(model.UnknownResource, request(t, http.MethodPost, wire.JoinPath, "", nil))
	if _, err := open.CheckAgent(request(t, http.MethodPost, wire.Path, "", nil), wire.Hello{NodeID: "any"}); err != nil {
		t.Errorf("insecure: %v", err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return b
}
