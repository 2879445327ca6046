package compact

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/openvnet/openvnet/model"
)

const (
	alnum       = "abcdefghijklmnopqrstuvwxyz0123456789"
	longest     = 16 // characters of a uuid's suffix
	hashed      = 10 // characters of a hash; the rest is for people
	nameDivider = "\x00"
)

// Lower case base32 with the digits that a uuid may have.
var hashText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// readable gives the uuid of what the document gives a name itself: the document's name and its name, where both are nothing
// but letters and digits, where one sees where the second begins at least as far as it does not begin with a digit, and
// where there are at most 15 characters; a hashed one has 16, so that the two never meet. It does not depend on what
// else is in the document.
func readable(r *model.Resource, document, name string) string {
	suffix := document + name
	if len(suffix) < longest && strings.Trim(suffix, alnum) == "" && (name[0] < '0' || name[0] > '9') {
		return r.Prefix + "-" + suffix
	}
	return derived(r, document, name, r.Plural, name)
}

// derived gives the uuid of something that follows from names: up to 6 characters for people, and a hash of the document's name and
// the parts.
func derived(r *model.Resource, document, hint string, parts ...string) string {
	var head []byte
	for i := 0; i < len(hint) && len(head) < longest-hashed; i++ {
		if strings.IndexByte(alnum, hint[i]) >= 0 {
			head = append(head, hint[i])
		}
	}
	sum := digest(r.Plural, document, parts)
	tail := hashText.EncodeToString(sum[:])
	return r.Prefix + "-" + string(head) + tail[:longest-len(head)]
}

// derivedMAC gives a locally administered unicast address (IEEE 802, section 8.2) that follows from names.
func derivedMAC(document string, parts ...string) model.MAC {
	sum := digest("mac_addresses", document, parts)
	m := model.MAC(sum[:6])
	m[0] = m[0]&^1 | 2
	return m
}

func digest(kind, document string, parts []string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(append([]string{kind, document}, parts...), nameDivider)))
}
