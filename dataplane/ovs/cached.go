package ovs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
)

// Cached mends what Open vSwitch before 3.3 has cached of the flows for a userspace datapath. Where cached flows overlap, it may write the new actions
// of one into the other and take both for right, so that one does what flows say that are long gone, for as long as packets use it: it looks for the
// cached flow by a packet, which both match (lib/dpif-netdev.c, flow_put_on_pmd; discussed upstream until August 2023). A kernel datapath looks by
// identity. Which one is wrong does not show: when some were written to, all are forgotten, and each conversation's next packet makes its own again.
//
// Its calls are for one goroutine. It connects when it has to; the caller closes it.
type Cached struct {
	ovsdb   string
	conn    *unixctl.Conn // nil before the first call and after an error
	mended  bool          // once, over this connection
	written uint64        // cached flows that had been written to then
}

// ErrSound says that a switch needs no Cached.
var ErrSound = errors.New("the switch writes to the right ones of its cached flows")

// NewCached gives the driver for the switch whose database has that address, a unix socket: the daemon's control socket is beside it.
func NewCached(ovsdb string) *Cached { return &Cached{ovsdb: ovsdb} }

// Close ends the connection, if there is one.
func (c *Cached) Close() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn, c.mended = nil, false
	return conn.Close()
}

// Mend has all forgotten that is cached if some of it has been written to since the last call, or if nobody knows, as at first. It gives how many cached
// flows that were, 0 if they stay, and ErrSound if the switch need not be asked again as long as it runs. What a thread of the daemon has written shows
// within 1.5 s. A daemon with datapaths of both kinds is refused: it does not tell apart what it writes to them.
func (c *Cached) Mend(ctx context.Context) (int, error) {
	n, err := c.mend(ctx)
	if err != nil {
		_ = c.Close() // of no use any more, or of none at all
	}
	return n, err
}

func (c *Cached) mend(ctx context.Context) (int, error) {
	if err := c.dial(ctx); err != nil {
		return 0, err
	}
	out, err := c.conn.Call(ctx, "coverage/read-counter", "dpif_flow_put") // packets make cached flows without it
	if err != nil {
		return 0, err
	}
	written, err := strconv.ParseUint(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("coverage/read-counter: %w", err)
	}
	if c.mended && written == c.written {
		return 0, nil
	}
	if out, err = c.conn.Call(ctx, "upcall/show"); err != nil {
		return 0, err
	}
	flows, err := readUpcalls(out)
	if err != nil {
		return 0, err
	}
	if _, err := c.conn.Call(ctx, "revalidator/purge"); err != nil {
		return 0, err
	}
	c.mended, c.written = true, written
	return flows, nil
}

// dial connects if that is not done, and asks the daemon for its version.
func (c *Cached) dial(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	path, err := controlSocket(c.ovsdb)
	if err != nil {
		return err
	}
	if c.conn, err = unixctl.Dial(ctx, path); err != nil {
		return err
	}
	version, err := c.conn.Call(ctx, "version")
	if err == nil && sound(version) {
		err = ErrSound
	}
	return err
}

var versionWords = regexp.MustCompile(`\(Open vSwitch\) (\d+)\.(\d+)`)

// sound reports whether a daemon that calls itself so looks for cached flows by identity. Before 3.3 some releases may, which are not told apart.
func sound(version string) bool {
	m := versionWords.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return err1 == nil && err2 == nil && (major > 3 || major == 3 && minor >= 3)
}

var (
	datapathLine = regexp.MustCompile(`(?m)^(\w+)@\S+:$`)
	currentFlows = regexp.MustCompile(`\(current (\d+)\)`)
)

// readUpcalls takes from upcall/show how many flows are cached in the daemon's datapath, which must be a userspace datapath and the only one.
func readUpcalls(text string) (int, error) {
	names := datapathLine.FindAllStringSubmatch(text, -1)
	m := currentFlows.FindStringSubmatch(text)
	switch {
	case len(names) > 1:
		return 0, errors.New("the switch has several datapaths, and what it writes to one's cached flows is not told apart")
	case len(names) == 0 || m == nil:
		return 0, fmt.Errorf("upcall/show does not say how many flows are cached: %q", text)
	case names[0][1] == "system":
		return 0, ErrSound
	}
	return strconv.Atoi(m[1])
}
