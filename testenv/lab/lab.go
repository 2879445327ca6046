package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// DefaultRoot is where labs are kept.
const DefaultRoot = "/run/vnlab"

// DefaultAPI is where a lab's manager answers on the machine.
const DefaultAPI = "127.0.0.1:9090"

// Names below a lab's directory.
const (
	bpffsDir    = "bpffs"
	scriptsDir  = "scripts"
	managerName = "vnmgr" // also the name of the manager in commands
	stateFile   = "state.json"
)

var (
	// ErrNoLab says that there is no lab of that name.
	ErrNoLab = errors.New("no such lab")
	// ErrIsUp says that the lab exists already.
	ErrIsUp = errors.New("the lab is up already")
	// ErrBusy says that another program is changing the lab.
	ErrBusy = errors.New("another program is at work on the lab")
)

// Lab is a lab on this machine. Its methods may be called concurrently, also from several programs: those that change
// what is plugged where, and Down, wait for each other.
type Lab struct {
	root string
	dir  string
	tag  string
	st   state
}

// phase tells whether a lab is whole. One that is not "up" belongs to the program that holds its lock, or is a
// leftover.
type phase string

const (
	phaseStarting phase = "starting"
	phaseUp       phase = "up"
)

// state is what is written to disk, atomically. Processes have records of their own beside their logs.
type state struct {
	Phase     phase             `json:"phase"`
	Created   time.Time         `json:"created"`
	API       string            `json:"api"`
	Bin       string            `json:"bin,omitempty"` // directory of vnmgr and vna
	Datapath  Datapath          `json:"datapath"`
	Placement map[string]string `json:"placement"`          // guest -> host that it is plugged into, "" for none
	Migrated  map[string]int    `json:"migrated,omitempty"` // live guest -> how many times
	Spec      Spec              `json:"spec"`
}

func newLab(root, name string) *Lab {
	if root == "" {
		root = DefaultRoot
	}
	sum := sha256.Sum256([]byte(root + "\x00" + name))
	return &Lab{root: root, dir: filepath.Join(root, name), tag: hex.EncodeToString(sum[:3])}
}

// Open gives a lab that is up (ErrNoLab otherwise). root is Options.Root.
func Open(root, name string) (*Lab, error) {
	l := newLab(root, name)
	if err := l.load(); err != nil {
		return nil, err
	}
	if l.st.Phase != phaseUp {
		return nil, fmt.Errorf("%w: %s is only half built: \"vnlab down %s\" removes it", ErrNoLab, name, name)
	}
	return l, nil
}

// Names lists the labs below root, whole and half built, sorted.
func Names(root string) ([]string, error) {
	if root == "" {
		root = DefaultRoot
	}
	files, err := filepath.Glob(filepath.Join(root, "*", stateFile))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Base(filepath.Dir(f))
	}
	return names, nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return filepath.Base(l.dir) }

// Spec is the description that the lab was built from, with defaults filled in.
func (l *Lab) Spec() Spec { return l.st.Spec }

// Tag is in the names of all that the lab has on the machine: namespaces and links begin with "vl<tag>".
func (l *Lab) Tag() string { return l.tag }

// API is the host:port where the manager answers on this machine.
func (l *Lab) API() string { return l.st.API }

// ManagerURL is where hosts reach the manager, through the management network.
func (l *Lab) ManagerURL() string {
	return "http://" + netip.AddrPortFrom(l.managerAddr(), managerPort).String()
}

// Dir is the directory of a node (host, guest, router, machine) or, with "vnmgr", of the manager.
func (l *Lab) Dir(node string) string { return filepath.Join(l.dir, node) }

// OVS is the Open vSwitch of a host.
func (l *Lab) OVS(host string) (*ovs.Instance, error) {
	if l.st.Spec.host(host) == nil {
		return nil, fmt.Errorf("%q is not a host of lab %s", host, l.Name())
	}
	ns, err := l.open(host)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return l.instance(host, nil)
}

// instance is OVS with the namespace that its daemons are to be started in.
func (l *Lab) instance(host string, ns *netns.NS) (*ovs.Instance, error) {
	return ovs.Open(ovs.Options{Dir: l.path(host, "ovs"), NS: ns, Env: l.mark()})
}

func (l *Lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// nsName is the name of the namespace of a node. Nodes have no '.' in their names.
func (l *Lab) nsName(node string) string { return "vl" + l.tag + "-" + node }

// netName is the name of the namespace that holds the underlays.
func (l *Lab) netName() string { return "vl" + l.tag + "..net" }

// rootLink is the manager's leg in the namespace of the machine.
func (l *Lab) rootLink() string { return "vl" + l.tag + "m" }

// open opens the namespace of a node, or for an underlay the one that holds them all.
func (l *Lab) open(node string) (*netns.NS, error) {
	if l.st.Spec.underlay(node) != nil {
		return netns.Open(l.netName())
	}
	return netns.Open(l.nsName(node))
}

// mark is in the environment of every process of the lab, and tells them apart from those of others.
func (l *Lab) mark() []string { return []string{"VNLAB_TAG=" + l.tag} }

func (l *Lab) save() error {
	b, err := json.MarshalIndent(l.st, "", "  ")
	if err != nil {
		return err
	}
	if err := proc.WriteFile(l.path(stateFile), append(b, '\n')); err != nil {
		return fmt.Errorf("write the state of lab %s: %w", l.Name(), err)
	}
	return nil
}

func (l *Lab) load() error {
	b, err := os.ReadFile(l.path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNoLab, l.Name())
	} else if err != nil {
		return fmt.Errorf("read the state of lab %s: %w", l.Name(), err)
	}
	if err := json.Unmarshal(b, &l.st); err != nil {
		return fmt.Errorf("read the state of lab %s: %w", l.Name(), err)
	}
	return nil
}

// lock takes the lab for one program, waiting at most 10 s; ErrBusy after that. unlock gives it back; the one who has
// removed the lab sets gone, so that the lock's file goes too.
func (l *Lab) lock(ctx context.Context) (unlock func(gone bool), err error) {
	if err := os.MkdirAll(l.root, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(l.root, "."+l.Name()+".lock")
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, ErrBusy)
	defer cancel()
	var f *os.File
	err = wait.Until(ctx, 20*time.Millisecond, func() error {
		f, err = tryLock(path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lock lab %s: %w", l.Name(), err)
	}
	return func(gone bool) {
		if gone {
			os.Remove(path)
			os.Remove(l.root) // unless there are other labs
		}
		f.Close()
	}, nil
}

// tryLock locks the file that is at path now: the one it opened may have been removed by the last holder.
func tryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 16)
		n, _ := f.ReadAt(holder, 0)
		f.Close()
		return nil, fmt.Errorf("process %s holds %s", strings.TrimSpace(string(holder[:n])), path)
	}
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, errors.Join(errors.New("the lock was removed while it was taken"), err)
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%-15d", os.Getpid()), 0)
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
