package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/model/wire"
)

func vna(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestSettings(t *testing.T) {
	state := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"has not joined":   {[]string{"--state-dir", state}, "this host has not joined"},
		"manager, secured": {[]string{"--state-dir", state, "--manager", "https://127.0.0.1:1"}, "vna join TOKEN"},
		"no manager":       {[]string{"--insecure"}, "--manager is required"},
		"join, no token":   {[]string{"join"}, "accepts 1 arg"},
		"join, no host's":  {[]string{"join", "vnt_x", "--state-dir", state}, "not one for a host"},
	} {
		if _, err := vna(t, test.args...); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A host that has joined is what its certificate says, and speaks to managers with TLS only.
func TestJoined(t *testing.T) {
	authority, err := pki.Make(pki.AuthorityOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var j wire.Join
		if err := json.NewDecoder(r.Body).Decode(&j); err != nil || r.URL.Path != wire.JoinPath {
			t.Errorf("%s: %v", r.URL, err)
		}
		cert, _, err := authority.SignHost(j.Request, pki.Host{ID: "enr-1", Node: j.NodeID})
		if err != nil {
			t.Error(err)
		}
		roots, err := authority.RootsPEM()
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(wire.Joined{Certificate: cert, Authorities: roots})
	}))
	server.TLS = authority.ServerConfig()
	server.StartTLS()
	defer server.Close()
	roots, err := authority.Roots()
	if err != nil {
		t.Fatal(err)
	}
	token := wire.JoinToken{Managers: []string{server.URL}, Fingerprint: pki.Fingerprint(roots[0]), Secret: "s"}
	state := t.TempDir()
	out, err := vna(t, "join", token.String(), "--state-dir", state, "--node-id", "node7")
	if err != nil || !strings.Contains(out, "joined as node7") {
		t.Fatalf("%q, %v", out, err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"another name":    {[]string{"--node-id", "node8"}, `has joined as "node7"`},
		"plain http":      {[]string{"--manager", "http://127.0.0.1:1"}, "https"},
		"no OpenFlow, so": {[]string{"--ovsdb", "tcp:127.0.0.1:1"}, "--openflow is required"}, // all before is as it should be
	} {
		if _, err := vna(t, append(test.args, "--state-dir", state)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
