package model

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Resource is the declaration of one kind of object. All are made by declare when the program starts and are immutable.
type Resource struct {
	Name   string // OpenVNet's word, singular, snake case: mac_lease
	Plural string // path, table and document key: mac_leases
	Prefix string // of its uuids: ml
	Doc    string // a paragraph for people

	// Parent makes it a sub-resource of the API: its rows are reached through the object that this field refers to
	// (/interfaces/if-x/ports); Path is the last element, and Key the field whose value names one row below it
	// (/datapaths/dp-x/networks/nw-y), "" where rows are picked by their fields. All are empty for a resource of its own.
	Parent, Path, Key string
	// Rows says that lists of a sub-resource with a Key give its rows; without it they give the objects at the other end, with the
	// rows' fields beside theirs, as OpenVNet does.
	Rows bool
	// Hidden keeps it out of the API: the manager alone writes it.
	Hidden bool
	// CrossTenant lets it refer to objects of any tenant: wiring, which is the operator's.
	CrossTenant bool

	// Fields are those of the struct, Meta's first. Inputs are further parameters of a creation, which make other
	// objects (an interface's mac_address makes its mac lease).
	Fields, Inputs []*Field

	Uniques []*Unique
	// Indexes are groups as well, whose values several objects may share.
	Indexes []*Unique
	// Refs are the references that the fields declare.
	Refs []Reference

	Reach Reach

	after    []string
	new      func() Object
	validate func(Object) error
	check    func(Object, Reader) error
	typ      reflect.Type
}

// Reach says which hosts are sent an object. See package span.
type Reach struct {
	// With names reference fields: a host that has the objects which all of these refer to is sent this one too.
	With []string
	// If names a boolean field without which no host is sent the object.
	If string
	// Rule names a rule of package span: "needed", "present", "interface", "lease", "route", "local", "translation", "datapath", "default", "everywhere". With
	// neither, no host is sent the object.
	Rule string
}

// Reader reads other objects during a check: a transaction, or a set of documents being planned.
type Reader interface {
	// Get gives the object of that uuid. The bool is false if there is none.
	Get(uuid string) (Object, bool)
	// Referrers gives the objects whose field (as "ip_leases.interface_uuid") refers to uuid.
	Referrers(uuid, field string) iter.Seq[Object]
	// Alike gives the objects of o's resource that have the values of o in an index, o itself among them if it is there.
	Alike(o Object, index string) iter.Seq[Object]
}

// spec is what a resource's file declares beyond its struct.
type spec[T any] struct {
	name, plural, prefix, doc string
	parent, path, key         string
	rows, hidden, crossTenant bool
	refused                   map[string]map[string]string // by field and value, why a value of OpenVNet's is none here
	after                     []string                     // plurals of resources whose objects a creation looks for, beyond those that it refers to
	inputs                    any                          // a struct whose fields are the further creation parameters, or nil
	reach                     Reach
	// validate looks at one object alone; check looks at what it refers to as well. Both give *Error.
	validate func(*T) error
	check    func(*T, Reader) error
}

var declared []*Resource

// declare registers a resource. PT is *T; the compiler infers both.
func declare[T any, PT interface {
	*T
	Object
}](s spec[T]) *Resource {
	t := reflect.TypeFor[T]()
	r := &Resource{
		Name: s.name, Plural: s.plural, Prefix: s.prefix, Doc: s.doc, Parent: s.parent, Path: s.path, Key: s.key,
		Rows: s.rows, Hidden: s.hidden, CrossTenant: s.crossTenant, Reach: s.reach,
		Fields: fieldsOf(t), typ: t, after: s.after,
		new: func() Object { return PT(new(T)) },
	}
	r.Uniques = uniquesOf(r.Fields, func(f *Field) []string { return f.unique }, func(f *Field) []string { return f.uniqueZero })
	r.Indexes = uniquesOf(r.Fields, func(f *Field) []string { return f.indexed }, func(*Field) []string { return nil })
	if s.inputs != nil {
		r.Inputs = fieldsOf(reflect.TypeOf(s.inputs))
	}
	if s.validate != nil {
		r.validate = func(o Object) error { return s.validate((*T)(o.(PT))) }
	}
	if s.check != nil {
		r.check = func(o Object, rd Reader) error { return s.check((*T)(o.(PT)), rd) }
	}
	for name, values := range s.refused {
		r.Field(name).refused = values
	}
	for _, f := range r.Fields {
		if f.Ref != "" && f.Type != String {
			panic("model: " + r.Name + "." + f.Name + ": a reference is a string")
		}
	}
	declared = append(declared, r)
	return r
}

// registry is the closed set of declarations, made at the first use, which is after all declarations have run.
var registry = sync.OnceValue(func() *resources {
	rs := &resources{byPlural: map[string]*Resource{}, byPrefix: map[string]*Resource{}, byType: map[reflect.Type]*Resource{}}
	for _, r := range declared {
		if rs.byPlural[r.Plural] != nil || rs.byPrefix[r.Prefix] != nil {
			panic("model: " + r.Name + " is declared twice")
		}
		rs.byPlural[r.Plural], rs.byPrefix[r.Prefix], rs.byType[r.typ] = r, r, r
	}
	// Referents before referrers; by name where the references leave it open.
	rest := slices.SortedFunc(slices.Values(declared), func(a, b *Resource) int { return strings.Compare(a.Plural, b.Plural) })
	done := map[string]bool{}
	for len(rest) > 0 {
		n := len(rest)
		rest = slices.DeleteFunc(rest, func(r *Resource) bool {
			for _, f := range slices.Concat(r.Fields, r.Inputs) {
				if f.Ref != "" && f.Ref != r.Plural && !done[f.Ref] {
					return false
				}
			}
			if slices.ContainsFunc(r.after, func(plural string) bool { return !done[plural] }) {
				return false
			}
			rs.all = append(rs.all, r)
			done[r.Plural] = true
			return true
		})
		if len(rest) == n {
			panic("model: references go round in a circle at " + rest[0].Plural)
		}
	}
	for _, r := range rs.all {
		for _, f := range r.Fields {
			if target := rs.byPlural[cmp.Or(f.Ref, f.Names)]; target != nil {
				r.Refs = append(r.Refs, Reference{Name: r.Plural + "." + f.Name, From: r, Field: f, To: target})
			}
		}
		rs.references = append(rs.references, r.Refs...)
	}
	return rs
})

type resources struct {
	all        []*Resource
	byPlural   map[string]*Resource
	byPrefix   map[string]*Resource
	byType     map[reflect.Type]*Resource
	references []Reference
}

// Reference is a declared reference: field Field of From holds the uuid of one of To, or names some of them.
type Reference struct {
	Name  string // "ip_leases.interface_uuid"
	From  *Resource
	Field *Field
	To    *Resource
}

// Targets gives the uuids that o refers to by the reference: none, one, or of a field that holds several all of them.
func (ref Reference) Targets(o Object) iter.Seq[string] {
	return func(yield func(string) bool) {
		v := ref.Field.value(o)
		if ref.Field.Names == "" {
			if uuid := v.String(); uuid != "" {
				yield(uuid)
			}
			return
		}
		for _, uuid := range v.Interface().(uuidList).uuids() {
			if !yield(uuid) {
				return
			}
		}
	}
}

// uuidList is a kind of text that refers to several objects.
type uuidList interface{ uuids() []string }

// All gives every resource: those that a creation refers to or looks for (ranges that it takes a value from) before those that are
// created so. Do not change the slice.
func All() []*Resource { return registry().all }

// References gives every declared reference. Do not change the slice.
func References() []Reference { return registry().references }

// ByPlural gives the resource of that plural, or nil.
func ByPlural(plural string) *Resource { return registry().byPlural[plural] }

// ByUUID gives the resource that the uuid's prefix names, or nil.
func ByUUID(uuid string) *Resource {
	prefix, _, ok := strings.Cut(uuid, "-")
	if !ok {
		return nil
	}
	return registry().byPrefix[prefix]
}

// Of gives the resource of an object.
func Of(o Object) *Resource { return registry().byType[reflect.TypeOf(o).Elem()] }

// Title is the resource's name in words: "mac lease".
func (r *Resource) Title() string { return strings.ReplaceAll(r.Name, "_", " ") }

// Indefinite is the resource's name in words with its article: "a mac lease", "an interface".
func (r *Resource) Indefinite() string { return article(r.Title()) }

// New gives an empty object of the resource with the fields' defaults set.
func (r *Resource) New() Object {
	o := r.new()
	for _, f := range r.Fields {
		if f.Default != "" {
			v, err := f.ParseText(f.Default)
			if err != nil {
				panic(fmt.Sprintf("model: default of %s.%s: %v", r.Name, f.Name, err))
			}
			f.Set(o, v)
		}
	}
	return o
}

// Field gives the declared field of that name or alias, or nil.
func (r *Resource) Field(name string) *Field { return find(r.Fields, name) }

// Input gives the creation parameter of that name or alias that is no field, or nil.
func (r *Resource) Input(name string) *Field { return find(r.Inputs, name) }

func find(fields []*Field, name string) *Field {
	for _, f := range fields {
		if f.Name == name || f.Alias == name && name != "" {
			return f
		}
	}
	return nil
}

// Validate looks at one object alone: its uuid's syntax, required fields, that MAC addresses are unicast, and the resource's
// own rules. The error is a *Error.
func (r *Resource) Validate(o Object) error {
	if err := r.CheckUUID(o.Base().UUID); err != nil {
		return &Error{Class: InvalidUUID, Field: "uuid", Reason: err.Error()}
	}
	for _, f := range r.Fields {
		if f.Required && f.Type != Boolean && (f.Type != Integer || f.Min != nil && *f.Min > 0) && !f.IsSet(o) {
			return &Error{Class: MissingArgument, Field: f.Name, Reason: "is required"}
		}
		if f.Type == MACAddress && f.Get(o).(MAC).IsMulticast() {
			return Errorf(ArgumentError, f.Name, "%s is a multicast address", f.Text(o))
		}
	}
	if r.validate != nil {
		return r.validate(o)
	}
	return nil
}

// Check looks at an object and at what it refers to: every reference exists and is not another tenant's, and the resource's
// own rules across objects hold. The error is a *Error.
func (r *Resource) Check(o Object, rd Reader) error {
	for _, ref := range r.Refs {
		for uuid := range ref.Targets(o) {
			if err := r.checkReference(o, ref, uuid, rd); err != nil {
				return err
			}
		}
	}
	if r.check != nil {
		return r.check(o, rd)
	}
	return nil
}

// checkReference looks at one reference. A tenant's objects refer to its own and to shared ones (of no tenant), shared objects to
// shared ones. What is another tenant's is reported as if it were not there.
func (r *Resource) checkReference(o Object, ref Reference, uuid string, rd Reader) error {
	target, ok := rd.Get(uuid)
	tenant := o.Base().TenantUUID
	owner := ""
	if ok && !r.CrossTenant {
		owner = target.Base().TenantUUID
	}
	switch {
	case ok && (owner == "" || owner == tenant):
		return nil
	case ok && tenant == "":
		return Errorf(ArgumentError, ref.Field.Name, "%s is of tenant %s; what refers to it must be so too, by its tenant_uuid", uuid, owner)
	case tenant != "" && !r.CrossTenant && ref.To != Tenants:
		return Errorf(UnknownUUIDResource, ref.Field.Name, "there is no %s %s that is shared or of tenant %s", ref.To.Title(), uuid, tenant)
	}
	return Errorf(UnknownUUIDResource, ref.Field.Name, "there is no %s %s", ref.To.Title(), uuid)
}

// Unique is a group of fields that no two objects of a resource may share the values of.
type Unique struct {
	Name   string
	Shared bool // the objects of all resources that have a shared group of the name are in it together
	Fields []*Field
	zero   []bool // by field: the empty value counts as a value
}

// Key gives the group's values in o, joined by '/', and whether o takes part: an object that leaves a field of the group
// empty does not, unless the declaration says that empty counts (uniquezero).
func (u *Unique) Key(o Object) (string, bool) {
	var b strings.Builder
	for i, f := range u.Fields {
		v := f.Text(o)
		if !u.zero[i] && (v == "" || f.Type == Integer && !f.IsSet(o)) {
			return "", false
		}
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(KeyPart(v))
	}
	return b.String(), true
}

// KeyPart escapes one value for a key of Unique.
func KeyPart(v string) string {
	if strings.ContainsAny(v, "/%") {
		return strings.NewReplacer("%", "%25", "/", "%2f").Replace(v)
	}
	return v
}

// FieldNames gives the names of the group's fields, for error texts.
func (u *Unique) FieldNames() []string {
	names := make([]string, len(u.Fields))
	for i, f := range u.Fields {
		names[i] = f.Name
	}
	return names
}

// Index gives the index of that name, and its place in Indexes. There must be one.
func (r *Resource) Index(name string) (int, *Unique) {
	for i, u := range r.Indexes {
		if u.Name == name {
			return i, u
		}
	}
	panic("model: " + r.Name + " has no index " + name)
}

func uniquesOf(fields []*Field, set, zero func(*Field) []string) []*Unique {
	var us []*Unique
	add := func(name string, f *Field, zero bool) {
		name, shared := strings.CutPrefix(name, "@")
		for _, u := range us {
			if u.Name == name {
				u.Fields, u.zero = append(u.Fields, f), append(u.zero, zero)
				return
			}
		}
		us = append(us, &Unique{Name: name, Shared: shared, Fields: []*Field{f}, zero: []bool{zero}})
	}
	for _, f := range fields {
		for _, name := range set(f) {
			add(name, f, false)
		}
		for _, name := range zero(f) {
			add(name, f, true)
		}
	}
	return us
}

// Clone gives a copy of o that may be changed.
func Clone[T Object](o T) T {
	v := reflect.New(reflect.TypeOf(o).Elem())
	v.Elem().Set(reflect.ValueOf(o).Elem())
	return v.Interface().(T)
}

// Equal reports whether two objects of one resource hold the same in every field (the revision does not count).
func Equal(a, b Object) bool {
	r := Of(a)
	if r != Of(b) {
		return false
	}
	for _, f := range r.Fields {
		if f.Text(a) != f.Text(b) {
			return false
		}
	}
	return true
}
