package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// How a host comes by the certificate of its agent: POST with a JSON body, answered by a Joined, or by an error body of the Web API.
const (
	// JoinPath takes a Join, without a certificate.
	JoinPath = "/agent/1.0/join"
	// RenewPath takes a Renew, over a connection with the certificate that is to be renewed.
	RenewPath = "/agent/1.0/renew"
	// MaxJoin bounds these bodies, in bytes.
	MaxJoin = 64 << 10
)

// Join asks for a host's first certificate.
type Join struct {
	Secret  string `json:"secret"` // of the token
	NodeID  string `json:"node_id"`
	Request []byte `json:"request"` // for a certificate, PKCS #10 DER
}

// Renew asks for a certificate like the one of the connection.
type Renew struct {
	Request []byte `json:"request"`
}

// Joined is the answer to both.
type Joined struct {
	Certificate []byte `json:"certificate"` // PEM
	Authorities []byte `json:"authorities"` // PEM: whom to trust from now on
}

// JoinToken is what a host needs to join, in one word.
type JoinToken struct {
	Managers    []string `json:"m"`           // URLs, https
	Fingerprint string   `json:"f"`           // of the managers' certificate authority
	Secret      string   `json:"s"`           // for one use, before it expires
	NodeID      string   `json:"n,omitempty"` // the host that it is for; any if empty
}

const joinPrefix = "vnj1."

// String gives the token as one word.
func (t JoinToken) String() string {
	b, _ := json.Marshal(t) // strings only
	return joinPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseJoinToken reads what String gave. Its errors do not repeat the text, which is a secret.
func ParseJoinToken(s string) (JoinToken, error) {
	var t JoinToken
	text, ok := strings.CutPrefix(strings.TrimSpace(s), joinPrefix)
	if !ok {
		return t, fmt.Errorf("the token does not begin with %s: it is not one for a host", joinPrefix)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &t) != nil || t.Secret == "" || t.Fingerprint == "" {
		return JoinToken{}, errors.New("the token is damaged: it has not been copied as a whole")
	}
	for _, m := range t.Managers {
		if u, err := url.Parse(m); err != nil || u.Scheme != "https" || u.Host == "" {
			return JoinToken{}, errors.New("the token is damaged: a manager in it is not an https URL")
		}
	}
	return t, nil
}
