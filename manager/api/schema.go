package api

import (
	"strings"

	"github.com/openvnet/openvnet/model"
)

// camel gives the name of a resource as a schema's: MacLease for mac_lease.
func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func ref(kind, name string) record { return record{{"$ref", "#/components/" + kind + "/" + name}} }

func arrayOf(items record) record { return record{{"type", "array"}, {"items", items}} }

// purpose is what a schema of a field is for.
type purpose uint8

const (
	inRequest purpose = iota
	inResponse
)

// fieldSchema describes one field. In responses what is not set is null; in requests null stands for that too, but is not
// advertised.
func fieldSchema(f *model.Field, p purpose) record {
	var s record
	typ := map[model.Type]string{model.Boolean: "boolean", model.Integer: "integer"}[f.Type]
	if typ == "" {
		typ = "string"
	}
	nullable := p == inResponse && f.Type != model.Boolean && !f.Required && f.Name != "uuid" && (f.Type != model.Time || !alwaysSet(f))
	switch {
	case nullable:
		s.add("type", []string{typ, "null"})
	case f.Name == fieldLabels:
		s.add("type", []string{typ, "object"})
		s.add("additionalProperties", record{{"type", "string"}})
	default:
		s.add("type", typ)
	}
	doc := f.Doc
	if f.Alias != "" && p == inRequest {
		doc += " Older name: " + f.Alias + "."
	}
	s.add("description", doc)
	switch {
	case f.Name == "uuid" || f.Ref != "":
		if target := model.ByPlural(f.Ref); target != nil && isUUID(f, target) {
			s.add("pattern", uuidPattern(target))
		}
	case f.Enum != nil:
		values := anys(f.Enum)
		if nullable {
			values = append(values, nil)
		}
		s.add("enum", values)
	case f.Type == model.String && p == inRequest:
		s.add("maxLength", f.MaxBytes)
	}
	switch f.Type {
	case model.MACAddress:
		s.add("pattern", "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$")
	case model.IPAddress:
		switch f.Family {
		case 4:
			s.add("format", "ipv4")
		case 6:
			s.add("format", "ipv6")
		}
	case model.DatapathID:
		s.add("pattern", "^(0x)?[0-9a-f]{1,16}$")
	case model.Time:
		s.add("format", "date-time")
	}
	if f.Min != nil {
		s.add("minimum", *f.Min)
	}
	if f.Max != nil {
		s.add("maximum", *f.Max)
	}
	if f.ReadOnly && p == inResponse {
		s.add("readOnly", true)
	}
	if f.Default != "" && p == inRequest {
		s.add("default", jsonValue(f, f.Default))
	}
	if v := example(f); v != nil {
		s.add("examples", []any{v})
	}
	return s
}

// alwaysSet reports whether a time is one that every object has.
func alwaysSet(f *model.Field) bool { return f.Name == "created_at" || f.Name == "updated_at" }

// isUUID reports whether a reference's value is the uuid itself, not a text in which uuids stand.
func isUUID(f *model.Field, target *model.Resource) bool {
	_, err := f.ParseText(target.Prefix + "-a1")
	return err == nil && !f.Lines
}

func uuidPattern(r *model.Resource) string { return "^" + r.Prefix + "-[a-z0-9]{1,16}$" }

// jsonValue gives the text of a field in the type that JSON has for it.
func jsonValue(f *model.Field, text string) any {
	switch f.Type {
	case model.Boolean:
		return text == "true"
	case model.Integer:
		return number(text)
	}
	return text
}

// example makes up a value for a field, nil where nothing sensible can be made up.
func example(f *model.Field) any {
	switch {
	case f.Default != "":
		return jsonValue(f, f.Default)
	case f.Enum != nil:
		return f.Enum[0]
	case f.Ref != "" && isUUID(f, model.ByPlural(f.Ref)):
		return model.ByPlural(f.Ref).Prefix + "-a1"
	case strings.HasPrefix(f.Name, "ipv4_network"):
		return "10.0.0.0"
	case strings.HasPrefix(f.Name, "ipv6_network"):
		return "fd00::"
	}
	switch f.Type {
	case model.Boolean:
		return true
	case model.Integer:
		if f.Min != nil {
			return *f.Min
		}
		return 1
	case model.MACAddress:
		return "02:00:00:00:00:01"
	case model.IPAddress:
		if f.Family == 6 {
			return "fd00::1"
		}
		return "10.0.0.1"
	case model.IPPrefix:
		return "10.0.0.0/24"
	case model.DatapathID:
		return "0x0000aaaaaaaaaaaa"
	case model.Time:
		return "2026-01-01T00:00:00Z"
	}
	if f.Name == "display_name" {
		return "example"
	}
	return nil
}

func properties(fields []*model.Field, p purpose) record {
	props := record{}
	for _, f := range fields {
		props.add(f.Name, fieldSchema(f, p))
	}
	return props
}

func uuidSchema(r *model.Resource) record {
	return record{{"type", "string"}, {"description", r.Field("uuid").Doc}, {"pattern", uuidPattern(r)}, {"examples", []any{r.Prefix + "-a1"}}}
}

// object closes a schema: no other members than the properties.
func object(props record, required []string, doc string) record {
	s := record{{"type", "object"}}
	if doc != "" {
		s.add("description", doc)
	}
	s.add("properties", props)
	if len(required) > 0 {
		s.add("required", required)
	}
	s.add("additionalProperties", false)
	return s
}

// settable gives the parameters of a creation: fields, then inputs.
func settable(r *model.Resource) []*model.Field {
	var fields []*model.Field
	for _, f := range r.Fields {
		if !f.ReadOnly {
			fields = append(fields, f)
		}
	}
	return append(fields, r.Inputs...)
}

func mutable(r *model.Resource) []*model.Field {
	var fields []*model.Field
	for _, f := range r.Fields {
		if f.Mutable {
			fields = append(fields, f)
		}
	}
	return fields
}

// setUUID replaces the schema of the uuid by the resource's own.
func setUUID(props record, r *model.Resource) record {
	for i := range props {
		if props[i].name == "uuid" {
			props[i].value = uuidSchema(r)
		}
	}
	return props
}

func createSchema(r *model.Resource) record {
	fields := settable(r)
	var required []string
	for _, f := range fields {
		if f.Required {
			required = append(required, f.Name)
		}
	}
	return object(setUUID(properties(fields, inRequest), r), required, "Parameters of the creation of "+r.Indefinite()+".")
}

func updateSchema(r *model.Resource) record {
	fields := append(mutable(r), r.Inputs...) // what the latter make is brought to what they say
	return object(properties(fields, inRequest), nil, "Parameters of a change of "+r.Indefinite()+"; what is absent stays.")
}

// responseSchema describes what objectRecord gives, whole or some members of it.
func responseSchema(r *model.Resource, whole bool) record {
	props := setUUID(properties(r.Fields, inResponse), r)
	required := names(r.Fields)
	if r == model.Interfaces {
		for _, f := range flatMembers() {
			props.add(f.Name, fieldSchema(f, inResponse))
			required = append(required, f.Name)
		}
		lease := record{{"allOf", []any{ref("schemas", camel(model.MACLeases.Name)),
			record{{"type", "object"}, {"properties", record{{"ip_leases", arrayOf(ref("schemas", camel(model.IPLeases.Name)))}}}, {"required", []string{"ip_leases"}}}}}}
		props.add("mac_leases", arrayOf(lease))
		required = append(required, "mac_leases")
	}
	props.add("revision", record{{"type", "integer"}, {"description", "The store's revision of the object's last change; its ETag."}})
	props.add("status", record{{"type", "array"}, {"items", ref("schemas", "HostStatus")}, {"description", "What has become of the object on each host that it concerns."}})
	props.add("notes", record{{"type", "array"}, {"items", record{{"type", "string"}}}, {"description", "Of a write: what follows from it that was not asked for."}})
	s := record{{"type", "object"}, {"description", r.Doc}, {"properties", props}}
	if whole {
		s.add("required", append(required, "revision"))
	}
	return s
}

func commonSchemas() record {
	str := func(doc string) record { return record{{"type", "string"}, {"description", doc}} }
	states := anys([]string{string(model.StateApplied), string(model.StatePending), string(model.StateError), string(model.StateUnreachable)})
	return record{
		{"HostStatus", object(record{
			{"datapath_uuid", str("The host.")}, {"node_id", str("Its agent's name.")},
			{"state", record{{"type", "string"}, {"enum", states}, {"description", "applied: the host has the object's last change. pending: not yet. error: it could not realise it. unreachable: its agent is not connected."}}},
			{"reason", str("Why, of an error.")},
		}, []string{"datapath_uuid", "node_id", "state"}, "")},
		{"Error", object(record{
			{"error", str("Class of the error.")}, {"message", str("A sentence for people.")}, {"code", str("Code of the class.")},
			{"parameter", str("The parameter at fault.")},
		}, []string{"error", "message", "code"}, "")},
		{"Applied", object(record{
			{"revision", record{{"type", "integer"}}},
			{"items", arrayOf(object(record{
				{"resource", str("Plural of the resource.")}, {"uuid", str("The object.")},
				{"action", record{{"type", "string"}, {"enum", anys([]string{"created", "updated", "unchanged", "deleted"})}}},
				{"revision", record{{"type", "integer"}}}, {"status", arrayOf(ref("schemas", "HostStatus"))},
				{"changes", arrayOf(object(record{{"field", str("The field.")}, {"from", str("Its value before, as text.")}, {"to", str("Its value after.")}},
					[]string{"field", "from", "to"}, ""))},
			}, []string{"resource", "uuid", "action", "revision"}, ""))},
			{"notes", arrayOf(record{{"type", "string"}})},
		}, []string{"revision", "items", "notes"}, "What has become of each document, in their order; then what was pruned.")},
		{"Host", hostSchema()},
		{"HostList", listSchema(ref("schemas", "Host"))},
		{"Version", object(record{{"version", str("Of the manager.")}, {"api", str("Of the Web API.")}, {"revision", record{{"type", "integer"}}}},
			[]string{"version", "api", "revision"}, "")},
	}
}
