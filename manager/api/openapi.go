package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/model"
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
		schemas.add(name, responseSchema(r))
		schemas.add(name+"List", listSchema(ref("schemas", name)))
		schemas.add(name+"Create", createSchema(r))
		if len(mutable(r)) > 0 {
			schemas.add(name+"Update", updateSchema(r))
		}
		documents.add(r.Plural, arrayOf(ref("schemas", name+"Create")))
		tags = append(tags, record{{"name", r.Plural}, {"description", r.Doc}})
		resourcePaths(&paths, r)
	}
	schemas.add("Documents", object(documents, nil, "Objects to be there: created where they are not, changed where they differ."))
	fixedPaths(&paths)
	return record{
		{"openapi", "3.1.0"},
		{"info", record{{"title", "OpenVNet Web API"}, {"version", version},
			{"description", "Virtual networks over any IP network. Parameters may also come as a form or in the query string; a path may end in .json or .yml."},
			{"license", record{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
		{"servers", []any{record{{"url", "/api/1.0"}}, record{{"url", "/api"}}}},
		{"tags", tags},
		{"paths", paths},
		{"components", record{{"schemas", schemas}, {"parameters", commonParameters(pageSize)}, {"responses", errorResponses()}, {"headers", commonHeaders()}}},
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
	ok.add("content", record{{"application/json", record{{"schema", o.answer}}}})
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
	return record{{"name", name}, {"in", "path"}, {"required", true}, {"description", "uuid of " + article(r.Title()) + "."}, {"schema", uuidSchema(r)}}
}

var (
	readErrors   = []int{400, 404, 500, 503}
	createErrors = []int{400, 404, 409, 413, 500, 503}
	changeErrors = []int{400, 404, 409, 412, 413, 500, 503}
)

func filterParams(r *model.Resource) []any {
	var out []any
	for _, f := range filterable(r) {
		s := fieldSchema(f, inRequest)
		if f.Name == "uuid" {
			s = uuidSchema(r)
		}
		s = slices.DeleteFunc(s, func(m member) bool { return m.name == "default" || m.name == "description" })
		out = append(out, record{{"name", f.Name}, {"in", "query"}, {"description", "Only items with this value. " + f.Doc}, {"schema", s}})
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
	link := linkSchema(r, other)
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
	list, create := listSchema(schema), ref("schemas", camel(r.Name)+"Create")
	if len(params) > 0 {
		create = without(createSchema(r), r.Parent)
	} else {
		list = ref("schemas", camel(r.Name)+"List")
	}
	out := record{}
	if len(params) > 0 {
		out.add("parameters", params)
	}
	out.add("get", operation{id: "list" + plural, tag: r.Plural, summary: "List " + strings.ReplaceAll(r.Plural, "_", " ") + ".",
		params: append(refParams(listControls...), filterParams(r)...), answer: list, errors: readErrors}.record())
	out.add("post", operation{id: "create" + singular, tag: r.Plural, summary: "Create " + article(r.Title()) + ".", params: refParams(writeControls...),
		body: create, bodyRequired: true, answer: schema, etag: true, write: true, errors: createErrors}.record())
	return out
}

func itemPath(r *model.Resource, singular string, params []any, schema record, answered *model.Resource) record {
	controls := refParams(append(slices.Clone(writeControls), "IfMatch")...)
	out := record{{"parameters", params}}
	out.add("get", operation{id: "show" + singular, tag: r.Plural, summary: "Show " + article(r.Title()) + ".", answer: schema, etag: true, errors: readErrors}.record())
	if len(mutable(r)) > 0 {
		for _, method := range []string{"put", "patch"} {
			verb := map[string]string{"put": "update", "patch": "patch"}[method]
			out.add(method, operation{id: verb + singular, tag: r.Plural, summary: "Change " + article(r.Title()) + ".", params: controls,
				body: ref("schemas", camel(r.Name)+"Update"), bodyRequired: true, answer: schema, etag: true, write: true, errors: changeErrors}.record())
		}
	}
	out.add("delete", operation{id: "delete" + singular, tag: r.Plural, summary: "Delete " + article(r.Title()) + ".", params: controls,
		answer: uuidList(answered), write: true, errors: changeErrors}.record())
	return out
}

func fixedPaths(paths *record) {
	paths.add("/apply", record{{"post", operation{id: "apply", summary: "Create or change many objects in one transaction, all or none.",
		params: refParams(writeControls...), body: ref("schemas", "Documents"), bodyRequired: true, answer: ref("schemas", "Applied"), write: true, errors: createErrors}.record()}})
	paths.add("/openapi.json", record{{"get", operation{id: "openapi", summary: "This description.", answer: record{{"type", "object"}}, errors: []int{500}}.record()}})
	paths.add("/version", record{{"get", operation{id: "version", summary: "Which manager this is.", answer: ref("schemas", "Version"), errors: []int{500}}.record()}})
}
