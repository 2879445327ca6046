package kernel

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFollow(t *testing.T) {
	for name, tc := range map[string]struct {
		console string
		status  int
		out     string
		ends    bool
	}{
		"good":                {"one\r\ntwo\r\nvnlab-kernel TOKEN exit 0\r\nlater\r\n", 0, "one\ntwo\n", true},
		"bad":                 {"vnlab-kernel TOKEN exit 3\r\n", 3, "", true},
		"behind half a line":  {"no newlinevnlab-kernel TOKEN exit 1\r\n", 1, "no newline", true},
		"another's word":      {"vnlab-kernel OTHER exit 0\r\n", 0, "vnlab-kernel OTHER exit 0\n", false},
		"a panic":             {"one\r\nKernel panic - not syncing\r\n", 0, "one\nKernel panic - not syncing\n", false},
		"nothing":             {"", 0, "", false},
		"cut off in the line": {"one\r\ntw", 0, "one\ntw", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			status, err := follow(strings.NewReader(tc.console), &out, "TOKEN")
			if status != tc.status || (err == nil) != tc.ends || !tc.ends && !errors.Is(err, errNoEnd) {
				t.Errorf("status %d, %v; want %d, ended %t", status, err, tc.status, tc.ends)
			}
			if out.String() != tc.out {
				t.Errorf("shown: %q, want %q", out.String(), tc.out)
			}
		})
	}
}

// FuzzFollow: whatever the console shows, the command has ended well only if the line with the token says so.
func FuzzFollow(f *testing.F) {
	for _, s := range []string{"vnlab-kernel TOKEN exit 0\n", "vnlab-kernel TOKEN exit", "vnlab-kernel TOKEN exit x\n", "\r\n\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, console string) {
		var out strings.Builder
		status, err := follow(strings.NewReader(console), &out, "TOKEN")
		said := strings.Contains(strings.ReplaceAll(console, "\r", ""), "vnlab-kernel TOKEN exit ")
		if err == nil && !said || out.Len() > len(console) {
			t.Errorf("status %d, shown %q", status, out.String())
		}
	})
}

func TestOptions(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere/cache")
	if err := (&Options{}).complete(); err == nil {
		t.Error("no command is no error")
	}
	if err := (&Options{Command: []string{"true"}, Env: []string{"A=1", "B C=2"}}).complete(); err == nil || !strings.Contains(err.Error(), "B C=2") {
		t.Errorf("a variable of no good name: %v", err)
	}
	o := Options{Command: []string{"true"}}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	if o.Cache != "/somewhere/cache/openvnet/kernel" || o.Package != DefaultPackage || o.Accel != "tcg" || o.CPUs < 1 || o.Memory < 512 {
		t.Errorf("defaults: %+v", o)
	}
}

// The script that runs the command in the machine gives it its words as they are.
func TestCommandScript(t *testing.T) {
	words := []string{"a b", `it's "$HOME"`, "*", "", "-n\\", "x;y\nz"}
	script := commandScript(append([]string{"printf", "%s|"}, words...), []string{"SOME=v'1 2"})
	script = strings.Replace(script, "cd "+workDir+"\n", "", 1)
	out, err := exec.Command("sh", "-c", script).Output()
	if want := strings.Join(words, "|") + "|"; err != nil || string(out) != want {
		t.Errorf("%v, %q, want %q; the script:\n%s", err, out, want, script)
	}
	out, err = exec.Command("sh", "-c", strings.Replace(commandScript([]string{"sh", "-c", "echo $SOME"}, []string{"SOME=v'1 2"}), "cd "+workDir+"\n", "", 1)).Output()
	if err != nil || string(out) != "v'1 2\n" {
		t.Errorf("the variable is %q (%v)", out, err)
	}
}

// A root file system holds what a kernel in the cache has, and the files that go along.
func TestWriteImage(t *testing.T) {
	k := fetched{t.TempDir()}
	if err := os.Mkdir(k.modules(), 0o755); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "mine.test")
	for path, text := range map[string]string{k.order(): "first\nsecond\n", k.modules() + "/first.ko": "1", k.modules() + "/second.ko": "2", mine: "a test"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	a := newArchive(&b)
	addFixed(a, contents{token: "TOKEN", command: []string{"true"}, files: []string{mine}})
	if err := errors.Join(addKernel(a, k), a.close()); err != nil {
		t.Fatal(err)
	}
	have := map[string]entry{}
	for _, e := range readArchive(t, []byte(b.String())) {
		have[e.Name] = e
	}
	for name, content := range map[string]string{
		"vnlab/token": "TOKEN\n", "vnlab/modules.order": "first\nsecond\n", "vnlab/modules/second.ko": "2", "work/mine.test": "a test", "init": initScript,
	} {
		if have[name].Content != content {
			t.Errorf("%s holds %q, want %q", name, have[name].Content, content)
		}
	}
	if have["init"].Mode != 0o100755 || have["work/mine.test"].Mode != 0o100755 {
		t.Errorf("modes: %+v %+v", have["init"], have["work/mine.test"])
	}
}
