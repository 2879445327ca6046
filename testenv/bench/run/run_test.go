package run_test

import (
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/bench/run"
)

// An error names the flag and its value.
func TestCheck(t *testing.T) {
	good := run.Options{Rounds: 1}
	for _, tc := range []struct {
		o    run.Options
		err  error
		want string
	}{
		{run.Options{}, nil, "benchmark x: --rounds is 0, and must be at least 1"},
		{good, run.AtLeast("members", -1, 0), "benchmark x: --members is -1, and must be at least 0"},
		{good, run.Within("agents", 9, 1, 8), "benchmark x: --agents is 9, and must be at most 8"},
		{good, run.Positive("limit", -time.Second), "benchmark x: --limit is -1s, and must be more than 0"},
		{good, run.Positive("seconds", 0.0), "benchmark x: --seconds is 0, and must be more than 0"},
		{good, run.Each("sizes", nil, 1, 8), "benchmark x: --sizes is empty, and must have at least one number"},
		{good, run.Each("sizes", []int{8, 0}, 1, 8), "benchmark x: --sizes is 0, and must be at least 1"},
	} {
		if err := tc.o.Check("x", nil, tc.err); err == nil || err.Error() != tc.want {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	if err := good.Check("x", run.AtLeast("members", 0, 0), run.Within("agents", 8, 1, 8), run.Positive("limit", 1*time.Nanosecond), run.Each("sizes", []int{1, 8}, 1, 8)); err != nil {
		t.Error(err)
	}
}
