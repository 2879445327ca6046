package app

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// wanted is what an interface's creation parameters ask for.
type wanted struct {
	owner, port, network string
	mac                  model.MAC
	addrs                []netip.Addr
}

func wantedOf(d *decodedParams) (wanted, error) {
	r := model.Interfaces
	w := wanted{
		owner: input[string](r, d, "owner_datapath_uuid"), port: input[string](r, d, "port_name"),
		network: input[string](r, d, "network_uuid"), mac: input[model.MAC](r, d, "mac_address"),
	}
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

// references reports inputs that refer to nothing, under their own names.
func (w *wanted) references(u *unit) error {
	for _, ref := range []struct{ field, uuid string }{{"owner_datapath_uuid", w.owner}, {"network_uuid", w.network}} {
		if ref.uuid == "" {
			continue
		}
		if _, ok := u.tx.Get(ref.uuid); !ok {
			return model.Errorf(model.UnknownUUIDResource, ref.field, "there is no %s %s", model.ByUUID(ref.uuid).Title(), ref.uuid)
		}
	}
	return nil
}

// equipInterface makes an interface's port, MAC lease and IP leases.
func equipInterface(u *unit, o model.Object, d *decodedParams) error {
	i := o.(*model.Interface)
	w, err := wantedOf(d)
	if err != nil {
		return err
	}
	if err := w.references(u); err != nil {
		return err
	}
	if i.Mode == model.InterfaceHost && w.owner == "" {
		return model.Errorf(model.MissingArgument, "owner_datapath_uuid", "is required for an interface of mode %s", i.Mode)
	}
	if err := u.add(w.portOf(i)); err != nil {
		return err
	}
	if w.mac == (model.MAC{}) {
		if w.network == "" {
			return nil
		}
		w.mac = u.freeMAC()
	}
	ml := &model.MACLease{InterfaceUUID: i.UUID, MACAddress: w.mac}
	if err := u.add(ml); err != nil {
		return err
	}
	for _, a := range w.addrs {
		if err := u.add(newLease(i.UUID, ml.UUID, w.network, a)); err != nil {
			return err
		}
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

// portAmong gives the port of an interface that a document means, nil if it has none, and that port as it is to be.
func (w *wanted) portAmong(i *model.Interface, ports []*model.InterfacePort) (old, port *model.InterfacePort) {
	if len(ports) == 0 {
		return nil, w.portOf(i)
	}
	for _, p := range ports {
		if (w.owner == "" || w.owner == p.DatapathUUID) && (w.port == "" || w.port == p.PortName) {
			return p, p
		}
	}
	port = model.Clone(ports[0])
	if w.owner != "" {
		port.DatapathUUID = w.owner
	}
	if w.port != "" {
		port.PortName = w.port
	}
	port.Singular = true
	return ports[0], port
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

// reconcileInterface brings an existing interface's port and leases to what a document asks for: what is missing is made, what
// contradicts is changed, what is not mentioned stays.
func reconcileInterface(u *unit, o model.Object, d *decodedParams) (changed bool, err error) {
	i := o.(*model.Interface)
	w, err := wantedOf(d)
	if err != nil {
		return false, err
	}
	if err := w.references(u); err != nil {
		return false, err
	}
	put := func(old, o model.Object) error {
		if old == nil {
			changed = true
			return u.add(o)
		}
		if model.Equal(old, o) {
			return nil
		}
		changed = true
		return u.replace(o)
	}
	if w.owner != "" || w.port != "" {
		old, port := w.portAmong(i, children[*model.InterfacePort](u, i.UUID, "interface_ports.interface_uuid"))
		if old == nil {
			err = put(nil, port)
		} else {
			err = put(old, port)
		}
		if err == nil {
			_, err = u.forgetPlace(i.UUID)
		}
		if err != nil {
			return false, err
		}
	}
	if w.network == "" && w.mac == (model.MAC{}) {
		return changed, nil
	}
	ml := firstMAC(u, i.UUID)
	switch {
	case ml == nil:
		if w.mac == (model.MAC{}) {
			w.mac = u.freeMAC()
		}
		ml = &model.MACLease{InterfaceUUID: i.UUID, MACAddress: w.mac}
		err = put(nil, ml)
	case w.mac != (model.MAC{}):
		old := ml
		ml = model.Clone(ml)
		ml.MACAddress = w.mac
		err = put(old, ml)
	}
	if err != nil {
		return false, err
	}
	for _, a := range w.addrs {
		old := leaseIn(u, i.UUID, w.network, a)
		if old == nil {
			err = put(nil, newLease(i.UUID, ml.UUID, w.network, a))
		} else {
			l := model.Clone(old)
			setAddr(l, a)
			err = put(old, l)
		}
		if err != nil {
			return false, err
		}
	}
	return changed, nil
}

// leaseIn gives the lease of an interface in a network that a document's address means: the one with that address, or else the oldest of
// its family.
func leaseIn(u *unit, iface, network string, a netip.Addr) *model.IPLease {
	var found *model.IPLease
	for _, l := range children[*model.IPLease](u, iface, "ip_leases.interface_uuid") {
		if l.NetworkUUID != network || l.Addr().Is4() != a.Is4() {
			continue
		}
		if l.Addr() == a {
			return l
		}
		if found == nil {
			found = l
		}
	}
	return found
}
