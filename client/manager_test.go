package client_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

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
