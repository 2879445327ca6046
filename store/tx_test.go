package store

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

func TestUpdate(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	// In any order: the lease comes before what it refers to.
	r1 := create(t, s, ipLease("il-a", "if-a", "ml-a", "nw-a", 1), macLease("ml-a", "if-a", 1), vif("if-a"), network("nw-a", 7))
	n := get(s, "nw-a").(*model.Network)
	if n.ID != 1 || n.Revision != r1 || n.CreatedAt.IsZero() || n.CreatedAt != n.UpdatedAt {
		t.Errorf("created %+v at revision %d", n.Meta, r1)
	}
	change := func(tx *Tx) error {
		o, _ := tx.Get("nw-a")
		n := model.Clone(o.(*model.Network))
		n.DisplayName, n.ID = "a", 99
		return tx.Update(n)
	}
	r2 := update(t, s, change)
	m := get(s, "nw-a").(*model.Network)
	if r2 <= r1 || m.DisplayName != "a" || m.ID != 1 || m.Revision != r2 || m.CreatedAt != n.CreatedAt {
		t.Errorf("updated %+v at revision %d", m, r2)
	}
	if n.DisplayName != "" {
		t.Error("an object that was given out has changed")
	}
	if r3 := update(t, s, change); r3 != r2 {
		t.Errorf("an update that says nothing new gave revision %d, not %d", r3, r2)
	}
	consistent(t, s)
}

func TestGeneratedNames(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	a, b := network("", 1), network("", 2)
	rev := update(t, s, func(tx *Tx) error { return errors.Join(tx.Create(a), tx.Create(b)) })
	if a.UUID == b.UUID || model.Networks.CheckUUID(a.UUID) != nil {
		t.Errorf("uuids %q and %q", a.UUID, b.UUID)
	}
	if a.ID != 1 || b.ID != 2 || a.Revision != rev {
		t.Errorf("what was created does not know its numbers: %+v %+v", a.Meta, b.Meta)
	}
	if d := cmp.Diff(get(s, b.UUID).(*model.Network).Meta, b.Meta); d != "" {
		t.Errorf("-stored +created:\n%s", d)
	}
}

func TestRefusals(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 7), network("nw-b", 8), vif("if-a"), macLease("ml-a", "if-a", 1), ipLease("il-a", "if-a", "ml-a", "nw-a", 1),
		datapath("dp-a", 1), datapath("dp-b", 2), &model.InterfacePort{Meta: model.Meta{UUID: "ifp-a"}, InterfaceUUID: "if-a", PortName: "p"})
	host := &model.Interface{Meta: model.Meta{UUID: "if-h"}, Mode: model.InterfaceHost}
	wire := func(uuid string) *model.DatapathNetwork {
		return &model.DatapathNetwork{Meta: model.Meta{UUID: uuid}, DatapathUUID: "dp-a", NetworkUUID: "nw-a", InterfaceUUID: "if-h"}
	}
	before := create(t, s, host, &model.InterfacePort{Meta: model.Meta{UUID: "ifp-h"}, InterfaceUUID: "if-h", DatapathUUID: "dp-a", PortName: "eth0"}, wire("dpn-a"))
	for name, test := range map[string]struct {
		f     func(tx *Tx) error
		class model.Class
		field string
		text  string
	}{
		"taken uuid":           {creating(network("nw-a", 9)), model.DuplicateUUID, "uuid", "nw-a"},
		"twice in one":         {creating(network("nw-c", 9), network("nw-c", 10)), model.DuplicateUUID, "uuid", "nw-c"},
		"bad uuid":             {creating(network("nw-C", 9)), model.InvalidUUID, "uuid", ""},
		"not valid":            {creating(&model.Network{Meta: model.Meta{UUID: "nw-c"}}), model.MissingArgument, "ipv4_network", ""},
		"unique value":         {creating(macLease("ml-b", "if-a", 1)), model.Conflict, "mac_address", "02:00:00:00:00:01 is taken by mac lease ml-a"},
		"unique values":        {creating(ipLease("il-b", "if-a", "ml-a", "nw-a", 1)), model.Conflict, "ipv4_address", "10.0.0.1, with network_uuid nw-a, is taken by ip lease il-a"},
		"unique in one":        {creating(network("nw-c", 9), network("nw-d", 9)), model.Conflict, "vni", "9 is taken by network nw-c"},
		"pair":                 {creating(wire("dpn-b")), model.RelationAlreadyExists, "network_uuid", "nw-a, with datapath_uuid dp-a, is taken by datapath network dpn-a"},
		"empty counts":         {creating(&model.InterfacePort{Meta: model.Meta{UUID: "ifp-b"}, InterfaceUUID: "if-a"}), model.Conflict, "datapath_uuid", "ifp-a"},
		"reference to nothing": {creating(macLease("ml-b", "if-x", 2)), model.UnknownUUIDResource, "interface_uuid", "if-x"},
		"check across objects": {creating(ipLease("il-b", "if-h", "ml-a", "nw-a", 2)), model.ArgumentError, "mac_lease_uuid", ""},
		"referrers of a changed object are checked": {func(tx *Tx) error {
			o, _ := tx.Get("ml-a")
			l := model.Clone(o.(*model.MACLease))
			l.InterfaceUUID = "if-h"
			return tx.Update(l)
		}, model.ArgumentError, "mac_lease_uuid", ""},
		"update of nothing": {func(tx *Tx) error { return tx.Update(network("nw-x", 1)) }, model.UnknownUUIDResource, "uuid", "nw-x"},
		"delete of nothing": {func(tx *Tx) error { _, err := tx.Delete("nw-x"); return err }, model.UnknownUUIDResource, "uuid", "nw-x"},
		"reference to what this transaction deletes": {func(tx *Tx) error {
			_, err := tx.Delete("if-a")
			return errors.Join(err, tx.Create(macLease("ml-b", "if-a", 2)))
		}, model.UnknownUUIDResource, "interface_uuid", "if-a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Update(t.Context(), test.f)
			e := refused(t, err, test.class, test.field)
			if !strings.Contains(e.Reason, test.text) {
				t.Errorf("reason %q, want %q", e.Reason, test.text)
			}
			var at *ObjectError
			if !errors.As(err, &at) || model.ByUUID(at.UUID) == nil {
				t.Errorf("the error does not say which object: %v", err)
			}
			if _, perr := s.Plan(t.Context(), test.f); perr == nil || perr.Error() != err.Error() {
				t.Errorf("Plan gives %v, Update %v", perr, err)
			}
		})
	}
	s.View(func(_ *span.Index, rev int64) {
		if rev != before {
			t.Errorf("refusals moved the revision from %d to %d", before, rev)
		}
	})
	consistent(t, s)
}

// Values may change hands within one transaction.
func TestSwapUnique(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 1), network("nw-b", 2))
	swap := func(tx *Tx) error {
		for uuid, vni := range map[string]uint32{"nw-a": 2, "nw-b": 1} {
			o, _ := tx.Get(uuid)
			n := model.Clone(o.(*model.Network))
			n.VNI = vni
			if err := tx.Update(n); err != nil {
				return err
			}
		}
		return nil
	}
	update(t, s, swap)
	update(t, s, func(tx *Tx) error { // deleted and made anew, with the same name
		if _, err := tx.Delete("nw-a"); err != nil {
			return err
		}
		if tx.ByUnique(model.Networks, "vni", "2") != nil {
			t.Error("a deleted object still has its value")
		}
		return tx.Create(network("nw-a", 2))
	})
	if n := get(s, "nw-a").(*model.Network); n.VNI != 2 || n.ID != 3 {
		t.Errorf("made anew: %+v", n)
	}
	consistent(t, s)
}

func TestReadsSeeOwnWrites(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, vif("if-a"), vif("if-b"), macLease("ml-a", "if-a", 1), macLease("ml-b", "if-a", 2))
	uuids := func(seq iter.Seq[model.Object]) (us []string) {
		for o := range seq {
			us = append(us, o.Base().UUID)
		}
		slices.Sort(us)
		return us
	}
	update(t, s, func(tx *Tx) error {
		o, _ := tx.Get("ml-b")
		moved := model.Clone(o.(*model.MACLease))
		moved.InterfaceUUID = "if-b"
		if err := errors.Join(tx.Update(moved), tx.Create(macLease("ml-c", "if-a", 3))); err != nil {
			return err
		}
		for iface, want := range map[string][]string{"if-a": {"ml-a", "ml-c"}, "if-b": {"ml-b"}} {
			if got := uuids(tx.Referrers(iface, "mac_leases.interface_uuid")); !slices.Equal(got, want) {
				t.Errorf("mac leases of %s: %v, want %v", iface, got, want)
			}
		}
		if got := uuids(slices.Values(tx.List(model.MACLeases))); !slices.Equal(got, []string{"ml-a", "ml-b", "ml-c"}) {
			t.Errorf("list: %v", got)
		}
		if o := tx.ByUnique(model.MACLeases, "mac", "02:00:00:00:00:03"); o == nil || o.Base().UUID != "ml-c" {
			t.Errorf("by unique: %v", o)
		}
		if o, _ := tx.Get("ml-c"); o == nil || !tx.Written() {
			t.Error("get")
		}
		return nil
	})
	update(t, s, func(tx *Tx) error { // a write that another undoes is none
		if err := tx.Create(vif("if-x")); err != nil {
			return err
		}
		if _, err := tx.Delete("if-x"); err != nil {
			return err
		}
		if tx.Written() {
			t.Error("nothing was written")
		}
		return nil
	})
}

func TestCascade(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, network("nw-a", 1), vif("if-a"), vif("if-b"), macLease("ml-a", "if-a", 1), macLease("ml-b", "if-b", 2),
		ipLease("il-a", "if-a", "ml-a", "nw-a", 1), ipLease("il-b", "if-b", "ml-b", "nw-a", 2))
	var deleted []string
	update(t, s, func(tx *Tx) (err error) {
		deleted, err = tx.Delete("if-a")
		return err
	})
	if want := []string{"if-a", "ml-a", "il-a"}; deleted[0] != "if-a" || !slices.Equal(slices.Sorted(slices.Values(deleted)), slices.Sorted(slices.Values(want))) {
		t.Errorf("deleted %v, want %v", deleted, want)
	}
	if get(s, "il-a") != nil || get(s, "il-b") == nil {
		t.Error("the wrong lease is gone")
	}
	consistent(t, s)
}

// The rule of a CNAME, which is alone at its name, looks at the records of that name alone, however many others the service has; it goes by what the transaction has written.
func TestAloneAtItsName(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	create(t, s, append(dnsService(), dnsRecord("dnsr-a", "a.example"))...)
	cname := func(uuid, name string) *model.DNSRecord {
		r := dnsRecord(uuid, name)
		r.Type, r.Text, r.Target = model.RecordCNAME, "", "other.example"
		return r
	}
	looks := func() int {
		tx, err := s.run(creating(dnsRecord("", "new.example")))
		if err != nil {
			t.Fatal(err)
		}
		return tx.guards.len()
	}
	few := looks()
	addRecords(t, s, 0, 10_000)
	if many := looks(); many != few {
		t.Errorf("a creation looks at %d things with 10,000 records, at %d with one", many, few)
	}
	_, err := s.Update(t.Context(), creating(cname("", "a.example")))
	refused(t, err, model.ArgumentError, "type")
	_, err = s.Update(t.Context(), creating(cname("", "c.example"), dnsRecord("", "c.example")))
	refused(t, err, model.ArgumentError, "type")
	_, err = s.Update(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Create(cname("dnsr-c", "n1.example")), tx.Update(dnsRecord("dnsr-a", "n2.example")))
	})
	refused(t, err, model.ArgumentError, "type")
	update(t, s, func(tx *Tx) error { // the name becomes free in the same transaction
		return errors.Join(tx.Create(cname("dnsr-c", "a.example")), tx.Update(dnsRecord("dnsr-a", "b.example")))
	})
	_, err = s.Update(t.Context(), func(tx *Tx) error { return tx.Update(dnsRecord("dnsr-a", "a.example")) })
	refused(t, err, model.ArgumentError, "name")
	consistent(t, s)
}

// seqs is a set of objects with made-up references, for rules that no resource of the model has yet.
type seqs map[string][]model.Object

func (s seqs) Referrers(uuid, ref string) iter.Seq[model.Object] {
	return slices.Values(s[uuid+" "+ref])
}

func TestPlanDeletion(t *testing.T) {
	port := model.InterfacePorts
	ref := func(name, field string, to *model.Resource, d model.OnDelete) model.Reference {
		f := *port.Field(field)
		f.OnDelete = d
		return model.Reference{Name: name, From: port, Field: &f, To: to}
	}
	p := &model.InterfacePort{Meta: model.Meta{UUID: "ifp-a"}, InterfaceUUID: "if-a", DatapathUUID: "dp-a"}
	rd := seqs{"if-a i": {p}, "dp-a d": {p}}
	for name, test := range map[string]struct {
		onInterface, onDatapath model.OnDelete
		uuid                    string
		deleted, cleared        []string
		refused                 string
	}{
		"cascade":  {model.Cascade, model.Restrict, "if-a", []string{"if-a", "ifp-a"}, nil, ""},
		"restrict": {model.Cascade, model.Restrict, "dp-a", nil, nil, "dp-a is in use: datapath_uuid of interface port ifp-a"},
		"clear":    {model.Cascade, model.Clear, "dp-a", []string{"dp-a"}, []string{"ifp-a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			refs := []model.Reference{ref("i", "interface_uuid", model.Interfaces, test.onInterface), ref("d", "datapath_uuid", model.Datapaths, test.onDatapath)}
			d, err := planDeletion(rd, refs, test.uuid)
			if test.refused != "" {
				if e := refused(t, err, model.Conflict, "uuid"); e.Reason != test.refused {
					t.Errorf("reason %q, want %q", e.Reason, test.refused)
				}
				return
			}
			if err != nil || !slices.Equal(d.deleted, test.deleted) {
				t.Errorf("deleted %v, %v; want %v", d.deleted, err, test.deleted)
			}
			var cleared []string
			for _, o := range d.cleared {
				cleared = append(cleared, o.Base().UUID)
				if o.(*model.InterfacePort).DatapathUUID != "" || p.DatapathUUID == "" {
					t.Errorf("cleared %+v of %+v", o, p)
				}
			}
			if !slices.Equal(cleared, test.cleared) {
				t.Errorf("cleared %v, want %v", cleared, test.cleared)
			}
		})
	}
}

func TestPlanCommitsNothing(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	n := network("", 1)
	var before, after int64
	s.View(func(_ *span.Index, rev int64) { before = rev })
	rev, err := s.Plan(t.Context(), func(tx *Tx) error { return tx.Create(n) })
	s.View(func(x *span.Index, rev int64) { after = rev })
	if err != nil || rev != before || after != before || n.ID != 0 || n.UUID == "" || get(s, n.UUID) != nil {
		t.Errorf("planned %+v at revision %d (%v), before %d, after %d", n.Meta, rev, err, before, after)
	}
}

func TestTooLarge(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()}, func(s *Store) { s.maxOps = 100 })
	many := func(n int) func(tx *Tx) error {
		return func(tx *Tx) error {
			for range n {
				if err := tx.Create(vif("")); err != nil {
					return err
				}
			}
			return nil
		}
	}
	_, err := s.Update(t.Context(), many(100))
	refused(t, err, model.ArgumentError, "")
	update(t, s, many(99)) // and the head
	consistent(t, s)
}

func TestFunctionsErrorIsReturned(t *testing.T) {
	s, _ := run(t, Options{Dir: t.TempDir()})
	mine := errors.New("mine")
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return errors.Join(tx.Create(vif("if-a")), mine) }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	if get(s, "if-a") != nil {
		t.Error("written in spite of the error")
	}
	create(t, s, vif("if-a"))
	if _, err := s.Update(t.Context(), func(tx *Tx) error {
		o, _ := tx.Get("if-a")
		return tx.Update(o)
	}); err == nil {
		t.Error("an object that was not cloned is accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Update(ctx, creating(vif("if-b"))); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}
