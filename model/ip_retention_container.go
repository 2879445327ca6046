package model

// IPRetentionContainer says how long the leases in it last.
type IPRetentionContainer struct {
	Meta
	LeaseTime *int64 `json:"lease_time" vn:"min=0,max=9223372036,mutable" doc:"Seconds after which a lease is released: its interface loses it, its address stays taken. Never when absent."`
	GraceTime *int64 `json:"grace_time" vn:"min=0,max=9223372036,mutable" doc:"Seconds for which a released lease is kept: a lease policy gives it to the interface that had it, and to nobody else. Then it is destroyed; never when absent."`
}

// IPRetentionContainers declares the resource.
var IPRetentionContainers = declare(spec[IPRetentionContainer]{
	name: "ip_retention_container", plural: "ip_retention_containers", prefix: "irc",
	doc:   "How long IP leases last, and how long a released one is kept.",
	reach: Reach{Rule: "everywhere"},
})
