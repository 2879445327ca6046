package api

import (
	"net/http"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// action gives what can be done with an object of r beside what can be done with all: /r/uuid/path. Nil if there is nothing.
func (h *handler) action(r *model.Resource, path string) methods {
	switch r.Plural + "/" + path {
	case "ip_leases/attach":
		return methods{http.MethodPut: h.attachLease}
	case "ip_leases/release":
		return methods{http.MethodPut: h.releaseLease}
	case "interfaces/move":
		return methods{http.MethodPost: h.moveInterface, http.MethodDelete: h.cancelMove}
	case "lease_policies/ip_leases":
		return methods{http.MethodPost: h.allocateLease}
	}
	return nil
}

// attachLease gives an IP lease to an interface, or to one of its MAC leases.
func (h *handler) attachLease(c *call) (*response, error) {
	return h.act(c, []string{"interface_uuid", "mac_lease_uuid"}, func(ctl control, p app.Params) (*app.Result, error) {
		return h.UseCases.AttachIPLease(c.r.Context(), c.uuid, p, ctl.write())
	})
}

// releaseLease takes an IP lease from its interface.
func (h *handler) releaseLease(c *call) (*response, error) {
	return h.act(c, nil, func(ctl control, _ app.Params) (*app.Result, error) {
		return h.UseCases.ReleaseIPLease(c.r.Context(), c.uuid, ctl.write())
	})
}

// moveInterface announces that an interface moves to another host.
func (h *handler) moveInterface(c *call) (*response, error) {
	if err := c.forProvider(); err != nil {
		return nil, err
	}
	return h.act(c, []string{"datapath_uuid"}, func(ctl control, p app.Params) (*app.Result, error) {
		return h.UseCases.MoveInterface(c.r.Context(), c.uuid, p, ctl.write())
	})
}

// cancelMove takes that back.
func (h *handler) cancelMove(c *call) (*response, error) {
	if err := c.forProvider(); err != nil {
		return nil, err
	}
	return h.act(c, nil, func(ctl control, _ app.Params) (*app.Result, error) {
		return h.UseCases.CancelMove(c.r.Context(), c.uuid, ctl.write())
	})
}

// allocateLease makes an IP lease that a lease policy has room for; it is nobody's as yet.
func (h *handler) allocateLease(c *call) (*response, error) {
	return h.act(c, []string{"ip_lease_uuid", "label"}, func(ctl control, p app.Params) (*app.Result, error) {
		return h.UseCases.AllocateIPLease(c.r.Context(), c.uuid, p, ctl.write())
	})
}

// act runs an action that takes these parameters and answers an object.
func (h *handler) act(c *call, known []string, run func(control, app.Params) (*app.Result, error)) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	p, err := h.readParams(c)
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(p, known); err != nil {
		return nil, err
	}
	o, err := h.found(c)
	if err != nil {
		return nil, err
	}
	if ctl, err = h.authorizeUpdate(c, ctl, o, p); err != nil {
		return nil, err
	}
	res, err := run(ctl, p)
	if err != nil {
		return nil, err
	}
	return h.written(c, ctl, res)
}
