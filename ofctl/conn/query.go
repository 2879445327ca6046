package conn

import (
	"context"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Barrier waits until the switch has done all that was sent before.
func (c *Conn) Barrier(ctx context.Context) error {
	_, err := one[*ofp.BarrierReply](ctx, c, &ofp.BarrierRequest{})
	return err
}

// Features gives the datapath id and the abilities of the switch.
func (c *Conn) Features(ctx context.Context) (*ofp.FeaturesReply, error) {
	return one[*ofp.FeaturesReply](ctx, c, &ofp.FeaturesRequest{})
}

// Desc gives the description of the switch.
func (c *Conn) Desc(ctx context.Context) (*ofp.DescReply, error) {
	return one[*ofp.DescReply](ctx, c, &ofp.DescRequest{})
}

// Role asks for a role; with ofp.RoleNoChange it only tells the role.
func (c *Conn) Role(ctx context.Context, role ofp.ControllerRole) (*ofp.RoleReply, error) {
	return one[*ofp.RoleReply](ctx, c, &ofp.RoleRequest{ControllerRole: role})
}

// TLVTable gives the table of Geneve options.
func (c *Conn) TLVTable(ctx context.Context) (*ofp.TLVTableReply, error) {
	return one[*ofp.TLVTableReply](ctx, c, &ofp.TLVTableRequest{})
}

// PortDesc gives the ports of the switch.
func (c *Conn) PortDesc(ctx context.Context) ([]ofp.Port, error) {
	var ports []ofp.Port
	err := parts(ctx, c, &ofp.PortDescRequest{No: flow.PortAny}, func(r *ofp.PortDescReply) {
		ports = append(ports, r.Ports...)
	})
	return onlyIf(ports, err)
}

// FlowFilter selects flows; its zero value selects all.
type FlowFilter struct {
	Table      uint8 // only this table, if OneTable
	OneTable   bool
	Cookie     uint64 // only flows whose cookie has these bits under CookieMask
	CookieMask uint64
	Match      flow.Match // only flows that say at least this
	OutPort    flow.Port  // only flows that output to it; 0: all
	OutGroup   uint32     // only flows that go to it; 0: all
}

func (f FlowFilter) request() *ofp.FlowStatsRequest {
	r := &ofp.FlowStatsRequest{
		Table: ofp.TableAll, Cookie: f.Cookie, CookieMask: f.CookieMask, Match: f.Match,
		OutPort: f.OutPort, OutGroup: f.OutGroup,
	}
	if f.OneTable {
		r.Table = f.Table
	}
	return r
}

// DumpFlows gives the flows that the filter selects, in no order. Flows with fields that ofctl/flow does not declare, which
// nobody can have added through this package, are left out, counted (Counters.Unreadable) and logged.
func (c *Conn) DumpFlows(ctx context.Context, filter FlowFilter) ([]flow.Flow, error) {
	var flows []flow.Flow
	err := parts(ctx, c, filter.request(), func(r *ofp.FlowStatsReply) {
		c.unknownFlows(r)
		for i := range r.Flows {
			flows = append(flows, r.Flows[i].Flow)
		}
	})
	return onlyIf(flows, err)
}

// DumpFlowStats is DumpFlows with the statistics of each flow. It costs the switch the same.
func (c *Conn) DumpFlowStats(ctx context.Context, filter FlowFilter) ([]ofp.FlowStats, error) {
	var flows []ofp.FlowStats
	err := parts(ctx, c, filter.request(), func(r *ofp.FlowStatsReply) {
		c.unknownFlows(r)
		flows = append(flows, r.Flows...)
	})
	return onlyIf(flows, err)
}

func (c *Conn) unknownFlows(r *ofp.FlowStatsReply) {
	for _, f := range r.Unknown {
		c.counters.unreadable.Add(1)
		c.opt.Log.Warn("switch has a flow that cannot be read", "target", c.target, "table", f.Table, "priority", f.Priority,
			"cookie", f.Cookie, "reason", f.Reason)
	}
}

// Aggregate gives the number of the flows that the filter selects, and the sums of their packets and bytes.
func (c *Conn) Aggregate(ctx context.Context, filter FlowFilter) (ofp.Stats, error) {
	r := filter.request()
	r.Aggregate = true
	a, err := one[*ofp.AggregateReply](ctx, c, r)
	if err != nil {
		return ofp.Stats{}, err
	}
	return a.Stats, nil
}

// DumpGroups gives all groups.
func (c *Conn) DumpGroups(ctx context.Context) ([]flow.Group, error) {
	var groups []flow.Group
	err := parts(ctx, c, &ofp.GroupRequest{Group: ofp.GroupAll}, func(r *ofp.GroupDescReply) {
		groups = append(groups, r.Groups...)
	})
	return onlyIf(groups, err)
}

// GroupStats gives the statistics of all groups.
func (c *Conn) GroupStats(ctx context.Context) ([]ofp.GroupStats, error) {
	var groups []ofp.GroupStats
	err := parts(ctx, c, &ofp.GroupRequest{Stats: true, Group: ofp.GroupAll}, func(r *ofp.GroupStatsReply) {
		groups = append(groups, r.Groups...)
	})
	return onlyIf(groups, err)
}

// DumpMeters gives all meters.
func (c *Conn) DumpMeters(ctx context.Context) ([]flow.Meter, error) {
	var meters []flow.Meter
	err := parts(ctx, c, &ofp.MeterRequest{Meter: ofp.MeterAll}, func(r *ofp.MeterDescReply) {
		meters = append(meters, r.Meters...)
	})
	return onlyIf(meters, err)
}

// MeterStats gives the statistics of all meters.
func (c *Conn) MeterStats(ctx context.Context) ([]ofp.MeterStats, error) {
	var meters []ofp.MeterStats
	err := parts(ctx, c, &ofp.MeterRequest{Stats: true, Meter: ofp.MeterAll}, func(r *ofp.MeterStatsReply) {
		meters = append(meters, r.Meters...)
	})
	return onlyIf(meters, err)
}

func onlyIf[T any](v []T, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}
