package model

// IPLeaseContainer is a set of IP leases under one name.
type IPLeaseContainer struct{ Meta }

// IPLeaseContainers declares the resource.
var IPLeaseContainers = declare(spec[IPLeaseContainer]{
	name: "ip_lease_container", plural: "ip_lease_containers", prefix: "ilc",
	doc: "A set of IP leases under one name. Lease policies put in what they lease.",
})
