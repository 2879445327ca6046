// Command vnmgr is the manager: the Web API, the store, and the streams of the hosts' agents; and what its administrator does on its
// machine: certificates, tokens, backups. It wires flags, a configuration file and signals; the work is in the packages of manager and
// in store.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/internal/config"
	"github.com/openvnet/openvnet/internal/version"
	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/manager/sync"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "vnmgr:", err)
		os.Exit(1)
	}
}

// settings are what flags and the configuration file say.
type settings struct {
	config   string
	data     string
	etcd     []string
	api      []string
	insecure bool
	tlsCert  string
	tlsKey   string
	tlsNames []string
	origins  []string
	limits   access.Limits
	level    slog.Level

	dir string // data, or "" where nothing is to be kept on this machine's disk
	log *slog.Logger
}

func newCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "vnmgr",
		Short: "The manager: Web API, store, agents' streams",
		Long: `vnmgr is the manager of a network hypervisor: it answers the Web API, keeps what operators want in its store (an etcd of its own,
or a cluster elsewhere), and sends every host's agent its share.

Clients of the Web API say who they are by a token (vnmgr token create), hosts by a certificate (vnmgr token host). When it
first starts, vnmgr makes a certificate authority of its own in DATA/pki and an admin's token in DATA/admin.token:

  export VNET_WEBAPI=https://127.0.0.1:9090 VNET_TOKEN=$(cat DATA/admin.token)
  vnctl --ca DATA/pki/ca.crt networks show`,
		Example:           "  vnmgr --data /var/lib/openvnet/vnmgr --api 10.0.0.1:9090\n  vnmgr --etcd http://10.0.0.1:2379 --api 0.0.0.0:9090 --insecure",
		Args:              cobra.NoArgs,
		Version:           version.String(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return s.complete(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), s) },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&s.config, "config", "", "YAML file with these settings")
	f.StringVar(&s.data, "data", "/var/lib/openvnet/vnmgr", "directory of the store, the certificates and the audit log")
	f.StringSliceVar(&s.etcd, "etcd", nil, "endpoints of an etcd cluster that holds the store; --data then holds the rest only")
	f.StringSliceVar(&s.api, "api", []string{"127.0.0.1:9090"}, "address of the Web API and of the agents' streams; may be repeated")
	f.BoolVar(&s.insecure, "insecure", false, "go without access control and TLS")
	f.StringVar(&s.tlsCert, "tls-cert", "", "file of a certificate for clients of the Web API, instead of one of vnmgr's own authority")
	f.StringVar(&s.tlsKey, "tls-key", "", "file of its key")
	f.StringSliceVar(&s.tlsNames, "tls-name", nil, "further name or address of the manager, for its certificate; may be repeated")
	f.StringSliceVar(&s.origins, "origin", nil, "origin whose pages may use the Web API in a browser, as https://ui.example.org; may be repeated; * is any (default none, with --insecure *)")
	f.Float64Var(&s.limits.Rate, "rate-limit", 0, "requests per second of one client; -1 for no limit (default 500, with --insecure none)")
	f.IntVar(&s.limits.Concurrent, "max-requests", 0, "requests under way, of which one client may have half; -1 for no limit (default 2000)")
	f.TextVar(&s.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	cmd.AddCommand(newCACommand(&s), newTokenCommand(&s), newBackupCommand(&s), newRestoreCommand(&s))
	return cmd
}

// complete reads the configuration file and looks whether the settings go together.
func (s *settings) complete(cmd *cobra.Command) error {
	if s.config != "" {
		if err := config.Load(cmd.Flags(), s.config); err != nil {
			return err
		}
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	if s.insecure && s.tlsCert != "" {
		return errors.New("--insecure goes without TLS: --tls-cert is for a manager with access control")
	}
	if s.insecure && s.limits.Rate == 0 {
		s.limits.Rate = -1
	}
	if s.insecure && len(s.origins) == 0 {
		s.origins = []string{"*"}
	}
	s.dir = s.data
	if s.insecure && len(s.etcd) > 0 && !cmd.Flags().Changed("data") {
		s.dir = ""
	}
	s.log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: s.level}))
	return nil
}

// openStore opens the store here or elsewhere.
func (s *settings) openStore(ctx context.Context) (*store.Store, error) {
	o := store.Options{Endpoints: s.etcd, Logger: s.log}
	if len(s.etcd) == 0 {
		o.Dir = s.data
	}
	return store.Open(ctx, o)
}

// run is the manager until ctx ends. At the end agents and clients are let go first, and the store is closed when nobody
// needs it any more.
func run(ctx context.Context, s settings) (err error) {
	log := s.log
	if s.insecure {
		log.Warn("there is no access control: whoever reaches the API may change everything (--insecure)")
	}
	listeners, err := listen(ctx, s.api)
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // closed already when all went well
		}
	}()
	if err != nil {
		return err
	}
	st, err := s.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	gate, closeGate, err := s.newGate(st, listeners)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeGate()) }()
	cases := app.New(st, log)
	hub, err := sync.New(sync.Options{Store: st, App: cases, Log: log, Admit: gate.CheckAgent})
	if err != nil {
		return err
	}
	cases.SetPresence(hub)
	st.Observe(hub.Observe)
	st.Observe(gate.Observe)
	retention, err := app.NewRetention(app.RetentionOptions{App: cases, Log: log})
	if err != nil {
		return err
	}
	front, ctx := errgroup.WithContext(ctx)
	web, err := api.New(api.Options{
		UseCases: cases, Reader: st, Status: hub, Log: log, Version: version.String(),
		Hosts: hub.Hosts, Origins: s.origins, Stopping: ctx.Done(),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, gate.Agents(hub))
	for _, p := range access.Patterns() {
		mux.Handle(p, gate)
	}
	mux.Handle("/", gate.Authenticate(web))

	storeCtx, endStore := context.WithCancel(context.WithoutCancel(ctx))
	defer endStore()
	stored := make(chan error, 1)
	go func() { stored <- st.Run(storeCtx) }()
	front.Go(func() error { // a store that cannot go on ends everything
		select {
		case <-ctx.Done():
			return nil
		case err := <-stored:
			stored <- nil
			return err
		}
	})
	front.Go(func() error { return hub.Run(ctx) })
	front.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-st.Ready():
		}
		if err := cases.Bootstrap(ctx); err != nil {
			return err
		}
		if err := s.firstToken(ctx, gate); err != nil {
			return err
		}
		front.Go(func() error { return retention.Run(ctx) })
		var addresses []string
		for _, l := range listeners {
			srv := newServer(mux, log)
			hub.Prepare(srv)
			if gate.Authority != nil {
				srv.TLSConfig = gate.Authority.ServerConfig()
			}
			front.Go(func() error { return serve(ctx, srv, l) })
			addresses = append(addresses, l.Addr().String())
		}
		if l := s.listenLocally(ctx); l != nil {
			front.Go(func() error { return serve(ctx, newServer(local(mux), log), l) })
		}
		log.Info("ready", "api", strings.Join(addresses, " "), "store", st.ID(), "version", version.String(), "tls", gate.Authority != nil)
		return nil
	})
	err = front.Wait()
	log.Info("stopping")
	endStore()
	return errors.Join(err, <-stored)
}

func listen(ctx context.Context, addresses []string) (ls []net.Listener, err error) {
	for _, addr := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return ls, fmt.Errorf("listen at %s: %w", addr, err)
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// serve answers until ctx ends, then lets requests under way finish.
func serve(ctx context.Context, srv *http.Server, l net.Listener) error {
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	run := srv.Serve
	if srv.TLSConfig != nil {
		run = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	if err := run(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve at %s: %w", l.Addr(), err)
	}
	<-stopped
	return nil
}
