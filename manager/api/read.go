package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// maxPage bounds the limit of a list.
const maxPage = 10_000

// record gives an object as the path of the call presents it.
func (c *call) record(g *graph.Graph, o model.Object) record {
	if c.parent != "" && c.resource.Key != "" {
		return linkRecord(g, o)
	}
	return objectRecord(g, o)
}

// show answers one object.
func (h *handler) show(c *call) (*response, error) {
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	var o model.Object
	var rec record
	var err error
	h.Reader.View(func(x *span.Index, _ int64) {
		if o, err = c.find(x); err == nil {
			rec = c.record(x.Graph(), o)
		}
	})
	if err != nil {
		return nil, err
	}
	rec.add("status", statusList(h.status(o)))
	return &response{body: rec, etag: etag(o)}, nil
}

// list answers a page of the objects that match.
func (h *handler) list(c *call) (*response, error) {
	limit, err := takeInt(c.q, "limit", h.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	offset, err := takeInt(c.q, "offset", 0, 1<<31-1)
	if err != nil {
		return nil, err
	}
	withStatus, err := takeBool(c.q, "status")
	if err != nil {
		return nil, err
	}
	filters, err := c.filters(c.q)
	if err != nil {
		return nil, err
	}
	var page []model.Object
	items := []any{}
	total := 0
	h.Reader.View(func(x *span.Index, _ int64) {
		var all []model.Object
		if all, err = c.match(x.Graph(), filters); err != nil {
			return
		}
		total = len(all)
		from := min(offset, total)
		page = slices.Clone(all[from:min(from+limit, total)])
		for _, o := range page {
			items = append(items, c.record(x.Graph(), o))
		}
	})
	if err != nil {
		return nil, err
	}
	if withStatus {
		for i, o := range page {
			rec := items[i].(record)
			rec.add("status", statusList(h.status(o)))
			items[i] = rec
		}
	}
	return &response{body: record{{"total_count", total}, {"offset", offset}, {"limit", limit}, {"items", items}}}, nil
}

// filter is a condition on a list: the field has that text.
type filter struct {
	field *model.Field
	text  string
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
	if a, ok := v.(netip.Addr); ok && !a.IsValid() {
		return ""
	}
	return fmt.Sprint(v)
}

// match gives the objects that the path reaches and the filters leave, by id. The slice may be the graph's own.
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
	if len(filters) == 0 {
		return all, nil
	}
	var out []model.Object
	for _, o := range all {
		if !slices.ContainsFunc(filters, func(f filter) bool { return !holds(g, o, f) }) {
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
		case f.text == "":
		case f.field.Name == "uuid":
			if o, ok := g.Get(f.text); ok && model.Of(o) == c.resource {
				return []model.Object{o}, rest
			}
			return nil, rest
		case c.resource.Field(f.field.Name) != f.field: // interfaces only
			return interfacesBy(g, f), rest
		case f.field.Ref != "":
			return graph.Children[model.Object](g, f.text, c.resource.Plural+"."+f.field.Name), rest
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

func (h *handler) describe(c *call) (*response, error) {
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	return &response{body: h.openapi}, nil
}
