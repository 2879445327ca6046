package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/verify"
)

// run gives what "vnlab ARGS" prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newCommand(&out, &errs)
	cmd.SetArgs(append([]string{"--root", t.TempDir()}, args...))
	err := cmd.Execute()
	return out.String(), err
}

func TestArgumentsThatAreMissing(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"up", "FILE is missing: vnlab up FILE, such as: vnlab up testenv/labs/three-hosts.yaml"},
		{"up a b", `"b" is one argument too many: vnlab up FILE`},
		{"validate", "FILE is missing"},
		{"exec", "NAME and COMMAND are missing: vnlab exec NAME [--] COMMAND [ARG...], such as: vnlab exec vm1 -- ip addr"},
		{"exec vm1", "COMMAND is missing"},
		{"exec vm1 --", "COMMAND is missing"},
		{"kernel --", "COMMAND is missing"},
		{"kill", "NAME is missing: vnlab kill NAME [COMPONENT], such as: vnlab kill node1 vna"},
		{"logs a b c", `"c" is one argument too many`},
		{"guest move vm1", "HOST is missing: vnlab guest move NAME HOST, such as: vnlab guest move vm1 node2"},
		{"guest plug vm1", `vnlab guest has no command "plug": it has attach, detach, migrate, move`},
		{"bench everything", `vnlab bench has no command "everything": it has api, `},
		{"list x", `"x" is one argument too many: vnlab list`},
		{"bench apply --flows x", "--flows x: it is to be whole numbers, with commas between them"},
		{"bench apply --flow 1", "unknown flag: --flow"},
		{"verify 10", `"10" is one argument too many: vnlab verify`},
	} {
		if _, err := run(t, strings.Fields(tc.args)...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("vnlab %s: %v, want %q", tc.args, err, tc.want)
		}
	}
}

// Every command's arguments are checked by what its usage says, and one that needs some has an example.
func TestEveryCommandChecksItsArguments(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if required, _ := placeholders(c.Use); len(required) > 0 && c.Example == "" {
			t.Errorf("%s needs %v and has no example", c.CommandPath(), required)
		}
		if c.Runnable() && c.Args == nil {
			t.Errorf("%s takes any arguments", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newCommand(&bytes.Buffer{}, &bytes.Buffer{}))
}

func TestVerifyRefusesNonsense(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--cases 0", "--cases 0: at least one packet is to be drawn"},
		{"--cases -3", "--cases -3: "},
		{"--cases many", "--cases many: it is to be a whole number"},
		{"--time soon", "--time soon: it is to be a time, such as 300ms"},
		{"--real -1", "--real -1: no fewer than 0 packets"},
		{"--walks -1", "--walks -1: no fewer than 0 walks"},
		{"--workers 0", "--workers 0: at least one network"},
		{"--most 0", "--most 0: "},
		{"--time 0s", "--time 0s: "},
		{"--time -1m", "--time -1m0s: "},
	} {
		out, err := run(t, append([]string{"verify"}, strings.Fields(tc.args)...)...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || out != "" {
			t.Errorf("vnlab verify %s: %v, output %q; want %q", tc.args, err, out, tc.want)
		}
	}
	_, err := run(t, "verify", "--cases", "0", "--walks", "-1")
	if err == nil || !strings.Contains(err.Error(), "--cases") || !strings.Contains(err.Error(), "--walks") {
		t.Errorf("two mistakes: %v", err)
	}
}

func TestVerifyEndsWithItsCount(t *testing.T) {
	out, err := run(t, "verify", "--cases", "1", "--walks", "1", "--seed", "7", "--workers", "1")
	if err != nil || !strings.Contains(out, "walks 1, 0 of them wrong; packets through Open vSwitch 0; worlds 1\ncases ") || !strings.HasSuffix(out, " differences 0\n") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestVerifySaysHowToRepeat(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	err := a.verified(20, []uint64{9}, verify.Result{Cases: 60, Real: 5, Worlds: 2, Differences: []verify.Difference{{Seed: 11}, {Seed: 12, Real: true}}})
	want := `walks 20, 1 of them wrong; packets through Open vSwitch 5; worlds 2
to repeat: vnlab verify --seed 9 --walks 1 --cases 1
to repeat: vnlab verify --seed 11 --walks 0 --cases 1 --workers 1
to repeat: vnlab verify --seed 12 --walks 0 --cases 1 --workers 1 --real 1
cases 60 differences 3
`
	if err == nil || out.String() != want {
		t.Errorf("%v:\n%s", err, out.String())
	}
}
