// Package api is the Web API of the manager, OpenVNet's 1.0: HTTP and nothing behind it. Routes, parameters, filters, responses
// and the OpenAPI description derive from the declarations of package model; no resource is written by hand, but for the
// flattened and nested members of an interface's response. What a request changes is decided by manager/app, what hosts have
// realised is known by manager/sync; both are seen through the small interfaces of this package. Imported by cmd/vnmgr.
//
// # Paths
//
// Base /api/1.0, alias /api. With R a resource's plural, U a uuid:
//
//	GET    /R            list: {"total_count", "offset", "limit", "items"}; limit (30), offset, status=true, FIELD=VALUE
//	POST   /R            create; answers the object
//	GET    /R/U          the object with its status
//	PUT    /R/U          change (PATCH is the same); answers the object
//	DELETE /R/U          answers the list of the uuids deleted: ["nw-x"]
//	*      /R/U/PATH     rows of a sub-resource, as a list of its own; without a key DELETE removes the rows that match
//	*      /R/U/PATH/K   one row: by the uuid at its other end where the sub-resource has a key, else by its own
//	POST   /apply        {R: [{...}, ...], ...}: creates or changes all of them in one transaction, or none; prune=LABELS deletes what
//	                     carries the labels and is not among them. A virtual network in short form (package compact) is taken too
//	POST   /plan         what apply would do, by object and field
//	GET    /export       objects as documents that apply takes back; resource, labels, tenant_uuid
//	GET    /watch        changes as server-sent events; resource, uuid, since
//	PUT    /ip_leases/U/attach, /ip_leases/U/release; POST /lease_policies/U/ip_leases: leases beyond creation and deletion
//	GET    /hosts        what is known of the hosts and their agents
//	GET    /browse       documentation for people, also at the root; format=html, json, yaml
//	GET    /openapi.json, /version, and /healthz at the root
//
// A path may end in .json (the default) or .yml. A list's FIELD may be a flattened member of an interface too: any of its ports and
// leases will do; labels=a=b,c finds what carries the label a=b, and c with whatever value. Lists are in the order of creation, so
// that what is created meanwhile does not move a page. fields=uuid,display_name leaves all other members out. Resources that are rows of
// others (interface_ports, datapath_networks) have paths of their own beside those below their parents, where they show themselves
// and not what they lead to. Below an interface, PUT /interfaces/U/networks/K (segments, route_links) with static=true makes the
// row if it is not there.
//
// # Events
//
//	event: upsert | delete     data: {"resource", "uuid", "revision", "object"}: the object as it is now, or was
//	event: resync              data: {"revision"}: something was missed; list again, and go on from that revision
//
// The id of an event is its revision, and stands at the last of the events of one revision: a client that comes back with it, in the
// header Last-Event-ID or as since, misses nothing. Reads have the header OpenVNet-Revision: list, then watch since that. A heartbeat
// moves the id on past what did not concern the client. Nothing is buffered but by the connection: a client that takes nothing for two
// heartbeats is cut, and one that has fallen behind what the store remembers is told to resync.
//
// # Parameters
//
// From the query string, and from a body: form, JSON or YAML, flat or wrapped once ({"any": {...}}). What is unknown, of the
// wrong type, or given twice with different values is refused by name; older names are read (network_mode for mode). Every write takes
// in the query string
//
//	wait=applied   answer when every connected host that is concerned has realised the change: 200; 202 with the same body if
//	               that is not so after timeout (30 s; e.g. 500ms, 10), or if a host reports a problem
//	dry_run=true   do everything but the commit
//
// and the header If-Match with an object's ETag, which is its revision: if the object has changed since, the answer is 412
// with class Conflict (RFC 9110, section 13.1.1). The ETag stands for the object's own fields, not for its status nor for the
// leases nested in an interface.
//
// DELETE /filters/U/static goes by protocol, src_address, dst_address, src_port and dst_port, where what is not given is any address or
// port, as when the rule was made; other rows go by all values that are given.
//
// # Access
//
// Who asks is in the request's context (package access): what an identity does not see is absent, what it may not change is refused
// with class Forbidden. What an identity of one tenant makes is that tenant's. Tenants may be in the provider's networks and segments and
// take from its ranges; its interfaces, route links and policies they may not refer to, and what reaches beyond virtual networks (hosts,
// topologies, host interfaces, physical networks) they may not make. Whoever may read may also plan.
//
// # Responses
//
// Addresses are strings; what is not set is null, but for booleans and integers. Every object has its revision. A write's answer
// has notes where something follows from it that was not asked for, and the header OpenVNet-Revision.
//
// Errors: {"error": class, "message": ..., "code": ..., "parameter": ...}, with OpenVNet's classes, codes and statuses (see
// model.Class). No request gives 5xx, which are the manager's own: 500 with a request id that is in the log, 503 when the store did not answer.
package api
