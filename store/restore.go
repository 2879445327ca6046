package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/openvnet/openvnet/model"
)

const (
	// restoreDir is where a restored store is made, within its directory.
	restoreDir = "restore"
	// restoreBatch is how many objects one transaction of a restoration writes.
	restoreBatch = 20_000
	// revisionGap is by how much a restored store's revisions are above the backup's: more than the store that it is of has
	// gone on since.
	revisionGap = 1_000_000
)

// Restore makes of a backup a store of its own in dir, for Open with Options.Dir. The directory is made when absent; one that has a
// store already, or is in use, is refused. The backup is read and verified as a whole before there is a store; one that is truncated,
// altered or of a newer version is refused.
//
// The store has an identity of its own, and its revisions begin far above the backup's, so that nobody takes what he knew of the old
// one for what he knows of this one: agents are sent everything anew. Numbers of objects go on where the old store was.
func Restore(ctx context.Context, dir string, r io.Reader) error {
	if err := restore(ctx, dir, r); err != nil {
		return fmt.Errorf("restore into %s: %w", dir, err)
	}
	return nil
}

func restore(ctx context.Context, dir string, r io.Reader) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	switch _, err := os.Stat(filepath.Join(dir, etcdDir)); {
	case err == nil:
		return errors.New("there is a store already")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	h, objects, err := readBackup(ctx, r)
	if err != nil {
		return err
	}
	work := filepath.Join(dir, restoreDir)
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o700)); err != nil {
		return err
	}
	s := &Store{opts: Options{Dir: work}, log: slog.New(slog.DiscardHandler), keys: layout(defaultPrefix)}
	// A first start makes the files, the second takes on the revision.
	if err := s.with(ctx, func(clientv3.KV) error { return nil }); err != nil {
		return err
	}
	if err := s.advance(h.Revision + revisionGap); err != nil {
		return err
	}
	if err := s.with(ctx, func(kv clientv3.KV) error { return s.fill(ctx, kv, h, objects) }); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, etcdDir), filepath.Join(dir, etcdDir)); err != nil {
		return err
	}
	return syncDir(dir)
}

// with calls f with the etcd of the directory running.
func (s *Store) with(ctx context.Context, f func(kv clientv3.KV) error) error {
	e, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	return f(v3client.New(e.Server).KV)
}

// advance makes an etcd that does not run go on from a revision: it finds the fence written at it.
func (s *Store) advance(revision int64) error {
	db, err := bbolt.Open(s.file(), 0o600, nil)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.file(), err)
	}
	kv := mvccpb.KeyValue{Key: []byte(s.keys.fence()), CreateRevision: revision, ModRevision: revision, Version: 1}
	value, err := kv.Marshal()
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(schema.Key.Name()).Put(mvcc.RevToBytes(mvcc.Revision{Main: revision}, mvcc.NewRevBytes()), value)
		})
	}
	return errors.Join(err, db.Close())
}

// fill writes what a backup holds into an empty store.
func (s *Store) fill(ctx context.Context, kv clientv3.KV, h backupHeader, objects []model.Object) error {
	next := maps.Clone(h.Next)
	var ops []clientv3.Op
	commit := func() error {
		_, err := kv.Txn(ctx).Then(ops...).Commit()
		ops = ops[:0]
		return err
	}
	for _, o := range objects {
		plural := model.Of(o).Plural
		next[plural] = max(next[plural], o.Base().ID+1)
		b, err := model.Encode(o)
		if err != nil {
			return fmt.Errorf("encode %s: %w", o.Base().UUID, err)
		}
		if ops = append(ops, clientv3.OpPut(s.keys.object(o.Base().UUID), string(b))); len(ops) == restoreBatch {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	for plural, n := range next {
		ops = append(ops, clientv3.OpPut(s.keys.counters()+plural, strconv.FormatUint(uint64(n), 10)))
	}
	ops = append(ops, clientv3.OpPut(s.keys.identity(), rand.Text()), clientv3.OpPut(s.keys.format(), strconv.Itoa(format)),
		clientv3.OpPut(s.keys.head(), rand.Text()))
	return commit()
}

// syncDir makes a renaming in the directory last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
