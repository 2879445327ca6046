package store

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// A start and an end, the first time and again, are nothing to warn of.
func TestQuietStart(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		var b bytes.Buffer
		s, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 0 {
			t.Errorf("logged:\n%s", b.String())
		}
	}
}

func TestLevels(t *testing.T) {
	var b bytes.Buffer
	l := etcdLogger(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	l.Error("failed to update storage version", zap.String("cluster-version", "3.6.0"))
	l.Error("lost the disk")
	l.Warn("slow")
	l.Info("started")
	l.Debug("nothing of it")
	var got []string
	for line := range strings.Lines(b.String()) {
		_, rest, _ := strings.Cut(line, "level=")
		got = append(got, strings.Fields(rest)[0])
	}
	if want := "DEBUG ERROR WARN DEBUG"; strings.Join(got, " ") != want {
		t.Errorf("levels %v, want %s:\n%s", got, want, b.String())
	}
}
