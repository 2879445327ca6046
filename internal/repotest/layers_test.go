package repotest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// layer says which of our folders the packages of a folder may import: besides those of the same folder, these and
// what is below them. Test code (forTests) may import testenv and the folders of tests too.
type layer struct {
	folder string
	uses   []string
	tests  []string
	why    string
}

// layers is the architecture, lowest first; a top folder that is not in it fails the test.
var layers = []layer{
	{folder: "internal", why: "small shared pieces lie below everything"},
	{folder: "deploy", why: "scripts and units, embedded by who installs them"},
	{folder: "model", uses: []string{"internal"}, why: "the domain knows neither store, nor switch, nor API"},
	{folder: "ofctl", uses: []string{"internal"}, why: "the OpenFlow codec and session know no virtual network"},
	{folder: "bpf", why: "the eBPF programs and their bindings stand alone: only cilium/ebpf"},
	{folder: "store", uses: []string{"internal", "model"}, why: "the store keeps resources, and decides nothing"},
	{folder: "services", uses: []string{"internal", "model"}, why: "packet in, packets out: no OpenFlow, no netlink"},
	{
		folder: "dataplane", uses: []string{"internal", "model", "ofctl", "bpf"},
		why: "what a host forwards follows from its replica alone",
	},
	{
		folder: "client", uses: []string{"internal", "model"}, tests: []string{"manager", "store"},
		why: "other programs import the client: it must not bring the manager along",
	},
	{folder: "manager", uses: []string{"internal", "model", "store"}, why: "the manager knows no flow"},
	{
		folder: "agent", uses: []string{"internal", "model", "dataplane", "services"},
		why: "the agent knows no database, and leaves OpenFlow and eBPF to the dataplane",
	},
	{
		folder: "testenv",
		uses: []string{
			"internal", "deploy", "model", "ofctl", "bpf", "store", "services", "dataplane", "client", "manager", "agent",
		},
		why: "labs build everything below the commands, and only tests and cmd/vnlab build labs",
	},
	{
		folder: "cmd",
		uses: []string{
			"internal", "deploy", "model", "ofctl", "bpf", "store", "services", "dataplane", "client", "manager", "agent",
		},
		why: "commands wire everything; only cmd/vnlab and tests import testenv",
	},
	{
		folder: "cmd/vnlab",
		uses: []string{
			"internal", "deploy", "model", "ofctl", "bpf", "store", "services", "dataplane", "client", "manager", "agent", "testenv",
		},
		why: "the lab is a command over testenv",
	},
}

// never lists imports that are refused within our own folders and the standard library, where a layer is not enough.
var never = []struct {
	folders []string
	imports []string
	why     string
}{
	{
		folders: []string{"dataplane/pipeline", "dataplane/compile"},
		imports: []string{
			"dataplane/ovs", "dataplane/fastpath", "dataplane/link", "ofctl/conn",
			"net", "net/http", "os", "os/exec", "syscall", "golang.org/x/sys", "time",
		},
		why: "pure: the same replica and ports give the same flows, without I/O and without clock",
	},
	{
		folders: []string{"model"},
		imports: []string{"net/http", "os", "os/exec", "syscall", "golang.org/x/sys", "log/slog"},
		why:     "pure: declarations and functions of them",
	},
}

// modules says which folders may import a package that is not ours, and what to import instead. With tests, test
// code and testenv may import it whatever the folder.
var modules = []struct {
	path    string
	folders []string // none: nobody
	except  []string // below path, and another matter
	tests   bool
	why     string
}{
	{path: "C", why: "the commands are static: no cgo"},
	{path: "github.com/cilium/ebpf", folders: []string{"bpf", "dataplane"}, tests: true, why: "programs are loaded by dataplane/fastpath"},
	{path: "github.com/getkin/kin-openapi", folders: []string{"manager"}, tests: true, why: "the API document is the manager's"},
	{path: "github.com/ghodss/yaml", why: "go.yaml.in/yaml/v3: one YAML library, maintained"},
	{path: "github.com/google/go-cmp", tests: true, why: "compares in tests; it may panic on what it does not know"},
	{path: "github.com/google/gopacket", why: "github.com/gopacket/gopacket, in tests: this one is not maintained any more"},
	{path: "github.com/gopacket/gopacket", tests: true, why: "it allocates and is lenient: a second opinion for tests, not for product code"},
	{path: "github.com/miekg/dns", folders: []string{"services/dns"}, tests: true, why: "DNS messages are read and written in services/dns"},
	{path: "github.com/ovn-kubernetes/libovsdb", folders: []string{"dataplane"}, tests: true, why: "the OVSDB is behind dataplane/ovs"},
	{path: "github.com/pkg/errors", why: "errors and fmt.Errorf with %w"},
	{path: "github.com/rogpeppe/go-internal", tests: true, why: "testscript is for tests"},
	{path: "github.com/sirupsen/logrus", why: "log/slog, passed in"},
	{path: "github.com/spf13/cobra", folders: []string{"cmd"}, why: "flags are read in cmd, and passed on as options structs"},
	{path: "github.com/stretchr/testify", why: "testing and github.com/google/go-cmp/cmp"},
	{path: "github.com/vishvananda/netlink", folders: []string{"dataplane"}, tests: true, why: "links are behind dataplane/link"},
	{path: "github.com/vishvananda/netns", folders: []string{"dataplane"}, tests: true, why: "namespaces are a lab's"},
	{path: "go.etcd.io/etcd", folders: []string{"store"}, why: "the store is the only one that knows its database"},
	{path: "go.uber.org/goleak", tests: true, why: "goroutines are counted in tests"},
	{path: "go.uber.org/zap", folders: []string{"store"}, why: "log/slog, passed in; only the embedded etcd wants a zap logger"},
	{path: "golang.org/x/exp", why: "the standard library has it by now"},
	{path: "gopkg.in/yaml.v2", why: "go.yaml.in/yaml/v3: one YAML library, maintained"},
	{path: "gopkg.in/yaml.v3", why: "go.yaml.in/yaml/v3: the same, maintained"},
	{path: "io/ioutil", why: "io and os"},
	{path: "log", folders: []string{"cmd"}, except: []string{"log/slog"}, why: "log/slog, passed in"},
	{path: "math/rand", except: []string{"math/rand/v2"}, why: "math/rand/v2"},
	{path: "pgregory.net/rapid", tests: true, why: "properties are for tests"},
	{path: "sigs.k8s.io/yaml", why: "go.yaml.in/yaml/v3: one YAML library"},
}

func TestImports(t *testing.T) {
	report(t, importProblems(repository(t)))
}

func importProblems(tr tree) []string {
	var problems []string
	for _, f := range tr.files {
		l, ok := layerOf(f.folder)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: folder %s is not in the table of layers", f.path, f.folder))
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: import %s: %v", f.path, spec.Path.Value, err))
				continue
			}
			if why := refused(f, l, imported); why != "" {
				problems = append(problems, fmt.Sprintf("%s: imports %s: %s", f.path, imported, why))
			}
		}
	}
	return problems
}

// refused says why a file may not import a package, or "".
func refused(f goFile, l layer, imported string) string {
	ours, isOurs := strings.CutPrefix(imported, module)
	if isOurs {
		imported = ours
	}
	tests := forTests(f)
	for _, n := range never {
		if !tests && belowAny(f.folder, n.folders) && belowAny(imported, n.imports) && !below(imported, "net/netip") {
			return n.why
		}
	}
	if isOurs {
		switch {
		case isTestSupport(imported) && !tests && !below(f.folder, "testenv"):
			return "only tests import a package named ...test"
		case below(imported, top(l.folder)), belowAny(imported, l.uses):
			return ""
		case tests && (below(imported, "testenv") || belowAny(imported, l.tests)):
			return ""
		}
		return fmt.Sprintf("%s may import %s (%s)", l.folder, orNone(l.uses), l.why)
	}
	for _, m := range modules {
		if !below(imported, m.path) || belowAny(imported, m.except) || belowAny(f.folder, m.folders) {
			continue
		}
		if m.tests && (tests || below(f.folder, "testenv")) {
			continue
		}
		return m.why
	}
	if l.folder == "bpf" && !tests && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") &&
		!below(imported, "github.com/cilium/ebpf") {
		return l.why
	}
	return ""
}

// forTests says whether a file is test code: a _test.go file, or one of a package that supports tests, by its name
// (model/modeltest, ofctl/oftest).
func forTests(f goFile) bool {
	return f.test || isTestSupport(f.folder)
}

func isTestSupport(folder string) bool {
	return strings.HasSuffix(folder, "test")
}

// layerOf finds the longest entry of the table that the folder is in.
func layerOf(folder string) (layer, bool) {
	var found layer
	for _, l := range layers {
		if below(folder, l.folder) && len(l.folder) > len(found.folder) {
			found = l
		}
	}
	return found, found.folder != ""
}

func top(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

func belowAny(p string, folders []string) bool {
	for _, folder := range folders {
		if below(p, folder) {
			return true
		}
	}
	return false
}

func orNone(folders []string) string {
	if len(folders) == 0 {
		return "nothing of ours"
	}
	return strings.Join(folders, ", ")
}

func TestImportRules(t *testing.T) {
	for name, test := range map[string]struct {
		path, imports string
		refused       bool
	}{
		"upwards":                         {"model/network.go", module + "store", true},
		"downwards":                       {"store/table.go", module + "model", false},
		"below a folder":                  {"store/table.go", module + "model/graph", false},
		"the same folder":                 {"dataplane/ovs/driver.go", module + "dataplane/pipeline", false},
		"a name that starts the same":     {"client/client.go", module + "models", true},
		"beside":                          {"agent/agent.go", module + "manager/app", true},
		"over a layer":                    {"agent/agent.go", module + "ofctl/flow", true},
		"testenv by product code":         {"agent/agent.go", module + "testenv/ovs", true},
		"testenv by a test":               {"agent/agent_test.go", module + "testenv/ovs", false},
		"testenv by vnlab":                {"cmd/vnlab/main.go", module + "testenv/lab", false},
		"testenv by vna":                  {"cmd/vna/main.go", module + "testenv/lab", true},
		"the manager by a client's test":  {"client/client_test.go", module + "manager/api", false},
		"an unknown folder":               {"common/strings.go", "strings", true},
		"a driver by compile":             {"dataplane/compile/l2.go", module + "dataplane/ovs", true},
		"pipeline by compile":             {"dataplane/compile/l2.go", module + "dataplane/pipeline", false},
		"I/O by compile":                  {"dataplane/compile/l2.go", "os", true},
		"addresses by compile":            {"dataplane/compile/l2.go", "net/netip", false},
		"I/O by a test of compile":        {"dataplane/compile/l2_test.go", "os", false},
		"another module by bpf":           {"bpf/load.go", "golang.org/x/sys/unix", true},
		"cilium/ebpf by bpf":              {"bpf/load.go", "github.com/cilium/ebpf/link", false},
		"the standard library by bpf":     {"bpf/load.go", "encoding/binary", false},
		"gopacket by product code":        {"services/dhcp/dhcp.go", "github.com/gopacket/gopacket", true},
		"gopacket by a test":              {"services/dhcp/dhcp_test.go", "github.com/gopacket/gopacket/layers", false},
		"the dead gopacket by a test":     {"services/dhcp/dhcp_test.go", "github.com/google/gopacket", true},
		"rapid by test support":           {"model/modeltest/world.go", "pgregory.net/rapid", false},
		"test support by product code":    {"manager/app/app.go", module + "model/modeltest", true},
		"test support by a test":          {"manager/app/app_test.go", module + "model/modeltest", false},
		"test support by testenv":         {"testenv/lab/lab.go", module + "ofctl/oftest", false},
		"etcd by the store":               {"store/etcd.go", "go.etcd.io/etcd/client/v3", false},
		"etcd by the manager":             {"manager/app/app.go", "go.etcd.io/etcd/client/v3", true},
		"bbolt by the agent":              {"agent/cache.go", "go.etcd.io/bbolt", false},
		"log by a package":                {"agent/agent.go", "log", true},
		"log by a command":                {"cmd/vna/main.go", "log", false},
		"slog by a package":               {"agent/agent.go", "log/slog", false},
		"math/rand":                       {"agent/agent.go", "math/rand", true},
		"math/rand/v2":                    {"agent/agent.go", "math/rand/v2", false},
		"testify by a test":               {"agent/agent_test.go", "github.com/stretchr/testify/require", true},
		"an old YAML":                     {"cmd/vnctl/apply.go", "gopkg.in/yaml.v3", true},
		"the YAML":                        {"cmd/vnctl/apply.go", "go.yaml.in/yaml/v3", false},
		"cgo":                             {"agent/agent.go", "C", true},
		"a module that starts like cgo's": {"agent/agent.go", "Caml", false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := inMemory(t, map[string]string{test.path: "package p\nimport _ " + strconv.Quote(test.imports) + "\n"})
			if problems := importProblems(tr); (len(problems) > 0) != test.refused {
				t.Errorf("refused %v, want %v: %q", len(problems) > 0, test.refused, problems)
			}
		})
	}
}

// The table itself: every folder that is named is in it, and none imports one that imports it.
func TestLayersHaveOneDirection(t *testing.T) {
	rank := map[string]int{}
	for i, l := range layers {
		rank[l.folder] = i
	}
	for i, l := range layers {
		for _, used := range l.uses {
			r, ok := rank[used]
			if !ok || r >= i {
				t.Errorf("%s uses %s, which is not above it in the table", l.folder, used)
			}
		}
		if l.why == "" {
			t.Errorf("%s has no reason", l.folder)
		}
	}
}

func TestProblemsNameFileImportAndReason(t *testing.T) {
	tr := inMemory(t, map[string]string{"model/network.go": "package model\nimport _ \"" + module + "store\"\n"})
	want := []string{"model/network.go: imports " + module + "store: model may import internal " +
		"(the domain knows neither store, nor switch, nor API)"}
	if diff := cmp.Diff(want, importProblems(tr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
