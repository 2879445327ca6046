package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/compact"
)

// openAPI describes the whole Web API (OpenAPI Specification 3.1.0).
func openAPI(version string, pageSize int) record {
	if version == "" {
		version = "devel"
	}
	schemas, paths, tags := commonSchemas(), record{}, []any{}
	documents := record{}
	for _, r := range model.All() {
		if r.Hidden {
			continue
		}
		name := camel(r.Name)
		schemas.add(name, responseSchema(r, true))
		schemas.add(name+"Part", responseSchema(r, false))
		schemas.add(name+"List", listSchema(ref("schemas", name+"Part")))
		schemas.add(name+"Create", createSchema(r))
		if len(mutable(r)) > 0 {
			schemas.add(name+"Update", updateSchema(r))
		}
		documents.add(r.Plural, arrayOf(ref("schemas", name+"Create")))
		tags = append(tags, record{{"name", r.Plural}, {"description", r.Doc}})
		resourcePaths(&paths, r)
	}
	tags = append(tags, record{{"name", accessTag}, {"description", "Who may do what: tokens, hosts that have joined, the audit log, backups. For admins."}})
	schemas.add("Documents", object(documents, nil, "Objects to be there: created where they are not, changed where they differ."))
	schemas.add("VirtualNetwork", record{{"type", "object"}, {"description", "A whole virtual network in short form: its networks, guests, routers and rules. It expands to the documents of resources."},
		{"properties", record{{compact.Key, record{{"type", "string"}, {"description", "Its name."}}}}}, {"required", []string{compact.Key}}})
	fixedPaths(&paths)
	accessPaths(&paths)
	return record{
		{"openapi", "3.1.0"},
		{"info", record{{"title", "OpenVNet Web API"}, {"version", version},
			{"description", "Virtual networks over any IP network. Parameters may also come as a form or in the query string; a path may end in .json or .yml."},
			{"license", record{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
		{"servers", []any{record{{"url", "/api/1.0"}}, record{{"url", "/api"}}}},
		{"tags", tags},
		{"paths", paths},
		{"security", []any{record{{"token", []string{}}}, record{}}},
		{"components", record{{"schemas", schemas}, {"parameters", commonParameters(pageSize)}, {"responses", errorResponses()}, {"headers", commonHeaders()},
			{"securitySchemes", record{{"token", record{{"type", "http"}, {"scheme", "bearer"}, {"description", "A token; also in the header X-Auth-Token. None where access is not controlled."}}}}}}},
	}
}

func listSchema(items record) record {
	count := record{{"type", "integer"}, {"minimum", 0}}
	return object(record{{"total_count", count}, {"offset", count}, {"limit", count}, {"items", arrayOf(items)}},
		[]string{"total_count", "offset", "limit", "items"}, "")
}

func commonParameters(pageSize int) record {
	p := func(name, in, doc string, schema record) member {
		return member{strings.ReplaceAll(name, "-", ""), record{{"name", name}, {"in", in}, {"description", doc}, {"schema", schema}}}
	}
	return record{
		p("limit", "query", "At most so many items.", record{{"type", "integer"}, {"minimum", 0}, {"maximum", maxPage}, {"default", pageSize}}),
		p("offset", "query", "Leave out so many items before.", record{{"type", "integer"}, {"minimum", 0}, {"default", 0}}),
		p("status", "query", "Whether each item has its status.", record{{"type", "boolean"}, {"default", false}}),
		p("fields", "query", "Only these members, separated by commas.", record{{"type", "string"}, {"examples", []any{"uuid,display_name"}}}),
		p("wait", "query", "applied: answer when every connected host that is concerned has realised the change.", record{{"type", "string"}, {"enum", anys([]string{"applied"})}}),
		p("timeout", "query", "How long to wait at most: 500ms, 30s, 10 (seconds).", record{{"type", "string"}, {"default", "30s"}}),
		p("dry_run", "query", "Do everything but the commit.", record{{"type", "boolean"}, {"default", false}}),
		p("If-Match", "header", "The object's ETag; refused with 412 if the object has changed since.", record{{"type", "string"}, {"examples", []any{`"17"`}}}),
	}
}

func commonHeaders() record {
	return record{
		{"ETag", record{{"description", "The object's revision, in double quotes."}, {"schema", record{{"type", "string"}}}}},
		{"Revision", record{{"description", "The store's revision of the write."}, {"schema", record{{"type", "integer"}}}}},
	}
}

// errorResponses gives one response per status, with the classes that have it.
func errorResponses() record {
	byStatus := map[int][]string{}
	var statuses []int
	for _, c := range classes() {
		if byStatus[c.Status] == nil {
			statuses = append(statuses, c.Status)
		}
		byStatus[c.Status] = append(byStatus[c.Status], c.Name+" ("+c.Code+")")
	}
	slices.Sort(statuses)
	out := record{}
	for _, s := range statuses {
		out.add("Error"+strconv.Itoa(s), record{
			{"description", http.StatusText(s) + ": " + strings.Join(byStatus[s], ", ") + "."},
			{"content", record{{"application/json", record{{"schema", ref("schemas", "Error")}}}}},
		})
	}
	return out
}

// operation is one method of a path.
type operation struct {
	id, tag, summary string
	params           []any
	body             record // schema, nil for none
	bodyRequired     bool
	answer           record // schema
	media            string // of the answer; JSON when empty
	etag, write      bool
	errors           []int
}

func (o operation) record() record {
	rec := record{{"operationId", o.id}, {"summary", o.summary}}
	if o.tag != "" {
		rec.add("tags", []string{o.tag})
	}
	if len(o.params) > 0 {
		rec.add("parameters", o.params)
	}
	if o.body != nil {
		content := record{}
		for _, media := range []string{"application/json", "application/yaml"} {
			content.add(media, record{{"schema", o.body}})
		}
		rec.add("requestBody", record{{"required", o.bodyRequired}, {"content", content}})
	}
	ok := record{{"description", "Done."}}
	headers := record{}
	if o.etag {
		headers.add("ETag", ref("headers", "ETag"))
	}
	if o.write {
		headers.add("OpenVNet-Revision", ref("headers", "Revision"))
	}
	if len(headers) > 0 {
		ok.add("headers", headers)
	}
	ok.add("content", record{{cmp.Or(o.media, "application/json"), record{{"schema", o.answer}}}})
	responses := record{{"200", ok}}
	if o.write {
		accepted := append(record{{"description", "Stored, but with wait=applied not realised on every host in time, or a host reports a problem."}}, ok[1:]...)
		responses.add("202", accepted)
	}
	for _, s := range o.errors {
		responses.add(strconv.Itoa(s), ref("responses", "Error"+strconv.Itoa(s)))
	}
	rec.add("responses", responses)
	return rec
}

func refParams(list ...string) []any {
	out := make([]any, len(list))
	for i, name := range list {
		out[i] = ref("parameters", name)
	}
	return out
}

func pathParam(name string, r *model.Resource) record {
	return record{{"name", name}, {"in", "path"}, {"required", true}, {"description", "uuid of " + r.Indefinite() + "."}, {"schema", uuidSchema(r)}}
}

var (
	readErrors   = []int{400, 401, 403, 404, 429, 500, 503}
	createErrors = []int{400, 401, 403, 404, 408, 409, 413, 429, 500, 503}
	changeErrors = []int{400, 401, 403, 404, 408, 409, 412, 413, 429, 500, 503}
)

func filterParams(r *model.Resource) []any {
	var out []any
	for _, f := range filterable(r) {
		s := fieldSchema(f, inRequest)
		if f.Name == "uuid" {
			s = uuidSchema(r)
		}
		s = slices.DeleteFunc(s, func(m member) bool { return m.name == "default" || m.name == "description" })
		doc := "Only items with this value. "
		if f.Name == fieldLabels {
			s, doc = record{{"type", "string"}, {"examples", []any{"app=shop"}}}, "Only items that carry these labels: a=b, or a with whatever value; several separated by commas. "
		}
		out = append(out, record{{"name", f.Name}, {"in", "query"}, {"description", doc + f.Doc}, {"schema", s}})
	}
	return out
}

// resourcePaths describes a resource's own paths, and those below its parent.
func resourcePaths(paths *record, r *model.Resource) {
	name, schema := camel(r.Name), ref("schemas", camel(r.Name))
	item := []any{pathParam("uuid", r)}
	paths.add("/"+r.Plural, collection(r, camel(r.Plural), name, nil, schema))
	paths.add("/"+r.Plural+"/{uuid}", itemPath(r, name, item, schema, r))
	if r.Parent == "" {
		return
	}
	parent := model.ByPlural(r.Field(r.Parent).Ref)
	base := fmt.Sprintf("/%s/{%s}/%s", parent.Plural, r.Parent, r.Path)
	ofParent := []any{pathParam(r.Parent, parent)}
	id := camel(r.Path) + "Of" + camel(parent.Name)
	if r.Key == "" {
		rows := collection(r, id, id+"Row", ofParent, schema)
		rows.add("delete", operation{id: "deleteMatching" + id, tag: r.Plural, summary: "Delete the rows that match all parameters, without any all rows.",
			params: append(refParams(writeControls...), filterParams(r)...), answer: uuidList(r), write: true, errors: changeErrors}.record())
		paths.add(base, rows)
		paths.add(base+"/{uuid}", itemPath(r, id+"Row", append(ofParent, pathParam("uuid", r)), schema, r))
		return
	}
	other := model.ByPlural(r.Field(r.Key).Ref)
	link := schema
	if !r.Rows {
		link = linkSchema(r, other)
	}
	paths.add(base, collection(r, id, id+"Link", ofParent, link))
	keyed := itemPath(r, id+"Link", append(ofParent, pathParam(r.Key, other)), link, other)
	body := createSchema(r)
	keyed.add("post", operation{id: "link" + id, tag: r.Plural, summary: "Create the row between the two.", params: refParams(writeControls...),
		body: without(body, r.Parent, r.Key), answer: link, etag: true, write: true, errors: createErrors}.record())
	paths.add(base+"/{"+r.Key+"}", keyed)
}

// linkSchema describes what linkRecord gives.
func linkSchema(r, other *model.Resource) record {
	props := record{{r.Name + "_uuid", uuidSchema(r)}}
	for _, f := range r.Fields {
		if other.Field(f.Name) == nil {
			props.add(f.Name, fieldSchema(f, inResponse))
		}
	}
	return record{{"allOf", []any{ref("schemas", camel(other.Name)),
		record{{"type", "object"}, {"properties", props}, {"required", []string{r.Name + "_uuid"}}}}}}
}

// without gives a creation's schema without the parameters that the path holds.
func without(schema record, taken ...string) record {
	out := slices.Clone(schema)
	for i, m := range out {
		switch m.name {
		case "properties":
			out[i].value = slices.DeleteFunc(slices.Clone(m.value.(record)), func(p member) bool { return slices.Contains(taken, p.name) })
		case "required":
			out[i].value = slices.DeleteFunc(slices.Clone(m.value.([]string)), func(n string) bool { return slices.Contains(taken, n) })
		}
	}
	return out
}

func uuidList(r *model.Resource) record { return arrayOf(uuidSchema(r)) }

func collection(r *model.Resource, plural, singular string, params []any, schema record) record {
	list, create := record(nil), ref("schemas", camel(r.Name)+"Create")
	if len(params) > 0 {
		create = without(createSchema(r), r.Parent)
	} else {
		list = ref("schemas", camel(r.Name)+"List")
	}
	out := record{}
	if len(params) > 0 {
		out.add("parameters", params)
	}
	if len(params) > 0 {
		list = listSchema(partly(schema))
	}
	out.add("get", operation{id: "list" + plural, tag: r.Plural, summary: "List " + strings.ReplaceAll(r.Plural, "_", " ") + ".",
		params: append(refParams(listControls...), filterParams(r)...), answer: list, errors: readErrors}.record())
	out.add("post", operation{id: "create" + singular, tag: r.Plural, summary: "Create " + r.Indefinite() + ".", params: refParams(writeControls...),
		body: create, bodyRequired: true, answer: schema, etag: true, write: true, errors: createErrors}.record())
	return out
}

func itemPath(r *model.Resource, singular string, params []any, schema record, answered *model.Resource) record {
	controls := refParams(append(slices.Clone(writeControls), "IfMatch")...)
	out := record{{"parameters", params}}
	out.add("get", operation{id: "show" + singular, tag: r.Plural, summary: "Show " + r.Indefinite() + ".", params: refParams("fields"), answer: partly(schema), etag: true,
		errors: readErrors}.record())
	changed, summary := schema, "Change "+r.Indefinite()+"."
	if r.Field(fieldStatic) != nil && len(params) > 1 {
		changed, summary = partly(schema), "Change the row between the two; with static=true it is made where it is absent, and without static an absent one is answered as {}."
	}
	if len(mutable(r)) > 0 {
		for _, method := range []string{"put", "patch"} {
			verb := map[string]string{"put": "update", "patch": "patch"}[method]
			out.add(method, operation{id: verb + singular, tag: r.Plural, summary: summary, params: controls,
				body: ref("schemas", camel(r.Name)+"Update"), bodyRequired: true, answer: changed, etag: true, write: true, errors: changeErrors}.record())
		}
	}
	out.add("delete", operation{id: "delete" + singular, tag: r.Plural, summary: "Delete " + r.Indefinite() + ".", params: controls,
		answer: uuidList(answered), write: true, errors: changeErrors}.record())
	return out
}

// partly gives the schema of some members of what a schema describes.
func partly(schema record) record {
	if target, ok := schema.get("$ref"); ok {
		return record{{"$ref", target.(string) + "Part"}}
	}
	all, _ := schema.get("allOf")
	parts := slices.Clone(all.([]any))
	parts[0] = partly(parts[0].(record))
	parts[1] = slices.DeleteFunc(slices.Clone(parts[1].(record)), func(m member) bool { return m.name == "required" })
	return record{{"allOf", parts}}
}

func query1(name, doc string, schema record) record {
	return record{{"name", name}, {"in", "query"}, {"description", doc}, {"schema", schema}}
}

func fixedPaths(paths *record) {
	text := record{{"type", "string"}}
	documents := record{{"anyOf", []any{ref("schemas", "Documents"), ref("schemas", "VirtualNetwork")}}}
	prune := query1("prune", "Labels such as app=shop: the documents' objects get them, and what carries all of them and is not among the documents is deleted.", text)
	paths.add("/apply", record{{"post", operation{id: "apply", summary: "Create or change many objects in one transaction, all or none.",
		params: append(refParams(writeControls...), prune), body: documents, bodyRequired: true, answer: ref("schemas", "Applied"), write: true, errors: createErrors}.record()}})
	paths.add("/plan", record{{"post", operation{id: "plan", summary: "What apply would do, by object and field. Nothing is changed.",
		params: []any{prune}, body: documents, bodyRequired: true, answer: ref("schemas", "Applied"), errors: createErrors}.record()}})
	paths.add("/export", record{{"get", operation{id: "export", summary: "Objects as documents that apply takes back.",
		params: []any{query1("resource", "Only these resources, by their plurals, separated by commas.", text), query1("labels", "Only what carries these labels.", text),
			query1("tenant_uuid", "Only what is of this tenant; empty for what is shared.", text)},
		answer: ref("schemas", "Documents"), errors: readErrors}.record()}})
	paths.add("/watch", record{{"get", operation{id: "watch", summary: "Changes as they happen, as server-sent events: upsert and delete with the object, resync where some were missed; ids are revisions.",
		params: []any{query1("resource", "Only these resources, by their plurals, separated by commas.", text), query1("uuid", "Only these objects, separated by commas.", text),
			query1("since", "Begin after this revision; without it with what happens from now on.", record{{"type", "integer"}, {"minimum", 0}}),
			record{{"name", "Last-Event-ID"}, {"in", "header"}, {"description", "As since, and before it."}, {"schema", record{{"type", "integer"}}}}},
		media: "text/event-stream", answer: text, errors: readErrors}.record()}})
	paths.add("/hosts", record{{"get", operation{id: "hosts", summary: "What the manager knows of the hosts and their agents.", answer: ref("schemas", "HostList"), errors: readErrors}.record()}})
	paths.add("/browse", record{{"get", operation{id: "browse", summary: "Documentation for people.",
		params: []any{query1("format", "As a page, or as data.", record{{"type", "string"}, {"enum", anys([]string{"html", "json", "yaml"})}, {"default", "html"}})},
		media:  "text/html", answer: text, errors: []int{400, 401, 429, 500}}.record()}})
	item := []any{pathParam("uuid", model.IPLeases)}
	act := func(id, summary string, params []any, required []string, props record) record {
		return record{{"parameters", params}, {"put", operation{id: id, tag: model.IPLeases.Plural, summary: summary, params: refParams(append(slices.Clone(writeControls), "IfMatch")...),
			body: object(props, required, ""), answer: ref("schemas", camel(model.IPLeases.Name)), etag: true, write: true, errors: changeErrors}.record()}}
	}
	moves := func(method, id, summary string, required []string, props record) record {
		return record{{method, operation{id: id, tag: model.Interfaces.Plural, summary: summary, params: refParams(append(slices.Clone(writeControls), "IfMatch")...),
			body: object(props, required, ""), answer: ref("schemas", camel(model.Interfaces.Name)), etag: true, write: true, errors: changeErrors}.record()}}
	}
	move := record{{"parameters", []any{pathParam("uuid", model.Interfaces)}}}
	move = append(move, moves("post", "moveInterface", "Announce that an interface moves to another host, which gets ready for it. It is there from its guest's first frame on.", []string{"datapath_uuid"},
		record{{"datapath_uuid", uuidSchema(model.Datapaths)}})...)
	move = append(move, moves("delete", "cancelMove", "Take back that an interface moves to another host.", nil, record{})...)
	paths.add("/interfaces/{uuid}/move", move)
	paths.add("/ip_leases/{uuid}/attach", act("attachIPLease", "Give an IP lease to an interface, or to one of its MAC leases.", item, nil,
		record{{"interface_uuid", uuidSchema(model.Interfaces)}, {"mac_lease_uuid", uuidSchema(model.MACLeases)}}))
	paths.add("/ip_leases/{uuid}/release", act("releaseIPLease", "Take an IP lease from its interface.", item, nil, record{}))
	paths.add("/lease_policies/{uuid}/ip_leases", record{{"parameters", []any{pathParam("uuid", model.LeasePolicies)}}, {"post", operation{id: "allocateIPLease", tag: model.IPLeases.Plural,
		summary: "Make an IP lease of an address that a lease policy has room for.", params: refParams(writeControls...),
		body: object(record{{"ip_lease_uuid", uuidSchema(model.IPLeases)}, {"label", text}}, nil, ""), answer: ref("schemas", camel(model.IPLeases.Name)), etag: true, write: true, errors: createErrors}.record()}})
	paths.add("/openapi.json", record{{"get", operation{id: "openapi", summary: "This description.", answer: record{{"type", "object"}}, errors: []int{401, 429, 500}}.record()}})
	paths.add("/version", record{{"get", operation{id: "version", summary: "Which manager this is.", answer: ref("schemas", "Version"), errors: []int{401, 429, 500}}.record()}})
}

// accessTag is the tag of what package access answers.
const accessTag = "access"

// accessPaths describes what package access answers on the same base.
func accessPaths(paths *record) {
	typed := func(typ, doc string) record { return record{{"type", typ}, {"description", doc}} }
	list := func(doc string) record { return arrayOf(typed("string", doc)) }
	some := record{{"type", "object"}}
	expires := typed("string", "After how long it is good for nothing any more: 12h, 30d, or never.")
	get := func(id, summary string, params []any, answer record) record {
		return operation{id: id, tag: accessTag, summary: summary, params: params, answer: answer, errors: readErrors}.record()
	}
	one := func(id, summary string) record {
		return record{{"parameters", []any{record{{"name", "name"}, {"in", "path"}, {"required", true}, {"description", "uuid or name."}, {"schema", record{{"type", "string"}}}}}},
			{"delete", operation{id: id, tag: accessTag, summary: summary, answer: list("uuid"), write: true, errors: changeErrors}.record()}}
	}
	paths.add("/tokens", record{{"get", get("listTokens", "List the tokens that the admin may revoke.", nil, listSchema(some))},
		{"post", operation{id: "createToken", tag: accessTag, summary: "Make a token. The answer alone holds its secret (token).", answer: some, write: true, errors: createErrors, bodyRequired: true,
			body: object(record{{"name", typed("string", "Of who has it.")}, {"role", record{{"type", "string"}, {"enum", anys([]string{model.RoleAdmin, model.RoleOperator, model.RoleViewer})}}},
				{"tenants", list("The tenants that it is bound to; none for all.")}, {"expires", expires}}, []string{"name", "role"}, "")}.record()}})
	paths.add("/tokens/{name}", one("revokeToken", "Revoke a token, at once."))
	paths.add("/join_tokens", record{{"get", get("listJoinTokens", "List the tokens by which hosts may join and which have not been used.", nil, listSchema(some))},
		{"post", operation{id: "createJoinToken", tag: accessTag, summary: "Make a token by which one host may join.", answer: some, write: true, errors: createErrors,
			body: object(record{{"node_id", typed("string", "The host's agent; any when absent.")}, {"managers", list("Addresses of managers that the agent is to connect to.")}, {"expires", expires}}, nil, "")}.record()}})
	paths.add("/join_tokens/{name}", one("revokeJoinToken", "Revoke a token by which a host may join."))
	paths.add("/enrollments", record{{"get", get("listEnrollments", "List the hosts that have joined.", nil, listSchema(some))}})
	paths.add("/enrollments/{name}", one("revokeEnrollment", "Cut a host off; it has to join again."))
	paths.add("/audit", record{{"get", get("audit", "The last entries of the audit log, the newest first.", refParams("limit"), listSchema(some))}})
	paths.add("/backup", record{{"get", operation{id: "backup", tag: accessTag, summary: "A backup of the store.", answer: record{{"type", "string"}}, media: "application/octet-stream", errors: readErrors}.record()}})
}
