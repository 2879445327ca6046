package ovs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
)

// watch runs a Bridge and gives it and what it reports.
func watch(t *testing.T, i *ovsenv.Sandbox) (*ovs.Bridge, <-chan ovs.Ports) {
	t.Helper()
	b, err := ovs.NewBridge(ovs.BridgeOptions{OVSDB: i.DB(), Name: "br0", Uplink: "eth0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan ovs.Ports, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx, func(p ovs.Ports) { reports <- p }); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return b, reports
}

// until waits for a report that passes.
func until(t *testing.T, reports <-chan ovs.Ports, what string, pass func(ovs.Ports) bool) ovs.Ports {
	t.Helper()
	var last ovs.Ports
	for deadline := time.After(10 * time.Second); ; {
		select {
		case last = <-reports:
			if pass(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("no report with %s; the last one is %+v", what, last)
		}
	}
}

func TestBridgeFollowsTheDatabase(t *testing.T) {
	i := ovsenv.StartSandbox(t)
	b, reports := watch(t, i) // before there is a bridge
	i.AddBridge("br0", "eth0", "tap1")
	p := until(t, reports, "the tunnel port", func(p ovs.Ports) bool { return p.Tunnels[0] != 0 })
	if p.DPID == 0 || p.Uplink != 1 || p.Guests["tap1"].OFPort != 2 || len(p.Guests) != 1 {
		t.Errorf("reported %+v", p)
	}
	for _, state := range []string{"down", "up"} {
		i.MustAppctl("netdev-dummy/set-admin-state", "eth0", state)
		until(t, reports, "the NIC's link "+state, func(p ovs.Ports) bool { return p.Down == (state == "down") })
	}
	i.MustVsctl("set", "interface", "tap1", "external_ids:iface-id=if-a")
	until(t, reports, "the iface-id", func(p ovs.Ports) bool { return p.Guests["tap1"].IfaceID == "if-a" })
	i.MustVsctl("add-port", "br0", "tap2", "--", "set", "interface", "tap2", "type=dummy", "ofport_request=7")
	until(t, reports, "a new port", func(p ovs.Ports) bool { return p.Guests["tap2"].OFPort == 7 })
	i.MustVsctl("del-port", "br0", "tap1")
	until(t, reports, "one port less", func(p ovs.Ports) bool { return len(p.Guests) == 1 })
	i.MustVsctl("del-port", "br0", ovs.GeneveName)
	until(t, reports, "the tunnel port gone", func(p ovs.Ports) bool { return p.Tunnels[0] == 0 })
	until(t, reports, "the tunnel port made again", func(p ovs.Ports) bool { return p.Tunnels[0] != 0 })
	b.Want([3]bool{pipeline.EncapVXLAN: true, pipeline.EncapGRE: true})
	until(t, reports, "other tunnel ports", func(p ovs.Ports) bool {
		return p.Tunnels[pipeline.EncapGeneve] == 0 && p.Tunnels[pipeline.EncapVXLAN] != 0 && p.Tunnels[pipeline.EncapGRE] != 0
	})
	b.Want([3]bool{pipeline.EncapGeneve: true})
	until(t, reports, "the first one again", func(p ovs.Ports) bool {
		return p.Tunnels[pipeline.EncapGeneve] != 0 && p.Tunnels[pipeline.EncapVXLAN] == 0 && p.Tunnels[pipeline.EncapGRE] == 0
	})
	// The database goes and comes back.
	if err := i.StopDaemon(t.Context(), ovsenv.Database); err != nil {
		t.Fatal(err)
	}
	if err := i.StartDaemon(t.Context(), ovsenv.Database); err != nil {
		t.Fatal(err)
	}
	i.MustVsctl("add-port", "br0", "tap3", "--", "set", "interface", "tap3", "type=dummy", "ofport_request=20")
	until(t, reports, "a port added after the database was restarted", func(p ovs.Ports) bool { return p.Guests["tap3"].OFPort == 20 })
}
