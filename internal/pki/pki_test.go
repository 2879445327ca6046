package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
)

func open(t *testing.T, o pki.AuthorityOptions) *pki.Authority {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "pki")
	}
	a, err := pki.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// join gives a host's credentials and their directory.
func join(t *testing.T, a *pki.Authority, h pki.Host) (*pki.Credentials, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	renew(t, a, h, dir)
	c, err := pki.LoadCredentials(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func renew(t *testing.T, a *pki.Authority, h pki.Host, dir string) {
	t.Helper()
	r, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := a.SignHost(r.DER, h)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := a.RootsPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store(dir, cert, roots); err != nil {
		t.Fatal(err)
	}
}

// handshake connects both ends; the server's certificate of the client is nil if it has none.
func handshake(t *testing.T, server, client *tls.Config) (peer *x509.Certificate, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			serverErr = err
			return
		}
		s := tls.Server(c, server)
		defer func() { _ = s.Close() }()
		if serverErr = s.Handshake(); serverErr != nil {
			return
		}
		if peers := s.ConnectionState().PeerCertificates; len(peers) > 0 {
			peer = peers[0]
		}
		_, serverErr = s.Write([]byte("x"))
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // in TLS 1.3 the server's refusal comes after the client's handshake
		_ = c.Close()
	}
	<-done
	return peer, serverErr, err
}

var node1 = pki.Host{ID: "enr-a", Node: "node1"}

func TestHostAndManagerKnowEachOther(t *testing.T) {
	a := open(t, pki.AuthorityOptions{})
	c, _ := join(t, a, node1)
	peer, serverErr, clientErr := handshake(t, a.ServerConfig(), c.ClientConfig())
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	if h, ok := pki.HostOf(peer); !ok || h != node1 {
		t.Errorf("the manager sees %+v, %v", h, ok)
	}
	if h, err := c.Host(); err != nil || h != node1 {
		t.Errorf("the host is %+v, %v", h, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a, other := open(t, pki.AuthorityOptions{}), open(t, pki.AuthorityOptions{})
	mine, _ := join(t, a, node1)
	foreign, _ := join(t, other, node1)
	past := open(t, pki.AuthorityOptions{Dir: filepath.Join(t.TempDir(), "past"), Now: func() time.Time { return time.Now().Add(-pki.HostLifetime - time.Minute) }})
	expired, _ := join(t, past, node1)
	long := open(t, pki.AuthorityOptions{Dir: filepath.Join(t.TempDir(), "long"), Now: func() time.Time { return time.Now().Add(-pki.ServerLifetime - time.Minute) }})
	roots, err := a.Roots()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		server, client *tls.Config
		refused        string // by whom
		want           string
	}{
		"manager of another authority": {other.ServerConfig(), mine.ClientConfig(), "client", "unknown authority"},
		"host of another authority":    {a.ServerConfig(), withRoots(foreign.ClientConfig()), "server", "unknown authority"},
		"expired host":                 {past.ServerConfig(), expired.ClientConfig(), "server", "expired"},
		"expired manager":              {long.ServerConfig(), joinConfig(t, long), "client", "expired"},
		"another fingerprint":          {other.ServerConfig(), pki.JoinConfig(pki.Fingerprint(roots[0])), "client", "not the one that the token names"},
		"old TLS":                      {a.ServerConfig(), oldTLS(mine.ClientConfig()), "client", "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, serverErr, clientErr := handshake(t, test.server, test.client)
			err := clientErr
			if test.refused == "server" {
				err = serverErr
			}
			if clientErr == nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("server %v, client %v; want %q", serverErr, clientErr, test.want)
			}
		})
	}
}

// withRoots makes a client that trusts everyone.
func withRoots(c *tls.Config) *tls.Config { c.VerifyConnection = nil; return c }

func oldTLS(c *tls.Config) *tls.Config {
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	return c
}

func joinConfig(t *testing.T, a *pki.Authority) *tls.Config {
	t.Helper()
	roots, err := a.Roots()
	if err != nil {
		t.Fatal(err)
	}
	return pki.JoinConfig(pki.Fingerprint(roots[0]))
}

// A host's certificate does not serve for a manager, nor the manager's for a host.
func TestCertificatesServeOnePurpose(t *testing.T) {
	a := open(t, pki.AuthorityOptions{})
	c, dir := join(t, a, node1)
	b, err := os.ReadFile(filepath.Join(dir, "host.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := handshake(t, &tls.Config{Certificates: []tls.Certificate{pair}}, c.ClientConfig()); err == nil {
		t.Error("a host passes for a manager")
	}
}

func TestNamesOfTheManager(t *testing.T) {
	a := open(t, pki.AuthorityOptions{Names: []string{"127.0.0.1", "::1", "fe80::1%eth0", "vn.example.org"}})
	roots, err := a.Roots()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(roots[0])
	for name, ok := range map[string]bool{"127.0.0.1": true, "::1": true, "fe80::1": true, "vn.example.org": true, "localhost": false, "127.0.0.2": false} {
		if _, _, err := handshake(t, a.ServerConfig(), &tls.Config{RootCAs: pool, ServerName: name}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	running := open(t, pki.AuthorityOptions{Dir: dir})
	old, hostDir := join(t, running, node1)
	oldJoin := joinConfig(t, running)
	elsewhere, err := pki.Open(pki.AuthorityOptions{Dir: dir}) // vnmgr ca rotate
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := elsewhere.Rotate(); err != nil {
			t.Fatal(err)
		}
		if _, s, c := handshake(t, running.ServerConfig(), old.ClientConfig()); s != nil || c != nil {
			t.Errorf("a host of the old authority: server %v, client %v", s, c)
		}
		for name, c := range map[string]*tls.Config{"old": oldJoin, "new": joinConfig(t, running)} {
			if _, _, err := handshake(t, running.ServerConfig(), c); err != nil {
				t.Errorf("a token of the %s authority: %v", name, err)
			}
		}
	}
	young, _ := join(t, running, pki.Host{ID: "enr-b", Node: "node2"})
	if _, s, c := handshake(t, running.ServerConfig(), young.ClientConfig()); s != nil || c != nil {
		t.Errorf("a host of the new authority: server %v, client %v", s, c)
	}
	renew(t, running, node1, hostDir) // the same Credentials go on with what the file holds now
	before := old.ClientConfig()
	if roots, err := running.Roots(); err != nil || len(roots) != 3 {
		t.Errorf("%d roots, %v", len(roots), err)
	}

	if _, err := pki.Make(pki.AuthorityOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := handshake(t, running.ServerConfig(), before); err == nil {
		t.Error("a host still trusts a manager whose authority was given up")
	}
	if _, s, _ := handshake(t, running.ServerConfig(), withRoots(old.ClientConfig())); s == nil {
		t.Error("a manager still trusts a host of the authority that was given up")
	}
}

func TestManagerRenewsItself(t *testing.T) {
	now := time.Now().Add(-pki.ServerLifetime)
	a := open(t, pki.AuthorityOptions{Now: func() time.Time { return now }})
	server := a.ServerConfig()
	serial := func() string {
		c, err := server.GetConfigForClient(nil)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := c.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.String()
	}
	first := serial()
	now = now.Add(pki.ServerLifetime / 2)
	if serial() != first {
		t.Error("renewed too early")
	}
	now = now.Add(pki.ServerLifetime / 4)
	if serial() == first {
		t.Error("not renewed")
	}
}

// A certificate of others is shown to clients, but agents go on knowing the manager by its own.
func TestCertificateOfOthers(t *testing.T) {
	public := open(t, pki.AuthorityOptions{Names: []string{"vn.example.org"}})
	c, err := public.ServerConfig().GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := c.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, err := pki.LoadKeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, pki.AuthorityOptions{Own: own})
	host, _ := join(t, a, node1)
	if _, s, c := handshake(t, a.ServerConfig(), host.ClientConfig()); s != nil || c != nil {
		t.Errorf("agent: server %v, client %v", s, c)
	}
	roots, err := public.Roots()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(roots[0])
	if _, _, err := handshake(t, a.ServerConfig(), &tls.Config{RootCAs: pool, ServerName: "vn.example.org"}); err != nil {
		t.Errorf("client: %v", err)
	}
	if _, err := pki.LoadKeyPair(certFile, certFile); err == nil {
		t.Error("a certificate without its key is taken")
	}
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := pki.Open(pki.AuthorityOptions{Dir: dir}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
	a := open(t, pki.AuthorityOptions{Dir: dir})
	before, err := a.RootsPEM()
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, pki.PublicFile))
	if err != nil || !bytes.Equal(public, before) || bytes.Contains(public, []byte("PRIVATE")) {
		t.Errorf("public file: %v\n%s", err, public)
	}
	b, err := pki.Open(pki.AuthorityOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if after, err := b.RootsPEM(); err != nil || !bytes.Equal(before, after) {
		t.Errorf("another authority after a restart: %v", err)
	}
	_, hostDir := join(t, a, node1)
	for _, file := range []string{filepath.Join(dir, "ca.pem"), filepath.Join(hostDir, "host.pem")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "ca.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Open(pki.AuthorityOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "others may read the key") {
		t.Errorf("a key that all may read: %v", err)
	}
	if _, err := pki.LoadCredentials(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no credentials: %v", err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	a := open(t, pki.AuthorityOptions{})
	r, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := a.SignHost(r.DER, node1)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := a.RootsPEM()
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(r.DER)
	altered[len(altered)-1] ^= 1
	if _, _, err := a.SignHost(altered, node1); err == nil {
		t.Error("an altered request is signed")
	}
	if _, _, err := a.SignHost(nil, node1); err == nil {
		t.Error("an empty request is signed")
	}
	other, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, test := range map[string]struct {
		r           *pki.Request
		cert, roots []byte
	}{
		"another key":      {other, cert, roots},
		"no certificate":   {r, nil, roots},
		"no authority":     {r, cert, nil},
		"not a host's":     {r, roots, roots},
		"not certificates": {r, []byte("x"), []byte("y")},
	} {
		if err := test.r.Store(dir, test.cert, test.roots); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
