package forward

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
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
	if err := Run(t.Context(), Options{Rounds: 1}); err == nil || !strings.Contains(err.Error(), "span") {
		t.Errorf("Run without a span = %v", err)
	}
	if err := Run(t.Context(), Options{Rounds: 1, Span: 1, Cases: []string{"x"}}); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("Run of an unknown case = %v", err)
	}
}

// bin is where make build puts the programs.
const bin = "../../../bin"

func require(t *testing.T) {
	privileged.Require(t, append([]string{"ip", "iperf3", bin + "/vnmgr", bin + "/vna"}, ovs.Programs...)...)
}

func TestPrivilegedSmoke(t *testing.T) {
	require(t)
	out, root := t.TempDir(), ovs.TempDir(t)
	var table, progress strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cases := []string{"same-host", "stateful-same-host", "across-geneve", "across-vxlan", "across-gre", "across-mac2mac"}
	err := Run(ctx, Options{
		Rounds: 1, Span: 20 * time.Millisecond, Cases: cases, API: freeAddr(t), Out: out, Table: &table,
		Progress: &progress, Root: filepath.Join(root, "labs"), Bin: bin,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, c := range append(cases, bridgeSame, bridgeAcross) {
		if !strings.Contains(table.String(), c+" ") {
			t.Errorf("no row of %s in\n%s", c, table.String())
		}
	}
	if _, err := os.Stat(filepath.Join(out, "forward.json")); err != nil {
		t.Error(err)
	}
	nothingLeft(t, root)
}

// An interrupted run removes what it has made.
func TestPrivilegedInterrupt(t *testing.T) {
	require(t)
	ctx, cancel := context.WithCancel(t.Context())
	root := ovs.TempDir(t)
	err := Run(ctx, Options{
		Rounds: 1000, Span: 20 * time.Millisecond, Cases: []string{bridgeSame}, API: freeAddr(t), Out: t.TempDir(), Table: &strings.Builder{},
		Progress: writerFunc(func(p []byte) {
			if bytes.Contains(p, []byte("round ")) {
				cancel()
			}
		}), Root: filepath.Join(root, "labs"), Bin: bin,
	})
	if err == nil || ctx.Err() == nil {
		t.Errorf("Run = %v", err)
	}
	nothingLeft(t, root)
}

func nothingLeft(t *testing.T, root string) {
	t.Helper()
	if names, err := lab.Names(filepath.Join(root, "labs")); err != nil || len(names) != 0 {
		t.Errorf("labs are left: %v, %v", names, err)
	}
	if names, err := netns.List("vb"); err != nil || len(names) != 0 {
		t.Errorf("namespaces are left: %v, %v", names, err)
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
