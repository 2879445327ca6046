package api

import (
	"cmp"
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

// objectRecord gives an object: its uuid and id, its own fields as declared, what the resource adds (view), and when and at
// which revision it was written.
func objectRecord(g *graph.Graph, o model.Object) record {
	r := model.Of(o)
	rec := make(record, 0, len(r.Fields)+8)
	var last record
	for _, f := range r.Fields {
		if f.Type == model.Time && f.ReadOnly {
			last.add(f.Name, fieldValue(f, o))
			continue
		}
		rec.add(f.Name, fieldValue(f, o))
	}
	if i, ok := o.(*model.Interface); ok {
		rec = append(rec, flatInterface(g, i)...)
		rec.add("mac_leases", nestedLeases(g, i))
	}
	rec = append(rec, last...)
	rec.add("revision", o.Base().Revision)
	return rec
}

// linkRecord gives a row of a sub-resource that has a key, as its path does (/datapaths/dp-x/networks/nw-y): the object at
// the other end, as OpenVNet does, with the row's own fields beside it and the row's uuid as, for instance,
// datapath_network_uuid.
func linkRecord(g *graph.Graph, row model.Object) record {
	r := model.Of(row)
	other, ok := g.Get(r.Field(r.Key).Text(row))
	if !ok {
		return objectRecord(g, row)
	}
	rec := objectRecord(g, other)
	rec.add(r.Name+"_uuid", row.Base().UUID)
	for _, f := range r.Fields {
		if _, taken := rec.get(f.Name); !taken {
			rec.add(f.Name, fieldValue(f, row))
		}
	}
	return rec
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
func flatInterface(g *graph.Graph, i *model.Interface) record {
	var mac, ip4, ip6, network, owner, port string
	if ls := graph.Children[*model.MACLease](g, i.UUID, refMACInterface); len(ls) > 0 {
		mac = ls[0].MACAddress.String()
	}
	for _, l := range graph.Children[*model.IPLease](g, i.UUID, refIPLeaseInterface) {
		if network == "" {
			network = l.NetworkUUID
		}
		switch a := l.Addr(); {
		case !a.IsValid():
		case a.Is4() && ip4 == "":
			ip4 = a.String()
		case a.Is6() && ip6 == "":
			ip6 = a.String()
		}
	}
	for _, p := range graph.Children[*model.InterfacePort](g, i.UUID, refPortInterface) {
		if owner == "" {
			owner = p.DatapathUUID
		}
		if port == "" {
			port = p.PortName
		}
	}
	return record{
		{"mac_address", orNull(mac)}, {"ipv4_address", orNull(ip4)}, {"ipv6_address", orNull(ip6)}, {"network_uuid", orNull(network)},
		{"owner_datapath_uuid", orNull(owner)}, {"port_name", orNull(port)},
	}
}

// flatSources are the fields of an interface's port and leases that its flattened members are read from.
var flatSources = map[string]struct {
	resource *model.Resource
	field    string
}{
	"mac_address": {model.MACLeases, "mac_address"}, "network_uuid": {model.IPLeases, "network_uuid"},
	"ipv4_address": {model.IPLeases, "ipv4_address"}, "ipv6_address": {model.IPLeases, "ipv6_address"},
	"owner_datapath_uuid": {model.InterfacePorts, "datapath_uuid"}, "port_name": {model.InterfacePorts, "port_name"},
}

// interfacesBy gives, by id, the interfaces that hold the value, which is not empty, of a flattened member.
func interfacesBy(g *graph.Graph, f filter) []model.Object {
	source := flatSources[f.field.Name]
	field := source.resource.Field(source.field)
	rows := g.List(source.resource)
	if field.Ref != "" {
		rows = graph.Children[model.Object](g, f.text, source.resource.Plural+"."+field.Name)
	}
	owner := source.resource.Field("interface_uuid")
	seen := map[string]bool{}
	var out []model.Object
	for _, row := range rows {
		if field.Text(row) != f.text {
			continue
		}
		uuid := owner.Text(row)
		if i, ok := g.Get(uuid); ok && !seen[uuid] {
			seen[uuid] = true
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b model.Object) int { return cmp.Compare(a.Base().ID, b.Base().ID) })
	return out
}

func nestedLeases(g *graph.Graph, i *model.Interface) []any {
	leases := []any{}
	for _, m := range graph.Children[*model.MACLease](g, i.UUID, refMACInterface) {
		rec := objectRecord(g, m)
		ips := []any{}
		for _, l := range graph.Children[*model.IPLease](g, m.UUID, refIPLeaseMAC) {
			ips = append(ips, objectRecord(g, l))
		}
		rec.add("ip_leases", ips)
		leases = append(leases, rec)
	}
	return leases
}

// holds reports whether an object passes a filter: its field has the value, or one of the rows that a flattened member is read from
// has it. An empty value is held where there is no other.
func holds(g *graph.Graph, o model.Object, f filter) bool {
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
	fields := slices.DeleteFunc(slices.Clone(r.Fields), func(f *model.Field) bool { return f.Type == model.Time })
	if r == model.Interfaces {
		fields = append(fields, r.Inputs...)
	}
	return fields
}

func etag(o model.Object) string { return strconv.Quote(strconv.FormatInt(o.Base().Revision, 10)) }
