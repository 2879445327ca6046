package model

// Filter decides what may pass an interface in either direction; without a rule that says so, only what passes through.
type Filter struct {
	Meta
	InterfaceUUID      string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable,unique=interface" doc:"The interface; it has one filter of a mode. It applies while enable_filtering is on."`
	Mode               string `json:"mode" vn:"required,enum=static,unique=interface" doc:"static: by the rules below it."`
	IngressPassthrough bool   `json:"ingress_passthrough" vn:"mutable" doc:"Whether what no rule matches may go to the interface."`
	EgressPassthrough  bool   `json:"egress_passthrough" vn:"mutable" doc:"Whether what no rule matches may come from the interface."`
}

// Filters declares the resource.
var Filters = declare(spec[Filter]{
	name: "filter", plural: "filters", prefix: "fil",
	doc:   "What may pass an interface in either direction.",
	reach: Reach{Rule: "local", With: []string{"interface_uuid"}},
})
