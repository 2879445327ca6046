package agent

import (
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
)

// What is recalled is what the replica has, whatever has changed, and never without bound.
func TestRecall(t *testing.T) {
	r := newReplica()
	var c recall[int, int]
	worked := 0
	get := func(k int, ok bool) int {
		return c.get(r, k, func(*compile.Input) (int, bool) { worked++; return worked, ok })
	}
	expect := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	expect("first", get(1, true), 1)
	expect("again", get(1, true), 1)
	expect("another", get(2, false), 2)
	expect("what was not found", get(2, true), 3)
	r.change(1, nil, nil)
	expect("after a change of the share", get(1, true), 4)
	r.found(func(*compile.Bridge) []state.Unit { return nil })
	expect("after something was found", get(1, true), 5)
	r.setPorts(bridge(port("p1", "", 11)))
	expect("after a change of the ports", get(1, true), 6)
	for k := range 3 * maxRecalled {
		get(k, true)
	}
	if len(c.known) > maxRecalled {
		t.Errorf("%d are kept", len(c.known))
	}
}
