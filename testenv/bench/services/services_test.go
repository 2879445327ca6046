package services

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

func TestSpecIsValid(t *testing.T) {
	s := spec(maxGuests)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestReport(t *testing.T) {
	results := map[key]*measured{}
	for n, by := range []string{"", dnsmasq} {
		for _, guests := range []int{1, 200} {
			results[key{"ra", by, guests}] = &measured{
				times: [][]time.Duration{{time.Duration(2-n) * time.Microsecond}}, rates: []float64{100}, cpu: map[string][]float64{"a": {1}, "b": {2}}, lost: []float64{0},
			}
		}
	}
	chosen, err := choose([]string{"ra"})
	if err != nil {
		t.Fatal(err)
	}
	r := report(chosen, 200, results, map[string]driven{"ra": {answers: answers{times: make([]time.Duration, 3), took: time.Second}}})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Rows() {
		if row.Case != "ra@200" {
			continue
		}
		got = append(got, row.Metric)
		if row.Against != "ra-dnsmasq@200" {
			t.Errorf("%s is compared with %q", row.Metric, row.Against)
		}
		if row.Metric == "p50" && *row.Ratio != 2 || row.Metric == "cpu" && row.Median != 3 {
			t.Errorf("%+v", row)
		}
	}
	if diff := cmp.Diff([]string{"p50", "p99", "rate", "cpu", "a_cpu", "b_cpu", "lost"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--guests is 1`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Guests: 1, Span: 1})
		},
		`--span is 0s`: func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Guests: 2}) },
		`"x"`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Guests: 2, Span: 1, Cases: []string{"x"}})
		},
	})
}

var programs = append([]string{"ip", dnsmasq}, ovs.Programs...)

// What is asked, dnsmasq answers rightly.
func TestPrivilegedBaseline(t *testing.T) {
	privileged.Require(t, dnsmasq, "../../../bin/vnlab")
	b := &bridge{tag: "test", bin: "../../../bin"}
	defer func() {
		if err := b.remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		nothingLeft(t)
	}()
	const guests = 3
	if err := b.start(t.Context(), guests); err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, n := range []int{1, guests} {
			d, err := drive(t.Context(), b, s, burden{n, 2, 5 * time.Millisecond, 20 * time.Millisecond, patience})
			if err != nil {
				t.Errorf("%s: %v\n%s", s.name, err, b.logs())
				continue
			}
			t.Logf("%s@%d: %d answers, %.0f/s, %d lost, %v", s.name, n, len(d.times), d.rate(), d.lost, d.cpu)
		}
	}
}

func TestPrivilegedSmoke(t *testing.T) {
	var words []string
	for _, s := range services {
		words = append(words, limitedName(s)+" ", s.name+"@1 ", s.name+"@3 ", s.name+"-"+s.baseline+"@3 ")
	}
	runtest.Smoke(t, programs, "services.json", words, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Guests: 3, Span: 20 * time.Millisecond})
	})
	nothingLeft(t)
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	runtest.Interrupt(t, programs, "round ", func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Guests: 2, Span: 10 * time.Millisecond})
	})
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	if names, err := netns.List("vs"); err != nil || len(names) != 0 {
		t.Errorf("namespaces are left: %v, %v", names, err)
	}
}
