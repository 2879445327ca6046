// Package storetest opens stores for the tests of packages above store: a real one, embedded, in a directory of the test, with
// its Run going until the test ends. It is not for store's own tests, which look inside. Imported by tests only.
package storetest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openvnet/openvnet/store"
)

// Open opens a store in dir, or in a directory of the test's own when dir is empty, and runs it. before, if any, are called
// between Open and Run: to register observers. The store is closed when the test ends.
func Open(t testing.TB, dir string, before ...func(*store.Store)) *store.Store {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the store's Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the store is not ready after 30 s")
	}
	return s
}
