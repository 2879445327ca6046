package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/testenv/ovs"
)

// programs of this machine that go along, by name: what labs and tests call. Each lands in /usr/bin.
var programs = slices.Concat(ovs.Programs, []string{
	"sh", "busybox", "ip", "tc", "ping", "arping", "ethtool", "sysctl", "dhclient", "tcpdump", "iperf3", "ovs-dpctl",
})

// clients are programs that go along if they are here: some tests ask services by them.
var clients = []string{"curl", "wget", "dig", "nslookup", "getent", "dnsmasq", "traceroute", "tracepath", "mtr", "mtr-packet"}

// find gives the file of a program of this machine, also of one that only root's $PATH has.
func find(name string) (string, error) {
	for _, dir := range []string{"", "/usr/local/sbin/", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return filepath.EvalSymlinks(path)
		}
	}
	return "", fmt.Errorf("the program %s is not on this machine: scripts/deps.sh kernel installs it", name)
}

// library matches the file of a shared library in a line of ldd(1), and that of the loader.
var library = regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`)

// libraries gives the shared libraries of programs, sorted; a static one has none.
func libraries(ctx context.Context, files []string) ([]string, error) {
	var all []string
	for _, f := range files {
		out, err := output(ctx, "", "ldd", f)
		if err != nil {
			if strings.Contains(err.Error(), "not a dynamic executable") {
				continue
			}
			return nil, err
		}
		if strings.Contains(out, "not found") {
			return nil, fmt.Errorf("libraries of %s are missing on this machine:\n%s", f, out)
		}
		for _, m := range library.FindAllStringSubmatch(out, -1) {
			all = append(all, m[1])
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// fingerprint tells lists of names apart.
func fingerprint(names []string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return hex.EncodeToString(sum[:4])
}
