package repotest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/openvnet/openvnet/"

// goFile is one parsed file. Paths are relative to the root of the repository, with slashes.
type goFile struct {
	path      string
	folder    string // of the file: "dataplane/compile"
	test      bool
	generated bool
	ast       *ast.File
}

// tree is the repository without what git ignores, testdata, hidden folders, and folders that are modules of their own.
type tree struct {
	fs    fs.FS
	paths []string // of every file
	files []goFile
}

// repository reads the tree that this package lies in.
func repository(t *testing.T) tree {
	t.Helper()
	return load(t, os.DirFS("../.."))
}

// inMemory is a tree from paths and contents, to test the rules themselves.
func inMemory(t *testing.T, contents map[string]string) tree {
	t.Helper()
	files := fstest.MapFS{}
	for p, text := range contents {
		files[p] = &fstest.MapFile{Data: []byte(text)}
	}
	return load(t, files)
}

func load(t *testing.T, root fs.FS) tree {
	t.Helper()
	tr := tree{fs: root}
	positions := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if p != "." && skipped(root, p) {
				return fs.SkipDir
			}
			return nil
		}
		tr.paths = append(tr.paths, p)
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(positions, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s does not parse: %v", p, err)
			return nil
		}
		tr.files = append(tr.files, goFile{
			path:      p,
			folder:    path.Dir(p),
			test:      strings.HasSuffix(p, "_test.go"),
			generated: ast.IsGenerated(parsed),
			ast:       parsed,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func skipped(root fs.FS, folder string) bool {
	name := path.Base(folder)
	switch {
	case folder == "bin", folder == "out", name == "testdata", name == "node_modules":
		return true
	case name[0] == '.', name[0] == '_':
		return true
	}
	_, err := fs.Stat(root, path.Join(folder, "go.mod"))
	return err == nil
}

// below says whether a path or import path is that of the folder or below it.
func below(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, folder+"/")
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

func lines(text []byte) int {
	return bytes.Count(text, []byte("\n"))
}
