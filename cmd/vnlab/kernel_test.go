package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/testenv/kernel"
)

func TestKernelNeedsTheProgramsAndACommand(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "vna"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ args, want string }{
		{"kernel", "COMMAND is missing: vnlab kernel [--] COMMAND [ARG...], such as: vnlab kernel uname -a"},
		{"kernel --bin " + bin + " true", "vnmgr, vnctl, vnlab missing in " + bin},
	} {
		var out, errs bytes.Buffer
		cmd := newCommand(&out, &errs)
		cmd.SetArgs(strings.Fields(tc.args))
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("vnlab %s: %v, want %q", tc.args, err, tc.want)
		}
	}
}

func TestExitCodeOfACommandInAMachine(t *testing.T) {
	if got := exitCode(fmt.Errorf("run: %w", &kernel.ExitError{Status: 42})); got != 42 {
		t.Errorf("exit status %d, want that of the command, 42", got)
	}
}
