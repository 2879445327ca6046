package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Options are what New takes.
type Options struct {
	UseCases UseCases                    // required
	Reader   Reader                      // required
	Log      *slog.Logger                // required
	Status   Status                      // optional; without it no host is ever concerned
	Version  string                      // optional; what /version says
	PageSize int                         // optional; default limit of a list, 30
	Health   func(context.Context) error // optional; what /healthz says
}

type handler struct {
	Options
	openapi record
}

// New gives the Web API. It is safe for concurrent use and starts nothing.
func New(o Options) (http.Handler, error) {
	if o.UseCases == nil || o.Reader == nil || o.Log == nil {
		return nil, errors.New("api: UseCases, Reader and Log are required")
	}
	if o.PageSize == 0 {
		o.PageSize = 30
	}
	return &handler{Options: o, openapi: openAPI(o.Version, o.PageSize)}, nil
}

// response is an answer before it has a syntax.
type response struct {
	status   int // 0 for 200
	body     any
	etag     string
	revision int64
	notes    []string
	allow    string
}

// ServeHTTP answers one request and logs it: writes at Info, reads at Debug, faults of ours at Error.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, id := time.Now(), rand.Text()[:12]
	setCORS(w.Header())
	res, asYAML, err := h.answer(r, id)
	fault := false
	if err != nil {
		var e *model.Error
		e, fault = refusal(err, id)
		allow := ""
		if res != nil {
			allow = res.allow
		}
		res = &response{status: e.Class.Status, body: errorRecord(e), allow: allow}
	}
	if res.status == 0 {
		res.status = http.StatusOK
	}
	n := h.write(w, r, res, asYAML, id)

	level, cause := slog.LevelDebug, ""
	switch {
	case fault:
		level, cause = slog.LevelError, err.Error()
	case isWrite(r.Method):
		level = slog.LevelInfo
	}
	args := []any{"request", id, "method", r.Method, "path", clip(r.URL.Path), "status", res.status, "bytes", n,
		"duration", time.Since(start), "remote", r.RemoteAddr}
	if res.revision != 0 {
		args = append(args, "revision", res.revision)
	}
	if cause != "" {
		args = append(args, "err", cause)
	}
	h.Log.Log(r.Context(), level, "web api request", args...)
}

// answer routes a request; a panic in it becomes an error, whose stack is logged.
func (h *handler) answer(r *http.Request, id string) (res *response, asYAML bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.Log.Error("web api request panicked", "request", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			res, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	if r.Method == http.MethodOptions {
		return &response{status: http.StatusNoContent}, false, nil
	}
	c, asYAML, err := h.route(r)
	if err != nil {
		return nil, asYAML, err
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	run := c.methods[method]
	if run == nil {
		return &response{allow: c.methods.allow()}, asYAML, refusef(methodNotAllowed, "", "%s is not possible on this path; possible are %s", clip(r.Method), c.methods.allow())
	}
	res, err = run(c)
	return res, asYAML, err
}

// write sends the answer and gives the number of its body's bytes.
func (h *handler) write(w http.ResponseWriter, r *http.Request, res *response, asYAML bool, id string) int {
	header := w.Header()
	if res.allow != "" {
		header.Set("Allow", res.allow)
	}
	if res.status == http.StatusNoContent {
		w.WriteHeader(res.status)
		return 0
	}
	body, err := encode(res.body, asYAML)
	if err != nil {
		h.Log.Error("web api response cannot be encoded", "request", id, "err", err)
		e, _ := refusal(err, id)
		res.status = e.Class.Status
		body, _ = encode(errorRecord(e), false) // strings only
		asYAML = false
	}
	if res.etag != "" {
		header.Set("ETag", res.etag)
	}
	if res.revision != 0 {
		header.Set("OpenVNet-Revision", strconv.FormatInt(res.revision, 10))
	}
	for _, note := range res.notes {
		header.Add("OpenVNet-Note", note)
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	if asYAML {
		header.Set("Content-Type", "application/yaml; charset=utf-8")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(res.status)
	if r.Method == http.MethodHead {
		return 0
	}
	n, _ := w.Write(body) // a client that is gone is no concern of ours
	return n
}

// setCORS lets pages of any origin use the API, as OpenVNet does.
func setCORS(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type, If-Match")
	h.Set("Access-Control-Expose-Headers", "ETag, OpenVNet-Revision, OpenVNet-Note")
}

func isWrite(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}
