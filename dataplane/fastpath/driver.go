// Package fastpath is the driver that brings the fast path's desired state into the kernel: it loads the programs of package
// bpf, attaches them to guests' ports, and fills their maps. Everything is pinned in a directory on a bpf file system, so it
// goes on without the agent, and the next agent finds it there: the pins and the kernel are all the memory that there is.
//
// It decides nothing about networks (dataplane/compile does) and knows no other way of a packet than "not mine". The agent
// imports it, and vnctl for Reader.
//
// Below the directory: maps/<name>, progs/<name>, links/<port>-<ifindex>, and filters/<port>-<ifindex> on a kernel without tcx.
// Remove detaches everything; so does removing the directory, but for filters.
package fastpath

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/link"
)

// Options of Open.
type Options struct {
	Dir    string       // required: on a mounted bpf file system, one per bridge; made if it is not there; no dots in what is below the mount
	Logger *slog.Logger // optional: discards
}

// Driver brings desired state into the kernel. Only Dump and Counters may be called while another method runs. It acts in
// the network namespace of the calling thread.
type Driver struct {
	log    *slog.Logger
	pins   *pins
	kernel kernel
	reader *Reader

	synced   bool
	attached map[int]attachment // by ifindex: what the pins said at the last Sync, and what was done since
	ifindex  map[string]int     // of each of those, by name of the port
}

// Open loads the maps and programs, or opens those that are pinned. It attaches nothing and removes nothing; Sync does. A
// pinned program of another version is replaced, and Sync moves the ports to the new one. Errors: Dir is not on a bpf file
// system, another process has it open, or a pinned map is not what the programs need.
func Open(o Options) (*Driver, error) {
	if o.Dir == "" {
		return nil, errors.New("open fast path: Dir is not given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := openPins(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open fast path in %s: %w", o.Dir, err)
	}
	d := newDriver(o, p.kernel())
	d.pins = p
	d.reader = &Reader{dir: o.Dir, maps: p.maps}
	return d, nil
}

func newDriver(o Options, k kernel) *Driver {
	return &Driver{log: o.Logger, kernel: k, attached: map[int]attachment{}, ifindex: map[string]int{}}
}

// Close lets go of the directory and leaves everything in the kernel as it is.
func (d *Driver) Close() error { return d.pins.close() }

// Dump reads back what is in the kernel.
func (d *Driver) Dump() (*Dump, error) { return d.reader.Dump() }

// Counters reads the counters of the programs.
func (d *Driver) Counters() ([]Counter, error) { return d.reader.Counters() }

// Remove detaches all programs and removes the directory with all pins. No Driver may have it open. A directory that
// does not exist is no error.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("remove fast path in %s: %w", dir, err)
	}
	defer lock.Close()
	// Without a pin the kernel detaches a program in its own time; this does it now.
	links, _ := os.ReadDir(filepath.Join(dir, linksDir))
	for _, e := range links {
		if l, err := link.LoadPinnedLink(filepath.Join(dir, linksDir, e.Name()), nil); err == nil {
			_ = errors.Join(l.Detach(), l.Close())
		}
	}
	filters, _ := readFilters(dir)
	for _, f := range filters {
		if !f.gone {
			_ = detachFilter(f.ifindex)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove fast path in %s: %w", dir, err)
	}
	return nil
}
