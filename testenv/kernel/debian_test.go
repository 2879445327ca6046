package kernel

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKernelOf(t *testing.T) {
	const concrete = `Package: linux-image-6.1.0-56-amd64
Version: 6.1.192-2
Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb11u2) | linux-initramfs-tool
`
	for name, tc := range map[string]struct{ description, want string }{
		"a meta package":         {"Package: linux-image-amd64\nVersion: 6.1.192-2\nDepends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)\n", "linux-image-6.1.0-56-amd64"},
		"one of several":         {"Depends: something, linux-image-6.12.1+deb13-cloud-amd64\n", "linux-image-6.12.1+deb13-cloud-amd64"},
		"the kernel itself":      {concrete, ""},
		"depends on another one": {"Depends: linux-image-amd64\n", ""},
		"nothing":                {"", ""},
	} {
		if got := kernelOf(tc.description); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := field(concrete, "Version"); got != "6.1.192-2" {
		t.Errorf("version %q", got)
	}
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/net/openvswitch/vport-geneve.ko": "vport_geneve", "kernel/net/8021q/8021q.ko.xz": "8021q", "/x/crc32c_generic.ko.zst": "crc32c_generic",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", file, got, want)
		}
	}
}

func TestNeeds(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=nf_conntrack,nf-nat,libcrc32c\x00retpoline=Y\x00": {"nf_conntrack", "nf_nat", "libcrc32c"},
		"depends=\x00name=veth\x00": nil,
		"name=x\x00depends=y":       {"y"},
		"":                          nil,
	} {
		if d := cmp.Diff(want, needs(info)); d != "" {
			t.Errorf("needs(%q): -want +got:\n%s", info, d)
		}
	}
}

// Modules that are built in need not be there; one that is neither is an error that names who needs it.
func TestModulesInOrder(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{"modules.builtin": "kernel/net/packet/af_packet.ko\n", "kernel/net/broken.ko": "no module at all"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := findModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	if order, err := m.inOrder([]string{"af_packet"}); err != nil || len(order) != 0 {
		t.Errorf("a module that is built in: %v, %v", order, err)
	}
	for _, name := range []string{"absent", "broken"} {
		if _, err := m.inOrder([]string{name}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("module %s: %v", name, err)
		}
	}
}

func TestLibrariesOfAProgram(t *testing.T) {
	shell, err := find("sh")
	if err != nil {
		t.Fatal(err)
	}
	libs, err := libraries(t.Context(), []string{shell, shell})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(libs, func(l string) bool { return strings.Contains(l, "/libc.so") }) || !slices.ContainsFunc(libs, func(l string) bool { return strings.Contains(filepath.Base(l), "ld-linux") }) {
		t.Errorf("the shell's libraries: %v", libs)
	}
	if _, err := find("no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program that is not there: %v", err)
	}
}
