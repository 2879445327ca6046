package model

import "time"

// Meta is what every stored object carries. It is embedded in each resource.
type Meta struct {
	UUID       string    `json:"uuid" doc:"Name of the object: the prefix of its resource, a hyphen, and 1 to 16 of a-z and 0-9. Generated when absent."`
	ID         uint32    `json:"id" vn:"readonly" doc:"Number of the object, unique within its resource and never used again."`
	TenantUUID string    `json:"tenant_uuid" vn:"ref=tenants" doc:"The tenant that the object belongs to; empty for one that all share, which is the operator's. That of what it refers to when absent."`
	Labels     Labels    `json:"labels" vn:"mutable" doc:"Marks for people and scripts to select by: a=b,c=d, or in JSON and YAML a map. At most 16."`
	CreatedAt  time.Time `json:"created_at" vn:"readonly" doc:"When the object was created, UTC."`
	UpdatedAt  time.Time `json:"updated_at" vn:"readonly" doc:"When the object was last changed, UTC."`

	// Revision is the store's revision of the object's last change. It is not part of the stored value: whoever reads the
	// object from the store or from a stream sets it.
	Revision int64 `json:"-"`
}

// Base gives the embedded Meta itself.
func (m *Meta) Base() *Meta { return m }

// Object is a pointer to one of the resources' structs. Objects are immutable once they are shared: to change one, change
// a Clone.
type Object interface {
	Base() *Meta
}
