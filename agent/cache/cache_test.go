package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *Cache {
	t.Helper()
	c, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shut writes what is left and closes, as the end of Run does.
func shut(t testing.TB, c *Cache) {
	t.Helper()
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
}

func network(uuid string, revision int64) model.Object {
	n := model.Networks.New().(*model.Network)
	n.UUID, n.Revision, n.DisplayName = uuid, revision, fmt.Sprintf("%s of %d", uuid, revision)
	return n
}

// state is a share in a form that compares.
func state(c *Cache) string {
	s, ok := c.Load()
	if !ok {
		return "empty"
	}
	names := make([]string, len(s.Objects))
	for i, o := range s.Objects {
		b, err := model.Encode(o)
		if err != nil {
			return err.Error()
		}
		names[i] = fmt.Sprintf("%d %s", o.Base().Revision, b)
	}
	slices.Sort(names)
	return fmt.Sprintf("%s %s %d %s", s.Store, s.Datapath, s.Revision, strings.Join(names, "\n"))
}

func TestEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replica")
	c := open(t, path)
	if s, ok := c.Load(); ok {
		t.Errorf("an empty cache gives %v", s)
	}
	shut(t, c)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing was to be written, but: %v", err)
	}
}

// Whatever is written is read again, however the changes come together in batches.
func TestReadsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		c := open(t, path)
		store := "s1"
		for rev := int64(1); rev < 20; rev++ {
			var upserts []model.Object
			var deletes []string
			for _, ch := range modeltest.Batch(rt, rev) {
				if ch.Object != nil {
					upserts = append(upserts, ch.Object)
				} else {
					deletes = append(deletes, ch.UUID)
				}
			}
			if rev == 1 || rapid.IntRange(0, 9).Draw(rt, "replace") == 0 {
				if rapid.IntRange(0, 3).Draw(rt, "other store") == 0 {
					store += "x"
				}
				c.Replace(store, "dp-0", rev, append(slices.Collect(maps.Values(c.objects)), upserts...)[:len(upserts)])
			} else {
				c.Apply(rev, upserts, deletes)
			}
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0:
				if err := c.write(); err != nil {
					rt.Fatal(err)
				}
			case 1:
				want := state(c)
				shut(t, c)
				c = open(t, path)
				if diff := cmp.Diff(want, state(c)); diff != "" {
					rt.Fatalf("revision %d (-written +read):\n%s", rev, diff)
				}
			}
		}
		shut(t, c)
	})
}

// A process that is killed has written all batches but perhaps a part of the last, which does not count.
func TestKilled(t *testing.T) {
	_, file, states := history(t)
	reached := -1 // state
	for size := range len(file) + 1 {
		c, err := decode(bytes.NewReader(file[:size]))
		if err != nil {
			if reached >= 0 {
				t.Fatalf("cut off at byte %d: %v", size, err)
			}
			continue
		}
		got := describe(c)
		if reached+1 < len(states) && got == states[reached+1] {
			reached++
		}
		if reached < 0 || got != states[reached] {
			t.Fatalf("cut off at byte %d it reads\n%s", size, got)
		}
	}
	if reached != len(states)-1 {
		t.Errorf("the whole file reads as state %d of %d", reached, len(states))
	}
	// What follows is written after the last whole batch.
	path := filepath.Join(t.TempDir(), "replica")
	if err := os.WriteFile(path, file[:len(file)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	if got := state(c); got != states[len(states)-2] {
		t.Errorf("it reads\n%s", got)
	}
	c.Apply(1000, []model.Object{network("nw-z", 1000)}, nil)
	want := state(c)
	shut(t, c)
	c = open(t, path)
	defer shut(t, c)
	if got := state(c); got != want {
		t.Errorf("after a further batch it reads\n%s\nwant\n%s", got, want)
	}
}

func describe(c *content) string { return state(&Cache{head: c.head, objects: c.objects}) }

// history writes a file of several batches, and gives the states that it went through.
func history(t testing.TB) (path string, file []byte, states []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "replica")
	c := open(t, path)
	step := func() {
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		states = append(states, state(c))
	}
	c.Replace("store", "dp-0", 3, []model.Object{network("nw-a", 1), network("nw-b", 2), network("nw-c", 3)})
	step()
	c.Apply(4, []model.Object{network("nw-a", 4)}, nil)
	step()
	c.Apply(5, nil, []string{"nw-b"})
	step()
	c.Replace("store", "dp-0", 9, []model.Object{network("nw-a", 4), network("nw-d", 8)})
	step()
	shut(t, c)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, file, states
}

// A flipped byte anywhere makes the file count as damaged, or as it was before its last batch.
func TestFlippedBytes(t *testing.T) {
	_, file, states := history(t)
	for i := range file {
		for _, flip := range []byte{0x01, 0x20, 0x80, '\n' ^ file[i]} {
			if flip == 0 {
				continue
			}
			damaged := slices.Clone(file)
			damaged[i] ^= flip
			c, err := decode(bytes.NewReader(damaged))
			if err == nil && describe(c) != states[len(states)-2] {
				t.Fatalf("byte %d ^ %#x reads as\n%s", i, flip, describe(c))
			}
			if err != nil && !errors.Is(err, errDamaged) {
				t.Fatalf("byte %d ^ %#x: %v", i, flip, err)
			}
		}
	}
}

// A damaged file goes aside and a new one is begun.
func TestDamaged(t *testing.T) {
	path, file, _ := history(t)
	file[len(file)/2] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	if got := state(c); got != "empty" {
		t.Fatalf("it reads\n%s", got)
	}
	if b, err := os.ReadFile(path + ".bad"); err != nil || !bytes.Equal(b, file) {
		t.Errorf("the damaged file is not aside: %v", err)
	}
	c.Replace("store", "dp-0", 10, []model.Object{network("nw-e", 10)})
	want := state(c)
	shut(t, c)
	c = open(t, path)
	defer shut(t, c)
	if got := state(c); got != want {
		t.Errorf("after a new share it reads\n%s", got)
	}
}

func TestForeign(t *testing.T) {
	_, file, _ := history(t)
	long := bytes.Repeat([]byte("x"), maxLine+10)
	for name, b := range map[string][]byte{
		"empty":        {},
		"text":         []byte("hello\nworld\n"),
		"zeros":        make([]byte, 1<<20),
		"a long line":  append(long, '\n'),
		"twice":        append(slices.Clone(file), file...),
		"lines lost":   bytes.SplitAfterN(file, []byte("\n"), 3)[2],
		"lines of old": reformat(t, file, 99),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "replica")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			c := open(t, path)
			if got := state(c); got != "empty" {
				t.Errorf("it reads\n%s", got)
			}
			shut(t, c)
			if _, err := os.Stat(path + ".bad"); err != nil {
				t.Error(err)
			}
		})
	}
}

// reformat gives a file that another version might have written.
func reformat(t *testing.T, file []byte, version int) []byte {
	t.Helper()
	c, err := decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := put(&b, line{End: &end{Format: version, head: c.head}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replica")
	c := open(t, path)
	defer shut(t, c)
	if _, err := Open(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second opening gives %v", err)
	}
}

// The file does not grow without bound, and a change costs its own size.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replica")
	c := open(t, path)
	var objects []model.Object
	for i := range 1000 {
		objects = append(objects, network(fmt.Sprintf("nw-%d", i), 1))
	}
	size := func() int64 {
		t.Helper()
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	c.Replace("store", "dp-0", 1, objects)
	whole := size()
	c.Apply(2, []model.Object{network("nw-5", 2)}, nil)
	one := size() - whole
	if one > 2*whole/1000+500 {
		t.Errorf("one change of %d objects costs %d bytes, all of them %d", len(objects), one, whole)
	}
	c.Replace("store", "dp-0", 3, append(objects[:999:999], network("nw-999", 3)))
	if again := size() - whole - one; again > 3*one {
		t.Errorf("a share with two changes costs %d bytes, one change %d", again, one)
	}
	largest := whole
	for rev := int64(4); rev < 10_000; rev++ {
		c.Apply(rev, []model.Object{network("nw-7", rev)}, nil)
		largest = max(largest, size())
	}
	if largest > 4*whole {
		t.Errorf("the file grew to %d bytes, its content is %d", largest, whole)
	}
	want := state(c)
	shut(t, c)
	c = open(t, path)
	if got := state(c); got != want {
		t.Error("it does not read as written")
	}
	shut(t, c)
}

// Run writes what comes, and goes on after a disk that would not take it.
func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "replica")
	c := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	c.Replace("store", "dp-0", 1, []model.Object{network("nw-a", 1)})
	onDisk := func(text string) func() error {
		return func() error {
			b, err := os.ReadFile(path)
			if err == nil && !bytes.Contains(b, []byte(text)) {
				err = fmt.Errorf("no %s in it", text)
			}
			return err
		}
	}
	wait.For(t, 10*time.Second, "the first batch", onDisk(`"revision":1`))
	// The next batch is to start a new file, but there is no directory to make it in.
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	c.Replace("other", "dp-0", 2, []model.Object{network("nw-a", 2)})
	wait.For(t, 10*time.Second, "a failed attempt", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.anew || len(c.wake) > 0 {
			return errors.New("not tried yet")
		}
		return nil
	})
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	c.Apply(3, []model.Object{network("nw-b", 3)}, nil)
	wait.For(t, 10*time.Second, "the third batch", onDisk(`"revision":3`))
	c.Apply(4, nil, []string{"nw-a"})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	c = open(t, path)
	defer shut(t, c)
	s, _ := c.Load()
	if s.Store != "other" || s.Revision != 4 || len(s.Objects) != 1 {
		t.Errorf("got %+v", s)
	}
}

// FuzzDecode reads any bytes: as they are, and as lines whose checksums are right.
func FuzzDecode(f *testing.F) {
	_, file, _ := history(f)
	bare := regexp.MustCompile(`(?m)^.{9}`).ReplaceAll(file, nil)
	f.Add(file, false)
	f.Add(file[:len(file)-3], false)
	f.Add(bare, true)
	f.Add(bytes.Replace(bare, []byte(`"batch":1`), []byte(`"batch":2`), 1), true)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum {
			var summed bytes.Buffer
			for text := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == '\n' }) {
				fmt.Fprintf(&summed, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
			}
			b = summed.Bytes()
		}
		c, err := decode(bytes.NewReader(b))
		if (c == nil) == (err == nil) {
			t.Fatalf("content %v and error %v", c, err)
		}
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if c.size > int64(len(b)) {
			t.Fatalf("%d bytes of %d", c.size, len(b))
		}
		var changes []change
		for uuid, o := range c.objects {
			changes = append(changes, change{uuid, o})
		}
		again, err := encode(c.head, changes, 0)
		if err != nil {
			t.Fatal(err)
		}
		c2, err := decode(bytes.NewReader(again))
		if err != nil {
			t.Fatal(err)
		}
		if len(c2.objects) != len(c.objects) || c2.head != c.head {
			t.Fatalf("%+v became %+v", c, c2)
		}
	})
}
