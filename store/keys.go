package store

import (
	"strings"

	"github.com/openvnet/openvnet/model"
)

// format is written at the first start; what cannot be read as this one is refused.
const format = "1"

// layout gives the keys, by the prefix of all of them:
//
//	k/id, k/format      identity and layout of the store
//	k/next/TABLE        the next number to reserve for objects of a resource
//	o/UUID              an object as JSON
//	p/head              written by every transaction: its token
//	p/fence             written by a store that does not know what became of a transaction: no earlier one commits after it
//	r/TARGET            written whenever an object comes to refer to TARGET
//	u/TABLE/GROUP/KEY   the uuid of the object that has these values in the uniqueness group
//
// The copy is fed from o/ to p/ alone: every revision that changes an object is seen there once.
type layout string

func (l layout) identity() string               { return string(l) + "k/id" }
func (l layout) format() string                 { return string(l) + "k/format" }
func (l layout) next(r *model.Resource) string  { return string(l) + "k/next/" + r.Plural }
func (l layout) objects() string                { return string(l) + "o/" }
func (l layout) objectsEnd() string             { return string(l) + "o0" }
func (l layout) object(uuid string) string      { return string(l) + "o/" + uuid }
func (l layout) table(r *model.Resource) string { return string(l) + "o/" + r.Prefix + "-" }
func (l layout) head() string                   { return string(l) + "p/head" }
func (l layout) fence() string                  { return string(l) + "p/fence" }
func (l layout) fedEnd() string                 { return string(l) + "p0" }
func (l layout) referred(target string) string  { return string(l) + "r/" + target }

func (l layout) unique(r *model.Resource, u *model.Unique, key string) string {
	return string(l) + "u/" + r.Plural + "/" + u.Name + "/" + key
}

// uuidOf gives the uuid of an object's key, false for another key.
func (l layout) uuidOf(key []byte) (string, bool) { return strings.CutPrefix(string(key), l.objects()) }
