package access

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/openvnet/openvnet/internal/pki"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

// NewJoinToken says what token for a host to make.
type NewJoinToken struct {
	NodeID   string        // the host; any that has not joined yet if empty
	Managers []string      // URLs by which the host reaches managers; those that the manager knows of itself if empty
	Expires  time.Duration // from now; 0 for an hour
}

// JoinTokenInfo is a token for a host as it is shown.
type JoinTokenInfo struct {
	UUID      string    `json:"uuid"`
	NodeID    string    `json:"node_id"` // "" for any
	ExpiresAt time.Time `json:"expires_at"`
	Expired   bool      `json:"expired"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	Secret    string    `json:"token,omitempty"` // at its creation only

	revision int64 // of its creation
}

// EnrollmentInfo is a host that has joined, as it is shown.
type EnrollmentInfo struct {
	UUID      string    `json:"uuid"`
	NodeID    string    `json:"node_id"`
	DPID      string    `json:"dpid"`       // "" until its agent has said it
	ExpiresAt time.Time `json:"expires_at"` // of its last certificate
	CreatedAt time.Time `json:"created_at"`
}

// provider refuses who is no admin of everything: hosts are the provider's.
func (id Identity) provider() error {
	if id.Role < Admin || !id.AllTenants() {
		return model.Errorf(model.Forbidden, "", "%s is not an admin of everything", id.Name)
	}
	return nil
}

// CreateJoinToken makes a token by which one host can join, once. The answer alone has its secret. Errors are *model.Error, but for those of the
// store.
func (g *Gate) CreateJoinToken(ctx context.Context, by Identity, n NewJoinToken) (*JoinTokenInfo, error) {
	if err := by.provider(); err != nil {
		return nil, err
	}
	if g.Authority == nil {
		return nil, model.Errorf(model.Conflict, "", "this manager runs without access control (--insecure): hosts need not join")
	}
	if n.Expires < 0 {
		return nil, model.Errorf(model.ArgumentError, "expires", "a token for a host expires")
	}
	if _, err := model.Datapaths.Field("node_id").Parse(n.NodeID); err != nil {
		return nil, err
	}
	token := wire.JoinToken{Managers: n.Managers, NodeID: n.NodeID, Secret: newSecret("")}
	if len(token.Managers) == 0 && g.Managers != nil {
		token.Managers = g.Managers()
	}
	roots, err := g.Authority.Roots()
	if err != nil {
		return nil, err
	}
	token.Fingerprint = pki.Fingerprint(roots[0])
	if _, err := wire.ParseJoinToken(token.String()); err != nil {
		return nil, model.Errorf(model.ArgumentError, "managers", "must be https URLs")
	}
	now := g.Now().UTC()
	var made *model.JoinToken
	revision, err := g.Store.Update(ctx, func(tx *store.Tx) error {
		if err := g.tidy(tx, now); err != nil {
			return err
		}
		made = &model.JoinToken{NodeID: n.NodeID, Hash: hashOf(token.Secret), ExpiresAt: now.Add(cmp.Or(n.Expires, joinLifetime)), CreatedBy: by.Name}
		return tx.Create(made)
	})
	if err != nil {
		return nil, err
	}
	info := joinInfo(made, now)
	info.Secret, info.revision = token.String(), revision
	return &info, nil
}

func joinInfo(t *model.JoinToken, now time.Time) JoinTokenInfo {
	return JoinTokenInfo{
		UUID: t.UUID, NodeID: t.NodeID, ExpiresAt: t.ExpiresAt, Expired: expired(t.ExpiresAt, now),
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
	}
}

// JoinTokens gives the tokens for hosts that have not been used.
func (g *Gate) JoinTokens(by Identity) ([]JoinTokenInfo, error) {
	if err := by.provider(); err != nil {
		return nil, err
	}
	now, list := g.Now(), []JoinTokenInfo{}
	g.Store.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.JoinTokens) {
			list = append(list, joinInfo(o.(*model.JoinToken), now))
		}
	})
	return list, nil
}

// Enrollments gives the hosts that have joined.
func (g *Gate) Enrollments(by Identity) ([]EnrollmentInfo, error) {
	if err := by.provider(); err != nil {
		return nil, err
	}
	list := []EnrollmentInfo{}
	g.Store.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.Enrollments) {
			e := o.(*model.Enrollment)
			list = append(list, EnrollmentInfo{UUID: e.UUID, NodeID: e.NodeID, DPID: e.DPID, ExpiresAt: e.ExpiresAt, CreatedAt: e.CreatedAt})
		}
	})
	return list, nil
}

// revokeHost deletes a token for a host, or an enrollment (by uuid or node id): then the host's certificate is worth nothing, and its
// agent is cut off.
func (g *Gate) revokeHost(ctx context.Context, by Identity, r *model.Resource, name string) (uuid string, revision int64, err error) {
	if err := by.provider(); err != nil {
		return "", 0, err
	}
	revision, err = g.Store.Update(ctx, func(tx *store.Tx) error {
		o, _ := tx.Get(name)
		if o == nil && r == model.Enrollments {
			o = tx.ByUnique(r, "node_id", name)
		}
		if o == nil || model.Of(o) != r {
			return model.Errorf(model.UnknownUUIDResource, "uuid", "there is no %s %s", r.Title(), clip(name))
		}
		uuid = o.Base().UUID
		_, err := tx.Delete(uuid)
		return err
	})
	return uuid, revision, err
}

// join admits a host by its token, and uses the token up.
func (g *Gate) join(ctx context.Context, j wire.Join) (*wire.Joined, int64, error) {
	hash := hashOf(j.Secret)
	known := false
	g.Store.View(func(x *span.Index, _ int64) { _, known = x.Graph().ByUnique(model.JoinTokens, "hash", hash) })
	if !known { // before anything that costs time
		return nil, 0, errUsed
	}
	if j.NodeID == "" {
		return nil, 0, model.Errorf(model.MissingArgument, "node_id", "is required")
	}
	if _, err := model.Datapaths.Field("node_id").Parse(j.NodeID); err != nil {
		return nil, 0, err
	}
	host := pki.Host{ID: model.Enrollments.NewUUID(), Node: j.NodeID}
	joined, expires, err := g.certify(j.Request, host)
	if err != nil {
		return nil, 0, err
	}
	now := g.Now()
	rev, err := g.Store.Update(ctx, func(tx *store.Tx) error {
		t, _ := tx.ByUnique(model.JoinTokens, "hash", hash).(*model.JoinToken)
		switch {
		case t == nil:
			return errUsed
		case expired(t.ExpiresAt, now):
			return model.Errorf(model.Unauthorized, "", "the token expired at %s", t.ExpiresAt.UTC().Format(time.RFC3339))
		case t.NodeID != "" && t.NodeID != j.NodeID:
			return model.Errorf(model.Forbidden, "node_id", "the token is for host %q, not %q", t.NodeID, j.NodeID)
		}
		if old := tx.ByUnique(model.Enrollments, "node_id", j.NodeID); old != nil {
			if t.NodeID == "" {
				return model.Errorf(model.Conflict, "node_id", "a host %q has joined already; to join it again takes a token for it: vnmgr token host --node-id %s", j.NodeID, j.NodeID)
			}
			if _, err := tx.Delete(old.Base().UUID); err != nil {
				return err
			}
		}
		if _, err := tx.Delete(t.UUID); err != nil {
			return err
		}
		return tx.Create(&model.Enrollment{Meta: model.Meta{UUID: host.ID}, NodeID: j.NodeID, ExpiresAt: expires.UTC()})
	})
	if err != nil {
		return nil, 0, err
	}
	Touch(ctx, host.ID)
	g.Log.Info("host has joined", "node", j.NodeID, "enrollment", host.ID)
	return joined, rev, nil
}

var errUsed = model.Errorf(model.Unauthorized, "", "the token is not known: used already, expired or revoked")

// certify signs a certificate for a host.
func (g *Gate) certify(request []byte, h pki.Host) (*wire.Joined, time.Time, error) {
	cert, expires, err := g.Authority.SignHost(request, h)
	if err != nil {
		return nil, time.Time{}, model.Errorf(model.ArgumentError, "request", "%v", err)
	}
	roots, err := g.Authority.RootsPEM()
	if err != nil {
		return nil, time.Time{}, err
	}
	return &wire.Joined{Certificate: cert, Authorities: roots}, expires, nil
}

// renew gives the host of a connection a new certificate.
func (g *Gate) renew(ctx context.Context, e *model.Enrollment, request []byte) (*wire.Joined, int64, error) {
	joined, expires, err := g.certify(request, pki.Host{ID: e.UUID, Node: e.NodeID})
	if err != nil {
		return nil, 0, err
	}
	rev, err := g.Store.Update(ctx, func(tx *store.Tx) error {
		o, ok := tx.Get(e.UUID)
		if !ok {
			return errRevoked
		}
		e := model.Clone(o.(*model.Enrollment))
		e.ExpiresAt = expires.UTC()
		return tx.Update(e)
	})
	return joined, rev, err
}

var (
	errNoCertificate = model.Errorf(model.Unauthorized, "", "the host has shown no certificate: it must join first (vna join TOKEN)")
	errRevoked       = model.Errorf(model.Unauthorized, "", "the host's admission has been revoked: it must join again (vna join TOKEN)")
)

// enrolled gives the host whose certificate a connection has shown, and the end of that.
func (g *Gate) enrolled(r *http.Request) (e *model.Enrollment, until time.Time, err error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, until, errNoCertificate
	}
	cert := r.TLS.PeerCertificates[0]
	h, ok := pki.HostOf(cert)
	if !ok {
		return nil, until, errNoCertificate
	}
	g.Store.View(func(x *span.Index, _ int64) { e, ok = graph.Lookup[*model.Enrollment](x.Graph(), h.ID) })
	if !ok || e.NodeID != h.Node {
		return nil, until, errRevoked
	}
	return e, cert.NotAfter, nil
}

// Agents is the middleware of the agents' streams: a connection without the certificate of a host that has joined is refused before
// anything is read. CheckAgent then looks at what the agent says.
func (g *Gate) Agents(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.Authority != nil {
			if _, _, err := g.enrolled(r); err != nil {
				g.admit(w, r, Identity{}, err, nil)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// CheckAgent says whether the agent of a connection may speak as the host that its hello claims, and until when: it must be the one that
// its certificate is for. The datapath id that a host's agent says first is the host's from then on, if it is no other's. A
// refusal is a *model.Error. Without an Authority every agent may.
func (g *Gate) CheckAgent(r *http.Request, h wire.Hello) (until time.Time, err error) {
	if g.Authority == nil {
		return until, nil
	}
	e, until, err := g.enrolled(r)
	if err != nil {
		return until, err
	}
	if h.NodeID != e.NodeID {
		return until, model.Errorf(model.Forbidden, "node_id", "the certificate is for host %q; the agent says that it is %q", e.NodeID, h.NodeID)
	}
	dpid := h.DPID.String()
	switch e.DPID {
	case dpid:
		return until, nil
	case "":
	default:
		return until, model.Errorf(model.Forbidden, "dpid", "host %q has joined with datapath id %s; the agent says %s. Give the bridge its datapath id back, or join again", e.NodeID, e.DPID, dpid)
	}
	_, err = g.Store.Update(r.Context(), func(tx *store.Tx) error {
		if d, ok := tx.ByUnique(model.Datapaths, "dpid", dpid).(*model.Datapath); ok && d.NodeID != e.NodeID {
			return model.Errorf(model.Forbidden, "dpid", "datapath id %s belongs to host %q", dpid, d.NodeID)
		}
		if o := tx.ByUnique(model.Enrollments, "dpid", dpid); o != nil && o.Base().UUID != e.UUID {
			return model.Errorf(model.Forbidden, "dpid", "datapath id %s belongs to host %q", dpid, o.(*model.Enrollment).NodeID)
		}
		o, ok := tx.Get(e.UUID)
		if !ok {
			return errRevoked
		}
		own := model.Clone(o.(*model.Enrollment))
		if own.DPID != "" && own.DPID != dpid {
			return model.Errorf(model.Forbidden, "dpid", "host %q has joined with datapath id %s", e.NodeID, own.DPID)
		}
		own.DPID = dpid
		return tx.Update(own)
	})
	var refused *model.Error
	if err != nil && !errors.As(err, &refused) {
		g.Log.Error("a host's datapath id cannot be kept", "node", e.NodeID, "err", err)
		err = errors.New("the manager cannot admit the host now")
	}
	return until, err
}
