package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const credentialsFile = "host.pem" // key, certificate, and the authorities that are trusted

// Credentials are a host's key and certificate, in a file that may be replaced at any time: each connection uses what it holds then. All
// methods may be called concurrently.
type Credentials struct {
	path string

	mu    sync.Mutex
	stamp os.FileInfo
	cert  *tls.Certificate
	roots []*x509.Certificate
}

// LoadCredentials reads the credentials in a directory. The error wraps fs.ErrNotExist where there are none.
func LoadCredentials(dir string) (*Credentials, error) {
	c := &Credentials{path: filepath.Join(dir, credentialsFile)}
	_, _, err := c.get()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// get reads the file if it has changed.
func (c *Credentials) get() (*tls.Certificate, []*x509.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.path)
	if err != nil {
		return nil, nil, fmt.Errorf("credentials: %w", err)
	}
	if c.stamp == nil || !os.SameFile(info, c.stamp) || !info.ModTime().Equal(c.stamp.ModTime()) {
		key, certs, err := readPEM(c.path)
		if err != nil {
			return nil, nil, fmt.Errorf("credentials %s: %w", c.path, err)
		}
		if len(certs) < 2 || !key.PublicKey.Equal(certs[0].PublicKey) {
			return nil, nil, fmt.Errorf("credentials %s: a certificate of the key and an authority are required", c.path)
		}
		c.stamp, c.roots = info, roots(certs[1:])
		c.cert = &tls.Certificate{PrivateKey: key, Leaf: certs[0], Certificate: [][]byte{certs[0].Raw}}
	}
	return c.cert, c.roots, nil
}

// Host gives whose the certificate is.
func (c *Credentials) Host() (Host, error) {
	cert, _, err := c.get()
	if err != nil {
		return Host{}, err
	}
	h, ok := HostOf(cert.Leaf)
	if !ok {
		return Host{}, fmt.Errorf("credentials %s: the certificate is not a host's", c.path)
	}
	return h, nil
}

// Validity gives from when to when the certificate is valid.
func (c *Credentials) Validity() (from, to time.Time, err error) {
	cert, _, err := c.get()
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	return cert.Leaf.NotBefore, cert.Leaf.NotAfter, nil
}

// ClientConfig gives the settings of connections to managers: both sides must have certificates of the authority.
func (c *Credentials) ClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ManagerName,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, _, err := c.get()
			return cert, err
		},
		InsecureSkipVerify: true, // VerifyConnection verifies, by the authorities as they are at the time
		VerifyConnection: func(s tls.ConnectionState) error {
			_, trusted, err := c.get()
			if err != nil {
				return err
			}
			return verifyManager(s, trusted)
		},
	}
}

// JoinConfig gives the settings of a host's first connection, which has no certificate yet: the manager's authority must be the one of
// that Fingerprint.
func JoinConfig(fingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         ManagerName,
		InsecureSkipVerify: true, // VerifyConnection verifies, by the fingerprint
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, c := range s.PeerCertificates {
				if c.IsCA && Fingerprint(c) == fingerprint {
					return verifyManager(s, []*x509.Certificate{c})
				}
			}
			return errors.New("the manager's certificate authority is not the one that the token names")
		},
	}
}

func verifyManager(s tls.ConnectionState, trusted []*x509.Certificate) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the manager has no certificate")
	}
	o := x509.VerifyOptions{DNSName: ManagerName, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	for _, c := range trusted {
		o.Roots.AddCert(c)
	}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}

// Request is a key with the request for its certificate.
type Request struct {
	key *ecdsa.PrivateKey
	DER []byte
}

// NewRequest makes a key and a request.
func NewRequest() (*Request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return &Request{key, der}, err
}

// Store writes the credentials in a directory: the request's key, its certificate and the authorities to trust (PEM), which
// are looked at first.
func (r *Request) Store(dir string, certificate, authorities []byte) error {
	var certs []*x509.Certificate
	for _, b := range [][]byte{certificate, authorities} {
		n := len(certs)
		for {
			var block *pem.Block
			if block, b = pem.Decode(b); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return fmt.Errorf("credentials: %w", err)
			}
			certs = append(certs, c)
		}
		if len(certs) == n {
			return errors.New("credentials: the manager has sent no certificate")
		}
	}
	if !r.key.PublicKey.Equal(certs[0].PublicKey) {
		return errors.New("credentials: the certificate is another key's")
	}
	if _, ok := HostOf(certs[0]); !ok {
		return errors.New("credentials: the certificate is not a host's")
	}
	if len(roots(certs[1:])) == 0 {
		return errors.New("credentials: the manager has sent no certificate authority")
	}
	b, err := encodePEM(r.key, certs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, credentialsFile), b, 0o600); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	return nil
}
