package model

import "time"

// IPRetention is a lease that lasts as long as its container says.
type IPRetention struct {
	Meta
	IPRetentionContainerUUID string    `json:"ip_retention_container_uuid" vn:"required,ref=ip_retention_containers,cascade,unique=pair" doc:"The container."`
	IPLeaseUUID              string    `json:"ip_lease_uuid" vn:"required,ref=ip_leases,cascade,unique=pair" doc:"The lease."`
	LeasedAt                 time.Time `json:"leased_at" vn:"readonly" doc:"When the lease's time began, UTC."`
	ReleasedAt               time.Time `json:"released_at" vn:"readonly" doc:"When the lease was released, UTC; absent while an interface has it."`
	FormerInterfaceUUID      string    `json:"former_interface_uuid" vn:"readonly,ref=interfaces,clear" doc:"The interface that had the lease until it was released: a lease policy with the container gives the address to it again, and to nobody else."`
}

// IPRetentions declares the resource.
var IPRetentions = declare(spec[IPRetention]{
	name: "ip_retention", plural: "ip_retentions", prefix: "ipret",
	parent: "ip_retention_container_uuid", path: "ip_retentions",
	doc:   "A lease in a retention container, and when its time began.",
	reach: Reach{Rule: "local", With: []string{"ip_lease_uuid"}},
})
