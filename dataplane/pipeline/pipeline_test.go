package pipeline_test

import (
	"strings"
	"testing"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

func TestDeclarationIsSound(t *testing.T) {
	for _, a := range pipeline.Registers() {
		for _, b := range pipeline.Registers() {
			if a.Name != b.Name && a.Bits.Field == b.Bits.Field && a.Bits.Ofs < b.Bits.Ofs+b.Bits.Bits && b.Bits.Ofs < a.Bits.Ofs+a.Bits.Bits {
				t.Errorf("registers %s and %s share bits", a.Name, b.Name)
			}
		}
	}
	ids := map[uint8]string{}
	for _, tab := range pipeline.Tables() {
		if ids[tab.ID] != "" {
			t.Errorf("tables %s and %s share id %d", tab.Name, ids[tab.ID], tab.ID)
		}
		ids[tab.ID] = tab.Name
		if tab.Doc == "" {
			t.Errorf("table %s says nothing of itself", tab.Name)
		}
	}
	for _, tab := range pipeline.Tables() {
		for _, id := range tab.Next {
			if ids[id] == "" || id <= tab.ID {
				t.Errorf("table %s goes on to %d, which is not a later table", tab.Name, id)
			}
		}
	}
	for _, r := range reason.All() {
		if r.String() == "" || r.Doc() == "" {
			t.Errorf("reason %d has no name or no meaning", r)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	goOn := flow.GotoTable{Table: pipeline.GuardMAC.ID}
	for _, tc := range []struct {
		name, want string
		build      func(*pipeline.Builder)
	}{
		{"a field that the table does not match", "not declared to match", func(b *pipeline.Builder) {
			b.Flow(pipeline.Classify, 1, pipeline.Preds{flow.EthSrc.Is(1)}, goOn)
		}},
		{"a register that the table does not match", "not declared to match", func(b *pipeline.Builder) {
			b.Flow(pipeline.GuardMAC, 1, pipeline.Preds{pipeline.Egress.Is(1)})
		}},
		{"a register that the table does not set", "not declared to set", func(b *pipeline.Builder) {
			b.Flow(pipeline.Classify, 1, pipeline.Preds{flow.InPort.Is(1)}, pipeline.Egress.Set(1), goOn)
		}},
		{"a field that the table does not set", "not declared to set", func(b *pipeline.Builder) {
			b.Flow(pipeline.Classify, 1, pipeline.Preds{flow.InPort.Is(1)}, flow.SetField(flow.EthSrc.Is(1)), goOn)
		}},
		{"a table that is not a next one", "not declared to go on", func(b *pipeline.Builder) {
			b.Flow(pipeline.Classify, 1, pipeline.Preds{flow.InPort.Is(1)}, flow.GotoTable{Table: pipeline.L2.ID})
		}},
		{"output where packets do not leave", "not declared to let packets out", func(b *pipeline.Builder) {
			b.Flow(pipeline.L2, 1, nil, flow.Output{Port: 1})
		}},
		{"a mark", "not declared to set ct_mark", func(b *pipeline.Builder) {
			b.Flow(pipeline.OutRules, 1, nil, flow.CT{Commit: true, Exec: []flow.Action{flow.SetField(flow.CTMark.Is(1))}})
		}},
		{"an action of no use here", "not one that the pipeline uses", func(b *pipeline.Builder) {
			b.Flow(pipeline.L2, 1, nil, flow.Exit{})
		}},
		{"an owner that no cookie has room for", "the most that a cookie has room for", func(b *pipeline.Builder) {
			*b = *pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: pipeline.MaxOwnerID + 1})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
			tc.build(b)
			if err := b.Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
			if len(b.Flows()) != 0 {
				t.Errorf("the flow was made all the same")
			}
		})
	}
}
