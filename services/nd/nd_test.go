package nd_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/nd"
)

var (
	asker, owner  = model.MAC{2, 0, 0, 0, 0, 1}, model.MAC{2, 0, 0, 0, 0, 9}
	askers, owned = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::9")
)

// question is a solicitation as flows hand it over.
func question(link model.MAC) []byte {
	group, _ := frame.SolicitedNode(owned)
	return frame.ND{Src: askers, Dst: group, Target: owned, Link: link}.Encode(frame.Ethernet{Src: owner, Dst: asker})
}

// with gives the frame with more of the message behind it.
func with(f []byte, more ...byte) []byte {
	f = append(bytes.Clone(f), more...)
	binary.BigEndian.PutUint16(f[18:], uint16(len(f)-54))
	return f
}

// behind gives the frame with an extension header before the message.
func behind(f []byte, kind byte) []byte {
	f = append(append(bytes.Clone(f[:54]), f[20], 0, 1, 4, 0, 0, 0, 0), f[54:]...)
	f[20] = kind
	binary.BigEndian.PutUint16(f[18:], uint16(len(f)-54))
	return f
}

func TestAnswer(t *testing.T) {
	nonce := []byte{14, 1, 1, 2, 3, 4, 5, 6}
	for name, tc := range map[string]struct {
		frame []byte
		link  model.MAC
	}{
		"link-layer option":         {question(asker), owner},
		"no option":                 {question(model.MAC{}), model.MAC{}},
		"another option behind it":  {with(question(asker), nonce...), owner},
		"another option before it":  {with(with(question(model.MAC{}), nonce...), 1, 1, 2, 0, 0, 0, 0, 1), owner},
		"an option without length":  {with(question(asker), make([]byte, 8)...), owner},
		"half an option":            {with(question(asker), 1, 1, 2), owner},
		"padding":                   {append(question(asker), 1, 2, 3), owner},
		"hop-by-hop options":        {behind(question(asker), 0), owner},
		"destination options twice": {behind(behind(question(asker), 60), 60), owner},
	} {
		f := tc.frame
		f[14], f[15] = 0x6b, 0x80 // traffic class
		before := bytes.Clone(f)
		b := nd.Answer(f)
		if b == nil || len(b) != len(f) || !bytes.Equal(f, before) {
			t.Errorf("%s: %x", name, b)
			continue
		}
		if b[14] != 0x6b || b[15] != 0x80 {
			t.Errorf("%s: traffic class %x", name, b[14:16])
		}
		for b[20] != 58 { // the codec knows no extension headers
			b[20] = b[54]
			b = append(b[:54], b[62:]...)
			binary.BigEndian.PutUint16(b[18:], uint16(len(b)-54))
		}
		if name == "an option without length" || name == "half an option" { // nor these
			continue
		}
		eth, m, why := frame.DecodeND(b)
		want := frame.ND{Advertisement: true, Src: owned, Dst: askers, Flags: 0x6000_0000, Target: owned, Link: tc.link}
		if why != frame.OK || m != want || eth.Src != owner || eth.Dst != asker {
			t.Errorf("%s: %v %v %+v, want %+v", name, why, eth, m, want)
		}
	}
}

func TestSilence(t *testing.T) {
	change := func(at int, v byte) []byte {
		f := question(asker)
		f[at] = v
		return f
	}
	for name, f := range map[string][]byte{
		"nothing":             nil,
		"advertisement":       change(54, 136),
		"code":                change(55, 1),
		"IPv4":                change(12, 8),
		"version":             change(14, 0x45),
		"TCP":                 change(20, 6),
		"fragment":            behind(question(asker), 44),
		"length":              change(19, 23),
		"longer than it is":   change(19, 40),
		"option twice":        with(question(asker), 1, 1, 2, 0, 0, 0, 0, 1),
		"too many extensions": behind(behind(behind(behind(behind(behind(behind(behind(question(asker), 60), 60), 60), 60), 60), 60), 60), 60),
		"extension beyond":    func() []byte { f := behind(question(asker), 60); f[55] = 200; return f }(),
	} {
		if b := nd.Answer(f); b != nil {
			t.Errorf("%s: answered with %x", name, b)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(question(asker))
	f.Add(question(model.MAC{}))
	f.Add(behind(question(asker), 60))
	f.Add(with(question(asker), make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		b := nd.Answer(in)
		if !bytes.Equal(in, before) {
			t.Error("the frame was changed")
		}
		if b == nil {
			return
		}
		if len(b) != len(in) {
			t.Errorf("%d bytes of %d", len(b), len(in))
		}
		if again := nd.Answer(b); again != nil {
			t.Errorf("the answer %x is answered", b)
		}
	})
}
