package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

// Place takes an agent's report of the ports on its bridge: interfaces without a host of their own are where their port is. It
// gives the interfaces that this host claims while another one has them, which keep being the other's.
func (a *App) Place(ctx context.Context, datapath string, ports wire.Ports) ([]wire.Problem, error) {
	var conflicts []wire.Problem
	_, err := a.store.Update(ctx, func(tx *store.Tx) error {
		conflicts = nil
		if _, ok := tx.Get(datapath); !ok {
			return nil // deleted meanwhile
		}
		// Those whose port is neither among the placed nor among the unplaced ones have lost it, and those that the port no
		// longer means.
		var gone []string
		for o := range tx.Referrers(datapath, "active_interfaces.datapath_uuid") {
			if r := o.(*model.ActiveInterface); !slices.Contains(ports.Placed, r.InterfaceUUID) && !slices.Contains(ports.Unplaced, r.PortName) ||
				unowned(tx, r.PortName) != r.InterfaceUUID {
				gone = append(gone, r.UUID)
			}
		}
		for _, uuid := range gone {
			if _, err := tx.Delete(uuid); err != nil {
				return err
			}
		}
		for _, name := range ports.Unplaced {
			iface := unowned(tx, name)
			if iface == "" {
				continue
			}
			o := tx.ByUnique(model.ActiveInterfaces, "interface", iface)
			if o == nil {
				if err := tx.Create(&model.ActiveInterface{InterfaceUUID: iface, DatapathUUID: datapath, PortName: name}); err != nil {
					return err
				}
				continue
			}
			if r := o.(*model.ActiveInterface); r.DatapathUUID != datapath {
				conflicts = append(conflicts, wire.Problem{UUID: iface, Reason: fmt.Sprintf("port %s is here as well, but the interface is on %s, where port %s is", name, r.DatapathUUID, r.PortName)})
			}
		}
		return nil
	})
	return conflicts, err
}

// unowned gives the interface without a host of its own that a port's name or iface-id means, "" if there is none.
func unowned(tx *store.Tx, name string) string {
	iface := name
	if o := tx.ByUnique(model.InterfacePorts, "port", "", name); o != nil {
		iface = o.(*model.InterfacePort).InterfaceUUID
	} else if model.Interfaces.CheckUUID(name) != nil {
		return ""
	}
	for o := range tx.Referrers(iface, "interface_ports.interface_uuid") {
		if o.(*model.InterfacePort).DatapathUUID != "" {
			return ""
		}
	}
	return vif(tx, iface)
}

// vif gives the uuid if it is that of an interface of mode vif, "" otherwise.
func vif(tx *store.Tx, uuid string) string {
	if o, ok := tx.Get(uuid); ok && o.(*model.Interface).Mode == model.InterfaceVIF {
		return uuid
	}
	return ""
}

// forgetPlace deletes the record of where an interface was found if that port no longer means it: the interface has a host of its
// own now, or its port another name. It gives the uuid of the record.
func (u *unit) forgetPlace(iface string) ([]string, error) {
	o := u.tx.ByUnique(model.ActiveInterfaces, "interface", iface)
	if o == nil || unowned(u.tx, o.(*model.ActiveInterface).PortName) == iface {
		return nil, nil
	}
	return u.tx.Delete(o.Base().UUID)
}

func portMade(u *unit, o model.Object, _ *decodedParams) error {
	_, err := u.forgetPlace(o.(*model.InterfacePort).InterfaceUUID)
	return err
}

func portDeleted(u *unit, o model.Object) ([]string, error) {
	return u.forgetPlace(o.(*model.InterfacePort).InterfaceUUID)
}
