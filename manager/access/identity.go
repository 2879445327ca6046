package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Role says what an identity may do with what it sees. A greater role may do all that a smaller one may.
type Role uint8

// The roles; the zero Role may do nothing.
const (
	Viewer   Role = iota + 1 // reads
	Operator                 // reads and writes
	Admin                    // and makes tokens
)

var roleNames = [...]string{"none", model.RoleViewer, model.RoleOperator, model.RoleAdmin}

// String gives the role's name: viewer, operator, admin.
func (r Role) String() string { return roleNames[r] }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	if i := slices.Index(roleNames[:], s); i > 0 {
		return Role(i), nil
	}
	return 0, fmt.Errorf("%q is not one of %s, %s, %s", s, Viewer, Operator, Admin)
}

// Identity is who makes a request. The zero Identity may do nothing.
type Identity struct {
	Name    string   // of the token, for people and for the audit log
	Role    Role     //
	Tenants []string // uuids of the tenants that it is bound to; nil: everything
	Token   string   // uuid of its token; "" for one that is made by none

	until time.Time // when the token expires; zero for never
}

type identityKey struct{}

// From gives the identity of a request's context.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}

// With gives a context of that identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// Insecure gives every request the identity that may do everything: for handlers that are not behind a Gate. (That of --insecure is a
// Gate, for its limits and its audit log.)
func Insecure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(With(r.Context(), Identity{Name: "insecure", Role: Admin})))
	})
}

// AllTenants reports whether the identity is bound to no tenant in particular: the provider's own.
func (id Identity) AllTenants() bool { return id.Role != 0 && id.Tenants == nil }

// MayRead reports whether the identity sees the object.
func (id Identity) MayRead(o model.Object) bool {
	if id.AllTenants() {
		return true
	}
	if id.Role == 0 {
		return false
	}
	t := tenantOf(o)
	return t == "" || slices.Contains(id.Tenants, t)
}

// MayWrite reports whether the identity may change the object; see CheckWrite for rows of others.
func (id Identity) MayWrite(o model.Object) bool {
	if id.Role < Operator {
		return false
	}
	if id.AllTenants() {
		return true
	}
	t := o.Base().TenantUUID // a tenant itself has none: it is the provider's
	return t != "" && slices.Contains(id.Tenants, t)
}

// tenantOf gives the uuid of the tenant whose an object is, "" for a shared one. A tenant is its own.
func tenantOf(o model.Object) string {
	if model.Of(o) == model.Tenants {
		return o.Base().UUID
	}
	return o.Base().TenantUUID
}

// CheckRead gives nil for an object that the identity sees, else the *model.Error of one that does not exist.
func (id Identity) CheckRead(o model.Object) error {
	if id.MayRead(o) {
		return nil
	}
	return model.Errorf(model.UnknownUUIDResource, "uuid", "there is no %s %s", model.Of(o).Title(), o.Base().UUID)
}

// CheckWrite gives nil if the identity may change or delete the object, or make rows below it. Of a row, the object that it is reached
// through must be the identity's as well: a network's row below a shared datapath is the provider's. The *model.Error is that of
// an absent object where the identity does not see it, else of class Forbidden.
func (id Identity) CheckWrite(rd model.Reader, o model.Object) error {
	if err := id.CheckRead(o); err != nil {
		return err
	}
	r := model.Of(o)
	if !id.MayWrite(o) {
		return id.forbidden(r.Title() + " " + o.Base().UUID)
	}
	if r.Parent == "" || id.AllTenants() {
		return nil
	}
	if p, ok := rd.Get(r.Field(r.Parent).Text(o)); ok && !id.MayWrite(p) {
		return id.forbidden(fmt.Sprintf("%s %s of %s", r.Title(), o.Base().UUID, p.Base().UUID))
	}
	return nil
}

func (id Identity) forbidden(what string) error {
	if id.Role < Operator {
		return model.Errorf(model.Forbidden, "", "%s may only read (role %s)", id.Name, id.Role)
	}
	return model.Errorf(model.Forbidden, "", "%s may not change %s, which is not of its tenants", id.Name, what)
}

// CheckCreate gives the tenant of an object that the identity makes and gives that tenant_uuid, "" for none: an identity of one tenant
// need not name it. The error is a *model.Error.
func (id Identity) CheckCreate(tenant string) (string, error) {
	switch {
	case id.Role < Operator:
		return "", id.forbidden("")
	case id.AllTenants():
		return tenant, nil
	case tenant == "" && len(id.Tenants) == 1:
		return id.Tenants[0], nil
	case tenant == "":
		return "", model.Errorf(model.MissingArgument, "tenant_uuid", "is required: %s is bound to several tenants", id.Name)
	case !slices.Contains(id.Tenants, tenant):
		return "", model.Errorf(model.UnknownUUIDResource, "tenant_uuid", "there is no tenant %s", tenant)
	}
	return tenant, nil
}
