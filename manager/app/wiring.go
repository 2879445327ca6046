package app

import (
	"github.com/openvnet/openvnet/manager/topology"
	"github.com/openvnet/openvnet/model"
)

// DatapathMACGroup is the range group that MAC addresses of route links and of datapaths' networks, segments and route links are taken from
// if there is one of that uuid (OpenVNet's datapath_mac_group); without it they are generated.
const DatapathMACGroup = "mrg-dpg"

// wiringMAC gives a MAC address that nobody has: of the range group, or of DatapathMACGroup if there is that, or any.
func (u *unit) wiringMAC(group string) (model.MAC, error) {
	if group == "" {
		if _, ok := u.tx.Get(DatapathMACGroup); !ok {
			return u.freeMAC(), nil
		}
		group = DatapathMACGroup
	}
	return u.macFrom("mac_address", group)
}

// topologyMembers are the rows that make an object a member of a topology.
var topologyMembers = map[*model.Resource]*model.Resource{
	model.Networks: model.TopologyNetworks, model.Segments: model.TopologySegments, model.RouteLinks: model.TopologyRouteLinks,
}

// joinTopology makes a network, segment or route link a member of the topology that its creation names.
func joinTopology(u *unit, o model.Object, d *decodedParams) error {
	_, err := rejoinTopology(u, o, d)
	return err
}

// rejoinTopology is joinTopology, unless it is a member already. A topology that is not named is not left.
func rejoinTopology(u *unit, o model.Object, d *decodedParams) ([]FieldChange, error) {
	topology := input[string](model.Of(o), d, "topology_uuid")
	if topology == "" {
		return nil, nil
	}
	if _, err := find[*model.Topology](u, model.Topologies, "topology_uuid", topology); err != nil {
		return nil, err
	}
	r := topologyMembers[model.Of(o)]
	if u.tx.ByUnique(r, "pair", topology, o.Base().UUID) != nil {
		return nil, nil
	}
	row := r.New()
	row.Base().UUID = u.freeUUID(r)
	for _, ref := range r.Refs {
		switch ref.To {
		case model.Topologies:
			ref.Field.Set(row, topology)
		case model.Of(o):
			ref.Field.Set(row, o.Base().UUID)
		}
	}
	if err := u.add(row); err != nil {
		return nil, err
	}
	return []FieldChange{{Field: "topology_uuid", To: topology}}, wiredByHand(u, row, nil)
}

// wiredByHand ends the automatic wiring: whoever wires one thing means to wire all, unless the same documents say otherwise.
func wiredByHand(u *unit, o model.Object, _ *decodedParams) error {
	t, ok := u.tx.Get(model.DefaultTopology)
	if !ok || !t.(*model.Topology).Automatic || u.wiringGiven {
		return nil
	}
	if f := model.Of(o).Field("topology_uuid"); f != nil && f.Text(o) == model.DefaultTopology {
		return nil // a member of what wires everything
	}
	off := model.Clone(t.(*model.Topology))
	off.Automatic = false
	u.res.Notes = append(u.res.Notes, "The automatic wiring is off now, because "+o.Base().UUID+" wires by hand: a network reaches a datapath only where it is wired to it. "+
		"To turn it on again, set automatic of "+model.DefaultTopology+" to true.")
	return u.replace(off)
}

// completeWiring gives a row of a datapath the first lease of its host interface, and a MAC address if it has one.
func completeWiring(u *unit, o model.Object) error {
	r := model.Of(o)
	lease := r.Field("ip_lease_uuid")
	if !lease.IsSet(o) {
		if ls := children[*model.IPLease](u, r.Field("interface_uuid").Text(o), "ip_leases.interface_uuid"); len(ls) > 0 {
			lease.Set(o, ls[0].UUID)
		}
	}
	if mac := r.Field("mac_address"); mac != nil && !mac.IsSet(o) {
		m, err := u.wiringMAC("")
		if err != nil {
			return err
		}
		mac.Set(o, m)
	}
	return nil
}

// changeWiring makes the lease follow the host interface, unless the change names one, and refuses to change what a topology has made.
func changeWiring(u *unit, old, o model.Object, d *decodedParams) error {
	r := model.Of(o)
	if r != model.TopologyDatapaths {
		if owner := r.Field("topology_uuid").Text(old); owner != "" {
			return model.Errorf(model.Conflict, "topology_uuid", "%s was made by %s, which would undo the change; change the topology, or delete the row and create one by hand", old.Base().UUID, owner)
		}
	}
	iface, lease := r.Field("interface_uuid"), r.Field("ip_lease_uuid")
	if _, given := d.values[lease]; !given && iface.Text(old) != iface.Text(o) {
		lease.Set(o, "")
	}
	if mac := r.Field("mac_address"); mac != nil && !mac.IsSet(o) {
		mac.Set(o, mac.Get(old))
	}
	return completeWiring(u, o)
}

// wire brings the rows that topologies make to what they say, after all that the transaction has written.
func (u *unit) wire() error {
	var touched []model.Object
	for old, o := range u.tx.Changes() {
		for _, o := range []model.Object{old, o} {
			if o != nil {
				touched = append(touched, o)
			}
		}
	}
	plan, err := topology.Reconcile(u.tx, touched, func(group string) (model.MAC, error) {
		if group == "" {
			return u.freeMAC(), nil
		}
		return u.macFrom("mac_range_group_uuid", group)
	})
	if err != nil {
		return err
	}
	for _, o := range plan.Delete {
		if !u.isThere(o.Base().UUID) {
			continue
		}
		deleted, err := u.tx.Delete(o.Base().UUID)
		if err != nil {
			return err
		}
		u.alsoDeleted(deleted)
	}
	for _, o := range plan.Put {
		if u.isThere(o.Base().UUID) {
			err = u.tx.Update(o)
		} else {
			u.inherit(o)
			err = u.tx.Create(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
