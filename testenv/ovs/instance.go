// Package ovs runs Open vSwitch instances of their own directory, beside each other and beside the system's: for labs
// in a network namespace with the userspace or the kernel datapath, for tests as a sandbox with the dummy datapath,
// where ofproto/trace answers without any device. It configures nothing but what a sandbox needs; hosts of a lab are
// provisioned by deploy/host.sh. testenv/lab and tests import it.
package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Daemon is one of the two processes of an instance.
type Daemon string

// The daemons.
const (
	Database Daemon = "ovsdb"    // ovsdb-server
	Switch   Daemon = "vswitchd" // ovs-vswitchd
)

// Programs are those that must be in $PATH.
var Programs = []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl"}

// Schema is the database schema where Debian's and Fedora's packages install it.
const Schema = "/usr/share/openvswitch/vswitch.ovsschema"

// maxDir keeps DIR/ovs-vswitchd.4194304.ctl within the 107 characters of a unix socket's path (unix(7)).
const maxDir = 107 - len("/ovs-vswitchd.4194304.ctl")

// Options describe an instance.
type Options struct {
	Dir     string       // required; sockets, pid files, database and logs, at most 82 characters
	NS      *netns.NS    // optional; the namespace that the daemons run in
	Dummy   bool         // optional; all datapaths and ports are dummies, no root needed
	Tunnels bool         // optional; with Dummy: but not tunnel ports, which encapsulate for real
	Session proc.Session // optional
	Env     []string     // optional; added to the daemons' environment
}

// Instance is one Open vSwitch. It holds no open resource: another program may open the same directory. Start, Stop and
// Kill of the same instance must not run concurrently; everything else may.
type Instance struct{ o Options }

// Open gives the instance of a directory, running or not.
func Open(o Options) (*Instance, error) {
	if len(o.Dir) > maxDir {
		return nil, fmt.Errorf("the directory %s of an Open vSwitch is longer than %d characters, too long for its sockets", o.Dir, maxDir)
	}
	return &Instance{o}, nil
}

// DB is the database's remote, as ovs-vsctl --db and OVSDB clients take it.
func (i *Instance) DB() string { return "unix:" + filepath.Join(i.o.Dir, "db.sock") }

// Mgmt is the OpenFlow remote of a bridge, as ovs-ofctl takes it.
func (i *Instance) Mgmt(bridge string) string {
	return "unix:" + filepath.Join(i.o.Dir, bridge+".mgmt")
}

// Env makes ovs-vsctl, ovs-ofctl and ovs-appctl talk to this instance.
func (i *Instance) Env() []string {
	return []string{"OVS_RUNDIR=" + i.o.Dir, "OVS_DBDIR=" + i.o.Dir, "OVS_LOGDIR=" + i.o.Dir, "OVS_SYSCONFDIR=" + i.o.Dir}
}

// Log is the log file of a daemon.
func (i *Instance) Log(d Daemon) string { return filepath.Join(i.o.Dir, string(d)+".log") }

// Record is the process record of a daemon; fs.ErrNotExist before its first start.
func (i *Instance) Record(d Daemon) (proc.Record, error) { return proc.Load(i.record(d)) }

func (i *Instance) record(d Daemon) string { return filepath.Join(i.o.Dir, string(d)+".json") }

// Start starts what does not run, the database first (created when there is none), and returns when both
// answer on their control sockets. The error carries the end of the log of the daemon that failed.
func (i *Instance) Start(ctx context.Context) error {
	if err := i.StartDaemon(ctx, Database); err != nil {
		return err
	}
	return i.StartDaemon(ctx, Switch)
}

// StartDaemon is Start for one daemon. The switch alone starts, too, and waits by itself for its database.
func (i *Instance) StartDaemon(ctx context.Context, d Daemon) error {
	if r, err := i.Record(d); err == nil && r.Alive() {
		return nil
	}
	if err := os.MkdirAll(i.o.Dir, 0o755); err != nil {
		return err
	}
	args := []string{"ovsdb-server", i.o.Dir + "/conf.db", "--remote=p" + i.DB()}
	if d == Switch {
		args = []string{"ovs-vswitchd", i.DB()}
		if i.o.Dummy {
			replace := "override" // every type of port
			if i.o.Tunnels {
				replace = "system"
			}
			args = append(args, "--enable-dummy="+replace, "--disable-system", "--disable-system-route")
		}
	} else if err := i.createDB(ctx); err != nil {
		return err
	}
	args = append(args, "--pidfile", "-vsyslog:off", "-vconsole:info")
	r, err := proc.Start(proc.Spec{
		Args: args, Env: append(i.Env(), i.o.Env...), Log: i.Log(d), Record: i.record(d), NS: i.o.NS, Session: i.o.Session,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("no answer within 30 s"))
	defer cancel()
	gone := false
	err = wait.Until(ctx, 2*time.Millisecond, func() error {
		if gone = !r.Alive(); gone {
			return nil
		}
		return i.answers(d, r.PID)
	})
	if gone {
		err = proc.ErrGone
	}
	if err != nil {
		return fmt.Errorf("start %s in %s: %w\n%s", args[0], i.o.Dir, err, Tail(i.Log(d), 5))
	}
	return nil
}

// answers dials the sockets that show that a daemon serves: for the database also the one of its clients.
func (i *Instance) answers(d Daemon, pid int) error {
	sockets := []string{fmt.Sprintf("ovs-vswitchd.%d.ctl", pid)}
	if d == Database {
		sockets = []string{fmt.Sprintf("ovsdb-server.%d.ctl", pid), "db.sock"}
	}
	for _, s := range sockets {
		c, err := net.Dial("unix", filepath.Join(i.o.Dir, s))
		if err != nil {
			return err
		}
		c.Close()
	}
	return nil
}

func (i *Instance) createDB(ctx context.Context) error {
	db := i.o.Dir + "/conf.db"
	if _, err := os.Stat(db); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := i.tool(ctx, "ovsdb-tool", "create", db, Schema)
	return err
}

// Stop ends both daemons with SIGTERM, the switch first, and waits. One that does not run is no error.
func (i *Instance) Stop(ctx context.Context) error {
	return errors.Join(i.StopDaemon(ctx, Switch), i.StopDaemon(ctx, Database))
}

// StopDaemon is Stop for one daemon.
func (i *Instance) StopDaemon(ctx context.Context, d Daemon) error {
	return i.end(d, func(r proc.Record) error { return r.Stop(ctx) })
}

// Kill ends both daemons with SIGKILL and waits.
func (i *Instance) Kill(ctx context.Context) error {
	return errors.Join(i.KillDaemon(ctx, Switch), i.KillDaemon(ctx, Database))
}

// KillDaemon is Kill for one daemon.
func (i *Instance) KillDaemon(ctx context.Context, d Daemon) error {
	return i.end(d, func(r proc.Record) error { return r.Kill(ctx) })
}

func (i *Instance) end(d Daemon, end func(proc.Record) error) error {
	r, err := i.Record(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return end(r)
}

// Vsctl runs ovs-vsctl on the instance's database, waiting at most 20 s for the switch to take the change over, and
// gives its output.
func (i *Instance) Vsctl(ctx context.Context, args ...string) (string, error) {
	return i.tool(ctx, "ovs-vsctl", append([]string{"--timeout=20", "--db=" + i.DB()}, args...)...)
}

// Ofctl runs ovs-ofctl with OpenFlow 1.5 allowed; name bridges plainly ("br0").
func (i *Instance) Ofctl(ctx context.Context, args ...string) (string, error) {
	return i.tool(ctx, "ovs-ofctl", append([]string{"--timeout=20", "-O", "OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15"}, args...)...)
}

// Appctl runs ovs-appctl on ovs-vswitchd.
func (i *Instance) Appctl(ctx context.Context, args ...string) (string, error) {
	return i.tool(ctx, "ovs-appctl", append([]string{"--timeout=20", "-t", "ovs-vswitchd"}, args...)...)
}

// Trace asks ofproto/trace what the bridge does with a packet in the syntax of ovs-fields(7), such as
// "in_port=p1,dl_src=...,icmp"; options such as "--names" or "-generate" follow. The answer's last line holds the
// datapath actions.
func (i *Instance) Trace(ctx context.Context, bridge, flow string, options ...string) (string, error) {
	return i.Appctl(ctx, append([]string{"ofproto/trace", bridge, flow}, options...)...)
}

func (i *Instance) tool(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), i.Env()...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}

// Tail gives the last n lines of a log, or "" when it cannot be read: it goes into error messages.
func Tail(path string, n int) string {
	b, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
