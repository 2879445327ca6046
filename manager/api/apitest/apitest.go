// Package apitest runs a manager within a test: a real store in a directory of the test's, the use cases over it and the Web API in
// front of them, on a port of its own; only the hosts are made up. Imported by tests of manager/api, of the client and of
// vnctl.
package apitest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store/storetest"
)

// Manager is a running manager. It ends with the test.
type Manager struct {
	URL     string // of the server
	Handler http.Handler
	Hosts   *Hosts
	log     logBuffer
}

// Hosts are made-up hosts. Set the functions between requests; where one is nil no host is concerned.
type Hosts struct {
	Status func(o model.Object) []model.HostStatus
	Wait   func(ctx context.Context, revision int64, uuids []string) error
}

// Start starts a manager with nothing in it but the default topology.
func Start(t testing.TB) *Manager {
	t.Helper()
	m := &Manager{Hosts: &Hosts{}}
	log := slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := storetest.Open(t, "")
	a := app.New(s, log)
	if err := a.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.Handler, err = api.New(api.Options{UseCases: a, Reader: s, Status: hosts{m.Hosts}, Log: log, Version: "apitest"}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(m.Handler)
	t.Cleanup(server.Close)
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
	mu sync.Mutex
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
