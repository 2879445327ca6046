package api

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"slices"
	"strings"
	"sync"

	"github.com/openvnet/openvnet/model"
)

//go:embed browse.html
var browseHTML string

var browseTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("browse").Parse(browseHTML)) })

// reference is the Web API for people, derived from the declarations and from the OpenAPI description.
type reference struct {
	Version   string
	Resources []referenceResource
	General   []endpoint
	Errors    []model.Class
}

type referenceResource struct {
	*model.Resource
	Below     string // the parent's path, of a sub-resource
	Endpoints []endpoint
	Members   []referenceMember
	Example   string // JSON of a creation
}

type endpoint struct{ Method, Path, Summary string }

type referenceMember struct {
	Name, Type, Doc, Default, Alias, Ref, Example string
	Enum                                          []string
	Required, Mutable, ReadOnly, Input            bool
}

// byFamily gives what clients see, by name, rows after the resource that they are reached through.
func byFamily() []*model.Resource {
	family := func(r *model.Resource) string { // the resource itself is the first
		if r.Parent != "" {
			return r.Field(r.Parent).Ref + " 1"
		}
		return r.Plural + " 0"
	}
	shown := slices.DeleteFunc(slices.Clone(model.All()), func(r *model.Resource) bool { return r.Hidden })
	slices.SortStableFunc(shown, func(a, b *model.Resource) int {
		return cmp.Or(cmp.Compare(family(a), family(b)), cmp.Compare(a.Plural, b.Plural))
	})
	return shown
}

// newReference reads the reference off the declarations.
func newReference(version string, openapi record) *reference {
	ref := &reference{Version: version, Errors: classes()}
	byTag := map[string][]endpoint{}
	paths, _ := openapi.get("paths")
	for _, p := range paths.(record) {
		for _, m := range p.value.(record) {
			op, ok := m.value.(record)
			if !ok || m.name == "parameters" {
				continue
			}
			summary, _ := op.get("summary")
			e := endpoint{strings.ToUpper(m.name), p.name, summary.(string)}
			if tags, ok := op.get("tags"); ok && tags.([]string)[0] != accessTag {
				byTag[tags.([]string)[0]] = append(byTag[tags.([]string)[0]], e)
			} else {
				ref.General = append(ref.General, e)
			}
		}
	}
	for _, r := range byFamily() {
		res := referenceResource{Resource: r, Endpoints: byTag[r.Plural]}
		if r.Parent != "" {
			res.Below = "/" + r.Field(r.Parent).Ref + "/{" + r.Parent + "}/" + r.Path
		}
		body := record{}
		for _, f := range r.Fields {
			res.Members = append(res.Members, memberOf(f, r, false))
			if f.Required && !f.ReadOnly {
				body.add(f.Name, example(f))
			}
		}
		for _, f := range r.Inputs {
			res.Members = append(res.Members, memberOf(f, r, true))
		}
		text, _ := appendJSON(nil, body)
		res.Example = string(text)
		ref.Resources = append(ref.Resources, res)
	}
	return ref
}

func memberOf(f *model.Field, r *model.Resource, input bool) referenceMember {
	m := referenceMember{Name: f.Name, Type: f.Type.String(), Doc: f.Doc, Default: f.Default, Alias: f.Alias, Ref: f.Ref, Enum: f.Enum,
		Required: f.Required, Mutable: f.Mutable, ReadOnly: f.ReadOnly, Input: input}
	v := example(f)
	if f.Name == "uuid" {
		v = r.Prefix + "-a1"
	}
	if v != nil {
		text, _ := appendJSON(nil, v)
		m.Example = strings.Trim(string(text), `"`)
	}
	return m
}

// record gives the reference as data.
func (ref *reference) record() record {
	endpoints := func(list []endpoint) []any {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = record{{"method", e.Method}, {"path", e.Path}, {"description", e.Summary}}
		}
		return out
	}
	resources := []any{}
	for _, r := range ref.Resources {
		members := []any{}
		for _, m := range r.Members {
			rec := record{{"name", m.Name}, {"type", m.Type}, {"description", m.Doc}, {"required", m.Required}, {"mutable", m.Mutable},
				{"read_only", m.ReadOnly}, {"makes_others", m.Input}, {"default", orNull(m.Default)}, {"refers_to", orNull(m.Ref)}, {"alias", orNull(m.Alias)}}
			if m.Enum != nil {
				rec.add("values", m.Enum)
			}
			members = append(members, rec)
		}
		resources = append(resources, record{{"name", r.Name}, {"plural", r.Plural}, {"prefix", r.Prefix}, {"description", r.Doc},
			{"endpoints", endpoints(r.Endpoints)}, {"members", members}})
	}
	errors := []any{}
	for _, c := range ref.Errors {
		errors = append(errors, record{{"error", c.Name}, {"status", c.Status}, {"code", c.Code}})
	}
	return record{{"version", ref.Version}, {"base", "/api/1.0"}, {"endpoints", endpoints(ref.General)}, {"resources", resources}, {"errors", errors}}
}

// browse answers with documentation for people, as a page or as data.
func (h *handler) browse(c *call) (*response, error) {
	if err := refuseUnknown(c.q, []string{"format"}); err != nil {
		return nil, err
	}
	format, given := c.q["format"]
	switch {
	case given:
	case c.asYAML:
		format = "yaml"
	case strings.HasSuffix(c.r.URL.Path, ".json"):
		format = "json"
	default:
		format = "html"
	}
	kind := "text/html; charset=utf-8"
	switch format {
	case "json", "yaml", "yml":
		kind = kindOf(format != "json")
	case "html":
	default:
		return nil, refusef(model.ArgumentError, "format", "%q is not html, json or yaml", clip(format))
	}
	body, err := h.documents.get("browse "+kind, func() ([]byte, error) {
		ref := newReference(h.Version, h.openapi)
		if format != "html" {
			return encode(ref.record(), kind == kindYAML)
		}
		var b bytes.Buffer
		err := browseTemplate().Execute(&b, ref)
		return b.Bytes(), err
	})
	return text(kind, body), err
}
