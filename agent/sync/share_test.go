package sync

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/openvnet/openvnet/model/wire"
)

// deliveries gives what a receiver hands over of a stream of bytes, up to its first error.
func deliveries(b []byte) (out []string) {
	in := wire.NewReader[wire.FromManager](bytes.NewReader(b))
	var r receiver
	for {
		m, err := in.Next()
		if err != nil {
			return out
		}
		d, err := r.take(m)
		if err != nil {
			return out
		}
		if d.kind == snapshot || d.kind == delta {
			s := fmt.Sprint(d.kind, d.revision, d.deletes)
			for _, o := range d.objects {
				s += fmt.Sprintf(" %s@%d", o.Base().UUID, o.Base().Revision)
			}
			out = append(out, s)
			if len(out) == 1 != (d.kind == snapshot) {
				panic("a delta comes before the snapshot, or a second snapshot")
			}
		}
	}
}

// FuzzFromManager: whatever the bytes, nothing is handed over that is not complete. So a stream that is cut off after a line hands over the
// beginning of what the whole one does.
func FuzzFromManager(f *testing.F) {
	f.Add([]byte(`{"welcome":{"datapath":"dp-1","store":"s"}}
{"objects":[{"revision":1,"value":{"uuid":"nw-a"}}]}
{}
{"bookmark":{"revision":3}}
{"delta":{"revision":4,"upserts":[{"revision":4,"value":{"uuid":"nw-b"}}],"more":true}}
{"delta":{"revision":4,"deletes":["nw-a"]}}
{"delta":{"revision":9,"deletes":["nw-b"]}}
`), 250)
	f.Add([]byte(`{"refused":{"reason":"no"}}`), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole := deliveries(b)
		if cut < 0 || cut > len(b) {
			return
		}
		cut = bytes.LastIndexByte(b[:cut], '\n') + 1
		part := deliveries(b[:cut])
		if len(part) > len(whole) {
			t.Fatalf("%d of %d bytes hand over %q, all of them %q", cut, len(b), part, whole)
		}
		for i := range part {
			if part[i] != whole[i] {
				t.Fatalf("%d of %d bytes hand over %q, all of them %q", cut, len(b), part, whole)
			}
		}
	})
}
