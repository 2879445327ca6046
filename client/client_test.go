package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
)

// serve gives a client of a handler.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(Options{Server: strings.TrimPrefix(s.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServer(t *testing.T) {
	for server, want := range map[string]string{
		"127.0.0.1:9090":             "http://127.0.0.1:9090/api/1.0",
		"localhost":                  "http://localhost/api/1.0",
		"http://h:1/":                "http://h:1/api/1.0",
		"https://h/api/1.0/":         "https://h/api/1.0",
		"http://h/prefix/api":        "http://h/prefix/api",
		"[::1]:9090":                 "http://[::1]:9090/api/1.0",
		"":                           "",
		"ftp://h":                    "",
		"http://":                    "",
		"http://h/api/1.0?a=b":       "",
		"host:port":                  "",
		"http://h:9090/api/1.0#frag": "",
	} {
		c, err := New(Options{Server: server})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is accepted as %s", server, c.Server())
		case want != "" && err != nil:
			t.Errorf("%q: %v", server, err)
		case want != "" && c.Server() != want:
			t.Errorf("%q: %s, want %s", server, c.Server(), want)
		}
	}
}

func TestTyped(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("If-Match"))
		w.Header().Set("OpenVNet-Revision", "7")
		if r.URL.Query().Has("wait") {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = w.Write([]byte(`{"uuid": "if-a", "id": 3, "mode": "vif", "display_name": null, "ipv4_address": "10.0.0.1", "mac_address": "02:00:00:00:00:01",
			"created_at": "2026-01-01T00:00:00Z", "revision": 7, "status": [{"datapath_uuid": "dp-a", "node_id": "a", "state": "error", "reason": "no"}], "notes": ["n"]}`))
	})
	w := c.With(Write{Wait: 2 * time.Second, DryRun: true, IfMatch: 6})
	i, err := Update[model.Interface](t.Context(), w, "if-a", Params{"display_name": ""})
	if err != nil {
		t.Fatal(err)
	}
	if i.Object.UUID != "if-a" || i.Object.Mode != "vif" || i.Object.Revision != 7 || i.Applied {
		t.Errorf("%+v", i)
	}
	if d := cmp.Diff([]model.HostStatus{{DatapathUUID: "dp-a", NodeID: "a", State: model.StateError, Reason: "no"}}, i.Status); d != "" {
		t.Error(d)
	}
	var in model.InterfaceInputs
	if err := i.Decode(&in); err != nil || in.IPv4Address != netip.MustParseAddr("10.0.0.1") || in.MACAddress.String() != "02:00:00:00:00:01" {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := Get[model.Interface](t.Context(), w, "if-a"); err != nil {
		t.Error(err)
	}
	want := []string{`PUT /api/1.0/interfaces/if-a?dry_run=true&timeout=2s&wait=applied "6"`, `GET /api/1.0/interfaces/if-a `}
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestRefusal(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusBadRequest)
		if r.URL.Path == "/api/1.0/networks/nw-a" {
			_, _ = w.Write([]byte(`{"error":"ArgumentError","message":"mode: no","code":"110","parameter":"mode"}`))
		}
	})
	_, err := Get[model.Network](t.Context(), c, "nw-a")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if d := cmp.Diff(&Error{Status: 400, Class: "ArgumentError", Code: "110", Parameter: "mode", Message: "mode: no", RetryAfter: 7 * time.Second}, e); d != "" {
		t.Error(d)
	}
	_, err = Get[model.Network](t.Context(), c, "nw-b")
	if !errors.As(err, &e) || e.Class != "" || !strings.Contains(err.Error(), "400 Bad Request") {
		t.Errorf("an answer that is not the Web API's: %v", err)
	}
}

// Reads are tried again, writes never.
func TestRetries(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"version": "v", "api": "1.0", "revision": 5}`))
	})
	v, err := c.Version(t.Context())
	if err != nil || v.Revision != 5 || n.Load() != 3 {
		t.Errorf("%+v, %v after %d tries", v, err, n.Load())
	}
	n.Store(0)
	if _, err := c.Delete(t.Context(), "nw-a"); err == nil || n.Load() != 1 {
		t.Errorf("DELETE: %v after %d tries", err, n.Load())
	}
	n.Store(-100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Version(ctx); err == nil {
		t.Error("a cancelled context is not looked at")
	}
}

// A manager that has too much to do says when to come back.
func TestTooManyRequests(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error": "TooManyRequests", "message": "later", "code": "122"}`))
			return
		}
		_, _ = w.Write([]byte(`{"items": [{"node_id": "a", "dpid": "0x00000000000000aa", "problems": [{"uuid": "nw-a", "reason": "r"}]}]}`))
	})
	hosts, err := c.Hosts(t.Context())
	if err != nil {
		t.Error(err)
	}
	n.Store(0)
	if err := c.RevokeToken(t.Context(), "ci"); err != nil || n.Load() != 2 {
		t.Errorf("a write: %v after %d tries", err, n.Load())
	}
	if d := cmp.Diff([]Host{{NodeID: "a", DPID: 0xaa, Problems: []Problem{{UUID: "nw-a", Reason: "r"}}}}, hosts); d != "" {
		t.Error(d)
	}
	for after, want := range map[time.Duration]time.Duration{0: time.Second, 3 * time.Second: 3 * time.Second, time.Hour: maxRetryAfter} {
		if got := atLeast(fmt.Errorf("x: %w", &Error{RetryAfter: after}), time.Second); got != want {
			t.Errorf("Retry-After %v: %v", after, got)
		}
	}
}

// A token travels with TLS, or within this machine.
func TestToken(t *testing.T) {
	var got atomic.Value
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"items": [{"name": "ci", "tenants": null, "expires_at": null}]}`))
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, o := range []Options{{Server: plain.URL}, {Server: secure.URL, TLS: &tls.Config{RootCAs: roots}}} {
		o.Token = "secret"
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := c.Tokens(t.Context())
		if err != nil || len(tokens) != 1 || tokens[0].Tenants != nil || got.Load() != "Bearer secret" {
			t.Errorf("%s: %+v, %v, %v", o.Server, tokens, err, got.Load())
		}
	}
	for server, want := range map[string]string{"http://192.0.2.1:9090": "", "manager:9090": "", "[::1]:9090": "secret", "localhost:1": "secret", "https://192.0.2.1": "secret"} {
		if c, err := New(Options{Server: server, Token: "secret"}); err != nil || c.mute != (want == "") {
			t.Errorf("%s: %v, %v", server, c.mute, err)
		}
	}
	c, err := New(Options{Server: secure.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tokens(t.Context()); !errors.Is(err, ErrUnreachable) || passing(err) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := New(Options{Server: s.URL, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Version(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("%v", err)
	}
	release := make(chan struct{})
	slow := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	slow.timeout, slow.retries = 50*time.Millisecond, -1
	if _, err = slow.Version(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "took too long") {
		t.Errorf("%v", err)
	}
}

func TestParamsOf(t *testing.T) {
	d := model.Datapaths.New().(*model.Datapath)
	d.UUID, d.DisplayName, d.DPID, d.EnableOVSLearnAction = "dp-a", "a", 0xaa, false
	want := Params{"uuid": "dp-a", "display_name": "a", "dpid": "0x00000000000000aa", "enable_ovs_learn_action": "false"}
	if diff := cmp.Diff(want, ParamsOf(d)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
