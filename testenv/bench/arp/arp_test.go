package arp

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/bench/run/runtest"
	"github.com/openvnet/openvnet/testenv/ovs"
)

var (
	macA  = model.MAC{2, 0, 0, 0, 0, 1}
	macB  = model.MAC{2, 0, 0, 0, 0, 2}
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
)

// The bytes are those of RFC 826, as tcpdump decodes them.
func TestFrames(t *testing.T) {
	ask := request(macA, addrA, addrB)
	if got, want := hex.EncodeToString(ask), "ffffffffffff020000000001"+"0806"+"0001080006040001"+"0200000000010a000001"+"0000000000000a000002"; got != want {
		t.Errorf("request\n%s, want\n%s", got, want)
	}
	answer := reply(ask, macB)
	if got, want := hex.EncodeToString(answer), "020000000001020000000002"+"0806"+"0001080006040002"+"0200000000020a000002"+"0200000000010a000001"; got != want {
		t.Errorf("reply\n%s, want\n%s", got, want)
	}
	if !answers(append(bytes.Clone(answer), make([]byte, 18)...), ask) {
		t.Error("a padded answer is not taken for one")
	}
}

func TestOtherFramesAreNoAnswers(t *testing.T) {
	ask := request(macA, addrA, addrB)
	for name, b := range map[string][]byte{
		"empty":                  {},
		"short":                  reply(ask, macB)[:41],
		"the request itself":     ask,
		"for another host":       reply(request(macB, addrA, addrB), macB),
		"of another address":     reply(request(macA, addrA, addrA), macB),
		"to another address":     reply(request(macA, addrB, addrB), macB),
		"another ether type":     append(append(bytes.Clone(reply(ask, macB)[:12]), 8, 0), reply(ask, macB)[14:]...),
		"an answer to an answer": reply(reply(ask, macB), macA),
	} {
		if answers(b, ask) {
			t.Errorf("%s is taken for an answer", name)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add(request(macA, addrA, addrB))
	f.Add(reply(request(macA, addrA, addrB), macB))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := reply(b, macB); r != nil && len(r) != frameLen {
			t.Errorf("a reply of %d bytes", len(r))
		}
	})
}

func TestReport(t *testing.T) {
	results := map[string]*result{}
	for n, a := range guests {
		scale := time.Duration(n+1) * time.Microsecond
		times := [][]time.Duration{{scale, 3 * scale, 2 * scale}}
		results[a.name] = &result{times: [2][][]time.Duration{times, times}, rates: []float64{100, 300}, lost: []float64{0, 0}}
	}
	r := report(results)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Rows() {
		if row.Case == caseEBPF {
			if row.Against != caseFlow {
				t.Errorf("%s %s is compared with %q", row.Case, row.Metric, row.Against)
			}
			got = append(got, row.Metric)
		}
	}
	if diff := cmp.Diff([]string{"p50", "p99", "spin_p50", "spin_p99", "rate", "lost"}, got); diff != "" {
		t.Error(diff)
	}
	if row := r.Rows()[0]; row.Median != 2 || *row.Ratio != 0.5 {
		t.Errorf("p50 of eBPF: %+v", row)
	}
}

func TestPlausible(t *testing.T) {
	for _, test := range []struct {
		name       string
		sent, seen uint64
		ok         bool
	}{
		{caseEBPF, 20_000, 0, true},
		{caseEBPF, 20_000, 1000, true},
		{caseEBPF, 20_000, 20_000, false},
		{caseFlow, 20_000, 20_000, true},
		{caseFlow, 20_000, 19_000, false},
		{caseController, 5, 5, true},
	} {
		if err := plausible(test.name, test.sent, test.seen); (err == nil) != test.ok {
			t.Errorf("plausible(%s, %d, %d) = %v", test.name, test.sent, test.seen, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	runtest.Refuses(t, map[string]func(context.Context, run.Options) error{
		`--requests is 0`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Limit: 1, Burst: 1})
		},
		`--limit is 0s`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Requests: 1, Burst: 1})
		},
		`--burst is -1ns`: func(ctx context.Context, o run.Options) error {
			return Run(ctx, Options{Options: o, Requests: 1, Limit: 1, Burst: -1})
		},
	})
}

var programs = append([]string{"ip"}, ovs.Programs...)

func TestPrivilegedSmoke(t *testing.T) {
	words := []string{"p50", "p99", "rate"}
	for _, a := range guests {
		words = append(words, a.name+" ")
	}
	runtest.Smoke(t, programs, "arp.json", words, func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Requests: 20, Limit: 5 * time.Second, Burst: 20 * time.Millisecond})
	})
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	runtest.Interrupt(t, programs, "round ", func(ctx context.Context, o run.Options) error {
		return Run(ctx, Options{Options: o, Requests: 10, Limit: time.Second, Burst: 10 * time.Millisecond})
	})
}
