package netns

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// A frame is what would be on a cable: with the tag that the kernel has taken out, and the checksum that was left to the NIC.
func TestWhole(t *testing.T) {
	frame := make([]byte, 14+20)
	copy(frame[12:], []byte{8, 0})
	for i := range 20 {
		frame[14+i] = byte(i)
	}
	frame[14+10], frame[14+11] = 0, 0 // where the sum belongs
	header := make([]byte, headerLen)
	header[0] = 1
	binary.NativeEndian.PutUint16(header[6:], 14)
	binary.NativeEndian.PutUint16(header[8:], 10)
	summed := bytes.Clone(frame)
	summed[24], summed[25] = 0xaf, 0xa6
	if got := whole(append(bytes.Clone(header), frame...), nil); !bytes.Equal(got, summed) {
		t.Errorf("summed\n%x, want\n%x", got, summed)
	}
	if sum := checksum(summed[14:]); sum != 0 {
		t.Errorf("with its checksum it adds up to %#x", sum)
	}

	control := make([]byte, unix.CmsgSpace(20))
	binary.NativeEndian.PutUint64(control, uint64(unix.CmsgLen(20)))
	binary.NativeEndian.PutUint32(control[8:], unix.SOL_PACKET)
	binary.NativeEndian.PutUint32(control[12:], unix.PACKET_AUXDATA)
	aux := control[unix.CmsgLen(0):]
	binary.NativeEndian.PutUint32(aux, unix.TP_STATUS_VLAN_VALID)
	binary.NativeEndian.PutUint16(aux[16:], 42)
	want := append(append(bytes.Clone(frame[:12]), 0x81, 0, 0, 42), frame[12:]...)
	if got := whole(append(make([]byte, headerLen), frame...), control); !bytes.Equal(got, want) {
		t.Errorf("tagged\n%x, want\n%x", got, want)
	}
	for _, b := range [][]byte{nil, header, append(bytes.Clone(header), frame[:13]...)} {
		if got := whole(b, nil); got != nil {
			t.Errorf("%x is a frame: %x", b, got)
		}
	}
}
