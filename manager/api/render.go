package api

import (
	"slices"
	"strconv"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// fieldValue gives a field of an object as responses hold it: text types as strings, null where nothing is set.
func fieldValue(f *model.Field, o model.Object) any {
	text := f.Text(o)
	switch f.Type {
	case model.Boolean:
		return text == "true"
	case model.Integer:
		if text == "" {
			return nil
		}
		return number(text)
	}
	return orNull(text)
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// selection is which members a record is to have; nil for all.
type selection map[string]bool

func (s selection) has(name string) bool { return s == nil || s[name] }

// The members of a response that are no fields.
const (
	memberMACLeases = "mac_leases" // of an interface
	memberRevision  = "revision"
	memberStatus    = "status"
)

// members gives the names of what objectRecord gives, and the status.
func members(r *model.Resource) []string {
	list := names(r.Fields)
	if r == model.Interfaces {
		for _, f := range flatMembers() {
			list = append(list, f.Name)
		}
		list = append(list, memberMACLeases)
	}
	return append(list, memberRevision, memberStatus)
}

// objectRecord gives an object: its uuid and id, its own fields as declared, what the resource adds (view), and when and at
// which revision it was written.
func objectRecord(g *graph.Graph, o model.Object, sel selection) record {
	r := model.Of(o)
	rec := make(record, 0, len(r.Fields)+8)
	var last record
	for _, f := range r.Fields {
		switch {
		case !sel.has(f.Name):
		case f.Type == model.Time && f.ReadOnly:
			last.add(f.Name, fieldValue(f, o))
		default:
			rec.add(f.Name, fieldValue(f, o))
		}
	}
	if i, ok := o.(*model.Interface); ok {
		rec = append(rec, flatInterface(g, i, sel)...)
		if sel.has(memberMACLeases) {
			rec.add(memberMACLeases, nestedLeases(g, i))
		}
	}
	rec = append(rec, last...)
	if sel.has(memberRevision) {
		rec.add(memberRevision, o.Base().Revision)
	}
	return rec
}

// linkRecord gives a row of a sub-resource as the path below its parent does where that shows what is at the other end
// (/datapaths/dp-x/networks/nw-y): that object, as OpenVNet does, with the row's own fields beside it and the row's uuid as,
// for instance, datapath_network_uuid.
func linkRecord(g *graph.Graph, row model.Object, key *model.Field, sel selection) record {
	r := model.Of(row)
	other, ok := g.Get(key.Text(row))
	if !ok {
		return objectRecord(g, row, sel)
	}
	rec := objectRecord(g, other, sel)
	if name := r.Name + "_uuid"; sel.has(name) {
		rec.add(name, row.Base().UUID)
	}
	of := model.Of(other)
	for _, f := range r.Fields {
		if of.Field(f.Name) == nil && sel.has(f.Name) && !(of == model.Interfaces && flatSources[f.Name].resource != nil) {
			rec.add(f.Name, fieldValue(f, row))
		}
	}
	return rec
}

// linkMembers gives the names of what linkRecord gives, and the status.
func linkMembers(r, other *model.Resource) []string {
	list := append(members(other), r.Name+"_uuid")
	for _, f := range r.Fields {
		if !slices.Contains(list, f.Name) {
			list = append(list, f.Name)
		}
	}
	return list
}

// These are the references by which an interface's port and leases are found.
const (
	refPortInterface    = "interface_ports.interface_uuid"
	refMACInterface     = "mac_leases.interface_uuid"
	refActiveInterface  = "active_interfaces.interface_uuid"
	refIPLeaseInterface = "ip_leases.interface_uuid"
	refIPLeaseMAC       = "ip_leases.mac_lease_uuid"
)

// flatInterface gives what an interface's creation took beyond its fields, read back from its port and its first leases.
func flatInterface(g *graph.Graph, i *model.Interface, sel selection) record {
	var rec record
	children := map[*model.Resource][]model.Object{}
	for _, f := range flatMembers() {
		if !sel.has(f.Name) {
			continue
		}
		source := flatSources[f.Name]
		rows, ok := children[source.resource]
		if !ok {
			rows = graph.Children[model.Object](g, i.UUID, source.resource.Plural+".interface_uuid")
			children[source.resource] = rows
		}
		field, text := source.resource.Field(source.field), ""
		for _, row := range rows {
			if text = field.Text(row); text != "" {
				break
			}
		}
		rec.add(f.Name, orNull(text))
	}
	return rec
}

// flatMembers gives the parameters of an interface's creation that its responses show again, and where it was found.
func flatMembers() []*model.Field {
	fields := slices.DeleteFunc(slices.Clone(model.Interfaces.Inputs), func(f *model.Field) bool { return flatSources[f.Name].resource == nil })
	return append(fields, placeMembers...)
}

// placeMembers are where an interface was found, and on which way it is.
var placeMembers = func() []*model.Field {
	active := *model.ActiveInterfaces.Field("datapath_uuid")
	active.Name, active.Required, active.Doc = "active_datapath_uuid", false, "Host where the interface is because its port was found there."
	return []*model.Field{&active, model.ActiveInterfaces.Field("target_datapath_uuid"), model.ActiveInterfaces.Field("previous_datapath_uuid")}
}()

// flatSources are the fields of an interface's port and leases that its flattened members are read from.
var flatSources = map[string]struct {
	resource *model.Resource
	field    string
}{
	"mac_address": {model.MACLeases, "mac_address"}, "segment_uuid": {model.MACLeases, "segment_uuid"}, "network_uuid": {model.IPLeases, "network_uuid"},
	"ipv4_address": {model.IPLeases, "ipv4_address"}, "ipv6_address": {model.IPLeases, "ipv6_address"},
	"owner_datapath_uuid": {model.InterfacePorts, "datapath_uuid"}, "port_name": {model.InterfacePorts, "port_name"},
	"active_datapath_uuid": {model.ActiveInterfaces, "datapath_uuid"}, "target_datapath_uuid": {model.ActiveInterfaces, "target_datapath_uuid"},
	"previous_datapath_uuid": {model.ActiveInterfaces, "previous_datapath_uuid"},
}

// interfacesBy gives, by id, the interfaces that hold the value, which is not empty, of a flattened member.
func interfacesBy(g *graph.Graph, f filter) []model.Object {
	source := flatSources[f.field.Name]
	field := source.resource.Field(source.field)
	rows := slices.Values(g.List(source.resource))
	if field.Ref != "" {
		rows = g.Referrers(f.text, source.resource.Plural+"."+field.Name)
	}
	owner := source.resource.Field("interface_uuid")
	seen := map[string]bool{}
	return byID(func(yield func(model.Object) bool) {
		for row := range rows {
			if field.Text(row) != f.text {
				continue
			}
			uuid := owner.Text(row)
			if i, ok := g.Get(uuid); ok && !seen[uuid] {
				seen[uuid] = true
				if !yield(i) {
					return
				}
			}
		}
	})
}

func nestedLeases(g *graph.Graph, i *model.Interface) []any {
	leases := []any{}
	for _, m := range graph.Children[*model.MACLease](g, i.UUID, refMACInterface) {
		rec := objectRecord(g, m, nil)
		ips := []any{}
		for _, l := range graph.Children[*model.IPLease](g, m.UUID, refIPLeaseMAC) {
			ips = append(ips, objectRecord(g, l, nil))
		}
		rec.add("ip_leases", ips)
		leases = append(leases, rec)
	}
	return leases
}

// holds reports whether an object passes a filter: its field has the value, or one of the rows that a flattened member is read from
// has it. An empty value is held where there is no other.
func holds(g *graph.Graph, o model.Object, f filter) bool {
	if f.labels != nil {
		return carries(f.field.Text(o), f.labels)
	}
	if model.Of(o).Field(f.field.Name) == f.field {
		return f.field.Text(o) == f.text
	}
	source := flatSources[f.field.Name]
	field, none := source.resource.Field(source.field), true
	for row := range g.Referrers(o.Base().UUID, source.resource.Plural+".interface_uuid") {
		text := field.Text(row)
		if text == f.text && text != "" {
			return true
		}
		none = none && text == ""
	}
	return none && f.text == ""
}

// filterable gives the fields by which a resource's lists can be filtered.
func filterable(r *model.Resource) []*model.Field {
	if r == model.Interfaces {
		return slices.Concat(r.Fields, flatMembers())
	}
	return r.Fields
}

func etag(o model.Object) string { return strconv.Quote(strconv.FormatInt(o.Base().Revision, 10)) }
