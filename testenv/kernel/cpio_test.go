package kernel

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is one of an archive, read as the kernel reads it (init/initramfs.c).
type entry struct {
	Name, Content string
	Mode          uint64
}

func readArchive(t *testing.T, b []byte) []entry {
	t.Helper()
	var all []entry
	for at := 0; ; {
		header := string(b[at : at+110])
		if !strings.HasPrefix(header, "070701") {
			t.Fatalf("at %d there is no header: %q", at, header)
		}
		number := func(n int) uint64 {
			v, err := strconv.ParseUint(header[6+8*n:14+8*n], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		mode, size, nameSize := number(1), int(number(6)), int(number(11))
		name := string(b[at+110 : at+110+nameSize-1])
		at = align(at + 110 + nameSize)
		if name == "TRAILER!!!" {
			if at != len(b) {
				t.Fatalf("%d bytes come after the end", len(b)-at)
			}
			return all
		}
		all = append(all, entry{name, string(b[at : at+size]), mode})
		at = align(at + size)
	}
}

func align(n int) int { return (n + 3) / 4 * 4 }

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	a.dir("/usr/bin")
	a.dir("/usr")
	a.text("/init", 0o755, "#!/bin/sh\n")
	a.text("/usr/lib/x/y.so", 0o644, "library")
	a.link("/bin", "usr/bin")
	a.text("/empty", 0o600, "")
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"usr", "", 0o40755}, {"usr/bin", "", 0o40755}, {"init", "#!/bin/sh\n", 0o100755},
		{"usr/lib", "", 0o40755}, {"usr/lib/x", "", 0o40755}, {"usr/lib/x/y.so", "library", 0o100644},
		{"bin", "usr/bin", 0o120777}, {"empty", "", 0o100600},
	}
	if d := cmp.Diff(want, readArchive(t, b.Bytes())); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestArchiveReportsTheFirstError(t *testing.T) {
	for name, tc := range map[string]struct {
		add  func(*archive)
		want string
	}{
		"no such file":              {func(a *archive) { a.copy("/x", "/nonexistent/file", 0o644) }, "/nonexistent/file"},
		"twice":                     {func(a *archive) { a.text("/x", 0o644, ""); a.text("x", 0o644, "") }, "x is twice"},
		"shorter than it should be": {func(a *archive) { a.file("/x", 0o644, 5, strings.NewReader("abc")) }, "only 3 bytes of 5"},
		"too large":                 {func(a *archive) { a.file("/x", 0o644, 1<<33, strings.NewReader("")) }, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(io.Discard)
			tc.add(a)
			a.text("/y", 0o644, "later")
			if err := a.close(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("close = %v, want %q", err, tc.want)
			}
		})
	}
	full := newArchive(broken{})
	full.text("/x", 0o644, strings.Repeat("x", 2<<20))
	if err := full.close(); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("close = %v, want the writer's error", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("the disk is full") }
