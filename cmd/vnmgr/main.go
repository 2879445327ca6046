// Command vnmgr is the manager: the Web API, the store, and the streams of the hosts' agents. It wires flags, a configuration file and
// signals; the work is in the packages of manager and in store.
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
	data     string
	etcd     []string
	api      []string
	insecure bool
	level    slog.Level
}

func newCommand() *cobra.Command {
	var s settings
	var configFile string
	cmd := &cobra.Command{
		Use:   "vnmgr",
		Short: "The manager: Web API, store, agents' streams",
		Long: `vnmgr is the manager of a network hypervisor: it answers the Web API, keeps what operators want in its store (an etcd of its own,
or a cluster elsewhere), and sends every host's agent its share.`,
		Example:       "  vnmgr --data /var/lib/openvnet/vnmgr --insecure\n  vnmgr --etcd http://10.0.0.1:2379 --api 0.0.0.0:9090 --insecure",
		Args:          cobra.NoArgs,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if configFile != "" {
				if err := config.Load(cmd.Flags(), configFile); err != nil {
					return err
				}
			}
			if !s.insecure {
				return errors.New("there is no access control yet: whoever reaches the API may change everything; say --insecure to go without")
			}
			if len(s.etcd) > 0 && cmd.Flags().Changed("data") {
				return errors.New("--data and --etcd exclude each other: the store is here or elsewhere")
			}
			return run(cmd.Context(), s, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: s.level})))
		},
	}
	f := cmd.Flags()
	f.StringVar(&configFile, "config", "", "YAML file with these settings")
	f.StringVar(&s.data, "data", "/var/lib/openvnet/vnmgr", "directory of the store")
	f.StringSliceVar(&s.etcd, "etcd", nil, "endpoints of an etcd cluster that holds the store, instead of --data")
	f.StringSliceVar(&s.api, "api", []string{"127.0.0.1:9090"}, "address of the Web API and of the agents' streams; may be repeated")
	f.BoolVar(&s.insecure, "insecure", false, "go without access control")
	f.TextVar(&s.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return cmd
}

// run is the manager until ctx ends. At the end agents and clients are let go first, and the store is closed when nobody
// needs it any more.
func run(ctx context.Context, s settings, log *slog.Logger) (err error) {
	log.Warn("there is no access control: whoever reaches the API may change everything (--insecure)")
	listeners, err := listen(ctx, s.api)
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // closed already when all went well
		}
	}()
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, store.Options{Dir: dirOf(s), Endpoints: s.etcd, Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	cases := app.New(st, log)
	hub, err := sync.New(sync.Options{Store: st, App: cases, Log: log})
	if err != nil {
		return err
	}
	st.Observe(hub.Observe)
	web, err := api.New(api.Options{UseCases: cases, Reader: st, Status: hub, Log: log, Version: version.String()})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, hub)
	mux.Handle("/", web)

	storeCtx, endStore := context.WithCancel(context.WithoutCancel(ctx))
	defer endStore()
	stored := make(chan error, 1)
	go func() { stored <- st.Run(storeCtx) }()
	front, ctx := errgroup.WithContext(ctx)
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
		var addresses []string
		for _, l := range listeners {
			srv := &http.Server{
				Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
				ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			}
			hub.Prepare(srv)
			front.Go(func() error { return serve(ctx, srv, l) })
			addresses = append(addresses, l.Addr().String())
		}
		log.Info("ready", "api", strings.Join(addresses, " "), "store", st.ID(), "version", version.String())
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

func dirOf(s settings) string {
	if len(s.etcd) > 0 {
		return ""
	}
	return s.data
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
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve at %s: %w", l.Addr(), err)
	}
	<-stopped
	return nil
}
