package access

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// Options of New.
type Options struct {
	Store     *store.Store   // required
	Authority *pki.Authority // optional: without, hosts cannot join and agents need no certificate
	Insecure  bool           // no token is asked for: whoever comes may do everything
	Audit     *Audit         // optional
	Limits    Limits         // optional
	// Managers gives the URLs by which hosts reach the manager, for join tokens that name none; optional.
	Managers func() []string
	// Backup writes a backup of the store; optional.
	Backup func(context.Context, io.Writer) error
	Log    *slog.Logger     // required
	Now    func() time.Time // optional: time.Now
}

// Gate is who is let in, and how many. All methods may be called concurrently.
type Gate struct {
	Options
	known, strangers *buckets
	slots            *slots
	mux              *http.ServeMux

	mu    sync.Mutex
	under map[string]map[*underway]struct{} // requests under way, by token
}

// underway is a request that is being served.
type underway struct{ end context.CancelCauseFunc }

// New gives a gate. It starts nothing.
func New(o Options) (*Gate, error) {
	if o.Store == nil || o.Log == nil {
		return nil, errors.New("access: Store and Log are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := o.Limits.withDefaults()
	g := &Gate{
		Options: o, slots: newSlots(l.Concurrent), under: map[string]map[*underway]struct{}{},
		known:     newBuckets(l.Rate, l.Burst),
		strangers: newBuckets(l.Anonymous, max(int(4*l.Anonymous), 1)),
	}
	g.mux = g.routes()
	return g, nil
}

// Authenticate is the middleware of the Web API: it puts the request's identity into its context (see From), refuses what comes
// without a valid token or too fast, and writes the audit log. What needs no identity, as /healthz, passes.
func (g *Gate) Authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r) {
			next.ServeHTTP(w, r)
			return
		}
		id, err := g.identify(r)
		g.admit(w, r, id, err, next.ServeHTTP)
	})
}

// open tells whether a request needs no identity: whether the manager is well, what a browser asks before it asks, and the
// documentation, which a browser cannot show a token for.
func open(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/browse", "/api/browse", "/api/1.0/browse":
		return true
	}
	return r.Method == http.MethodOptions
}

// admit serves a request of an identity, or refuses it for err or because there are too many, and writes the audit log.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request, id Identity, err error, next http.HandlerFunc) {
	began := g.Now()
	t := &touched{}
	rec := &recorder{ResponseWriter: w}
	key, tokens := cmp.Or(id.Token, host(r.RemoteAddr)), g.known
	if err != nil {
		tokens = g.strangers
	}
	wait := tokens.take(key, began)
	switch {
	case wait > 0:
		rec.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		refuse(rec, model.Errorf(model.TooManyRequests, "", "too many requests: come back in %v", wait.Round(time.Millisecond)))
	case err != nil:
		rec.Header().Set("WWW-Authenticate", "Bearer")
		refuse(rec, err)
	case !g.slots.enter(key):
		rec.Header().Set("Retry-After", "1")
		refuse(rec, model.Errorf(model.TooManyRequests, "", "too many requests are under way: come back when some have ended"))
	default:
		defer g.slots.leave(key)
		ctx, leave := g.follow(r.Context(), id)
		defer leave()
		next(rec, r.WithContext(context.WithValue(With(ctx, id), touchedKey{}, t)))
	}
	if g.Audit == nil {
		return
	}
	if status := rec.code(); isWrite(r.Method) || status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests {
		g.Audit.Write(g.entry(r, id, rec, t))
	}
}

var errEnded = errors.New("the token has been revoked or has expired")

// follow gives a context for a request that ends with its token, and the function that is to be called after the request.
func (g *Gate) follow(parent context.Context, id Identity) (ctx context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(parent)
	if id.Token == "" {
		return ctx, func() { cancel(nil) }
	}
	u := &underway{cancel}
	g.mu.Lock()
	if g.under[id.Token] == nil {
		g.under[id.Token] = map[*underway]struct{}{}
	}
	g.under[id.Token][u] = struct{}{}
	g.mu.Unlock()
	there := false
	g.Store.View(func(x *span.Index, _ int64) { _, there = x.Graph().Get(id.Token) })
	if !there { // revoked since it was looked up, and Observe did not find the request
		cancel(errEnded)
	}
	stop := func() bool { return false }
	if !id.until.IsZero() {
		stop = time.AfterFunc(id.until.Sub(g.Now()), func() { cancel(errEnded) }).Stop
	}
	return ctx, func() {
		stop()
		cancel(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		if delete(g.under[id.Token], u); len(g.under[id.Token]) == 0 {
			delete(g.under, id.Token)
		}
	}
}

// Observe ends the requests under way whose token is revoked, such as streams of events: a store.Observer, to be registered before the store
// runs.
func (g *Gate) Observe(_ int64, _ *span.Index, e *span.Effects) {
	for _, c := range e.Changed {
		if t, ok := c.Old.(*model.Token); ok && c.New == nil {
			g.mu.Lock()
			for u := range g.under[t.UUID] {
				u.end(errEnded)
			}
			g.mu.Unlock()
		}
	}
}

func isWrite(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// host gives whom a connection is from: an IPv4 address, or the subnet of an IPv6 one, which has as many addresses as it likes.
func host(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := a.Addr().Unmap()
	if p, err := addr.WithZone("").Prefix(64); err == nil && addr.Is6() {
		return p.String()
	}
	return addr.String()
}

// identify gives who makes the request.
func (g *Gate) identify(r *http.Request) (Identity, error) {
	if id := From(r.Context()); id.Role != 0 { // from a socket for this machine's administrator
		return id, nil
	}
	if g.Insecure {
		return Identity{Name: "insecure", Role: Admin}, nil
	}
	secret := r.Header.Get("X-Auth-Token")
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, rest, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Identity{}, model.Errorf(model.Unauthorized, "Authorization", "must be Bearer and a token")
		}
		secret = strings.TrimSpace(rest)
	}
	if secret == "" {
		return Identity{}, model.Errorf(model.Unauthorized, "", "a token is required: header Authorization: Bearer TOKEN, or X-Auth-Token (vnctl: VNET_TOKEN, --token-file)")
	}
	return g.lookup(secret)
}

type touchedKey struct{}

// touched is what a request's handler says about its writes.
type touched struct {
	uuids []string
	more  int
}

// maxTouched bounds the uuids of an entry.
const maxTouched = 100

// Touch notes for the audit log which objects a write has concerned. It is to be called by the request's own goroutine.
func Touch(ctx context.Context, uuids ...string) {
	t, _ := ctx.Value(touchedKey{}).(*touched)
	if t == nil {
		return
	}
	n := min(len(uuids), maxTouched-len(t.uuids))
	t.uuids = append(t.uuids, uuids[:n]...)
	t.more += len(uuids) - n
}

// maxLogged bounds texts of an entry that clients give, in bytes.
const maxLogged = 300

func clip(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	return strings.ToValidUTF8(s[:maxLogged], "") + "..."
}

func (g *Gate) entry(r *http.Request, id Identity, rec *recorder, t *touched) Entry {
	e := Entry{
		Time: g.Now().UTC(), Who: id.Name, Token: id.Token, Remote: r.RemoteAddr,
		Method: clip(r.Method), Path: clip(r.URL.Path), UUIDs: slices.Clone(t.uuids), More: t.more, Status: rec.code(),
	}
	if id.Role != 0 {
		e.Role = id.Role.String()
	}
	e.Revision, _ = strconv.ParseInt(rec.Header().Get("OpenVNet-Revision"), 10, 64)                                   // reads and refusals have none
	e.DryRun = slices.Contains([]string{"1", "true", "t", "yes", "y"}, strings.ToLower(r.URL.Query().Get("dry_run"))) // as the Web API reads it
	elems := strings.Split(below(r.URL.Path), "/")
	e.Resource = clip(elems[0])
	if len(t.uuids) == 0 {
		for _, elem := range elems[1:] {
			elem = strings.TrimSuffix(strings.TrimSuffix(elem, ".json"), ".yml")
			if res := model.ByUUID(elem); res != nil && res.CheckUUID(elem) == nil {
				e.UUIDs = append(e.UUIDs, elem)
			}
		}
	}
	if e.Status >= http.StatusBadRequest {
		var body struct{ Error, Message string }
		if json.Unmarshal(rec.body.Bytes(), &body) == nil {
			e.Error, e.Message = body.Error, clip(body.Message)
		}
	}
	return e
}

// below gives a path without the API's base.
func below(path string) string {
	for _, base := range []string{"/api/1.0/", "/api/", "/agent/1.0/", "/"} {
		if rest, ok := strings.CutPrefix(path, base); ok {
			return rest
		}
	}
	return path
}

// recorder notes what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer // the beginning of a refusal's
}

const maxRecorded = 4 << 10

func (r *recorder) code() int { return cmp.Or(r.status, http.StatusOK) }

// WriteHeader passes the status on.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write passes the body on.
func (r *recorder) Write(b []byte) (int, error) {
	r.status = r.code()
	if r.status >= http.StatusBadRequest && r.body.Len()+len(b) <= maxRecorded {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

// Flush is of an http.Flusher.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() } // as an http.Flusher, without an answer

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// refuse answers with the error body of the Web API.
func refuse(w http.ResponseWriter, err error) {
	var e *model.Error
	if !errors.As(err, &e) {
		e = &model.Error{Class: model.Class{Name: "InternalError", Status: http.StatusInternalServerError, Code: "500"}, Reason: "internal error; vnmgr's log says more"}
	}
	body := map[string]string{"error": e.Class.Name, "message": e.Error(), "code": e.Class.Code}
	if e.Field != "" {
		body["parameter"] = e.Field
	}
	answer(w, e.Class.Status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	b, _ := json.Marshal(body) // plain structs, maps and texts
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that is gone is no concern of ours
}
