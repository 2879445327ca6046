package repotest

import (
	"go/ast"
	"path"
	"strconv"
	"strings"
	"testing"
)

// privileged is the only package whose functions skip a test; requireRoot is the one that takes root.
const (
	privileged  = "testenv/privileged"
	requireRoot = privileged + ".Require"
)

func TestNamesOfPrivilegedTests(t *testing.T) {
	report(t, nameProblems(repository(t)))
}

func TestNoSkips(t *testing.T) {
	report(t, skipProblems(repository(t)))
}

// nameProblems: a test that takes root, itself or through the functions it calls, is named TestPrivileged... (a fuzz
// target FuzzPrivileged...), for by that name make runs it. Calls of methods are not followed.
func nameProblems(tr tree) []string {
	calls := map[string][]string{} // function -> functions called, all as folder.Name
	for _, f := range tr.files {
		imports := importNames(f)
		for _, fn := range functions(f) {
			from := f.folder + "." + fn.Name.Name
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					calls[from] = append(calls[from], f.folder+"."+n.Name)
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && imports[x.Name] != "" {
						calls[from] = append(calls[from], imports[x.Name]+"."+n.Sel.Name)
					}
					return false
				}
				return true
			})
		}
	}
	reaches := map[string]bool{requireRoot: true}
	for changed := true; changed; {
		changed = false
		for from, all := range calls {
			for _, to := range all {
				if reaches[to] && !reaches[from] {
					reaches[from], changed = true, true
				}
			}
		}
	}
	var problems []string
	for _, f := range tr.files {
		for _, fn := range functions(f) {
			name := fn.Name.Name
			if !f.test || name == "TestMain" || !reaches[f.folder+"."+name] {
				continue
			}
			for _, kind := range []string{"Test", "Fuzz"} {
				if rest, ok := strings.CutPrefix(name, kind); ok && !strings.HasPrefix(rest, "Privileged") {
					problems = append(problems, f.path+": "+name+" takes root, so its name must start with "+kind+"Privileged")
				}
			}
		}
	}
	return problems
}

// skipProblems: no test is skipped but by privileged, which fails instead where skipping is not allowed. A fuzz
// target may skip inputs.
func skipProblems(tr tree) []string {
	var problems []string
	for _, f := range tr.files {
		if f.folder == privileged {
			continue
		}
		imports := importNames(f)
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || f.test && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				if !ok || imports[x.Name] != "" || !(f.test || below(f.folder, "testenv")) {
					return true
				}
				isSkip := sel.Sel.Name == "Skip" && (x.Name == "t" || x.Name == "tb" || x.Name == "b")
				if isSkip || sel.Sel.Name == "Skipf" || sel.Sel.Name == "SkipNow" {
					problems = append(problems, f.path+": "+fn.Name.Name+" skips a test: require with "+privileged+
						", or make the test pass everywhere")
				}
				return true
			})
		}
	}
	return problems
}

// functions are those of a file that are no methods and have a body.
func functions(f goFile) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Body != nil {
			all = append(all, fn)
		}
	}
	return all
}

// importNames maps the names of a file's imports to import paths, ours without the module.
func importNames(f goFile) map[string]string {
	names := map[string]string{}
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		p = strings.TrimPrefix(p, module)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

func TestRulesOfPrivilege(t *testing.T) {
	const helper = "package privileged\nfunc Require(t testing.TB, programs ...string) { miss(t) }\n" +
		"func Programs(t testing.TB, programs ...string) { miss(t) }\nfunc miss(t testing.TB) { t.Skip() }\n"
	const lab = "package lab\nimport \"" + module + privileged + "\"\nfunc New(t testing.TB) { privileged.Require(t) }\n"
	const imports = "package p_test\nimport (\"" + module + privileged + "\"; \"" + module + "testenv/lab\")\n"
	for name, test := range map[string]struct{ source, want string }{
		"named":               {"func TestPrivilegedX(t *testing.T) { privileged.Require(t) }", ""},
		"not named":           {"func TestX(t *testing.T) { privileged.Require(t) }", "TestX takes root"},
		"a fuzz target":       {"func FuzzX(f *testing.F) { privileged.Require(f) }", "must start with FuzzPrivileged"},
		"a named fuzz target": {"func FuzzPrivilegedX(f *testing.F) { privileged.Require(f) }", ""},
		"in a subtest":        {"func TestX(t *testing.T) { t.Run(``, func(t *testing.T) { privileged.Require(t) }) }", "TestX takes root"},
		"by a function":       {"func TestX(t *testing.T) { f(t) }\nfunc f(t *testing.T) { lab.New(t) }", "TestX takes root"},
		"by a function value": {
			"func TestX(t *testing.T) { for _, g := range []func(*testing.T){f} { g(t) } }\nfunc f(t *testing.T) { lab.New(t) }",
			"TestX takes root",
		},
		"only programs":       {"func TestX(t *testing.T) { privileged.Programs(t, `ovs-vsctl`) }", ""},
		"another's Require":   {"func TestX(t *testing.T) { other.Require(t) }", ""},
		"no privilege":        {"func TestX(t *testing.T) { t.Log() }", ""},
		"a skip":              {"func TestX(t *testing.T) { t.Skip(`slow`) }", "TestX skips"},
		"a skip in a subtest": {"func TestX(t *testing.T) { t.Run(``, func(t *testing.T) { t.Skipf(``) }) }", "TestX skips"},
		"a skip in a helper":  {"func (h h) f() { h2.SkipNow() }", "f skips"},
		"an input skipped":    {"func FuzzX(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { t.Skip() }) }", ""},
		"another's Skip":      {"func TestX(t *testing.T) { reader.Skip(4) }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := inMemory(t, map[string]string{
				"testenv/privileged/privileged.go": helper,
				"testenv/lab/lab.go":               lab,
				"p/p_test.go":                      imports + test.source + "\n",
			})
			expectOne(t, append(nameProblems(tr), skipProblems(tr)...), test.want)
		})
	}
}
