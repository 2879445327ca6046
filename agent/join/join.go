// Package join is how a host comes by the certificate by which its agent and the managers know each other, and how it keeps one
// that is valid. The host's key never leaves it. The package knows no data plane. Imported by cmd/vna.
package join

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/model/wire"
)

// Options of Join.
type Options struct {
	Token    string   // required
	Dir      string   // required: where the identity is kept
	NodeID   string   // optional: the host's name
	Default  string   // optional: its name if neither NodeID nor the token says it
	Managers []string // optional: https URLs, instead of those that the token names
}

// managersFile holds the URLs of the managers beside the credentials, one to a line.
const managersFile = "managers"

// Join takes a token to the manager and keeps the certificate that it gets for it. The first manager that answers decides. An identity that the
// host had before is replaced.
func Join(ctx context.Context, o Options) (*Identity, error) {
	token, err := wire.ParseJoinToken(o.Token)
	if err != nil {
		return nil, err
	}
	if len(o.Managers) > 0 {
		token.Managers = o.Managers
	}
	if len(token.Managers) == 0 {
		return nil, errors.New("the token names no manager: say --manager https://HOST:9090")
	}
	for _, m := range token.Managers {
		if err := checkURL(m); err != nil {
			return nil, err
		}
	}
	node := cmp.Or(o.NodeID, token.NodeID, o.Default)
	switch {
	case node == "":
		return nil, errors.New("the host's name is required")
	case token.NodeID != "" && token.NodeID != node:
		return nil, fmt.Errorf("the token is for host %q, not %q", token.NodeID, node)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil { // before the token is used up
		return nil, fmt.Errorf("keep the certificate: %w", err)
	}
	if err := keepManagers(o.Dir, token.Managers); err != nil {
		return nil, err
	}
	req, err := pki.NewRequest()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	body := wire.Join{Secret: token.Secret, NodeID: node, Request: req.DER}
	joined, manager, err := call(ctx, token.Managers, wire.JoinPath, pki.JoinConfig(token.Fingerprint), body)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	others := slices.DeleteFunc(slices.Clone(token.Managers), func(m string) bool { return m == manager })
	if err := keepManagers(o.Dir, append([]string{manager}, others...)); err != nil { // the one that answers is the first to try
		return nil, err
	}
	if err := req.Store(o.Dir, joined.Certificate, joined.Authorities); err != nil {
		return nil, err
	}
	return Load(o.Dir)
}

func keepManagers(dir string, managers []string) error {
	if err := os.WriteFile(filepath.Join(dir, managersFile), []byte(strings.Join(managers, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the managers: %w", err)
	}
	return nil
}

func checkURL(manager string) error {
	u, err := url.Parse(manager)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("manager %q is not a URL like https://10.0.0.1:9090", manager)
	}
	return nil
}

// refused is a manager's answer that another try, or another manager, does not change.
type refused struct{ manager, message string }

func (r *refused) Error() string { return "manager " + r.manager + " refuses: " + r.message }

const (
	dialTime = 5 * time.Second
	callTime = 30 * time.Second
)

// call asks the managers in turn until one decides, and says which one did.
func call(ctx context.Context, managers []string, path string, config *tls.Config, body any) (joined *wire.Joined, manager string, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, "", err
	}
	t := &http.Transport{
		TLSClientConfig: config, DisableKeepAlives: true,
		DialContext: (&net.Dialer{Timeout: dialTime}).DialContext, TLSHandshakeTimeout: dialTime,
	}
	c := &http.Client{Transport: t, Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var errs []error
	for _, m := range managers {
		joined, err := post(ctx, c, m, path, b)
		if err == nil {
			return joined, m, nil
		}
		if r := (*refused)(nil); errors.As(err, &r) || ctx.Err() != nil {
			return nil, "", err
		}
		errs = append(errs, err)
	}
	return nil, "", errors.Join(errs...)
}

func post(ctx context.Context, c *http.Client, manager, path string, body []byte) (*wire.Joined, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(manager, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxJoin))
	if err != nil {
		return nil, fmt.Errorf("manager %s: %w", manager, err)
	}
	if resp.StatusCode != http.StatusOK {
		var e struct{ Message string }
		if json.Unmarshal(answer, &e) != nil || e.Message == "" || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
			return nil, fmt.Errorf("manager %s answers %s %s", manager, resp.Status, e.Message)
		}
		return nil, &refused{manager, e.Message}
	}
	var joined wire.Joined
	if err := json.Unmarshal(answer, &joined); err != nil {
		return nil, fmt.Errorf("manager %s: malformed answer: %w", manager, err)
	}
	return &joined, nil
}

// Identity is that of a host that has joined.
type Identity struct {
	dir      string
	creds    *pki.Credentials
	host     pki.Host
	managers []string
}

// ErrNotJoined is given by Load for a host that has no certificate.
var ErrNotJoined = errors.New("this host has not joined")

// Load takes up what Join has kept.
func Load(dir string) (*Identity, error) {
	creds, err := pki.LoadCredentials(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotJoined
	}
	if err != nil {
		return nil, err
	}
	host, err := creds.Host()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, managersFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the managers: %w", err)
	}
	return &Identity{dir: dir, creds: creds, host: host, managers: strings.Fields(string(b))}, nil
}

// NodeID is the host's name in its certificate.
func (i *Identity) NodeID() string { return i.host.Node }

// Managers are the URLs that the host has joined by.
func (i *Identity) Managers() []string { return i.managers }

// Expires says when the certificate does.
func (i *Identity) Expires() (time.Time, error) {
	_, to, err := i.creds.Validity()
	return to, err
}

// TLS gives the settings of connections to managers. They stay right when the certificate is renewed.
func (i *Identity) TLS() *tls.Config { return i.creds.ClientConfig() }

// Pauses of Keep.
const (
	lookEvery  = time.Hour // another process may have joined the host again
	retryFirst = 10 * time.Second
	retryLast  = 15 * time.Minute
)

// Keep renews the certificate from managers until ctx ends, each time that two thirds of its life have passed.
func (i *Identity) Keep(ctx context.Context, managers []string, log *slog.Logger) error {
	retry := retryFirst
	for {
		pause := i.due(log)
		if pause <= 0 {
			err := i.renew(ctx, managers)
			_, to, _ := i.creds.Validity() // an error is that of renew
			switch {
			case ctx.Err() != nil:
				return nil
			case err == nil:
				log.Info("certificate renewed", "expires", to)
				pause, retry = retryFirst, retryFirst // not at once: clocks may differ by more than its life
			default:
				level := slog.LevelWarn
				if time.Now().After(to) {
					level = slog.LevelError
				}
				log.Log(ctx, level, "certificate cannot be renewed, trying again", "expires", to, "error", err, "in", retry)
				pause, retry = retry, min(2*retry, retryLast)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// due gives how long the certificate need not be renewed yet.
func (i *Identity) due(log *slog.Logger) time.Duration {
	from, to, err := i.creds.Validity()
	if err != nil {
		log.Error("certificate cannot be read", "error", err)
		return lookEvery
	}
	return min(time.Until(from.Add(to.Sub(from)*2/3)), lookEvery)
}

func (i *Identity) renew(ctx context.Context, managers []string) error {
	before, err := i.creds.Host()
	if err != nil {
		return err
	}
	req, err := pki.NewRequest()
	if err != nil {
		return err
	}
	joined, _, err := call(ctx, managers, wire.RenewPath, i.creds.ClientConfig(), wire.Renew{Request: req.DER})
	if err != nil {
		return err
	}
	if now, err := i.creds.Host(); err != nil || now != before {
		return errors.Join(errors.New("the host has joined again meanwhile"), err)
	}
	return req.Store(i.dir, joined.Certificate, joined.Authorities)
}
