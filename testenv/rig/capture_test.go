package rig

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func record(frame []byte) []byte {
	var b []byte
	for _, n := range []int{1, 2, len(frame), len(frame)} {
		b = binary.NativeEndian.AppendUint32(b, uint32(n))
	}
	return append(b, frame...)
}

func header() []byte {
	h := make([]byte, pcapHeader)
	binary.NativeEndian.PutUint32(h, pcapMagic)
	return h
}

// The frames come once each, also more of them than the buffer holds, and after a truncation.
func TestCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.pcap")
	w, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(b []byte) {
		t.Helper()
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	write(header())
	c, err := openCapture("p", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.file.Close()
	buf := make([]byte, 200)
	for round := range 3 {
		for _, n := range []int{0, 1, 2, 3, 50} {
			var want [][]byte
			for i := range n {
				f := bytes.Repeat([]byte{byte(i + round)}, 14+i*3)
				want = append(want, f)
				write(record(f))
			}
			got, err := c.next(buf)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("round %d, %d frames (-want +got):\n%s", round, n, d)
			}
		}
		for range 2 - round { // not after the last round, but there the switch opens the file again
			if err := c.truncate(); err != nil {
				t.Fatal(err)
			}
		}
		write(header())
	}
	write(record(make([]byte, 20))[:30])
	if got, err := c.next(buf); err == nil {
		t.Errorf("half a record gives %v", got)
	}
}

func TestOpenCaptureOfNothing(t *testing.T) {
	if c, err := openCapture("p", filepath.Join(t.TempDir(), "none")); err == nil {
		c.file.Close()
		t.Error("a file that is not there is opened")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(append(record(make([]byte, 14)), record(make([]byte, 60))...))
	f.Add(record(make([]byte, 14))[:20])
	f.Add(append(header(), record(make([]byte, 14))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, used, err := records(b)
		if err != nil {
			return
		}
		sum := 0
		for _, fr := range frames {
			sum += pcapRecord + len(fr)
		}
		if headers := used - sum; headers < 0 || headers%pcapHeader != 0 || used > len(b) {
			t.Errorf("%d frames of %d bytes in %d of %d", len(frames), sum, used, len(b))
		}
	})
}
