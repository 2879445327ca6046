package app

import (
	"context"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// Place takes an agent's report of the ports on its bridge: interfaces without a host of their own are where their port is. One
// that was found elsewhere comes here when the agent of that datapath is not connected. The result is the interfaces that
// this host claims while another one has them, which keep being the other's.
//
// An interface that is to move stays where it was found, also without its port: that host sends on what comes for it, and a move that fails leaves it there. The
// host that it has just left may have the port for a while yet.
//
// What there is to do is looked up in the store's copy, and only that is looked at again in a transaction: the report is of all ports.
func (a *App) Place(ctx context.Context, datapath string, ports wire.Ports) ([]wire.Problem, error) {
	p := placement{datapath: datapath, unplaced: setOf(ports.Unplaced), placed: setOf(ports.Placed)}
	var gone, found []string
	a.store.View(func(x *span.Index, _ int64) {
		g := copied{x.Graph()}
		for o := range g.Referrers(datapath, "active_interfaces.datapath_uuid") {
			if r := o.(*model.ActiveInterface); p.lost(g, r) {
				gone = append(gone, r.UUID)
			}
		}
		for _, name := range ports.Unplaced {
			if unowned(g, name) != "" {
				found = append(found, name)
			}
		}
	})
	if len(gone) == 0 && len(found) == 0 {
		return nil, nil
	}
	var conflicts []wire.Problem
	_, err := a.transact(ctx, Write{}, func(u *unit) error {
		conflicts = nil
		tx := u.tx
		if !u.isThere(datapath) {
			return nil // deleted meanwhile
		}
		for _, uuid := range gone {
			o, ok := tx.Get(uuid)
			if !ok || !p.lost(tx, o.(*model.ActiveInterface)) {
				continue
			}
			if _, err := tx.Delete(uuid); err != nil {
				return err
			}
		}
		for _, name := range found {
			iface := unowned(tx, name)
			if iface == "" {
				continue
			}
			o := tx.ByUnique(model.ActiveInterfaces, "interface", iface)
			if o == nil {
				if err := u.add(&model.ActiveInterface{InterfaceUUID: iface, DatapathUUID: datapath, PortName: name}); err != nil {
					return err
				}
				continue
			}
			switch r := o.(*model.ActiveInterface); {
			case r.DatapathUUID == datapath, r.TargetDatapathUUID == datapath, r.PreviousDatapathUUID == datapath:
			case a.presence != nil && time.Since(a.began) > settling && !a.presence.Connected(r.DatapathUUID):
				here := model.Clone(r)
				here.DatapathUUID, here.PortName, here.TargetDatapathUUID, here.PreviousDatapathUUID = datapath, name, "", ""
				if err := u.replace(here); err != nil {
					return err
				}
			case r.TargetDatapathUUID != "":
				conflicts = append(conflicts, wire.Problem{UUID: iface, Reason: fmt.Sprintf("port %s is here, but the interface is about to move from %s to %s", name, r.DatapathUUID, r.TargetDatapathUUID)})
			default:
				conflicts = append(conflicts, wire.Problem{UUID: iface, Reason: fmt.Sprintf("port %s is here as well, but the interface is on %s, where port %s is", name, r.DatapathUUID, r.PortName)})
			}
		}
		return nil
	})
	return conflicts, err
}

// placement is a report of ports.
type placement struct {
	datapath         string
	unplaced, placed map[string]struct{}
}

// lost tells whether an interface that was found here is so no more: its port is neither among the placed nor among the unplaced ones, or
// does not mean it any longer.
func (p *placement) lost(rd reader, r *model.ActiveInterface) bool {
	_, placed := p.placed[r.InterfaceUUID]
	_, unplaced := p.unplaced[r.PortName]
	return r.DatapathUUID == p.datapath && (!placed && !unplaced && r.TargetDatapathUUID == "" || unowned(rd, r.PortName) != r.InterfaceUUID)
}

func setOf(list []string) map[string]struct{} {
	set := make(map[string]struct{}, len(list))
	for _, s := range list {
		set[s] = struct{}{}
	}
	return set
}

// reader is what placing looks at: a transaction, or the store's copy.
type reader interface {
	model.Reader
	ByUnique(r *model.Resource, group string, values ...string) model.Object
}

// copied is the store's copy as a reader.
type copied struct{ *graph.Graph }

func (c copied) ByUnique(r *model.Resource, group string, values ...string) model.Object {
	uuid, ok := c.Graph.ByUnique(r, group, values...)
	if !ok {
		return nil
	}
	o, _ := c.Get(uuid)
	return o
}

// unowned gives the interface without a host of its own that a port's name or iface-id means, "" if there is none.
func unowned(rd reader, name string) string {
	iface := name
	if o := rd.ByUnique(model.InterfacePorts, "port", "", name); o != nil {
		iface = o.(*model.InterfacePort).InterfaceUUID
	} else if model.Interfaces.CheckUUID(name) != nil {
		return ""
	}
	for o := range rd.Referrers(iface, "interface_ports.interface_uuid") {
		if o.(*model.InterfacePort).DatapathUUID != "" {
			return ""
		}
	}
	return vif(rd, iface)
}

// vif gives the uuid if it is that of an interface of mode vif, "" otherwise.
func vif(rd model.Reader, uuid string) string {
	if o, ok := rd.Get(uuid); ok && o.(*model.Interface).Mode == model.InterfaceVIF {
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

func portMade(u *unit, o model.Object, _ *decodedParams) error { return portChanged(u, nil, o) }

func portChanged(u *unit, _, o model.Object) error {
	_, err := u.forgetPlace(o.(*model.InterfacePort).InterfaceUUID)
	return err
}

func portDeleted(u *unit, o model.Object) ([]string, error) {
	return u.forgetPlace(o.(*model.InterfacePort).InterfaceUUID)
}
