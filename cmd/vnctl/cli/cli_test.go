package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got (go test -update rewrites it):\n%s", name, d)
	}
}

// shell is vnctl in a test.
type shell struct {
	t      *testing.T
	env    *Env
	vars   map[string]string
	in     string
	stdout bytes.Buffer
	stderr bytes.Buffer
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{t: t, vars: map[string]string{}}
	s.env = &Env{Stdout: &s.stdout, Stderr: &s.stderr, Getenv: func(name string) string { return s.vars[name] }, Home: t.TempDir()}
	return s
}

// run gives the exit status and both outputs.
func (s *shell) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	s.stdout.Reset()
	s.stderr.Reset()
	s.env.Stdin = strings.NewReader(s.in)
	code = s.env.Run(s.t.Context(), args)
	return code, s.stdout.String(), s.stderr.String()
}

func all([]string) bool { return true }

func TestHelp(t *testing.T) {
	s := newShell(t)
	var all strings.Builder
	for _, args := range []string{"", "networks", "networks add", "networks modify", "interfaces show", "interfaces ports del", "datapaths networks add", "filters static add", "lease-policies", "ip-leases attach", "apply", "plan", "batch", "watch", "token create"} {
		code, stdout, stderr := s.run(append(strings.Fields(args), "--help")...)
		if code != 0 || stderr != "" {
			t.Errorf("%s --help: %d %s", args, code, stderr)
		}
		fmt.Fprintf(&all, "$ vnctl %s\n%s\n", strings.TrimSpace(args+" --help"), stdout)
	}
	golden(t, "help.golden", all.String())
}

func TestExplain(t *testing.T) {
	s := newShell(t)
	var all strings.Builder
	for _, args := range []string{"", "ip-lease", "dpn", "interfaces.port_name", "interfaces.mode"} {
		code, stdout, stderr := s.run(append([]string{"explain"}, strings.Fields(args)...)...)
		if code != 0 {
			t.Errorf("explain %s: %d %s", args, code, stderr)
		}
		fmt.Fprintf(&all, "$ vnctl %s\n%s\n", strings.TrimSpace("explain "+args), stdout)
	}
	golden(t, "explain.golden", all.String())
}

// Every exposed resource has commands, every field its flags, and every example stands at a command.
func TestCommandsFollowTheModel(t *testing.T) {
	root := newShell(t).env.root(all)
	find := func(path ...string) *cobra.Command {
		t.Helper()
		cmd, rest, err := root.Find(path)
		if err != nil || len(rest) > 0 {
			t.Fatalf("no command %v: %v", path, err)
		}
		return cmd
	}
	for _, r := range exposed() {
		path, taken := []string{r.Plural}, ""
		if r.Parent != "" {
			path, taken = []string{model.ByPlural(r.Field(r.Parent).Ref).Plural, r.Path}, r.Parent+" "+r.Key
		}
		add := find(append(path, "add")...)
		for _, f := range settable(r, strings.Fields(taken)...) {
			if add.Flags().Lookup(f.Name) == nil || add.Flags().Lookup(hyphens(f.Name)) == nil || f.Alias != "" && add.Flags().Lookup(f.Alias) == nil {
				t.Errorf("%s add has no flag for %s", r.Plural, f.Name)
			}
		}
		find(append(path, "modify")...) // all have labels
		for _, way := range []string{hyphens(r.Plural), r.Plural, r.Name, r.Prefix} {
			if find(way, "add").Name() != "add" {
				t.Errorf("%s is no way of naming %s", way, r.Plural)
			}
		}
		for _, f := range r.Fields {
			if f.Mutable && find(append(path, "modify")...).Flags().Lookup(f.Name) == nil {
				t.Errorf("%s modify has no flag for %s", r.Plural, f.Name)
			}
		}
		find(append(path, "show")...)
		find(append(path, "del")...)
	}
	for path := range examples {
		cmd := find(strings.Fields(path)...)
		if cmd.Example != examples[path] {
			t.Errorf("the example of %q is not shown", path)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	s := newShell(t)
	for args, want := range map[string]string{
		"nonsense":                                   `unknown command "nonsense" for "vnctl"`,
		"networks nonsense":                          `"nonsense" is no command of vnctl networks`,
		"networks add --nonsense":                    `unknown flag: --nonsense`,
		"interfaces add":                             `required flag(s) "mode" not set`,
		"networks add extra":                         `takes no argument "extra"`,
		"segments add 10.0.0.0/24 --mode virtual":    `takes no argument "10.0.0.0/24"`,
		"interfaces add vif --mode vif":              `"vif" is a second value of --mode`,
		"mac_ranges nonsense":                        `"nonsense" is no command of vnctl mr`,
		"ip-leases attach il-a":                      `takes one of --interface-uuid and --mac-lease-uuid`,
		"batch a b":                                  `takes one file`,
		"plan -f x y":                                `takes its files with -f`,
		"export nothing":                             `"nothing" is no resource`,
		"watch nothing":                              `"nothing" is no resource`,
		"token create":                               `takes 1 arguments, NAME`,
		"token create a":                             `required flag(s) "role"`,
		"hosts nonsense":                             `takes no argument "nonsense"`,
		"networks show --token-file /does/not/exist": `read the token:`,
		"networks show --ca /does/not/exist":         `read the CA:`,
		"networks modify":                            `takes 1 arguments, UUID, not 0`,
		"networks modify nw-a":                       `nothing to change`,
		"networks del":                               `needs UUID`,
		"networks show nw-a --mode virtual":          `have no meaning`,
		"interfaces ports del if-a":                  `neither a uuid nor a flag`,
		"interfaces ports del if-a ifp-a --singular": `either uuids or flags`,
		"datapaths networks add dp-a":                `takes 2 arguments, DATAPATH NETWORK, not 1`,
		"networks show -o xml":                       `"xml" is no format`,
		"apply":                                      `required flag(s) "file" not set`,
		"apply -f /does/not/exist":                   `no such file`,
		"explain nothing":                            `"nothing" is no resource`,
		"explain networks.nothing":                   `a network has no field "nothing"`,
		"networks show --wait":                       `unknown flag: --wait`,
		"networks add --wait=soon":                   `invalid argument "soon"`,
	} {
		code, stdout, stderr := s.run(strings.Fields(args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) || !strings.HasPrefix(stderr, "vnctl: ") {
			t.Errorf("vnctl %s: %d %q, want %q\n%s", args, code, stderr, want, stdout)
		}
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := newShell(t)
	code, _, stderr := s.run("networks", "del", "nw-a", "--server", free)
	if code != exitUnreachable || !strings.Contains(stderr, "no answer from vnmgr at http://"+free) || !strings.Contains(stderr, "VNET_WEBAPI") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestPlainBooleans(t *testing.T) {
	for in, want := range map[string]string{
		"interfaces add --enable_routing true --mode vif": "interfaces add --enable-routing=true --mode vif",
		"interfaces modify if-a --enable-routing":         "interfaces modify if-a --enable-routing",
		"interfaces modify if-a --no-enable_routing":      "interfaces modify if-a --enable-routing=false",
		"interfaces modify --enable-routing if-a":         "interfaces modify --enable-routing if-a",
		"interfaces show --mode true":                     "interfaces show --mode true",
		"x -- --enable-routing true":                      "x -- --enable-routing true",
		"x --enable-routing":                              "x --enable-routing",
		"x --no-such":                                     "x --no-such",
	} {
		if got := strings.Join(plainBooleans(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	const given = "# comment\nwebapi_uri: 10.0.0.1 # the manager\nwebapi_port: \"8080\"\noutput_format: yml\ntoken_file: /t\n"
	for name, test := range map[string]struct {
		files map[string]string // below the home directory
		env   map[string]string
		flags globalFlags
		want  config
		err   string
	}{
		"nothing":    {want: config{server: "http://127.0.0.1:9090/api/1.0", output: "table"}},
		"file":       {files: map[string]string{".vnctl.conf": given}, want: config{server: "http://10.0.0.1:8080/api/1.0", output: "yml", tokenFile: "/t"}},
		"first file": {files: map[string]string{".vnctl.conf": given, ".vnctlrc": "---\nwebapi_uri: h"}, want: config{server: "http://h:9090/api/1.0", output: "table"}},
		"OpenVNet's form": {files: map[string]string{".vnctlrc": "webapi_uri '::1'\nwebapi_protocol = \"https\"\n\nwebapi_version 1.0\nconfig.output_format :json\nwebapi_port(9091)"},
			want: config{server: "https://[::1]:9091/api/1.0", output: "json"}},
		"environment": {files: map[string]string{".vnctlrc": given}, env: map[string]string{"VNET_WEBAPI": "h:1", "VNET_TOKEN": "s"},
			want: config{server: "http://h:1", output: "yml", token: "s", tokenFile: "/t"}},
		"flags": {files: map[string]string{".vnctlrc": given}, env: map[string]string{"VNET_WEBAPI": "h:1", "VNET_TOKEN": "s", "VNET_CA": "/c"},
			flags: globalFlags{server: "http://h:2", output: "json", tokenFile: "/u", ca: "/d"}, want: config{server: "http://h:2", output: "json", tokenFile: "/u", caFile: "/d"}},
		"a CA means TLS":        {files: map[string]string{".vnctlrc": "ca_file: /c"}, env: map[string]string{"VNET_WEBAPI": "h:1"}, want: config{server: "https://h:1", output: "table", caFile: "/c"}},
		"unless said otherwise": {files: map[string]string{".vnctlrc": "ca_file: /c\nwebapi_protocol: http"}, want: config{server: "http://127.0.0.1:9090/api/1.0", output: "table", caFile: "/c"}},
		"unknown key":           {files: map[string]string{".vnctlrc": "webapi_url: x"}, err: `.vnctlrc:1: unknown key "webapi_url"; there are webapi_protocol`},
		"no key":                {files: map[string]string{".vnctlrc": "\n\nhello"}, err: `.vnctlrc:3: unknown key "hello"`},
		"no value":              {files: map[string]string{".vnctlrc": "webapi_port:"}, err: `.vnctlrc:1: webapi_port has no value`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShell(t)
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(s.env.Home, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.vars, s.env.flags = test.env, test.flags
			got, err := s.env.config()
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestSettingNames(t *testing.T) {
	names := strings.Split(settingNames, ", ")
	for _, name := range names {
		if _, ok := settings[name]; !ok {
			t.Errorf("%s is no setting", name)
		}
	}
	if len(names) != len(settings) {
		t.Errorf("%d names of %d settings", len(names), len(settings))
	}
}

func TestDocuments(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown resource":  {"networks:\n- {ipv4_network: 10.0.0.0}\nnetwork: []", `f.yaml:3: "network" is no resource`},
		"unknown parameter": {"networks:\n- uuid: nw-a\n  ipv4_networks: 10.0.0.0", `f.yaml:3: a network has no parameter "ipv4_networks"`},
		"read-only":         {"networks:\n- {vni: 1}", `f.yaml:2: a network has no parameter "vni"`},
		"hidden":            {"active_interfaces: []", `f.yaml:1: "active_interfaces" is no resource`},
		"wrong value":       {"networks:\n- ipv4_network: 10.0.0.0\n  mode: vlan", `f.yaml:3: mode: "vlan" is not one of virtual`},
		"missing":           {"interfaces:\n- uuid: if-a\n- {mode: vif}", `f.yaml:2: the interface lacks mode`},
		"nested":            {"networks:\n- mode: [a]", `f.yaml:2: mode must be a single value, not a list`},
		"no list":           {"networks: {}", `f.yaml:1: networks must be a list, not a map`},
		"no map":            {"- a", `f.yaml:1: a document is a map`},
		"no object":         {"networks:\n- a", `f.yaml:2: a network must be a map, not "a"`},
		"no YAML":           {"networks: [", `f.yaml:1: not YAML`},
		"both names":        {"networks:\n- {mode: virtual, network_mode: virtual}", `f.yaml:2: mode is given twice`},
		"labels":            {"networks:\n- labels: {A: b}", `f.yaml:2: labels: `},
		"compact":           {"virtual_network: a\nnothing: b\nguests: {x: {networkk: y}}", "f.yaml:2: nothing: "},
		"all of compact":    {"virtual_network: a\nnothing: b\nguests: {x: {networkk: y}}", "f.yaml:3: guests.x.networkk: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := documents{byPlural: map[string][]located{}}.read("f.yaml", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "networks:\n- {uuid: nw-b, ipv4_network: 10.2.0.0}", "a.yml": "networks:\n- {uuid: nw-a, ipv4_network: 10.1.0.0}",
		"c.json": `{"networks": [{"uuid": "nw-c", "ipv4_network": "10.3.0.0"}]}`, "README": "no YAML: [",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := &Env{Stdin: strings.NewReader("networks:\n- {uuid: nw-d, ipv4_network: 10.4.0.0}\n---\ntopologies:\n")}
	d, err := e.documents([]string{dir, "-"})
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, p := range d.params()["networks"] {
		got = append(got, p["uuid"])
	}
	if diff := cmp.Diff([]any{"nw-a", "nw-b", "nw-c", "nw-d"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := e.documents([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := e.documents([]string{filepath.Join(dir, "no")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestTables(t *testing.T) {
	const one = `{"uuid": "if-a", "id": 1, "display_name": null, "mode": "vif", "enable_routing": false, "ipv4_address": "10.0.0.1", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24,
		"ipv6_network": null, "ipv6_prefix": 64, "mac_leases": [{"uuid": "ml-a", "id": 4, "mac_address": "02:00:00:00:00:01", "ip_leases": [{"uuid": "il-a", "ipv4_address": "10.0.0.1"}]}],
		"created_at": "2026-01-01T00:00:00Z", "revision": 5, "status": [{"datapath_uuid": "dp-a", "node_id": "node1", "state": "applied"}, {"datapath_uuid": "dp-b", "node_id": "node2", "state": "error", "reason": "no room"}]}`
	const two = `{"uuid": "if-longer", "id": 2, "display_name": "b", "mode": "simulated", "enable_routing": true, "ipv4_address": null, "ipv4_network": null, "ipv4_prefix": 24, "rules": "tcp:22:10.0.0.0/8\ntcp:80:0.0.0.0/0",
		"status": [{"datapath_uuid": "dp-a", "node_id": "node1", "state": "pending"}, {"datapath_uuid": "dp-b", "node_id": "node2", "state": "unreachable"}]}`
	var rows []document.Value
	for _, text := range []string{one, two} {
		v, err := read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	var b bytes.Buffer
	for _, err := range []error{table(&b, rows, nil), table(&b, rows[:1], nil), table(&b, rows, []string{"id", "status"}), describe(&b, &rows[0]), describe(&b, &rows[1])} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "table.golden", b.String())
}
