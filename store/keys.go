package store

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/openvnet/openvnet/model"
)

// format is written at the first start. An older one is brought up to it by Open; a newer one is refused.
const format = 2

// layout gives the keys, by the prefix of all of them:
//
//	g/NNNN            a guard: written whenever a value or a reference whose name hashes to NNNN is taken
//	k/id, k/format    identity and layout of the store
//	k/next/TABLE      the next number to reserve for objects of a resource
//	o/UUID            an object in its stored form
//	p/head            written by every transaction: its token
//	p/fence           written by what no transaction that began earlier may commit after: one that takes very much, and a
//	                  store that does not know what became of its commit
//
// The copy is fed from o/ to p/ alone: every revision that changes an object is seen there once.
//
// Nothing that follows from the objects is stored. That no two objects have the same unique values, and that nothing refers
// to what is gone, every transaction sees in its copy; guards make that hold until its commit: who takes a value, or comes
// to refer to an object or to have the values of an index, writes the guard of its name, and who relied on nobody doing so compares it. Two names with one
// guard cost a needless second attempt now and then, and a new uniqueness group costs nothing.
type layout string

// defaultPrefix is what all keys begin with if nothing else is said.
const defaultPrefix = "/openvnet/"

func (l layout) identity() string               { return string(l) + "k/id" }
func (l layout) format() string                 { return string(l) + "k/format" }
func (l layout) counters() string               { return string(l) + "k/next/" }
func (l layout) next(r *model.Resource) string  { return l.counters() + r.Plural }
func (l layout) objects() string                { return string(l) + "o/" }
func (l layout) objectsEnd() string             { return string(l) + "o0" }
func (l layout) object(uuid string) string      { return string(l) + "o/" + uuid }
func (l layout) table(r *model.Resource) string { return string(l) + "o/" + r.Prefix + "-" }
func (l layout) head() string                   { return string(l) + "p/head" }
func (l layout) fence() string                  { return string(l) + "p/fence" }
func (l layout) fedEnd() string                 { return string(l) + "p0" }

// guard gives the key of a name's guard.
func (l layout) guard(name string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name) // never fails
	sum := h.Sum32()
	return fmt.Sprintf("%sg/%04x", string(l), (sum>>16^sum)&(1<<16-1))
}

// valueName is the name of values in a uniqueness group.
func valueName(r *model.Resource, u *model.Unique, key string) string {
	if u.Shared {
		return "value//" + u.Name + "/" + key
	}
	return "value/" + r.Plural + "/" + u.Name + "/" + key
}

// indexName is the name of values in an index.
func indexName(r *model.Resource, u *model.Unique, key string) string {
	return "index/" + r.Plural + "/" + u.Name + "/" + key
}

// referenceName is the name of all references to an object.
func referenceName(target string) string { return "reference/" + target }

// uuidOf gives the uuid of an object's key, false for another key.
func (l layout) uuidOf(key []byte) (string, bool) {
	uuid, ok := bytes.CutPrefix(key, []byte(l.objects()))
	return string(uuid), ok
}
