package repotest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	report(t, documentProblems(t, repository(t)))
}

var (
	fence = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	code  = regexp.MustCompile("`([^`\n]+)`")
	link  = regexp.MustCompile(`!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|(?m:^\[[^\]]+\]:\s+<?(\S+?)>?\s*$)`)
	pathy = regexp.MustCompile(`^[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)*/?$`)
)

// documentProblems: in every Markdown file, a relative link leads to a file or folder of the tree, and so does a path
// in backticks that starts with one of our top folders (`dataplane/compile`, `docs/*.md`).
func documentProblems(t *testing.T, tr tree) []string {
	t.Helper()
	tops := map[string]bool{}
	for _, l := range layers {
		tops[top(l.folder)] = true
	}
	for _, p := range tr.paths {
		if strings.Contains(p, "/") {
			tops[top(p)] = true
		}
	}
	var problems []string
	for _, p := range tr.paths {
		if path.Ext(p) != ".md" {
			continue
		}
		text, err := fs.ReadFile(tr.fs, p)
		if err != nil {
			t.Fatal(err)
		}
		prose := fence.ReplaceAllString(string(text), "")
		for _, m := range code.FindAllStringSubmatch(prose, -1) {
			target := strings.TrimSuffix(m[1], "/...")
			if !strings.Contains(target, "/") || !pathy.MatchString(target) || !tops[top(target)] {
				continue
			}
			if matches, err := fs.Glob(tr.fs, path.Clean(target)); err != nil || len(matches) == 0 {
				problems = append(problems, fmt.Sprintf("%s: names `%s`, which is not there", p, m[1]))
			}
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(prose, "code"), -1) {
			target, _, _ := strings.Cut(m[1]+m[2], "#")
			if target == "" || strings.Contains(target, ":") {
				continue // within the document, or with a scheme
			}
			resolved := path.Join(path.Dir(p), target)
			if strings.HasPrefix(target, "/") || !fs.ValidPath(resolved) {
				problems = append(problems, fmt.Sprintf("%s: link to %s leads out of the tree", p, target))
			} else if _, err := fs.Stat(tr.fs, resolved); err != nil {
				problems = append(problems, fmt.Sprintf("%s: link to %s, which is not there", p, target))
			}
		}
	}
	return problems
}

func TestDocumentRules(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"link":                {"see [the design](DESIGN.md) and [docs](docs/)", ""},
		"link upwards":        {"[x](../README.md)", "leads out of the tree"},
		"absolute":            {"[x](/etc/passwd)", "leads out of the tree"},
		"missing":             {"see\n[the\ndesign](docs/design.md)", "link to docs/design.md, which is not there"},
		"missing picture":     {"![x](docs/x.png \"a picture\")", "link to docs/x.png"},
		"reference":           {"[x][1]\n\n[1]: docs/none.md", "link to docs/none.md"},
		"section":             {"[x](#there), [y](docs/lab.md#there)", ""},
		"section of missing":  {"[y](docs/none.md#there)", "link to docs/none.md"},
		"elsewhere":           {"[x](https://example.org/docs/none.md), <mailto:x@example.org>", ""},
		"in code":             {"`[x](docs/none.md)`", ""},
		"in a fence":          {"```\n[x](docs/none.md) `docs/none.md`\n```\n", ""},
		"path":                {"`docs/lab.md`, `docs/`, `docs/*.md`, `docs/...`", ""},
		"missing path":        {"`docs/none.md`", "names `docs/none.md`"},
		"missing of a layer":  {"`dataplane/nothing`", "names `dataplane/nothing`"},
		"pattern of nothing":  {"`docs/*.txt`", "names `docs/*.txt`"},
		"not a path of ours":  {"`bin/vnlab demo`, `out/bench/*.json`, `/var/lib/x`, `a/b`, `docs/lab.md x`", ""},
		"two words in a path": {"`docs/a b.md`", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := inMemory(t, map[string]string{"README.md": test.text, "DESIGN.md": "", "docs/lab.md": ""})
			expectOne(t, documentProblems(t, tr), test.want)
		})
	}
}
