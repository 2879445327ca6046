package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/openvnet/openvnet/testenv/wait"
)

// The form of a capture file: a header, then for each frame one of its own (seconds, microseconds, captured length,
// length; 32 bits each). Open vSwitch writes numbers in the machine's order. When an interface's options change it opens the
// file again, and writes a header if truncate has emptied it: that is known by its first number, as a time of the year 2055.
const (
	pcapMagic  = 0xa1b2c3d4
	pcapHeader = 24
	pcapRecord = 16
	maxFrame   = 1 << 16
	bufferSize = 2 * maxFrame // for one record at least
)

// capture follows the file that a port's frames are written to.
type capture struct {
	port string
	file *os.File
	read int64 // offset of what follows
}

// openCapture opens the file, which the switch must have made.
func openCapture(port, path string) (*capture, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &capture{port: port, file: f}, nil
}

// next gives the frames that were written since the last call. buf is for reading, and the frames are copies.
func (c *capture) next(buf []byte) ([][]byte, error) {
	n, err := c.file.ReadAt(buf, c.read)
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, nil
	}
	var frames [][]byte
	for ; n > 0; n, err = c.file.ReadAt(buf, c.read) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the frames of port %s: %w", c.port, err)
		}
		more, used, err := records(buf[:n])
		if err == nil && used == 0 {
			err = c.grown(c.read + int64(n))
		}
		if err != nil {
			return nil, fmt.Errorf("read the frames of port %s: %w", c.port, err)
		}
		frames = append(frames, more...)
		c.read += int64(used)
		if n < len(buf) && used == n {
			break
		}
	}
	return frames, nil
}

// grown waits until the file is longer: a frame that is being written may be seen in parts, page by page.
func (c *capture) grown(size int64) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Second, errors.New("the capture ends within a frame"))
	defer cancel()
	return wait.Until(ctx, time.Millisecond, func() error {
		info, err := c.file.Stat()
		if err == nil && info.Size() <= size {
			err = fmt.Errorf("after %d bytes", size)
		}
		return err
	})
}

// truncate empties the file, whose frames have all been read; the switch appends.
func (c *capture) truncate() error {
	if c.read == 0 {
		return nil
	}
	if err := c.file.Truncate(0); err != nil {
		return err
	}
	c.read = 0
	return nil
}

// records gives copies of the frames of the records that are in b in whole, and how many bytes these and headers take.
func records(b []byte) (frames [][]byte, used int, err error) {
	for len(b)-used >= pcapRecord {
		h := b[used:]
		if binary.NativeEndian.Uint32(h) == pcapMagic {
			if len(h) < pcapHeader {
				break
			}
			used += pcapHeader
			continue
		}
		n, whole := binary.NativeEndian.Uint32(h[8:]), binary.NativeEndian.Uint32(h[12:])
		if n > maxFrame || n != whole {
			return nil, 0, fmt.Errorf("a record has %d bytes of a frame of %d", n, whole)
		}
		if len(h) < pcapRecord+int(n) {
			break
		}
		frames = append(frames, append([]byte(nil), h[pcapRecord:pcapRecord+int(n)]...))
		used += pcapRecord + int(n)
	}
	return frames, used, nil
}
