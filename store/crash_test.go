package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// crashDir is set for the child process of TestKill.
const crashDir = "STORE_TEST_CRASH_DIR"

// killsVariable says how often TestKill kills, instead of 15 times.
const killsVariable = "STORE_TEST_KILLS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForever(dir, os.Stdin, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever looks whether what in names is there, says so, and then writes groups of objects, from several goroutines; it names each
// group to out when it is acknowledged.
func writeForever(dir string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := survived(s, in); err != nil {
		return err
	}
	fmt.Fprintln(out, "checked")
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx) }()
	var mu sync.Mutex
	for range 4 {
		go func() {
			for {
				i := &model.Interface{Mode: model.InterfaceVIF}
				_, err := s.Update(ctx, func(tx *Tx) error {
					*i = model.Interface{Mode: model.InterfaceVIF}
					if err := tx.Create(i); err != nil {
						return err
					}
					vni, err := tx.Allocate(model.Networks, "vni", 1, 1<<24-1)
					if err != nil {
						return err
					}
					suffix := strings.TrimPrefix(i.UUID, "if-")
					for _, o := range []model.Object{network("nw-"+suffix, vni), macLease("ml-"+suffix, i.UUID, vni), ipLease("il-"+suffix, i.UUID, "ml-"+suffix, "nw-"+suffix, 1)} {
						if err := tx.Create(o); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Fprintf(out, "%s %d\n", i.UUID, i.ID)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// survived looks for acknowledged groups, one a line with its interface's number, and for halves of transactions.
func survived(s *Store, in io.Reader) error {
	var errs []error
	s.View(func(x *span.Index, _ int64) {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			iface, id, _ := strings.Cut(lines.Text(), " ")
			suffix := strings.TrimPrefix(iface, "if-")
			for _, uuid := range []string{iface, "nw-" + suffix, "ml-" + suffix, "il-" + suffix} {
				if o, ok := x.Graph().Get(uuid); !ok {
					errs = append(errs, fmt.Errorf("%s was acknowledged and is not there", uuid))
				} else if uuid == iface && fmt.Sprint(o.Base().ID) != id {
					errs = append(errs, fmt.Errorf("%s had number %s and has %d", uuid, id, o.Base().ID))
				}
			}
		}
		want := len(x.Graph().List(model.Interfaces))
		for _, r := range []*model.Resource{model.Networks, model.MACLeases, model.IPLeases} {
			if n := len(x.Graph().List(r)); n != want {
				errs = append(errs, fmt.Errorf("half a transaction: %d %s of %d interfaces", n, r.Plural, want))
			}
			ids := map[uint32]struct{}{}
			for _, o := range x.Graph().List(r) {
				ids[o.Base().ID] = struct{}{}
			}
			if len(ids) != want {
				errs = append(errs, fmt.Errorf("%d numbers of %d %s", len(ids), want, r.Plural))
			}
		}
	})
	return errors.Join(errs...)
}

// A process that is killed while it writes loses nothing that it acknowledged, and leaves no half of a transaction.
func TestKill(t *testing.T) {
	t.Parallel() // nearly all of its time goes to processes that start
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	kills := 15
	if text := os.Getenv(killsVariable); text != "" {
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
	}
	var acknowledged strings.Builder
	all := 0
	for round := range kills {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), crashDir+"="+dir)
		child.Stdin = strings.NewReader(acknowledged.String())
		var said strings.Builder
		child.Stderr = &said
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		limit := rand.IntN(40) // acknowledgements until it is killed; what is under way then is not known
		n := -1                // the first line says that it has looked
		for lines := bufio.NewScanner(out); lines.Scan(); n++ {
			if n >= 0 {
				acknowledged.WriteString(lines.Text() + "\n")
			}
			if n+1 >= limit {
				_ = child.Process.Kill()
			}
		}
		if err := child.Wait(); err == nil || n < 0 || said.Len() > 0 {
			t.Fatalf("round %d: the child ended by itself (%v) after %d acknowledgements: %s", round, err, n, &said)
		}
		all += n
	}
	s, _ := run(t, Options{Dir: dir})
	if err := survived(s, strings.NewReader(acknowledged.String())); err != nil {
		t.Error(err)
	}
	consistent(t, s)
	t.Logf("killed %d times, %d groups acknowledged", kills, all)
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	run(t, Options{Dir: dir})
	_, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another process has the store open") {
		t.Errorf("got %v", err)
	}
}

// What is stored comes back: all objects, the identity, and numbers that go on.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s, end := run(t, Options{Dir: dir})
	id := s.ID()
	rev := create(t, s, network("nw-a", 1), vif("if-a"))
	var want map[string]string
	s.View(func(x *span.Index, _ int64) { want = contents(t, x.Graph()) })
	end()
	s, end = run(t, Options{Dir: dir})
	s.View(func(x *span.Index, now int64) {
		got := contents(t, x.Graph())
		if s.ID() != id || now != rev || len(got) != len(want) || got["nw-a"] != want["nw-a"] {
			t.Errorf("store %s at revision %d with %v, want %s at %d with %v", s.ID(), now, got, id, rev, want)
		}
	})
	update(t, s, func(tx *Tx) error { _, err := tx.Delete("if-a"); return err })
	end()
	s, _ = run(t, Options{Dir: dir})
	create(t, s, vif("if-b"))
	if n := get(s, "if-b").Base().ID; n <= 1 {
		t.Errorf("the number %d was used before", n)
	}
}

func TestFormat(t *testing.T) {
	dir := t.TempDir()
	s, end := run(t, Options{Dir: dir})
	create(t, s, vif("if-a"), macLease("ml-a", "if-a", 1))
	// Format 1 kept indexes.
	put := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			key, value, _ := strings.Cut(key, "=")
			if _, err := s.kv.Put(t.Context(), string(s.keys)+key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("k/format=1", "u/mac_leases/mac/02:00:00:00:00:01=ml-a", "r/if-a=")
	end()
	s, end = run(t, Options{Dir: dir})
	for _, old := range []string{"u/", "r/"} {
		if resp, err := s.kv.Get(t.Context(), string(s.keys)+old, clientv3.WithPrefix()); err != nil || resp.Count > 0 {
			t.Errorf("%d keys of %s are left (%v)", resp.Count, old, err)
		}
	}
	if get(s, "ml-a") == nil {
		t.Error("ml-a is gone")
	}
	_, err := s.Update(t.Context(), creating(vif("if-b"), macLease("ml-b", "if-b", 1)))
	refused(t, err, model.Conflict, "mac_address")
	put("k/format=99")
	end()
	_, err = Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), `it has format "99"; this version reads up to 2`) {
		t.Errorf("got %v", err)
	}
}
