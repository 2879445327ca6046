package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
)

func TestPlan(t *testing.T) {
	macs, addresses := map[any]int{}, map[[2]any]int{}
	note := func(p client.Params) {
		macs[p["mac_address"]]++
		addresses[[2]any{p["network_uuid"], p["ipv4_address"]}]++
	}
	const size = 70_000
	for n := range size {
		note(vif(n))
	}
	if len(macs) != size || len(addresses) != size {
		t.Errorf("%d MAC addresses and %d addresses of %d interfaces", len(macs), len(addresses), size)
	}
	want := client.Params{
		"uuid": "if-b2500", "mode": "vif", "port_name": "p2500", "network_uuid": "nw-b2", "mac_address": "02:01:00:00:09:c4", "ipv4_address": "10.0.1.254",
	}
	if d := cmp.Diff(want, vif(2500)); d != "" {
		t.Error(d)
	}
}

func TestReport(t *testing.T) {
	f := func(scale float64) []figures {
		d := func(ms float64) time.Duration { return time.Duration(ms * scale * float64(time.Millisecond)) }
		r := requests{times: []time.Duration{d(1), d(2), d(3)}, took: d(6)}
		return []figures{{
			applied: d(100), batch: 10, create: r, read: r, list: r, starts: []start{{d(3), 50, d(2)}, {d(1), 40, d(2)}},
			deliveries: []time.Duration{d(1), d(5)}, everywhere: []time.Duration{d(5)}, join: d(50), memory: 60,
		}}
	}
	r := report([]int{10, 20}, map[int][]figures{10: f(1), 20: f(2)})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, row := range r.Rows() {
		if strings.HasSuffix(row.Case, "@20") {
			got[row.Case+" "+row.Metric] = row.Median
		}
	}
	want := map[string]float64{
		"apply@20 interfaces": 10, "apply@20 stored": 200, "coldstart@20 ready": 4, "coldstart@20 cpu": 4, "coldstart@20 rss": 45,
		"fanout@20 delivery_p50": 2, "fanout@20 delivery_p99": 10, "fanout@20 everywhere_p50": 10, "fanout@20 everywhere_p99": 10,
		"fanout@20 without_network": 0, "fanout@20 join": 100, "fanout@20 manager_rss": 60,
	}
	for _, kind := range []string{"create@20 ", "read@20 ", "list@20 "} {
		want[kind+"rate"], want[kind+"p50"], want[kind+"p99"] = 250, 4, 6
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Sizes: []int{10}, Requests: 1, Clients: 1, Starts: 1, Agents: 1, Bystanders: 1, Changes: 1}
	refused := map[string]func(context.Context, run.Options) error{}
	for want, change := range map[string]func(*Options){
		"--agents is 0":        func(o *Options) { o.Agents = 0 },
		"--sizes is empty":     func(o *Options) { o.Sizes = nil },
		"--sizes is 0":         func(o *Options) { o.Sizes = []int{10, 0} },
		"--agents is 32768":    func(o *Options) { o.Agents = 1 << 15 },
		"must be at most 1638": func(o *Options) { o.Bystanders = 1 << 15 },
	} {
		refused[want] = func(ctx context.Context, all run.Options) error {
			o := good
			o.Options = all
			change(&o)
			return Run(ctx, o)
		}
	}
	runtest.Refuses(t, refused)
}

func TestPrivilegedSmoke(t *testing.T) {
	words := []string{"create@20", "read@50", "list@50", "apply@50", "coldstart@20", "fanout@50", "delivery_p99", "without_network"}
	runtest.Smoke(t, nil, "api.json", words, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Sizes: []int{20, 50}, Requests: 20, Clients: 4, Starts: 1, Agents: 5, Bystanders: 2, Changes: 3})
	})
}
