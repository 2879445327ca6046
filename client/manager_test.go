package client_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/manager/api/apitest"
	"github.com/openvnet/openvnet/model"
)

// The client against the manager's own Web API.
func TestWithManager(t *testing.T) {
	m := apitest.Start(t)
	c, err := client.New(client.Options{Server: m.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	nw, err := client.Create[model.Network](ctx, c, client.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"})
	if err != nil || nw.Object.UUID != "nw-a" || nw.Object.VNI == 0 || nw.Object.Revision == 0 {
		t.Fatalf("%+v, %v", nw, err)
	}
	docs := client.Documents{}
	for n := range 1500 {
		docs["interfaces"] = append(docs["interfaces"], client.Params{"uuid": fmt.Sprintf("if-%d", n), "mode": "vif"})
	}
	applied, err := c.With(client.Write{Wait: 10 * time.Second}).Apply(ctx, docs)
	if err != nil || len(applied.Items) != 1500 || !applied.Applied || applied.Items[1499].UUID != "if-1499" || applied.Items[0].Action != "created" {
		t.Fatalf("apply: %v", err)
	}
	n := 0
	for i, err := range client.List[model.Interface](ctx, c, nil) {
		if err != nil || i.Object.UUID != fmt.Sprintf("if-%d", n) {
			t.Fatalf("item %d: %+v, %v", n, i, err)
		}
		n++
	}
	if n != 1500 {
		t.Errorf("%d interfaces", n)
	}
	for i, err := range client.List[model.Interface](ctx, c, client.Params{"uuid": "if-7"}) {
		if err != nil || i.Object.UUID != "if-7" {
			t.Errorf("%+v, %v", i, err)
		}
	}
	up, err := client.Update[model.Network](ctx, c.With(client.Write{IfMatch: nw.Object.Revision}), "nw-a", client.Params{"display_name": "b"})
	if err != nil || up.Object.DisplayName != "b" || up.Object.Revision <= nw.Object.Revision {
		t.Errorf("%+v, %v", up, err)
	}
	got, err := client.Get[model.Network](ctx, c, "nw-a")
	if err != nil || !model.Equal(&up.Object, &got.Object) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Delete(ctx, "nw-a"); err != nil {
		t.Error(err)
	}
	var refused *client.Error
	if _, err := client.Get[model.Network](ctx, c, "nw-a"); !errors.As(err, &refused) || refused.Class != model.UnknownUUIDResource.Name {
		t.Errorf("%v", err)
	}
}

// Plans, exports, events and actions against the manager's own Web API.
func TestDeclarativeWithManager(t *testing.T) {
	m := apitest.Start(t)
	c, err := client.New(client.Options{Server: m.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	docs := client.Documents{"networks": {{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}, {"uuid": "nw-b", "ipv4_network": "10.1.0.0"}}}
	pruning := c.With(client.Write{Prune: "app=shop"})
	plan, err := pruning.Plan(ctx, docs)
	if err != nil || len(plan.Items) != 2 || plan.Items[0].Action != client.Created {
		t.Fatalf("%+v, %v", plan, err)
	}
	applied, err := pruning.Apply(ctx, docs)
	if err != nil || applied.Items[1].UUID != "nw-b" {
		t.Fatalf("%+v, %v", applied, err)
	}
	docs["networks"] = []client.Params{{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "display_name": "x"}}
	plan, err = pruning.Plan(ctx, docs)
	if err != nil || len(plan.Items) != 2 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if d := cmp.Diff([]client.FieldChange{{Field: "display_name", From: "", To: "x"}}, plan.Items[0].Changes); d != "" || plan.Items[1].Action != client.Deleted {
		t.Errorf("%s, %+v", d, plan.Items[1])
	}
	if _, err := pruning.Apply(ctx, docs); err != nil {
		t.Fatal(err)
	}
	exported, err := c.Export(ctx, client.ExportOptions{Resources: []string{"networks"}, Labels: "app=shop"})
	if err != nil || len(exported["networks"]) != 1 || exported["networks"][0]["display_name"] != "x" {
		t.Errorf("%+v, %v", exported, err)
	}
	if plan, err = c.Plan(ctx, exported); err != nil || plan.Items[0].Action != client.Unchanged {
		t.Errorf("%+v, %v", plan, err)
	}

	var got []string
	for ev, err := range c.Watch(ctx, client.WatchOptions{Resources: []string{"networks"}, Since: applied.Revision}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.Type+" "+ev.UUID)
		if len(got) == 2 {
			break
		}
	}
	slices.Sort(got) // one transaction
	if d := cmp.Diff([]string{"delete nw-b", "upsert nw-a"}, got); d != "" {
		t.Error(d)
	}

	if _, err := client.Create[model.Interface](ctx, c, client.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.9"}); err != nil {
		t.Fatal(err)
	}
	il, err := client.Create[model.IPLease](ctx, c, client.Params{"network_uuid": "nw-a", "ipv4_address": "10.0.0.10"})
	if err != nil {
		t.Fatal(err)
	}
	il, err = c.AttachIPLease(ctx, il.Object.UUID, client.Params{"interface_uuid": "if-a"})
	if err != nil || il.Object.InterfaceUUID != "if-a" {
		t.Fatalf("%+v, %v", il, err)
	}
	if il, err = c.ReleaseIPLease(ctx, il.Object.UUID); err != nil || il.Object.InterfaceUUID != "" {
		t.Fatalf("%+v, %v", il, err)
	}
	_, err = c.Apply(ctx, client.Documents{
		"ip_range_groups":            {{"uuid": "iprg-a"}},
		"ip_ranges":                  {{"uuid": "ipr-a", "ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.0.0.20", "end_ipv4_address": "10.0.0.29"}},
		"lease_policies":             {{"uuid": "lp-a"}},
		"lease_policy_base_networks": {{"lease_policy_uuid": "lp-a", "network_uuid": "nw-a", "ip_range_group_uuid": "iprg-a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if il, err = c.AllocateIPLease(ctx, "lp-a", client.Params{"ip_lease_uuid": "il-pool"}); err != nil || il.Object.UUID != "il-pool" || il.Object.Addr().String() != "10.0.0.20" {
		t.Fatalf("%+v, %v", il, err)
	}
}
