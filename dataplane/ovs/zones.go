package ovs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
	"github.com/openvnet/openvnet/dataplane/state"
)

// ZonesOptions say which switch and datapath.
type ZonesOptions struct {
	OVSDB    string // required: address of the switch's database, a unix socket: the daemon's control socket is beside it
	Datapath string // required: the bridge's datapath_type: system, netdev, or dummy in tests
}

// Zones bounds how many conversations the zones of the datapath's connection tracker hold, and lets it take small fragments. The limits of the datapath are all its own. Sync first,
// then Apply; both from one goroutine. They connect each time. (What a zone remembers is forgotten by the Switch.)
type Zones struct {
	opts ZonesOptions
	dp   string
}

// NewZones gives the driver.
func NewZones(opts ZonesOptions) *Zones {
	typ := cmp.Or(opts.Datapath, "system")
	return &Zones{opts, typ + "@ovs-" + typ}
}

// zonesPerCall keeps commands short.
const zonesPerCall = 500

const (
	userspace = "netdev@"

	// smallestFragment is the least that the userspace datapath can be told to be the size of an IPv4 fragment, in bytes, but for the last one of a packet (IPF_V4_FRAG_SIZE_LBOUND of
	// lib/ipf.c). It takes smaller ones for invalid; its default, 1200, is more than networks with a small MTU carry. The kernel takes all.
	smallestFragment = 400
)

// Sync reads the limits that the datapath has and applies the difference to what it should have. With keep, it adds only what is missing. It gives
// how many limits that has changed.
func (z *Zones) Sync(ctx context.Context, want map[uint16]state.ZoneLimit, keep bool) (int, error) {
	u, err := z.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer u.Close()
	if strings.HasPrefix(z.dp, userspace) {
		if _, err := u.Call(ctx, "dpctl/ipf-set-min-frag", z.dp, "v4", strconv.Itoa(smallestFragment)); err != nil {
			return 0, fmt.Errorf("have the connection tracker take small fragments: %w", err)
		}
	}
	out, err := u.Call(ctx, "dpctl/ct-get-limits", z.dp)
	if err != nil {
		return 0, z.explain(err)
	}
	have, err := parseLimits(out)
	if err != nil {
		return 0, err
	}
	d := zoneDifference(want, have, keep)
	return len(d.Set) + len(d.Del), z.apply(ctx, u, d)
}

// Apply makes the changes.
func (z *Zones) Apply(ctx context.Context, d *state.Delta[uint16, state.ZoneLimit]) error {
	if d.Empty() {
		return nil
	}
	u, err := z.dial(ctx)
	if err != nil {
		return err
	}
	defer u.Close()
	return z.apply(ctx, u, d)
}

func (z *Zones) dial(ctx context.Context) (*unixctl.Conn, error) {
	path, err := controlSocket(z.opts.OVSDB)
	if err != nil {
		return nil, err
	}
	return unixctl.Dial(ctx, path)
}

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
	pid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 31)
	if err != nil {
		return "", fmt.Errorf("find the switch's control socket: %s/ovs-vswitchd.pid holds no process id", dir)
	}
	return unixctl.Socket(dir, "ovs-vswitchd", int(pid)), nil
}

func (z *Zones) apply(ctx context.Context, u *unixctl.Conn, d *state.Delta[uint16, state.ZoneLimit]) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(d.Set)), zonesPerCall) {
		args := []string{z.dp}
		for _, n := range part {
			args = append(args, fmt.Sprintf("zone=%d,limit=%d", n, d.Set[n].Limit))
		}
		if _, err := u.Call(ctx, "dpctl/ct-set-limits", args...); err != nil {
			return z.explain(err)
		}
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(d.Del)), zonesPerCall) {
		numbers := make([]string, len(part))
		for i, n := range part {
			numbers[i] = strconv.Itoa(int(n))
		}
		if _, err := u.Call(ctx, "dpctl/ct-del-limits", z.dp, "zone="+strings.Join(numbers, ",")); err != nil {
			return z.explain(err)
		}
	}
	return nil
}

// explain says what a refusal means.
func (z *Zones) explain(err error) error {
	var refused *unixctl.RefusedError
	if errors.As(err, &refused) {
		return fmt.Errorf("conversations of the datapath %s cannot be limited by zone (Linux 4.18, Open vSwitch 2.10 or later can): %w", z.dp, err)
	}
	return err
}

// zoneDifference gives what brings the limits that there are to those that should be.
func zoneDifference(want map[uint16]state.ZoneLimit, have map[uint16]uint32, keep bool) *state.Delta[uint16, state.ZoneLimit] {
	d := &state.Delta[uint16, state.ZoneLimit]{Set: map[uint16]state.ZoneLimit{}, Del: map[uint16]struct{}{}}
	for n, w := range want {
		if limit, ok := have[n]; !ok || limit != w.Limit && !keep {
			d.Set[n] = w
		}
	}
	for n := range have {
		if _, ok := want[n]; !ok && !keep {
			d.Del[n] = struct{}{}
		}
	}
	return d
}

// parseLimits reads the output of ct-get-limits: a line "default limit=0", and for each zone "zone=5,limit=100,count=3".
func parseLimits(out string) (map[uint16]uint32, error) {
	limits := map[uint16]uint32{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, "zone=")
		if !ok {
			continue
		}
		zone, rest, _ := strings.Cut(rest, ",")
		text, _, _ := strings.Cut(strings.TrimPrefix(rest, "limit="), ",")
		n, err := strconv.ParseUint(zone, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("the switch says %q of its limits, which has no zone", line)
		}
		limit, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the switch says %q of its limits, which has no limit", line)
		}
		limits[uint16(n)] = uint32(limit)
	}
	return limits, nil
}
