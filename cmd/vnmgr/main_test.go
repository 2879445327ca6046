package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	agentsync "github.com/openvnet/openvnet/agent/sync"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const limit = 30 * time.Second

// logged is the manager's log.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// manager is a vnmgr in this process.
type manager struct {
	t      testing.TB
	url    string
	log    *logged
	cancel context.CancelFunc
	done   chan error
}

var readyLine = regexp.MustCompile(`msg=ready api="?([^ "]+)`)

// start starts vnmgr with these flags beside --insecure and waits until it is ready.
func start(t testing.TB, args ...string) *manager {
	t.Helper()
	return launch(t, append([]string{"--insecure"}, args...))
}

// launch starts vnmgr with these flags and waits until it is ready.
func launch(t testing.TB, args []string) *manager {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &manager{t: t, log: &logged{}, cancel: cancel, done: make(chan error, 1)}
	cmd := newCommand()
	cmd.SetErr(m.log)
	cmd.SetArgs(args)
	go func() { m.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(m.stop)
	wait.For(t, limit, "vnmgr to be ready", func() error {
		found := readyLine.FindStringSubmatch(m.log.String())
		if found == nil {
			return fmt.Errorf("log:\n%s", m.log)
		}
		m.url = "http://" + found[1]
		return nil
	})
	return m
}

// stop ends it as a signal does.
func (m *manager) stop() {
	m.t.Helper()
	m.cancel()
	select {
	case err := <-m.done:
		if err != nil {
			m.t.Errorf("vnmgr: %v", err)
		}
		m.done <- nil // for a second stop
	case <-time.After(limit):
		m.t.Fatalf("vnmgr did not stop:\n%s", m.log)
	}
}

// call calls the Web API with a JSON body and gives the answer.
func (m *manager) call(method, path string, body any) (answer map[string]any, status int) {
	m.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, bytes.NewReader(b))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		m.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return answer, resp.StatusCode
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// must is a call that succeeds.
func (m *manager) must(method, path string, body any) map[string]any {
	m.t.Helper()
	answer, status := m.call(method, path, body)
	if status != http.StatusOK {
		m.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}

// host is an agent without a data plane: it applies at once.
type host struct {
	sync *agentsync.Client

	mu      sync.Mutex
	objects map[string]model.Object
	at      int64
	seen    map[string]time.Time // when an object came last
}

// joinInsecure starts an agent of the managers that lives until the test ends.
func joinInsecure(t testing.TB, n int, managers ...string) *host {
	t.Helper()
	h := &host{objects: map[string]model.Object{}, seen: map[string]time.Time{}}
	hello := wire.Hello{
		NodeID: fmt.Sprintf("node%d", n), DPID: model.DPID(n), Instance: fmt.Sprint("instance", n),
		Uplink: &wire.Uplink{Name: "eth0", MAC: model.MAC{2, 1, 0, 0, 0, byte(n)}, MTU: 1500,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(n)}), 24)}},
	}
	c, err := agentsync.New(agentsync.Options{Managers: managers, Handler: h, Hello: func() wire.Hello { return hello }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.sync = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func (h *host) Snapshot(revision int64, _, _ string, objects []model.Object) {
	h.mu.Lock()
	clear(h.objects)
	h.mu.Unlock()
	h.Delta(revision, objects, nil)
}

func (h *host) Delta(revision int64, upserts []model.Object, deletes []string) {
	h.mu.Lock()
	for _, o := range upserts {
		h.objects[o.Base().UUID], h.seen[o.Base().UUID] = o, time.Now()
	}
	for _, uuid := range deletes {
		delete(h.objects, uuid)
	}
	h.at = revision
	h.mu.Unlock()
	h.sync.Ack(wire.Ack{Revision: revision})
}

func (h *host) has(t testing.TB, uuid string) {
	t.Helper()
	wait.For(t, limit, uuid+" on the host", func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.objects[uuid] == nil {
			return fmt.Errorf("it has %d objects at revision %d: %+v", len(h.objects), h.at, h.sync.State())
		}
		return nil
	})
}

func network(uuid string) map[string]any {
	return map[string]any{"uuid": uuid, "ipv4_network": "10.0.0.0", "ipv4_prefix": 16}
}

func guest(n int, datapath string) map[string]any {
	g := map[string]any{"uuid": fmt.Sprintf("if-v%d", n), "mode": "vif", "network_uuid": "nw-a", "ipv4_address": fmt.Sprintf("10.0.%d.%d", n/250, n%250+1)}
	if datapath != "" {
		g["owner_datapath_uuid"] = datapath
	}
	return g
}

// The whole way: an agent registers, an operator's change reaches it, wait=applied returns; then the manager restarts.
func TestFromRequestToAgent(t *testing.T) {
	data := t.TempDir()
	m := start(t, "--data", data, "--api", "127.0.0.1:0")
	if _, status := m.call(http.MethodGet, "/healthz", nil); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	h1, h2 := joinInsecure(t, 1, m.url), joinInsecure(t, 2, m.url)
	h1.has(t, model.DefaultTopology)
	h2.has(t, model.DefaultTopology)
	var datapath string
	for _, item := range m.must(http.MethodGet, "/api/1.0/datapaths", nil)["items"].([]any) {
		if d := item.(map[string]any); d["node_id"] == "node1" {
			datapath = d["uuid"].(string)
		}
	}
	m.must(http.MethodPost, "/api/1.0/networks?wait=applied", network("nw-a"))
	answer := m.must(http.MethodPost, "/api/1.0/interfaces?wait=applied", guest(1, datapath))
	if s := fmt.Sprint(answer["status"]); !strings.Contains(s, "applied") || strings.Contains(s, "pending") {
		t.Errorf("status %s", s)
	}
	h1.has(t, "if-v1")

	// An interface without a host, whose port is there already: it is placed before wait=applied returns.
	h2.sync.Ports(wire.Ports{Unplaced: []string{"if-v2"}, Placed: []string{}})
	m.must(http.MethodPost, "/api/1.0/networks", network("nw-b")) // passes the time in which the ports arrive
	wait.For(t, limit, "the placement", func() error {
		m.call(http.MethodDelete, "/api/1.0/interfaces/if-v2", nil)
		answer := m.must(http.MethodPost, "/api/1.0/interfaces?wait=applied", guest(2, ""))
		if s := fmt.Sprint(answer["status"]); !strings.Contains(s, "node2 state:applied") {
			return errors.New(s)
		}
		return nil
	})
	h2.has(t, "if-v2")
	h1.has(t, "if-v2")

	// A manager that restarts on its data and its port finds its agents back.
	address := strings.TrimPrefix(m.url, "http://")
	began := time.Now()
	m.stop()
	stopped := time.Since(began)
	if !strings.Contains(m.log.String(), "stopping") {
		t.Errorf("log:\n%s", m.log)
	}
	began = time.Now()
	m = start(t, "--data", data, "--api", address)
	ready := time.Since(began)
	m.must(http.MethodPost, "/api/1.0/interfaces", guest(3, datapath))
	h1.has(t, "if-v3")
	t.Logf("stopped in %v, ready after %v, the agents have what is new after %v", stopped, ready, time.Since(began))
	if stopped > 3*time.Second || ready > 3*time.Second {
		t.Errorf("stopping took %v, starting %v", stopped, ready)
	}
}

// Every address serves all of it.
func TestSeveralAddresses(t *testing.T) {
	second := freePort(t)
	m := start(t, "--data", t.TempDir(), "--api", "127.0.0.1:0", "--api", second)
	h := joinInsecure(t, 1, "http://"+second)
	h.has(t, model.DefaultTopology)
	m.must(http.MethodGet, "/api/1.0/datapaths", nil)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vnmgr.yaml")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	held := t.TempDir()
	start(t, "--data", held, "--api", "127.0.0.1:0")
	for name, test := range map[string]struct {
		args []string
		file string
		want string
	}{
		"key without cert": {args: []string{"--data", dir, "--tls-key", file}, want: "belong together"},
		"TLS and insecure": {args: []string{"--data", dir, "--insecure", "--tls-key", file, "--tls-cert", file}, want: "goes without TLS"},
		"no such cert":     {args: []string{"--data", dir, "--api", "127.0.0.1:0", "--tls-key", "/nowhere", "--tls-cert", "/nowhere"}, want: "no such file"},
		"unknown flag":     {args: []string{"--datta", dir}, want: "unknown flag"},
		"argument":         {args: []string{"x"}, want: "unknown command"},
		"level":            {args: []string{"--log-level", "loud"}, want: "log-level"},
		"unknown key":      {args: []string{"--config", file}, file: "insecure: true\ndatta: x\n", want: `line 2: "datta" is not a setting`},
		"no file":          {args: []string{"--config", filepath.Join(dir, "none")}, want: "no such file"},
		"address taken":    {args: []string{"--insecure", "--data", dir, "--api", taken.Addr().String()}, want: "address already in use"},
		"no address":       {args: []string{"--insecure", "--data", dir, "--api", "nowhere"}, want: "listen at nowhere"},
		"store is held":    {args: []string{"--config", file, "--insecure", "--api", "127.0.0.1:0"}, file: "data: " + held + "\n", want: "another process has the store open"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.file != "" {
				if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			cmd := newCommand()
			cmd.SetErr(io.Discard)
			cmd.SetOut(io.Discard)
			cmd.SetArgs(test.args)
			err := cmd.ExecuteContext(ctx)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one sentence with %q", err, test.want)
			}
		})
	}
}

// BenchmarkOneMore measures one more interface beside 1,000 on three hosts, over the Web API: from the request to the
// arrival at the host, and to the answer with wait=applied, with agents that apply at once.
func BenchmarkOneMore(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := start(b, "--data", b.TempDir(), "--api", "127.0.0.1:0")
			var hosts []*host
			var datapaths []string
			for i := range 3 {
				h := joinInsecure(b, i+1, m.url)
				h.has(b, model.DefaultTopology)
				hosts = append(hosts, h)
			}
			for _, item := range m.must(http.MethodGet, "/api/1.0/datapaths", nil)["items"].([]any) {
				datapaths = append(datapaths, item.(map[string]any)["uuid"].(string))
			}
			m.must(http.MethodPost, "/api/1.0/networks", network("nw-a"))
			var batch []any
			for i := range n {
				batch = append(batch, guest(i, datapaths[i%3]))
			}
			m.must(http.MethodPost, "/api/1.0/apply?wait=applied", map[string]any{"interfaces": batch})
			client.Transport.(*http.Transport).DisableKeepAlives = false
			defer func() {
				client.CloseIdleConnections()
				client.Transport.(*http.Transport).DisableKeepAlives = true
			}()
			var delivered, answered []time.Duration
			for i := range b.N {
				g := guest(n+i%1000, datapaths[0])
				uuid := g["uuid"].(string)
				began := time.Now()
				m.must(http.MethodPost, "/api/1.0/interfaces?wait=applied", g)
				answered = append(answered, time.Since(began))
				for _, h := range hosts {
					h.has(b, uuid)
					h.mu.Lock()
					delivered = append(delivered, h.seen[uuid].Sub(began))
					h.mu.Unlock()
				}
				b.StopTimer()
				req, err := http.NewRequestWithContext(b.Context(), http.MethodDelete, m.url+"/api/1.0/interfaces/"+uuid, nil)
				if err != nil {
					b.Fatal(err)
				}
				if resp, err := client.Do(req); err != nil {
					b.Fatal(err)
				} else {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				b.StartTimer()
			}
			for name, ds := range map[string][]time.Duration{"delivered": delivered, "answered": answered} {
				slices.Sort(ds)
				b.ReportMetric(float64(ds[len(ds)/2].Microseconds()), name+"_p50_us")
				b.ReportMetric(float64(ds[len(ds)*99/100].Microseconds()), name+"_p99_us")
			}
		})
	}
}

// Leases whose time is over go by themselves, also those of a manager that has ended meanwhile.
func TestRetentionRuns(t *testing.T) {
	data := t.TempDir()
	m := start(t, "--data", data, "--api", "127.0.0.1:0")
	m.must(http.MethodPost, "/api/1.0/networks", network("nw-a"))
	m.must(http.MethodPost, "/api/1.0/interfaces", guest(1, ""))
	var lease string
	for _, item := range m.must(http.MethodGet, "/api/1.0/ip_leases", nil)["items"].([]any) {
		lease = item.(map[string]any)["uuid"].(string)
	}
	m.must(http.MethodPost, "/api/1.0/ip_retention_containers", map[string]any{"uuid": "irc-a", "lease_time": 0, "grace_time": 1})
	m.must(http.MethodPost, "/api/1.0/ip_retention_containers/irc-a/ip_retentions", map[string]any{"ip_lease_uuid": lease})
	m.stop()
	m = start(t, "--data", data, "--api", "127.0.0.1:0")
	wait.For(t, limit, "the end of the lease", func() error {
		if answer, status := m.call(http.MethodGet, "/api/1.0/ip_leases/"+lease, nil); status != http.StatusNotFound {
			return fmt.Errorf("%d %v", status, answer)
		}
		return nil
	})
}
