package fastpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/bpf"
)

// Folders below the directory of the pins.
const (
	mapsDir  = "maps"
	progsDir = "progs"
	linksDir = "links"
	// filtersDir has a pin of the program for each tc filter.
	filtersDir = "filters"
)

// pins is the directory, and what is open of it.
type pins struct {
	dir   string
	lock  *os.File
	maps  map[string]*ebpf.Map
	progs map[string]*ebpf.Program

	noTCX bool // tests: as on a kernel before 6.6
}

// openPins makes what is missing. Each step can be repeated, so an agent that dies here leaves nothing that the next one
// cannot go on from.
func openPins(dir string) (_ *pins, err error) {
	if err := makeDirs(dir); err != nil {
		return nil, err
	}
	p := &pins{dir: dir, maps: map[string]*ebpf.Map{}, progs: map[string]*ebpf.Program{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	spec, err := bpf.Spec()
	if err != nil {
		return nil, err
	}
	for name, m := range spec.Maps {
		p.maps[name], err = ebpf.NewMapWithOptions(m, ebpf.MapOptions{PinPath: filepath.Join(dir, mapsDir)})
		if errors.Is(err, ebpf.ErrMapIncompatible) {
			return nil, fmt.Errorf("%w: it is of another version under the same name; the fast path is gone, not the network, if %s is removed", err, dir)
		}
		if err != nil {
			return nil, err
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: p.maps})
	if err != nil {
		return nil, fmt.Errorf("load programs: %w", err)
	}
	defer coll.Close()
	for name := range spec.Programs {
		if p.progs[name], err = p.program(name, coll.DetachProgram(name)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// program gives the pinned program if it is the one that was just loaded, with the same maps; else it pins the new one in
// its place.
func (p *pins) program(name string, loaded *ebpf.Program) (*ebpf.Program, error) {
	path := filepath.Join(p.dir, progsDir, name)
	pinned, err := ebpf.LoadPinnedProgram(path, nil)
	switch {
	case err == nil:
		same, err := sameProgram(pinned, loaded)
		if same {
			return pinned, loaded.Close()
		}
		if err := errors.Join(err, pinned.Close()); err != nil {
			return nil, errors.Join(fmt.Errorf("compare with pinned program %s: %w", path, err), loaded.Close())
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, errors.Join(fmt.Errorf("open pinned program %s: %w", path, err), loaded.Close())
	}

	next := path + "_next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, loaded.Close())
	}
	if err := loaded.Pin(next); err != nil {
		return nil, errors.Join(fmt.Errorf("pin program %s: %w", name, err), loaded.Close())
	}
	if err := os.Rename(next, path); err != nil {
		return nil, errors.Join(fmt.Errorf("pin program %s: %w", name, err), loaded.Close())
	}
	return loaded, nil
}

func sameProgram(a, b *ebpf.Program) (bool, error) {
	x, err := a.Info()
	if err != nil {
		return false, err
	}
	y, err := b.Info()
	if err != nil {
		return false, err
	}
	xMaps, _ := x.MapIDs()
	yMaps, _ := y.MapIDs()
	return x.Tag == y.Tag && x.Type == y.Type && slices.Equal(xMaps, yMaps), nil
}

func (p *pins) close() error {
	var errs []error
	for _, m := range p.maps {
		errs = append(errs, m.Close())
	}
	for _, g := range p.progs {
		errs = append(errs, g.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

func (p *pins) kernel() kernel {
	return kernel{
		ports:     portsTable(p.maps[bpf.PortsMap], p.maps[bpf.BucketsMap]),
		sources:   sourcesTable(p.maps[bpf.SourcesMap], p.maps[bpf.Sources6Map]),
		neighbors: neighborsTable(p.maps[bpf.NeighborsMap], p.maps[bpf.Neighbor6Map]),
		limits:    limitsTable(p.maps[bpf.LimitsMap]),
		simulated: simulatedTable(p.maps[bpf.SimulatedMap]),
		links:     p,
	}
}

// prune removes the pins of maps and programs that this version does not have.
func (p *pins) prune() ([]string, error) {
	var gone []string
	stale := func(folder string, known func(string) bool) error {
		entries, err := os.ReadDir(filepath.Join(p.dir, folder))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if known(e.Name()) {
				continue
			}
			if err := os.Remove(filepath.Join(p.dir, folder, e.Name())); err != nil {
				return err
			}
			gone = append(gone, filepath.Join(folder, e.Name()))
		}
		return nil
	}
	err := errors.Join(
		stale(mapsDir, func(n string) bool { return p.maps[n] != nil }),
		stale(progsDir, func(n string) bool { return p.progs[n] != nil }),
	)
	if err != nil {
		return gone, fmt.Errorf("remove pins of another version: %w", err)
	}
	return gone, nil
}

// makeDirs makes the directory and its folders, on a bpf file system only.
func makeDirs(dir string) error {
	at := filepath.Clean(dir)
	for {
		var st unix.Statfs_t
		err := unix.Statfs(at, &st)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			at = filepath.Dir(at)
			continue
		}
		if err != nil {
			return fmt.Errorf("statfs %s: %w", at, err)
		}
		if st.Type != unix.BPF_FS_MAGIC {
			return fmt.Errorf("%s is not on a bpf file system (mount -t bpf bpf DIR makes one)", at)
		}
		break
	}
	for _, folder := range []string{mapsDir, progsDir, linksDir, filtersDir} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// lockDir keeps others out for as long as the file is open, that is until this process ends at the latest.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another process has it open")
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
