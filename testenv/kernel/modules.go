package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wanted are the modules that hosts, guests and routers of a lab need, and what Open vSwitch and the fast path may use
// without asking for it. What the kernel has built in is fine as well.
var wanted = []string{
	"crc32c_generic", // libcrc32c of conntrack looks for it by another name
	"veth", "tun", "bridge", "dummy", "macvlan", "8021q", "vrf",
	"openvswitch", "vport_geneve", "vport_vxlan", "vport_gre", "geneve", "vxlan", "ip_gre",
	"nf_conntrack", "nf_nat", "nf_conntrack_netlink", "nf_conntrack_ftp", "nf_conntrack_tftp",
	"sch_ingress", "cls_bpf", "act_bpf", "cls_flower", "cls_matchall", "cls_basic", "cls_u32", "act_police", "act_mirred", "act_gact",
	"sch_htb", "sch_fq_codel", "sch_netem",
}

// modules are those of a kernel by name, as files.
type modules struct {
	files   map[string]string
	builtin map[string]bool
}

// findModules looks below lib/modules/VERSION.
func findModules(dir string) (*modules, error) {
	m := &modules{map[string]string{}, map[string]bool{}}
	list, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("read which modules are built in: %w", err)
	}
	for _, line := range strings.Fields(string(list)) {
		m.builtin[moduleName(line)] = true
	}
	err = filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), ".ko") {
			m.files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for modules: %w", err)
	}
	return m, nil
}

// moduleName is how the kernel calls the module of a file: kernel/net/openvswitch/vport-geneve.ko.xz is vport_geneve.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// module is one to be loaded.
type module struct {
	name    string
	content []byte
}

// inOrder gives the named modules with all that they need, each after what it needs.
func (m *modules) inOrder(names []string) ([]module, error) {
	var order []module
	seen := map[string]bool{}
	var add func(name, by string) error
	add = func(name, by string) error {
		if seen[name] || m.builtin[name] {
			return nil
		}
		seen[name] = true
		file, ok := m.files[name]
		if !ok {
			return fmt.Errorf("the kernel has no module %s%s", name, by)
		}
		content, err := readModule(file)
		if err != nil {
			return fmt.Errorf("read module %s: %w", name, err)
		}
		needs, err := dependencies(content)
		if err != nil {
			return fmt.Errorf("read what module %s needs: %w", name, err)
		}
		for _, n := range needs {
			if err := add(n, ", which "+name+" needs"); err != nil {
				return err
			}
		}
		order = append(order, module{name, content})
		return nil
	}
	for _, n := range names {
		if err := add(n, ""); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// readModule reads a module, which Debian compresses since its release 13.
func readModule(file string) ([]byte, error) {
	program := map[string]string{".xz": "xz", ".zst": "zstd"}[filepath.Ext(file)]
	if program == "" {
		return os.ReadFile(file)
	}
	out, err := exec.Command(program, "-dc", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%s -dc %s: %w", program, file, err)
	}
	return out, nil
}

// dependencies gives the modules that must be loaded before one: "depends" in its section .modinfo, which holds
// KEY=VALUE strings that end with a zero (include/linux/moduleparam.h of the kernel).
func dependencies(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return needs(string(info)), nil
}

// needs reads the section.
func needs(info string) []string {
	for entry := range strings.SplitSeq(info, "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ",")
		}
	}
	return nil
}
