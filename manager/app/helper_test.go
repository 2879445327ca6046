package app_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
	"github.com/openvnet/openvnet/store/storetest"
)

// cases are the use cases on a store of the test's own, with shorthands that fail the test.
type cases struct {
	*app.App
	t     testing.TB
	store *store.Store
}

func newCases(t testing.TB) *cases {
	t.Helper()
	s := storetest.Open(t, "")
	c := &cases{App: newApp(s), t: t, store: s}
	if err := c.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func newApp(s *store.Store) *app.App { return app.New(s, slog.New(slog.DiscardHandler)) }

// world makes what most tests stand on: a datapath with its host interface in an underlay, and a virtual network.
func (c *cases) world() {
	c.t.Helper()
	c.create(model.Datapaths, app.Params{"uuid": "dp-a", "display_name": "a", "dpid": "0xa", "node_id": "a"})
	c.create(model.Datapaths, app.Params{"uuid": "dp-b", "display_name": "b", "dpid": "0xb", "node_id": "b"})
	c.create(model.Networks, app.Params{"uuid": "nw-v", "ipv4_network": "10.1.0.0", "ipv4_prefix": "16", "ipv6_network": "fd00::"})
	c.create(model.Networks, app.Params{"uuid": "nw-p", "ipv4_network": "172.16.0.0", "mode": "physical"})
	c.create(model.Interfaces, app.Params{"uuid": "if-host", "mode": "host", "owner_datapath_uuid": "dp-a", "port_name": "eth0",
		"network_uuid": "nw-p", "ipv4_address": "172.16.0.10", "mac_address": "02:01:00:00:00:01"})
}

func (c *cases) create(r *model.Resource, p app.Params) *app.Result {
	c.t.Helper()
	res, err := c.Create(c.t.Context(), r, p, app.Write{})
	if err != nil {
		c.t.Fatalf("create %s %v: %v", r.Name, p, err)
	}
	return res
}

func (c *cases) update(r *model.Resource, uuid string, p app.Params) *app.Result {
	c.t.Helper()
	res, err := c.Update(c.t.Context(), r, uuid, p, app.Write{})
	if err != nil {
		c.t.Fatalf("update %s %v: %v", uuid, p, err)
	}
	return res
}

func (c *cases) delete(r *model.Resource, uuid string) []string {
	c.t.Helper()
	res, err := c.Delete(c.t.Context(), r, uuid, app.Write{})
	if err != nil {
		c.t.Fatalf("delete %s: %v", uuid, err)
	}
	return res.Deleted
}

func (c *cases) apply(docs ...app.Document) *app.Result {
	c.t.Helper()
	res, err := c.Apply(c.t.Context(), docs, app.ApplyOptions{})
	if err != nil {
		c.t.Fatalf("apply: %v", err)
	}
	return res
}

// unchanged fails the test if f commits anything.
func (c *cases) unchanged(f func()) {
	c.t.Helper()
	before := c.revision()
	f()
	if now := c.revision(); now != before {
		c.t.Fatalf("the store went from revision %d to %d", before, now)
	}
}

func (c *cases) revision() (rev int64) {
	c.store.View(func(_ *span.Index, r int64) { rev = r })
	return rev
}

func (c *cases) has(uuid string) (ok bool) {
	c.store.View(func(x *span.Index, _ int64) { _, ok = x.Graph().Get(uuid) })
	return ok
}

// get gives an object of the store, the test's failure if there is none.
func get[T model.Object](c *cases, uuid string) (o T) {
	c.t.Helper()
	var ok bool
	c.store.View(func(x *span.Index, _ int64) { o, ok = graph.Lookup[T](x.Graph(), uuid) })
	if !ok {
		c.t.Fatalf("there is no %s", uuid)
	}
	return o
}

func children[T model.Object](c *cases, uuid, ref string) (os []T) {
	c.store.View(func(x *span.Index, _ int64) { os = graph.Children[T](x.Graph(), uuid, ref) })
	return os
}

// one gives the only child.
func one[T model.Object](c *cases, uuid, ref string) T {
	c.t.Helper()
	os := children[T](c, uuid, ref)
	if len(os) != 1 {
		c.t.Fatalf("%d %s of %s, not 1", len(os), ref, uuid)
	}
	return os[0]
}

// refused fails the test unless err is a refusal of that class and field whose reason has the text in it.
func (c *cases) refused(err error, class model.Class, field, text string) {
	c.t.Helper()
	var e *model.Error
	switch {
	case err == nil:
		c.t.Errorf("not refused; want %s of %s: %s", class.Name, field, text)
	case !errors.As(err, &e):
		c.t.Errorf("%v is no refusal", err)
	case e.Class != class || e.Field != field || !strings.Contains(e.Reason, text):
		c.t.Errorf("refused with %s of %s: %s\nwant %s of %s: %s", e.Class.Name, e.Field, e.Reason, class.Name, field, text)
	}
}

func doc(r *model.Resource, p app.Params) app.Document { return app.Document{Resource: r, Params: p} }
