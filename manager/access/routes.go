package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

// Patterns are the paths that Gate.ServeHTTP answers, in the form of http.ServeMux: those of the Web API that are about access, and
// those by which hosts join.
func Patterns() []string {
	var ps []string
	for _, base := range []string{"/api/1.0/", "/api/"} {
		for _, name := range []string{"tokens", "join_tokens", "enrollments"} {
			ps = append(ps, base+name, base+name+"/{name}")
		}
		ps = append(ps, base+"audit", base+"backup")
	}
	return append(ps, wire.JoinPath, wire.RenewPath)
}

// ServeHTTP answers the requests of Patterns:
//
//	GET    /tokens        the tokens that the admin may revoke; POST makes one: name, role, tenants (a list), expires (12h, 30d, never)
//	DELETE /tokens/NAME   revokes one, by uuid or name; answers [uuid]
//	GET    /join_tokens   tokens for hosts that have not been used; POST makes one: node_id, managers (a list), expires
//	DELETE /join_tokens/U
//	GET    /enrollments   hosts that have joined; DELETE /enrollments/U (or the node id) cuts one off
//	GET    /audit?limit=  the last entries of the audit log, the newest first
//	GET    /backup        a backup of the store
//
// and, for agents, wire.JoinPath and wire.RenewPath. The answer to POST alone holds the secret ("token").
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// operation is what a method on a path does: it gives the answer and the revision of a write.
type operation func(r *http.Request, id Identity, p params) (body any, revision int64, err error)

func (g *Gate) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, base := range []string{"/api/1.0/", "/api/"} {
		mux.Handle(base+"tokens", g.Authenticate(operations{http.MethodGet: g.listTokens, http.MethodPost: g.createToken}))
		mux.Handle(base+"tokens/{name}", g.Authenticate(operations{http.MethodDelete: g.revokeToken}))
		mux.Handle(base+"join_tokens", g.Authenticate(operations{http.MethodGet: g.listJoinTokens, http.MethodPost: g.createJoinToken}))
		mux.Handle(base+"join_tokens/{name}", g.Authenticate(operations{http.MethodDelete: g.revoke(model.JoinTokens)}))
		mux.Handle(base+"enrollments", g.Authenticate(operations{http.MethodGet: g.listEnrollments}))
		mux.Handle(base+"enrollments/{name}", g.Authenticate(operations{http.MethodDelete: g.revoke(model.Enrollments)}))
		mux.Handle(base+"audit", g.Authenticate(operations{http.MethodGet: g.audit}))
		mux.Handle(base+"backup", g.Authenticate(http.HandlerFunc(g.backup)))
	}
	mux.HandleFunc(wire.JoinPath, g.serveJoin)
	mux.HandleFunc(wire.RenewPath, g.serveRenew)
	return mux
}

// operations are those of a path, by method.
type operations map[string]operation

// ServeHTTP answers a request.
func (o operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	run := o[r.Method]
	if run == nil {
		allow := strings.Join(slices.Sorted(maps.Keys(o)), ", ")
		w.Header().Set("Allow", allow)
		refuse(w, model.Errorf(methodNotAllowed, "", "%s is not possible on this path; possible are %s", clip(r.Method), allow))
		return
	}
	p, err := readParams(w, r)
	if err == nil {
		var body any
		var rev int64
		if body, rev, err = run(r, From(r.Context()), p); err == nil {
			if rev != 0 {
				w.Header().Set("OpenVNet-Revision", strconv.FormatInt(rev, 10))
			}
			answer(w, http.StatusOK, body)
			return
		}
	}
	refuse(w, away(err))
}

var (
	methodNotAllowed = model.Class{Name: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Code: "405"}
	requestTooLarge  = model.Class{Name: "RequestTooLarge", Status: http.StatusRequestEntityTooLarge, Code: "413"}
	unavailable      = model.Class{Name: "Unavailable", Status: http.StatusServiceUnavailable, Code: "503"}
)

// away makes an error that is none of the client's a matter of time.
func away(err error) error {
	var e *model.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, store.ErrClosed) {
		return model.Errorf(unavailable, "", "the manager is about to stop")
	}
	return model.Errorf(unavailable, "", "the manager cannot do this now: %v", err)
}

// listing is a list as the Web API has it.
func listing[T any](items []T) any {
	return map[string]any{"total_count": len(items), "offset": 0, "limit": len(items), "items": items}
}

func (g *Gate) listTokens(_ *http.Request, id Identity, p params) (any, int64, error) {
	if id.Role < Admin {
		return nil, 0, model.Errorf(model.Forbidden, "", "%s may not see tokens (role %s)", id.Name, id.Role)
	}
	return listing(g.Tokens(id)), 0, p.end()
}

func (g *Gate) createToken(r *http.Request, id Identity, p params) (any, int64, error) {
	n := NewToken{Name: p.text("name"), Tenants: p.list("tenants")}
	var err error
	if n.Expires, err = p.lifetime(); err != nil {
		return nil, 0, err
	}
	if s := p.text("role"); s != "" {
		if n.Role, err = ParseRole(s); err != nil {
			return nil, 0, model.Errorf(model.ArgumentError, "role", "%v", err)
		}
	}
	if err := p.end(); err != nil {
		return nil, 0, err
	}
	info, err := g.CreateToken(r.Context(), id, n)
	if err != nil {
		return nil, 0, err
	}
	Touch(r.Context(), info.UUID)
	return info, info.revision, nil
}

func (g *Gate) revokeToken(r *http.Request, id Identity, p params) (any, int64, error) {
	if err := p.end(); err != nil {
		return nil, 0, err
	}
	if id.Role < Admin {
		return nil, 0, model.Errorf(model.Forbidden, "", "%s may not revoke tokens (role %s)", id.Name, id.Role)
	}
	uuid, rev, err := g.RevokeToken(r.Context(), id, r.PathValue("name"))
	if err != nil {
		return nil, 0, err
	}
	Touch(r.Context(), uuid)
	return []string{uuid}, rev, nil
}

func (g *Gate) listJoinTokens(_ *http.Request, id Identity, p params) (any, int64, error) {
	list, err := g.JoinTokens(id)
	return listing(list), 0, errors.Join(err, p.end())
}

func (g *Gate) createJoinToken(r *http.Request, id Identity, p params) (any, int64, error) {
	n := NewJoinToken{NodeID: p.text("node_id"), Managers: p.list("managers")}
	var err error
	if n.Expires, err = p.lifetime(); err != nil {
		return nil, 0, err
	}
	if err := p.end(); err != nil {
		return nil, 0, err
	}
	info, err := g.CreateJoinToken(r.Context(), id, n)
	if err != nil {
		return nil, 0, err
	}
	Touch(r.Context(), info.UUID)
	return info, info.revision, nil
}

func (g *Gate) listEnrollments(_ *http.Request, id Identity, p params) (any, int64, error) {
	list, err := g.Enrollments(id)
	return listing(list), 0, errors.Join(err, p.end())
}

func (g *Gate) revoke(res *model.Resource) operation {
	return func(r *http.Request, id Identity, p params) (any, int64, error) {
		if err := p.end(); err != nil {
			return nil, 0, err
		}
		uuid, rev, err := g.revokeHost(r.Context(), id, res, r.PathValue("name"))
		if err != nil {
			return nil, 0, err
		}
		Touch(r.Context(), uuid)
		return []string{uuid}, rev, nil
	}
}

// maxEntries bounds an answer of the audit log.
const maxEntries = 1000

func (g *Gate) audit(_ *http.Request, id Identity, p params) (any, int64, error) {
	if err := id.provider(); err != nil {
		return nil, 0, err
	}
	limit := 100
	if s := p.text("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxEntries {
			return nil, 0, model.Errorf(model.ArgumentError, "limit", "%q is not a number from 1 to %d", clip(s), maxEntries)
		}
		limit = n
	}
	if err := p.end(); err != nil {
		return nil, 0, err
	}
	entries := []Entry{}
	if g.Audit != nil {
		var err error
		if entries, err = g.Audit.Last(limit); err != nil {
			return nil, 0, err
		}
	}
	return map[string]any{"limit": limit, "items": entries}, 0, nil
}

// backup sends a backup. One that fails on its way ends without its trailer and with a broken connection.
func (g *Gate) backup(w http.ResponseWriter, r *http.Request) {
	err := From(r.Context()).provider()
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		err = model.Errorf(methodNotAllowed, "", "a backup is read by GET")
	case err == nil && g.Backup == nil:
		err = model.Errorf(model.UnknownResource, "", "this manager makes no backups")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &counted{Writer: w}
	if err := g.Backup(r.Context(), out); err != nil {
		g.Log.Error("backup failed", "err", err, "bytes", out.n)
		if out.n == 0 {
			w.Header().Del("Content-Type")
			refuse(w, away(err))
			return
		}
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break the connection off
	}
}

type counted struct {
	io.Writer
	n int64
}

// Write passes b on.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}

func (g *Gate) serveJoin(w http.ResponseWriter, r *http.Request) {
	var j wire.Join
	g.agentCall(w, r, Identity{Name: "a host"}, &j, func(r *http.Request) (*wire.Joined, int64, error) { return g.join(r.Context(), j) })
}

func (g *Gate) serveRenew(w http.ResponseWriter, r *http.Request) {
	var n wire.Renew
	id := Identity{Name: "a host"}
	var e *model.Enrollment
	err := error(errNoCertificate)
	if g.Authority != nil {
		if e, _, err = g.enrolled(r); err == nil {
			id = Identity{Name: "host " + e.NodeID, Token: e.UUID}
		}
	}
	g.agentCall(w, r, id, &n, func(r *http.Request) (*wire.Joined, int64, error) {
		if err != nil {
			return nil, 0, err
		}
		return g.renew(r.Context(), e, n.Request)
	})
}

// agentCall reads a body, and answers what f gives. An identity without token is a stranger's as long as f refuses it.
func (g *Gate) agentCall(w http.ResponseWriter, r *http.Request, id Identity, body any, f func(*http.Request) (*wire.Joined, int64, error)) {
	key := id.Token
	if key == "" {
		key = host(r.RemoteAddr)
		if wait := g.strangers.take(key, g.Now()); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			refuse(w, model.Errorf(model.TooManyRequests, "", "too many requests: come back in %v", wait.Round(time.Millisecond)))
			return
		}
	}
	g.admit(w, r, id, nil, func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch {
		case g.Authority == nil:
			err = model.Errorf(model.UnknownResource, "", "this manager runs without access control (--insecure): hosts need not join")
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			err = model.Errorf(methodNotAllowed, "", "hosts join by POST")
		default:
			if b, e := readBody(w, r, wire.MaxJoin); e != nil {
				err = e
			} else if e := json.Unmarshal(b, body); e != nil {
				err = model.Errorf(model.ArgumentError, "", "malformed request: %v", e)
			}
		}
		if err == nil {
			var joined *wire.Joined
			var rev int64
			if joined, rev, err = f(r); err == nil {
				w.Header().Set("OpenVNet-Revision", strconv.FormatInt(rev, 10))
				answer(w, http.StatusOK, joined)
				return
			}
		}
		refuse(w, away(err))
	})
}

// Bounds of a request's body: bytes, and the time that it may take to arrive.
const (
	maxBody  = 64 << 10
	bodyTime = 20 * time.Second
)

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime)) // of no use where the connection is not one
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = rc.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, model.Errorf(requestTooLarge, "", "the body is longer than %d bytes", limit)
	}
	if err != nil {
		return nil, model.Errorf(model.ArgumentError, "", "the body cannot be read: %v", err)
	}
	return b, nil
}

// params are a request's parameters, which are taken one by one: what is left is unknown.
type params map[string]any

// readParams reads the query string and the body, form or JSON.
func readParams(w http.ResponseWriter, r *http.Request) (params, error) {
	p := params{}
	add := func(values url.Values) error {
		for name, vs := range values {
			if _, twice := p[name]; twice {
				return model.Errorf(model.ArgumentError, clip(name), "is given twice")
			}
			list := make([]any, len(vs))
			for i, v := range vs {
				list[i] = v
			}
			p[name] = list
		}
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, model.Errorf(model.ArgumentError, "", "malformed query string")
	}
	b, err := readBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(b) == 0:
	case kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return nil, model.Errorf(model.ArgumentError, "", "malformed form")
		}
		if err := add(form); err != nil {
			return nil, err
		}
	default:
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, model.Errorf(model.ArgumentError, "", "the body is not a JSON object: %v", err)
		}
		if p == nil {
			p = params{}
		}
	}
	return p, add(query)
}

// list takes a parameter that is a list: of JSON, given several times, or with commas.
func (p params) list(name string) (texts []string) {
	v := p[name]
	delete(p, name)
	vs, ok := v.([]any)
	if !ok {
		vs = []any{v}
	}
	for _, v := range vs {
		if v == nil {
			continue
		}
		for s := range strings.SplitSeq(fmt.Sprint(v), ",") {
			if s = strings.TrimSpace(s); s != "" {
				texts = append(texts, s)
			}
		}
	}
	return texts
}

// text takes a parameter that is one value.
func (p params) text(name string) string {
	v := p[name]
	if vs, ok := v.([]any); ok && len(vs) == 1 {
		v = vs[0]
	}
	switch v := v.(type) {
	case string, float64, bool:
		delete(p, name)
		return fmt.Sprint(v)
	case nil:
		delete(p, name)
	}
	return "" // what is left is refused by end
}

func (p params) lifetime() (time.Duration, error) {
	d, err := ParseLifetime(p.text("expires"))
	if err != nil {
		return 0, model.Errorf(model.ArgumentError, "expires", "%v", err)
	}
	return d, nil
}

// end refuses what nobody has taken.
func (p params) end() error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		return model.Errorf(model.ArgumentError, clip(name), "is not a parameter here, or not one value")
	}
	return nil
}
