package ofp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fuzz feeds bodies of messages of one type to the decoder, from the samples and from what Open vSwitch said. A decoder
// gives either a message or an error; a message survives encoding and decoding, and is encoded in one way.
func fuzz(f *testing.F, typ uint8) {
	for _, s := range samples() {
		if b, err := Append(nil, 1, s.m); err == nil && b[1] == typ {
			f.Add(b[HeaderSize:])
		}
	}
	for _, c := range captures(f) {
		if c.b[1] == typ {
			f.Add(c.b[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > MaxSize-HeaderSize {
			return
		}
		b := append([]byte{Version, typ, 0, 0, 0, 0, 0, 1}, body...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		check(t, b)
	})
}

func check(t *testing.T, b []byte) {
	h, m, err := Decode(b)
	if (m == nil) == (err == nil) || err != nil && h != (Header{}) {
		t.Fatalf("message %v and error %v", m, err)
	}
	if err != nil {
		return
	}
	once, err := Append(nil, h.XID, m)
	if errors.Is(err, ErrTooLong) {
		return // the canonical form can be longer
	}
	if err != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	_, again, err := Decode(once)
	if err != nil || !cmp.Equal(m, again) {
		t.Fatalf("%x encoded %x: %v\n%s", b, once, err, cmp.Diff(m, again))
	}
	twice, err := Append(nil, h.XID, again)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("encoded %x, then %x: %v", once, twice, err)
	}
}

// FuzzDecode feeds whole messages.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		if b, err := Append(nil, 1, s.m); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(check)
}

func FuzzHello(f *testing.F)            { fuzz(f, typeHello) }
func FuzzError(f *testing.F)            { fuzz(f, typeError) }
func FuzzExperimenter(f *testing.F)     { fuzz(f, typeExperimenter) }
func FuzzFeaturesReply(f *testing.F)    { fuzz(f, typeFeaturesReply) }
func FuzzPacketIn(f *testing.F)         { fuzz(f, typePacketIn) }
func FuzzFlowRemoved(f *testing.F)      { fuzz(f, typeFlowRemoved) }
func FuzzPortStatus(f *testing.F)       { fuzz(f, typePortStatus) }
func FuzzPacketOut(f *testing.F)        { fuzz(f, typePacketOut) }
func FuzzFlowMod(f *testing.F)          { fuzz(f, typeFlowMod) }
func FuzzGroupMod(f *testing.F)         { fuzz(f, typeGroupMod) }
func FuzzPortMod(f *testing.F)          { fuzz(f, typePortMod) }
func FuzzMultipartRequest(f *testing.F) { fuzz(f, typeMultipartRequest) }
func FuzzMultipartReply(f *testing.F)   { fuzz(f, typeMultipartReply) }
func FuzzRoleReply(f *testing.F)        { fuzz(f, typeRoleReply) }
func FuzzSetAsync(f *testing.F)         { fuzz(f, typeSetAsync) }
func FuzzMeterMod(f *testing.F)         { fuzz(f, typeMeterMod) }
func FuzzBundleControl(f *testing.F)    { fuzz(f, typeBundleControl) }
func FuzzBundleAdd(f *testing.F)        { fuzz(f, typeBundleAdd) }
