package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Down removes a lab: processes, also those that were started in its namespaces by hand, namespaces, links, mounts
// and files.
func (l *Lab) Down(ctx context.Context) error { return Remove(ctx, l.root, l.Name()) }

// Remove is Down by name, also for a half built lab or one whose state cannot be read; ErrNoLab when nothing is there.
func Remove(ctx context.Context, root, name string) error {
	l := newLab(root, name)
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	gone := false
	defer func() { unlock(gone) }()
	left, err := l.leftovers()
	if err != nil {
		return err
	}
	if !left {
		gone = true
		return fmt.Errorf("%w: %s", ErrNoLab, name)
	}
	if err := l.sweep(ctx); err != nil {
		return fmt.Errorf("remove lab %s: %w", name, err)
	}
	gone = true
	return nil
}

// leftovers reports whether anything of the lab is on the machine.
func (l *Lab) leftovers() (bool, error) {
	if _, err := os.Stat(l.dir); err == nil {
		return true, nil
	}
	if _, err := os.Stat(filepath.Join("/sys/class/net", l.rootLink())); err == nil {
		return true, nil
	}
	namespaces, err := netns.List("vl" + l.tag)
	return len(namespaces) > 0, err
}

// sweep removes everything that bears the lab's tag. It relies on no record, so that it serves after any crash, and
// may be repeated.
func (l *Lab) sweep(ctx context.Context) error {
	namespaces, err := netns.List("vl" + l.tag)
	if err != nil {
		return err
	}
	if err := l.killAll(ctx, namespaces); err != nil {
		return err
	}
	if err := l.unmount(); err != nil {
		return err
	}
	var errs []error
	if link, err := netlink.LinkByName(l.rootLink()); err == nil {
		errs = append(errs, netlink.LinkDel(link))
	}
	for _, n := range namespaces {
		errs = append(errs, netns.Delete(n))
	}
	etc, _ := filepath.Glob(filepath.Join(netns.EtcDir, "vl"+l.tag+"-*"))
	for _, dir := range etc {
		errs = append(errs, os.RemoveAll(dir))
	}
	os.Remove(netns.EtcDir) // unless others use it
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// killAll ends every process of the lab. A process can have started another one meanwhile, so it looks until none is
// left.
func (l *Lab) killAll(ctx context.Context, namespaces []string) error {
	inodes := map[uint64]bool{}
	for _, name := range namespaces {
		ns, err := netns.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		inode, err := ns.Inode()
		ns.Close()
		if err == nil {
			inodes[inode] = true
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("processes do not end"))
	defer cancel()
	return wait.Until(ctx, 10*time.Millisecond, func() error {
		found := append(proc.FindEnv(l.mark()[0]), proc.FindNetns(inodes)...)
		var left []error
		for _, p := range found {
			if err := p.Signal(unix.SIGKILL); !errors.Is(err, proc.ErrGone) {
				left = append(left, errors.Join(fmt.Errorf("process %d %s", p.PID, strings.Join(p.Args, " ")), err))
			}
		}
		return errors.Join(left...)
	})
}

// unmount takes the lab's bpffs away, with all that is pinned there, also where another mount namespace still shows it.
func (l *Lab) unmount() error {
	dir := l.path(bpffsDir)
	for {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err == unix.ENOENT {
			return nil
		} else if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if st.Type != unix.BPF_FS_MAGIC {
			return nil
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() { // some kernels put iterators of their own there, which cannot be removed
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("unpin: %w", err)
			}
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
}
