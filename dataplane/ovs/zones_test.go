package ovs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
	"github.com/openvnet/openvnet/dataplane/state"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/wait"
)

func limits(pairs ...uint32) map[uint16]state.ZoneLimit {
	m := map[uint16]state.ZoneLimit{}
	for i := 0; i < len(pairs); i += 2 {
		m[uint16(pairs[i])] = state.ZoneLimit{Zone: uint16(pairs[i]), Limit: pairs[i+1]}
	}
	return m
}

func TestZoneDifference(t *testing.T) {
	have := map[uint16]uint32{1: 10, 2: 20, 3: 30}
	want := limits(1, 10, 2, 21, 4, 40)
	for _, tc := range []struct {
		keep bool
		want state.Delta[uint16, state.ZoneLimit]
	}{
		{false, state.Delta[uint16, state.ZoneLimit]{Set: limits(2, 21, 4, 40), Del: map[uint16]struct{}{3: {}}}},
		{true, state.Delta[uint16, state.ZoneLimit]{Set: limits(4, 40), Del: map[uint16]struct{}{}}},
	} {
		if d := cmp.Diff(&tc.want, zoneDifference(want, have, tc.keep)); d != "" {
			t.Errorf("keep %v: %s", tc.keep, d)
		}
	}
}

func TestPrivilegedZones(t *testing.T) {
	s := ovsenv.StartSandbox(t)
	s.AddBridge("br0", "a1")
	z := NewZones(ZonesOptions{OVSDB: s.DB(), Datapath: "dummy"})
	sync := func(want map[uint16]state.ZoneLimit, keep bool, changes int) {
		t.Helper()
		if n, err := z.Sync(t.Context(), want, keep); err != nil || n != changes {
			t.Fatalf("%d changes, %v; want %d changes", n, err, changes)
		}
	}
	many := limits()
	for n := range uint32(1200) {
		many[uint16(n+10)] = state.ZoneLimit{Zone: uint16(n + 10), Limit: 1000 + n}
	}
	sync(many, false, 1200)
	sync(many, false, 0)
	sync(limits(10, 5, 3, 7), true, 1)
	if err := z.Apply(t.Context(), &state.Delta[uint16, state.ZoneLimit]{Set: limits(3, 8), Del: map[uint16]struct{}{10: {}}}); err != nil {
		t.Fatal(err)
	}
	delete(many, 10)
	many[3] = state.ZoneLimit{Zone: 3, Limit: 8}
	sync(many, false, 0)
	sync(limits(3, 8), false, 1199)
	sync(limits(), false, 1)

	var refused *unixctl.RefusedError
	if _, err := NewZones(ZonesOptions{OVSDB: s.DB(), Datapath: "netdev"}).Sync(t.Context(), nil, false); !errors.As(err, &refused) {
		t.Errorf("a datapath that is not there: %v", err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if _, err := z.Sync(ctx, nil, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
	for _, db := range []string{"tcp:127.0.0.1:6640", "unix:/nowhere/db.sock"} {
		if _, err := NewZones(ZonesOptions{OVSDB: db, Datapath: "dummy"}).Sync(t.Context(), nil, false); err == nil {
			t.Errorf("%s: no error", db)
		}
	}
}

// What is remembered in a zone is forgotten when it changes hands.
func TestPrivilegedZoneIsForgotten(t *testing.T) {
	s := ovsenv.StartSandbox(t)
	s.AddBridge("br0", "a1", "a2")
	sw, err := Dial(t.Context(), s.Mgmt("br0"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = sw.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	s.MustOfctl("add-flow", "br0", "ip,actions=ct(commit,zone=5),ct(commit,zone=6),2")
	for _, c := range []state.Delta[uint16, state.ZoneLimit]{{Set: limits(5, 100)}, {Del: map[uint16]struct{}{5: {}}}} {
		s.MustAppctl("netdev-dummy/receive", "a1", "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=7,dst=8)")
		wait.For(t, 10*time.Second, "the conversations", func() error {
			if out := s.MustAppctl("dpctl/dump-conntrack"); strings.Count(out, "zone=") != 2 {
				return errors.New(out)
			}
			return nil
		})
		if refused, err := sw.Apply(t.Context(), &state.Changes{Zones: c}); err != nil || len(refused) > 0 {
			t.Fatal(err, refused)
		}
		if out := s.MustAppctl("dpctl/dump-conntrack"); strings.Contains(out, "zone=5") || !strings.Contains(out, "zone=6") {
			t.Errorf("conversations:\n%s", out)
		}
	}
}

func FuzzParseLimits(f *testing.F) {
	for _, seed := range []string{"default limit=0\nzone=5,limit=100,count=3", "zone=99999,limit=1", "zone=1", "zone=1,limit="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, out string) {
		if _, err := parseLimits(out); err != nil && !strings.Contains(err.Error(), "zone") {
			t.Error(err)
		}
	})
}
