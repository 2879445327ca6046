package arp

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
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
	if err := Run(t.Context(), Options{Rounds: 1, Limit: 1, Burst: 1}); err == nil || !strings.Contains(err.Error(), "requests") {
		t.Errorf("Run without requests = %v", err)
	}
}

// bin is where make build puts the programs.
const bin = "../../../bin"

func TestPrivilegedSmoke(t *testing.T) {
	privileged.Require(t, append([]string{"ip", bin + "/vnmgr", bin + "/vna"}, ovs.Programs...)...)
	out := t.TempDir()
	var table, progress strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	root := ovs.TempDir(t)
	err := Run(ctx, Options{
		Rounds: 1, Requests: 20, Limit: 5 * time.Second, Burst: 20 * time.Millisecond, API: freeAddr(t), Out: out, Table: &table,
		Progress: &progress, Root: filepath.Join(root, "labs"), Bin: bin,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, a := range guests {
		for _, metric := range []string{"p50", "p99", "rate"} {
			if !strings.Contains(table.String(), a.name+" ") || !strings.Contains(table.String(), metric) {
				t.Errorf("no row %s %s in\n%s", a.name, metric, table.String())
			}
		}
	}
	if _, err := os.Stat(filepath.Join(out, "arp.json")); err != nil {
		t.Error(err)
	}
	if names, err := lab.Names(filepath.Join(root, "labs")); err != nil || len(names) != 0 {
		t.Errorf("labs are left: %v, %v", names, err)
	}
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	privileged.Require(t, append([]string{"ip", bin + "/vnmgr", bin + "/vna"}, ovs.Programs...)...)
	ctx, cancel := context.WithCancel(t.Context())
	root := ovs.TempDir(t)
	err := Run(ctx, Options{
		Rounds: 1000, Requests: 10, Limit: time.Second, Burst: 10 * time.Millisecond, API: freeAddr(t), Out: t.TempDir(), Table: &strings.Builder{},
		Progress: writerFunc(func(p []byte) {
			if bytes.Contains(p, []byte("round ")) {
				cancel()
			}
		}), Root: filepath.Join(root, "labs"), Bin: bin,
	})
	if err == nil || ctx.Err() == nil {
		t.Errorf("Run = %v", err)
	}
	if names, err := lab.Names(filepath.Join(root, "labs")); err != nil || len(names) != 0 {
		t.Errorf("labs are left: %v, %v", names, err)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
