package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/cmd/vnctl/host"
	"github.com/openvnet/openvnet/dataplane/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent answers paths with values, on a unix socket, which it gives.
func agent(t *testing.T, answers map[string]func(object string) any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vna.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for p, f := range answers {
		mux.HandleFunc("GET "+p, func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(f(r.URL.Query().Get("object")))
		})
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return path
}

// run gives what "vnctl host ARGS" prints.
func run(ctx context.Context, socket, format string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := host.Command(&out, func(string) string { return "" }, func() string { return format })
	cmd.SetArgs(append(args, "--socket", socket))
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

// words takes a table's columns for equal, however wide they are.
func words(s string) []string {
	var lines []string
	for l := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	return lines
}

func TestCounters(t *testing.T) {
	counters := []local.Counter{
		{Resource: "interface", Object: "if-web1", What: "sent", Packets: 10, Bytes: 1000},
		{Resource: "route", Object: "r-1", What: "out", Packets: 1, Bytes: 60},
	}
	socket := agent(t, map[string]func(string) any{local.PathCounters: func(object string) any {
		if object != "" {
			return counters[:1]
		}
		return counters
	}})
	got, err := run(t.Context(), socket, "", "counters")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"RESOURCE OBJECT WHAT PACKETS BYTES", "interface if-web1 sent 10 1000", "route r-1 out 1 60"}, words(got)); diff != "" {
		t.Error(diff)
	}
	got, err = run(t.Context(), socket, "json", "counters", "if-web1")
	if err != nil {
		t.Fatal(err)
	}
	var one []local.Counter
	if err := json.Unmarshal([]byte(got), &one); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counters[:1], one); diff != "" {
		t.Error(diff)
	}
}

// Limits are those of the port that is asked for; classes of which it has sent nothing are left out.
func TestLimits(t *testing.T) {
	limits := []local.Limit{
		{Port: "tap-a", Interface: "if-a", Class: "arp", Where: "fast path", Rate: 200, Burst: 100, Passed: 7, Dropped: 9, Doc: "ARP"},
		{Port: "tap-a", Interface: "if-a", Class: "dns", Where: "meter", Rate: 1000, Burst: 1000},
		{Port: "tap-b", Class: "dns", Where: "meter", Rate: 1000, Burst: 1000, Dropped: 1},
	}
	socket := agent(t, map[string]func(string) any{local.PathLimits: func(string) any { return limits }})
	header, arp := "PORT INTERFACE CLASS WHERE RATE BURST PASSED DROPPED MEANING", "tap-a if-a arp fast path 200 100 7 9 ARP"
	for _, tc := range []struct{ args, want []string }{
		{nil, []string{header, arp, "tap-b - dns meter 1000 1000 0 1"}},
		{[]string{"tap-a"}, []string{header, arp}},
		{[]string{"tap-a", "--all"}, []string{header, arp, "tap-a if-a dns meter 1000 1000 0 0"}},
	} {
		got, err := run(t.Context(), socket, "", append([]string{"limits"}, tc.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, words(got)); diff != "" {
			t.Errorf("%v: %s", tc.args, diff)
		}
	}
}

// Rates are of what has been counted since the last time; what stands still is left out.
func TestCountersWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Uint64
	socket := agent(t, map[string]func(string) any{local.PathCounters: func(string) any {
		n := asked.Add(1)
		if n == 3 {
			cancel()
		}
		return []local.Counter{
			{Resource: "interface", Object: "if-web1", What: "sent", Packets: 100 * n, Bytes: 1000 * n},
			{Resource: "interface", Object: "if-web2", What: "sent", Packets: 7, Bytes: 70},
		}
	}})
	got, _ := run(ctx, socket, "json", "counters", "--watch", "--every", "100ms")
	var rates []host.Rate
	if err := json.NewDecoder(strings.NewReader(got)).Decode(&rates); err != nil {
		t.Fatal(err)
	}
	if len(rates) != 1 || rates[0].Object != "if-web1" || rates[0].Packets <= 0 || math.Abs(rates[0].Bits/rates[0].Packets-80) > 1e-6 {
		t.Errorf("rates %+v", rates)
	}
	if _, err := run(t.Context(), socket, "", "counters", "--watch", "--every", "1ms"); err == nil {
		t.Error("a thousand questions a second are allowed")
	}
}

// Flows are shown in the columns of docs/pipeline.md; drops that have not happened are left out.
func TestFlows(t *testing.T) {
	flows := []local.Flow{
		{TableID: 10, Priority: 100, Packets: 8, Text: "table=10, raw", Description: pipeline.Description{Table: "guard_mac", Owner: "interface if-web1", Match: "ingress=if-web1", Actions: "goto guard_address"}},
		{TableID: 10, Foreign: true, Packets: 1, Description: pipeline.Description{Table: "guard_mac", Owner: "drop mac_source", Actions: "drop: not its own"}},
		{TableID: 12, Description: pipeline.Description{Table: "guard_address", Owner: "drop ethertype", Actions: "drop: what is this"}},
	}
	socket := agent(t, map[string]func(string) any{local.PathFlows: func(object string) any {
		if object != "" {
			return flows[:1]
		}
		return flows
	}})
	want := []string{"TABLE PRIORITY PACKETS OWNER MATCH ACTIONS", "10 guard_mac 100 8 interface if-web1 ingress=if-web1 goto guard_address", "! 10 guard_mac 0 1 drop mac_source * drop: not its own",
		"12 guard_address 0 0 drop ethertype * drop: what is this"}
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"flows"}, want[:3]},
		{[]string{"flows", "--all"}, want},
		{[]string{"flows", "if-web1"}, want[:2]},
		{[]string{"flows", "if-web1", "--raw"}, []string{"table=10, raw"}},
	} {
		got, err := run(t.Context(), socket, "", tc.args...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, words(got)); diff != "" {
			t.Errorf("%v: %s", tc.args, diff)
		}
	}
}

func TestStatus(t *testing.T) {
	socket := agent(t, map[string]func(string) any{local.PathStatus: func(string) any {
		return local.Status{
			Node: "node1", Datapath: "dp-1", Revision: 7, Complete: true, Switch: true,
			Services: []local.Service{{Class: "learn", Packets: 12, Dropped: map[string]uint64{"full": 3, "held": 1}}, {Class: "log"}},
		}
	}})
	got, err := run(t.Context(), socket, "table", "status")
	if err != nil {
		t.Fatal(err)
	}
	if want := "packets for the agent, learn 12 (dropped: 3 full, 1 held)"; !strings.Contains(strings.Join(words(got), "\n"), want) || strings.Contains(got, "agent, log") {
		t.Errorf("lacks %q:\n%s", want, got)
	}
}

func TestNoAgent(t *testing.T) {
	_, err := run(t.Context(), filepath.Join(t.TempDir(), "none"), "", "counters")
	if err == nil || !strings.Contains(err.Error(), "is vna running") {
		t.Errorf("error: %v", err)
	}
}
