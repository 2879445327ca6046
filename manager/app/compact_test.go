package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/compact"
	"github.com/openvnet/openvnet/store/storetest"
)

// The compact documents apply, a second time change nothing, and go without a trace when they are pruned.
func TestApplyCompact(t *testing.T) {
	const testdata = "../../model/compact/testdata/"
	for _, file := range []string{testdata + "minimal.yaml", testdata + "names.yaml", testdata + "outside.yaml", testdata + "rules.yaml", "../../docs/examples/shop.yaml"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a := app.New(storetest.Open(t, ""), slog.New(slog.DiscardHandler))
			if err := a.Bootstrap(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, d := range []app.Document{ // what they name of outside
				{Resource: model.Tenants, Params: app.Params{"uuid": "tn-acme"}},
				{Resource: model.Topologies, Params: app.Params{"uuid": "topo-vnet", "mode": "simple_overlay"}},
				{Resource: model.Datapaths, Params: app.Params{"uuid": "dp-node1", "display_name": "a", "dpid": "0x1", "node_id": "a"}},
				{Resource: model.Datapaths, Params: app.Params{"uuid": "dp-edge", "display_name": "b", "dpid": "0x2", "node_id": "b"}},
				{Resource: model.Networks, Params: app.Params{"uuid": "nw-other", "ipv4_network": "198.18.0.0"}},
				{Resource: model.Networks, Params: app.Params{"uuid": "nw-wan", "ipv4_network": "198.18.1.0", "ipv6_network": "2001:db8::", "mode": "physical"}},
				{Resource: model.SecurityGroups, Params: app.Params{"uuid": "sg-shared", "display_name": "x"}},
				{Resource: model.SecurityGroups, Params: app.Params{"uuid": "sg-else", "display_name": "y"}},
				{Resource: model.Datapaths, Params: app.Params{"uuid": "dp-a", "display_name": "c", "dpid": "0x3", "node_id": "c"}},
				{Resource: model.Datapaths, Params: app.Params{"uuid": "dp-b", "display_name": "d", "dpid": "0x4", "node_id": "d"}},
			} {
				if _, err := a.Create(t.Context(), d.Resource, d.Params, app.Write{}); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			vs, err := document.YAML(text, document.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			expanded, err := compact.Expand(&vs[0])
			if err != nil {
				t.Fatal(err)
			}
			var docs []app.Document
			for _, d := range expanded {
				docs = append(docs, app.Document{Resource: d.Resource, Params: d.Params})
			}
			o := app.ApplyOptions{Prune: "virtual_network=" + vs[0].Members[0].Scalar.(string)}
			for again := range 2 {
				res, err := a.Apply(t.Context(), docs, o)
				if err != nil {
					t.Fatal(err)
				}
				for _, out := range res.Outcomes {
					if again > 0 && out.Action != app.Unchanged {
						t.Errorf("applied again: %s %s %v", out.Action, out.Object.Base().UUID, out.Changes)
					}
				}
			}
			res, err := a.Apply(t.Context(), nil, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Outcomes) != len(docs) {
				t.Errorf("%d of %d objects pruned", len(res.Outcomes), len(docs))
			}
		})
	}
}
