package forward

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
)

func TestSpecIsValid(t *testing.T) {
	s := spec()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	ports := map[string]bool{}
	for _, g := range s.Guests {
		if ports[g.Port] {
			t.Errorf("two guests have the port %s", g.Port)
		}
		ports[g.Port] = true
	}
}

func TestChoose(t *testing.T) {
	names := func(cs []subject) (ns []string) {
		for _, c := range cs {
			ns = append(ns, c.name)
		}
		return ns
	}
	for _, test := range []struct{ ask, want []string }{
		{nil, names(subjects)},
		{[]string{"across-gre"}, []string{bridgeAcross, "across-gre"}},
		{[]string{"routed-across", "same-host", bridgeAcross}, []string{bridgeSame, "same-host", bridgeAcross, "routed-across"}},
	} {
		got, err := choose(test.ask)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, names(got)); diff != "" {
			t.Errorf("choose(%v):\n%s", test.ask, diff)
		}
	}
	if _, err := choose([]string{"nowhere"}); err == nil {
		t.Error("a case that there is not is chosen")
	}
}

func TestPlausible(t *testing.T) {
	before := map[string]uint64{"a": 100, "b": 100}
	for name, test := range map[string]struct {
		port  string
		after map[string]uint64
		ok    bool
	}{
		"as it should":          {"a", map[string]uint64{"a": 1100, "b": 101}, true},
		"another way":           {"a", map[string]uint64{"a": 101, "b": 1100}, false},
		"twice":                 {"a", map[string]uint64{"a": 1100, "b": 1100}, false},
		"as it is":              {"", map[string]uint64{"a": 101, "b": 100}, true},
		"not as it is":          {"", map[string]uint64{"a": 1100, "b": 100}, false},
		"less than what is due": {"a", map[string]uint64{"a": 1099, "b": 100}, false},
	} {
		if err := (subject{port: test.port}).plausible(1000, before, test.after); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReceived(t *testing.T) {
	for answer, want := range map[string]float64{
		`{"end":{"sum_sent":{"bits_per_second":9},"sum_received":{"bits_per_second":2.5e9}}}`: 2.5e9,
		`{"error":"unable to connect"}`: 0,
		`{"end":{}}`:                    0,
		`nothing`:                       0,
	} {
		if got, err := received([]byte(answer)); got != want || (err == nil) != (want > 0) {
			t.Errorf("received(%s) = %v, %v", answer, got, err)
		}
	}
}

func TestReport(t *testing.T) {
	chosen, err := choose([]string{"same-host"})
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]*result{}
	for n, c := range chosen {
		results[c.name] = &result{stream: []float64{float64(n + 1)}, packets: []float64{1000}, times: [][]time.Duration{{time.Duration(n+1) * time.Microsecond}}}
	}
	r := report(chosen, results)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Rows() {
		if row.Case != "same-host" {
			continue
		}
		if row.Against != bridgeSame {
			t.Errorf("%s is compared with %q", row.Metric, row.Against)
		}
		got = append(got, row.Metric)
		if row.Metric == "tcp" && *row.Ratio != 2 {
			t.Errorf("the ratio is %v", *row.Ratio)
		}
	}
	if diff := cmp.Diff([]string{"tcp", "pps", "rr_p50", "rr_p99"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--seconds is 0`: func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o}) },
		`"x"`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Span: 1, Cases: []string{"x"}})
		},
	})
}

var programs = append([]string{"ip", "iperf3"}, ovs.Programs...)

func TestPrivilegedSmoke(t *testing.T) {
	cases := []string{"same-host", "stateful-same-host", "across-geneve", "across-vxlan", "across-gre", "across-mac2mac"}
	words := []string{bridgeSame + " ", bridgeAcross + " "}
	for _, c := range cases {
		words = append(words, c+" ")
	}
	runtest.Smoke(t, programs, "forward.json", words, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Span: 20 * time.Millisecond, Cases: cases})
	})
	nothingLeft(t)
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	runtest.Interrupt(t, programs, "round ", func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Span: 20 * time.Millisecond, Cases: []string{bridgeSame}})
	})
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	if names, err := netns.List("vb"); err != nil || len(names) != 0 {
		t.Errorf("namespaces are left: %v, %v", names, err)
	}
}
