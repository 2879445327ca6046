package app

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Claim makes leases of addresses that guests have made themselves of their networks' subnets. Those that a guest has
// given up for it go first. The result is what was refused, and why.
func (a *App) Claim(ctx context.Context, claims []wire.Claim) (refused map[netip.Addr]error, err error) {
	_, err = a.transact(ctx, Write{}, func(u *unit) error {
		refused = map[netip.Addr]error{}
		for _, c := range claims {
			if err := u.leaseClaimed(c); err != nil {
				if !isRefusal(err) {
					return err
				}
				refused[c.Address] = err
			}
		}
		return nil
	})
	return refused, err
}

func (u *unit) leaseClaimed(c wire.Claim) error {
	ml, ok := u.tx.ByUnique(model.MACLeases, macGroup, c.MAC.String()).(*model.MACLease)
	if !ok || ml.InterfaceUUID != c.InterfaceUUID || vif(u.tx, c.InterfaceUUID) == "" {
		return model.Errorf(model.UnknownResource, "interface_uuid", "%s has no guest with the MAC address %s", c.InterfaceUUID, c.MAC)
	}
	leases := children[*model.IPLease](u, ml.UUID, "ip_leases.mac_lease_uuid")
	var n *model.Network
	made := map[netip.Addr]bool{}
	for _, l := range leases {
		if l.Origin == model.OriginSLAAC && slices.Contains(c.Gone, l.Addr()) {
			if _, err := u.tx.Delete(l.UUID); err != nil {
				return err
			}
			continue
		}
		if l.Origin == model.OriginSLAAC {
			made[l.Addr()] = true
		}
		if o, ok := u.tx.Get(l.NetworkUUID); ok && n == nil && l.Addr().Is6() && o.(*model.Network).Autonomous().IsValid() && o.(*model.Network).Autonomous().Contains(c.Address) {
			n = o.(*model.Network)
		}
	}
	switch {
	case made[c.Address]:
		return nil
	case len(made) >= model.MaxClaims:
		return model.Errorf(model.Exhausted, "ipv6_address", "%s has %d addresses of its own making already", c.MAC, len(made))
	case c.Address.IsLinkLocalUnicast():
		return u.leaseChosen(ml, c.Address)
	case n == nil:
		return model.Errorf(model.ArgumentError, "ipv6_address", "%s has no network in which guests make addresses that has %s", c.InterfaceUUID, c.Address)
	}
	return u.leaseMade(ml, n, c.Address)
}

// leaseMade leases an address that a guest makes itself to the MAC address, unless it has it.
func (u *unit) leaseMade(ml *model.MACLease, n *model.Network, a netip.Addr) error {
	if a == n.Autonomous().Addr() {
		return model.Errorf(model.ArgumentError, "ipv6_address", "%s is the address of the subnet %s itself", a, n.Autonomous())
	}
	if o := u.tx.ByUnique(model.IPLeases, ipGroup(a), n.UUID, a.String()); o != nil {
		if l := o.(*model.IPLease); l.MACLeaseUUID != ml.UUID {
			return model.Errorf(model.Conflict, "ipv6_address", "%s is leased already, by %s", a, l.UUID)
		}
		return nil
	}
	l := newLease(ml.InterfaceUUID, ml.UUID, n.UUID, a)
	l.Origin = model.OriginSLAAC
	return u.add(l)
}

// leaseFirst leases the first address that a guest makes, of its MAC address, at once: it could not ask for any from nowhere.
func (u *unit) leaseFirst(mac, network string) error {
	ml, ok := u.known(mac).(*model.MACLease)
	n, isNetwork := u.known(network).(*model.Network)
	if !ok || !isNetwork || n.SegmentUUID != "" || !n.Autonomous().IsValid() || vif(u.tx, ml.InterfaceUUID) == "" {
		return nil
	}
	for _, l := range children[*model.IPLease](u, ml.UUID, "ip_leases.mac_lease_uuid") {
		if l.NetworkUUID == n.UUID && l.Addr().Is6() {
			return nil
		}
	}
	if err := u.leaseMade(ml, n, ml.MACAddress.AddressIn(n.Autonomous())); err != nil && !isRefusal(err) {
		return err
	}
	return nil
}

// addressingChanged leases guests of a network their first addresses where they make them themselves now, and ends the leases of those that they may not have made any more.
func (u *unit) addressingChanged(was, n *model.Network) error {
	if was.Autonomous() == n.Autonomous() {
		return nil
	}
	leases := children[*model.IPLease](u, n.UUID, "ip_leases.network_uuid")
	for _, l := range leases {
		if l.Origin != model.OriginSLAAC || l.LinkLocal() || n.Autonomous().IsValid() && n.Autonomous().Contains(l.Addr()) {
			continue
		}
		if _, err := u.tx.Delete(l.UUID); err != nil {
			return err
		}
	}
	for _, l := range leases {
		if l.Origin != model.OriginSLAAC {
			if err := u.leaseFirst(l.MACLeaseUUID, n.UUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// leased leases the first address that a guest makes besides another lease that it gets in a network.
func leased(u *unit, o model.Object, _ *decodedParams) error {
	l := o.(*model.IPLease)
	return u.leaseFirst(l.MACLeaseUUID, l.NetworkUUID)
}

// known gives the object with that uuid, nil if there is none.
func (u *unit) known(uuid string) model.Object {
	o, _ := u.tx.Get(uuid)
	return o
}

// isRefusal reports whether an error says no to what was asked for, rather than that something went wrong.
func isRefusal(err error) bool {
	var refused *model.Error
	return errors.As(err, &refused)
}
