package ovs

import (
	"context"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
)

// Control connects to the control socket of a daemon that runs. The caller closes the connection.
func (i *Instance) Control(ctx context.Context, d Daemon) (*unixctl.Conn, error) {
	r, err := i.Record(d)
	if err != nil {
		return nil, err
	}
	name := "ovs-vswitchd"
	if d == Database {
		name = "ovsdb-server"
	}
	return unixctl.Dial(ctx, unixctl.Socket(i.o.Dir, name, r.PID))
}
