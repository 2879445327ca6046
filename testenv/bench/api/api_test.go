package api

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/privileged"
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

func TestVmRSS(t *testing.T) {
	if n, err := vmRSS("Name:\tx\nVmHWM:\t    9 kB\nVmRSS:\t   12345 kB\n"); n != 12345 || err != nil {
		t.Errorf("vmRSS = %d, %v", n, err)
	}
	for _, bad := range []string{"", "VmRSS: 5", "VmRSS: x kB"} {
		if n, err := vmRSS(bad); err == nil {
			t.Errorf("vmRSS(%q) = %d without error", bad, n)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Sizes: []int{10}, Rounds: 1, Requests: 1, Clients: 1, Starts: 1, Agents: 1, Bystanders: 1, Changes: 1}
	for want, change := range map[string]func(*Options){
		"are required":               func(o *Options) { o.Agents = 0 },
		"and sizes are required":     func(o *Options) { o.Sizes = nil },
		"sizes are 1 to 1048576":     func(o *Options) { o.Sizes = []int{0, 10} },
		"more than 16384 agents":     func(o *Options) { o.Agents = 1 << 15 },
		"16384 agents, or bystander": func(o *Options) { o.Bystanders = 1 << 15 },
	} {
		o := good
		change(&o)
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run(%+v) = %v, want %q", o, err, want)
		}
	}
}

// bin is where make build puts the programs.
const bin = "../../../bin"

func TestPrivilegedSmoke(t *testing.T) {
	privileged.Require(t, bin+"/vnmgr")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var table, progress strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = Run(ctx, Options{
		Sizes: []int{20, 50}, Rounds: 1, Requests: 20, Clients: 4, Starts: 1, Agents: 5, Bystanders: 2, Changes: 3,
		API: address, Bin: bin, Out: t.TempDir(), Table: &table, Progress: &progress,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{"create@20", "read@50", "list@50", "apply@50", "coldstart@20", "fanout@50", "delivery_p99", "without_network"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%s is missing in\n%s", want, table.String())
		}
	}
}
