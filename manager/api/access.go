package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

const fieldTenant = "tenant_uuid"

func (c *call) identity() access.Identity { return access.From(c.r.Context()) }

// seesAll reports whether no object is hidden from the client.
func (c *call) seesAll() bool { return c.identity().AllTenants() }

// sees reports whether the client may know of the object. What it may not is absent for it.
func (c *call) sees(o model.Object) bool { return c.identity().MayRead(o) }

// touched tells the audit log what a write has concerned.
func (c *call) touched(res *app.Result) {
	var uuids []string
	for _, out := range res.Outcomes {
		if out.Action != app.Unchanged {
			uuids = append(uuids, out.Object.Base().UUID)
		}
	}
	for _, uuid := range res.Deleted {
		if !slices.Contains(uuids[:min(len(uuids), 100)], uuid) {
			uuids = append(uuids, uuid)
		}
	}
	access.Touch(c.r.Context(), uuids...)
}

// forProvider refuses who is bound to tenants.
func (c *call) forProvider() error {
	if !c.seesAll() {
		return refusef(model.Forbidden, "", "%s is bound to tenants, and this is the provider's", c.identity().Name)
	}
	return nil
}

// mayWrite refuses who may only read, whatever the object.
func (c *call) mayWrite() error {
	if id := c.identity(); id.Role < access.Operator {
		return refusef(model.Forbidden, "", "%s may only read (role %s)", id.Name, id.Role)
	}
	return nil
}

// mayChangeBelow refuses to make or remove rows below a parent that is not the client's.
func (c *call) mayChangeBelow(g *graph.Graph) error {
	o, ok := g.Get(c.parent)
	if !ok {
		return nil // ends has looked
	}
	return c.identity().CheckWrite(g, o)
}

// authorizeCreate refuses an object that the client may not make, or that refers to what it may not use, and gives it the client's
// tenant where it names none.
func (h *handler) authorizeCreate(c *call, r *model.Resource, p app.Params) error {
	if c.seesAll() {
		return nil
	}
	if r.CrossTenant || slices.Contains([]*model.Resource{model.Tenants, model.Datapaths, model.Topologies}, r) {
		return refusef(model.Forbidden, "", "%s is bound to tenants; hosts, tenants and what networks are carried over are the provider's", c.identity().Name)
	}
	given := ""
	if v := p[fieldTenant]; v != nil {
		given = fmt.Sprint(v)
	}
	tenant, err := c.identity().CheckCreate(given)
	if err != nil {
		return err
	}
	p[fieldTenant] = tenant
	return h.authorizeParams(c, r, p)
}

// authorizeUpdate refuses to change or delete an object that is not the client's, and pins what was looked at: it is changed as it was, or
// not at all.
func (h *handler) authorizeUpdate(c *call, ctl control, o model.Object, p app.Params) (control, error) {
	if c.seesAll() {
		return ctl, nil
	}
	var err error
	h.Reader.View(func(x *span.Index, _ int64) { err = c.identity().CheckWrite(x.Graph(), o) })
	if err != nil {
		return ctl, err
	}
	if ctl.ifRevision == 0 {
		ctl.ifRevision = o.Base().Revision
	}
	return ctl, h.authorizeParams(c, model.Of(o), p)
}

// authorizeParams refuses parameters that refer to what the client does not see, as if it were not there, and to what is shared but not to
// be used by tenants: they may be in the provider's networks, and take from its ranges, but not change what its interfaces or
// route links do. What reaches beyond virtual networks is the provider's as well.
func (h *handler) authorizeParams(c *call, r *model.Resource, p app.Params) (err error) {
	id := c.identity()
	if mode, ok := p["mode"].(string); ok && slices.Contains(providersModes[r], mode) {
		return refusef(model.Forbidden, "mode", "%s is bound to tenants; %s %s is the provider's", id.Name, r.Title(), mode)
	}
	h.Reader.View(func(x *span.Index, _ int64) {
		for _, name := range slices.Sorted(maps.Keys(p)) {
			f := r.Field(name)
			if f == nil {
				f = r.Input(name)
			}
			uuid, ok := p[name].(string)
			if f == nil || f.Ref == "" || !ok {
				continue
			}
			o, ok := x.Graph().Get(uuid)
			switch {
			case !ok: // said by whoever checks references
			case !c.sees(o):
				err = unknown(model.ByPlural(f.Ref), f.Name, uuid)
			case !id.MayWrite(o) && !slices.Contains(shared, f.Ref):
				err = refusef(model.Forbidden, f.Name, "%s may not change %s, which is not of its tenants", id.Name, uuid)
			}
			if err != nil {
				return
			}
		}
	})
	return err
}

// shared are the resources whose objects tenants may refer to where they are the provider's.
var shared = []string{"networks", "segments", "datapaths", "mac_range_groups", "ip_range_groups", "security_groups", "tenants"}

// providersModes are the modes that reach beyond virtual networks, to hosts and to networks outside.
var providersModes = map[*model.Resource][]string{
	model.Interfaces: {"host", "internal", "patch", "promiscuous", "edge"},
	model.Networks:   {"physical", "internal"},
	model.Segments:   {"physical"},
}

// authorizeApply refuses documents that the client may not apply, and gives its tenant to those that name none. What is not of all
// tenants is planned first: what it would change or prune must be the client's.
func (h *handler) authorizeApply(c *call, docs appliedList, prune string) error {
	if c.seesAll() {
		return nil
	}
	refuse := func(d applied, err error) error {
		var refused *model.Error
		if errors.As(err, &refused) {
			return inDocument(d.path, refused)
		}
		return err
	}
	for _, d := range docs {
		var old model.Object
		uuid, _ := d.Params["uuid"].(string)
		h.Reader.View(func(x *span.Index, _ int64) { old, _ = x.Graph().Get(uuid) })
		if old != nil { // looked at below
			if err := h.authorizeParams(c, d.Resource, d.Params); err != nil {
				return refuse(d, err)
			}
			continue
		}
		if err := h.authorizeCreate(c, d.Resource, d.Params); err != nil {
			return refuse(d, err)
		}
	}
	res, err := h.UseCases.Apply(c.r.Context(), docs.documents(), app.ApplyOptions{Write: app.Write{DryRun: true}, Prune: prune})
	if err != nil {
		return docs.locate(err)
	}
	id := c.identity()
	h.Reader.View(func(x *span.Index, _ int64) {
		for _, out := range res.Outcomes {
			if out.Action == app.Unchanged {
				continue
			}
			if old, ok := x.Graph().Get(out.Object.Base().UUID); ok {
				err = id.CheckWrite(x.Graph(), old)
			}
			if err == nil && out.Action != app.Deleted {
				err = id.CheckWrite(x.Graph(), out.Object)
			}
			if err != nil {
				return
			}
		}
	})
	return err
}
