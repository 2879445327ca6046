package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/compact"
	"github.com/openvnet/openvnet/model/span"
)

// create makes an object; below a parent's path the references to both ends come from the path.
func (h *handler) create(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	p, err := h.readParams(c)
	if err != nil {
		return nil, err
	}
	return h.make(c, ctl, p)
}

// make creates the object that the path and the parameters describe.
func (h *handler) make(c *call, ctl control, p app.Params) (*response, error) {
	var err error
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for an object that exists already")
	}
	if c.parent != "" {
		h.Reader.View(func(x *span.Index, _ int64) {
			if err = c.ends(x.Graph()); err == nil {
				err = c.mayChangeBelow(x.Graph())
			}
		})
		if err != nil {
			return nil, err
		}
		if err := c.fromPath(p, c.parentField, c.parent); err != nil {
			return nil, err
		}
		if err := c.fromPath(p, c.keyField, c.key); err != nil {
			return nil, err
		}
	}
	if err := h.authorizeCreate(c, c.resource, p); err != nil {
		return nil, err
	}
	res, err := h.UseCases.Create(c.r.Context(), c.resource, p, ctl.write())
	if err != nil {
		return nil, err
	}
	return h.written(c, ctl, res)
}

// fromPath sets a parameter that the path holds already.
func (c *call) fromPath(p app.Params, field *model.Field, value string) error {
	if value == "" {
		return nil
	}
	if given, ok := p[field.Name]; ok && given != value {
		return refusef(model.ArgumentError, field.Name, "%q is not what the path says, %s", clip(fmt.Sprint(given)), value)
	}
	p[field.Name] = value
	return nil
}

func (h *handler) update(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	p, err := h.readParams(c)
	if err != nil {
		return nil, err
	}
	o, err := h.found(c)
	var refused *model.Error
	if errors.As(err, &refused) && refused.Class == model.UnknownResource && c.resource.Field(fieldStatic) != nil {
		return h.associate(c, ctl, p)
	}
	if err != nil {
		return nil, err
	}
	ctl, err = h.authorizeUpdate(c, ctl, o, p)
	if err != nil {
		return nil, err
	}
	res, err := h.UseCases.Update(c.r.Context(), c.resource, o.Base().UUID, p, ctl.write())
	if err != nil {
		return nil, err
	}
	if slices.Contains(res.Deleted, o.Base().UUID) {
		c.touched(res)
		return &response{body: record{}, revision: res.Revision, notes: res.Notes}, nil // nothing justified the row any more
	}
	return h.written(c, ctl, res)
}

// fieldStatic is the field of an interface's association with a network, segment or route link that makes it stay.
const fieldStatic = "static"

// associate changes the association that the path names and that is not there: making it static makes it. As in OpenVNet a request that asks
// for nothing, or for what is so already, is answered with an empty object.
func (h *handler) associate(c *call, ctl control, p app.Params) (*response, error) {
	v, err := c.resource.Field(fieldStatic).Parse(p[fieldStatic])
	if err != nil {
		return nil, err
	}
	if v != true {
		if err := refuseUnknown(p, []string{fieldStatic}); err != nil {
			return nil, err
		}
		return &response{body: record{}}, nil
	}
	return h.make(c, ctl, p)
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
	if ctl, err = h.authorizeUpdate(c, ctl, o, nil); err != nil {
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

// deleteMatching removes the rows below a parent that match all parameters, in one transaction, and answers their uuids.
func (h *handler) deleteMatching(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for one object")
	}
	p, err := h.readParams(c)
	if err != nil {
		return nil, err
	}
	match, err := h.matching(c, p)
	if err != nil {
		return nil, err
	}
	h.Reader.View(func(x *span.Index, _ int64) {
		if err = c.ends(x.Graph()); err == nil {
			err = c.mayChangeBelow(x.Graph())
		}
	})
	if err != nil {
		return nil, err
	}
	res, err := h.UseCases.DeleteMatching(c.r.Context(), c.resource, match, ctl.write())
	var refused *model.Error
	if errors.As(err, &refused) && refused.Class == model.UnknownResource && c.resource == model.InterfacePorts {
		return &response{body: []string{}}, nil // as OpenVNet does of ports only
	}
	if err != nil {
		return nil, err
	}
	rows := make([]string, len(res.Outcomes))
	for i, out := range res.Outcomes {
		rows[i] = out.Object.Base().UUID
	}
	return h.deleted(c, ctl, rows, res)
}

// matching gives what the rows to delete have, by field. A port goes by what is given, and without anything all ports do. Other rows go
// by at least one value; a filter's rule is named by all that makes it one, as by its creation: what is not given is any
// address or port.
func (h *handler) matching(c *call, p app.Params) (map[string]string, error) {
	given := map[string]string{}
	for name, v := range p {
		if f := c.resource.Input(name); f != nil {
			continue // a creation takes it too, and it says nothing of the row
		}
		if v == nil {
			v = ""
		}
		given[name] = fmt.Sprint(v)
	}
	filters, err := c.filters(given)
	if err != nil {
		return nil, err
	}
	match := map[string]string{c.parentField.Name: c.parent}
	for _, f := range filters {
		if f.labels != nil {
			return nil, refusef(model.ArgumentError, f.field.Name, "does not name a row")
		}
		match[f.field.Name] = f.text
	}
	switch {
	case c.resource == model.InterfacePorts:
	case c.resource == model.FilterStatics:
		if match["protocol"] == "" {
			return nil, refusef(model.MissingArgument, "protocol", "is required")
		}
		fresh := c.resource.New()
		for _, name := range ruleFields {
			if _, ok := match[name]; !ok {
				match[name] = c.resource.Field(name).Text(fresh)
			}
		}
		h.Reader.View(func(x *span.Index, _ int64) { sameRule(c.rows(x.Graph()), match) })
	case len(filters) == 0:
		return nil, refusef(model.MissingArgument, "uuid", "is required, or other values that the rows to delete have")
	}
	return match, nil
}

// ruleFields are those that, with the protocol, make a filter's rule the one that it is.
var ruleFields = []string{"src_address", "dst_address", "src_port", "dst_port"}

// sameRule gives match the addresses in the form in which one of the rules has them: any address may be written 0.0.0.0/0 as well.
func sameRule(rules []model.Object, match map[string]string) {
	anyAddress := func(text string) string {
		if p, err := netip.ParsePrefix(text); err == nil && p.Bits() == 0 {
			return ""
		}
		return text
	}
	for _, o := range rules {
		r := model.Of(o)
		if r.Field("protocol").Text(o) == match["protocol"] &&
			!slices.ContainsFunc(ruleFields, func(name string) bool { return anyAddress(r.Field(name).Text(o)) != anyAddress(match[name]) }) {
			for _, name := range ruleFields {
				match[name] = r.Field(name).Text(o)
			}
			return
		}
	}
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
	c.touched(res)
	out := &response{revision: res.Revision, notes: res.Notes}
	if !ctl.dryRun {
		out.etag = etag(o)
	}
	applied := h.wait(c.r.Context(), ctl, res, o)
	if !applied {
		out.status = http.StatusAccepted
	}
	var rec record
	h.Reader.View(func(x *span.Index, _ int64) { rec = c.record(x.Graph(), o, nil) })
	rec.add(memberStatus, statusList(h.status(o)))
	if len(res.Notes) > 0 {
		rec.add("notes", res.Notes)
	}
	out.body = rec
	return out, nil
}

func (h *handler) deleted(c *call, ctl control, uuids []string, res *app.Result) (*response, error) {
	c.touched(res)
	out := &response{body: uuids, revision: res.Revision, notes: res.Notes}
	if !h.wait(c.r.Context(), ctl, res) {
		out.status = http.StatusAccepted
	}
	return out, nil
}

// plan answers what apply would do.
func (h *handler) plan(c *call) (*response, error) {
	for _, name := range writeControls {
		if _, ok := c.q[name]; ok {
			return nil, refusef(model.ArgumentError, name, "is not a parameter here: a plan changes nothing")
		}
	}
	c.q["dry_run"] = "true"
	return h.apply(c)
}

// apply creates or changes many objects in one transaction, and with prune deletes those that carry its labels and are not among them.
func (h *handler) apply(c *call) (*response, error) {
	ctl, err := takeControl(c.q, c.r.Header)
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(c.q, append([]string{"prune"}, writeControls...)); err != nil {
		return nil, err
	}
	if ctl.ifRevision != 0 {
		return nil, refusef(model.ArgumentError, ifMatch, "is for one object")
	}
	prune, given := c.q["prune"]
	if given {
		if _, err := parseSelector("prune", prune); err != nil {
			return nil, err
		}
	}
	body, kind, err := h.readBody(c, maxApplyBody, 10*h.BodyTime)
	if err != nil {
		return nil, err
	}
	docs, err := parseApply(kind, body)
	if err != nil {
		return nil, err
	}
	if err := h.authorizeApply(c, docs, prune); err != nil {
		return nil, err
	}
	res, err := h.UseCases.Apply(c.r.Context(), docs.documents(), app.ApplyOptions{Write: ctl.write(), Prune: prune})
	if err != nil {
		return nil, docs.locate(err)
	}
	c.touched(res)
	var objects []model.Object
	for _, out := range res.Outcomes {
		if out.Action == app.Created || out.Action == app.Updated {
			objects = append(objects, out.Object)
		}
	}
	applied := h.wait(c.r.Context(), ctl, res, objects...)
	items := make([]any, len(res.Outcomes))
	for i, out := range res.Outcomes {
		rec := record{{"resource", model.Of(out.Object).Plural}, {"uuid", out.Object.Base().UUID}, {"action", out.Action},
			{"revision", out.Object.Base().Revision}}
		if len(out.Changes) > 0 {
			rec.add("changes", changesList(out.Changes))
		}
		if ctl.wait && !ctl.dryRun && out.Action != app.Deleted {
			rec.add(memberStatus, statusList(h.status(out.Object)))
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

func changesList(changes []app.FieldChange) []any {
	list := make([]any, len(changes))
	for i, c := range changes {
		list[i] = record{{"field", c.Field}, {"from", c.From}, {"to", c.To}}
	}
	return list
}

// applied is a document of an apply, and where in the request it is: networks[2] is the third network, guests.web1 a part of a virtual
// network in short form.
type applied struct {
	app.Document
	path string
}

type appliedList []applied

func (l appliedList) documents() []app.Document {
	docs := make([]app.Document, len(l))
	for i, d := range l {
		docs[i] = d.Document
	}
	return docs
}

// locate makes a refusal name its document as the request has it: networks[2].ipv4_network is that of the third network.
func (l appliedList) locate(err error) error {
	var at *app.DocumentError
	var refused *model.Error
	if !errors.As(err, &at) || !errors.As(at.Err, &refused) || at.Index >= len(l) {
		return err
	}
	return inDocument(l[at.Index].path, refused)
}

func inDocument(path string, refused *model.Error) error {
	if refused.Field != "" {
		path += "." + refused.Field
	}
	return &model.Error{Class: refused.Class, Field: path, Reason: refused.Reason}
}

// parseApply reads the documents of an apply: maps from a resource's plural to a list of maps of parameters, or virtual networks in
// short form (package compact).
func parseApply(kind bodyKind, body []byte) (appliedList, error) {
	if kind == noBody || kind == formBody {
		return nil, refusef(model.ArgumentError, "", "Invalid request body: apply takes documents in JSON or YAML")
	}
	docs, err := parseDocuments(kind, body, document.Limits{Depth: 12, Values: 4_000_000})
	if err != nil {
		return nil, err
	}
	var out appliedList
	count := map[*model.Resource]int{}
	for i := range docs {
		doc := &docs[i]
		if compact.Is(doc) {
			more, err := expand(doc)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		if doc.Kind == document.Scalar && doc.Scalar == nil {
			continue
		}
		if doc.Kind != document.Map {
			return nil, refusef(model.ArgumentError, "", "Invalid request body: it is %s, not a map from resources to lists", doc.String())
		}
		for _, m := range doc.Members {
			r := exposed(m.Name)
			if r == nil {
				return nil, refusef(model.ArgumentError, clip(m.Name), "line %d: is not a resource; there are %s", m.Line, plurals())
			}
			if m.Kind != document.List {
				return nil, refusef(model.ArgumentError, m.Name, "line %d: must be a list, not %s", m.Line, m.Value.String())
			}
			for _, item := range m.List {
				path := fmt.Sprintf("%s[%d]", r.Plural, count[r])
				if item.Kind != document.Map {
					return nil, inDocument(path, model.Errorf(model.ArgumentError, "", "line %d: must be a map, not %s", item.Line, item.String()))
				}
				p, err := flatParams(&item)
				if err == nil {
					err = canonical(r, p)
				}
				var refused *model.Error
				if errors.As(err, &refused) {
					return nil, inDocument(path, refused)
				}
				out = append(out, applied{app.Document{Resource: r, Params: p}, path})
				count[r]++
			}
		}
	}
	return out, nil
}

// expand gives the documents of a virtual network in short form.
func expand(doc *document.Value) (appliedList, error) {
	docs, err := compact.Expand(doc)
	if err != nil {
		return nil, refusef(model.ArgumentError, compact.Key, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	out := make(appliedList, len(docs))
	for i, d := range docs {
		out[i] = applied{app.Document{Resource: d.Resource, Params: d.Params}, d.Path}
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
	return strings.Join(list, ", ")
}
