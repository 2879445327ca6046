package model

import (
	"crypto/rand"
	"fmt"
	"strings"
)

const (
	uuidAlphabet  = "abcdefghijklmnopqrstuvwxyz0123456789"
	uuidMaxSuffix = 16
)

// NewUUID gives a fresh name for an object of the resource: its prefix and 8 random characters. It need not be free: who
// creates the object looks.
func (r *Resource) NewUUID() string {
	var b [8]byte
	for i := range b {
		b[i] = uuidAlphabet[randomBelow(len(uuidAlphabet))]
	}
	return r.Prefix + "-" + string(b[:])
}

// randomBelow gives a uniform number in [0, n), n <= 256.
func randomBelow(n int) int {
	limit := 256 - 256%n
	var b [1]byte
	for {
		_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (documented since Go 1.24)
		if int(b[0]) < limit {
			return int(b[0]) % n
		}
	}
}

// CheckUUID reports whether uuid has the syntax of an object of the named resource: its prefix, a hyphen, and 1 to 16 of
// a-z and 0-9.
func CheckUUID(plural, uuid string) error {
	r := ByPlural(plural)
	if r == nil {
		panic("model: no resource " + plural)
	}
	return r.CheckUUID(uuid)
}

// CheckUUID reports whether uuid has the syntax of an object of the resource. The error's text does not name a field.
func (r *Resource) CheckUUID(uuid string) error {
	suffix, ok := strings.CutPrefix(uuid, r.Prefix+"-")
	if !ok || suffix == "" || len(suffix) > uuidMaxSuffix || strings.Trim(suffix, uuidAlphabet) != "" {
		return fmt.Errorf("%q is not the uuid of %s: %s- and 1 to %d of a-z and 0-9", clip(uuid), r.Indefinite(), r.Prefix, uuidMaxSuffix)
	}
	return nil
}
