package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/agent/join"
	agentsync "github.com/openvnet/openvnet/agent/sync"
	vnclient "github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

// secured is a vnmgr with access control.
type secured struct {
	*manager
	data  string
	admin string
}

func startSecured(t testing.TB, data string, args ...string) *secured {
	t.Helper()
	m := launch(t, append([]string{"--data", data, "--api", "127.0.0.1:0"}, args...))
	s := &secured{manager: m, data: data}
	m.url = strings.Replace(m.url, "http://", "https://", 1)
	b, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	s.admin = strings.TrimSpace(string(b))
	return s
}

// trusted gives what clients trust.
func (s *secured) trusted() *tls.Config {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.data, "pki", "ca.crt"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		s.t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool}
}

func (s *secured) client(token string) *vnclient.Client {
	s.t.Helper()
	t := &http.Transport{TLSClientConfig: s.trusted(), DisableKeepAlives: true, ForceAttemptHTTP2: true}
	c, err := vnclient.New(vnclient.Options{Server: s.url, Token: token, HTTP: &http.Client{Transport: t}, Retries: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// vnmgr runs a command of the administrator, and gives what it prints.
func vnmgr(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return strings.TrimSpace(out.String()), err
}

// do is a command that succeeds.
func (s *secured) do(args ...string) string {
	s.t.Helper()
	out, err := vnmgr(s.t, append(args, "--data", s.data)...)
	if err != nil {
		s.t.Fatalf("vnmgr %v: %v", args, err)
	}
	return out
}

// agent starts an agent of an identity, which says that it is the node of that number, until the test ends.
func (s *secured) agent(id *join.Identity, managers []string, n int) *host {
	s.t.Helper()
	h := &host{objects: map[string]model.Object{}, seen: map[string]time.Time{}}
	hello := wire.Hello{
		NodeID: fmt.Sprint("node", n), DPID: model.DPID(n), Instance: fmt.Sprint("instance", n),
		Uplink: &wire.Uplink{Name: "eth0", MAC: model.MAC{2, 1, 0, 0, 0, byte(n)}, MTU: 1500, Addresses: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("172.16.0.%d/24", n))}},
	}
	o := agentsync.Options{Managers: managers, Handler: h, Hello: func() wire.Hello { return hello }, Log: slog.New(slog.DiscardHandler), MaxRetry: 100 * time.Millisecond}
	if id != nil {
		o.TLS = id.TLS()
	}
	c, err := agentsync.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	h.sync = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-done })
	return h
}

// refused waits until an agent has been refused for that reason.
func (h *host) refused(t testing.TB, want string) {
	t.Helper()
	wait.For(t, limit, "the refusal", func() error {
		if st := h.sync.State(); st.Connected || !strings.Contains(st.Reason, want) {
			return fmt.Errorf("%+v, want %q", st, want)
		}
		return nil
	})
}

func (s *secured) join(node string) *join.Identity {
	s.t.Helper()
	id, err := join.Join(s.t.Context(), join.Options{Token: s.do("token", "host", "--node-id", node), Dir: s.t.TempDir()})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func status(err error) int {
	var refused *vnclient.Error
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}

func TestSecured(t *testing.T) {
	s := startSecured(t, filepath.Join(t.TempDir(), "vnmgr"))
	ctx := t.Context()
	for file, mode := range map[string]os.FileMode{"admin.token": 0o600, "pki/ca.pem": 0o600, "audit.log": 0o600, "vnmgr.sock": 0o600, "pki/ca.crt": 0o644} {
		if info, err := os.Stat(filepath.Join(s.data, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if text := s.log.String(); strings.Contains(text, s.admin) || !strings.Contains(text, "admin.token") || strings.Contains(text, "insecure") {
		t.Errorf("log:\n%s", text)
	}

	// The Web API.
	admin := s.client(s.admin)
	if _, err := vnclient.Create[model.Network](ctx, admin, vnclient.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"no token": "", "a wrong token": s.admin + "x"} {
		if _, err := vnclient.Get[model.Network](ctx, s.client(token), "nw-a"); status(err) != http.StatusUnauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, err := vnclient.New(vnclient.Options{Server: strings.Replace(s.url, "https", "http", 1), Token: s.admin, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vnclient.Get[model.Network](ctx, plain, "nw-a"); err == nil {
		t.Error("answered without TLS")
	}
	elsewhere, err := vnclient.New(vnclient.Options{Server: s.url, Token: s.admin, TLS: &tls.Config{RootCAs: x509.NewCertPool()}, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vnclient.Get[model.Network](ctx, elsewhere, "nw-a"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a client trusts a stranger: %v", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: s.trusted(), DisableKeepAlives: true}}).Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("health without a token: %d", resp.StatusCode)
	}

	// Hosts.
	one := s.join("node1")
	if !slices.Equal(one.Managers(), []string{s.url}) {
		t.Errorf("managers %v", one.Managers())
	}
	h1 := s.agent(one, one.Managers(), 1)
	h1.has(t, model.DefaultTopology)
	s.agent(one, one.Managers(), 2).refused(t, `the certificate is for host "node1"`)
	s.agent(nil, []string{strings.Replace(s.url, "https", "http", 1)}, 3).refused(t, "")
	s.agent(s.stranger("node4"), []string{s.url}, 4).refused(t, "unknown authority")

	// The authority is rotated under everyone.
	s.do("ca", "rotate")
	if got := s.do("ca", "show"); strings.Count(got, "fingerprint") != 2 {
		t.Errorf("%s", got)
	}
	two := s.join("node2")
	h2 := s.agent(two, two.Managers(), 2)
	h2.has(t, model.DefaultTopology)
	again := s.agent(one, one.Managers(), 1) // the old certificate, to the new authority
	again.has(t, model.DefaultTopology)
	if _, err := vnclient.Get[model.Network](ctx, admin, "nw-a"); err != nil {
		t.Errorf("a client of the old authority: %v", err)
	}

	// A host is cut off.
	list := s.do("token", "list")
	uuid := ""
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "host" && f[2] == "node2" {
			uuid = f[0]
		}
	}
	if uuid == "" {
		t.Fatalf("node2 is not in the list:\n%s", list)
	}
	s.do("token", "revoke", uuid)
	h2.refused(t, "revoked")

	entries, err := admin.Audit(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, e := range entries {
		found[fmt.Sprint(e.Who, " ", e.Method, " ", e.Resource, " ", e.Status)] = true
	}
	for _, want := range []string{"admin POST networks 200", " GET networks 401", "local POST join_tokens 200", "a host POST join 200", "local DELETE enrollments 200"} {
		if !found[want] {
			t.Errorf("the audit log lacks %q: %v", want, found)
		}
	}
	for _, e := range entries {
		if e.Who == "admin" && e.Resource == "networks" && (!slices.Contains(e.UUIDs, "nw-a") || e.Revision == 0) {
			t.Errorf("%+v", e)
		}
	}
}

// stranger gives an identity of another site.
func (s *secured) stranger(node string) *join.Identity {
	s.t.Helper()
	other := startSecured(s.t, filepath.Join(s.t.TempDir(), "other"))
	return other.join(node)
}

// What a tenant's token sees and does over the real API, by role and method.
func TestTenants(t *testing.T) {
	s := startSecured(t, t.TempDir())
	ctx := t.Context()
	admin := s.client(s.admin)
	for _, tenant := range []string{"tn-a", "tn-b"} {
		if _, err := vnclient.Create[model.Tenant](ctx, admin, vnclient.Params{"uuid": tenant}); err != nil {
			t.Fatal(err)
		}
	}
	for uuid, tenant := range map[string]string{"nw-a": "tn-a", "nw-b": "tn-b", "nw-s": ""} {
		p := vnclient.Params{"uuid": uuid, "ipv4_network": "10.0.0.0"}
		if tenant != "" {
			p["tenant_uuid"] = tenant
		}
		if _, err := vnclient.Create[model.Network](ctx, admin, p); err != nil {
			t.Fatal(err)
		}
	}
	const ok, absent, forbidden = 0, http.StatusNotFound, http.StatusForbidden
	type row map[string]int // by network: status of what is tried
	for name, test := range map[string]struct {
		args          []string
		sees          []string
		get           row
		put           row
		create        int
		createOther   int // in tenant b
		deleteOfOther int
	}{
		"viewer":        {[]string{"--role", "viewer"}, []string{"nw-a", "nw-b", "nw-s"}, row{}, row{"nw-a": forbidden, "nw-b": forbidden, "nw-s": forbidden}, forbidden, forbidden, forbidden},
		"operator":      {[]string{"--role", "operator"}, []string{"nw-a", "nw-b", "nw-s"}, row{}, row{}, ok, ok, absent},
		"viewer of a":   {[]string{"--role", "viewer", "--tenant", "tn-a"}, []string{"nw-a", "nw-s"}, row{"nw-b": absent}, row{"nw-a": forbidden, "nw-b": forbidden, "nw-s": forbidden}, forbidden, forbidden, forbidden},
		"operator of a": {[]string{"--role", "operator", "--tenant", "tn-a"}, []string{"nw-a", "nw-s"}, row{"nw-b": absent}, row{"nw-b": absent, "nw-s": forbidden}, ok, absent, absent},
		"admin of a":    {[]string{"--role", "admin", "--tenant", "tn-a"}, []string{"nw-a", "nw-s"}, row{"nw-b": absent}, row{"nw-b": absent, "nw-s": forbidden}, ok, absent, absent},
		"operator of both": {[]string{"--role", "operator", "--tenant", "tn-a,tn-b"}, []string{"nw-a", "nw-b", "nw-s"}, row{}, row{"nw-s": forbidden},
			http.StatusBadRequest, ok, absent},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client(s.do(append([]string{"token", "create", name}, test.args...)...))
			var seen []string
			for i, err := range vnclient.List[model.Network](ctx, c, nil) {
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, i.Object.UUID)
			}
			if slices.Sort(seen); !slices.Equal(seen, test.sees) {
				t.Errorf("sees %v", seen)
			}
			for _, uuid := range []string{"nw-a", "nw-b", "nw-s"} {
				if _, err := vnclient.Get[model.Network](ctx, c, uuid); status(err) != test.get[uuid] || err != nil && status(err) == 0 {
					t.Errorf("get %s: %v", uuid, err)
				}
				if _, err := vnclient.Update[model.Network](ctx, c, uuid, vnclient.Params{"display_name": name}); status(err) != test.put[uuid] || err != nil && status(err) == 0 {
					t.Errorf("put %s: %v", uuid, err)
				}
			}
			made, err := vnclient.Create[model.Network](ctx, c, vnclient.Params{"ipv4_network": "10.1.0.0"})
			if status(err) != test.create {
				t.Errorf("create: %v", err)
			}
			if err == nil {
				if strings.HasSuffix(name, "of a") && made.Object.TenantUUID != "tn-a" {
					t.Errorf("created for tenant %q", made.Object.TenantUUID)
				}
				if _, err := c.Delete(ctx, made.Object.UUID); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			made, err = vnclient.Create[model.Network](ctx, c, vnclient.Params{"ipv4_network": "10.1.0.0", "tenant_uuid": "tn-b"})
			if status(err) != test.createOther {
				t.Errorf("create for b: %v", err)
			}
			if err == nil {
				if _, err := c.Delete(ctx, made.Object.UUID); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			if _, err := c.Delete(ctx, "nw-none"); status(err) != test.deleteOfOther {
				t.Errorf("delete what is not there: %v", err)
			}
			for method, path := range map[string]string{http.MethodGet: "backup", http.MethodPost: "join_tokens"} {
				if _, err := c.Do(ctx, vnclient.Request{Method: method, Path: path}); status(err) != forbidden {
					t.Errorf("%s %s: %v", method, path, err)
				}
			}
		})
	}
}

func TestTokenCommands(t *testing.T) {
	s := startSecured(t, t.TempDir())
	token := s.do("token", "create", "ci", "--role", "viewer", "--expires", "30d")
	c := s.client(token)
	if _, err := vnclient.Get[model.Topology](t.Context(), c, model.DefaultTopology); err != nil {
		t.Error(err)
	}
	if list := s.do("token", "list"); !strings.Contains(list, "ci ") || strings.Contains(list, token) {
		t.Errorf("%s", list)
	}
	admin := s.client(s.admin)
	if made, err := admin.CreateToken(t.Context(), vnclient.NewToken{Name: "api", Role: "viewer"}); err != nil || made.Secret == "" {
		t.Errorf("%+v %v", made, err)
	} else if _, err := vnclient.Get[model.Topology](t.Context(), s.client(made.Secret), model.DefaultTopology); err != nil {
		t.Errorf("with a token made by the API: %v", err)
	}
	if made, err := admin.CreateJoinToken(t.Context(), vnclient.NewJoinToken{NodeID: "node7", Managers: []string{s.url}}); err != nil || made.NodeID != "node7" {
		t.Errorf("%+v %v", made, err)
	} else if parsed, err := wire.ParseJoinToken(made.Secret); err != nil || parsed.NodeID != "node7" || !slices.Equal(parsed.Managers, []string{s.url}) {
		t.Errorf("%+v %v", parsed, err)
	}
	s.do("token", "revoke", "ci")
	if _, err := vnclient.Get[model.Topology](t.Context(), c, model.DefaultTopology); status(err) != http.StatusUnauthorized {
		t.Errorf("after revocation: %v", err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no such token": {[]string{"token", "revoke", "ci"}, "there is no token ci"},
		"no such role":  {[]string{"token", "create", "x", "--role", "god"}, `role: "god" is not one of`},
		"taken":         {[]string{"token", "create", "admin"}, "admin is taken"},
		"no store":      {[]string{"token", "list", "--data", t.TempDir()}, "holds no store"},
		"no name":       {[]string{"token", "create"}, "accepts 1 arg"},
	} {
		args := test.args
		if !slices.Contains(args, "--data") {
			args = append(args, "--data", s.data)
		}
		if _, err := vnmgr(t, args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	// Without a manager that runs.
	s.stop()
	offline := s.do("token", "create", "offline", "--role", "viewer")
	s = startSecured(t, s.data)
	if _, err := vnclient.Get[model.Topology](t.Context(), s.client(offline), model.DefaultTopology); err != nil {
		t.Error(err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	s := startSecured(t, t.TempDir())
	ctx := t.Context()
	if _, err := vnclient.Create[model.Network](ctx, s.client(s.admin), vnclient.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	running, stopped := filepath.Join(dir, "running"), filepath.Join(dir, "stopped")
	s.do("backup", running)
	s.stop()
	s.do("backup", stopped)
	if piped := s.do("backup", "-"); !strings.Contains(piped, "nw-a") {
		t.Errorf("to standard output: %.200s", piped)
	}
	for _, file := range []string{running, stopped} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
		if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(s.admin)) {
			t.Errorf("the backup holds a token: %v", err)
		}
		data := filepath.Join(t.TempDir(), "restored")
		if _, err := vnmgr(t, "restore", file, "--data", data); err != nil {
			t.Fatal(err)
		}
		if _, err := vnmgr(t, "restore", file, "--data", data); err == nil || !strings.Contains(err.Error(), "there is a store already") {
			t.Errorf("restored over a store: %v", err)
		}
		// The token that the backup knows the hash of is good there as well.
		if err := os.WriteFile(filepath.Join(data, "admin.token"), []byte(s.admin), 0o600); err != nil {
			t.Fatal(err)
		}
		r := startSecured(t, data)
		if _, err := vnclient.Get[model.Network](ctx, r.client(s.admin), "nw-a"); err != nil {
			t.Error(err)
		}
		r.stop()
	}
	if _, err := vnmgr(t, "restore", filepath.Join(dir, "none"), "--data", filepath.Join(dir, "x")); err == nil {
		t.Error("restored from nothing")
	}
}

// Clients get the certificate that was given, hosts go on knowing the manager by its own.
func TestGivenCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir, "vn.example.org")
	s := startSecured(t, filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key, "--tls-name", "vn.example.org")
	b, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "vn.example.org"}, DisableKeepAlives: true}
	c, err := vnclient.New(vnclient.Options{Server: s.url, Token: s.admin, HTTP: &http.Client{Transport: tr}, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vnclient.Get[model.Topology](t.Context(), c, model.DefaultTopology); err != nil {
		t.Error(err)
	}
	id, err := join.Join(t.Context(), join.Options{Token: s.do("token", "host", "--manager", s.url), Dir: t.TempDir(), NodeID: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	s.agent(id, id.Managers(), 1).has(t, model.DefaultTopology)
}

func selfSigned(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// Whoever reaches the manager without access control is told so in the log, and everything works as before.
func TestInsecureIsSaid(t *testing.T) {
	data := t.TempDir()
	m := start(t, "--data", data, "--api", "127.0.0.1:0")
	if !strings.Contains(m.log.String(), "level=WARN") || !strings.Contains(m.log.String(), "there is no access control") {
		t.Errorf("log:\n%s", m.log)
	}
	m.must(http.MethodPost, "/api/1.0/networks", network("nw-a"))
	if items := m.must(http.MethodGet, "/api/1.0/audit", nil)["items"].([]any); len(items) != 1 {
		t.Errorf("%v", items)
	}
	if _, err := os.Stat(filepath.Join(data, "pki")); err == nil {
		t.Error("a certificate authority was made")
	}
	if _, err := vnmgr(t, "backup", filepath.Join(t.TempDir(), "b"), "--data", data); err != nil {
		t.Error(err)
	}
	if _, err := vnmgr(t, "token", "host", "--data", data); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("a token for a host: %v", err)
	}
}

// What an operator of one tenant tries on another one's objects, by every way that there is.
func TestTenantsAreIsolated(t *testing.T) {
	s := startSecured(t, t.TempDir())
	ctx := t.Context()
	admin := s.client(s.admin)
	post := func(c *vnclient.Client, path string, body vnclient.Params) error {
		t.Helper()
		_, err := c.Do(ctx, vnclient.Request{Method: http.MethodPost, Path: path, Body: body})
		return err
	}
	for _, o := range []struct {
		path string
		body vnclient.Params
	}{
		{"tenants", vnclient.Params{"uuid": "tn-a"}},
		{"tenants", vnclient.Params{"uuid": "tn-b"}},
		{"datapaths", vnclient.Params{"uuid": "dp-s", "display_name": "s", "dpid": "0x1", "node_id": "s"}},
		{"networks", vnclient.Params{"uuid": "nw-b", "tenant_uuid": "tn-b", "ipv4_network": "10.0.0.0"}},
		{"networks", vnclient.Params{"uuid": "nw-s", "ipv4_network": "10.0.0.0"}},
		{"interfaces", vnclient.Params{"uuid": "if-b", "mode": "vif", "tenant_uuid": "tn-b", "network_uuid": "nw-b", "ipv4_address": "10.0.0.9"}},
		{"interfaces", vnclient.Params{"uuid": "if-bs", "mode": "vif", "tenant_uuid": "tn-b", "network_uuid": "nw-s", "ipv4_address": "10.0.0.8"}},
		{"filters", vnclient.Params{"uuid": "fil-b", "interface_uuid": "if-b", "mode": "static"}},
	} {
		if err := post(admin, o.path, o.body); err != nil {
			t.Fatalf("%s %v: %v", o.path, o.body, err)
		}
	}
	a := s.client(s.do("token", "create", "of-a", "--tenant", "tn-a"))
	for _, o := range []struct {
		path string
		body vnclient.Params
	}{
		{"networks", vnclient.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}},
		{"interfaces", vnclient.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.7"}},
		{"interfaces", vnclient.Params{"uuid": "if-as", "mode": "vif", "network_uuid": "nw-s", "ipv4_address": "10.0.0.7"}},
	} {
		if err := post(a, o.path, o.body); err != nil {
			t.Errorf("its own: %s %v: %v", o.path, o.body, err)
		}
	}

	_, export := read(t, a, "export")
	if !strings.Contains(export, "nw-a") {
		t.Errorf("its own is not exported: %s", export)
	}
	for _, r := range model.All() {
		if r.Hidden {
			if status, body := read(t, a, r.Plural); r != model.Tokens && r != model.JoinTokens && r != model.Enrollments && status != http.StatusNotFound {
				t.Errorf("%s: %d %s", r.Plural, status, body)
			}
			continue
		}
		status, body := read(t, a, r.Plural)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", r.Plural, status, body)
		}
		export += body
	}
	for _, uuid := range []string{"nw-b", "if-b", "if-bs", "fil-b", "tn-b"} {
		if strings.Contains(export, `"`+uuid+`"`) {
			t.Errorf("it is told of %s", uuid)
		}
	}

	object := func(uuid string) map[string]any { return map[string]any{"uuid": uuid, "display_name": "taken over"} }
	for _, try := range []struct {
		method, path string
		body         any
		want         []int
	}{
		{http.MethodGet, "interfaces/if-b", nil, []int{404}},
		{http.MethodGet, "interfaces/if-b/ports", nil, []int{404}},
		{http.MethodGet, "filters/fil-b/static", nil, []int{404}},
		{http.MethodPatch, "interfaces/if-bs", map[string]any{"display_name": "x"}, []int{404}},
		{http.MethodDelete, "interfaces/if-bs", nil, []int{404}},
		{http.MethodDelete, "interfaces/if-b/ports", nil, []int{404}},
		{http.MethodPost, "interfaces/if-b/ports", map[string]any{"port_name": "x"}, []int{404}},
		{http.MethodPost, "interface_ports", map[string]any{"interface_uuid": "if-b", "port_name": "x"}, []int{403, 404}},
		{http.MethodPost, "ip_leases", map[string]any{"interface_uuid": "if-b", "ipv4_address": "10.0.0.20"}, []int{400, 404}},
		{http.MethodPost, "mac_leases", map[string]any{"interface_uuid": "if-bs", "mac_address": "02:00:00:00:00:01"}, []int{404}},
		{http.MethodPost, "filters", map[string]any{"interface_uuid": "if-bs", "mode": "static"}, []int{404}},
		{http.MethodPost, "filters/fil-b/static", map[string]any{"protocol": "icmp", "src_address": "0.0.0.0/0", "dst_address": "0.0.0.0/0", "action": "pass"}, []int{404}},
		{http.MethodPost, "interfaces", map[string]any{"mode": "vif", "network_uuid": "nw-b"}, []int{404}},
		{http.MethodPost, "interfaces", map[string]any{"mode": "vif", "tenant_uuid": "tn-b"}, []int{404}},
		{http.MethodPost, "networks", map[string]any{"uuid": "nw-b", "ipv4_network": "10.0.0.0"}, []int{400, 409}}, // the name is taken: all share them
		{http.MethodPut, "networks/nw-s", map[string]any{"display_name": "x"}, []int{403}},
		{http.MethodDelete, "networks/nw-s", nil, []int{403}},
		{http.MethodPut, "networks/nw-a", map[string]any{"tenant_uuid": "tn-b"}, []int{400, 404}},
		{http.MethodPost, "datapaths", map[string]any{"display_name": "x", "dpid": "0x9", "node_id": "x"}, []int{403}},
		{http.MethodPost, "datapaths/dp-s/networks/nw-a", map[string]any{}, []int{403}},
		{http.MethodPost, "datapath_networks", map[string]any{"datapath_uuid": "dp-s", "network_uuid": "nw-a"}, []int{403}},
		{http.MethodPost, "topologies", map[string]any{"mode": "simple_overlay"}, []int{403}},
		{http.MethodPut, "topologies/topo-default", map[string]any{"automatic": false}, []int{403}},
		{http.MethodPost, "tenants", map[string]any{}, []int{403}},
		{http.MethodPut, "tenants/tn-a", map[string]any{"display_name": "x"}, []int{403}},
		{http.MethodDelete, "tenants/tn-b", nil, []int{404}},
		{http.MethodPost, "interfaces", map[string]any{"mode": "host", "owner_datapath_uuid": "dp-s", "port_name": "eth0"}, []int{403}},
		{http.MethodPost, "apply", map[string]any{"networks": []any{object("nw-b")}}, []int{404}},
		{http.MethodPost, "apply", map[string]any{"networks": []any{object("nw-s")}}, []int{403}},
		{http.MethodPost, "apply", map[string]any{"networks": []any{map[string]any{"uuid": "nw-x", "tenant_uuid": "tn-b", "ipv4_network": "10.0.0.0"}}}, []int{404}},
		{http.MethodPost, "plan", map[string]any{"interfaces": []any{object("if-b")}}, []int{404}},
	} {
		_, err := a.Do(ctx, vnclient.Request{Method: try.method, Path: try.path, Body: try.body})
		if !slices.Contains(try.want, status(err)) {
			t.Errorf("%s %s %v: %v, want %v", try.method, try.path, try.body, err, try.want)
		}
	}
	for _, uuid := range []string{"if-b", "if-bs"} {
		if i, err := vnclient.Get[model.Interface](ctx, admin, uuid); err != nil || i.Object.DisplayName != "" {
			t.Errorf("%s: %+v, %v", uuid, i, err)
		}
	}
}

func read(t *testing.T, c *vnclient.Client, path string) (int, string) {
	t.Helper()
	reply, err := c.Do(t.Context(), vnclient.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return status(err), err.Error()
	}
	return reply.Status, string(reply.Body)
}
