// Package metadata tells guests about themselves over HTTP, as cloud-init and its like ask at 169.254.169.254 and fd00:ec2::254: their name, addresses, keys and
// user data. It speaks as EC2's instance metadata service does, with the tokens of its second version, and is a seed of cloud-init's NoCloud below /nocloud/.
//
// A guest is told of itself only: who asks is found by the caller from the connection, whose addresses the switch has guarded. Everything is worked out from what is known
// when the request comes. Imported by the agent, which joins it with package stream; tests serve it on any listener.
package metadata

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Handler answers requests.
type Handler struct {
	// Find gives who asks, nil if nobody is known to.
	Find func(*http.Request) *Instance // required
	// Key signs tokens. Those of another key are refused.
	Key []byte // required
	// Now is the time; time.Now if nil.
	Now func() time.Time
}

// Headers of tokens (IMDSv2), and the longest life of one in seconds.
const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTTL      = 21600
)

// versions are the names that the tree of EC2 has; all of them are one.
var versions = [...]string{"1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest"}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("X-Forwarded-For") != "" { // of somebody behind a guest, perhaps
		http.Error(w, "not through a proxy", http.StatusForbidden)
		return
	}
	i := h.Find(r)
	if i == nil {
		http.NotFound(w, r)
		return
	}
	if r.URL.Path == "/latest/api/token" {
		h.token(w, r, i)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only read", http.StatusMethodNotAllowed)
		return
	}
	if t := r.Header.Get(tokenHeader); t != "" && !h.valid(t, i) {
		http.Error(w, "this token is not valid, or not any more", http.StatusUnauthorized)
		return
	}
	body, kind, ok := i.get(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		w.Write(body) //nolint:errcheck // the guest has gone
	}
}

// token gives a token, which only this guest may use.
func (h *Handler) token(w http.ResponseWriter, r *http.Request, i *Instance) {
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", "PUT")
		http.Error(w, "a token is asked for by PUT", http.StatusMethodNotAllowed)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTTL {
		http.Error(w, ttlHeader+" is not a number from 1 to "+strconv.Itoa(maxTTL), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	w.Write([]byte(h.sign(h.now().Add(time.Duration(ttl)*time.Second), i))) //nolint:errcheck // the guest has gone
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// sign gives a token: when it ends, and the sum of that with the interface.
func (h *Handler) sign(end time.Time, i *Instance) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	sum := hmac.New(sha256.New, h.Key)
	sum.Write(b)
	sum.Write([]byte(i.Interface))
	return base64.URLEncoding.EncodeToString(sum.Sum(b))
}

func (h *Handler) valid(token string, i *Instance) bool {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return false
	}
	end := time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return hmac.Equal([]byte(token), []byte(h.sign(end, i))) && h.now().Before(end)
}

const (
	plain  = "text/plain"
	octets = "application/octet-stream"
)

// get gives what stands at a path.
func (i *Instance) get(path string) (body []byte, kind string, ok bool) {
	path = strings.Trim(path, "/")
	if path == "" {
		return []byte(strings.Join(versions[:], "\n")), plain, true
	}
	version, rest, _ := strings.Cut(path, "/")
	if version == "nocloud" {
		return i.noCloud(rest)
	}
	if !slices.Contains(versions[:], version) {
		return nil, "", false
	}
	if rest == "user-data" {
		return i.UserData, octets, len(i.UserData) > 0
	}
	t := i.tree()
	if rest == "" && len(i.UserData) > 0 {
		t = append(t, leaf{path: "user-data"})
	}
	body, ok = list(t, rest)
	return body, plain, ok
}
