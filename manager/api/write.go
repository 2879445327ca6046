package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// create makes an object; below a parent's path the references to both ends come from the path.
func (h *handler) create(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	p, err := readParams(c.r, c.q)
	if err != nil {
		return nil, err
	}
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for an object that exists already")
	}
	if c.parent != "" {
		h.Reader.View(func(x *span.Index, _ int64) { err = c.ends(x.Graph()) })
		if err != nil {
			return nil, err
		}
		if err := c.fromPath(p, c.resource.Parent, c.parent); err != nil {
			return nil, err
		}
		if err := c.fromPath(p, c.resource.Key, c.key); err != nil {
			return nil, err
		}
	}
	res, err := h.UseCases.Create(c.r.Context(), c.resource, p, ctl.write())
	if err != nil {
		return nil, err
	}
	return h.written(c, ctl, res)
}

// fromPath sets a parameter that the path holds already.
func (c *call) fromPath(p app.Params, name, value string) error {
	if value == "" {
		return nil
	}
	if given, ok := p[name]; ok && given != value {
		return refusef(model.ArgumentError, name, "%q is not what the path says, %s", clip(fmt.Sprint(given)), value)
	}
	p[name] = value
	return nil
}

func (h *handler) update(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	p, err := readParams(c.r, c.q)
	if err != nil {
		return nil, err
	}
	o, err := h.found(c)
	if err != nil {
		return nil, err
	}
	res, err := h.UseCases.Update(c.r.Context(), c.resource, o.Base().UUID, p, ctl.write())
	if err != nil {
		return nil, err
	}
	return h.written(c, ctl, res)
}

// delete removes one object and answers its uuid; of a row with a key, the uuid at the other end, as OpenVNet does.
func (h *handler) delete(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(c.q, writeControls); err != nil {
		return nil, err
	}
	o, err := h.found(c)
	if err != nil {
		return nil, err
	}
	answer := o.Base().UUID
	if c.key != "" {
		answer = c.key
	}
	res, err := h.UseCases.Delete(c.r.Context(), c.resource, o.Base().UUID, ctl.write())
	if err != nil {
		return nil, err
	}
	return h.deleted(c, ctl, []string{answer}, res)
}

// deleteMatching removes the rows below a parent that match all parameters, one after another, and answers their uuids.
func (h *handler) deleteMatching(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for one object")
	}
	p, err := readParams(c.r, c.q)
	if err != nil {
		return nil, err
	}
	given := map[string]string{}
	for name, v := range p {
		if v == nil {
			v = ""
		}
		given[name] = fmt.Sprint(v)
	}
	filters, err := c.filters(given)
	if err != nil {
		return nil, err
	}
	var rows []model.Object
	h.Reader.View(func(x *span.Index, _ int64) { rows, err = c.match(x.Graph(), filters) })
	if err != nil {
		return nil, err
	}
	uuids, all := []string{}, &app.Result{}
	for _, o := range rows {
		res, err := h.UseCases.Delete(c.r.Context(), c.resource, o.Base().UUID, ctl.write())
		var refused *model.Error
		if errors.As(err, &refused) && refused.Class == model.UnknownUUIDResource {
			continue // another request was faster
		}
		if err != nil {
			return nil, err
		}
		uuids = append(uuids, o.Base().UUID)
		all.Revision = max(all.Revision, res.Revision)
		all.Deleted = append(all.Deleted, res.Deleted...)
		all.Notes = append(all.Notes, res.Notes...)
	}
	return h.deleted(c, ctl, uuids, all)
}

// found gives the object that the path addresses.
func (h *handler) found(c *call) (o model.Object, err error) {
	h.Reader.View(func(x *span.Index, _ int64) { o, err = c.find(x) })
	return o, err
}

func (c control) write() app.Write { return app.Write{DryRun: c.dryRun, IfRevision: c.ifRevision} }

// written answers a creation or a change.
func (h *handler) written(c *call, ctl control, res *app.Result) (*response, error) {
	o := res.Outcomes[0].Object
	out := &response{revision: res.Revision, notes: res.Notes}
	if !ctl.dryRun {
		out.etag = etag(o)
	}
	applied := h.wait(c.r.Context(), ctl, res, o)
	if !applied {
		out.status = http.StatusAccepted
	}
	var rec record
	h.Reader.View(func(x *span.Index, _ int64) { rec = c.record(x.Graph(), o) })
	rec.add("status", statusList(h.status(o)))
	if len(res.Notes) > 0 {
		rec.add("notes", res.Notes)
	}
	out.body = rec
	return out, nil
}

func (h *handler) deleted(c *call, ctl control, uuids []string, res *app.Result) (*response, error) {
	out := &response{body: uuids, revision: res.Revision, notes: res.Notes}
	if !h.wait(c.r.Context(), ctl, res) {
		out.status = http.StatusAccepted
	}
	return out, nil
}

// apply creates or changes many objects in one transaction.
func (h *handler) apply(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(c.q, writeControls); err != nil {
		return nil, err
	}
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for one object")
	}
	body, kind, err := readBody(c.r, maxApplyBody)
	if err != nil {
		return nil, err
	}
	docs, err := parseApply(kind, body)
	if err != nil {
		return nil, err
	}
	res, err := h.UseCases.Apply(c.r.Context(), docs, ctl.write())
	if err != nil {
		return nil, locate(err, docs)
	}
	var objects []model.Object
	for _, out := range res.Outcomes {
		if out.Action != app.Unchanged {
			objects = append(objects, out.Object)
		}
	}
	applied := h.wait(c.r.Context(), ctl, res, objects...)
	items := make([]any, len(res.Outcomes))
	for i, out := range res.Outcomes {
		rec := record{{"resource", model.Of(out.Object).Plural}, {"uuid", out.Object.Base().UUID}, {"action", out.Action},
			{"revision", out.Object.Base().Revision}}
		if ctl.wait && !ctl.dryRun {
			rec.add("status", statusList(h.status(out.Object)))
		}
		items[i] = rec
	}
	answer := &response{revision: res.Revision, notes: res.Notes,
		body: record{{"revision", res.Revision}, {"items", items}, {"notes", append([]string{}, res.Notes...)}}}
	if !applied {
		answer.status = http.StatusAccepted
	}
	return answer, nil
}

// locate makes a refusal name its document as the request has it: networks[2].ipv4_network is that of the third network.
func locate(err error, docs []app.Document) error {
	var at *app.DocumentError
	var refused *model.Error
	if !errors.As(err, &at) || !errors.As(at.Err, &refused) || at.Index >= len(docs) {
		return err
	}
	r, n := docs[at.Index].Resource, 0
	for _, d := range docs[:at.Index] {
		if d.Resource == r {
			n++
		}
	}
	return inDocument(r, n, refused)
}

func inDocument(r *model.Resource, n int, refused *model.Error) error {
	field := fmt.Sprintf("%s[%d]", r.Plural, n)
	if refused.Field != "" {
		field += "." + refused.Field
	}
	return &model.Error{Class: refused.Class, Field: field, Reason: refused.Reason}
}

// parseApply reads the documents of an apply: maps from a resource's plural to a list of maps of parameters.
func parseApply(kind bodyKind, body []byte) ([]app.Document, error) {
	if kind == noBody || kind == formBody {
		return nil, refusef(model.ArgumentError, "", "Invalid request body: apply takes documents in JSON or YAML")
	}
	docs, err := parseDocuments(kind, body, document.Limits{Depth: 6, Values: 4_000_000})
	if err != nil {
		return nil, err
	}
	var out []app.Document
	count := map[*model.Resource]int{}
	for _, d := range docs {
		if d.Kind != document.Map {
			return nil, refusef(model.ArgumentError, "", "line %d: a document is a map from resources (%s) to lists, not %s", d.Line, plurals(), d.String())
		}
		for _, m := range d.Members {
			r := exposed(m.Name)
			if r == nil {
				return nil, refusef(model.ArgumentError, clip(m.Name), "line %d: is not a resource; there are %s", m.Line, plurals())
			}
			if m.Kind != document.List {
				return nil, refusef(model.ArgumentError, m.Name, "line %d: must be a list, not %s", m.Line, m.Value.String())
			}
			for _, item := range m.List {
				if item.Kind != document.Map {
					return nil, inDocument(r, count[r], model.Errorf(model.ArgumentError, "", "line %d: must be a map, not %s", item.Line, item.String()))
				}
				p, err := flatParams(&item)
				var refused *model.Error
				if errors.As(err, &refused) {
					return nil, inDocument(r, count[r], refused)
				}
				out = append(out, app.Document{Resource: r, Params: p})
				count[r]++
			}
		}
	}
	return out, nil
}

func plurals() string {
	var list []string
	for _, r := range model.All() {
		if !r.Hidden {
			list = append(list, r.Plural)
		}
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}
