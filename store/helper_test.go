package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

const deadline = 30 * time.Second

// run runs a store until the test ends, or the returned function is called.
func run(t testing.TB, opts Options, before ...func(*Store)) (*Store, func()) {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
		if os.Getenv("STORE_TEST_LOG") != "" {
			opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
	}
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(end)
	select {
	case <-s.Ready():
	case <-time.After(deadline):
		t.Fatal("not ready")
	}
	return s, end
}

// pair runs two stores on one etcd: the first has it embedded, the second reaches it as a cluster elsewhere.
func pair(t testing.TB) (a, b *Store) {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	a, _ = run(t, Options{Dir: dir, socket: socket})
	b, _ = run(t, Options{Endpoints: []string{"unix://" + socket}})
	if a.ID() != b.ID() {
		t.Fatalf("two identities of one store: %s, %s", a.ID(), b.ID())
	}
	return a, b
}

func update(t testing.TB, s *Store, f func(tx *Tx) error) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	rev, err := s.Update(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func create(t testing.TB, s *Store, os ...model.Object) int64 {
	t.Helper()
	return update(t, s, creating(os...))
}

func creating(os ...model.Object) func(tx *Tx) error {
	return func(tx *Tx) error {
		for _, o := range os {
			if err := tx.Create(model.Clone(o)); err != nil {
				return err
			}
		}
		return nil
	}
}

// refused expects a refusal of a class, that names a field.
func refused(t testing.TB, err error, class model.Class, field string) *model.Error {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal of class %s", err, class.Name)
	}
	if e.Class != class || e.Field != field {
		t.Errorf("refused with %s of %q (%s), want %s of %q", e.Class.Name, e.Field, e.Reason, class.Name, field)
	}
	return e
}

func get(s *Store, uuid string) (o model.Object) {
	s.View(func(x *span.Index, _ int64) { o, _ = x.Graph().Get(uuid) })
	return o
}

// reach waits until a store's copy has come to a revision.
func reach(t testing.TB, s *Store, revision int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := s.await(ctx, revision); err != nil {
		t.Fatalf("revision %d: %v", revision, err)
	}
}

// contents gives all objects with their revisions, as text by uuid.
func contents(t testing.TB, g *graph.Graph) map[string]string {
	t.Helper()
	m := map[string]string{}
	for o := range g.All() {
		b, err := model.Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		m[o.Base().UUID] = fmt.Sprintf("%d %s", o.Base().Revision, b)
	}
	return m
}

// consistent compares the stores' copies with what etcd holds, and checks every object against all others.
func consistent(t testing.TB, stores ...*Store) {
	t.Helper()
	l, err := stores[0].load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, l.graph)
	for i, s := range stores {
		reach(t, s, l.revision)
		s.View(func(x *span.Index, rev int64) {
			if d := cmp.Diff(want, contents(t, x.Graph())); d != "" {
				t.Fatalf("copy %d at revision %d differs from etcd at %d (-etcd +copy):\n%s", i, rev, l.revision, d)
			}
		})
	}
	unique(t, l.graph)
	for o := range l.graph.All() {
		r := model.Of(o)
		if err := errors.Join(r.Validate(o), r.Check(o, l.graph)); err != nil {
			t.Errorf("%s is stored but not valid: %v", o.Base().UUID, err)
		}
	}
	for _, r := range model.All() {
		seen := map[uint32]string{}
		for _, o := range l.graph.List(r) {
			if other := seen[o.Base().ID]; other != "" || o.Base().ID == 0 || o.Base().ID >= freshID {
				t.Errorf("%s has id %d, and so has %q", o.Base().UUID, o.Base().ID, other)
			}
			seen[o.Base().ID] = o.Base().UUID
		}
	}
}

// unique looks for objects with equal unique values.
func unique(t testing.TB, g *graph.Graph) {
	t.Helper()
	holders := map[string]string{}
	for o := range g.All() {
		names := map[string]struct{}{}
		takes(&write{new: o}, names)
		for name := range names {
			if !strings.HasPrefix(name, "value/") {
				continue
			}
			if other, ok := holders[name]; ok {
				t.Errorf("%s and %s share %s", other, o.Base().UUID, name)
			}
			holders[name] = o.Base().UUID
		}
	}
}

func network(uuid string, vni uint32) *model.Network {
	return &model.Network{Meta: model.Meta{UUID: uuid}, Mode: model.NetworkVirtual, VNI: vni, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 16, IPv6Prefix: 64}
}

func vif(uuid string) *model.Interface {
	return &model.Interface{Meta: model.Meta{UUID: uuid}, Mode: model.InterfaceVIF}
}

func macLease(uuid, iface string, mac uint32) *model.MACLease {
	return &model.MACLease{Meta: model.Meta{UUID: uuid}, InterfaceUUID: iface, MACAddress: model.MAC{2, 0, byte(mac >> 24), byte(mac >> 16), byte(mac >> 8), byte(mac)}}
}

func ipLease(uuid, iface, mac, nw string, addr uint16) *model.IPLease {
	return &model.IPLease{Meta: model.Meta{UUID: uuid}, InterfaceUUID: iface, MACLeaseUUID: mac, NetworkUUID: nw,
		IPv4Address: netip.AddrFrom4([4]byte{10, 0, byte(addr >> 8), byte(addr)})}
}

// dnsService gives the service of names that records are of.
func dnsService() []model.Object {
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-dns"}, Mode: model.InterfaceSimulated},
		&model.NetworkService{Meta: model.Meta{UUID: "ns-dns"}, Mode: model.ServiceDNS, InterfaceUUID: "if-dns"},
		&model.DNSService{Meta: model.Meta{UUID: "dnss-a"}, NetworkServiceUUID: "ns-dns"},
	}
}

func dnsRecord(uuid, name string) *model.DNSRecord {
	return &model.DNSRecord{Meta: model.Meta{UUID: uuid}, DNSServiceUUID: "dnss-a", Name: model.RecordName(name), Type: model.RecordTXT, Text: "text"}
}

// addRecords adds the records from the n-th to the m-th.
func addRecords(t testing.TB, s *Store, n, m int) {
	t.Helper()
	for n < m {
		var os []model.Object
		for ; n < m && len(os) < 1000; n++ {
			os = append(os, dnsRecord("", fmt.Sprintf("n%d.example", n)))
		}
		create(t, s, os...)
	}
}

func datapath(uuid string, dpid model.DPID) *model.Datapath {
	return &model.Datapath{Meta: model.Meta{UUID: uuid}, DisplayName: uuid, NodeID: uuid, DPID: dpid}
}
