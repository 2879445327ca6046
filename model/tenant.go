package model

// Tenant is a group of people with networks of their own. What belongs to a tenant is seen and changed by those alone who may act for it.
type Tenant struct {
	Meta
	DisplayName string `json:"display_name" vn:"mutable" doc:"Name for people."`
}

// Tenants declares the resource.
var Tenants = declare(spec[Tenant]{
	name: "tenant", plural: "tenants", prefix: "tn",
	doc: "A group of people with networks of their own. Objects belong to a tenant by their tenant_uuid; those of no tenant are shared by all.",
	validate: func(t *Tenant) error {
		if t.TenantUUID != "" {
			return Errorf(ArgumentError, "tenant_uuid", "a tenant does not belong to a tenant")
		}
		return nil
	},
})
