package flows

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
)

// small is the argument with which this program measures one scenario, a hundredth of it.
const small = "--a-hundredth-of"

func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != small {
		os.Exit(m.Run())
	}
	f, err := measureAt(os.Args[2], 100)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestSmoke(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := Run(t.Context(), Options{Options: run.Options{Rounds: 1, Out: out, Table: io.Discard, Progress: t.Output()}, Self: []string{self, small}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "flows.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []bench.Row
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	figures := map[[2]string]float64{}
	for _, r := range rows {
		figures[[2]string{r.Case, r.Metric}] = r.Median
	}
	for _, name := range []string{"groups-1000x10", "group-1000", "routers-100x100", "rule-15-excluded", "rule-3-prefixes"} {
		for _, metric := range []string{"flows_per_host", "bytes", "full_ms", "change_ms", "rss"} {
			if figures[[2]string{name, metric}] <= 0 {
				t.Errorf("%s has no %s", name, metric)
			}
		}
	}
	// What an interface, a member, an excluded address or a prefix costs does not depend on how many there are.
	for name, most := range map[string]float64{"groups-1000x10": 250, "group-1000": 60, "rule-15-excluded": 150, "rule-3-prefixes": 6} {
		if n := figures[[2]string{name, "flows_added"}]; n <= 0 || n > most {
			t.Errorf("%s adds %v flows, want some, at most %v", name, n, most)
		}
	}
}

// What it costs to compile one more does not grow with what there is: as many flows change.
func TestOneMore(t *testing.T) {
	for _, names := range [][2]string{{"network@100", "network@1000"}, {"group@100", "group@10000"}, {"routers@10", "routers@1000"}} {
		var f [2]Figures
		for k, name := range names {
			var err error
			if f[k], err = measureAt(name, 10); err != nil {
				t.Fatal(err)
			}
		}
		if f[0].Changed != f[1].Changed {
			t.Errorf("one more in %s is %d messages, in %s %d", names[0], f[0].Changed, names[1], f[1].Changed)
		}
	}
}

func TestMeasureNoScenario(t *testing.T) {
	if _, err := Measure("network@7"); err == nil {
		t.Error("a scenario that there is not is no error")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--members is -1`: func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Members: -1}) },
	})
}
