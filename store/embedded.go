package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// embedded is an etcd server in this process. It listens nowhere.
type embedded struct {
	etcd *embed.Etcd
	lock *os.File
}

// What is in the store's directory.
const (
	etcdDir  = "etcd"
	lockFile = "lock"
)

// file is where etcd keeps everything but its log.
func (s *Store) file() string { return filepath.Join(s.opts.Dir, etcdDir, "member", "snap", "db") }

// connect connects to etcd, or starts it and reads what its file holds meanwhile.
func (s *Store) connect(ctx context.Context) (*loaded, error) {
	logger := etcdLogger(s.log)
	if len(s.opts.Endpoints) > 0 {
		c, err := clientv3.New(clientv3.Config{
			Endpoints: s.opts.Endpoints, TLS: s.opts.TLS, Logger: logger,
			DialTimeout: 5 * time.Second, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
			MaxCallSendMsgSize: 2 * MaxBytes, RejectOldCluster: true,
		})
		if err != nil {
			return nil, fmt.Errorf("connect to etcd at %v: %w", s.opts.Endpoints, err)
		}
		s.client, s.kv = c, c.KV
		return nil, nil
	}
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(s.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", s.opts.Dir, err)
	}
	defer s.thrifty()()
	file, err := s.scan(ctx)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l := make(chan *loaded, 1)
	go func() {
		g := graph.Of(file.objects...)
		l <- &loaded{graph: g, index: span.New(g), revision: file.revision, watchFrom: file.watchFrom}
	}()
	etcd, err := s.start(ctx)
	early := <-l
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", s.opts.Dir, err), lock.Close())
	}
	s.embedded = &embedded{etcd: etcd, lock: lock}
	s.client = v3client.New(etcd.Server)
	s.kv = s.client.KV
	return early, nil
}

func (s *Store) start(ctx context.Context) (*embed.Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Name = "vnmgr"
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.Dir = filepath.Join(s.opts.Dir, etcdDir)
	cfg.ListenPeerUrls, cfg.ListenClientUrls = nil, nil
	if s.opts.socket != "" {
		cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Host: s.opts.socket}}
	}
	cfg.MaxTxnOps, cfg.MaxRequestBytes = MaxOps, MaxBytes
	cfg.QuotaBackendBytes = 8 << 30
	// With one member nobody has to catch up from the log. What counts is how much of it is read at a start, and kept in memory.
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 1000, 1
	cfg.TickMs, cfg.ElectionMs = 20, 100 // there is no other member to wait for: what counts is the time to start
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(s.log))
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case <-e.Server.StopNotify():
		err = errors.New("it stopped by itself")
	case err = <-e.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.Close()
	return nil, err
}

// thrifty bounds the memory in use by a multiple of the file's size, until the function that it gives is called: a start makes much at once,
// and when garbage is collected is otherwise left to chance.
func (s *Store) thrifty() (end func()) {
	info, err := os.Stat(s.file())
	if err != nil || info.Size() < thriftyFrom {
		return func() {}
	}
	limit := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, thriftyFactor*info.Size()))
	return func() { debug.SetMemoryLimit(limit) }
}

const (
	thriftyFrom   = 64 << 20
	thriftyFactor = 5
)

// lockDir keeps a second process out; etcd itself would wait for the first one to end, without a word.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("another process has the store open")
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}

func (e *embedded) close() error {
	e.etcd.Close()
	return e.lock.Close() // releases it
}

// failed is closed when the embedded etcd has stopped; it is nil, so never, for a cluster elsewhere.
func (s *Store) failed() <-chan struct{} {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.etcd.Server.StopNotify()
}
