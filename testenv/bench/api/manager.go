package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// manager is a vnmgr process with a directory of its own. It dies with this program.
type manager struct {
	dir     string
	bin     string
	address string
	api     *client.Client
	process proc.Record
}

// limit is how long anything may take that is not measured.
const limit = 2 * time.Minute

func newManager(bin, address string) (*manager, error) {
	api, err := client.New(client.Options{Server: address, Timeout: limit, Retries: -1})
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vnbench")
	if err != nil {
		return nil, err
	}
	return &manager{dir: dir, bin: bin, address: address, api: api}, nil
}

// start starts the process, and returns when it answers.
func (m *manager) start(ctx context.Context) (s start, err error) {
	began := time.Now()
	m.process, err = proc.Start(proc.Spec{
		Args: []string{filepath.Join(m.bin, "vnmgr"), "--data", filepath.Join(m.dir, "data"), "--api", m.address, "--insecure"},
		Log:  filepath.Join(m.dir, "vnmgr.log"), Record: filepath.Join(m.dir, "vnmgr.json"), Session: proc.Tied,
	})
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the manager does not answer"))
	defer cancel()
	err = wait.Until(ctx, 5*time.Millisecond, func() error {
		_, err := m.api.Version(ctx)
		return err
	})
	if err != nil {
		return s, err
	}
	s.ready = time.Since(began)
	if s.rss, err = proc.Resident(m.process.PID); err != nil {
		return s, err
	}
	s.cpu, err = proc.CPUTime(m.process.PID)
	return s, err
}

// stop ends the process as an operator does.
func (m *manager) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("it does not end"))
	defer cancel()
	if err := m.process.Stop(ctx); err != nil {
		return fmt.Errorf("stop the manager: %w", err)
	}
	return nil
}

// remove ends the process and deletes the directory.
func (m *manager) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var err error
	if m.process.PID != 0 {
		err = m.process.Kill(ctx)
	}
	return errors.Join(err, os.RemoveAll(m.dir))
}

// logs gives the last lines of what the manager has logged, for an error.
func (m *manager) logs() string { return "vnmgr:\n" + ovs.Tail(filepath.Join(m.dir, "vnmgr.log"), 5) }
