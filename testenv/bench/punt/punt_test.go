package punt

import (
	"context"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/ovs"
)

func TestReport(t *testing.T) {
	probes := []probe{{name: "dhcp"}}
	order := []string{caseIdle, caseControl, "dns"}
	results := map[string]*result{}
	for n, name := range order {
		scale := time.Duration(n+1) * time.Microsecond
		results[name] = &result{
			times: map[string][][]time.Duration{"dhcp": {{scale, 3 * scale, 2 * scale}}}, lost: map[string][]float64{"dhcp": {0}}, sent: []float64{float64(n)},
		}
	}
	r := report(order, probes, results)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Rows() {
		if row.Case == "dns" && row.Metric == "dhcp_p50" && (row.Ratio == nil || *row.Ratio != 3 || row.Against != caseIdle) {
			t.Errorf("%+v", row)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		"--seconds is 0": func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Rate: 1000}) },
		"--rate is 0":    func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Span: 1}) },
		`--kinds has "tcp", and there are arp, `: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Span: 1, Rate: 1000, Kinds: []string{"tcp"}})
		},
	})
}

var programs = append([]string{"ip"}, ovs.Programs...)

func TestPrivilegedSmoke(t *testing.T) {
	runtest.Smoke(t, programs, "punt.json", []string{"idle", "control", "ttl", "dhcp_p99", "sent"}, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Span: 100 * time.Millisecond, Rate: 5000, Kinds: []string{"arp", "ttl"}})
	})
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	runtest.Interrupt(t, programs, "round ", func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Span: 50 * time.Millisecond, Rate: 1000})
	})
}
