package model

import "time"

// The roles of a token.
const (
	RoleViewer   = "viewer"
	RoleOperator = "operator"
	RoleAdmin    = "admin"
)

// Token is a secret by which a client of the Web API says who it is. The secret itself is not kept.
type Token struct {
	Meta
	Name      string    `json:"name" vn:"required,unique=name" doc:"Name for people and for the audit log."`
	Role      string    `json:"role" vn:"required,enum=viewer|operator|admin" doc:"viewer reads, operator also writes, admin also makes tokens."`
	Bound     bool      `json:"bound" doc:"Whether it is for the tenants of its token_tenants only."`
	Hash      string    `json:"hash" vn:"required,unique=hash" doc:"SHA-256 of the secret, in hexadecimal."`
	ExpiresAt time.Time `json:"expires_at" doc:"Until when it is valid; always if empty."`
	CreatedBy string    `json:"created_by" doc:"Name of the identity that made it."`
}

// Tokens declares the resource. They are made, listed and revoked by manager/access.
var Tokens = declare(spec[Token]{
	name: "token", plural: "tokens", prefix: "tok", hidden: true,
	doc: "A secret by which a client of the Web API says who it is, as its hash.",
})

// TokenTenant binds a token to the tenant of the row.
type TokenTenant struct {
	Meta
	TokenUUID string `json:"token_uuid" vn:"required,ref=tokens,cascade" doc:"The token."`
}

// TokenTenants declares the resource.
var TokenTenants = declare(spec[TokenTenant]{
	name: "token_tenant", plural: "token_tenants", prefix: "tokt", hidden: true,
	doc: "A tenant that a token is bound to: the row's own tenant_uuid.",
	validate: func(t *TokenTenant) error {
		if t.TenantUUID == "" {
			return Errorf(MissingArgument, "tenant_uuid", "is required")
		}
		return nil
	},
})

// JoinToken is a secret by which one host gets its first certificate. It is gone when it has been used.
type JoinToken struct {
	Meta
	NodeID    string    `json:"node_id" doc:"The host that it is for; any that has not joined yet if empty."`
	Hash      string    `json:"hash" vn:"required,unique=hash" doc:"SHA-256 of the secret, in hexadecimal."`
	ExpiresAt time.Time `json:"expires_at" vn:"required" doc:"Until when it is valid."`
	CreatedBy string    `json:"created_by" doc:"Name of the identity that made it."`
}

// JoinTokens declares the resource.
var JoinTokens = declare(spec[JoinToken]{
	name: "join_token", plural: "join_tokens", prefix: "join", hidden: true,
	doc: "A secret by which one host gets its first certificate, as its hash.",
})

// Enrollment is a host that has joined: what its certificates stand for. Without it they are worth nothing.
type Enrollment struct {
	Meta
	NodeID    string    `json:"node_id" vn:"required,unique=node_id" doc:"Name by which the host's agent reports."`
	DPID      string    `json:"dpid" vn:"unique=dpid" doc:"Datapath id of the host's bridge; empty until its agent has said it."`
	ExpiresAt time.Time `json:"expires_at" vn:"required" doc:"End of its last certificate."`
}

// Enrollments declares the resource.
var Enrollments = declare(spec[Enrollment]{
	name: "enrollment", plural: "enrollments", prefix: "enr", hidden: true,
	doc: "A host that has joined: what its certificates stand for.",
})
