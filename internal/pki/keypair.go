package pki

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// KeyPair is a certificate and its key in two files that others renew: they are read again when they change.
type KeyPair struct {
	cert, key string

	mu      sync.Mutex
	checked time.Time
	stamps  [2]time.Time
	pair    *tls.Certificate
}

// checkEvery is how long a KeyPair does not look at its files.
const checkEvery = 10 * time.Second

// LoadKeyPair reads both files.
func LoadKeyPair(cert, key string) (*KeyPair, error) {
	p := &KeyPair{cert: cert, key: key}
	if _, err := p.get(); err != nil {
		return nil, err
	}
	return p, nil
}

// get gives the certificate; while its files are wrong, the one that it has.
func (p *KeyPair) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pair != nil && time.Since(p.checked) < checkEvery {
		return p.pair, nil
	}
	p.checked = time.Now()
	stamps, err := p.changed()
	if err == nil && (p.pair == nil || stamps != p.stamps) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.cert, p.key); err == nil {
			p.pair, p.stamps = &pair, stamps
		}
	}
	if p.pair == nil {
		return nil, fmt.Errorf("certificate %s: %w", p.cert, err)
	}
	return p.pair, nil
}

func (p *KeyPair) changed() (stamps [2]time.Time, err error) {
	for i, path := range []string{p.cert, p.key} {
		info, err := os.Stat(path)
		if err != nil {
			return stamps, err
		}
		stamps[i] = info.ModTime()
	}
	return stamps, nil
}
