package cli

import (
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// madeUp is a server that answers what a test says.
type madeUp struct {
	mu      sync.Mutex
	answers map[string]string // by method and path
	asked   []string          // method, path with query, body
	tokens  []string          // Authorization of each
	url     string
}

// withServer gives vnctl and a made-up server; without TLS if secure is false.
func withServer(t *testing.T, secure bool, answers map[string]string) (*shell, *madeUp) {
	t.Helper()
	m := &madeUp{answers: answers}
	server := httptest.NewUnstartedServer(m)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of clients that do not trust it
	s := newShell(t)
	if secure {
		server.StartTLS()
		s.vars["VNET_CA"] = filepath.Join(t.TempDir(), "ca.crt")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(s.vars["VNET_CA"], text, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	m.url = server.URL
	s.vars["VNET_WEBAPI"] = server.Listener.Addr().String()
	return s, m
}

// ServeHTTP answers a request.
func (m *madeUp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/api/1.0/")
	m.asked = append(m.asked, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(r.URL.String(), "/api/1.0/")+" "+string(body)))
	m.tokens = append(m.tokens, r.Header.Get("Authorization"))
	answer, ok := m.answers[r.Method+" "+path]
	if !ok {
		answer = `{"error": "UnknownResource", "message": "there is nothing at this path", "code": "114"}`
		w.WriteHeader(http.StatusNotFound)
	}
	if strings.HasPrefix(answer, "event:") {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	_, _ = io.WriteString(w, answer)
}

func (m *madeUp) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.asked, m.tokens = nil, nil }()
	return m.asked
}

func (m *madeUp) lastToken() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[len(m.tokens)-1]
}

const anyVersion = `{"version": "v", "api": "1.0", "revision": 5}`

func TestTLSAndToken(t *testing.T) {
	s, m := withServer(t, true, map[string]string{"GET version": anyVersion})
	s.vars["VNET_TOKEN"] = "vnt_env"
	s.ok("version")
	if m.lastToken() != "Bearer vnt_env" {
		t.Errorf("from the environment: %q", m.lastToken())
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("vnt_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ok("version --token-file " + file)
	if m.lastToken() != "Bearer vnt_file" {
		t.Errorf("from a file: %q", m.lastToken())
	}
	delete(s.vars, "VNET_CA")
	code, _, stderr := s.run("version", "--server", m.url)
	if code != exitUnreachable || !strings.Contains(stderr, "certificate") {
		t.Errorf("a server that nobody vouches for: %d %q", code, stderr)
	}
	if err := os.WriteFile(file, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := s.run("version", "--token-file", file); code != exitUsage || !strings.Contains(stderr, "holds no token") {
		t.Errorf("an empty file: %d %q", code, stderr)
	}
}

func TestOldHabits(t *testing.T) {
	s, m := withServer(t, false, nil)
	for line, want := range map[string]string{
		"networks add nw-test1 10.100.0.0/24 virtual":                                                        `POST networks {"ipv4_network":"10.100.0.0","ipv4_prefix":"24","mode":"virtual","uuid":"nw-test1"}`,
		"networks add --uuid nw-a --network_mode physical --ipv4_network=10.0.0.0":                           `POST networks {"ipv4_network":"10.0.0.0","mode":"physical","uuid":"nw-a"}`,
		"networks add --ipv6-network fd00:1::/56":                                                            `POST networks {"ipv6_network":"fd00:1::","ipv6_prefix":"56"}`,
		"network-services add --type dhcp --interface_uuid if-a":                                             `POST network_services {"interface_uuid":"if-a","mode":"dhcp"}`,
		"mac_ranges add mrg-dpg --begin_mac_address 52:56:01:00:00:00 --end_mac_address 52:56:01:ff:ff:ff":   `POST mac_range_groups/mrg-dpg/mac_ranges {"begin_mac_address":"52:56:01:00:00:00","end_mac_address":"52:56:01:ff:ff:ff"}`,
		"datapaths networks add dp-a nw-a --interface_uuid if-h --broadcast_mac_address 02:00:00:00:00:01":   `POST datapaths/dp-a/networks/nw-a {"interface_uuid":"if-h","mac_address":"02:00:00:00:00:01"}`,
		"datapaths route_links del dp-a rl-a rl-b":                                                           `DELETE datapaths/dp-a/route_links/rl-a`,
		"filters static add fil-a --protocol tcp --src_address 0.0.0.0/0 --dst_port 80 --action pass":        `POST filters/fil-a/static {"action":"pass","dst_port":"80","protocol":"tcp","src_address":"0.0.0.0/0"}`,
		"filters static del fil-a --protocol tcp --dst_port 80":                                              `DELETE filters/fil-a/static?dst_port=80&protocol=tcp`,
		"interfaces networks modify if-a nw-a --static true":                                                 `PUT interfaces/if-a/networks/nw-a {"static":"true"}`,
		"interfaces route_links show if-a --limit 5":                                                         `GET interfaces/if-a/route_links?limit=5&offset=0&status=true`,
		"interfaces ports add if-a --datapath_uuid dp-a --port_name p --singular":                            `POST interfaces/if-a/ports {"datapath_uuid":"dp-a","port_name":"p","singular":"true"}`,
		"ip_leases attach il-a --mac_lease_uuid ml-a":                                                        `PUT ip_leases/il-a/attach {"mac_lease_uuid":"ml-a"}`,
		"ip-leases release il-a":                                                                             `PUT ip_leases/il-a/release {}`,
		"ip_lease_containers ip_leases ilc-a":                                                                `GET ip_lease_containers/ilc-a/ip_leases?limit=1000&offset=0&status=true`,
		"ip_retention_containers ip-retentions irc-a":                                                        `GET ip_retention_containers/irc-a/ip_retentions?limit=1000&offset=0&status=true`,
		"lease_policies interfaces add lp-a if-a --label x":                                                  `POST lease_policies/lp-a/interfaces/if-a {"label":"x"}`,
		"lease_policies networks add lp-a nw-a --ip_range_group_uuid iprg-a":                                 `POST lease_policies/lp-a/networks/nw-a {"ip_range_group_uuid":"iprg-a"}`,
		"lease_policies allocate lp-a --label x":                                                             `POST lease_policies/lp-a/ip_leases {"label":"x"}`,
		"topologies underlays add topo-a topo-b":                                                             `POST topologies/topo-a/underlays/topo-b {}`,
		"topologies datapaths add topo-a dp-a --interface_uuid if-h":                                         `POST topologies/topo-a/datapaths/dp-a {"interface_uuid":"if-h"}`,
		"translations static_address del tr-a --ingress_ipv4_address 1.2.3.4 --egress_ipv4_address 10.0.0.1": `DELETE translations/tr-a/static_address?egress_ipv4_address=10.0.0.1&ingress_ipv4_address=1.2.3.4`,
		"dns_services dns_records add dnss-a --uuid dnsr-a --name www --ipv4_address 10.0.0.1":               `POST dns_services/dnss-a/dns_records {"ipv4_address":"10.0.0.1","name":"www","uuid":"dnsr-a"}`,
		"interfaces modify if-a --no-enable_filtering --enable_routing yes":                                  `PUT interfaces/if-a {"enable_filtering":"false","enable_routing":"yes"}`,
		"security_groups add --display_name web --rules tcp:22:0.0.0.0/0":                                    `POST security_groups {"display_name":"web","rules":"tcp:22:0.0.0.0/0"}`,
		"nw show --labels app=shop --fields uuid,mode":                                                       `GET networks?fields=uuid%2Cmode&labels=app%3Dshop&limit=1000&offset=0`,
		"networks show -o name":                                                                              `GET networks?fields=uuid&limit=1000&offset=0`,
		"export networks if -l app=shop":                                                                     `GET export.yml?labels=app%3Dshop&resource=networks%2Cinterfaces`,
		"audit --limit 5":                                                                                    `GET audit?limit=5`,
		"token revoke ci":                                                                                    `DELETE tokens/ci`,
		"token create ci --role operator --tenant tn-a,tn-b --expires 30d":                                   `POST tokens {"name":"ci","role":"operator","tenants":["tn-a","tn-b"],"expires":"30d"}`,
		"token host node1":   `POST join_tokens {"node_id":"node1"}`,
		"hosts revoke node1": `DELETE enrollments/node1`,
	} {
		code, _, stderr := s.run(words(line)...)
		asked := m.take()
		if code != exitRefused || len(asked) == 0 || asked[0] != want {
			t.Errorf("vnctl %s: %d %q, asks %q, want %q", line, code, stderr, asked, want)
		}
	}
	if code, stdout, _ := s.run("networks", "help", "add"); code != 0 || !strings.Contains(stdout, "--ipv4-network") {
		t.Errorf("networks help add: %d\n%s", code, stdout)
	}
}

const aPlan = `{"revision": 7, "notes": [], "items": [
	{"resource": "networks", "uuid": "nw-a", "action": "updated", "changes": [{"field": "display_name", "from": "a", "to": "b"}]},
	{"resource": "networks", "uuid": "nw-b", "action": "created", "changes": [{"field": "uuid", "from": "", "to": "nw-b"}, {"field": "labels", "from": "", "to": "app=shop,tier=x"}]},
	{"resource": "networks", "uuid": "nw-c", "action": "unchanged"},
	{"resource": "interfaces", "uuid": "if-a", "action": "deleted"}]}`

const planned = "networks:\n- {uuid: nw-a, ipv4_network: 10.1.0.0, display_name: b}\n- {uuid: nw-b, ipv4_network: 10.2.0.0, labels: {app: shop, tier: x}}\n- {uuid: nw-c, ipv4_network: 10.3.0.0}\n"

func TestPlan(t *testing.T) {
	s, m := withServer(t, false, map[string]string{"POST plan": aPlan})
	s.in = planned
	if got, want := s.ok("plan -f - --prune app=shop"), `~ networks nw-a
    display_name: "a" -> "b"
+ networks nw-b
    labels: "app=shop,tier=x"
- interfaces if-a
1 to create, 1 to change, 1 to delete, 1 unchanged.
`; got != want {
		t.Errorf("plan:\n%s", got)
	}
	if asked := m.take(); !strings.HasPrefix(asked[0], `POST plan?prune=app%3Dshop {"networks":[{"display_name":"b",`) || !strings.Contains(asked[0], `"labels":{"app":"shop","tier":"x"}`) {
		t.Errorf("asks %s", asked)
	}
	if code, _, stderr := s.run("plan", "-f", "-", "--detailed-exitcode"); code != exitDiffers || stderr != "" {
		t.Errorf("plan --detailed-exitcode: %d %q", code, stderr)
	}
	code, stdout, stderr := s.run("diff", "-f", "-")
	if want := `  networks nw-a
-     display_name: a
+     display_name: b
+ networks nw-b
+     labels: app=shop,tier=x
- interfaces if-a
`; code != exitDiffers || stderr != "" || stdout != want {
		t.Errorf("diff: %d %q\n%s", code, stderr, stdout)
	}
	if got := s.ok("plan -f - -o name"); got != "nw-a\nnw-b\nif-a\n" {
		t.Errorf("names: %q", got)
	}
	m.answers["POST plan"] = `{"revision": 7, "items": [{"resource": "networks", "uuid": "nw-a", "action": "unchanged"}]}`
	if got := s.ok("diff -f -"); got != "" {
		t.Errorf("no difference: %q", got)
	}
}

func TestExpand(t *testing.T) {
	s := newShell(t)
	s.in = planned
	if got, want := s.ok("expand -f -"), `networks:
  - uuid: nw-a
    display_name: b
    ipv4_network: 10.1.0.0
  - uuid: nw-b
    ipv4_network: 10.2.0.0
    labels:
      app: shop
      tier: x
  - uuid: nw-c
    ipv4_network: 10.3.0.0
`; got != want {
		t.Errorf("%s", got)
	}
	if got := s.ok("expand -f - -o name"); got != "nw-a\nnw-b\nnw-c\n" {
		t.Errorf("names: %q", got)
	}
	s.in = "virtual_network: shop\nnetworks: {web: {subnets: [10.1.0.0/24]}}\n"
	got := s.ok("expand -f -")
	if !strings.Contains(got, "  # networks.web\n  - uuid: nw-") || !strings.Contains(got, "ipv4_network: 10.1.0.0") {
		t.Errorf("compact:\n%s", got)
	}
	s.in = got
	if again := s.ok("expand -f -"); again != strings.ReplaceAll(got, "  # networks.web\n", "") {
		t.Errorf("what it prints is not what it reads:\n%s", cmp.Diff(got, again))
	}
}

func TestWatch(t *testing.T) {
	s, m := withServer(t, false, map[string]string{"GET version": anyVersion, "GET watch": "event: upsert\n" +
		`data: {"resource": "networks", "uuid": "nw-a", "revision": 6, "object": {"uuid": "nw-a", "id": 1, "mode": "virtual", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24, "enable": false}}` +
		"\n\nid: 7\nevent: delete\n" + `data: {"resource": "networks", "uuid": "nw-a", "revision": 7, "object": {"uuid": "nw-a"}}` + "\n\n"})
	if got, want := s.ok("watch networks --since 5 --count 2"), "6 upsert nw-a mode=virtual ipv4_network=10.0.0.0/24\n7 delete nw-a\n"; got != want {
		t.Errorf("%q", got)
	}
	if asked := m.take(); asked[1] != "GET watch?resource=networks&since=5" {
		t.Errorf("asks %q", asked)
	}
	if got := s.ok("watch -o json --count 1"); !strings.HasPrefix(got, `{"type":"upsert","revision":6,"resource":"networks"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
	// The stream ends after the second: the third is from the next one, which goes on behind the second.
	if code, stdout, stderr := s.run("watch", "-o", "name", "--count", "3"); code != 0 || stdout != "nw-a\nnw-a\nnw-a\n" || strings.Count(stderr, "trying again") != 1 {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	if asked := m.take(); asked[len(asked)-1] != "GET watch?since=7" {
		t.Errorf("asks %q", asked)
	}
	m.answers["GET watch"] = "event: resync\ndata: {\"revision\": 9}\n\n"
	if got := s.ok("watch --count 1"); got != "9 resync: changes before this revision were missed\n" {
		t.Errorf("%q", got)
	}
}

func TestAccessTables(t *testing.T) {
	s, m := withServer(t, false, map[string]string{
		"GET hosts":   `{"total_count": 1, "items": [{"datapath_uuid": "dp-a", "node_id": "node1", "connected": true, "objects": 3, "acknowledged": 9, "lag_ms": 0, "problems": [{"uuid": "nw-a", "reason": "r"}]}]}`,
		"GET tokens":  `{"total_count": 1, "items": [{"uuid": "tok-a", "name": "ci", "role": "operator", "tenants": ["tn-a", "tn-b"], "expired": false}]}`,
		"GET audit":   `{"limit": 100, "items": [{"time": "2026-01-01T00:00:01Z", "who": "", "remote": "h:1", "method": "GET", "path": "/\u001b[2J", "status": 401, "message": "no"}, {"time": "2026-01-01T00:00:00.5Z", "who": "ci", "remote": "h:1", "method": "POST", "path": "/api/1.0/networks", "status": 200, "revision": 8}]}`,
		"POST tokens": `{"uuid": "tok-b", "name": "ci", "role": "viewer", "tenants": ["tn-a"], "token": "vnt_x"}`,
	})
	var all strings.Builder
	for _, line := range []string{"hosts", "token list", "audit", "token create ci --role viewer", "hosts -o name"} {
		all.WriteString("$ vnctl " + line + "\n" + s.ok(line) + "\n")
	}
	golden(t, "access.golden", all.String())
	m.take()
}

func TestBatch(t *testing.T) {
	s, m := withServer(t, false, map[string]string{"DELETE networks/nw-a": `["nw-a"]`, "DELETE networks/nw b": `["nw b"]`})
	s.in = "# a comment\n\nvnctl networks del nw-a  # the first\n  networks del \"nw b\" -o name\nnetworks del nw-c\nnetworks del nw-a\n"
	code, stdout, stderr := s.run("batch")
	if code != exitRefused || stdout != "nw-a deleted\nnw b\n" || stderr != "vnctl: standard input:5: there is nothing at this path (UnknownResource)\n" {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	code, stdout, stderr = s.run("batch", "-", "--keep-going", "-o", "json")
	if code != exitRefused || strings.Count(stdout, `"nw-a"`) != 2 || !strings.HasPrefix(stderr, "vnctl: standard input:5: ") {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	m.take()
	file := filepath.Join(t.TempDir(), "b")
	for text, want := range map[string]string{
		"networks del 'a":    ":1: the quote ' at column 14 does not end",
		"\nnetworks nothing": `:2: "nothing" is no command of vnctl networks`,
		"batch x":            ":1: a batch within a batch is not possible",
		"version --server ":  ":1: flag needs an argument: --server",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := s.run("batch", file); code != exitUsage || !strings.Contains(stderr, file+want) {
			t.Errorf("%q: %d %q", text, code, stderr)
		}
	}
	if err := os.WriteFile(file, []byte("networks del nw-a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := s.vars["VNET_WEBAPI"]
	delete(s.vars, "VNET_WEBAPI")
	s.ok("batch --server " + server + " " + file)
}

func TestSplitLine(t *testing.T) {
	for line, want := range map[string][]string{
		"":                           nil,
		"  a\tb  ":                   {"a", "b"},
		`a 'b c' "d e"f`:             {"a", "b c", "d ef"},
		`'' ""`:                      {"", ""},
		`a\ b \#c`:                   {"a b", "#c"},
		`a#b #c`:                     {"a#b"},
		`"a\"b\\c\d"`:                {`a"b\c\d`},
		`'a\b'`:                      {`a\b`},
		`--labels=a=b,c "x'y" 'x"y'`: {"--labels=a=b,c", "x'y", `x"y`},
		"a\r":                        {"a"},
		`$HOME; *`:                   {"$HOME;", "*"},
	} {
		got, err := splitLine(line)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", line, err, d)
		}
	}
	for _, line := range []string{`"a`, `a'`, `a\`, `"a\"`} {
		if got, err := splitLine(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// What is quoted as a shell wants it comes back as it was.
func TestSplitLineUndoesQuoting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringOf(rapid.RuneFrom([]rune("ab #'\"\\$`=é\t")))).Draw(t, "words")
		var line strings.Builder
		for i, w := range words {
			if i > 0 {
				line.WriteString(" \t"[:1+i%2])
			}
			switch rapid.IntRange(0, 2).Draw(t, "way") {
			case 0:
				line.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "'")
			case 1:
				line.WriteString(`"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "$", `\$`, "`", "\\`").Replace(w) + `"`)
			default:
				if w == "" {
					line.WriteString("''")
				}
				for _, r := range w {
					line.WriteString("\\" + string(r))
				}
			}
		}
		got, err := splitLine(line.String())
		if err != nil || strings.Join(got, "\x00") != strings.Join(words, "\x00") || len(got) != len(words) {
			t.Fatalf("%q: %q, %v, want %q", line.String(), got, err, words)
		}
	})
}
