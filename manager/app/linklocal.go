package app

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// leaseChosen leases a link-local address that a guest has chosen to the MAC address, in all networks where it has an IPv6 address and may choose one, or in none: the guest
// cannot tell them apart.
func (u *unit) leaseChosen(ml *model.MACLease, a netip.Addr) error {
	networks, _ := u.linkLocalsOf(ml)
	if len(networks) == 0 {
		return model.Errorf(model.ArgumentError, "ipv6_address", "%s has no IPv6 address in a network in which guests choose link-local addresses", ml.InterfaceUUID)
	}
	for _, n := range networks {
		if err := u.mayChoose(n, a); err != nil {
			return err
		}
	}
	for _, n := range networks {
		if err := u.leaseMade(ml, n, a); err != nil {
			return err
		}
	}
	return nil
}

// linkLocalsOf gives the networks in which a MAC address may have link-local addresses that its guest has chosen, those of the oldest leases first, and the leases of such addresses that it has.
func (u *unit) linkLocalsOf(ml *model.MACLease) (networks []*model.Network, leases []*model.IPLease) {
	chooses := ml.SegmentUUID == "" && vif(u.tx, ml.InterfaceUUID) != ""
	for _, l := range children[*model.IPLease](u, ml.UUID, "ip_leases.mac_lease_uuid") {
		n, ok := u.known(l.NetworkUUID).(*model.Network)
		switch {
		case l.LinkLocal():
			leases = append(leases, l)
		case ok && chooses && l.Addr().Is6() && n.ChoosesLinkLocal() && !slices.Contains(networks, n):
			networks = append(networks, n)
		}
	}
	return networks, leases
}

// mayChoose refuses a link-local address that somebody else has in a network, or may have: nobody knows which ones devices outside have.
func (u *unit) mayChoose(n *model.Network, a netip.Addr) error {
	if err := model.CheckChosen(a); err != nil {
		return err
	}
	if l, taken := u.tx.ByUnique(model.IPLeases, ipGroup(a), n.UUID, a.String()).(*model.IPLease); taken {
		return model.Errorf(model.Conflict, "ipv6_address", "%s is leased already, by %s", a, l.UUID)
	}
	for _, r := range known[*model.InterfaceNetwork](u, n.UUID, "interface_networks.network_uuid") {
		i, ok := u.known(r.InterfaceUUID).(*model.Interface)
		if ok && r.Static && (i.Mode == model.InterfacePromiscuous || i.Mode == model.InterfacePatch) {
			return outsideOf(n, i.UUID)
		}
	}
	for _, v := range known[*model.VLANTranslation](u, n.UUID, "vlan_translations.network_uuid") {
		return outsideOf(n, v.UUID)
	}
	return nil
}

func outsideOf(n *model.Network, by string) error {
	return model.Errorf(model.Conflict, "ipv6_address", "devices outside that nobody registered are in %s, by %s: they may have any link-local address", n.UUID, by)
}

// linkLocals has link-local addresses that guests have chosen go with their other IPv6 addresses: they are leased in each network where the MAC address has such, if nobody else has them there, and in no other.
func (u *unit) linkLocals() error {
	concerned := map[string]bool{}
	for was, is := range u.tx.Changes() {
		u.concernsLinkLocals(was, is, concerned)
		u.concernsLinkLocals(is, was, concerned)
	}
	for _, uuid := range slices.Sorted(maps.Keys(concerned)) {
		has := slices.ContainsFunc(known[*model.IPLease](u, uuid, "ip_leases.mac_lease_uuid"), (*model.IPLease).LinkLocal)
		ml, ok := u.known(uuid).(*model.MACLease)
		if !has || !ok {
			continue
		}
		if err := u.settleLinkLocals(ml); err != nil {
			return err
		}
	}
	return nil
}

// concernsLinkLocals notes the MAC leases whose link-local addresses a change is about. o is one side of it, other the other one; either may be nil.
func (u *unit) concernsLinkLocals(o, other model.Object, concerned map[string]bool) {
	switch o := o.(type) {
	case *model.IPLease:
		l, ok := other.(*model.IPLease)
		if o.Addr().Is6() && !o.LinkLocal() && (!ok || l.NetworkUUID != o.NetworkUUID || l.MACLeaseUUID != o.MACLeaseUUID || l.Addr().Is4()) {
			concerned[o.MACLeaseUUID] = true
		}
	case *model.MACLease:
		if ml, ok := other.(*model.MACLease); ok && ml.SegmentUUID != o.SegmentUUID {
			concerned[o.UUID] = true
		}
	case *model.Interface:
		if i, ok := other.(*model.Interface); ok && i.Mode != o.Mode {
			for _, ml := range children[*model.MACLease](u, o.UUID, "mac_leases.interface_uuid") {
				concerned[ml.UUID] = true
			}
		}
	case *model.Network:
		if n, ok := other.(*model.Network); ok && n.ChoosesLinkLocal() != o.ChoosesLinkLocal() {
			for _, l := range children[*model.IPLease](u, o.UUID, "ip_leases.network_uuid") {
				concerned[l.MACLeaseUUID] = concerned[l.MACLeaseUUID] || l.Addr().Is6()
			}
		}
	}
}

func (u *unit) settleLinkLocals(ml *model.MACLease) error {
	networks, leases := u.linkLocalsOf(ml)
	var chosen []netip.Addr
	for _, l := range leases {
		if !slices.Contains(chosen, l.Addr()) {
			chosen = append(chosen, l.Addr())
		}
		if slices.ContainsFunc(networks, func(n *model.Network) bool { return n.UUID == l.NetworkUUID }) {
			continue
		}
		deleted, err := u.tx.Delete(l.UUID)
		if err != nil {
			return err
		}
		u.alsoDeleted(deleted)
	}
	for _, n := range networks {
		for _, a := range chosen {
			if err := u.mayChoose(n, a); isRefusal(err) { // or it has it
				continue
			}
			if err := u.leaseMade(ml, n, a); err != nil {
				return err
			}
		}
	}
	return nil
}
