package app

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// wanted is what an interface's creation parameters ask for.
type wanted struct {
	owner, port, network, segment, macGroup string
	noOwner                                 bool // the owner is given, and as none
	mac                                     model.MAC
	addrs                                   []netip.Addr
}

func wantedOf(d *decodedParams) (wanted, error) {
	r := model.Interfaces
	w := wanted{
		owner: input[string](r, d, "owner_datapath_uuid"), port: input[string](r, d, "port_name"),
		network: input[string](r, d, "network_uuid"), segment: input[string](r, d, "segment_uuid"),
		mac: input[model.MAC](r, d, "mac_address"), macGroup: input[string](r, d, "mac_range_group_uuid"),
	}
	w.noOwner = w.owner == "" && d.given(r, "owner_datapath_uuid")
	for _, name := range []string{"ipv4_address", "ipv6_address"} {
		a := input[netip.Addr](r, d, name)
		if !a.IsValid() {
			continue
		}
		if w.network == "" {
			return w, model.Errorf(model.MissingArgument, "network_uuid", "is required with %s", name)
		}
		w.addrs = append(w.addrs, a)
	}
	return w, nil
}

// references reports inputs that refer to nothing, under their own names, and gives the MAC address the network's segment.
func (w *wanted) references(u *unit, i *model.Interface) error {
	for _, f := range model.Interfaces.Inputs {
		if f.Ref == "" {
			continue
		}
		uuid := map[string]string{"owner_datapath_uuid": w.owner, "network_uuid": w.network, "segment_uuid": w.segment, "mac_range_group_uuid": w.macGroup}[f.Name]
		if uuid == "" {
			continue
		}
		// Of what the interface refers to by its other objects these see to the tenant.
		if o, ok := u.tx.Get(uuid); !ok || f.Name == "mac_range_group_uuid" && o.Base().TenantUUID != "" && o.Base().TenantUUID != i.TenantUUID {
			return unknownReference(model.ByPlural(f.Ref), f.Name, uuid)
		}
	}
	if w.network == "" {
		return nil
	}
	n, err := find[*model.Network](u, model.Networks, "network_uuid", w.network)
	if err != nil {
		return err
	}
	if w.segment == "" {
		w.segment = n.SegmentUUID
	} else if w.segment != n.SegmentUUID {
		return model.Errorf(model.InvalidID, "segment_uuid", "is %s, but network %s lies on %s", w.segment, n.UUID, orNone(n.SegmentUUID))
	}
	return nil
}

func orNone(uuid string) string {
	if uuid == "" {
		return "no segment"
	}
	return uuid
}

// address gives the MAC address for an interface that has none yet; the zero MAC if it is to have none. The NIC of a host and the
// ports to outside networks have addresses of their own, or many: those are leased only when they are given.
func (w *wanted) address(u *unit, mode string) (model.MAC, error) {
	switch {
	case w.mac != (model.MAC{}):
		return w.mac, nil
	case w.macGroup != "":
		return u.macFrom("mac_range_group_uuid", w.macGroup)
	case w.network == "" && w.segment == "":
		return model.MAC{}, nil
	}
	switch mode {
	case model.InterfaceHost, model.InterfacePromiscuous, model.InterfacePatch, model.InterfaceEdge:
		return model.MAC{}, nil
	}
	return u.freeMAC(), nil
}

// equipInterface makes an interface's port, MAC lease and IP leases.
func equipInterface(u *unit, o model.Object, d *decodedParams) error {
	i := o.(*model.Interface)
	w, err := wantedOf(d)
	if err != nil {
		return err
	}
	if err := w.references(u, i); err != nil {
		return err
	}
	if i.Mode == model.InterfaceHost && w.owner == "" {
		return model.Errorf(model.MissingArgument, "owner_datapath_uuid", "is required for an interface of mode %s", i.Mode)
	}
	if err := u.add(w.portOf(i)); err != nil {
		return err
	}
	m, err := w.address(u, i.Mode)
	if err != nil {
		return err
	}
	mac := ""
	if m != (model.MAC{}) {
		ml := &model.MACLease{InterfaceUUID: i.UUID, MACAddress: m, SegmentUUID: w.segment}
		if err := u.add(ml); err != nil {
			return err
		}
		mac = ml.UUID
	}
	for _, a := range w.addrs {
		l := newLease(i.UUID, mac, w.network, a)
		l.TenantUUID = i.TenantUUID
		if err := u.add(l); err != nil {
			return err
		}
	}
	if err := u.leaseFirst(mac, w.network); err != nil {
		return err
	}
	return w.attach(u, i, mac)
}

// attach puts a promiscuous interface on the segment and network that its creation names: it has no leases that would.
func (w *wanted) attach(u *unit, i *model.Interface, mac string) error {
	if i.Mode != model.InterfacePromiscuous {
		return nil
	}
	if w.segment != "" && mac == "" {
		if err := u.add(&model.InterfaceSegment{InterfaceUUID: i.UUID, SegmentUUID: w.segment, Static: true}); err != nil {
			return err
		}
	}
	if w.network != "" && len(w.addrs) == 0 {
		return u.add(&model.InterfaceNetwork{InterfaceUUID: i.UUID, NetworkUUID: w.network, Static: true})
	}
	return nil
}

func (w *wanted) portOf(i *model.Interface) *model.InterfacePort {
	p := &model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: w.owner, PortName: w.port, Singular: w.owner != "" || w.port != ""}
	if p.PortName == "" && i.Mode == model.InterfaceVIF {
		p.PortName = i.UUID
	}
	return p
}

// portAmong gives the port of an interface that is meant, nil if it has none, and that port as it is to be.
func (w *wanted) portAmong(i *model.Interface, ports []*model.InterfacePort) (old, port *model.InterfacePort) {
	if len(ports) == 0 {
		return nil, w.portOf(i)
	}
	old = ports[0]
	for _, p := range ports {
		if (w.owner == "" || w.owner == p.DatapathUUID) && (w.port == "" || w.port == p.PortName) {
			old = p
			break
		}
	}
	port = model.Clone(old)
	if w.owner != "" || w.noOwner {
		port.DatapathUUID = w.owner
	}
	if w.port != "" {
		port.PortName = w.port
	}
	port.Singular = port.Singular || !model.Equal(old, port)
	if port.DatapathUUID == "" && port.PortName == "" {
		port.Singular = false
	}
	return old, port
}

func newLease(iface, mac, network string, a netip.Addr) *model.IPLease {
	l := &model.IPLease{NetworkUUID: network, InterfaceUUID: iface, MACLeaseUUID: mac}
	setAddr(l, a)
	return l
}

func setAddr(l *model.IPLease, a netip.Addr) {
	if a.Is4() {
		l.IPv4Address = a
	} else {
		l.IPv6Address = a
	}
}

// inputChanges collects what the reconciliation of an interface changes of its port and leases, under the names of the interface's
// parameters.
type inputChanges struct {
	u  *unit
	cs []FieldChange
}

// put writes o in the place of old, which may be nil.
func (c *inputChanges) put(old, o model.Object, names map[string]string) error {
	fields := changes(model.Of(o), old, o)
	if old != nil && len(fields) == 0 {
		return nil
	}
	for _, f := range fields {
		if name, ok := names[f.Field]; ok {
			c.cs = append(c.cs, FieldChange{name, f.From, f.To})
		}
	}
	if old == nil {
		return c.u.add(o)
	}
	return c.u.replace(o)
}

var (
	portInputs  = map[string]string{"datapath_uuid": "owner_datapath_uuid", "port_name": "port_name", "singular": "singular"}
	macInputs   = map[string]string{"mac_address": "mac_address", "segment_uuid": "segment_uuid"}
	leaseInputs = map[string]string{"network_uuid": "network_uuid", "ipv4_address": "ipv4_address", "ipv6_address": "ipv6_address", "mac_lease_uuid": "mac_address"}
)

// reconcileInterface brings an existing interface's port and leases to what is asked for: what is missing is made, what contradicts is
// changed, what is not mentioned stays.
func reconcileInterface(u *unit, o model.Object, d *decodedParams) ([]FieldChange, error) {
	i := o.(*model.Interface)
	w, err := wantedOf(d)
	if err != nil {
		return nil, err
	}
	if u.written != nil {
		w.noOwner = false // null in a document says nothing
	}
	if err := w.references(u, i); err != nil {
		return nil, err
	}
	c := &inputChanges{u: u}
	if w.owner != "" || w.noOwner || w.port != "" {
		old, port := w.portAmong(i, children[*model.InterfacePort](u, i.UUID, "interface_ports.interface_uuid"))
		if i.Mode == model.InterfaceHost && port.DatapathUUID == "" {
			return nil, model.Errorf(model.MissingArgument, "owner_datapath_uuid", "is required for an interface of mode %s", i.Mode)
		}
		if err := c.put(object(old), port, portInputs); err != nil {
			return nil, err
		}
		if _, err := u.forgetPlace(i.UUID); err != nil {
			return nil, err
		}
	}
	ml, err := w.reconcileMAC(u, c, i)
	if err != nil {
		return nil, err
	}
	for _, a := range w.addrs {
		old := leaseIn(u, i.UUID, w.network, a)
		l := newLease(i.UUID, ml, w.network, a)
		l.TenantUUID = i.TenantUUID
		if old != nil {
			l = model.Clone(old)
			l.NetworkUUID = w.network
			setAddr(l, a)
			if l.MACLeaseUUID == "" || old.NetworkUUID != w.network {
				l.MACLeaseUUID = ml
			}
		}
		if err := c.put(object(old), l, leaseInputs); err != nil {
			return nil, err
		}
	}
	return c.cs, nil
}

// object gives a nil Object for a nil pointer.
func object[T interface {
	comparable
	model.Object
}](o T) model.Object {
	var none T
	if o == none {
		return nil
	}
	return o
}

// reconcileMAC brings an interface's MAC lease to what is asked for, and gives the one for the addresses, "" if there is none.
func (w *wanted) reconcileMAC(u *unit, c *inputChanges, i *model.Interface) (string, error) {
	leases := children[*model.MACLease](u, i.UUID, "mac_leases.interface_uuid")
	if len(leases) == 0 {
		m, err := w.address(u, i.Mode)
		if err != nil || m == (model.MAC{}) {
			return "", err
		}
		ml := &model.MACLease{InterfaceUUID: i.UUID, MACAddress: m, SegmentUUID: w.segment}
		err = c.put(nil, ml, macInputs)
		return ml.UUID, err
	}
	ml := leases[0]
	meant := func(l *model.MACLease) bool {
		if w.mac != (model.MAC{}) {
			return l.MACAddress == w.mac
		}
		return w.segment != "" && l.SegmentUUID == w.segment
	}
	if at := slices.IndexFunc(leases, meant); at >= 0 {
		ml = leases[at]
	} else if at := slices.IndexFunc(leases, func(l *model.MACLease) bool { return !u.claimed[l.UUID] }); at >= 0 {
		ml = leases[at]
	}
	want := model.Clone(ml)
	if w.mac != (model.MAC{}) {
		want.MACAddress = w.mac
	}
	if w.segment != "" {
		want.SegmentUUID = w.segment
	}
	return ml.UUID, c.put(ml, want, macInputs)
}

// leaseIn gives the lease of an interface that is meant by an address in a network: the one of that address, or else the oldest of its family
// in that network, or else the oldest of its family, which moves there. Leases that documents of their own mean are none of
// these.
func leaseIn(u *unit, iface, network string, a netip.Addr) *model.IPLease {
	var inNetwork, elsewhere *model.IPLease
	for _, l := range children[*model.IPLease](u, iface, "ip_leases.interface_uuid") {
		switch {
		case l.NetworkUUID == network && l.Addr() == a:
			return l
		case u.claimed[l.UUID] || l.Addr().Is4() != a.Is4() || l.LinkLocal():
		case l.NetworkUUID == network && inNetwork == nil:
			inNetwork = l
		case l.NetworkUUID != network && elsewhere == nil:
			elsewhere = l
		}
	}
	if inNetwork != nil {
		return inNetwork
	}
	return elsewhere
}

// changeInterface refuses a mode that what the interface has does not fit to.
func changeInterface(u *unit, old, o model.Object, d *decodedParams) error {
	was, i := old.(*model.Interface), o.(*model.Interface)
	if was.Mode == i.Mode {
		return nil
	}
	ports := children[*model.InterfacePort](u, i.UUID, "interface_ports.interface_uuid")
	switch i.Mode {
	case model.InterfaceHost:
		if !slices.ContainsFunc(ports, func(p *model.InterfacePort) bool { return p.DatapathUUID != "" }) && input[string](model.Interfaces, d, "owner_datapath_uuid") == "" {
			return model.Errorf(model.MissingArgument, "owner_datapath_uuid", "is required for an interface of mode %s", i.Mode)
		}
	case model.InterfaceVIF:
		for _, l := range children[*model.IPLease](u, i.UUID, "ip_leases.interface_uuid") {
			if l.MACLeaseUUID == "" {
				return model.Errorf(model.Conflict, "mode", "cannot become %s: %s has no mac lease, which a guest's address needs", i.Mode, l.UUID)
			}
		}
	}
	return nil
}

// interfaceChanged gives a port its name, without which a guest is not found, and forgets where an interface was that is no guest any more.
func interfaceChanged(u *unit, old, o model.Object) error {
	was, i := old.(*model.Interface), o.(*model.Interface)
	if was.Mode == i.Mode {
		return nil
	}
	if i.Mode == model.InterfaceVIF {
		for _, p := range children[*model.InterfacePort](u, i.UUID, "interface_ports.interface_uuid") {
			if p.PortName != "" {
				continue
			}
			p = model.Clone(p)
			p.PortName = i.UUID
			if err := u.replace(p); err != nil {
				return err
			}
			break
		}
	}
	_, err := u.forgetPlace(i.UUID)
	return err
}
