package ovs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What neither the database nor OpenFlow can say to Open vSwitch goes over the control socket of its daemon: the commands of ovs-appctl(8), as JSON-RPC
// 1.0 (lib/unixctl.c).

// maxReply bounds what a daemon may answer.
const maxReply = 16 << 20

// unixctl is a connection to a daemon's control socket. Not safe for concurrent use.
type unixctl struct {
	conn net.Conn
	in   *json.Decoder
	id   uint64
}

// refusedError is a command that the daemon refuses.
type refusedError struct{ command, reason string }

func (e *refusedError) Error() string { return fmt.Sprintf("%s: %s", e.command, e.reason) }

// controlSocket gives the path of the control socket of the ovs-vswitchd whose database is at that address: they share a directory.
func controlSocket(ovsdb string) (string, error) {
	db, ok := strings.CutPrefix(ovsdb, "unix:")
	if !ok {
		return "", fmt.Errorf("the switch's control socket is looked for beside the database's, and %s is no socket", ovsdb)
	}
	dir := filepath.Dir(db)
	text, err := os.ReadFile(filepath.Join(dir, "ovs-vswitchd.pid"))
	if err != nil {
		return "", fmt.Errorf("find the switch's control socket: %w", err)
	}
	pid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return "", fmt.Errorf("find the switch's control socket: %s/ovs-vswitchd.pid holds no process id", dir)
	}
	return filepath.Join(dir, fmt.Sprintf("ovs-vswitchd.%d.ctl", pid)), nil
}

func dialUnixctl(ctx context.Context, path string) (*unixctl, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to the switch's control socket: %w", err)
	}
	return &unixctl{conn: c, in: json.NewDecoder(io.LimitReader(c, maxReply))}, nil
}

func (u *unixctl) close() { _ = u.conn.Close() }

// call runs a command and gives its output. A command that the daemon refuses is a *refusedError; after any other error the connection is of no use.
func (u *unixctl) call(ctx context.Context, command string, args ...string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = u.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	u.id++
	request, err := json.Marshal(map[string]any{"id": u.id, "method": command, "params": append([]string{}, args...)})
	if err != nil {
		return "", err
	}
	out := ""
	if _, err = u.conn.Write(request); err == nil {
		out, err = readUnixctl(u.in, u.id, command)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var refused *refusedError
	if err != nil && !errors.As(err, &refused) {
		err = fmt.Errorf("ask the switch for %s: %w", command, err)
	}
	return out, err
}

// readUnixctl reads the answer to the request of that id.
func readUnixctl(in *json.Decoder, id uint64, command string) (string, error) {
	var reply struct {
		ID     uint64  `json:"id"`
		Result *string `json:"result"`
		Error  *string `json:"error"`
	}
	if err := in.Decode(&reply); err != nil {
		return "", err
	}
	switch {
	case reply.ID != id:
		return "", fmt.Errorf("the answer is to request %d, not %d", reply.ID, id)
	case reply.Error != nil:
		return "", &refusedError{command, strings.TrimSpace(*reply.Error)}
	case reply.Result == nil:
		return "", errors.New("the answer has no result")
	}
	return *reply.Result, nil
}
