// Package netns creates, enters and deletes named network namespaces, the ones that "ip netns" shows, and reads and writes the raw frames of a link there. It knows
// neither labs nor links beyond "lo"; vishvananda/netlink does the rest through NS.Link. testenv and tests import it.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Dir is where iproute2 keeps named namespaces, each a bind mount of an nsfs file.
const Dir = "/run/netns"

// NS is an open network namespace. Its methods may be called concurrently. Close it when done; the namespace itself
// lives until Delete and until no process is left in it.
type NS struct {
	name string
	fd   vns.NsHandle
}

// Create makes the namespace and sets its "lo" up. A namespace of that name that exists already is an error.
func Create(name string) (*NS, error) {
	if err := mountDir(); err != nil {
		return nil, fmt.Errorf("create network namespace %s: %w", name, err)
	}
	var fd vns.NsHandle
	err := onThread(func() error {
		var err error
		fd, err = vns.NewNamed(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create network namespace %s: %w", name, err)
	}
	n := &NS{name: name, fd: fd}
	err = n.Link(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set lo up in network namespace %s: %w", name, err), n.Close(), Delete(name))
	}
	return n, nil
}

// mountDir makes Dir a mount of its own whose mounts other mount namespaces share, as "ip netns add" does. What was mounted in it before would be hidden if somebody
// did that later, so that it could not be deleted.
func mountDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil { //nolint:gosec // as iproute2 makes it
		return err
	}
	err := unix.Mount("", Dir, "", unix.MS_SHARED|unix.MS_REC, "")
	if err == unix.EINVAL { // no mount yet
		if err := unix.Mount(Dir, Dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s over itself: %w", Dir, err)
		}
		err = unix.Mount("", Dir, "", unix.MS_SHARED|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("share the mounts of %s: %w", Dir, err)
	}
	return nil
}

// Open opens an existing namespace. A missing one, or a file that an interrupted Create left without a namespace,
// gives an error that is fs.ErrNotExist.
func Open(name string) (*NS, error) {
	fd, err := vns.GetFromPath(filepath.Join(Dir, name))
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(fd), &st); err != nil || st.Type != unix.NSFS_MAGIC {
		fd.Close()
		return nil, fmt.Errorf("open network namespace %s: nothing is mounted there: %w", name, errors.Join(fs.ErrNotExist, err))
	}
	return &NS{name: name, fd: fd}, nil
}

// Delete removes the name; one that does not exist is no error. The kernel destroys the namespace and its links soon
// after the last process in it has gone.
func Delete(name string) error {
	path := filepath.Join(Dir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	return nil
}

// List gives the names that begin with prefix, sorted.
func List(prefix string) ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Name is the name under Dir.
func (n *NS) Name() string { return n.name }

// FD is the open descriptor, as netlink.NsFd and setns(2) take it; it is valid until Close.
func (n *NS) FD() int { return int(n.fd) }

// Inode identifies the namespace: /proc/PID/ns/net of a process in it has the same inode number.
func (n *NS) Inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(n.fd), &st); err != nil {
		return 0, fmt.Errorf("stat network namespace %s: %w", n.name, err)
	}
	return st.Ino, nil
}

// Close closes the descriptor.
func (n *NS) Close() error { return n.fd.Close() }

// Do runs fn with the calling goroutine's thread inside the namespace, and brings the thread back, also when fn ends
// the goroutine (t.Fatal). Goroutines that fn starts are not inside.
func (n *NS) Do(fn func() error) error {
	return onThread(func() error {
		if err := vns.Set(n.fd); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.name, err)
		}
		return fn()
	})
}

// Link runs fn with a netlink (rtnetlink) socket that is inside the namespace.
func (n *NS) Link(fn func(h *netlink.Handle) error) error {
	h, err := netlink.NewHandleAt(n.fd, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink in network namespace %s: %w", n.name, err)
	}
	defer h.Close()
	return fn(h)
}

// Sysctl writes values to files below /proc/sys inside the namespace, in order; names are paths such as
// "net/ipv4/ip_forward".
func (n *NS) Sysctl(settings ...Setting) error {
	return n.Do(func() error {
		for _, s := range settings {
			if err := os.WriteFile(filepath.Join("/proc/sys", s.Name), []byte(s.Value), 0); err != nil {
				return fmt.Errorf("set sysctl in network namespace %s: %w", n.name, err)
			}
		}
		return nil
	})
}

// Setting is one sysctl: a path below /proc/sys and its value.
type Setting struct{ Name, Value string }

// onThread runs fn on a locked thread and restores the thread's network namespace. A thread that cannot be restored
// stays locked, so that the runtime ends it together with the goroutine instead of giving it other work.
func onThread(fn func() error) error {
	runtime.LockOSThread()
	home, err := vns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the thread's network namespace: %w", err)
	}
	defer func() {
		if vns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	}()
	return fn()
}
