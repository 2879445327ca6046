// Package cache keeps a host's share of the store on disk, so that an agent which starts while no manager answers goes on
// with what it had. It is written in the background, off the way of a change, and what is written is the change and not
// the share; while the disk is slow changes gather, newest state only.
//
// It is a convenience and no authority: a file that is damaged, foreign or of another format is moved aside with a log
// line and counts as empty, and the next snapshot replaces whatever was there. Imported by agent.
//
// # The file
//
// Lines of a checksum and JSON, in batches which count as a whole or not at all (see line). The file is appended to, and
// written anew when most of it is outdated. It survives the agent's SIGKILL up to the last batch; a power loss may cost
// what the kernel had not written yet. Why not a database: those at hand (bbolt) map the file into memory and trust it,
// so that some damaged files hang or kill the process, at each start again.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model"
)

// Share is a host's share of the store as of a revision.
type Share struct {
	Store    string // identity of the store; revisions of two stores do not compare
	Datapath string // the host's uuid
	Revision int64
	Objects  []model.Object // in no order
}

// Cache is an open file. Load, Replace and Apply may be called concurrently with Run.
type Cache struct {
	path string
	log  *slog.Logger
	lock *os.File

	mu      sync.Mutex
	head    head
	objects map[string]model.Object // as they should be on disk
	dirty   map[string]struct{}     // uuids of those that are not
	moved   bool                    // head is not on disk
	anew    bool                    // the file is to be written anew
	wake    chan struct{}

	// Run's alone, once it runs.
	file    *os.File // nil while there is none to append to
	lines   int      // in it
	batches int
}

// Times of retries after a failed write.
const (
	retryFirst = time.Second
	retryLast  = time.Minute
)

// Open opens the file at path, or makes it when something is to be written. An error is one of access, or another process
// that has it open; damage is none.
func Open(path string, log *slog.Logger) (*Cache, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open cache %s: %w", path, err)
	}
	c := &Cache{path: path, log: log, lock: lock, dirty: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	if err := c.read(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("open cache %s: %w", path, err)
	}
	return c, nil
}

// lockFile keeps other processes out. The lock ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("another process has it open")
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}

// read takes up what the file holds.
func (c *Cache) read() error {
	c.objects, c.anew = map[string]model.Object{}, true
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	c1, err := decode(f)
	if err == nil {
		if _, err := f.Seek(c1.size, io.SeekStart); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Truncate(c1.size); err != nil { // a batch that was not finished
			return errors.Join(err, f.Close())
		}
		c.head, c.objects, c.anew = c1.head, c1.objects, false
		c.file, c.lines, c.batches = f, c1.lines, c1.batches
		return nil
	}
	_ = f.Close()
	if !errors.Is(err, errDamaged) {
		return err
	}
	aside := c.path + ".bad"
	c.log.Warn("the cache is damaged, goes aside and counts as empty", "path", c.path, "aside", aside, "error", err)
	return os.Rename(c.path, aside)
}

// Load gives the share that is in the cache; false if there is none.
func (c *Cache) Load() (Share, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Share{Store: c.head.Store, Datapath: c.head.Datapath, Revision: c.head.Revision}
	for _, o := range c.objects {
		s.Objects = append(s.Objects, o)
	}
	return s, s.Revision > 0
}

// Replace makes the share what is in the cache. It returns at once; Run writes. What is equal already is not written again.
func (c *Cache) Replace(store, datapath string, revision int64, objects []model.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := make(map[string]struct{}, len(objects))
	for _, o := range objects {
		keep[o.Base().UUID] = struct{}{}
		c.set(o)
	}
	for uuid := range c.objects {
		if _, ok := keep[uuid]; !ok {
			c.remove(uuid)
		}
	}
	c.anew = c.anew || c.head.Store != store || c.head.Datapath != datapath
	c.head.Store, c.head.Datapath = store, datapath
	c.advance(revision)
}

// Apply changes the share in the cache. It returns at once; Run writes.
func (c *Cache) Apply(revision int64, upserts []model.Object, deletes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range upserts {
		c.set(o)
	}
	for _, uuid := range deletes {
		c.remove(uuid)
	}
	c.advance(revision)
}

func (c *Cache) set(o model.Object) {
	uuid := o.Base().UUID
	if old, ok := c.objects[uuid]; !ok || old.Base().Revision != o.Base().Revision || !model.Equal(old, o) {
		c.objects[uuid] = o
		c.dirty[uuid] = struct{}{}
	}
}

func (c *Cache) remove(uuid string) {
	if _, ok := c.objects[uuid]; ok {
		delete(c.objects, uuid)
		c.dirty[uuid] = struct{}{}
	}
}

func (c *Cache) advance(revision int64) {
	c.head.Revision, c.moved = revision, true
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run writes what Replace and Apply have brought until ctx ends, then the rest, and closes the file. A disk that does not
// take it is tried again; it costs the cache, not the agent.
func (c *Cache) Run(ctx context.Context) error {
	retry := time.Duration(0)
	for {
		var again <-chan time.Time
		if retry > 0 {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return c.finish()
		case <-c.wake:
		case <-again:
		}
		switch err := c.write(); {
		case err != nil && retry == 0:
			c.log.Warn("the cache cannot be written; trying again", "path", c.path, "error", err)
			retry = retryFirst
		case err != nil:
			retry = min(2*retry, retryLast)
		default:
			retry = 0
		}
	}
}

// finish writes the rest and closes the file.
func (c *Cache) finish() error {
	if err := c.write(); err != nil {
		c.log.Warn("the cache cannot be written", "path", c.path, "error", err)
	}
	if c.file != nil {
		if err := errors.Join(c.file.Sync(), c.file.Close()); err != nil {
			c.log.Warn("the cache cannot be closed", "path", c.path, "error", err)
		}
		c.file = nil
	}
	return c.lock.Close()
}

// slack is how many outdated lines a file may have beside as many as there are objects.
const slack = 1000

// write brings the file up to date.
func (c *Cache) write() error {
	c.mu.Lock()
	if !c.moved {
		c.mu.Unlock()
		return nil
	}
	anew := c.anew || c.file == nil || c.lines+len(c.dirty) > 2*len(c.objects)+slack
	h := c.head
	changes := make([]change, 0, len(c.dirty))
	if anew {
		for uuid, o := range c.objects {
			changes = append(changes, change{uuid, o})
		}
	} else {
		for uuid := range c.dirty {
			changes = append(changes, change{uuid, c.objects[uuid]})
		}
	}
	c.dirty = map[string]struct{}{} // not cleared: it would stay as large as the first snapshot
	c.moved, c.anew = false, false
	c.mu.Unlock()

	var err error
	if anew {
		err = c.replaceFile(h, changes)
	} else {
		err = c.appendFile(h, changes)
	}
	if err != nil {
		c.mu.Lock()
		c.moved, c.anew = true, true // what of it has reached the disk is unknown
		c.mu.Unlock()
	}
	return err
}

func (c *Cache) appendFile(h head, changes []change) error {
	b, err := encode(h, changes, c.batches)
	if err != nil {
		return err
	}
	if _, err := c.file.Write(b); err != nil {
		return err
	}
	c.lines += len(changes) + 1
	c.batches++
	return nil
}

// replaceFile writes a new file beside the old one and puts it in its place.
func (c *Cache) replaceFile(h head, changes []change) error {
	b, err := encode(h, changes, 0)
	if err != nil {
		return err
	}
	next := c.path + ".new"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(next, c.path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if c.file != nil {
		_ = c.file.Close() // the old one, which has no name any more
	}
	c.file, c.lines, c.batches = f, len(changes)+1, 1
	if d, err := os.Open(filepath.Dir(c.path)); err == nil {
		_ = d.Sync() // else a power loss may bring the old file back, which is whole too
		_ = d.Close()
	}
	return nil
}
