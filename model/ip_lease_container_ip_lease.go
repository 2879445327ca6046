package model

// IPLeaseContainerIPLease is the membership of a lease in a container.
type IPLeaseContainerIPLease struct {
	Meta
	IPLeaseContainerUUID string `json:"ip_lease_container_uuid" vn:"required,ref=ip_lease_containers,cascade,unique=pair" doc:"The container."`
	IPLeaseUUID          string `json:"ip_lease_uuid" vn:"required,ref=ip_leases,cascade,unique=pair" doc:"The lease."`
}

// IPLeaseContainerIPLeases declares the resource.
var IPLeaseContainerIPLeases = declare(spec[IPLeaseContainerIPLease]{
	name: "ip_lease_container_ip_lease", plural: "ip_lease_container_ip_leases", prefix: "ilci",
	parent: "ip_lease_container_uuid", path: "ip_leases", key: "ip_lease_uuid",
	doc: "A lease in a container.",
})
