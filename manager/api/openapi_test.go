package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/model"
)

var description = sync.OnceValues(func() (*openapi3.T, error) {
	h, err := api.New(api.Options{UseCases: broken{}, Reader: broken{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/1.0/openapi.json", nil))
	return openapi3.NewLoader().LoadFromData(w.Body.Bytes())
})

func TestOpenAPIIsValid(t *testing.T) {
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if slices.Contains(op.Tags, api.AccessTag) && !slices.Contains(access.Patterns(), "/api/1.0"+path) {
				t.Errorf("package access does not answer %s", path)
			}
			if other := ids[op.OperationID]; other != "" {
				t.Errorf("%s %s and %s are both %s", method, path, other, op.OperationID)
			}
			ids[op.OperationID] = method + " " + path
		}
	}
}

// TestOpenAPIAgreesWithRouter asks of every operation that the router knows it, and of every method that is not described
// that the router refuses it.
func TestOpenAPIAgreesWithRouter(t *testing.T) {
	s := newServer(t)
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		if slices.ContainsFunc(access.Patterns(), func(p string) bool { return p == "/api/1.0"+path }) {
			continue // is answered by package access
		}
		concrete := path
		for _, r := range model.All() {
			concrete = strings.ReplaceAll(concrete, "/"+r.Plural+"/{uuid}", "/"+r.Plural+"/"+r.Prefix+"-absent")
			if r.Parent == "" {
				continue
			}
			concrete = strings.ReplaceAll(concrete, "/"+r.Path+"/{uuid}", "/"+r.Path+"/"+r.Prefix+"-absent")
			for _, name := range []string{r.Parent, r.Key} {
				if f := r.Field(name); f != nil {
					concrete = strings.ReplaceAll(concrete, "{"+name+"}", model.ByPlural(f.Ref).Prefix+"-absent")
				}
			}
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			code := s.send(method, concrete, nil).Code
			described := item.Operations()[method] != nil
			// A resource with nothing to change is described without PUT and PATCH; the router has them, to refuse parameters by name.
			if !described && (method == "PUT" || method == "PATCH") && strings.HasSuffix(path, "}") {
				continue
			}
			if described == (code == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s (%s): described %v, answers %d", method, path, concrete, described, code)
			}
		}
	}
}

// checkDescribed validates a response against the description.
func checkDescribed(t testing.TB, method, path string, a answer) {
	t.Helper()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(path, "/api/1.0")
	if !ok || a.body == nil {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	op := operationAt(doc, method, path)
	if op == nil {
		return // refused before or by routing
	}
	res := op.Responses.Value(strconv.Itoa(a.Code))
	if res == nil {
		t.Errorf("%s %s: status %d is not described", method, path, a.Code)
		return
	}
	media := res.Value.Content["application/json"]
	if media == nil {
		return // a page, or a stream
	}
	schema := media.Schema
	if err := schema.Value.VisitJSON(a.body, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: the answer is not as described: %v\n%s", method, path, err, a.Body)
	}
}

func operationAt(doc *openapi3.T, method, path string) *openapi3.Operation {
	if item := doc.Paths.Value(path); item != nil {
		return item.GetOperation(method)
	}
	elems := strings.Split(path, "/")
	for template, item := range doc.Paths.Map() {
		parts := strings.Split(template, "/")
		if len(parts) == len(elems) && matches(parts, elems) {
			return item.GetOperation(method)
		}
	}
	return nil
}

func matches(parts, elems []string) bool {
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") && p != elems[i] {
			return false
		}
	}
	return true
}
