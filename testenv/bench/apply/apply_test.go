package apply

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/ovs"
)

func TestSpecIsValid(t *testing.T) {
	s := spec()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestReplies(t *testing.T) {
	const text = `PING 10.0.0.11 (10.0.0.11) 56(84) bytes of data.
[1700000000.250000] 64 bytes from 10.0.0.11: icmp_seq=1 ttl=64 time=0.5 ms
[1700000000.260000] 64 bytes from 10.0.0.11: icmp_seq=2 ttl=64 time=0.5 ms
[1700000000.270000] 64 bytes from 10.0.0.11: icmp_seq=2 ttl=64 time=9.5 ms (DUP!)
[1700000003.500000] From 10.0.0.10 icmp_seq=4 Destination Host Unreachable
[1700000004.500000] 64 bytes from 10.0.0.11: icmp_seq=6 ttl=64 time=0.5 ms

--- 10.0.0.11 ping statistics ---
7 packets transmitted, 3 received, +1 errors, 57% packet loss, time 4250ms
`
	replies := readReplies([]byte(text))
	if len(replies) != 4 {
		t.Fatalf("%d replies", len(replies))
	}
	if n := lost(replies); n != 3 {
		t.Errorf("%d are lost, want 3 to 5", n)
	}
	at, ok := firstSince(replies, time.Unix(1700000001, 0))
	if want := time.Unix(1700000004, 500_000_000); !ok || at.Sub(want).Abs() > time.Millisecond {
		t.Errorf("the first is at %v, %t", at, ok)
	}
	if _, ok := firstSince(replies, time.Unix(1700000005, 0)); ok {
		t.Error("there is one after the last")
	}
}

func TestComparisons(t *testing.T) {
	log := filepath.Join(t.TempDir(), "vna.log")
	const before = "time=2026-01-01T00:00:00.500Z level=INFO msg=\"compared the switch with what it should be\" flows=5 messages=9 complete=true took=1ms\n"
	const text = before + `time=2026-01-01T00:00:01.000Z level=INFO msg="compared the switch with what it should be" flows=5 messages=4 complete=false took=1ms
time=2026-01-01T00:00:02.000Z level=INFO msg="connected to the switch" address=unix:/x
time=2026-01-01T00:00:03.250Z level=INFO msg="compared the switch with what it should be" flows=5 messages=7 complete=true took=1.25s
time=2026-01-01T00:00:04.000Z level=INFO msg="compared the switch with what it should be" flows=5 messages=0 complete=true took=2ms
time=2026-01-01T00:00:05.000Z level=INFO msg="compared the switch with what it should be" flows=5 mess`
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := comparisons(log, int64(len(before)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }
	want := []comparison{
		{at(1), time.Millisecond, 4, false}, {at(3).Add(250 * time.Millisecond), 1250 * time.Millisecond, 7, true}, {at(4), 2 * time.Millisecond, 0, true},
	}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(comparison{})); diff != "" {
		t.Fatal(diff)
	}
	if n := whole(all); n != 1 {
		t.Errorf("the first with what the manager says is number %d", n)
	}
	if n := whole(all[:1]); n != -1 {
		t.Errorf("there is none, and it is number %d", n)
	}
	if got := lastThatChanged(all); got != want[1] {
		t.Errorf("the last that changed anything is %v", got)
	}
	if got := lastThatChanged(all[2:]); got != want[2] {
		t.Errorf("where none has, it is %v", got)
	}
	if got := since(all, at(3).Add(500*time.Millisecond)); len(got) != 1 || got[0] != want[2] {
		t.Errorf("since: %v", got)
	}
	if got := since(all, at(5)); got != nil {
		t.Errorf("since the end: %v", got)
	}
}

func TestReport(t *testing.T) {
	results := map[string][]sample{}
	for n, size := range []int{10, 1000} {
		for _, c := range cases {
			results[caseName(c, size)] = []sample{{flows: size, compared: time.Second, recovered: time.Duration(n+1) * time.Second, programmed: 1, firstReply: 1}}
		}
	}
	r := report([]int{10, 1000}, results)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Rows() {
		if row.Case != "vswitchd@1000" {
			continue
		}
		got = append(got, row.Metric)
		if row.Against != "vswitchd@10" || row.Metric == "recovered_ms" && (*row.Ratio != 2 || row.Median != 2000) {
			t.Errorf("%+v", row)
		}
	}
	if diff := cmp.Diff([]string{"flows", "lost", "recovered_ms", "programmed_ms", "first_reply_ms", "agent_rss", "switch_rss"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--traffic is 0s`:  func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Flows: []int{1}}) },
		`--flows is empty`: func(ctx context.Context, o run.Options) error { return Run(ctx, Options{Options: o, Traffic: 1}) },
		`--flows is 0`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Traffic: 1, Flows: []int{1, 0}})
		},
	})
}

var programs = append([]string{"ip", "ping"}, ovs.Programs...)

func TestPrivilegedSmoke(t *testing.T) {
	words := []string{"agent@10 ", "vswitchd@10 ", "agent@500 ", "vswitchd@500 ", "remembered_ms", "compared_ms", "recovered_ms", "first_reply_ms"}
	runtest.Smoke(t, programs, "apply.json", words, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Flows: []int{10, 500}, Traffic: 50 * time.Millisecond})
	})
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	runtest.Interrupt(t, programs, "round ", func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Flows: []int{1}, Traffic: 20 * time.Millisecond})
	})
}
