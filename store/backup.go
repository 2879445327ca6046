package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// A backup is text, a JSON object to a line: a backupHeader, the objects in their stored form, referents before what refers to them,
// and a trailer, whose sum is of all lines before it.

const (
	backupFormat  = "openvnet backup"
	backupVersion = 1
	// maxBackupLine bounds one line, in bytes.
	maxBackupLine = 1 << 20
)

// backupHeader says what a backup is of.
type backupHeader struct {
	Format   string            `json:"format"`  // "openvnet backup"
	Version  int               `json:"version"` // of the form of the backup
	Store    string            `json:"store"`   // identity of the store
	Revision int64             `json:"revision"`
	Time     time.Time         `json:"time"`
	Next     map[string]uint32 `json:"next"` // by resource, the first number that no object has had
}

// backupTrailer ends a backup.
type backupTrailer struct {
	Objects int    `json:"objects"`
	SHA256  string `json:"sha256"`
}

// trailerPrefix tells the trailer from an object.
const trailerPrefix = `{"objects":`

// Backup writes all objects as of one revision, and which numbers were used, in the form that Restore reads. Transactions go on
// meanwhile. After an error what was written is no backup, and Restore refuses it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.backup(ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) error {
	h := backupHeader{Format: backupFormat, Version: backupVersion, Store: s.id, Time: s.opts.Now().UTC(), Next: map[string]uint32{}}
	var objects []model.Object // which never change
	s.View(func(x *span.Index, revision int64) {
		h.Revision = revision
		objects = slices.AppendSeq(make([]model.Object, 0, x.Graph().Len()), x.Graph().All())
	})
	// Read after the objects: no number of theirs is at or above these.
	counters, err := s.kv.Get(ctx, s.keys.counters(), clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("read the counters: %w", err)
	}
	for _, kv := range counters.Kvs {
		next, err := strconv.ParseUint(string(kv.Value), 10, 32)
		if err != nil {
			return fmt.Errorf("the counter %s: %w", kv.Key, err)
		}
		h.Next[strings.TrimPrefix(string(kv.Key), s.keys.counters())] = uint32(next)
	}
	out := &backupWriter{w: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	if err := out.json(h); err != nil {
		return err
	}
	for n, o := range objects {
		b, err := model.Encode(o)
		if err == nil && n%1000 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = out.line(b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.Base().UUID, err)
		}
	}
	if err := out.json(backupTrailer{Objects: len(objects), SHA256: hex.EncodeToString(out.sum.Sum(nil))}); err != nil {
		return err
	}
	return out.w.Flush()
}

type backupWriter struct {
	w   *bufio.Writer
	sum hash.Hash
}

func (w *backupWriter) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.line(b)
}

func (w *backupWriter) line(b []byte) error {
	if len(b) >= maxBackupLine {
		return fmt.Errorf("%d bytes do not fit into a line of %d", len(b), maxBackupLine)
	}
	w.sum.Write(b) // never fails
	w.sum.Write([]byte{'\n'})
	_, err := w.w.Write(b)
	return errors.Join(err, w.w.WriteByte('\n'))
}

// readBackup reads a backup to its end and gives what it holds, once all of it is known to be as it was written.
func readBackup(ctx context.Context, r io.Reader) (backupHeader, []model.Object, error) {
	var h backupHeader
	in := &backupReader{r: bufio.NewReaderSize(r, maxBackupLine), sum: sha256.New()}
	line, err := in.next()
	if err != nil {
		return h, nil, err
	}
	if err := json.Unmarshal(line, &h); err != nil || h.Format != backupFormat {
		return h, nil, errors.New("it is not a backup of a store: the first line is not its header")
	}
	if h.Version < 1 || h.Version > backupVersion {
		return h, nil, fmt.Errorf("the backup is of version %d, and this program reads up to %d: it was written by a newer one", h.Version, backupVersion)
	}
	if h.Next == nil || h.Revision < 0 || h.Revision > math.MaxInt64/2 {
		return h, nil, errors.New("the header lacks next or revision, or they are out of range")
	}
	var objects []model.Object
	seen := map[string]struct{}{}
	for {
		sum := hex.EncodeToString(in.sum.Sum(nil))
		if line, err = in.next(); err != nil {
			return h, nil, err
		}
		if bytes.HasPrefix(line, []byte(trailerPrefix)) {
			return h, objects, in.end(line, len(objects), sum)
		}
		if len(objects)%1000 == 0 && ctx.Err() != nil {
			return h, nil, ctx.Err()
		}
		o, err := readObject(line)
		if err != nil {
			return h, nil, fmt.Errorf("line %d: %w", in.lines, err)
		}
		uuid := o.Base().UUID
		if _, twice := seen[uuid]; twice {
			return h, nil, fmt.Errorf("line %d: %s is there twice", in.lines, uuid)
		}
		seen[uuid] = struct{}{}
		objects = append(objects, o)
	}
}

func readObject(line []byte) (model.Object, error) {
	var name struct {
		UUID string `json:"uuid"`
	}
	if err := json.Unmarshal(line, &name); err != nil {
		return nil, fmt.Errorf("it is no object: %w", err)
	}
	return decode(name.UUID, line, 0)
}

type backupReader struct {
	r     *bufio.Reader
	sum   hash.Hash // of the lines given out
	lines int
}

var errTruncated = errors.New("the backup is truncated: its end is missing")

// next gives a line without its end; it is valid until the next call.
func (r *backupReader) next() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil, errTruncated
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("line %d is longer than %d bytes", r.lines+1, maxBackupLine)
	case err != nil:
		return nil, err
	}
	r.lines++
	r.sum.Write(line) // never fails
	return line[:len(line)-1], nil
}

// end compares the trailer with what came before it, and sees that nothing follows.
func (r *backupReader) end(line []byte, objects int, sum string) error {
	var t backupTrailer
	if err := json.Unmarshal(line, &t); err != nil {
		return fmt.Errorf("the last line: %w", err)
	}
	if t.Objects != objects || t.SHA256 != sum {
		return fmt.Errorf("the backup was altered: it has %d objects with the sum %s, and says %d with %s", objects, sum, t.Objects, t.SHA256)
	}
	if own, err := json.Marshal(t); err != nil || !bytes.Equal(own, line) { // package json takes other spellings of the names as well
		return errors.Join(errors.New("the backup was altered: its last line is not as it was written"), err)
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("the backup goes on behind its end"), err)
	}
	return nil
}
