package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"
)

// embedded is an etcd server in this process. It listens nowhere.
type embedded struct {
	etcd *embed.Etcd
	lock *os.File
}

func (s *Store) connect(ctx context.Context) error {
	logger := etcdLogger(s.log)
	if len(s.opts.Endpoints) > 0 {
		c, err := clientv3.New(clientv3.Config{
			Endpoints: s.opts.Endpoints, TLS: s.opts.TLS, Logger: logger,
			DialTimeout: 5 * time.Second, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
			MaxCallSendMsgSize: 2 * MaxBytes, RejectOldCluster: true,
		})
		if err != nil {
			return fmt.Errorf("connect to etcd at %v: %w", s.opts.Endpoints, err)
		}
		s.client, s.kv = c, c.KV
		return nil
	}
	e, err := s.start(ctx)
	if err != nil {
		return fmt.Errorf("start etcd in %s: %w", s.opts.Dir, err)
	}
	s.embedded = e
	s.client = v3client.New(e.etcd.Server)
	s.kv = s.client.KV
	return nil
}

func (s *Store) start(ctx context.Context) (*embedded, error) {
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(s.opts.Dir)
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name = "vnmgr"
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.Dir = filepath.Join(s.opts.Dir, "etcd")
	cfg.ListenPeerUrls, cfg.ListenClientUrls = nil, nil
	if s.opts.socket != "" {
		cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Host: s.opts.socket}}
	}
	cfg.MaxTxnOps, cfg.MaxRequestBytes = MaxOps, MaxBytes
	cfg.QuotaBackendBytes = 8 << 30
	cfg.TickMs, cfg.ElectionMs = 20, 100 // there is no other member to wait for: what counts is the time to start
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(s.log))
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	em := &embedded{etcd: e, lock: lock}
	select {
	case <-e.Server.ReadyNotify():
		return em, nil
	case <-e.Server.StopNotify():
		err = errors.New("it stopped by itself")
	case err = <-e.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, em.close())
}

// lockDir keeps a second process out; etcd itself would wait for the first one to end, without a word.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
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
