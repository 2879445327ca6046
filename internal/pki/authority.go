package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// ManagerName is the name in the manager's certificate that agents ask for and verify.
const ManagerName = "vnmgr.openvnet.internal"

// Lifetimes of certificates. Each is renewed when two thirds of it have passed.
const (
	CALifetime     = 10 * 365 * 24 * time.Hour
	ServerLifetime = 90 * 24 * time.Hour
	HostLifetime   = 30 * 24 * time.Hour

	skew = time.Hour // a certificate is valid from a little before now: clocks differ
)

// Files of an Authority in its directory.
const (
	authorityFile = "ca.pem" // key and certificates, for the manager alone
	PublicFile    = "ca.crt" // the certificates, to be handed to clients
)

// AuthorityOptions are what Open takes.
type AuthorityOptions struct {
	Dir   string           // required: directory of the files
	Names []string         // optional: further DNS names and addresses of the manager
	Now   func() time.Time // optional: time.Now
	// Own is a certificate of the manager that others have issued, for clients that do not ask for ManagerName; optional.
	Own *KeyPair
}

// Authority is the certificate authority of an installation. All methods may be called concurrently, and follow changes that other processes
// make to the files (a rotation).
type Authority struct {
	opts AuthorityOptions
	path string

	mu     sync.Mutex
	stamp  os.FileInfo
	key    *ecdsa.PrivateKey
	certs  []*x509.Certificate // the authority's own first, then those before it and their signatures of later ones
	server *tls.Config
	renew  time.Time // when server is made anew
}

// Open takes up the authority in a directory. The error wraps fs.ErrNotExist where there is none.
func Open(o AuthorityOptions) (*Authority, error) {
	a := newAuthority(o)
	return a, a.locked(func() error { return nil })
}

// Make makes an authority in a directory, in the place of one that may be there: what that has signed is worth nothing then.
func Make(o AuthorityOptions) (*Authority, error) {
	a := newAuthority(o)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, cert, err := newCA(a.opts.Now())
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	if err := a.write(key, []*x509.Certificate{cert}); err != nil {
		return nil, err
	}
	return Open(o)
}

func newAuthority(o AuthorityOptions) *Authority {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Authority{opts: o, path: filepath.Join(o.Dir, authorityFile)}
}

// locked runs f with the files' present content.
func (a *Authority) locked(f func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no certificate authority in %s: vnmgr makes it when it first starts there: %w", a.opts.Dir, err)
	}
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if a.stamp == nil || !os.SameFile(info, a.stamp) || !info.ModTime().Equal(a.stamp.ModTime()) {
		if err := a.load(info); err != nil {
			return fmt.Errorf("certificate authority %s: %w", a.path, err)
		}
	}
	return f()
}

func (a *Authority) load(info os.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("mode %v: others may read the key; chmod 600 it", info.Mode().Perm())
	}
	key, certs, err := readPEM(a.path)
	if err != nil {
		return err
	}
	if len(certs) == 0 || !key.PublicKey.Equal(certs[0].PublicKey) {
		return errors.New("the first certificate is not the key's")
	}
	now := a.opts.Now()
	if now.After(certs[0].NotAfter) {
		return fmt.Errorf("expired at %s: make another (vnmgr ca rotate --distrust), and join the hosts again", certs[0].NotAfter.Format(time.RFC3339))
	}
	certs = slices.DeleteFunc(certs, func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
	a.stamp, a.key, a.certs, a.server = info, key, certs, nil
	return nil
}

func (a *Authority) write(key *ecdsa.PrivateKey, certs []*x509.Certificate) error {
	b, err := encodePEM(key, certs)
	if err != nil {
		return err
	}
	if err := replaceFile(a.path, b, 0o600); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	public, err := encodePEM(nil, roots(certs))
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(a.opts.Dir, PublicFile), public, 0o644); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}

// Roots gives the certificates that clients may trust: the authority's own first, then those before it that are still valid.
func (a *Authority) Roots() (certs []*x509.Certificate, err error) {
	err = a.locked(func() error { certs = roots(a.certs); return nil })
	return certs, err
}

// RootsPEM gives Roots as text.
func (a *Authority) RootsPEM() ([]byte, error) {
	certs, err := a.Roots()
	if err != nil {
		return nil, err
	}
	return encodePEM(nil, certs)
}

// Rotate makes a new authority. Certificates that the present one has signed stay valid until they expire.
func (a *Authority) Rotate() error {
	return a.locked(func() error {
		key, cert, err := newCA(a.opts.Now())
		if err != nil {
			return fmt.Errorf("make a certificate authority: %w", err)
		}
		cross, err := crossSign(cert, a.certs[0], a.key)
		if err != nil {
			return fmt.Errorf("sign the new certificate authority by the old one: %w", err)
		}
		return a.write(key, append([]*x509.Certificate{cert, cross}, a.certs...))
	})
}

// Host is what a host's certificate says: whose it is.
type Host struct {
	ID   string // of the host's admission, without spaces
	Node string // name by which its agent reports
}

const hostScheme, hostOpaque = "openvnet", "host:"

// SignHost gives a certificate (PEM) for the key of a request (DER), for a host's agent. Nothing but the key is taken from the request.
func (a *Authority) SignHost(request []byte, h Host) (certificate []byte, expires time.Time, err error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, time.Time{}, fmt.Errorf("certificate request: %w", err)
	}
	pub, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, time.Time{}, errors.New("certificate request: the key is not ECDSA on P-256")
	}
	t := a.template(HostLifetime)
	t.Subject = pkix.Name{CommonName: h.Node, Organization: []string{"OpenVNet host"}}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{{Scheme: hostScheme, Opaque: hostOpaque + h.ID}}
	var cert *x509.Certificate
	if err := a.locked(func() (err error) {
		cert, err = sign(t, a.certs[0], pub, a.key)
		return err
	}); err != nil {
		return nil, time.Time{}, err
	}
	b, err := encodePEM(nil, []*x509.Certificate{cert})
	return b, cert.NotAfter, err
}

// HostOf gives whose a host's certificate is. The bool is false if it is none. The certificate must have been verified.
func HostOf(cert *x509.Certificate) (Host, bool) {
	for _, u := range cert.URIs {
		if id, ok := strings.CutPrefix(u.Opaque, hostOpaque); ok && u.Scheme == hostScheme && id != "" {
			return Host{ID: id, Node: cert.Subject.CommonName}, true
		}
	}
	return Host{}, false
}

// ServerConfig gives the settings of the manager's listeners. Clients need no certificate; one that is presented must be
// the authority's. The certificate is renewed while the manager runs.
func (a *Authority) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return a.serverConfig()
		},
	}
}

func (a *Authority) serverConfig() (c *tls.Config, err error) {
	err = a.locked(func() error {
		if now := a.opts.Now(); a.server == nil || now.After(a.renew) {
			if a.server, err = a.newServerConfig(); err != nil {
				return err
			}
			a.renew = now.Add(ServerLifetime * 2 / 3)
		}
		c = a.server
		return nil
	})
	return c, err
}

func (a *Authority) newServerConfig() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := a.template(ServerLifetime)
	t.Subject = pkix.Name{CommonName: ManagerName, Organization: []string{"OpenVNet"}}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = []string{ManagerName}
	for _, n := range a.opts.Names {
		if ip, err := netip.ParseAddr(n); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.WithZone("").AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	cert, err := sign(t, a.certs[0], &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	own := &tls.Certificate{PrivateKey: key, Leaf: cert, Certificate: [][]byte{cert.Raw}}
	pool := x509.NewCertPool()
	for _, c := range a.certs {
		own.Certificate = append(own.Certificate, c.Raw)
	}
	for _, c := range roots(a.certs) {
		pool.AddCert(c)
	}
	given := a.opts.Own
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		SessionTicketsDisabled: true, // a resumed session would not see that the certificate has expired
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if given != nil && h.ServerName != ManagerName {
				return given.get()
			}
			return own, nil
		},
	}, nil
}

func (a *Authority) template(lifetime time.Duration) *x509.Certificate {
	now := a.opts.Now()
	return &x509.Certificate{
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// Fingerprint identifies an authority's key: SHA-256 of it, in hexadecimal. It is the same for all certificates of the key.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func newCA(now time.Time) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "OpenVNet CA " + rand.Text()[:8], Organization: []string{"OpenVNet"}}, // chains are found by name
		NotBefore: now.Add(-skew), NotAfter: now.Add(CALifetime),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, err := sign(t, t, &key.PublicKey, key)
	return key, cert, err
}

// crossSign gives the certificate of an authority's key signed by another one.
func crossSign(c, by *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject: c.Subject, SubjectKeyId: c.SubjectKeyId, NotBefore: c.NotBefore, NotAfter: by.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: c.KeyUsage,
	}
	return sign(t, by, c.PublicKey.(*ecdsa.PublicKey), key)
}

func sign(t, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// roots gives those that have signed themselves.
func roots(certs []*x509.Certificate) (out []*x509.Certificate) {
	for _, c := range certs {
		if c.IsCA && bytes.Equal(c.RawSubject, c.RawIssuer) {
			out = append(out, c)
		}
	}
	return out
}

func encodePEM(key *ecdsa.PrivateKey, certs []*x509.Certificate) ([]byte, error) {
	var b bytes.Buffer
	if key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der}) // a buffer takes everything
	}
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes(), nil
}

// readPEM reads a key and certificates.
func readPEM(path string) (key *ecdsa.PrivateKey, certs []*x509.Certificate, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		switch block.Type {
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			var ok bool
			if key, ok = k.(*ecdsa.PrivateKey); !ok {
				return nil, nil, errors.New("the key is not ECDSA")
			}
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certs = append(certs, c)
		}
	}
	if key == nil {
		return nil, nil, errors.New("it holds no key")
	}
	return key, certs, nil
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // renamed already when all went well
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
