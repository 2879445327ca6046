package netns_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
)

func create(t *testing.T, suffix string) *netns.NS {
	t.Helper()
	n, err := netns.Create(fmt.Sprintf("tnetns%d-%s", os.Getpid(), suffix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Close()
		if err := netns.Delete(n.Name()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func currentInode(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPrivilegedDo(t *testing.T) {
	privileged.Require(t)
	n := create(t, "do")
	want, err := n.Inode()
	if err != nil {
		t.Fatal(err)
	}
	home := currentInode(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			err := n.Do(func() error {
				if got, _ := os.Readlink("/proc/thread-self/ns/net"); got != fmt.Sprintf("net:[%d]", want) {
					return fmt.Errorf("inside Do the namespace is %s, want %d", got, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := currentInode(t); got != home {
		t.Errorf("after Do the thread is in %s, want %s", got, home)
	}
}

func TestPrivilegedOutput(t *testing.T) {
	privileged.Require(t, "ip", "cat", "ls")
	n := create(t, "out")
	dir := filepath.Join(netns.EtcDir, n.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir); os.Remove(netns.EtcDir) })
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 192.0.2.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for cmd, want := range map[string]string{
		"ls /sys/class/net":       "lo",
		"cat /etc/resolv.conf":    "nameserver 192.0.2.53",
		"ip -br link show dev lo": "UNKNOWN",
	} {
		out, err := n.Output(exec.Command("sh", "-c", cmd))
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %q; want %q", cmd, err, out, want)
		}
		if strings.Contains(string(out), "eth0") {
			t.Errorf("%s: shows links of another namespace: %q", cmd, out)
		}
	}
	if _, err := n.Output(exec.Command("sh", "-c", "echo why >&2; exit 3")); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a failing command gave %v, want its standard error", err)
	}
}

func TestPrivilegedCreateTwice(t *testing.T) {
	privileged.Require(t)
	n := create(t, "twice")
	if _, err := netns.Create(n.Name()); err == nil {
		t.Fatal("a second namespace of the same name was created")
	}
	names, err := netns.List(n.Name())
	if err != nil || len(names) != 1 {
		t.Fatalf("List = %v, %v", names, err)
	}
	if err := netns.Delete(n.Name()); err != nil {
		t.Fatal(err)
	}
	if err := netns.Delete(n.Name()); err != nil {
		t.Errorf("deleting a missing namespace: %v", err)
	}
	if _, err := netns.Open(n.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a missing namespace = %v, want fs.ErrNotExist", err)
	}
}
