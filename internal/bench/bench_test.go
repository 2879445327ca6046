package bench

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRows(t *testing.T) {
	r := New("arp")
	r.Add("flow", "p50", "us", 130, 150, 140)
	r.Add("flow", "rate", "1/s", 63000)
	r.Add("ebpf", "p50", "us", 7, 3, 5, 9)
	r.Add("ebpf", "rate", "1/s", 315000)
	r.Add("ebpf", "cpu", "ms", 1)
	r.Add("controller", "p50", "ms", 0.28) // another unit: not compared
	r.Compare("flow")
	f := func(v float64) *float64 { return &v }
	want := []Row{
		{Case: "flow", Metric: "p50", Unit: "us", Median: 140, Min: 130, Max: 150},
		{Case: "flow", Metric: "rate", Unit: "1/s", Median: 63000, Min: 63000, Max: 63000},
		{
			Case: "ebpf", Metric: "p50", Unit: "us", Median: 6, Min: 3, Max: 9,
			Baseline: f(140), Ratio: f(6.0 / 140), Against: "flow",
		},
		{
			Case: "ebpf", Metric: "rate", Unit: "1/s", Median: 315000, Min: 315000, Max: 315000,
			Baseline: f(63000), Ratio: f(5), Against: "flow",
		},
		{Case: "ebpf", Metric: "cpu", Unit: "ms", Median: 1, Min: 1, Max: 1},
		{Case: "controller", Metric: "p50", Unit: "ms", Median: 0.28, Min: 0.28, Max: 0.28},
	}
	if diff := cmp.Diff(want, r.Rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if err := r.Err(); err != nil {
		t.Errorf("error: %v", err)
	}
}

func TestCompareNamedCases(t *testing.T) {
	r := New("bringup")
	r.Add("one-more@100", "messages", "1", 12)
	r.Add("one-more@1000", "messages", "1", 12)
	r.Add("ovs-port@1000", "messages", "1", 3)
	r.Add("idle", "messages", "1", 0)
	r.Compare("one-more@100", "one-more@1000")
	r.Compare("idle", "ovs-port@1000") // a baseline of 0 has no ratio
	var got []string
	for _, row := range r.Rows() {
		text := row.Case + " to " + row.Against
		if row.Ratio != nil {
			text += " " + figure(*row.Ratio)
		}
		got = append(got, text)
	}
	want := []string{"one-more@100 to ", "one-more@1000 to one-more@100 1", "ovs-port@1000 to idle", "idle to "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLatencies(t *testing.T) {
	round := func(scale time.Duration) []time.Duration {
		var times []time.Duration
		for i := range 100 {
			times = append(times, time.Duration(100-i)*scale)
		}
		return times
	}
	r := New("bringup")
	r.Latencies("one-more@100", "applied_", "ms", round(time.Millisecond), round(3*time.Millisecond))
	want := []Row{
		{Case: "one-more@100", Metric: "applied_p50", Unit: "ms", Median: 100, Min: 50, Max: 150},
		{Case: "one-more@100", Metric: "applied_p99", Unit: "ms", Median: 198, Min: 99, Max: 297},
	}
	if diff := cmp.Diff(want, r.Rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*Report)
		want string
	}{
		"no samples":      {func(r *Report) { r.Add("a", "p50", "us") }, "bench x: a p50: no samples"},
		"not a number":    {func(r *Report) { r.Add("a", "p50", "us", 1, math.NaN()) }, "a p50: sample 1 is NaN"},
		"infinite":        {func(r *Report) { r.Add("a", "p50", "us", math.Inf(1)) }, "a p50: sample 0 is +Inf"},
		"twice":           {func(r *Report) { r.Add("a", "p50", "us", 1); r.Add("a", "p50", "ms", 1) }, "a p50: added twice"},
		"unknown unit":    {func(r *Report) { r.Latencies("a", "", "min", []time.Duration{1}) }, `unit "min" is none of`},
		"empty round":     {func(r *Report) { r.Latencies("a", "", "us", []time.Duration{1}, nil) }, "a p50: round 1 is empty"},
		"no rounds":       {func(r *Report) { r.Latencies("a", "", "us") }, "a p50: no samples"},
		"no baseline":     {func(r *Report) { r.Add("a", "p50", "us", 1); r.Compare("b") }, "compare with b: no case b"},
		"no case to name": {func(r *Report) { r.Add("a", "p50", "us", 1); r.Compare("a", "c") }, "compare with a: no case c"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := New("x")
			test.do(r)
			err := r.Write(&strings.Builder{}, dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("a file was written: %v %v", entries, err)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	r := New("arp")
	r.Add("flow", "p50", "us", 130, 150, 140)
	r.Add("ebpf", "p50", "us", 2.25, 2.2, 2.3)
	r.Add("ebpf", "rate", "1/s", 328000, 215000, 330000)
	r.Compare("flow")
	dir := filepath.Join(t.TempDir(), "out", "bench")
	var table strings.Builder
	if err := r.Write(&table, dir); err != nil {
		t.Fatal(err)
	}
	wantTable := `benchmark arp
  case  metric  median     min     max  unit   ratio  to
  flow  p50        140     130     150  us
  ebpf  p50       2.25    2.20    2.30  us    0.0161  flow (140)
  ebpf  rate    328000  215000  330000  1/s
`
	if diff := cmp.Diff(wantTable, table.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(filepath.Join(dir, "arp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"case": "flow", "metric": "p50", "unit": "us", "median": 140.0, "min": 130.0, "max": 150.0},
		{
			"case": "ebpf", "metric": "p50", "unit": "us", "median": 2.25, "min": 2.2, "max": 2.3,
			"baseline": 140.0, "ratio": 2.25 / 140, "against": "flow",
		},
		{"case": "ebpf", "metric": "rate", "unit": "1/s", "median": 328000.0, "min": 215000.0, "max": 330000.0},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestWriteEmpty(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	if err := New("none").Write(&table, dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "none.json"))
	if err != nil || string(text) != "[]\n" {
		t.Errorf("got %q, %v; want an empty list", text, err)
	}
}

func TestQuantile(t *testing.T) {
	samples := []float64{5, 1, 4, 2, 3}
	for _, test := range []struct{ q, want float64 }{
		{0, 1}, {0.2, 1}, {0.21, 2}, {0.5, 3}, {0.8, 4}, {0.99, 5}, {1, 5},
		{-1, 1}, {2, 5}, // outside 0 to 1: the nearest
	} {
		if got := Quantile(samples, test.q); got != test.want {
			t.Errorf("Quantile(%v) = %v, want %v", test.q, got, test.want)
		}
	}
	if samples[0] != 5 {
		t.Error("the samples were sorted in place")
	}
	if got := Quantile[time.Duration](nil, 0.5); got != 0 {
		t.Errorf("without samples: %v, want 0", got)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 12: "12", 123456: "123456", 1234.5: "1234", 99.96: "100.0", 2.2: "2.20", 0.016071: "0.0161", -2.5: "-2.50",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}
