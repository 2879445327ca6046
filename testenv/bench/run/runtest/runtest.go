// Package runtest runs benchmarks as small as they get, for their tests. Only tests import it.
package runtest

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// bin is where make build puts the programs, seen from a benchmark's package.
const bin = "../../../bin"

// options gives those of one round. When the test ends no lab may be left.
func options(t *testing.T, programs []string) run.Options {
	t.Helper()
	privileged.Require(t, append([]string{bin + "/vnmgr", bin + "/vna"}, programs...)...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	labs := filepath.Join(ovs.TempDir(t), "labs")
	t.Cleanup(func() {
		if names, err := lab.Names(labs); err != nil || len(names) != 0 {
			t.Errorf("labs are left: %v, %v", names, err)
		}
	})
	return run.Options{Rounds: 1, API: l.Addr().String(), Bin: bin, Out: t.TempDir(), Root: labs}
}

// Smoke runs a benchmark, which needs those programs, and looks for its file and for words in its table.
func Smoke(t *testing.T, programs []string, file string, words []string, benchmark func(context.Context, run.Options) error) {
	t.Helper()
	o := options(t, programs)
	var table, progress strings.Builder
	o.Table, o.Progress = &table, &progress
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := benchmark(ctx, o); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	t.Log("\n" + progress.String())
	for _, w := range words {
		if !strings.Contains(table.String(), w) {
			t.Errorf("no %s in\n%s", w, table.String())
		}
	}
	if _, err := os.Stat(filepath.Join(o.Out, file)); err != nil {
		t.Error(err)
	}
}

// Interrupt runs a benchmark of very many rounds, and ends it as soon as its progress has the word.
func Interrupt(t *testing.T, programs []string, word string, benchmark func(context.Context, run.Options) error) {
	t.Helper()
	o := options(t, programs)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Rounds, o.Table = 1000, &strings.Builder{}
	o.Progress = writer(func(p []byte) {
		if bytes.Contains(p, []byte(word)) {
			cancel()
		}
	})
	if err := benchmark(ctx, o); err == nil || ctx.Err() == nil {
		t.Errorf("the benchmark ends with %v", err)
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// Refuses expects of each benchmark, which is given wrong options, an error with the text.
func Refuses(t *testing.T, benchmarks map[string]func(context.Context, run.Options) error) {
	t.Helper()
	for want, benchmark := range benchmarks {
		if err := benchmark(t.Context(), run.Options{Rounds: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
