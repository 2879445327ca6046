package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

const (
	secretPrefix  = "vnt_" // what finds secrets in files finds these
	tokenLifetime = 90 * 24 * time.Hour
	joinLifetime  = time.Hour
	keepExpired   = 30 * 24 * time.Hour // how long an expired token stays in the list
	maxTokens     = 10_000
	// AdminToken is the name of the token that a manager makes when it first starts.
	AdminToken = "admin"
)

// newSecret gives 256 random bits as text. They cannot be guessed nor tried out, so that a plain hash keeps them: what makes hashing of
// passwords slow and salted is that people choose them.
func newSecret(prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (documented since Go 1.24)
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// lookup gives the identity of a token, as the store has it now. It compares hashes: how long it takes says nothing about a secret.
func (g *Gate) lookup(secret string) (id Identity, err error) {
	hash := hashOf(secret)
	var t *model.Token
	var tenants []string
	g.Store.View(func(x *span.Index, _ int64) {
		if uuid, ok := x.Graph().ByUnique(model.Tokens, "hash", hash); ok {
			t, _ = graph.Lookup[*model.Token](x.Graph(), uuid)
			tenants = tenantsOf(x.Graph(), uuid)
		}
	})
	if t == nil || subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash)) != 1 {
		return Identity{}, model.Errorf(model.Unauthorized, "", "the token is not known: mistyped, or revoked")
	}
	if expired(t.ExpiresAt, g.Now()) {
		return Identity{}, model.Errorf(model.Unauthorized, "", "the token %s (%s) expired at %s", t.UUID, t.Name, t.ExpiresAt.UTC().Format(time.RFC3339))
	}
	role, err := ParseRole(t.Role)
	if err != nil {
		return Identity{}, fmt.Errorf("token %s: %w", t.UUID, err)
	}
	id = Identity{Name: t.Name, Role: role, Token: t.UUID, until: t.ExpiresAt}
	if t.Bound {
		id.Tenants = append([]string{}, tenants...) // never nil: that would be all
	}
	return id, nil
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func tenantsOf(g *graph.Graph, token string) (uuids []string) {
	for _, row := range graph.Children[*model.TokenTenant](g, token, "token_tenants.token_uuid") {
		uuids = append(uuids, row.TenantUUID)
	}
	return uuids
}

// NewToken says what token to make.
type NewToken struct {
	Name    string        // required
	Role    Role          // required
	Tenants []string      // uuids; none: all
	Expires time.Duration // from now; 0 for 90 days, negative for never
}

// TokenInfo is a token as it is shown.
type TokenInfo struct {
	UUID      string     `json:"uuid"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Tenants   []string   `json:"tenants"` // null: all
	ExpiresAt *time.Time `json:"expires_at"`
	Expired   bool       `json:"expired"`
	CreatedAt time.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	Secret    string     `json:"token,omitempty"` // at its creation only

	revision int64 // of its creation
}

// CreateToken makes a token, which may do no more than the identity that makes it. The answer alone has its secret. Errors are *model.Error, but for
// those of the store.
func (g *Gate) CreateToken(ctx context.Context, by Identity, n NewToken) (*TokenInfo, error) {
	if by.Role < Admin {
		return nil, model.Errorf(model.Forbidden, "", "%s may not make tokens (role %s)", by.Name, by.Role)
	}
	if n.Role < Viewer || n.Role > Admin {
		return nil, model.Errorf(model.MissingArgument, "role", "is required: viewer, operator or admin")
	}
	if n.Name == "" {
		return nil, model.Errorf(model.MissingArgument, "name", "is required")
	}
	if _, err := model.Tokens.Field("name").Parse(n.Name); err != nil {
		return nil, err
	}
	tenants := slices.Compact(slices.Sorted(slices.Values(n.Tenants)))
	for _, t := range tenants {
		if err := model.Tenants.CheckUUID(t); err != nil {
			return nil, model.Errorf(model.InvalidUUID, "tenants", "%v", err)
		}
	}
	if !by.AllTenants() {
		if len(tenants) == 0 {
			tenants = by.Tenants
		}
		for _, t := range tenants {
			if !slices.Contains(by.Tenants, t) {
				return nil, model.Errorf(model.UnknownUUIDResource, "tenants", "there is no tenant %s", t)
			}
		}
	}
	now := g.Now().UTC()
	secret := newSecret(secretPrefix)
	var made *model.Token
	revision, err := g.Store.Update(ctx, func(tx *store.Tx) error {
		if err := g.tidy(tx, now); err != nil {
			return err
		}
		made = &model.Token{Name: n.Name, Role: n.Role.String(), Bound: len(tenants) > 0, Hash: hashOf(secret), CreatedBy: by.Name}
		if n.Expires >= 0 {
			made.ExpiresAt = now.Add(cmp.Or(n.Expires, tokenLifetime))
		}
		if err := tx.Create(made); err != nil {
			return err
		}
		for _, t := range tenants {
			if _, ok := tx.Get(t); !ok {
				return model.Errorf(model.UnknownUUIDResource, "tenants", "there is no tenant %s", t)
			}
			if err := tx.Create(&model.TokenTenant{Meta: model.Meta{TenantUUID: t}, TokenUUID: made.UUID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	info := infoOf(made, tenants, now)
	info.Secret, info.revision = secret, revision
	return &info, nil
}

// tidy removes tokens that are of no use any more, and refuses one too many.
func (g *Gate) tidy(tx *store.Tx, now time.Time) error {
	n := 0
	for _, r := range []*model.Resource{model.Tokens, model.JoinTokens} {
		for _, o := range tx.List(r) {
			end := now
			var at time.Time
			switch t := o.(type) {
			case *model.Token:
				at, end = t.ExpiresAt, now.Add(-keepExpired)
			case *model.JoinToken:
				at = t.ExpiresAt
			}
			if !expired(at, end) {
				n++
				continue
			}
			if _, err := tx.Delete(o.Base().UUID); err != nil {
				return err
			}
		}
	}
	if n >= maxTokens {
		return model.Errorf(model.Exhausted, "", "there are %d tokens: revoke some", n)
	}
	return nil
}

func infoOf(t *model.Token, tenants []string, now time.Time) TokenInfo {
	i := TokenInfo{
		UUID: t.UUID, Name: t.Name, Role: t.Role, Tenants: tenants, Expired: expired(t.ExpiresAt, now),
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
	}
	if !t.ExpiresAt.IsZero() {
		i.ExpiresAt = &t.ExpiresAt
	}
	if t.Bound && tenants == nil {
		i.Tenants = []string{}
	}
	return i
}

// Tokens gives the tokens that an admin may revoke: those which may do no more than it does.
func (g *Gate) Tokens(by Identity) []TokenInfo {
	now, list := g.Now(), []TokenInfo{}
	g.Store.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.Tokens) {
			t := o.(*model.Token)
			if tenants := tenantsOf(x.Graph(), t.UUID); by.covers(t, tenants) {
				list = append(list, infoOf(t, tenants, now))
			}
		}
	})
	return list
}

// covers reports whether the token may do nothing that the admin may not.
func (id Identity) covers(t *model.Token, tenants []string) bool {
	if id.Role < Admin {
		return false
	}
	return id.AllTenants() || t.Bound && !slices.ContainsFunc(tenants, func(t string) bool { return !slices.Contains(id.Tenants, t) })
}

// RevokeToken deletes a token, by uuid or name: from now on it is refused.
func (g *Gate) RevokeToken(ctx context.Context, by Identity, name string) (uuid string, revision int64, err error) {
	revision, err = g.Store.Update(ctx, func(tx *store.Tx) error {
		o, _ := tx.Get(name)
		if o == nil {
			o = tx.ByUnique(model.Tokens, "name", name)
		}
		t, ok := o.(*model.Token)
		if !ok {
			return model.Errorf(model.UnknownUUIDResource, "uuid", "there is no token %s", clip(name))
		}
		var tenants []string
		for row := range tx.Referrers(t.UUID, "token_tenants.token_uuid") {
			tenants = append(tenants, row.Base().TenantUUID)
		}
		if !by.covers(t, tenants) {
			return model.Errorf(model.UnknownUUIDResource, "uuid", "there is no token %s", clip(name))
		}
		uuid = t.UUID
		_, err := tx.Delete(uuid)
		return err
	})
	return uuid, revision, err
}

// FirstToken makes the token AdminToken if the store holds no token yet, and gives its secret; "" if there are tokens.
func (g *Gate) FirstToken(ctx context.Context) (secret string, err error) {
	any := false
	g.Store.View(func(x *span.Index, _ int64) { any = len(x.Graph().List(model.Tokens)) > 0 })
	if any {
		return "", nil
	}
	t, err := g.CreateToken(ctx, Identity{Name: "vnmgr", Role: Admin}, NewToken{Name: AdminToken, Role: Admin, Expires: -1})
	var refused *model.Error
	if errors.As(err, &refused) && refused.Class == model.Conflict {
		return "", nil // another manager on the same store was faster
	}
	if err != nil {
		return "", fmt.Errorf("make the first token: %w", err)
	}
	return t.Secret, nil
}

// ParseLifetime reads how long a token is valid: a duration of Go, or days as 30d; never is negative, "" is 0.
func ParseLifetime(s string) (time.Duration, error) {
	switch s {
	case "":
		return 0, nil
	case "never":
		return -1, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time as 12h, 30d or never", clip(s))
	}
	return d, nil
}
