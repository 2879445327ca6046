package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// crashDir is set for the child process of TestKill.
const crashDir = "STORE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever writes groups of objects, from several goroutines, and says of each group on standard output when it is
// acknowledged.
func writeForever(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx) }()
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
				fmt.Println(i.UUID)
			}
		}()
	}
	return <-failed
}

// A process that is killed while it writes loses nothing that it acknowledged, and leaves no half of a transaction.
func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	var acknowledged []string
	ids := map[uint32]string{}
	for round := range 10 {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), crashDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if n++; n == 20+37*round {
				_ = child.Process.Kill()
			}
		}
		if err := child.Wait(); err == nil || n < 20 {
			t.Fatalf("round %d: the child ended by itself (%v) after %d acknowledgements", round, err, n)
		}
		s, end := run(t, Options{Dir: dir})
		s.View(func(x *span.Index, _ int64) {
			for _, iface := range acknowledged {
				suffix := strings.TrimPrefix(iface, "if-")
				for _, uuid := range []string{iface, "nw-" + suffix, "ml-" + suffix, "il-" + suffix} {
					if _, ok := x.Graph().Get(uuid); !ok {
						t.Errorf("round %d: %s was acknowledged and is not there", round, uuid)
					}
				}
			}
			for _, r := range []*model.Resource{model.Networks, model.MACLeases, model.IPLeases} {
				if n, want := len(x.Graph().List(r)), len(x.Graph().List(model.Interfaces)); n != want {
					t.Errorf("round %d: %d %s for %d interfaces: half a transaction", round, n, r.Plural, want)
				}
			}
			for _, o := range x.Graph().List(model.Interfaces) {
				if other := ids[o.Base().ID]; other != "" && other != o.Base().UUID {
					t.Errorf("round %d: number %d was %s and is %s", round, o.Base().ID, other, o.Base().UUID)
				}
				ids[o.Base().ID] = o.Base().UUID
			}
		})
		consistent(t, s)
		end()
		if t.Failed() {
			break
		}
	}
	t.Logf("%d groups acknowledged", len(acknowledged))
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
	if _, err := s.kv.Put(t.Context(), s.keys.format(), "99"); err != nil {
		t.Fatal(err)
	}
	end()
	_, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), `it has format "99"`) {
		t.Errorf("got %v", err)
	}
}
