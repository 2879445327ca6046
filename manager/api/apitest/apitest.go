// Package apitest runs a manager within a test: a real store in a directory of the test's, the use cases over it and the Web API in
// front of them, on a port of its own; only the hosts are made up. Imported by tests of manager/api, of the client and of
// vnctl.
package apitest

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	gosync "sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/manager/sync"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store/storetest"
)

// Manager is a running manager. It ends with the test.
type Manager struct {
	URL     string // of the server
	Handler http.Handler
	Hosts   *Hosts
	Cases   *app.App // for what agents say
	log     logBuffer
}

// Hosts are made-up hosts. Set the functions between requests; where one is nil no host is concerned.
type Hosts struct {
	Status func(o model.Object) []model.HostStatus
	Wait   func(ctx context.Context, revision int64, uuids []string) error
	List   func() []sync.Host
}

// Options of StartWith.
type Options struct {
	Heartbeat time.Duration                          // optional; of streams of events, a second
	Identity  func(r *http.Request) *access.Identity // optional; who makes a request: by default one that may do everything
}

// Start starts a manager with nothing in it but the default topology.
func Start(t testing.TB) *Manager {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith is Start with options.
func StartWith(t testing.TB, o Options) *Manager {
	t.Helper()
	m := &Manager{Hosts: &Hosts{}}
	log := slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := storetest.Open(t, "")
	a := app.New(s, log)
	if err := a.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Cases = a
	stopping := make(chan struct{})
	list := func() []sync.Host {
		if m.Hosts.List == nil {
			return nil
		}
		return m.Hosts.List()
	}
	web, err := api.New(api.Options{UseCases: a, Reader: s, Status: hosts{m.Hosts}, Hosts: list, Log: log, Version: "apitest",
		Origins: []string{"*"}, Stopping: stopping, Heartbeat: cmp.Or(o.Heartbeat, time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	m.Handler = access.Insecure(web)
	if o.Identity != nil {
		m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			web.ServeHTTP(w, r.WithContext(access.With(r.Context(), *o.Identity(r))))
		})
	}
	server := httptest.NewServer(m.Handler)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stopping) })
	m.URL = server.URL
	return m
}

// TakeLog gives what was logged since the last call.
func (m *Manager) TakeLog() string { return m.log.take() }

// hosts makes Hosts an api.Status.
type hosts struct{ h *Hosts }

func (s hosts) Status(o model.Object) []model.HostStatus {
	if s.h.Status == nil {
		return nil
	}
	return s.h.Status(o)
}

func (s hosts) Wait(ctx context.Context, revision int64, uuids []string) error {
	if s.h.Wait == nil {
		return nil
	}
	return s.h.Wait(ctx, revision, uuids)
}

type logBuffer struct {
	mu gosync.Mutex
	b  bytes.Buffer
}

// Write takes a line of the log.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}
