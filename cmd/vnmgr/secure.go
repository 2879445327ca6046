package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/store"
)

// Files and folders of the manager's directory, beside the store's own.
const (
	pkiDir     = "pki"
	auditFile  = "audit.log"
	tokenFile  = "admin.token"
	socketFile = "vnmgr.sock"
)

// newGate makes what decides who is let in, and the function that ends it.
func (s *settings) newGate(st *store.Store, listeners []net.Listener) (*access.Gate, func() error, error) {
	o := access.Options{Store: st, Insecure: s.insecure, Limits: s.limits, Log: s.log, Backup: st.Backup}
	if s.dir != "" {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, nil, err
		}
		var err error
		if o.Audit, err = access.OpenAudit(access.AuditOptions{Path: filepath.Join(s.dir, auditFile), Log: s.log}); err != nil {
			return nil, nil, err
		}
	}
	end := func() error {
		if o.Audit == nil {
			return nil
		}
		return o.Audit.Close()
	}
	if !s.insecure {
		addresses := addressesOf(listeners)
		o.Managers = func() []string { return s.urls(addresses) }
		var err error
		if o.Authority, err = s.openAuthority(s.names(addresses)); err != nil {
			return nil, nil, errors.Join(err, end())
		}
	}
	g, err := access.New(o)
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return g, end, nil
}

func (s *settings) openAuthority(names []string) (*pki.Authority, error) {
	o := s.authority()
	o.Names = names
	if s.tlsCert != "" {
		var err error
		if o.Own, err = pki.LoadKeyPair(s.tlsCert, s.tlsKey); err != nil {
			return nil, err
		}
	}
	a, err := pki.Open(o)
	if errors.Is(err, os.ErrNotExist) {
		s.log.Info("making a certificate authority", "certificates", filepath.Join(o.Dir, pki.PublicFile))
		return pki.Make(o)
	}
	return a, err
}

// addressesOf gives where the listeners can be reached: of one that listens everywhere all of this machine's addresses.
func addressesOf(listeners []net.Listener) (out []netip.AddrPort) {
	for _, l := range listeners {
		at, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			continue
		}
		ap := at.AddrPort()
		if !ap.Addr().IsUnspecified() {
			out = append(out, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
			continue
		}
		all, err := net.InterfaceAddrs()
		if err != nil {
			continue // names remain
		}
		for _, a := range all {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, netip.AddrPortFrom(p.Addr(), ap.Port()))
			}
		}
	}
	return out
}

// names gives what clients may call the manager by.
func (s *settings) names(addresses []netip.AddrPort) []string {
	names := slices.Concat(s.tlsNames, []string{"localhost", "127.0.0.1", "::1"})
	if h, err := os.Hostname(); err == nil {
		names = append(names, h)
	}
	for _, a := range addresses {
		names = append(names, a.Addr().String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// urls gives the URLs by which hosts reach the manager: by its names, else by addresses that are not this machine's alone.
func (s *settings) urls(addresses []netip.AddrPort) (urls []string) {
	add := func(u string) {
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	for _, a := range addresses {
		for _, n := range s.tlsNames {
			add("https://" + net.JoinHostPort(n, fmt.Sprint(a.Port())))
		}
	}
	for _, loopback := range []bool{false, true} {
		for _, a := range addresses {
			if len(urls) < 8 && a.Addr().IsLoopback() == loopback && !(loopback && len(urls) > 0) {
				add("https://" + a.String())
			}
		}
	}
	return urls
}

// firstToken makes the first admin's token, and keeps it where an administrator of this machine finds it.
func (s *settings) firstToken(ctx context.Context, g *access.Gate) error {
	if s.insecure {
		return nil
	}
	secret, err := g.FirstToken(ctx)
	if err != nil || secret == "" {
		return err
	}
	path := filepath.Join(s.data, tokenFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString(secret + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("keep the first token (revoke it with: vnmgr token revoke %s): %w", access.AdminToken, err)
	}
	s.log.Info("token for an administrator made", "name", access.AdminToken, "file", path)
	return nil
}

// maxSocketPath is the longest name that a unix socket can have (unix(7)).
const maxSocketPath = 107

func (s *settings) socket() string { return filepath.Join(s.dir, socketFile) }

// listenLocally listens on the socket for this machine's administrator; nil where that is not possible.
func (s *settings) listenLocally(ctx context.Context) net.Listener {
	if s.dir == "" {
		return nil
	}
	if len(s.socket()) > maxSocketPath {
		s.log.Warn("vnmgr token and vnmgr backup cannot reach this manager: the path of its socket is too long", "path", s.socket())
		return nil
	}
	l, err := listenSocket(ctx, s.socket())
	if err != nil {
		s.log.Warn("vnmgr token and vnmgr backup cannot reach this manager", "err", err)
		return nil
	}
	return l
}

// listenSocket listens on a socket for its owner; what was left there by a process that is no more is removed.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// local makes who comes over the socket this machine's administrator.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Identity{Name: "local", Role: access.Admin})))
	})
}
