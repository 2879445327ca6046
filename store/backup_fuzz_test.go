package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
)

// FuzzReadBackup reads lines of anybody's with a trailer that fits them, and without.
func FuzzReadBackup(f *testing.F) {
	header := `{"format":"openvnet backup","version":1,"store":"S","revision":7,"next":{"networks":2}}` + "\n"
	f.Add([]byte(header), true)
	f.Add([]byte(header+`{"uuid":"nw-a","id":1,"ipv4_network":"10.0.0.0","ipv4_prefix":24}`+"\n"), true)
	f.Add([]byte(header+`{"uuid":"nw-a","v":99}`+"\n"), true)
	f.Add([]byte(header+`{"objects":0,"sha256":""}`), false)
	f.Fuzz(func(t *testing.T, b []byte, ended bool) {
		if ended {
			b = bytes.Clone(b)
			b = fmt.Appendf(b, "{\"objects\":%d,\"sha256\":\"%x\"}\n", max(bytes.Count(b, []byte("\n"))-1, 0), sha256.Sum256(b))
		}
		h, objects, err := readBackup(t.Context(), bytes.NewReader(b))
		if err != nil {
			return
		}
		if h.Revision < 0 || h.Next == nil {
			t.Errorf("accepted %+v", h)
		}
		seen := map[string]bool{}
		for _, o := range objects {
			if uuid := o.Base().UUID; seen[uuid] || uuid == "" {
				t.Errorf("%q twice, or without a name", uuid)
			}
			seen[o.Base().UUID] = true
		}
	})
}
