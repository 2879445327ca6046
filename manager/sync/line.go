package sync

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Objects are turned into JSON once, whatever the number of hosts that are sent them, and lines are put together from
// those texts. The result is what wire.Writer would send, bar the members' order.

const (
	// maxPart bounds the objects' bytes in one line, so that a line stays below wire.MaxLine.
	maxPart = wire.MaxLine / 4
	// maxObject bounds one object.
	maxObject = wire.MaxLine / 2
	// maxKept bounds the texts that are kept for other hosts, in bytes.
	maxKept = 64 << 20
)

// encoder keeps the texts of objects: what goes to one host now goes to others soon. All methods may be called concurrently.
type encoder struct {
	mu   sync.Mutex
	kept map[string]text
	size int
}

// text is an object as wire.Object in JSON.
type text struct {
	revision int64
	json     []byte
}

// encode gives the texts of the objects.
func (e *encoder) encode(objects []model.Object) ([][]byte, error) {
	out := make([][]byte, len(objects))
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, o := range objects {
		base := o.Base()
		t, ok := e.kept[base.UUID]
		if !ok || t.revision != base.Revision {
			w, err := wire.NewObject(o)
			if err != nil {
				return nil, fmt.Errorf("encode %s: %w", base.UUID, err)
			}
			b, err := json.Marshal(w)
			if err != nil {
				return nil, fmt.Errorf("encode %s: %w", base.UUID, err)
			}
			if len(b) > maxObject {
				return nil, fmt.Errorf("encode %s: %d bytes are more than %d", base.UUID, len(b), maxObject)
			}
			if e.size += len(b) - len(t.json); e.kept == nil || e.size > maxKept {
				e.kept, e.size = map[string]text{}, len(b)
			}
			t = text{base.Revision, b}
			e.kept[base.UUID] = t
		}
		out[i] = t.json
	}
	return out, nil
}

// part gives how many of the texts go into one line.
func part(texts [][]byte) int {
	size := 0
	for n, t := range texts {
		if size += len(t); n == wire.MaxObjects || n > 0 && size > maxPart {
			return n
		}
	}
	return len(texts)
}

// snapshotLines calls emit with the lines of a snapshot. The line is valid during the call only.
func snapshotLines(e *encoder, objects []model.Object, revision int64, emit func([]byte) error) error {
	var line []byte
	for len(objects) > 0 {
		texts, err := e.encode(objects[:min(len(objects), wire.MaxObjects)])
		if err != nil {
			return err
		}
		n := part(texts)
		objects = objects[n:]
		line = appendTexts(append(line[:0], `{"objects":`...), texts[:n])
		if err := emit(append(line, "}\n"...)); err != nil {
			return err
		}
	}
	line = strconv.AppendInt(append(line[:0], `{"bookmark":{"revision":`...), revision, 10)
	return emit(append(line, "}}\n"...))
}

// deltaLines calls emit with the lines of a delta. The line is valid during the call only.
func deltaLines(e *encoder, upserts []model.Object, deletes []string, revision int64, emit func([]byte) error) error {
	texts, err := e.encode(upserts)
	if err != nil {
		return err
	}
	var line []byte
	for {
		n := part(texts)
		m := min(wire.MaxObjects-n, len(deletes))
		line = strconv.AppendInt(append(line[:0], `{"delta":{"revision":`...), revision, 10)
		if n > 0 {
			line = appendTexts(append(line, `,"upserts":`...), texts[:n])
		}
		if m > 0 {
			line = appendNames(append(line, `,"deletes":`...), deletes[:m])
		}
		texts, deletes = texts[n:], deletes[m:]
		if len(texts)+len(deletes) == 0 {
			return emit(append(line, "}}\n"...))
		}
		if err := emit(append(line, `,"more":true}}`+"\n"...)); err != nil {
			return err
		}
	}
}

func appendTexts(line []byte, texts [][]byte) []byte {
	for i, t := range texts {
		line = append(append(line, "[,"[min(i, 1)]), t...)
	}
	return append(line, ']')
}

// appendNames appends uuids, whose letters need no escapes (model.CheckUUID).
func appendNames(line []byte, uuids []string) []byte {
	for i, u := range uuids {
		line = strconv.AppendQuote(append(line, "[,"[min(i, 1)]), u)
	}
	return append(line, ']')
}
