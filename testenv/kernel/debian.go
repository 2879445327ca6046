package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// DefaultPackage is Debian's package that depends on the one with the stock kernel of the release.
const DefaultPackage = "linux-image-amd64"

// fetched is a kernel in the cache: DIR/vmlinuz, and DIR/root with modules and the list of them in the order to load.
type fetched struct{ dir string }

func (f fetched) vmlinuz() string { return filepath.Join(f.dir, "vmlinuz") }
func (f fetched) modules() string { return filepath.Join(f.dir, "modules") }
func (f fetched) order() string   { return filepath.Join(f.dir, "modules.order") }

// fetch gives the kernel of a package, out of the cache if it has been there before.
func fetch(ctx context.Context, pkg, cache string, say func(string, ...any)) (fetched, error) {
	name, version, err := candidate(ctx, pkg)
	if err != nil {
		return fetched{}, err
	}
	f := fetched{filepath.Join(cache, name+"_"+strings.NewReplacer(":", "%3a", "/", "_").Replace(version)+"_"+fingerprint(wanted))}
	if _, err := os.Stat(f.dir); err == nil {
		return f, nil
	}
	say("fetching %s %s", name, version)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return f, err
	}
	work, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(work)
	if err := download(ctx, work, name, version); err != nil {
		return f, err
	}
	ready, err := unpack(ctx, work)
	if err != nil {
		return f, fmt.Errorf("unpack %s: %w", name, err)
	}
	if err := os.Rename(ready, f.dir); err != nil {
		if _, e := os.Stat(f.dir); e == nil {
			return f, nil // another program was quicker
		}
		return f, err
	}
	return f, nil
}

// candidate gives the package with the kernel, which pkg may be or depend on, and the version that apt would install.
func candidate(ctx context.Context, pkg string) (name, version string, err error) {
	show := func(pkg string) (string, error) {
		return output(ctx, "", "apt-cache", "show", "--no-all-versions", pkg)
	}
	text, err := show(pkg)
	if err != nil {
		return "", "", fmt.Errorf("find package %s (apt-get update may be due): %w", pkg, err)
	}
	if concrete := kernelOf(text); concrete != "" {
		pkg = concrete
		if text, err = show(pkg); err != nil {
			return "", "", fmt.Errorf("find package %s (apt-get update may be due): %w", pkg, err)
		}
	}
	version = field(text, "Version")
	if version == "" {
		return "", "", fmt.Errorf("apt knows no version of package %s", pkg)
	}
	return pkg, version, nil
}

var kernelPackage = regexp.MustCompile(`(?:^|[ ,])(linux-image-[0-9][^ ,]*)`)

// kernelOf gives the package with a kernel that the package described depends on, "" for none.
func kernelOf(description string) string {
	m := kernelPackage.FindStringSubmatch(field(description, "Depends"))
	if m == nil {
		return ""
	}
	return m[1]
}

// field gives the value of a field of one line in the description of a package (deb822(5)).
func field(description, name string) string {
	for line := range strings.Lines(description) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// download gets a package. What apt knows may be older than what the servers have: then its lists are brought up to date.
func download(ctx context.Context, dir, name, version string) error {
	_, err := output(ctx, dir, "apt-get", "download", "-q", name+"="+version)
	if err != nil && os.Geteuid() == 0 && ctx.Err() == nil {
		if _, err := output(ctx, dir, "apt-get", "update", "-q"); err != nil {
			return err
		}
		_, err = output(ctx, dir, "apt-get", "download", "-q", name)
	}
	if err != nil {
		return fmt.Errorf("download package %s (apt-get update may be due): %w", name, err)
	}
	return nil
}

// unpack takes out of the package below dir what a fetched kernel consists of, and gives its directory.
func unpack(ctx context.Context, dir string) (string, error) {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return "", err
	}
	tree := filepath.Join(dir, "tree")
	if _, err := output(ctx, dir, "dpkg-deb", "-x", strings.Join(debs, " "), tree); err != nil {
		return "", err
	}
	images, err1 := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	trees, err2 := filepath.Glob(filepath.Join(tree, "*", "modules", "*")) // below /lib, below /usr/lib since Debian 13
	more, err3 := filepath.Glob(filepath.Join(tree, "usr", "*", "modules", "*"))
	trees = append(trees, more...)
	if err := errors.Join(err1, err2, err3); err != nil || len(images) != 1 || len(trees) != 1 {
		return "", errors.Join(fmt.Errorf("it holds %d kernels and %d folders of modules, one of each is meant", len(images), len(trees)), err)
	}
	all, err := findModules(trees[0])
	if err != nil {
		return "", err
	}
	order, err := all.inOrder(wanted)
	if err != nil {
		return "", err
	}
	ready := fetched{filepath.Join(dir, "ready")}
	if err := os.MkdirAll(ready.modules(), 0o755); err != nil {
		return "", err
	}
	var names strings.Builder
	for _, m := range order {
		names.WriteString(m.name + "\n")
		if err := os.WriteFile(filepath.Join(ready.modules(), m.name+".ko"), m.content, 0o644); err != nil {
			return "", err
		}
	}
	return ready.dir, errors.Join(os.WriteFile(ready.order(), []byte(names.String()), 0o644), os.Rename(images[0], ready.vmlinuz()))
}

// output runs a program in a directory and gives what it prints; the error carries what it complained of.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}
