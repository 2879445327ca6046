package app

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

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
	iface string // "" for a lease of no interface
	label string // of the containers for the lease; "" for all
	uuid  string // of the first lease; "" for a new one
}

// lease makes a lease of each family that the policy's networks have addresses of.
func (u *unit) lease(lp *model.LeasePolicy, g grant) ([]*model.IPLease, error) {
	var leases []*model.IPLease
	possible := false
	for _, family := range families {
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

var families = []int{4, 6}

// supply is where a policy takes addresses of one family from.
type supply struct {
	network *model.Network
	group   *model.IPRangeGroup
	family  int
	ranges  pool.Ranges // of the group in the network's subnet
}

// leaseOf makes the lease of one family: that which the interface had before if its address is kept for it, else one of the first network with an address that is free. some
// reports whether any network of the policy has addresses of that family.
func (u *unit) leaseOf(lp *model.LeasePolicy, g grant, family int) (_ *model.IPLease, some bool, err error) {
	var supplies []supply
	for _, base := range known[*model.LeasePolicyBaseNetwork](u, lp.UUID, "lease_policy_base_networks.lease_policy_uuid") {
		n, err := find[*model.Network](u, model.Networks, "network_uuid", base.NetworkUUID)
		if err != nil {
			return nil, false, err
		}
		group, err := find[*model.IPRangeGroup](u, model.IPRangeGroups, "ip_range_group_uuid", base.IPRangeGroupUUID)
		if err != nil {
			return nil, false, err
		}
		if ranges := u.ipRanges(group.UUID, n, family); len(ranges) > 0 {
			supplies = append(supplies, supply{n, group, family, ranges})
		}
	}
	if l := u.formerOf(lp, g.iface, supplies); l != nil {
		l, err = u.revive(l, g.iface)
		return l, true, err
	}
	for _, s := range supplies {
		var l *model.IPLease
		l, err = u.leaseFrom(lp, g, s)
		if exhausted(err) {
			continue // the next network may have one
		}
		return l, true, err
	}
	return nil, len(supplies) > 0, err
}

func exhausted(err error) bool {
	var refused *model.Error
	return errors.As(err, &refused) && refused.Class == model.Exhausted
}

// formerOf gives the lease that the interface had last of those that are in a retention container of the policy and of whose addresses it still is; nil if there is none.
func (u *unit) formerOf(lp *model.LeasePolicy, iface string, supplies []supply) *model.IPLease {
	if iface == "" {
		return nil
	}
	var last *model.IPLease
	var released time.Time
	for _, r := range children[*model.IPRetention](u, iface, "ip_retentions.former_interface_uuid") {
		l, ok := u.known(r.IPLeaseUUID).(*model.IPLease)
		if !ok || l.InterfaceUUID != "" || last != nil && !r.ReleasedAt.After(released) || u.tx.ByUnique(model.LeasePolicyIPRetentionContainers, "pair", lp.UUID, r.IPRetentionContainerUUID) == nil {
			continue
		}
		if slices.ContainsFunc(supplies, func(s supply) bool {
			return s.network.UUID == l.NetworkUUID && s.family == familyOf(l.Addr()) && s.ranges.Contains(pool.OfAddr(l.Addr()))
		}) {
			last, released = l, r.ReleasedAt
		}
	}
	return last
}

// revive gives an interface a lease that it had before, whose time begins anew.
func (u *unit) revive(former *model.IPLease, iface string) (*model.IPLease, error) {
	l := model.Clone(former)
	l.InterfaceUUID, l.MACLeaseUUID = iface, ""
	if err := completeIPLease(u, l); err != nil {
		return nil, err
	}
	if err := u.replace(l); err != nil { // which notes it in its retentions
		return nil, err
	}
	return l, u.leaseFirst(l.MACLeaseUUID, l.NetworkUUID)
}

func (u *unit) leaseFrom(lp *model.LeasePolicy, g grant, s supply) (*model.IPLease, error) {
	a, err := u.addressFrom(s.group, s.network, s.family, s.ranges)
	if err != nil {
		return nil, err
	}
	l := newLease(g.iface, "", s.network.UUID, a)
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

// LeaseForDHCP makes leases for an interface whose guest has asked an agent for an address of a family, 4 or 6, unless it has a lease of that family: by the first of its policies of timing dhcp
// that has such addresses; for who asks for an IPv4 address also of IPv6, as not every guest asks for that. It gives those that it has made. That none could be made is an error: of class Exhausted if
// no address is left, else of class UnknownResource.
func (a *App) LeaseForDHCP(ctx context.Context, interfaceUUID string, family int) (leases []*model.IPLease, err error) {
	_, err = a.transact(ctx, Write{}, func(u *unit) error {
		leases = nil
		if _, err := find[*model.Interface](u, model.Interfaces, "interface_uuid", interfaceUUID); err != nil {
			return err
		}
		has := map[int]bool{}
		for _, l := range children[*model.IPLease](u, interfaceUUID, "ip_leases.interface_uuid") {
			has[familyOf(l.Addr())] = has[familyOf(l.Addr())] || !l.LinkLocal()
		}
		var refusal error = model.Errorf(model.UnknownResource, "interface_uuid", "%s has no lease policy of timing dhcp with addresses that it lacks", interfaceUUID)
		if has[family] {
			return nil
		}
		for _, f := range families[slices.Index(families, family):] {
			if has[f] {
				continue
			}
			l, err := u.leaseForDHCP(interfaceUUID, f)
			switch {
			case exhausted(err):
				refusal = err
			case err != nil:
				return err
			case l != nil:
				leases = append(leases, l)
			}
		}
		if len(leases) == 0 {
			return refusal
		}
		return nil
	})
	return leases, err
}

// leaseForDHCP makes the lease of one family by the first of an interface's policies of timing dhcp that has addresses of it; nil if none has.
func (u *unit) leaseForDHCP(iface string, family int) (*model.IPLease, error) {
	for _, row := range children[*model.LeasePolicyBaseInterface](u, iface, "lease_policy_base_interfaces.interface_uuid") {
		lp, ok := u.known(row.LeasePolicyUUID).(*model.LeasePolicy)
		if !ok || lp.Timing != model.LeaseDHCP {
			continue
		}
		if l, some, err := u.leaseOf(lp, grant{iface: iface, label: row.Label}, family); some || err != nil {
			return l, err
		}
	}
	return nil, nil
}

// LeasesOfDHCP takes an agent's word that guests of its host have renewed leases, or given them back. It concerns leases that a policy of timing dhcp has put into
// its retention containers: what is renewed begins its time anew, also if it was released and is kept for the interface still; what is given back is released as if its time were over. All others
// stay as they are. It gives the uuids of those that are released.
func (a *App) LeasesOfDHCP(ctx context.Context, datapath string, said wire.Leases) (released []string, err error) {
	var due wire.Leases
	a.store.View(func(x *span.Index, _ int64) {
		retained := func(uuid string) bool {
			l, ok := graph.Lookup[*model.IPLease](x.Graph(), uuid)
			if !ok {
				return false
			}
			for o := range x.Graph().Referrers(uuid, "ip_retentions.ip_lease_uuid") {
				if holder := cmp.Or(l.InterfaceUUID, o.(*model.IPRetention).FormerInterfaceUUID); holder != "" && x.Location(holder) == datapath {
					return true
				}
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
			if err := u.renewed(uuid); err != nil {
				return err
			}
		}
		for _, uuid := range due.Released {
			l, ok := u.known(uuid).(*model.IPLease)
			if !ok || l.InterfaceUUID == "" || len(u.retentionsOfDHCP(l, l.InterfaceUUID)) == 0 {
				continue
			}
			l = model.Clone(l)
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

// renewed takes an agent's word that a guest uses a lease.
func (u *unit) renewed(uuid string) error {
	l, ok := u.known(uuid).(*model.IPLease)
	if !ok {
		return nil
	}
	if l.InterfaceUUID == "" {
		for _, r := range children[*model.IPRetention](u, uuid, "ip_retentions.ip_lease_uuid") {
			former := r.FormerInterfaceUUID
			if former != "" && len(u.retentionsOfDHCP(l, former)) > 0 && !u.leasedIn(former, l.NetworkUUID, familyOf(l.Addr())) {
				_, err := u.revive(l, former)
				return err
			}
		}
		return nil
	}
	for _, r := range u.retentionsOfDHCP(l, l.InterfaceUUID) {
		r = model.Clone(r)
		r.LeasedAt = u.tx.Now()
		if err := u.replace(r); err != nil {
			return err
		}
	}
	return nil
}

// leasedIn reports whether an interface has an address of the family in a network.
func (u *unit) leasedIn(iface, network string, family int) bool {
	return slices.ContainsFunc(children[*model.IPLease](u, iface, "ip_leases.interface_uuid"), func(l *model.IPLease) bool {
		return l.NetworkUUID == network && familyOf(l.Addr()) == family && !l.LinkLocal()
	})
}

// retentionsOfDHCP gives the retentions of a lease in the containers of the policies of timing dhcp with its network of the interface that has it, or had it before.
func (u *unit) retentionsOfDHCP(l *model.IPLease, iface string) []*model.IPRetention {
	var out []*model.IPRetention
	for _, row := range children[*model.LeasePolicyBaseInterface](u, iface, "lease_policy_base_interfaces.interface_uuid") {
		lp, ok := u.known(row.LeasePolicyUUID).(*model.LeasePolicy)
		if !ok || lp.Timing != model.LeaseDHCP || u.tx.ByUnique(model.LeasePolicyBaseNetworks, "pair", lp.UUID, l.NetworkUUID) == nil {
			continue
		}
		for _, c := range children[*model.LeasePolicyIPRetentionContainer](u, lp.UUID, "lease_policy_ip_retention_containers.lease_policy_uuid") {
			r, ok := u.tx.ByUnique(model.IPRetentions, "pair", c.IPRetentionContainerUUID, l.UUID).(*model.IPRetention)
			if ok && !slices.ContainsFunc(out, func(o *model.IPRetention) bool { return o.UUID == r.UUID }) {
				out = append(out, r)
			}
		}
	}
	return out
}
