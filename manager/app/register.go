package app

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// registered gives the uuids of what the registration of a datapath makes. They follow from the datapath id: so the manager knows
// its own work from an operator's, which it never changes. To have a host interface of your own, create it and delete the
// registered one.
type registered model.DPID

func (d registered) suffix() string { return fmt.Sprintf("%016x", uint64(d)) }
func (d registered) iface() string  { return "if-" + d.suffix() }
func (d registered) port() string   { return "ifp-" + d.suffix() }
func (d registered) mac() string    { return "ml-" + d.suffix() }

// lease gives the uuid of the lease in a subnet: the first there has the subnet's, so that it stays when the address changes, and with
// it what is wired to it; any more have their address's.
func (d registered) lease(of fmt.Stringer) string { return "il-" + digest(d.suffix()+" "+of.String()) }

// underlayUUID gives the uuid of the physical network that a registration makes for a subnet.
func underlayUUID(p netip.Prefix) string { return "nw-" + digest(p.String()) }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:10])) // 16 of 0-9 and a-v
}

// Register gives the datapath of an agent that says hello. As long as the wiring is automatic, one that is not there is made, and where
// it has no host interface, that too from the agent's uplink, in the physical network of its subnet, which is made if there
// is none. What was made so follows the uplink's name and addresses, and the datapath's mtu the uplink's. The error says, for the agent's operator, why it may
// not join.
func (a *App) Register(ctx context.Context, h wire.Hello) (string, error) {
	var uuid string
	_, err := a.transact(ctx, Write{}, func(u *unit) error {
		automatic := false
		if t, ok := u.tx.Get(model.DefaultTopology); ok {
			automatic = t.(*model.Topology).Automatic
		}
		d, err := u.register(h, automatic)
		if err != nil {
			return err
		}
		uuid = d.UUID
		if h.Uplink == nil || h.Uplink.Name == "" {
			return nil
		}
		if err := u.registerMTU(d, h.Uplink.MTU); err != nil {
			return err
		}
		return u.registerUplink(d, h.Uplink, automatic)
	})
	if err != nil {
		return "", fmt.Errorf("register node %q: %w", h.NodeID, err)
	}
	return uuid, nil
}

func (u *unit) register(h wire.Hello, automatic bool) (*model.Datapath, error) {
	if h.NodeID == "" || h.DPID == 0 {
		return nil, model.Errorf(model.MissingArgument, "node_id", "an agent must say its node id and its bridge's datapath id")
	}
	if _, err := model.Datapaths.Field("node_id").Parse(h.NodeID); err != nil {
		return nil, err
	}
	if o := u.tx.ByUnique(model.Datapaths, "dpid", h.DPID.String()); o != nil {
		d := o.(*model.Datapath)
		if d.NodeID != h.NodeID {
			return nil, model.Errorf(model.Conflict, "node_id", "datapath id %s belongs to node %q (%s); this agent says it is %q", h.DPID, d.NodeID, d.UUID, h.NodeID)
		}
		return d, nil
	}
	if !automatic {
		return nil, model.Errorf(model.UnknownUUIDResource, "dpid", "there is no datapath with id %s, and hosts do not register themselves because the wiring is by hand: "+
			"vnctl datapaths add --display-name %s --dpid %s --node-id %s", h.DPID, h.NodeID, h.DPID, h.NodeID)
	}
	d := model.Datapaths.New().(*model.Datapath)
	d.DisplayName, d.NodeID, d.DPID = h.NodeID, h.NodeID, h.DPID
	for _, uuid := range []string{"dp-" + h.NodeID, "dp-" + registered(h.DPID).suffix()} {
		if _, taken := u.tx.Get(uuid); !taken && model.Datapaths.CheckUUID(uuid) == nil {
			d.UUID = uuid
			break
		}
	}
	return d, u.add(d)
}

// registerMTU keeps what the agent says of its uplink: what guests' packets may be long depends on the least of all hosts.
func (u *unit) registerMTU(d *model.Datapath, mtu int) error {
	if mtu <= 0 || mtu > math.MaxUint16 || d.MTU == uint16(mtu) {
		return nil
	}
	d = model.Clone(d)
	d.MTU = uint16(mtu)
	return u.replace(d)
}

// registerUplink makes the host interface of a datapath that has none, or makes the one that it made follow the uplink.
func (u *unit) registerUplink(d *model.Datapath, uplink *wire.Uplink, automatic bool) error {
	own := registered(d.DPID)
	if o, mine := u.tx.Get(own.iface()); !mine {
		if iface := u.hostInterface(d.UUID, uplink.Name); iface != "" {
			return u.registerMAC(own, iface, uplink.MAC)
		}
		if !automatic || u.hostInterface(d.UUID, "") != "" {
			return nil
		}
		i := &model.Interface{Meta: model.Meta{UUID: own.iface()}, Mode: model.InterfaceHost, DisplayName: "uplink of " + d.NodeID}
		if _, err := model.Interfaces.Field("display_name").Parse(i.DisplayName); err != nil {
			i.DisplayName = "uplink"
		}
		if err := u.add(i); err != nil {
			return err
		}
	} else if o.(*model.Interface).Mode != model.InterfaceHost {
		return nil // an operator has taken the name for something else
	}
	if err := u.ensure(&model.InterfacePort{Meta: model.Meta{UUID: own.port()}, InterfaceUUID: own.iface(), DatapathUUID: d.UUID, PortName: uplink.Name, Singular: true}); err != nil {
		return err
	}
	var mac string
	if uplink.MAC != (model.MAC{}) {
		mac = own.mac()
		if err := u.ensure(&model.MACLease{Meta: model.Meta{UUID: mac}, InterfaceUUID: own.iface(), MACAddress: uplink.MAC}); err != nil {
			return err
		}
	} else if ml := firstMAC(u, own.iface()); ml != nil {
		mac = ml.UUID
	}
	return u.ensureLeases(own, mac, uplink.Addresses)
}

// hostInterface gives an interface of mode host of a datapath, whose port has that name if it is not ""; "" if there is none.
func (u *unit) hostInterface(datapath, port string) string {
	for _, p := range children[*model.InterfacePort](u, datapath, "interface_ports.datapath_uuid") {
		if o, ok := u.tx.Get(p.InterfaceUUID); ok && o.(*model.Interface).Mode == model.InterfaceHost && (port == "" || p.PortName == port) {
			return p.InterfaceUUID
		}
	}
	return ""
}

// registerMAC gives an operator's host interface the address of its NIC, if it has no other.
func (u *unit) registerMAC(own registered, iface string, mac model.MAC) error {
	if mac == (model.MAC{}) || mac.IsMulticast() {
		return nil
	}
	for _, l := range children[*model.MACLease](u, iface, "mac_leases.interface_uuid") {
		if l.UUID != own.mac() {
			return nil
		}
	}
	if o := u.tx.ByUnique(model.MACLeases, macGroup, mac.String()); o != nil && o.Base().UUID != own.mac() {
		return nil // somebody has it already; the host goes on without
	}
	return u.ensure(&model.MACLease{Meta: model.Meta{UUID: own.mac()}, InterfaceUUID: iface, MACAddress: mac})
}

// ensure makes an object, or makes the one of its uuid equal to it, but for what an operator may have added.
func (u *unit) ensure(o model.Object) error {
	old, ok := u.tx.Get(o.Base().UUID)
	if !ok {
		return u.add(o)
	}
	o.Base().TenantUUID, o.Base().Labels = old.Base().TenantUUID, old.Base().Labels
	if was, ok := old.(*model.MACLease); ok {
		o.(*model.MACLease).SegmentUUID = was.SegmentUUID
	}
	return u.replace(o)
}

// ensureLeases makes the registration's leases those of the uplink's addresses, and leaves an operator's.
func (u *unit) ensureLeases(own registered, mac string, addresses []netip.Prefix) error {
	present := map[netip.Addr]bool{} // by an operator's lease, or done
	stale := map[string]bool{}
	for _, l := range children[*model.IPLease](u, own.iface(), "ip_leases.interface_uuid") {
		if own.made(u, l) {
			stale[l.UUID] = true
		} else {
			present[l.Addr()] = true
		}
	}
	first := map[netip.Prefix]bool{}
	for _, p := range addresses {
		if !usable(p) || present[p.Addr()] {
			continue
		}
		present[p.Addr()] = true
		network, err := u.underlay(p.Masked())
		if err != nil {
			return err
		}
		l := newLease(own.iface(), mac, network, p.Addr())
		if l.UUID = own.lease(p.Addr()); !first[p.Masked()] {
			first[p.Masked()] = true
			l.UUID = own.lease(p.Masked())
		}
		if o, ok := u.tx.Get(l.UUID); ok {
			l.EnableRouting = o.(*model.IPLease).EnableRouting
		}
		delete(stale, l.UUID)
		if err := u.ensure(l); err != nil {
			return err
		}
	}
	for uuid := range stale {
		if _, err := u.tx.Delete(uuid); err != nil {
			return err
		}
	}
	return nil
}

// made reports whether a lease was made by the registration.
func (d registered) made(u *unit, l *model.IPLease) bool {
	if l.UUID == d.lease(l.Addr()) {
		return true
	}
	o, ok := u.tx.Get(l.NetworkUUID)
	return ok && l.UUID == d.lease(o.(*model.Network).PrefixOf(l.Addr()))
}

// usable reports whether a tunnel can end at the address and a network be made of its subnet.
func usable(p netip.Prefix) bool {
	a := p.Addr()
	return p.IsValid() && a.IsGlobalUnicast() && a.Zone() == "" && !a.Is4In6() && p.Bits() > 0
}

// underlay gives the physical network of a subnet, which it makes if there is none.
func (u *unit) underlay(p netip.Prefix) (string, error) {
	for _, o := range u.tx.List(model.Networks) {
		if n := o.(*model.Network); n.Mode == model.NetworkPhysical && n.PrefixOf(p.Addr()) == p {
			u.tx.Get(n.UUID) // List alone would not notice its deletion
			return n.UUID, nil
		}
	}
	n := model.Networks.New().(*model.Network)
	n.UUID, n.Mode, n.DisplayName = underlayUUID(p), model.NetworkPhysical, "underlay "+p.String()
	if p.Addr().Is4() {
		n.IPv4Network, n.IPv4Prefix = p.Addr(), p.Bits()
	} else {
		n.IPv6Network, n.IPv6Prefix = p.Addr(), p.Bits()
	}
	fillNetwork(n)
	if _, taken := u.tx.Get(n.UUID); taken {
		n.UUID = u.freeUUID(model.Networks)
	}
	return n.UUID, u.add(n)
}

// deleteRegistered deletes the host interface that the registration of a datapath has made.
func deleteRegistered(u *unit, o model.Object) ([]string, error) {
	i, ok := u.tx.Get(registered(o.(*model.Datapath).DPID).iface())
	if !ok || i.(*model.Interface).Mode != model.InterfaceHost {
		return nil, nil
	}
	return u.tx.Delete(i.Base().UUID)
}
