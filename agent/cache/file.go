package cache

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// format is the layout's version. Another one counts as damage.
const format = 1

// errDamaged is wrapped by errors about a file's content.
var errDamaged = errors.New("damaged")

// line is one line of the file, after eight hexadecimal digits of its CRC-32C and a space: a written object, a removed one, or
// the end of a batch, which makes the lines before it count.
type line struct {
	Object  *wire.Object `json:"object,omitempty"`
	Removed string       `json:"removed,omitempty"`
	End     *end         `json:"end,omitempty"`
}

type end struct {
	Format int `json:"format"`
	Batch  int `json:"batch"` // the number of batches before it
	Lines  int `json:"lines"` // of the batch, without the end
	head
}

// head is what is known of a share beside its objects.
type head struct {
	Store    string `json:"store"`
	Datapath string `json:"datapath"`
	Revision int64  `json:"revision"`
}

// change is an object to write, or nil to remove it.
type change struct {
	uuid   string
	object model.Object
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode gives a batch.
func encode(h head, changes []change, batch int) ([]byte, error) {
	var b bytes.Buffer
	for _, c := range changes {
		l := line{Removed: c.uuid}
		if c.object != nil {
			w, err := wire.NewObject(c.object)
			if err != nil {
				return nil, fmt.Errorf("encode %s: %w", c.uuid, err)
			}
			l = line{Object: &w}
		}
		if err := put(&b, l); err != nil {
			return nil, fmt.Errorf("encode %s: %w", c.uuid, err)
		}
	}
	err := put(&b, line{End: &end{Format: format, Batch: batch, Lines: len(changes), head: h}})
	return b.Bytes(), err
}

func put(b *bytes.Buffer, l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(b, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
	return err
}

// content is what a file holds.
type content struct {
	head
	objects map[string]model.Object
	lines   int
	batches int
	size    int64 // up to the end of the last whole batch
}

// decode reads a file. What a process that was killed has left of its last batch is not counted; anything else that is not as
// it was written is an error that wraps errDamaged.
func decode(r io.Reader) (*content, error) {
	c := &content{objects: map[string]model.Object{}}
	in := bufio.NewReaderSize(r, 1<<16)
	var batch []change
	var offset int64
	for n := 1; ; n++ {
		text, length, err := next(in)
		offset += int64(length)
		switch {
		case errors.Is(err, io.EOF) && c.batches > 0:
			return c, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: no whole batch", errDamaged)
		case errors.Is(err, errDamaged) && c.batches > 0 && tail(in) == nil:
			return c, nil
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w: %w", n, errDamaged, err)
		}
		switch {
		case l.End != nil:
			if err := c.finish(l.End, batch); err != nil {
				return nil, fmt.Errorf("line %d: %w: %w", n, errDamaged, err)
			}
			batch, c.size, c.lines = nil, offset, n
		case l.Object != nil:
			o, err := l.Object.Model()
			if err != nil {
				return nil, fmt.Errorf("line %d: %w: %w", n, errDamaged, err)
			}
			batch = append(batch, change{o.Base().UUID, o})
		default:
			batch = append(batch, change{l.Removed, nil})
		}
	}
}

// finish takes a batch.
func (c *content) finish(e *end, batch []change) error {
	switch {
	case e.Format != format:
		return fmt.Errorf("format %d, this version reads %d", e.Format, format)
	case e.Batch != c.batches || e.Lines != len(batch):
		return fmt.Errorf("batch %d of %d lines ends as batch %d of %d", c.batches, len(batch), e.Batch, e.Lines)
	case e.Revision <= 0 || e.Store == "" || model.Datapaths.CheckUUID(e.Datapath) != nil:
		return errors.New("no store, datapath or revision")
	}
	for _, ch := range batch {
		if ch.object != nil {
			c.objects[ch.uuid] = ch.object
		} else {
			delete(c.objects, ch.uuid)
		}
	}
	c.head = e.head
	c.batches++
	return nil
}

// maxLine bounds a line. An object that came over the stream is shorter.
const maxLine = wire.MaxLine + 100

// next gives the JSON of the next line whose checksum is right, and the line's length in the file. At the end of the file the error
// is io.EOF; a line that is not right wraps errDamaged.
func next(in *bufio.Reader) (text []byte, length int, err error) {
	var whole []byte
	for {
		part, err := in.ReadSlice('\n')
		length += len(part)
		if len(whole) <= maxLine {
			whole = append(whole, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && length > 0 {
			return nil, length, fmt.Errorf("%w: cut off", errDamaged)
		}
		if err != nil {
			return nil, length, err
		}
		break
	}
	if len(whole) > maxLine || len(whole) < 10 || whole[8] != ' ' {
		return nil, length, fmt.Errorf("%w: not a line of the cache", errDamaged)
	}
	text = whole[9 : len(whole)-1]
	if sum := fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)); sum != string(whole[:8]) {
		return nil, length, fmt.Errorf("%w: checksum is %s", errDamaged, sum)
	}
	return text, length, nil
}

// tail reports an error if a right line follows a wrong one: then it is not the end of the file that was cut off.
func tail(in *bufio.Reader) error {
	for {
		switch _, _, err := next(in); {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			return errors.New("lines follow")
		case !errors.Is(err, errDamaged):
			return err
		}
	}
}
