package app

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/manager/app/pool"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// leaseForMember gives an interface that is added to a policy its leases, unless they are made at its first DHCP request.
func leaseForMember(u *unit, o model.Object, _ *decodedParams) error {
	row := o.(*model.LeasePolicyBaseInterface)
	lp, err := find[*model.LeasePolicy](u, model.LeasePolicies, "lease_policy_uuid", row.LeasePolicyUUID)
	if err != nil {
		return err
	}
	if _, err := find[*model.Interface](u, model.Interfaces, "interface_uuid", row.InterfaceUUID); err != nil {
		return err
	}
	if lp.Timing != model.LeaseImmediate || u.documented(lp, row.InterfaceUUID) {
		return nil
	}
	leases, err := u.lease(lp, grant{iface: row.InterfaceUUID, label: row.Label})
	if err != nil {
		return err
	}
	for _, l := range leases {
		u.res.Notes = append(u.res.Notes, row.InterfaceUUID+" got the address "+l.Addr().String()+" of "+l.NetworkUUID+" ("+l.UUID+").")
	}
	return nil
}

// documented reports whether documents that are applied say themselves which lease of the policy's networks an interface has, as those do
// that were exported.
func (u *unit) documented(lp *model.LeasePolicy, iface string) bool {
	for _, l := range children[*model.IPLease](u, iface, "ip_leases.interface_uuid") {
		if _, ok := u.meant[l.UUID]; ok && u.tx.ByUnique(model.LeasePolicyBaseNetworks, "pair", lp.UUID, l.NetworkUUID) != nil {
			return true
		}
	}
	return false
}

// grant says for whom a policy makes leases.
type grant struct {
	iface   string // "" for a lease of no interface
	network string // of the policy; "" for any, in their order
	label   string // of the containers for the lease; "" for all
	uuid    string // of the first lease; "" for a new one
}

// lease makes a lease of each family that the policy's networks have addresses of: in the first network with one that is free.
func (u *unit) lease(lp *model.LeasePolicy, g grant) ([]*model.IPLease, error) {
	var leases []*model.IPLease
	possible := false
	for _, family := range []int{4, 6} {
		l, some, err := u.leaseOf(lp, g, family)
		if err != nil {
			return nil, err
		}
		if possible = possible || some; l == nil {
			continue
		}
		leases, g.uuid = append(leases, l), ""
	}
	if !possible {
		return nil, model.Errorf(model.Exhausted, "lease_policy_uuid", "%s has no address to give: no range of its range groups lies in the subnet of its networks", lp.UUID)
	}
	return leases, nil
}

// leaseOf makes the lease of one family; some reports whether any network of the policy has addresses of that family.
func (u *unit) leaseOf(lp *model.LeasePolicy, g grant, family int) (_ *model.IPLease, some bool, err error) {
	for _, base := range known[*model.LeasePolicyBaseNetwork](u, lp.UUID, "lease_policy_base_networks.lease_policy_uuid") {
		if g.network != "" && base.NetworkUUID != g.network {
			continue
		}
		n, e := find[*model.Network](u, model.Networks, "network_uuid", base.NetworkUUID)
		if e != nil {
			return nil, false, e
		}
		group, e := find[*model.IPRangeGroup](u, model.IPRangeGroups, "ip_range_group_uuid", base.IPRangeGroupUUID)
		if e != nil {
			return nil, false, e
		}
		ranges := u.ipRanges(group.UUID, n, family)
		if len(ranges) == 0 {
			continue
		}
		some = true
		var l *model.IPLease
		l, err = u.leaseFrom(lp, g, group, n, family, ranges)
		var refused *model.Error
		if errors.As(err, &refused) && refused.Class == model.Exhausted {
			continue // the next network may have one
		}
		return l, true, err
	}
	return nil, some, err
}

func (u *unit) leaseFrom(lp *model.LeasePolicy, g grant, group *model.IPRangeGroup, n *model.Network, family int, ranges pool.Ranges) (*model.IPLease, error) {
	a, err := u.addressFrom(group, n, family, ranges)
	if err != nil {
		return nil, err
	}
	l := newLease(g.iface, "", n.UUID, a)
	l.UUID = g.uuid
	if l.UUID == "" {
		l.UUID = u.freeUUID(model.IPLeases)
	}
	if err := completeIPLease(u, l); err != nil {
		return nil, err
	}
	if l.TenantUUID = lp.TenantUUID; l.InterfaceUUID != "" {
		l.TenantUUID = "" // the interface's, or the network's
	}
	if err := u.add(l); err != nil {
		return nil, err
	}
	if err := u.leaseFirst(l.MACLeaseUUID, l.NetworkUUID); err != nil {
		return nil, err
	}
	return l, u.contain(lp, l, g.label)
}

// contain puts a policy's lease into its containers: all, or with a label those that have the same.
func (u *unit) contain(lp *model.LeasePolicy, l *model.IPLease, label string) error {
	for _, c := range known[*model.LeasePolicyIPLeaseContainer](u, lp.UUID, "lease_policy_ip_lease_containers.lease_policy_uuid") {
		if label != "" && c.Label != label {
			continue
		}
		if err := u.add(&model.IPLeaseContainerIPLease{IPLeaseContainerUUID: c.IPLeaseContainerUUID, IPLeaseUUID: l.UUID}); err != nil {
			return err
		}
	}
	for _, c := range known[*model.LeasePolicyIPRetentionContainer](u, lp.UUID, "lease_policy_ip_retention_containers.lease_policy_uuid") {
		if err := u.add(&model.IPRetention{IPRetentionContainerUUID: c.IPRetentionContainerUUID, IPLeaseUUID: l.UUID, LeasedAt: u.tx.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// AllocateIPLease makes a lease of no interface by a policy: of each family that the policy has addresses of one. The parameters are
// ip_lease_uuid, for the uuid of the first, and label, which selects the containers. The outcomes are the leases.
func (a *App) AllocateIPLease(ctx context.Context, policyUUID string, p Params, w Write) (*Result, error) {
	if err := model.LeasePolicies.CheckUUID(policyUUID); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	var g grant
	for _, name := range slices.Sorted(maps.Keys(p)) {
		var f *model.Field
		var to *string
		switch name {
		case "ip_lease_uuid":
			f, to = model.IPLeases.Field("uuid"), &g.uuid
		case "label":
			f, to = model.LeasePolicyBaseInterfaces.Field("label"), &g.label
		default:
			return nil, model.Errorf(model.ArgumentError, name, "is not a parameter of an allocation; it takes ip_lease_uuid and label")
		}
		v, err := f.Parse(p[name])
		var refused *model.Error
		if errors.As(err, &refused) {
			return nil, model.Errorf(refused.Class, name, "%s", refused.Reason)
		} else if err != nil {
			return nil, err
		}
		*to, _ = v.(string)
	}
	if g.uuid != "" {
		if err := model.IPLeases.CheckUUID(g.uuid); err != nil {
			return nil, model.Errorf(model.InvalidUUID, "ip_lease_uuid", "%v", err)
		}
	}
	return a.transact(ctx, w, func(u *unit) error {
		o, err := u.get(model.LeasePolicies, policyUUID, w)
		if err != nil {
			return err
		}
		leases, err := u.lease(o.(*model.LeasePolicy), g)
		if err != nil {
			return err
		}
		for _, l := range leases {
			u.res.Outcomes = append(u.res.Outcomes, Outcome{l, Created, changes(model.IPLeases, nil, l)})
		}
		return nil
	})
}

// LeaseForDHCP gives the IPv4 leases of an interface in a network, for an agent that was asked for an address: those that it has, or new ones
// by the interface's policy of timing dhcp with that network. Without a network it is any of the policy's. That there is
// no such policy is an error of class UnknownResource.
func (a *App) LeaseForDHCP(ctx context.Context, interfaceUUID, networkUUID string) ([]*model.IPLease, error) {
	var leases []*model.IPLease
	_, err := a.transact(ctx, Write{}, func(u *unit) error {
		leases = nil
		if _, err := find[*model.Interface](u, model.Interfaces, "interface_uuid", interfaceUUID); err != nil {
			return err
		}
		for _, l := range children[*model.IPLease](u, interfaceUUID, "ip_leases.interface_uuid") {
			if l.Addr().Is4() && (networkUUID == "" || l.NetworkUUID == networkUUID) {
				leases = append(leases, l)
			}
		}
		if len(leases) > 0 {
			return nil
		}
		for _, row := range children[*model.LeasePolicyBaseInterface](u, interfaceUUID, "lease_policy_base_interfaces.interface_uuid") {
			o, _ := u.tx.Get(row.LeasePolicyUUID)
			lp, ok := o.(*model.LeasePolicy)
			if !ok || lp.Timing != model.LeaseDHCP || networkUUID != "" && u.tx.ByUnique(model.LeasePolicyBaseNetworks, "pair", lp.UUID, networkUUID) == nil {
				continue
			}
			var err error
			leases, err = u.lease(lp, grant{iface: interfaceUUID, network: networkUUID, label: row.Label})
			return err
		}
		return model.Errorf(model.UnknownResource, "interface_uuid", "%s has no lease, and no lease policy of timing dhcp with %s", interfaceUUID, orAny(networkUUID))
	})
	return leases, err
}

// LeasesOfDHCP takes an agent's word that guests of its host have renewed leases, or given them back. It concerns leases that a policy of timing dhcp has put into
// its retention containers: what is renewed begins its time anew, what is given back is released as if its time were over. All others stay as they are. It gives the uuids of
// those that are released.
func (a *App) LeasesOfDHCP(ctx context.Context, datapath string, said wire.Leases) (released []string, err error) {
	var due wire.Leases
	a.store.View(func(x *span.Index, _ int64) {
		retained := func(uuid string) bool {
			l, ok := graph.Lookup[*model.IPLease](x.Graph(), uuid)
			if !ok || x.Location(l.InterfaceUUID) != datapath {
				return false
			}
			for range x.Graph().Referrers(uuid, "ip_retentions.ip_lease_uuid") {
				return true
			}
			return false
		}
		for _, uuid := range said.Renewed {
			if retained(uuid) {
				due.Renewed = append(due.Renewed, uuid)
			}
		}
		for _, uuid := range said.Released {
			if retained(uuid) {
				due.Released = append(due.Released, uuid)
			}
		}
	})
	if len(due.Renewed)+len(due.Released) == 0 {
		return nil, nil
	}
	_, err = a.transact(ctx, Write{}, func(u *unit) error {
		released = nil
		for _, uuid := range due.Renewed {
			for _, r := range u.retentionsOfDHCP(uuid) {
				r = model.Clone(r)
				r.LeasedAt = u.tx.Now()
				if err := u.replace(r); err != nil {
					return err
				}
			}
		}
		for _, uuid := range due.Released {
			if len(u.retentionsOfDHCP(uuid)) == 0 {
				continue
			}
			o, _ := u.tx.Get(uuid)
			l := model.Clone(o.(*model.IPLease))
			l.InterfaceUUID, l.MACLeaseUUID = "", ""
			if err := u.replace(l); err != nil { // which notes it in its retentions
				return err
			}
			released = append(released, uuid)
		}
		return nil
	})
	return released, err
}

// retentionsOfDHCP gives the retentions of a lease that an interface has, in the containers of the interface's policies of timing dhcp with the lease's network.
func (u *unit) retentionsOfDHCP(lease string) []*model.IPRetention {
	o, _ := u.tx.Get(lease)
	l, ok := o.(*model.IPLease)
	if !ok || l.InterfaceUUID == "" {
		return nil
	}
	var out []*model.IPRetention
	for _, row := range children[*model.LeasePolicyBaseInterface](u, l.InterfaceUUID, "lease_policy_base_interfaces.interface_uuid") {
		o, _ := u.tx.Get(row.LeasePolicyUUID)
		lp, ok := o.(*model.LeasePolicy)
		if !ok || lp.Timing != model.LeaseDHCP || u.tx.ByUnique(model.LeasePolicyBaseNetworks, "pair", lp.UUID, l.NetworkUUID) == nil {
			continue
		}
		for _, c := range children[*model.LeasePolicyIPRetentionContainer](u, lp.UUID, "lease_policy_ip_retention_containers.lease_policy_uuid") {
			r, ok := u.tx.ByUnique(model.IPRetentions, "pair", c.IPRetentionContainerUUID, lease).(*model.IPRetention)
			if ok && r.ReleasedAt.IsZero() && !slices.ContainsFunc(out, func(o *model.IPRetention) bool { return o.UUID == r.UUID }) {
				out = append(out, r)
			}
		}
	}
	return out
}

func orAny(network string) string {
	if network == "" {
		return "a network"
	}
	return "network " + network
}
