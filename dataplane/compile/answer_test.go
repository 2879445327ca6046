package compile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/span"
)

// What is compiled again when it is found out what the datapath cannot set is all that differs; and then nothing sets it.
func TestWithoutNDExtensions(t *testing.T) {
	in := &compile.Input{X: span.New(twoTenants().g), Self: "dp-1", Bridge: compile.NewBridge()}
	in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2}
	in.Bridge.SetPort(compile.Port{Name: "a1", OFPort: 11, Ifindex: 111})
	compiled := func() (map[state.Unit]string, string) {
		all, units := state.New(), map[state.Unit]string{}
		for u := range in.Units() {
			items, err := in.Unit(u)
			one := state.New()
			if err := errors.Join(err, one.Replace(u, items, &state.Changes{}), all.Replace(u, items, &state.Changes{})); err != nil {
				t.Fatal(err)
			}
			units[u] = text(one)
		}
		return units, text(all)
	}
	with, _ := compiled()
	changed := in.SetNoND(true)
	without, flows := compiled()
	for _, u := range changed {
		if with[u] == without[u] {
			t.Errorf("%s is as it was", u)
		}
		delete(with, u)
		delete(without, u)
	}
	if d := cmp.Diff(with, without); d != "" {
		t.Errorf("(-with +without):\n%s", d)
	}
	for _, field := range []string{"nd_reserved", "nd_options_type"} {
		if strings.Contains(flows, field) {
			t.Errorf("a flow sets %s", field)
		}
	}
	if again := in.SetNoND(true); len(changed) != 2 || len(again) != 0 {
		t.Errorf("to be compiled again: %v, and then %v", changed, again)
	}
}
