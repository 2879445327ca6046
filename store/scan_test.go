package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// What is read off the file is what etcd says: the newest of several values, nothing deleted, before and after a compaction.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	for _, compact := range []bool{false, true, false} {
		s, end := run(t, Options{Dir: dir})
		if o := get(s, "nw-kept"); o != nil {
			update(t, s, func(tx *Tx) error { _, err := tx.Delete("nw-kept"); return err })
		}
		create(t, s, network("nw-kept", 1), network("nw-gone", 2), vif("if-a"), macLease("ml-a", "if-a", 1))
		last := update(t, s, func(tx *Tx) error {
			n := network("nw-kept", 3)
			if err := tx.Update(n); err != nil {
				return err
			}
			_, err := tx.Delete("nw-gone")
			return err
		})
		if compact {
			if _, err := s.kv.Compact(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
		update(t, s, func(tx *Tx) error { _, err := tx.Delete("if-a"); return err })
		create(t, s, vif("if-a"))
		var want map[string]string
		var at int64
		s.View(func(x *span.Index, rev int64) { want, at = contents(t, x.Graph()), rev })
		end()
		file, err := (&Store{opts: Options{Dir: dir}, keys: layout(defaultPrefix)}).scan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, contents(t, graph.Of(file.objects...))); d != "" {
			t.Errorf("-etcd +file:\n%s", d)
		}
		if file.revision != at || file.watchFrom <= at {
			t.Errorf("the file is at %d and to be fed from %d, the store was at %d", file.revision, file.watchFrom, at)
		}
		s, end = run(t, Options{Dir: dir})
		update(t, s, func(tx *Tx) error { _, err := tx.Delete("if-a"); return err })
		end()
	}
	if file, err := (&Store{opts: Options{Dir: t.TempDir()}}).scan(t.Context()); err != nil || len(file.objects) > 0 || file.watchFrom != 1 {
		t.Errorf("without a file: %+v, %v", file, err)
	}
}

func TestKeyValue(t *testing.T) {
	for name, b := range map[string][]byte{
		"a length beyond the end": {0x0a, 5, 'k'},
		"no length":               {0x0a},
		"a fixed number":          {0x09, 1, 2, 3, 4, 5, 6, 7, 8},
		"no end of a number":      {0x10, 0xff},
	} {
		if k, v, ok := keyValue(b); ok {
			t.Errorf("%s is read as %q, %q", name, k, v)
		}
	}
	if k, v, ok := keyValue([]byte{0x0a, 1, 'k', 0x10, 7, 0x2a, 2, 'v', 'w', 0x30, 0}); !ok || string(k) != "k" || string(v) != "vw" {
		t.Errorf("read as %q, %q, %v", k, v, ok)
	}
}
