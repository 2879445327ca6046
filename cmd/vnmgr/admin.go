package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
)

// remote calls the manager of this machine as its administrator.
type remote struct{ http *http.Client }

// administer runs f with the manager that is running, or, if none is, with its store alone.
func (s *settings) administer(ctx context.Context, f func(*remote) error) error {
	path := s.socket()
	if s.dir != "" && len(path) <= maxSocketPath {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			_ = conn.Close()
			return over(path, f)
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("reach the manager: %w", err)
		}
	}
	return s.standIn(ctx, f)
}

// over calls the manager that listens on a socket.
func over(path string, f func(*remote) error) error {
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	return f(&remote{&http.Client{Transport: t}})
}

// standIn opens the store and serves f what the gate serves, on a socket of its own.
func (s *settings) standIn(ctx context.Context, f func(*remote) error) (err error) {
	if len(s.etcd) == 0 {
		if _, err := os.Stat(filepath.Join(s.data, "etcd")); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s holds no store: is it the --data of the manager?", s.data)
		}
	}
	defer func() { err = errors.Join(err, s.handOver()) }()
	st, err := s.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	stored := make(chan error, 1)
	go func() { stored <- st.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-stored) }()
	listeners, _ := listen(ctx, s.api) // only to know where the manager will be; one that is taken is no matter
	for _, l := range listeners {
		_ = l.Close()
	}
	gate, closeGate, err := s.newGate(st, listeners)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeGate()) }()
	select {
	case <-st.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	dir, err := os.MkdirTemp("", "vnmgr")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, socketFile)
	l, err := listenSocket(ctx, path)
	if err != nil {
		return err
	}
	served, ended := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- serve(served, newServer(local(gate), s.log), l) }()
	defer func() { ended(); err = errors.Join(err, <-done) }()
	return over(path, f)
}

// handOver gives what root has written in the manager's directory to the directory's owner, who runs the manager.
func (s *settings) handOver() error {
	info, err := os.Stat(s.data)
	if err != nil || os.Geteuid() != 0 {
		return nil //nolint:nilerror // nothing was written, or the owner has done it
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	dir, err := filepath.EvalSymlinks(s.data) // under systemd it is one
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

// do makes a call; the answer's body is the caller's to close.
func (m *remote) do(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://vnmgr/api/1.0/"+path, in)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := m.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call the manager: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var refused struct{ Message string }
	if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil || refused.Message == "" {
		return nil, fmt.Errorf("the manager answers %s", resp.Status)
	}
	return nil, errors.New(refused.Message)
}

func (m *remote) call(ctx context.Context, method, path string, body, out any) error {
	r, err := m.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return json.NewDecoder(r).Decode(out)
}

func newTokenCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens of clients and of hosts",
		Long: `token makes, lists and revokes tokens. It speaks with the manager that runs on this machine, by a socket in
--data; if none runs, with its store.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreateCommand(s), newTokenHostCommand(s), newTokenListCommand(s), newTokenRevokeCommand(s))
	return cmd
}

func newTokenCreateCommand(s *settings) *cobra.Command {
	var role, expires string
	var tenants []string
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a token for a client of the Web API, and print it",
		Example: "  vnmgr token create ci --role operator --tenant tn-dev --expires 30d\n  VNET_TOKEN=$(vnmgr token create watcher --role viewer) vnctl networks show",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0], "role": role, "expires": expires, "tenants": tenants}
			return s.administer(cmd.Context(), func(m *remote) error {
				var t access.TokenInfo
				if err := m.call(cmd.Context(), http.MethodPost, "tokens", body, &t); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), t.Secret)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", access.Operator.String(), "viewer, operator or admin")
	cmd.Flags().StringSliceVar(&tenants, "tenant", nil, "uuid of a tenant that it is bound to; may be repeated (default: everything)")
	cmd.Flags().StringVar(&expires, "expires", "90d", "how long it is valid: 12h, 30d, never")
	return cmd
}

func newTokenHostCommand(s *settings) *cobra.Command {
	var node, expires string
	var managers []string
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Make a token by which one host joins, and print it",
		Long: `host makes a token for "vna join" on a host. It holds the manager's address, the fingerprint of its certificate authority and a
secret, which serves once.`,
		Example: "  vnmgr token host --node-id node1\n  ssh node1 vna join $(vnmgr token host)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := map[string]any{"node_id": node, "expires": expires, "managers": managers}
			return s.administer(cmd.Context(), func(m *remote) error {
				var t access.JoinTokenInfo
				if err := m.call(cmd.Context(), http.MethodPost, "join_tokens", body, &t); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), t.Secret)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&node, "node-id", "", "the host that it is for; needed for one that has joined before (default: any)")
	cmd.Flags().StringVar(&expires, "expires", "1h", "how long it is valid: 12h, 30d")
	cmd.Flags().StringSliceVar(&managers, "manager", nil, "URL by which the host reaches the manager; may be repeated (default: by --tls-name and --api)")
	return cmd
}

func newTokenListCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens, and the hosts that have joined",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.administer(cmd.Context(), func(m *remote) error { return listTokens(cmd.Context(), m, cmd.OutOrStdout()) })
		},
	}
}

func listTokens(ctx context.Context, m *remote, w io.Writer) error {
	var tokens struct{ Items []access.TokenInfo }
	var joins struct{ Items []access.JoinTokenInfo }
	var hosts struct{ Items []access.EnrollmentInfo }
	for path, out := range map[string]any{"tokens": &tokens, "join_tokens": &joins, "enrollments": &hosts} {
		if err := m.call(ctx, http.MethodGet, path, nil, out); err != nil {
			return err
		}
	}
	date := func(t *time.Time, expired bool) string {
		switch {
		case t == nil:
			return "never"
		case expired:
			return t.UTC().Format("2006-01-02 15:04") + " (expired)"
		}
		return t.UTC().Format("2006-01-02 15:04")
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "UUID\tKIND\tNAME\tROLE\tTENANTS\tEXPIRES") // Flush gives the error
	for _, t := range tokens.Items {
		tenants := "all"
		if t.Tenants != nil {
			tenants = strings.Join(t.Tenants, ",")
		}
		_, _ = fmt.Fprintf(tw, "%s\ttoken\t%s\t%s\t%s\t%s\n", t.UUID, t.Name, t.Role, tenants, date(t.ExpiresAt, t.Expired))
	}
	for _, t := range joins.Items {
		name := t.NodeID
		if name == "" {
			name = "(any host)"
		}
		_, _ = fmt.Fprintf(tw, "%s\thost token\t%s\t\t\t%s\n", t.UUID, name, date(&t.ExpiresAt, t.Expired))
	}
	for _, h := range hosts.Items {
		_, _ = fmt.Fprintf(tw, "%s\thost\t%s\t\t\t%s\n", h.UUID, h.NodeID, date(&h.ExpiresAt, time.Now().After(h.ExpiresAt)))
	}
	return tw.Flush()
}

func newTokenRevokeCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME|UUID...",
		Short: "Revoke tokens, or cut off hosts that have joined",
		Long:  "revoke revokes tokens by name or uuid, tokens for hosts by uuid, and cuts off hosts by the uuid in \"vnmgr token list\". It takes effect at once.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.administer(cmd.Context(), func(m *remote) error {
				for _, name := range args {
					path := model.Tokens.Plural
					for _, r := range []*model.Resource{model.JoinTokens, model.Enrollments} {
						if r.CheckUUID(name) == nil {
							path = r.Plural
						}
					}
					var uuids []string
					if err := m.call(cmd.Context(), http.MethodDelete, path+"/"+url.PathEscape(name), nil, &uuids); err != nil {
						return err
					}
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(uuids, "\n")); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func newCACommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Show, export or rotate the certificate authority",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	open := func() (*pki.Authority, error) { return pki.Open(s.authority()) }
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show the certificates of the authority, the present one first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			certs, err := a.Roots()
			if err != nil {
				return err
			}
			for _, c := range certs {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n  valid        %s to %s\n  fingerprint  %s\n", c.Subject.CommonName,
					c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), pki.Fingerprint(c))
				if err != nil {
					return err
				}
			}
			return nil
		},
	}, &cobra.Command{
		Use:   "export",
		Short: "Print the certificates (PEM) that clients of the Web API are to trust: vnctl --ca FILE",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			b, err := a.RootsPEM()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}, newRotateCommand(s))
	return cmd
}

func (s *settings) authority() pki.AuthorityOptions {
	return pki.AuthorityOptions{Dir: filepath.Join(s.data, pkiDir)}
}

func newRotateCommand(s *settings) *cobra.Command {
	var distrust bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new certificate authority",
		Long: `rotate makes a new certificate authority. The running manager uses it at once. Hosts go on without interruption, and take it
with the next renewal of their certificates; clients that were given the old one (vnmgr ca export) go on too, until it expires.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if distrust {
				_, err := pki.Make(s.authority())
				return errors.Join(err, s.handOver())
			}
			a, err := pki.Open(s.authority())
			if err != nil {
				return err
			}
			return errors.Join(a.Rotate(), s.handOver())
		},
	}
	cmd.Flags().BoolVar(&distrust, "distrust", false, "give the old authority up at once: its key is not secret any more. Every host must join again")
	return cmd
}

func newBackupCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the store; - is standard output",
		Long: `backup writes everything in the store as of one moment into a file. The manager may be running. It does not hold the certificate
authority: keep DATA/pki as well.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.administer(cmd.Context(), func(m *remote) error {
				r, err := m.do(cmd.Context(), http.MethodGet, "backup", nil)
				if err != nil {
					return err
				}
				defer func() { _ = r.Close() }()
				if args[0] == "-" {
					_, err := io.Copy(cmd.OutOrStdout(), r)
					return err
				}
				return writeFile(args[0], r)
			})
		},
	}
}

// writeFile writes a file as a whole or not at all.
func writeFile(path string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // renamed already when all went well
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func newRestoreCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the store in --data from a backup",
		Long:  "restore makes the store in the directory --data, which must hold none, from a backup; - is standard input. No manager may run there.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(s.etcd) > 0 {
				return errors.New("restore makes a store in --data, not in a cluster elsewhere")
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			if err := store.Restore(cmd.Context(), s.data, in); err != nil {
				return err
			}
			return s.handOver()
		},
	}
}
