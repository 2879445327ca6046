// Package access says who may do what over the Web API: tokens with a role, bound to tenants; the middleware that turns a request's token
// into an identity and refuses what comes without one or too fast; the audit log; and the admission of hosts, whose agents
// have certificates instead of tokens. It decides by what the store holds at the moment: a revoked token or host is refused
// at the next request.
//
// It knows no resource in particular and no store engine. Imported by manager/api, manager/sync's wiring and cmd/vnmgr.
//
// # Identities
//
// Gate.Authenticate puts an Identity into the request's context, and From gives it back. Without the middleware there is the zero
// identity, which may do nothing; Insecure is the middleware of tests, whose identity may do everything, as that of --insecure.
//
//	role      may
//	viewer    read what it sees
//	operator  also change it
//	admin     also make and revoke tokens that may not do more than it does
//
// An identity is bound to tenants, or to none in particular, and is then the provider's own: it sees and changes everything, as far as
// its role goes. A bound one sees the objects of its tenants and the shared ones (those without a tenant), and changes the former
// only. What it does not see is answered as if it did not exist. Of the tenants themselves it sees its own.
//
// How the Web API uses it, id being access.From(r.Context()):
//
//	id.MayRead(o)           for each object of a list, of a watch, of an export: skip it (also in total_count) if false
//	id.CheckRead(o)         for one that the path names; the error is that of an absent object
//	id.CheckWrite(graph, o) before a change or deletion of o, and of the parent (the path's) of a row to be created;
//	                        the error is that of an absent object, or class Forbidden
//	id.CheckCreate(tenant)  before a creation, with its parameter tenant_uuid ("" if not given): gives the tenant_uuid to use; also before
//	                        a change of tenant_uuid
//	access.Touch(ctx, ...)  after a write: the uuids that it concerned, for the audit log
package access
