package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// maxPage bounds the limit of a list.
const maxPage = 10_000

// linked reports whether the call's path shows the objects at the other end of its rows, not the rows.
func (c *call) linked() bool { return c.keyField != nil && !c.resource.Rows }

// record gives an object as the path of the call presents it.
func (c *call) record(g *graph.Graph, o model.Object, sel selection) record {
	if c.linked() {
		return linkRecord(g, o, c.keyField, sel)
	}
	return objectRecord(g, o, sel)
}

// takeFields removes the selection of members from the query.
func (c *call) takeFields() (selection, error) {
	v, ok := c.q["fields"]
	delete(c.q, "fields")
	if !ok {
		return nil, nil
	}
	known := members(c.resource)
	if c.linked() {
		known = linkMembers(c.resource, model.ByPlural(c.keyField.Ref))
	}
	sel := selection{}
	for name := range strings.SplitSeq(v, ",") {
		if !slices.Contains(known, name) {
			return nil, refusef(model.ArgumentError, "fields", "%q is not a field here; there are %s", clip(name), strings.Join(known, ", "))
		}
		sel[name] = true
	}
	return sel, nil
}

// show answers one object.
func (h *handler) show(c *call) (*response, error) {
	sel, err := c.takeFields()
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	var o model.Object
	var rec record
	var rev int64
	h.Reader.View(func(x *span.Index, revision int64) {
		if o, err = c.find(x); err == nil {
			rec, rev = c.record(x.Graph(), o, sel), revision
		}
	})
	if err != nil {
		return nil, err
	}
	if sel.has(memberStatus) {
		rec.add(memberStatus, statusList(h.status(o)))
	}
	return &response{body: rec, etag: etag(o), revision: rev}, nil
}

// list answers a page of the objects that match, by id: what is created meanwhile comes last.
func (h *handler) list(c *call) (*response, error) {
	limit, err := takeInt(c.q, "limit", h.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	offset, err := takeInt(c.q, "offset", 0, 1<<31-1)
	if err != nil {
		return nil, err
	}
	withStatus, err := takeBool(c.q, memberStatus)
	if err != nil {
		return nil, err
	}
	sel, err := c.takeFields()
	if err != nil {
		return nil, err
	}
	withStatus = withStatus || sel != nil && sel[memberStatus]
	filters, err := c.filters(c.q)
	if err != nil {
		return nil, err
	}
	var page []model.Object
	items := []any{}
	total, rev := 0, int64(0)
	h.Reader.View(func(x *span.Index, revision int64) {
		var all []model.Object
		if all, err = c.match(x.Graph(), filters); err != nil {
			return
		}
		total, rev = len(all), revision
		from := min(offset, total)
		page = slices.Clone(all[from:min(from+limit, total)])
		for _, o := range page {
			items = append(items, c.record(x.Graph(), o, sel))
		}
	})
	if err != nil {
		return nil, err
	}
	if withStatus {
		for i, o := range page {
			rec := items[i].(record)
			rec.add(memberStatus, statusList(h.status(o)))
			items[i] = rec
		}
	}
	return &response{body: record{{"total_count", total}, {"offset", offset}, {"limit", limit}, {"items", items}}, revision: rev}, nil
}

// filter is a condition on a list: the field has that text, or carries those labels.
type filter struct {
	field  *model.Field
	text   string
	labels []label
}

// filters reads conditions; their values are brought to the form that objects have them in.
func (c *call) filters(given map[string]string) ([]filter, error) {
	fields := filterable(c.resource)
	if err := refuseUnknown(given, names(fields)); err != nil {
		return nil, err
	}
	var list []filter
	for _, name := range slices.Sorted(maps.Keys(given)) {
		f := fields[slices.IndexFunc(fields, func(f *model.Field) bool { return f.Name == name })]
		if name == fieldLabels && given[name] != "" {
			labels, err := parseSelector(name, given[name])
			if err != nil {
				return nil, err
			}
			list = append(list, filter{field: f, labels: labels})
			continue
		}
		if given[name] == "" && f.Type == model.Time {
			list = append(list, filter{field: f})
			continue
		}
		v, err := f.ParseText(given[name])
		if err != nil {
			return nil, err
		}
		list = append(list, filter{field: f, text: textOf(v)})
	}
	return list, nil
}

// textOf gives a parsed value in the form that Field.Text gives.
func textOf(v any) string {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return ""
		}
		v = rv.Elem().Interface()
	}
	switch v := v.(type) {
	case netip.Addr:
		if !v.IsValid() {
			return ""
		}
	case netip.Prefix:
		if !v.IsValid() {
			return ""
		}
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// match gives the objects that the path reaches, the client may see and the filters leave, by id. The slice may be the graph's own.
func (c *call) match(g *graph.Graph, filters []filter) ([]model.Object, error) {
	var all []model.Object
	if c.parent != "" {
		if err := c.ends(g); err != nil {
			return nil, err
		}
		all = c.rows(g)
	} else {
		all, filters = c.narrow(g, filters)
	}
	if len(filters) == 0 && c.seesAll() {
		return all, nil
	}
	var out []model.Object
	for _, o := range all {
		if c.sees(o) && !slices.ContainsFunc(filters, func(f filter) bool { return !holds(g, o, f) }) {
			out = append(out, o)
		}
	}
	return out, nil
}

// narrow uses the graph's indexes for one of the filters: a uuid, a reference, or what an interface shows of its port and leases. It
// gives the objects that remain, and the filters that they have still to be asked.
func (c *call) narrow(g *graph.Graph, filters []filter) ([]model.Object, []filter) {
	for i, f := range filters {
		rest := slices.Delete(slices.Clone(filters), i, i+1)
		switch {
		case f.text == "" || f.labels != nil:
		case f.field.Name == "uuid":
			if o, ok := g.Get(f.text); ok && model.Of(o) == c.resource {
				return []model.Object{o}, rest
			}
			return nil, rest
		case c.resource.Field(f.field.Name) != f.field: // interfaces only
			return interfacesBy(g, f), rest
		case f.field.Ref != "":
			return byID(g.Referrers(f.text, c.resource.Plural+"."+f.field.Name)), rest
		}
	}
	return g.List(c.resource), filters
}

func (h *handler) healthz(c *call) (*response, error) {
	if h.Health != nil {
		if err := h.Health(c.r.Context()); err != nil {
			return &response{status: http.StatusServiceUnavailable, body: record{{"status", "unhealthy"}, {"reason", err.Error()}}}, nil
		}
	}
	return &response{body: record{{"status", "ok"}}}, nil
}

func (h *handler) version(c *call) (*response, error) {
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	var rev int64
	h.Reader.View(func(_ *span.Index, r int64) { rev = r })
	return &response{body: record{{"version", h.Version}, {"api", "1.0"}, {"revision", rev}}}, nil
}

// documents are texts that stay the same while the manager runs, made at the first request.
type documents struct {
	mu   sync.Mutex
	made map[string][]byte
}

func (d *documents) get(name string, encode func() ([]byte, error)) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b, ok := d.made[name]; ok {
		return b, nil
	}
	b, err := encode()
	if err != nil {
		return nil, err
	}
	if d.made == nil {
		d.made = map[string][]byte{}
	}
	d.made[name] = b
	return b, nil
}

// text is an answer that is there already.
func text(kind string, body []byte) *response {
	return &response{kind: kind, stream: func(w http.ResponseWriter) (int, error) {
		n, _ := w.Write(body) // a client that is gone is no concern of ours
		return n, nil
	}}
}

const (
	kindJSON = "application/json; charset=utf-8"
	kindYAML = "application/yaml; charset=utf-8"
)

func kindOf(asYAML bool) string {
	if asYAML {
		return kindYAML
	}
	return kindJSON
}

func (h *handler) describe(c *call) (*response, error) {
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	kind := kindOf(c.asYAML)
	body, err := h.documents.get("openapi "+kind, func() ([]byte, error) { return encode(h.openapi, c.asYAML) })
	return text(kind, body), err
}
