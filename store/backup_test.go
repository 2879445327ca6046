package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// stored gives all objects in their stored form, by uuid.
func stored(t testing.TB, s *Store) map[string]string {
	t.Helper()
	m := map[string]string{}
	s.View(func(x *span.Index, _ int64) {
		for o := range x.Graph().All() {
			b, err := model.Encode(o)
			if err != nil {
				t.Fatal(err)
			}
			m[o.Base().UUID] = string(b)
		}
	})
	return m
}

func backup(t testing.TB, s *Store) (backupHeader, []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	h, _, err := readBackup(t.Context(), bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return h, b.Bytes()
}

// Whatever is in a store is in the one that its backup makes, and that one goes on where the first was.
func TestBackupAndRestore(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			old, end := run(t, Options{Dir: t.TempDir()})
			created := map[string]uint32{} // the highest number so far
			old.Observe(func(_ int64, x *span.Index, _ *span.Effects) {
				for o := range x.Graph().All() {
					created[model.Of(o).Plural] = max(created[model.Of(o).Plural], o.Base().ID)
				}
			})
			for range 40 {
				_, err := old.Update(t.Context(), func(tx *Tx) error {
					for range 4 {
						a := action{Kind: rnd.IntN(8), A: rnd.IntN(4), B: rnd.IntN(4), C: rnd.IntN(4), Val: rnd.IntN(4)}
						if err := a.run(tx); err != nil {
							return err
						}
					}
					return nil
				})
				var refused *model.Error
				if err != nil && !errors.As(err, &refused) {
					t.Fatal(err)
				}
			}
			want := stored(t, old)
			h, text := backup(t, old)
			if h.Store != old.ID() || h.Revision != revisionOf(old) {
				t.Errorf("header %+v of store %s at %d", h, old.ID(), revisionOf(old))
			}
			end()

			dir := filepath.Join(t.TempDir(), "new", "store")
			if err := Restore(t.Context(), dir, bytes.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
				t.Errorf("the directory has %v (%v), not etcd and lock alone", left, err)
			}
			for range 2 { // the second time from what the first has left
				s, end := run(t, Options{Dir: dir})
				if s.ID() == h.Store || revisionOf(s) < h.Revision+revisionGap {
					t.Errorf("restored as store %s at revision %d; it was %s at %d", s.ID(), revisionOf(s), h.Store, h.Revision)
				}
				if d := cmp.Diff(want, stored(t, s)); d != "" {
					t.Errorf("-backed up +restored:\n%s", d)
				}
				consistent(t, s)
				if again, _ := backup(t, s); again.Store != s.ID() {
					t.Errorf("a backup of the restored store says it is of %s", again.Store)
				}
				uuid := fmt.Sprintf("if-n%d", rnd.Uint32())
				rev := create(t, s, vif(uuid))
				if o := get(s, uuid); o.Base().ID <= created["interfaces"] || o.Base().Revision != rev || rev <= h.Revision+revisionGap {
					t.Errorf("created %+v at revision %d; numbers up to %d were used before", o.Base(), rev, created["interfaces"])
				}
				want = stored(t, s)
				end()
			}
		})
	}
}

func revisionOf(s *Store) (revision int64) {
	s.View(func(_ *span.Index, rev int64) { revision = rev })
	return revision
}

// A backup that is taken while others write holds whole transactions, as of one revision.
func TestBackupWhileWriting(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := &model.Interface{}
				_, err := s.Update(ctx, func(tx *Tx) error {
					*i = model.Interface{Mode: model.InterfaceVIF}
					if err := tx.Create(i); err != nil {
						return err
					}
					return tx.Create(&model.InterfacePort{InterfaceUUID: i.UUID, PortName: strings.TrimPrefix(i.UUID, "if-")})
				})
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for last := int64(0); last < 50; {
		h, text := backup(t, s)
		_, objects, err := readBackup(t.Context(), bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		g := graph.Of(objects)
		if n, want := len(g.List(model.InterfacePorts)), len(g.List(model.Interfaces)); n != want {
			t.Fatalf("revision %d: %d ports of %d interfaces", h.Revision, n, want)
		}
		for o := range g.All() {
			if o.Base().ID >= h.Next[model.Of(o).Plural] {
				t.Fatalf("%s has number %d, and the backup goes on at %d", o.Base().UUID, o.Base().ID, h.Next[model.Of(o).Plural])
			}
		}
		last = int64(g.Len())
	}
}

// resum gives lines the trailer that they should have.
func resum(lines ...string) string {
	text := strings.Join(lines, "\n") + "\n"
	return fmt.Sprintf("%s{\"objects\":%d,\"sha256\":%q}\n", text, len(lines)-1, sha(text))
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestRestoreRefuses(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 1), vif("if-a"), macLease("ml-a", "if-a", 1))
	_, b := backup(t, s)
	text := string(b)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 5 || resum(lines[:4]...) != text {
		t.Fatalf("the backup is\n%s", text)
	}
	dir := filepath.Join(t.TempDir(), "store")
	refuses := func(t *testing.T, text, want string) {
		t.Helper()
		err := Restore(t.Context(), dir, strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("got %v, want %q, of\n%s", err, want, text)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Fatalf("something is left: %v (%v)", left, err)
		}
	}
	t.Run("truncated", func(t *testing.T) {
		for n := range len(text) {
			refuses(t, text[:n], "truncated")
		}
	})
	t.Run("altered", func(t *testing.T) {
		for n := range len(text) {
			altered := []byte(text)
			altered[n] ^= 1 << (n % 7)
			if altered[n] == text[n] {
				continue
			}
			err := Restore(t.Context(), dir, bytes.NewReader(altered))
			if err == nil {
				t.Fatalf("byte %d altered is restored:\n%s", n, altered)
			}
		}
	})
	header := lines[0]
	for name, test := range map[string]struct{ text, want string }{
		"a line less":        {strings.Join(append(append([]string{}, lines[:3]...), lines[4]), "\n") + "\n", "altered"},
		"lines swapped":      {strings.Join([]string{lines[0], lines[2], lines[1], lines[3], lines[4]}, "\n") + "\n", "altered"},
		"more behind":        {text + "x", "goes on behind its end"},
		"twice":              {text + text, "goes on behind its end"},
		"newer":              {resum(strings.Replace(header, `"version":1`, `"version":2`, 1)), "the backup is of version 2, and this program reads up to 1"},
		"newer object":       {resum(header, `{"v":9,"uuid":"if-a"}`), "line 2: if-a: decode interface: it has schema version 9"},
		"unknown object":     {resum(header, `{"uuid":"zz-a"}`), "line 2: zz-a: no resource has such a uuid"},
		"object twice":       {resum(header, lines[2], lines[2]), "line 3: if-a is there twice"},
		"no object":          {resum(header, `nothing`), "line 2: it is no object"},
		"no backup":          {"hello\n", "not a backup"},
		"other JSON":         {"{}\n", "not a backup"},
		"nothing":            {"", "truncated"},
		"a line too long":    {header + "\n" + strings.Repeat("x", maxBackupLine) + "\n", "line 2 is longer"},
		"header lacks parts": {resum(`{"format":"openvnet backup","version":1}`), "the header lacks"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, test.text, test.want) })
	}
	t.Run("a store that runs", func(t *testing.T) {
		if err := Restore(t.Context(), s.opts.Dir, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "another process has the store open") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("after an interruption", func(t *testing.T) {
		if err := os.MkdirAll(filepath.Join(dir, restoreDir, "etcd", "member"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Restore(t.Context(), dir, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if err := Restore(t.Context(), dir, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "there is a store already") {
			t.Errorf("into a restored store: %v", err)
		}
		s, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if get(s, "ml-a") == nil {
			t.Error("ml-a is not there")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBackupFails(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 1))
	full := errors.New("full")
	r, w := io.Pipe()
	_ = r.CloseWithError(full)
	if err := s.Backup(t.Context(), w); !errors.Is(err, full) {
		t.Errorf("to a writer that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}
