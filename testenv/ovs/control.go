package ovs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Control is a connection to the control socket of a daemon, where ovs-appctl's commands are asked for without a process
// for each. The protocol is JSON-RPC 1.0 (ovs-appctl(8), lib/unixctl.c of Open vSwitch). Calls from several goroutines go
// one after the other.
type Control struct {
	name string

	mu     sync.Mutex
	conn   net.Conn
	in     *json.Decoder
	id     uint64
	broken error // why the connection cannot be used any more
}

// CommandError is what the daemon answers to a command that it refuses.
type CommandError struct {
	Command string
	Reason  string
}

// Error gives the daemon's reason.
func (e *CommandError) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Reason) }

// Control connects to the control socket of a daemon that runs. The caller closes the connection.
func (i *Instance) Control(ctx context.Context, d Daemon) (*Control, error) {
	r, err := i.Record(d)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("ovs-vswitchd.%d.ctl", r.PID)
	if d == Database {
		name = fmt.Sprintf("ovsdb-server.%d.ctl", r.PID)
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", filepath.Join(i.o.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("connect to the control socket: %w", err)
	}
	return &Control{name: name, conn: c, in: json.NewDecoder(c)}, nil
}

// Close ends the connection.
func (c *Control) Close() error { return c.conn.Close() }

type controlRequest struct {
	ID     uint64   `json:"id"`
	Method string   `json:"method"`
	Params []string `json:"params"`
}

type controlReply struct {
	ID     uint64  `json:"id"`
	Result *string `json:"result"`
	Error  *string `json:"error"`
}

// Call runs a command and gives its output. A command that the daemon refuses is a *CommandError; after any other error
// the connection is of no use any more.
func (c *Control) Call(ctx context.Context, command string, args ...string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return "", c.broken
	}
	out, err := c.call(ctx, command, args)
	var refused *CommandError
	if err == nil || errors.As(err, &refused) {
		return out, err
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if errors.Is(err, io.EOF) {
		err = errors.New("the daemon closed the connection")
	}
	c.broken = fmt.Errorf("%s on %s: %w", command, c.name, err)
	return "", c.broken
}

func (c *Control) call(ctx context.Context, command string, args []string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if args == nil {
		args = []string{} // null is no list
	}
	c.id++
	b, err := json.Marshal(controlRequest{c.id, command, args})
	if err != nil {
		return "", err
	}
	if _, err := c.conn.Write(b); err != nil {
		return "", err
	}
	return readReply(c.in, c.id, command)
}

// readReply takes the next reply, which must be that to the request id.
func readReply(in *json.Decoder, id uint64, command string) (string, error) {
	var r controlReply
	if err := in.Decode(&r); err != nil {
		return "", err
	}
	switch {
	case r.ID != id:
		return "", fmt.Errorf("the daemon answered request %d, not %d", r.ID, id)
	case r.Error != nil:
		return "", &CommandError{command, strings.TrimSpace(*r.Error)}
	case r.Result == nil:
		return "", errors.New("the daemon answered without a result")
	}
	return *r.Result, nil
}
