package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model"
)

// scanned is what the file of an embedded etcd holds.
type scanned struct {
	objects   [][]model.Object // in any order
	revision  int64            // of the last transaction, or fence
	watchFrom int64            // first etcd revision that is not in it
}

// record is one object as it lies in the file.
type record struct {
	uuid     string
	revision int64
	value    []byte // the file's own memory
}

// sizeOfRecord is about how many bytes of the file there are for each object.
const sizeOfRecord = 400

// scanBatch is how many records a worker takes at once.
const scanBatch = 1000

// scan reads all objects straight from the file of the embedded etcd, which does not run yet: asking etcd for them takes several times
// as long, and so the copy is made while etcd starts. What etcd comes up with may be newer than its file by what its log
// holds; catchUp makes up for that. Without a file there is nothing.
func (s *Store) scan(ctx context.Context) (scanned, error) {
	db, err := bbolt.Open(s.file(), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if errors.Is(err, fs.ErrNotExist) {
		return scanned{watchFrom: 1}, nil
	}
	if err != nil {
		return scanned{}, fmt.Errorf("open %s: %w", s.file(), err)
	}
	defer func() { _ = db.Close() }()
	var r scanned
	err = db.View(func(tx *bbolt.Tx) error { // what is read off the file is valid within
		r, err = s.scanBucket(ctx, tx.Bucket(schema.Key.Name()))
		return err
	})
	if err != nil {
		return scanned{}, fmt.Errorf("read %s: %w", s.file(), err)
	}
	return r, nil
}

func (s *Store) scanBucket(ctx context.Context, bucket *bbolt.Bucket) (scanned, error) {
	if bucket == nil {
		return scanned{watchFrom: 1}, nil
	}
	workers := runtime.GOMAXPROCS(0)
	var r scanned
	var mu sync.Mutex // guards r.objects
	batches := make(chan []record, workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		defer close(batches)
		r.revision, r.watchFrom, err = s.keys.records(ctx, bucket, batches)
		return err
	})
	for range workers {
		g.Go(func() error {
			for batch := range batches {
				objects := make([]model.Object, len(batch))
				for i, f := range batch {
					var err error
					if objects[i], err = decode(f.uuid, f.value, f.revision); err != nil {
						return err
					}
				}
				mu.Lock()
				r.objects = append(r.objects, objects)
				mu.Unlock()
			}
			return nil
		})
	}
	err := g.Wait()
	return r, err
}

// records goes through what etcd keeps of all keys since its last compaction, newest first, and passes on the newest value of each
// object that is not deleted. In the bucket, the key is a revision: 8 bytes, '_', 8 bytes that count within the revision, and
// 't' if it is a deletion.
func (l layout) records(ctx context.Context, bucket *bbolt.Bucket, out chan<- []record) (clock, next int64, err error) {
	next = 1
	seen := make(map[string]struct{}, bucket.Tx().Size()/sizeOfRecord)
	batch := make([]record, 0, scanBatch)
	cursor := bucket.Cursor()
	for k, v := cursor.Last(); k != nil; k, v = cursor.Prev() {
		if len(k) < 17 || k[8] != '_' {
			return 0, 0, fmt.Errorf("%x is not a revision of etcd", k)
		}
		revision := int64(binary.BigEndian.Uint64(k))
		next = max(next, revision+1)
		key, value, ok := keyValue(v)
		if !ok {
			return 0, 0, fmt.Errorf("revision %d is malformed", revision)
		}
		uuid, ok := l.uuidOf(key)
		if !ok {
			if string(key) == l.head() || string(key) == l.fence() {
				clock = max(clock, revision)
			}
			continue
		}
		if _, newer := seen[uuid]; newer {
			continue
		}
		seen[uuid] = struct{}{}
		if len(k) > 17 {
			continue
		}
		if batch = append(batch, record{uuid, revision, value}); len(batch) < scanBatch {
			continue
		}
		select {
		case out <- batch:
			batch = make([]record, 0, scanBatch)
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	select {
	case out <- batch:
		return clock, next, nil
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
}

// keyValue takes key and value out of an encoded mvccpb.KeyValue, where they are fields 1 and 5, without copying them.
func keyValue(b []byte) (key, value []byte, ok bool) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, nil, false
		}
		b = b[n:]
		x, n := binary.Uvarint(b) // a number, or a length
		if n <= 0 {
			return nil, nil, false
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			continue
		case 2:
			if uint64(len(b)) < x {
				return nil, nil, false
			}
		default:
			return nil, nil, false
		}
		switch tag >> 3 {
		case 1:
			key = b[:x]
		case 5:
			value = b[:x]
		}
		b = b[x:]
	}
	return key, value, true
}
