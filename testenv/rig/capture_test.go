package rig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A frame may be seen in parts, as it is written page by page.
func TestCaptureWaitsForTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capture")
	frame := bytes.Repeat([]byte{7}, 100)
	record := make([]byte, pcapHeader+pcapRecord)
	binary.NativeEndian.PutUint32(record, pcapMagic)
	binary.NativeEndian.PutUint32(record[pcapHeader+8:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(record[pcapHeader+12:], uint32(len(frame)))
	record = append(record, frame...)
	half := len(record) - 50
	if err := os.WriteFile(path, record[:half], 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := openCapture("p1", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.file.Close()
	written := make(chan error)
	go func() {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.Write(record[half:])
			err = errors.Join(err, f.Close())
		}
		written <- err
	}()
	frames, err := c.next(make([]byte, bufferSize))
	if err != nil || len(frames) != 1 || !bytes.Equal(frames[0], frame) {
		t.Errorf("%d frames, %v", len(frames), err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}
