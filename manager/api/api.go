package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/manager/sync"
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
	Hosts    func() []sync.Host          // optional; what /hosts lists: sync.Hub's

	Origins  []string        // optional; origins whose pages may use the API in a browser, "*" for any; none
	Stopping <-chan struct{} // optional; closed when the manager is about to stop: streams of events end

	Heartbeat  time.Duration // optional; how often a stream of events says that it lives, 15 s
	MaxStreams int           // optional; so many streams of events at once, 1,000
	BodyTime   time.Duration // optional; a request's body has to arrive within this, 30 s; that of an apply within ten times as much
}

type handler struct {
	Options
	openapi   record
	documents documents
	streams   atomic.Int64
}

// New gives the Web API. It is safe for concurrent use and starts nothing.
func New(o Options) (http.Handler, error) {
	if o.UseCases == nil || o.Reader == nil || o.Log == nil {
		return nil, errors.New("api: UseCases, Reader and Log are required")
	}
	o.PageSize = cmp.Or(o.PageSize, 30)
	o.Heartbeat = cmp.Or(o.Heartbeat, 15*time.Second)
	o.MaxStreams = cmp.Or(o.MaxStreams, 1000)
	o.BodyTime = cmp.Or(o.BodyTime, 30*time.Second)
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

	// stream writes the body piece by piece instead of body, until it ends or the client is gone. kind is its content type.
	stream func(w http.ResponseWriter) (bytes int, err error)
	kind   string
	done   func() // called at the end, also where the body is not asked for
}

// ServeHTTP answers one request and logs it: writes at Info, reads at Debug, faults of ours at Error.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, id := time.Now(), rand.Text()[:12]
	h.setCORS(w.Header(), r)
	res, asYAML, err := h.answer(w, r, id)
	fault := false
	if err != nil {
		var e *model.Error
		e, fault = refusal(err, id)
		allow := ""
		if res != nil {
			allow = res.allow
		}
		if e.Class == model.TooManyRequests {
			w.Header().Set("Retry-After", "5")
		}
		res = &response{status: e.Class.Status, body: errorRecord(e), allow: allow}
	}
	if res.status == 0 {
		res.status = http.StatusOK
	}
	var n int
	if res.stream != nil {
		if n, err = h.flow(w, r, res, id); err != nil {
			fault = true
		}
	} else {
		n = h.write(w, r, res, asYAML, id)
	}

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
func (h *handler) answer(w http.ResponseWriter, r *http.Request, id string) (res *response, asYAML bool, err error) {
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
	c.w, c.asYAML = w, asYAML
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	run := c.methods[method]
	if run == nil {
		return &response{allow: c.methods.allow()}, asYAML, refusef(methodNotAllowed, "", "%s is not possible on this path; possible are %s", clip(r.Method), c.methods.allow())
	}
	if isWrite(method) && !c.harmless {
		if err := c.mayWrite(); err != nil {
			return nil, asYAML, err
		}
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
	header.Set("Content-Type", kindOf(asYAML))
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

// flow sends an answer that is a stream.
func (h *handler) flow(w http.ResponseWriter, r *http.Request, res *response, id string) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.Log.Error("web api stream panicked", "request", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if res.done != nil {
		defer res.done()
	}
	header := w.Header()
	header.Set("Content-Type", res.kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if strings.HasPrefix(res.kind, "text/html") {
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	}
	if res.revision != 0 {
		header.Set("OpenVNet-Revision", strconv.FormatInt(res.revision, 10))
	}
	w.WriteHeader(res.status)
	if r.Method == http.MethodHead {
		return 0, nil
	}
	return res.stream(w)
}

// setCORS lets pages of the configured origins use the API.
func (h *handler) setCORS(header http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	switch {
	case slices.Contains(h.Origins, "*"):
		origin = "*"
	case len(h.Origins) == 0:
		return
	default:
		header.Add("Vary", "Origin")
		if !slices.Contains(h.Origins, origin) {
			return
		}
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Last-Event-ID, X-Auth-Token")
	header.Set("Access-Control-Expose-Headers", "ETag, OpenVNet-Revision, OpenVNet-Note")
}

func isWrite(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}
