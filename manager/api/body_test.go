package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/model"
)

func yamlMarshal(v any) ([]byte, error) { return yaml.Marshal(v) }
func jsonMarshal(v any) ([]byte, error) { return json.Marshal(v) }

// FuzzBody reads bodies of any content type as parameters and as documents of an apply: values or a refusal.
func FuzzBody(f *testing.F) {
	for _, seed := range []struct{ kind, body string }{
		{"application/json", `{"mode": "vif", "n": 1, "b": true, "z": null}`},
		{"application/json", `{"networks": [{"uuid": "nw-a"}]}`},
		{"application/yaml", "networks:\n- &a {uuid: nw-a}\n- *a\n"},
		{"application/x-www-form-urlencoded", "a=1&b=%20"},
		{"", "{}"},
	} {
		f.Add(seed.kind, seed.body)
	}
	for _, b := range yamlBombs {
		f.Add("text/yaml", b)
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		p, perr, aerr := api.Body(r)
		for name, v := range p {
			switch v.(type) {
			case string, bool, json.Number, nil:
			default:
				t.Errorf("%q is a %T", name, v)
			}
		}
		for _, err := range []error{perr, aerr} {
			if err != nil {
				check(t, err)
			}
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) || e.Class.Status >= 500 || e.Reason == "" {
		t.Fatalf("not a refusal: %T %v", err, err)
	}
}
