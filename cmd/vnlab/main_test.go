package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vnlab": main})
}

// TestPrivilegedScripts runs the command as people do; every script has a root of labs of its own, which must be gone
// at its end.
func TestPrivilegedScripts(t *testing.T) {
	privileged.Require(t, "ip", "ping", "ovs-vswitchd")
	var scripts atomic.Int32
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			root := filepath.Join(ovs.TempDir(t), strconv.Itoa(int(scripts.Add(1))))
			e.Setenv("VNLAB_ROOT", root)
			e.Defer(func() {
				names, _ := lab.Names(root)
				for _, n := range names {
					t.Errorf("lab %s was left (%v)", n, lab.Remove(context.Background(), root, n))
				}
			})
			return nil
		},
	})
}

func TestValidateAndHelpNeedNoRoot(t *testing.T) {
	for _, args := range []string{"--help", "up --help", "exec --help", "guest --help", "help file", "completion bash",
		"validate ../../testenv/labs/three-hosts.yaml", "validate -o json ../../testenv/labs/three-hosts.yaml",
		"validate -o yaml ../../testenv/labs/three-hosts.yaml"} {
		var out, errs bytes.Buffer
		cmd := newCommand(&out, &errs)
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.Execute(); err != nil || out.Len() == 0 {
			t.Errorf("vnlab %s: %v, output %q, errors %q", args, err, out.String(), errs.String())
		}
	}
}

func TestHelpOfTheFileParses(t *testing.T) {
	spec, err := lab.Parse([]byte(fileExample), "default")
	if err != nil || spec.Name != "example" {
		t.Errorf("lab %q: %v", spec.Name, err)
	}
}

func TestLastLines(t *testing.T) {
	for n, want := range map[int]string{-1: "a\nb\nc\n", 0: "", 1: "c\n", 2: "b\nc\n", 9: "a\nb\nc\n"} {
		if got := string(lastLines([]byte("a\nb\nc\n"), n)); got != want {
			t.Errorf("lastLines(%d) = %q, want %q", n, got, want)
		}
	}
	if got := string(lastLines([]byte("no end"), 1)); got != "no end" {
		t.Errorf("lastLines without a last newline = %q", got)
	}
}

func TestShowFollows(t *testing.T) {
	path := t.TempDir() + "/log"
	if err := os.WriteFile(path, []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	done := writerFunc(func(p []byte) (int, error) {
		out.Write(p)
		switch {
		case strings.Contains(out.String(), "two"):
			cancel()
		case strings.Contains(out.String(), "one"):
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return 0, err
			}
			defer f.Close()
			fmt.Fprintln(f, "two")
		}
		return len(p), nil
	})
	if err := show(ctx, done, path, -1, true); err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("show = %v, %q", err, out.String())
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
