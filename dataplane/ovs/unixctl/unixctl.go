// Package unixctl asks a daemon of Open vSwitch for the commands of ovs-appctl(8) over its control socket, without a process for each. The
// protocol is JSON-RPC 1.0 (lib/unixctl.c of Open vSwitch).
//
// It knows no command. Imported by dataplane/ovs, for what neither the database nor OpenFlow can say, and by testenv.
package unixctl

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

// maxReply bounds what a daemon may answer to one command, in bytes.
const maxReply = 16 << 20

// Conn is a connection to a control socket. Calls from several goroutines go one after the other.
type Conn struct {
	name string

	mu     sync.Mutex
	conn   net.Conn
	limit  *io.LimitedReader
	in     *json.Decoder
	id     uint64
	broken error // why the connection cannot be used any more
}

// RefusedError is what the daemon answers to a command that it refuses.
type RefusedError struct {
	Command string
	Reason  string
}

// Error gives the daemon's reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Reason) }

// Socket gives the path of the control socket of a daemon that runs in a directory, such as "ovs-vswitchd".
func Socket(dir, daemon string, pid int) string {
	return filepath.Join(dir, fmt.Sprintf("%s.%d.ctl", daemon, pid))
}

// Dial connects to the control socket at path. The caller closes the connection.
func Dial(ctx context.Context, path string) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to the control socket: %w", err)
	}
	limit := &io.LimitedReader{R: c}
	return &Conn{name: filepath.Base(path), conn: c, limit: limit, in: json.NewDecoder(limit)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Call runs a command and gives its output. A command that the daemon refuses is a *RefusedError; after any other error
// the connection is of no use any more.
func (c *Conn) Call(ctx context.Context, command string, args ...string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return "", c.broken
	}
	out, err := c.call(ctx, command, args)
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) {
		return out, err
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case c.limit.N <= 0:
		err = fmt.Errorf("the answer is longer than %d bytes", maxReply)
	case errors.Is(err, io.EOF):
		err = errors.New("the daemon closed the connection")
	}
	c.broken = fmt.Errorf("%s on %s: %w", command, c.name, err)
	return "", c.broken
}

func (c *Conn) call(ctx context.Context, command string, args []string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.id++
	request, err := json.Marshal(map[string]any{"id": c.id, "method": command, "params": append([]string{}, args...)}) // null is no list
	if err != nil {
		return "", err
	}
	if _, err := c.conn.Write(request); err != nil {
		return "", err
	}
	c.limit.N = maxReply
	return readReply(c.in, c.id, command)
}

// readReply takes the next reply, which must be that to the request id.
func readReply(in *json.Decoder, id uint64, command string) (string, error) {
	var r struct {
		ID     uint64  `json:"id"`
		Result *string `json:"result"`
		Error  *string `json:"error"`
	}
	if err := in.Decode(&r); err != nil {
		return "", err
	}
	switch {
	case r.ID != id:
		return "", fmt.Errorf("the daemon answered request %d, not %d", r.ID, id)
	case r.Error != nil:
		return "", &RefusedError{command, strings.TrimSpace(*r.Error)}
	case r.Result == nil:
		return "", errors.New("the daemon answered without a result")
	}
	return *r.Result, nil
}
