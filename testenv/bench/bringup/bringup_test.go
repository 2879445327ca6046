package bringup

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/testenv/bench/cluster"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/ovs"
)

func TestPlan(t *testing.T) {
	for _, p := range []plan{{size: 100, networks: 10}, {size: 1000, networks: 10}, {size: 1000, networks: 1}, {size: minSize, networks: 10}, {size: minSize, networks: 1}} {
		macs, addresses, ports := map[string]int{}, map[string]int{}, map[string]bool{}
		where := map[[2]int]int{}
		perHost := make([]int, hosts)
		all := p.batch()
		for n := range p.size {
			all = append(all, n)
			where[[2]int{p.network(n), p.host(n)}]++
			perHost[p.host(n)]++
		}
		for _, n := range all {
			macs[p.mac(n).String()]++
			addresses[p.address(n).String()]++
		}
		for h := range hosts {
			for _, name := range p.ports(h) {
				if ports[name] {
					t.Errorf("%+v: two hosts have port %s", p, name)
				}
				ports[name] = true
			}
		}
		if len(where) != p.networks*hosts {
			t.Errorf("%+v: %d of %d networks on hosts", p, len(where), p.networks*hosts)
		}
		if total := p.size + batch; len(macs) != total || len(addresses) != total || len(ports) != total {
			t.Errorf("%+v: %d MAC addresses, %d addresses, %d ports of %d", p, len(macs), len(addresses), len(ports), total)
		}
		for h, n := range perHost {
			if n < p.size/hosts-p.networks || n > p.size/hosts+p.networks {
				t.Errorf("%+v: host %d has %d interfaces", p, h, n)
			}
		}
		for _, n := range p.batch() {
			if !ports[p.port(n)] {
				t.Errorf("%+v: the spare %d has no port", p, n)
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	p := plan{size: minSize, networks: 10}
	docs := p.documents([]string{"dp-a", "dp-b", "dp-c"})
	if len(docs["networks"]) != 10 || len(docs["interfaces"]) != minSize {
		t.Fatalf("%d networks, %d interfaces", len(docs["networks"]), len(docs["interfaces"]))
	}
	want := map[string]any{
		"uuid": "if-bench12", "mode": "vif", "owner_datapath_uuid": "dp-b", "port_name": "p12", "network_uuid": "nw-bench2",
		"mac_address": "02:01:00:00:00:0c", "ipv4_address": "10.3.0.11",
	}
	if diff := cmp.Diff(want, map[string]any(docs["interfaces"][12])); diff != "" {
		t.Error(diff)
	}
	p.found = true
	delete(want, "owner_datapath_uuid")
	delete(want, "uuid")
	if diff := cmp.Diff(want, map[string]any(p.vif(12, "dp-b"))); diff != "" {
		t.Error(diff)
	}
}

func TestReport(t *testing.T) {
	f := func(scale float64) []figures {
		d := func(ms float64) time.Duration { return time.Duration(ms * scale * float64(time.Millisecond)) }
		return []figures{{
			bulk: d(100), applied: []time.Duration{d(1), d(2), d(3)}, perOne: cluster.Usage{Messages: 12, Agents: 2 * scale, Manager: 3, Switches: scale},
			memory: cluster.Memory{Agent: 20, Manager: 30}, ports: []time.Duration{d(10), d(20)},
		}}
	}
	rounds := map[key][]figures{}
	for _, sh := range shapes {
		rounds[key{sh, 100}], rounds[key{sh, 1000}] = f(1), f(4)
	}
	r := report([]int{100, 1000}, rounds)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, row := range r.Rows() {
		if row.Ratio != nil {
			got[row.Case+" "+row.Metric+" to "+row.Against] = *row.Ratio
		}
	}
	want := map[string]float64{
		"bulk@1000 applied to bulk@100": 4, "bulk-flat@1000 applied to bulk-flat@100": 4, "bulk-found@1000 applied to bulk-found@100": 4,
		"ovs-port@1000 ovs_port_p50 to ovs-port@100": 4,
	}
	for _, name := range []string{"one-more", "one-more-flat", "one-more-found"} {
		for metric, ratio := range map[string]float64{
			"applied_p50": 4, "applied_p99": 4, "openflow_messages": 1, "agent_cpu": 4, "agent_rss": 1, "manager_cpu": 1, "manager_rss": 1,
			"switch_cpu": 4,
		} {
			want[name+"@1000 "+metric+" to "+name+"@100"] = ratio
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ratios (-want +got):\n%s", diff)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--sizes is empty`: func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Repeats: 1}) },
		`--sizes is 29, and must be at least 30`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Repeats: 1, Sizes: []int{100, 29}})
		},
		`--repeats is 0`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Sizes: []int{100}})
		},
		`--pause is -1ns`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Sizes: []int{100}, Repeats: 1, Pause: -1})
		},
	})
}

func smallest(ctx context.Context, o run.Options) error {
	return Run(ctx, Options{Options: o, Sizes: []int{minSize}, Repeats: 1})
}

func TestPrivilegedSmoke(t *testing.T) {
	before := leftovers(t)
	words := []string{"one-more@30", "one-more-flat@30", "one-more-found@30", "bulk@30", "bulk-flat@30", "ovs-port@30", "applied_p50", "openflow_messages", "agent_cpu", "agent_rss"}
	runtest.Smoke(t, ovs.Programs, "bringup.json", words, smallest)
	if diff := cmp.Diff(before, leftovers(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	before := leftovers(t)
	runtest.Interrupt(t, ovs.Programs, "all applied", smallest)
	if diff := cmp.Diff(before, leftovers(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

func leftovers(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("/tmp/vnb*")
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
