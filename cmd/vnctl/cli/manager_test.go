package cli

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/manager/api/apitest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// withManager gives vnctl and a manager that it speaks to.
func withManager(t *testing.T) (*shell, *apitest.Manager) {
	t.Helper()
	m := apitest.Start(t)
	s := newShell(t)
	s.vars["VNET_WEBAPI"] = m.URL
	return s, m
}

// ok is run where nothing but 0 will do; line is split at blanks, but for what stands in double quotes.
func (s *shell) ok(line string) string {
	s.t.Helper()
	code, stdout, stderr := s.run(words(line)...)
	if code != 0 {
		s.t.Fatalf("vnctl %s: %d %s", line, code, stderr)
	}
	return stdout
}

func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

// exampleOrder is the order in which the examples make sense one after another.
var exampleOrder = []string{
	"networks add", "datapaths add", "interfaces add", "network-services add", "mac-leases add", "ip-leases add", "networks show", "interfaces show",
	"interfaces modify", "networks modify", "interfaces ports add", "interfaces ports show", "interfaces ports del", "expand", "apply", "plan", "diff", "export",
	"networks del", "datapaths networks add", "datapaths networks show", "datapaths networks del", "topologies add",
	"mac-range-groups add", "mac-range-groups mac-ranges add", "ip-range-groups add", "ip-range-groups ip-ranges add", "lease-policies add", "lease-policies networks add",
	"lease-policies interfaces add", "lease-policies allocate", "ip-leases attach", "ip-leases release", "filters add", "filters static add", "filters static del",
	"segments add", "route-links add", "security-groups add", "tenants add", "interfaces networks modify",
	"interfaces del", "batch", "explain",
}

func TestExamples(t *testing.T) {
	s, _ := withManager(t)
	t.Chdir(t.TempDir())
	for key, file := range map[string]string{"apply": "networks.yaml", "batch": "networks.txt"} {
		_, document, _ := strings.Cut(examples[key], file+":\n")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		if key == "batch" {
			s.in = document
		}
	}
	for key := range examples {
		if key != "watch" && !slices.Contains(exampleOrder, key) {
			t.Errorf("the examples of %q are not tried", key)
		}
	}
	for _, key := range exampleOrder {
		text, _, _ := strings.Cut(strings.Replace(examples[key], "networks.txt:\n", "networks.yaml:\n", 1), "networks.yaml:\n")
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " > ") // what a shell does with it is no matter
			line, _, _ = strings.Cut(line, " < ")
			if line, ok := strings.CutPrefix(line, "vnctl "); ok {
				s.ok(line)
			}
		}
	}
}

func TestOutput(t *testing.T) {
	s, _ := withManager(t)
	for n := range 3 {
		s.ok("networks add --uuid nw-" + string(rune('a'+n)) + " --ipv4_network 10." + string(rune('1'+n)) + ".0.0 --display-name \"number " + string(rune('1'+n)) + "\"")
	}
	if got, want := s.ok("networks show"), "UUID  DISPLAY_NAME  DOMAIN_NAME  MODE     IPV4_NETWORK  VNI  STATUS\n"; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 4 {
		t.Errorf("table:\n%s", got)
	}
	if got := s.ok("network list -o name --limit 2 --offset 1"); got != "nw-b\nnw-c\n" {
		t.Errorf("names: %q", got)
	}
	var list struct {
		TotalCount int `json:"total_count" yaml:"total_count"`
		Items      []struct{ UUID string }
	}
	if err := json.Unmarshal([]byte(s.ok("networks show -o json --ipv4_network 10.2.0.0")), &list); err != nil || list.TotalCount != 1 || list.Items[0].UUID != "nw-b" {
		t.Errorf("JSON: %+v, %v", list, err)
	}
	list.Items = nil
	if err := yaml.Unmarshal([]byte(s.ok("networks show -o yaml")), &list); err != nil || list.TotalCount != 3 || list.Items[2].UUID != "nw-c" {
		t.Errorf("YAML: %+v, %v", list, err)
	}
	if got := s.ok("networks show nw-a"); !strings.Contains(strings.Join(strings.Fields(got), " "), " ipv4_network: 10.1.0.0/24 ") {
		t.Errorf("in full:\n%s", got)
	}
	code, stdout, stderr := s.run("networks", "show", "nw-a", "nw-none", "-o", "name")
	if code != exitRefused || stdout != "nw-a\n" || !strings.Contains(stderr, "nw-none") {
		t.Errorf("one of two: %d %q %q", code, stdout, stderr)
	}
	if got := s.ok("networks del nw-a nw-b"); got != "nw-a deleted\nnw-b deleted\n" {
		t.Errorf("del: %q", got)
	}
	if got := s.ok("networks del nw-c -o json"); strings.Join(strings.Fields(got), "") != `["nw-c"]` {
		t.Errorf("del: %q", got)
	}
}

func TestExitStatus(t *testing.T) {
	s, m := withManager(t)
	code, _, stderr := s.run("networks", "add", "--ipv4-network", "10.0.0.1")
	if code != exitRefused || !strings.HasPrefix(stderr, "vnctl: ipv4_network: ") || !strings.HasSuffix(stderr, "(ArgumentError)\n") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("refused: %d %q", code, stderr)
	}
	m.Hosts.Status = func(model.Object) []model.HostStatus {
		return []model.HostStatus{{DatapathUUID: "dp-a", NodeID: "node1", State: model.StateApplied}, {DatapathUUID: "dp-b", NodeID: "node2", State: model.StatePending}}
	}
	m.Hosts.Wait = func(context.Context, int64, []string) error { return context.DeadlineExceeded }
	code, stdout, stderr := s.run("networks", "add", "--ipv4-network", "10.0.0.0", "--wait=1s")
	if code != exitNotApplied || !strings.Contains(stdout, "pending on 1 of 2") || !strings.Contains(stderr, "but not applied everywhere: node2 pending") {
		t.Errorf("not applied: %d %q %q", code, stdout, stderr)
	}
	s.ok("networks add --ipv4-network 10.1.0.0")
	m.Hosts.Wait = nil
	m.Hosts.Status = nil
	s.ok("networks add --ipv4-network 10.2.0.0 --wait")
}

func TestApplyTellsWhere(t *testing.T) {
	s, _ := withManager(t)
	s.in = "networks:\n- {uuid: nw-a, ipv4_network: 10.0.0.0}\n- uuid: nw-b\n  ipv4_network: 10.0.0.1\n"
	code, _, stderr := s.run("apply", "-f", "-")
	if code != exitRefused || !strings.HasPrefix(stderr, "vnctl: standard input:4: ") {
		t.Errorf("%d %q", code, stderr)
	}
	s.in = strings.Replace(s.in, "10.0.0.1", "10.1.0.0", 1)
	if got := s.ok("apply -f - --dry-run"); got != "nw-a created (dry run)\nnw-b created (dry run)\n" {
		t.Errorf("dry run: %q", got)
	}
	if got := s.ok("apply -f -"); got != "nw-a created\nnw-b created\n" {
		t.Errorf("first: %q", got)
	}
	if got := s.ok("apply -f -"); got != "nw-a unchanged\nnw-b unchanged\n" {
		t.Errorf("second: %q", got)
	}
}

func TestIfRevision(t *testing.T) {
	s, _ := withManager(t)
	s.ok("networks add --uuid nw-a --ipv4-network 10.0.0.0")
	var o struct{ Revision json.Number }
	if err := json.Unmarshal([]byte(s.ok("networks show nw-a -o json")), &o); err != nil {
		t.Fatal(err)
	}
	s.ok("networks modify nw-a --display-name b --if-revision " + o.Revision.String())
	if code, _, stderr := s.run("networks", "del", "nw-a", "--if-revision", o.Revision.String()); code != exitRefused || !strings.Contains(stderr, "(Conflict)") {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestCompletion(t *testing.T) {
	s, _ := withManager(t)
	s.ok("networks add --uuid nw-a --ipv4-network 10.0.0.0 --display-name first")
	s.ok("networks add --uuid nw-b --ipv4-network 10.1.0.0")
	s.ok("interfaces add --uuid if-a --mode vif --port-name a")
	for line, want := range map[string]string{
		"networks show ":                    "nw-a\tfirst,nw-b",
		"networks del nw-a ":                "nw-b",
		"networks modify ":                  "nw-a\tfirst,nw-b",
		"networks modify nw-a ":             "",
		"interfaces add --network_uuid nw-": "nw-a\tfirst,nw-b",
		"interfaces add --mode ":            strings.Join(model.Interfaces.Field("mode").Enum, ","),
		"interfaces ports show ":            "if-a",
		"datapaths networks add dp-a nw":    "nw-a\tfirst,nw-b",
		"explain networks.ipv4":             "networks.ipv4_network,networks.ipv4_prefix",
		"interfaces show --":                "",
		"nw del nw-a":                       "nw-a\tfirst",
		"interface_ports show ":             "if-a",
		"watch interface_p":                 "interface_ports",
		"export networks dat":               "datapath_networks,datapath_route_links,datapath_segments,datapaths",
		"ip-leases release ":                "",
		"interfaces move ":                  "if-a",
		"token create a --role ":            "viewer,operator,admin",
		"token revoke ":                     "", // a test's manager has none
		"networks add --tenant-uuid ":       "",
	} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		_, stdout, _ := s.run(args...)
		var got []string
		for l := range strings.Lines(stdout) {
			if l = strings.TrimSuffix(l, "\n"); !strings.HasPrefix(l, ":") && l != "" {
				got = append(got, l)
			}
		}
		if strings.HasSuffix(line, "--") {
			if len(got) < 5 {
				t.Errorf("%q: flags %q", line, got)
			}
			continue
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestMove(t *testing.T) {
	s, m := withManager(t)
	s.ok("datapaths add --uuid dp-a --display-name a --dpid 0xa --node-id a")
	s.ok("datapaths add --uuid dp-b --display-name b --dpid 0xb --node-id b")
	s.ok("interfaces add --uuid if-a --mode vif --port-name a")
	if code, _, stderr := s.run(words("interfaces move if-a --to dp-b")...); code == 0 || !strings.Contains(stderr, "on no host yet") {
		t.Errorf("%d: %s", code, stderr)
	}
	if _, err := m.Cases.Place(t.Context(), "dp-a", wire.Ports{Unplaced: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"interfaces move if-a", "interfaces move if-a --to dp-b --cancel", "interfaces move --to dp-b"} {
		if code, _, _ := s.run(words(line)...); code == 0 {
			t.Errorf("%q is accepted", line)
		}
	}
	s.ok("interfaces move if-a --to dp-b")
	if got := s.ok("interface show if-a"); !strings.Contains(got, "active_datapath_uuid:") || !strings.Contains(got, "target_datapath_uuid:") {
		t.Errorf("it shows\n%s", got)
	}
	s.ok("interfaces move if-a --cancel")
	if got := s.ok("interface show if-a"); strings.Contains(got, "dp-b") {
		t.Errorf("it shows\n%s", got)
	}
}

func TestVersion(t *testing.T) {
	s, _ := withManager(t)
	if got := s.ok("version"); !strings.HasPrefix(got, "vnctl ") || !strings.Contains(got, "\nvnmgr apitest at http://") {
		t.Errorf("%q", got)
	}
}
