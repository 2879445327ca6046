package compact

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// expansion is one document on its way to plain ones.
type expansion struct {
	problems
	name     string // of the document
	tenant   string
	topology string
	labels   string

	networks []*network // in the order of the document
	guests   []*guest
	routers  []*router
	groups   []*group
	sets     []*addressSet
	byName   struct {
		networks map[string]*network
		guests   map[string]*guest
		groups   map[string]*group
		sets     map[string]*addressSet
	}

	docs      []Document
	uuids     map[string]string // to the path of what has it
	addresses map[string]string // by network and address, to the path of what has it
	macs      map[model.MAC]string
	ports     map[string]string // by host and name, to the path of the guest
}

// Expand gives the plain documents of a compact one, those that others refer to first. The error is Errors: everything that is
// wrong with the document, as far as the document alone tells.
func Expand(v *document.Value) ([]Document, error) {
	x := &expansion{uuids: map[string]string{}, addresses: map[string]string{}, macs: map[model.MAC]string{}, ports: map[string]string{}}
	x.byName.networks, x.byName.guests, x.byName.groups = map[string]*network{}, map[string]*guest{}, map[string]*group{}
	x.byName.sets = map[string]*addressSet{}
	x.read(node{v, "", v.Line})
	if x.errs == nil { // with half of the names missing, what follows would be noise
		x.networkDocuments()
		x.guestDocuments()
		x.routerDocuments()
		x.groupDocuments()
		x.validate()
	}
	if err := x.err(); err != nil {
		return nil, err
	}
	rank := map[*model.Resource]int{}
	for i, r := range model.All() {
		rank[r] = i
	}
	slices.SortStableFunc(x.docs, func(a, b Document) int { return rank[a.Resource] - rank[b.Resource] })
	return x.docs, nil
}

// read reads everything and resolves its names.
func (x *expansion) read(root node) {
	o := x.object(root, Key, "tenant", "topology", "labels", "networks", "guests", "routers", "addresses", "rules")
	if !o.has(Key) {
		x.addf(node{root.v, Key, root.line}, "is required: the name of the virtual network")
	} else if s, ok := x.text(o.get(Key)); ok {
		if x.name = s; !isName(s) {
			x.addf(o.get(Key), nameRule, clip(s))
		}
	}
	if o.has("tenant") {
		x.tenant = x.uuid(o.get("tenant"), model.Tenants)
	}
	if o.has("topology") {
		x.topology = x.uuid(o.get("topology"), model.Topologies)
	}
	x.readLabels(o.get("labels"))
	for _, m := range x.named(o.get("networks"), model.Networks) {
		x.readNetwork(m)
	}
	for _, m := range x.named(o.get("guests"), model.Interfaces) {
		x.readGuest(m)
	}
	for _, m := range x.named(o.get("routers"), model.RouteLinks) {
		x.readRouter(m)
	}
	x.readAddresses(o.get("addresses"))
	x.readRules(o.get("rules"))
	for _, n := range x.networks {
		x.readRecords(n)
	}
	for _, g := range x.guests {
		x.resolveGroups(g)
		x.readFilterRules(g)
	}
}

// readLabels reads the labels of every object, to which the document's own is added.
func (x *expansion) readLabels(n node) {
	labels := map[string]string{}
	for _, m := range x.members(n) {
		if m.name == Label {
			x.addf(m.node, "is the document's own label")
			continue
		}
		if m.v.Kind != document.Scalar {
			x.addf(m.node, "must be a single value, not %s", m.v.String())
			continue
		}
		labels[m.name], _ = x.text(m.node)
	}
	if isName(x.name) {
		labels[Label] = x.name
	}
	made, err := model.MakeLabels(labels)
	if err != nil {
		x.addf(n, "%v", err)
	}
	x.labels = string(made)
}

// uuidOf gives the uuid of a thing that the document names: the one that it gives, or one that follows from the name.
func (x *expansion) uuidOf(o object, r *model.Resource, name string) string {
	if o.has("uuid") {
		return x.uuid(o.get("uuid"), r)
	}
	return readable(r, x.name, name)
}

// add makes a document of pairs of a parameter's name and value; empty values are left out.
func (x *expansion) add(of node, r *model.Resource, uuid string, pairs ...any) *Document {
	d := Document{Resource: r, Path: of.path, Line: of.line, Params: map[string]any{"uuid": uuid, "labels": x.labels}, Lines: map[string]int{}}
	if x.tenant != "" {
		d.Params["tenant_uuid"] = x.tenant
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case bool:
			d.Params[name] = v
		default:
			if s := text(v); s != "" {
				d.Params[name] = s
			}
		}
	}
	if other, ok := x.uuids[uuid]; ok {
		x.addf(of, "comes to %s, as does %s; give one of them another name", uuid, other)
	}
	x.uuids[uuid] = of.path
	x.docs = append(x.docs, d)
	return &x.docs[len(x.docs)-1]
}

// text gives the text of a parameter, "" for what is not set.
func text(v any) string {
	switch v := v.(type) {
	case netip.Addr:
		if !v.IsValid() {
			return ""
		}
		return v.String()
	case netip.Prefix:
		if !v.IsValid() {
			return ""
		}
	case uint16:
		if v == 0 {
			return ""
		}
	}
	return fmt.Sprint(v)
}

// at says where a parameter stands.
func (d *Document) at(name string, n node) *Document {
	if n.v != nil {
		d.Lines[name] = n.line
	}
	return d
}

// validate asks the model about each document by itself.
func (x *expansion) validate() {
	for _, d := range x.docs {
		o := d.Resource.New()
		valid := true
		for _, name := range slices.Sorted(maps.Keys(d.Params)) {
			f, input := d.Resource.Field(name), d.Resource.Input(name)
			if f == nil {
				f = input
			}
			if f == nil {
				panic("compact: " + d.Resource.Plural + " has no parameter " + name)
			}
			v, err := f.Parse(d.Params[name])
			if err != nil {
				x.addf(d.place(name), "%v", err)
				valid = false
			} else if input == nil {
				f.Set(o, v)
			}
		}
		if !valid {
			continue
		}
		if err := d.Resource.Validate(o); err != nil {
			var e *model.Error
			errors.As(err, &e)
			x.addf(d.place(e.Field), "%v", err)
		}
	}
}

// place gives where a parameter stands.
func (d *Document) place(param string) node {
	n := node{path: d.Path, line: d.Line}
	if l, ok := d.Lines[param]; ok {
		n.line = l
	}
	return n
}

// take gives an address of a network to what stands at n; a second taker is a mistake.
func (x *expansion) take(network string, a netip.Addr, n node) {
	key := network + " " + a.String()
	if other, ok := x.addresses[key]; ok {
		x.addf(n, "%s is taken by %s", a, other)
		return
	}
	x.addresses[key] = n.path
}

// takeMAC gives a MAC address to what stands at n.
func (x *expansion) takeMAC(m model.MAC, n node) {
	if other, ok := x.macs[m]; ok {
		x.addf(n, "%s is taken by %s", m, other)
		return
	}
	x.macs[m] = n.path
}

// leasePair gives the parameter of an address, by its family.
func leasePair(a netip.Addr) (string, netip.Addr) {
	if a.Is4() {
		return "ipv4_address", a
	}
	return "ipv6_address", a
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}
