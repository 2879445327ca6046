package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

const (
	maxBody      = 4 << 20
	maxApplyBody = 64 << 20
	maxTimeout   = 10 * time.Minute
)

// control is what a write's query string says about the write itself.
type control struct {
	wait       bool
	timeout    time.Duration
	dryRun     bool
	ifRevision int64 // of If-Match; 0 for any
}

// Names of the query parameters that are no fields. A resource's field may have none of them (a test asserts it).
var (
	writeControls = []string{"wait", "timeout", "dry_run"}
	listControls  = []string{"limit", "offset", "status", "fields"}
)

// query reads a query string strictly: well formed, UTF-8, and no name with two different values.
func query(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refusef(model.ArgumentError, "", "the query string is malformed: %v", err)
	}
	return single(values)
}

func single(values url.Values) (map[string]string, error) {
	out := make(map[string]string, len(values))
	for name, list := range values {
		if !utf8.ValidString(name) {
			return nil, refusef(model.ArgumentError, "", "a parameter's name is not UTF-8")
		}
		for _, v := range list {
			if !utf8.ValidString(v) {
				return nil, refusef(model.ArgumentError, clip(name), "is not UTF-8")
			}
			if v != list[0] {
				return nil, refusef(model.ArgumentError, clip(name), "is given twice with different values")
			}
		}
		out[name] = list[0]
	}
	return out, nil
}

// takeControl removes the write controls from the query and reads them.
func takeControl(q map[string]string, header http.Header) (control, error) {
	c := control{timeout: 30 * time.Second}
	if v, ok := q["wait"]; ok {
		if v != "applied" {
			return c, refusef(model.ArgumentError, "wait", "%q is not applied, the only state that can be waited for", clip(v))
		}
		c.wait = true
	}
	if v, ok := q["timeout"]; ok {
		d, err := time.ParseDuration(v)
		if n, nerr := strconv.ParseUint(v, 10, 16); nerr == nil {
			d, err = time.Duration(n)*time.Second, nil
		}
		if err != nil || d <= 0 || d > maxTimeout {
			return c, refusef(model.ArgumentError, "timeout", "%q is not a duration such as 500ms, 30s or 30, up to %s", clip(v), maxTimeout)
		}
		c.timeout = d
	}
	var err error
	if c.dryRun, err = takeBool(q, "dry_run"); err != nil {
		return c, err
	}
	if v := header.Get(ifMatch); v != "" && v != "*" {
		text, err := strconv.Unquote(v)
		rev, nerr := strconv.ParseInt(text, 10, 64)
		if err != nil || nerr != nil || rev <= 0 || v[0] != '"' {
			return c, refusef(model.ArgumentError, ifMatch, "%q is not * or one ETag, a revision in double quotes", clip(v))
		}
		c.ifRevision = rev
	}
	for _, name := range writeControls {
		delete(q, name)
	}
	return c, nil
}

// takeBool removes a boolean from the query; a name without a value is true.
func takeBool(q map[string]string, name string) (bool, error) {
	v, ok := q[name]
	delete(q, name)
	switch strings.ToLower(v) {
	case "1", "true", "t", "yes", "y":
		return true, nil
	case "":
		return ok, nil
	case "0", "false", "f", "no", "n":
		return false, nil
	}
	return false, refusef(model.ArgumentError, name, "%q is not a boolean (true or false)", clip(v))
}

// takeInt removes an integer from the query.
func takeInt(q map[string]string, name string, def, limit int) (int, error) {
	v, ok := q[name]
	delete(q, name)
	if !ok || v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > limit {
		return 0, refusef(model.ArgumentError, name, "%q is not a whole number from 0 to %d", clip(v), limit)
	}
	return n, nil
}

// readParams gives the parameters of a request: those of the rest of its query string, and those of its body.
func (h *handler) readParams(c *call) (app.Params, error) {
	body, kind, err := h.readBody(c, maxBody, h.BodyTime)
	if err != nil {
		return nil, err
	}
	p, err := parseParams(kind, body)
	if err != nil {
		return nil, err
	}
	for name, v := range c.q {
		if given, ok := p[name]; ok && fmt.Sprint(given) != v {
			return nil, refusef(model.ArgumentError, clip(name), "is given twice with different values, in the query string and in the body")
		}
		p[name] = v
	}
	return p, canonical(c.resource, p)
}

// canonical gives parameters that came under older names their own, and leaves out those that OpenVNet took without any effect.
func canonical(r *model.Resource, p app.Params) error {
	if r == model.TranslationStaticAddresses {
		delete(p, "ingress_network_uuid")
		delete(p, "egress_network_uuid")
	}
	for _, f := range slices.Concat(r.Fields, r.Inputs) {
		v, ok := p[f.Alias]
		if f.Alias == "" || !ok {
			continue
		}
		if other, ok := p[f.Name]; ok && fmt.Sprint(other) != fmt.Sprint(v) {
			return refusef(model.ArgumentError, f.Name, "is given twice with different values, also as %s", f.Alias)
		}
		delete(p, f.Alias)
		p[f.Name] = v
	}
	return nil
}

// bodyKind is the syntax of a body.
type bodyKind uint8

const (
	noBody bodyKind = iota
	formBody
	jsonBody
	yamlBody
)

// readBody reads the call's body, which has to be there in time: a client that sends it byte by byte holds nobody up.
func (h *handler) readBody(c *call, limit int64, within time.Duration) ([]byte, bodyKind, error) {
	rc := http.NewResponseController(c.w)
	_ = rc.SetReadDeadline(time.Now().Add(within)) // a recorder of a test has none
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	return readBody(c.r, limit)
}

// readBody reads a body up to the limit and says what it is to be read as.
func readBody(r *http.Request, limit int64) ([]byte, bodyKind, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, noBody, refusef(requestTooLarge, "", "the body is larger than %d bytes", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, noBody, refusef(requestTimeout, "", "the body did not arrive in time")
	case err != nil && r.Context().Err() != nil:
		return nil, noBody, r.Context().Err()
	case err != nil:
		return nil, noBody, refusef(model.ArgumentError, "", "Invalid request body: it ends too early (%v)", err)
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 {
		return nil, noBody, nil
	}
	media := "application/x-www-form-urlencoded"
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err = mime.ParseMediaType(t); err != nil {
			return nil, noBody, refusef(model.ArgumentError, "Content-Type", "%q is malformed", clip(t))
		}
	}
	switch media {
	case "application/json", "text/json":
		return body, jsonBody, nil
	case "application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml":
		return body, yamlBody, nil
	case "application/x-www-form-urlencoded":
		// What "curl -d '{...}'" says of JSON too. No parameter's name begins with a brace.
		if trimmed[0] == '{' {
			return body, jsonBody, nil
		}
		return body, formBody, nil
	}
	return nil, noBody, refusef(model.ArgumentError, "Content-Type", "%q is not application/json, application/yaml or application/x-www-form-urlencoded", clip(media))
}

// parseParams reads a body's parameters: a flat map, or one wrapped in a map of one member ({"any": {...}}).
func parseParams(kind bodyKind, body []byte) (app.Params, error) {
	switch kind {
	case noBody:
		return app.Params{}, nil
	case formBody:
		values, err := url.ParseQuery(string(bytes.TrimSpace(body)))
		if err != nil {
			return nil, refusef(model.ArgumentError, "", "Invalid request body: %v", err)
		}
		flat, err := single(values)
		if err != nil {
			return nil, err
		}
		p := make(app.Params, len(flat))
		for name, v := range flat {
			p[name] = v
		}
		return p, nil
	}
	docs, err := parseDocuments(kind, body, document.Limits{Values: 1000})
	if err != nil {
		return nil, err
	}
	switch {
	case len(docs) == 0:
		return app.Params{}, nil
	case len(docs) > 1:
		return nil, refusef(model.ArgumentError, "", "Invalid request body: it holds %d documents; apply takes several, this takes one", len(docs))
	}
	v := docs[0]
	if v.Kind == document.Map && len(v.Members) == 1 && v.Members[0].Kind == document.Map && v.Members[0].Name != fieldLabels {
		v = v.Members[0].Value
	}
	if v.Kind != document.Map {
		return nil, refusef(model.ArgumentError, "", "Invalid request body: it is %s, not a map of parameters", v.String())
	}
	return flatParams(&v)
}

func flatParams(v *document.Value) (app.Params, error) {
	p := make(app.Params, len(v.Members))
	for _, m := range v.Members {
		if m.Name == fieldLabels && m.Kind == document.Map {
			text, err := labelsText(&m.Value)
			if err != nil {
				return nil, err
			}
			p[m.Name] = text
			continue
		}
		if m.Kind != document.Scalar {
			return nil, refusef(model.ArgumentError, clip(m.Name), "must be a single value, not a %s", m.Kind)
		}
		p[m.Name] = m.Scalar
	}
	return p, nil
}

func parseDocuments(kind bodyKind, body []byte, limits document.Limits) ([]document.Value, error) {
	var docs []document.Value
	var err error
	if kind == yamlBody {
		docs, err = document.YAML(body, limits)
	} else {
		docs = make([]document.Value, 1)
		docs[0], err = document.JSON(body, limits)
	}
	if err != nil {
		return nil, refusef(model.ArgumentError, "", "Invalid request body: %v", err)
	}
	return docs, nil
}

// refuseUnknown refuses the first parameter, by name, that is none of the known.
func refuseUnknown[V any](given map[string]V, known []string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return refusef(model.ArgumentError, clip(name), "is not a parameter here; there is none")
			}
			return refusef(model.ArgumentError, clip(name), "is not a parameter here; there are %s", strings.Join(known, ", "))
		}
	}
	return nil
}

func names(fields []*model.Field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Name
	}
	return out
}

// clip keeps what a request says short and valid enough to be said back to it.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:61], "") + "..."
	}
	return s
}
