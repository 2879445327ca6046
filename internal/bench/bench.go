// Package bench is what the benchmarks share to report: samples, one a round, become rows of median, smallest and
// largest, set against a baseline where there is one, printed as a table and written as JSON. It measures nothing
// and knows no benchmark. The programs behind `make bench-...` import it.
//
//	r := bench.New("arp")
//	r.Latencies("ebpf", "", "us", rounds...)         // rows p50 and p99, from every reply of every round
//	r.Add("ebpf", "rate", "1/s", 328000, 331000)     // a row, from one figure a round
//	...
//	r.Compare("flow")                                // the rows of all other cases against those of flow
//	err := r.Write(os.Stdout, "out/bench")           // the table, and out/bench/arp.json
package bench

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Row is one figure of a report. Its JSON form is what out/bench/NAME.json is a list of.
type Row struct {
	Case   string  `json:"case"`   // what was measured: a variant ("ebpf"), or variant@size ("one-more@1000")
	Metric string  `json:"metric"` // the quantity: "p50", "rate", "applied_p99"
	Unit   string  `json:"unit"`   // of every figure of the row but Ratio: "us", "1/s", "MiB", "1"
	Median float64 `json:"median"` // over the samples; of an even number, the mean of the middle two
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	// Baseline is the median of the same metric in the case Against, in Unit; Ratio is Median by Baseline. All three
	// are absent where there is no baseline; Ratio alone where Baseline is 0.
	Baseline *float64 `json:"baseline,omitempty"`
	Ratio    *float64 `json:"ratio,omitempty"`
	Against  string   `json:"against,omitempty"`
}

// Report collects the rows of one benchmark, in the order of their adding. What is added wrongly (no samples, a
// figure that is no number, the same case and metric twice) is reported by Write, so that a benchmark checks errors
// once. Not safe for concurrent use.
type Report struct {
	name string
	rows []Row
	errs []error
}

// New returns an empty report. The name is that of the file it is written to, without ".json".
func New(name string) *Report {
	return &Report{name: name}
}

// Add adds the row of a metric of a case from its samples: one figure a round, in the unit given.
func (r *Report) Add(caseName, metric, unit string, samples ...float64) {
	if len(samples) == 0 {
		r.errorf("%s %s: no samples", caseName, metric)
		return
	}
	for i, s := range samples {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			r.errorf("%s %s: sample %d is %v", caseName, metric, i, s)
			return
		}
	}
	if r.find(caseName, metric) != nil {
		r.errorf("%s %s: added twice", caseName, metric)
		return
	}
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	r.rows = append(r.rows, Row{
		Case: caseName, Metric: metric, Unit: unit,
		Median: median, Min: sorted[0], Max: sorted[len(sorted)-1],
	})
}

// Latencies adds two rows, the metrics prefix+"p50" and prefix+"p99", from the times of every operation of every
// round: a round's quantile is one sample. The unit is "s", "ms", "us" or "ns".
func (r *Report) Latencies(caseName, prefix, unit string, rounds ...[]time.Duration) {
	scale, ok := map[string]time.Duration{
		"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond,
	}[unit]
	if !ok {
		r.errorf("%s %sp50: unit %q is none of s, ms, us, ns", caseName, prefix, unit)
		return
	}
	for _, q := range []struct {
		metric string
		q      float64
	}{{"p50", 0.50}, {"p99", 0.99}} {
		samples := make([]float64, 0, len(rounds))
		for i, round := range rounds {
			if len(round) == 0 {
				r.errorf("%s %s: round %d is empty", caseName, prefix+q.metric, i)
				return
			}
			samples = append(samples, float64(Quantile(round, q.q))/float64(scale))
		}
		r.Add(caseName, prefix+q.metric, unit, samples...)
	}
}

// Compare sets rows against those of the baseline case that have the same metric and unit: the rows of the cases
// named, or of all others when none is named. Rows that the baseline has no counterpart for stay as they are; a case
// that is not in the report is an error. Call it when all is added; a later call wins.
func (r *Report) Compare(baseline string, cases ...string) {
	for _, name := range append([]string{baseline}, cases...) {
		if !slices.ContainsFunc(r.rows, func(row Row) bool { return row.Case == name }) {
			r.errorf("compare with %s: no case %s", baseline, name)
			return
		}
	}
	for i := range r.rows {
		row := &r.rows[i]
		if row.Case == baseline || len(cases) > 0 && !slices.Contains(cases, row.Case) {
			continue
		}
		base := r.find(baseline, row.Metric)
		if base == nil || base.Unit != row.Unit {
			continue
		}
		figure := base.Median
		row.Against, row.Baseline, row.Ratio = baseline, &figure, nil
		if figure != 0 {
			ratio := row.Median / figure
			row.Ratio = &ratio
		}
	}
}

// Rows returns a copy of the rows so far, in the order of their adding.
func (r *Report) Rows() []Row {
	return slices.Clone(r.rows)
}

// Err returns what was added or compared wrongly so far, joined, or nil.
func (r *Report) Err() error {
	return errors.Join(r.errs...)
}

func (r *Report) find(caseName, metric string) *Row {
	for i := range r.rows {
		if r.rows[i].Case == caseName && r.rows[i].Metric == metric {
			return &r.rows[i]
		}
	}
	return nil
}

func (r *Report) errorf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("bench %s: "+format, append([]any{r.name}, args...)...))
}

// Quantile returns the sample that a share q (0 to 1) of all samples is not above (the nearest rank, so always one
// of the samples): q 0.5 is the lower median, q 1 the largest. Without samples it is the zero value. The samples may
// be in any order and stay in it.
func Quantile[T ~int64 | ~float64](samples []T, q float64) T {
	if len(samples) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
