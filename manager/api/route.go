package api

import (
	"cmp"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// call is a request on its way: what its path addresses, and its query string as far as nobody has taken it.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	q       map[string]string
	asYAML  bool
	methods methods

	harmless bool // it changes nothing, whatever its method

	resource *model.Resource // of the objects addressed
	uuid     string          // the object, "" for the collection
	parent   string          // uuid of the object that a sub-resource's rows are reached through, "" otherwise
	key      string          // uuid at the other end, of a row that its path addresses so; uuid is "" then

	// Of a sub-resource: the fields that parent and key are values of; keyField is nil where rows go by their own uuids.
	parentField, keyField *model.Field
}

// methods are what can be done on a path.
type methods map[string]func(*call) (*response, error)

func (m methods) allow() string {
	list := slices.Sorted(maps.Keys(m))
	return strings.Join(append(list, http.MethodOptions), ", ")
}

var errNoPath = refusef(model.UnknownResource, "", "there is nothing at this path")

// route finds out what a request addresses, and in which syntax it is to be answered.
func (h *handler) route(r *http.Request) (c *call, asYAML bool, err error) {
	c = &call{r: r}
	path := r.URL.EscapedPath()
	if path == "/healthz" {
		c.methods = methods{http.MethodGet: h.healthz}
		return c, false, nil
	}
	if path == "/browse" {
		path = "/api/1.0/browse"
	}
	rest, ok := strings.CutPrefix(path, "/api/1.0/")
	if !ok {
		if rest, ok = strings.CutPrefix(path, "/api/"); !ok {
			return nil, false, errNoPath
		}
	}
	rest = strings.TrimSuffix(rest, "/")
	if cut, ok := strings.CutSuffix(rest, ".yml"); ok {
		rest, asYAML = cut, true
	} else {
		rest = strings.TrimSuffix(rest, ".json")
	}
	var elems []string
	for elem := range strings.SplitSeq(rest, "/") {
		if elem, err = url.PathUnescape(elem); err != nil {
			return nil, asYAML, errNoPath
		}
		elems = append(elems, elem)
	}
	elems = former(elems)
	if c.q, err = query(r.URL.RawQuery); err != nil {
		return nil, asYAML, err
	}
	if c.methods = h.fixed(elems); c.methods != nil {
		c.harmless = elems[0] == "plan"
		return c, asYAML, nil
	}
	return c, asYAML, h.address(c, elems)
}

// former translates the paths that OpenVNet's client library has for static filters: /filters/static and /filters/static/U.
func former(elems []string) []string {
	if len(elems) < 2 || len(elems) > 3 || elems[0] != model.Filters.Plural || elems[1] != model.FilterStatics.Path {
		return elems
	}
	if len(elems) == 2 || elems[2] == "" {
		return []string{model.FilterStatics.Plural}
	}
	return []string{elems[0], elems[2], elems[1]}
}

// fixed gives the methods of the paths that are no resource's.
func (h *handler) fixed(elems []string) methods {
	if len(elems) != 1 {
		return nil
	}
	switch elems[0] {
	case "apply":
		return methods{http.MethodPost: h.apply}
	case "plan":
		return methods{http.MethodPost: h.plan}
	case "export":
		return methods{http.MethodGet: h.export}
	case "watch":
		return methods{http.MethodGet: h.watch}
	case "hosts":
		return methods{http.MethodGet: h.hosts}
	case "openapi":
		return methods{http.MethodGet: h.describe}
	case "browse":
		return methods{http.MethodGet: h.browse}
	case "version":
		return methods{http.MethodGet: h.version}
	}
	return nil
}

// address reads the elements of a resource's path.
func (h *handler) address(c *call, elems []string) error {
	r := exposed(elems[0])
	if r == nil {
		return errNoPath
	}
	c.resource = r
	switch len(elems) {
	case 1:
		c.methods = methods{http.MethodGet: h.list, http.MethodPost: h.create}
		return nil
	case 2:
		c.uuid = elems[1]
		c.methods = h.item()
		return checkUUID(r, "uuid", c.uuid)
	}
	if len(elems) > 4 {
		return errNoPath
	}
	sub := subResource(r, elems[2])
	if sub == nil {
		if c.methods = h.action(r, elems[2]); c.methods == nil || len(elems) > 3 {
			return errNoPath
		}
		c.uuid = elems[1]
		return checkUUID(r, "uuid", c.uuid)
	}
	c.resource, c.parent, c.parentField, c.keyField = sub, elems[1], sub.Field(sub.Parent), sub.Field(sub.Key)
	if c.parentField.Ref != r.Plural { // seen from its other end
		c.parentField, c.keyField = c.keyField, c.parentField
	}
	if err := checkUUID(r, c.parentField.Name, c.parent); err != nil {
		return err
	}
	if len(elems) == 3 {
		c.methods = methods{http.MethodGet: h.list, http.MethodPost: h.create}
		if c.keyField == nil {
			c.methods[http.MethodDelete] = h.deleteMatching
		}
		return nil
	}
	c.methods = h.item()
	if c.keyField == nil {
		c.uuid = elems[3]
		return checkUUID(sub, "uuid", c.uuid)
	}
	c.key = elems[3]
	c.methods[http.MethodPost] = h.create
	return checkUUID(model.ByPlural(c.keyField.Ref), c.keyField.Name, c.key)
}

func (h *handler) item() methods {
	return methods{http.MethodGet: h.show, http.MethodPut: h.update, http.MethodPatch: h.update, http.MethodDelete: h.delete}
}

// exposed gives the resource of that plural if clients may see it, or nil.
func exposed(plural string) *model.Resource {
	if r := model.ByPlural(plural); r != nil && !r.Hidden {
		return r
	}
	return nil
}

// subResource gives the resource whose rows are reached through an object of r at the path, or nil.
func subResource(r *model.Resource, path string) *model.Resource {
	for _, s := range model.All() {
		if s.Parent != "" && !s.Hidden && s.Path == path && s.Field(s.Parent).Ref == r.Plural {
			return s
		}
	}
	for _, s := range model.All() { // OpenVNet 0.9 has /interfaces/if-x/security_groups/sg-y too
		if s.Key != "" && !s.Hidden && s.Field(s.Key).Ref == r.Plural && s.Field(s.Parent).Ref == path && path == "security_groups" {
			return s
		}
	}
	return nil
}

func checkUUID(r *model.Resource, field, uuid string) error {
	if err := r.CheckUUID(uuid); err != nil {
		return &model.Error{Class: model.InvalidUUID, Field: field, Reason: err.Error()}
	}
	return nil
}

// find gives the object that the path of an item addresses, if the client may see it.
func (c *call) find(x *span.Index) (model.Object, error) {
	g := x.Graph()
	if c.parent != "" {
		if err := c.ends(g); err != nil {
			return nil, err
		}
	}
	if c.key != "" {
		if o := c.link(g); o != nil && c.sees(o) {
			return o, nil
		}
		return nil, refusef(model.UnknownResource, c.keyField.Name, "%s and %s are not linked", c.parent, c.key)
	}
	o, ok := g.Get(c.uuid)
	if !ok || model.Of(o) != c.resource || !c.sees(o) || c.parent != "" && c.parentField.Text(o) != c.parent {
		return nil, unknown(c.resource, "uuid", c.uuid)
	}
	return o, nil
}

// link gives the row between the two objects that the path names, nil if there is none.
func (c *call) link(g *graph.Graph) model.Object {
	for _, u := range c.resource.Uniques {
		if len(u.Fields) != 2 || !slices.Contains(u.Fields, c.parentField) || !slices.Contains(u.Fields, c.keyField) {
			continue
		}
		values := []string{c.parent, c.key}
		if u.Fields[0] == c.keyField {
			slices.Reverse(values)
		}
		uuid, ok := g.ByUnique(c.resource, u.Name, values...)
		if !ok {
			return nil
		}
		o, _ := g.Get(uuid)
		return o
	}
	for _, o := range c.rows(g) {
		if c.keyField.Text(o) == c.key {
			return o
		}
	}
	return nil
}

// ends looks whether the objects that a sub-resource's path names exist.
func (c *call) ends(g *graph.Graph) error {
	for _, end := range []struct {
		field *model.Field
		uuid  string
	}{{c.parentField, c.parent}, {c.keyField, c.key}} {
		if end.uuid == "" {
			continue
		}
		if o, ok := g.Get(end.uuid); !ok || !c.sees(o) {
			return unknown(model.ByPlural(end.field.Ref), end.field.Name, end.uuid)
		}
	}
	return nil
}

// rows gives the rows of a sub-resource that its path reaches, by id.
func (c *call) rows(g *graph.Graph) []model.Object {
	return byID(g.Referrers(c.parent, c.resource.Plural+"."+c.parentField.Name))
}

// byID gives objects in the order of their ids. There may be as many as a network has leases: the ids are looked up once.
func byID(objects iter.Seq[model.Object]) []model.Object {
	type numbered struct {
		id uint32
		o  model.Object
	}
	var list []numbered
	for o := range objects {
		list = append(list, numbered{o.Base().ID, o})
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.id, b.id) })
	out := make([]model.Object, len(list))
	for i, n := range list {
		out[i] = n.o
	}
	return out
}

func unknown(r *model.Resource, field, uuid string) error {
	return refusef(model.UnknownUUIDResource, field, "there is no %s %s", r.Title(), uuid)
}
