package conn

import (
	"runtime"
	"testing"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// guardFlow is a flow like those of port security: six predicates, four actions.
func guardFlow(i int) flow.Flow {
	mac := [6]byte{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	m, err := flow.NewMatch(
		flow.Reg(0).Bits(0, 24).Is(uint64(i%1000)), flow.Reg(2).Is(uint64(i)), flow.EthSrc.MAC(mac),
		flow.EthType.Is(0x800), flow.IPv4Src.Is(0x0a000000+uint64(i)), flow.Metadata.Masked(1, 1),
	)
	if err != nil {
		panic(err)
	}
	a, err := flow.NewActions(
		flow.Load(flow.Reg(1).Bits(0, 24), uint64(i%1000)), flow.SetField(flow.EthDst.MAC(mac)),
		flow.Output{Port: flow.Port(1 + i%100)}, flow.GotoTable{Table: 20},
	)
	if err != nil {
		panic(err)
	}
	return flow.Flow{Table: 10, Priority: 100, Cookie: uint64(i), Match: m, Actions: a}
}

func guardMods(n int) []ofp.Message {
	mods := make([]ofp.FlowMod, n)
	msgs := make([]ofp.Message, n)
	for i := range mods {
		mods[i].Flow = guardFlow(i)
		msgs[i] = &mods[i]
	}
	return msgs
}

// BenchmarkPrivilegedBundle100k builds 100,000 flows and installs them as one bundle in a real switch.
func BenchmarkPrivilegedBundle100k(b *testing.B) {
	s := newSandbox(b)
	c := s.dial(Options{})
	for b.Loop() {
		msgs := guardMods(100_000)
		if err := c.Bundle(b.Context(), msgs, BundleOptions{Atomic: true}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		explainBench(b, c.Send(b.Context(), []ofp.Message{
			&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}},
		}))
		b.StartTimer()
	}
}

// BenchmarkPrivilegedBundle5 is the latency of a small change beside 100,000 flows.
func BenchmarkPrivilegedBundle5(b *testing.B) {
	s := newSandbox(b)
	c := s.dial(Options{})
	explainBench(b, c.Bundle(b.Context(), guardMods(100_000), BundleOptions{Atomic: true}))
	msgs := guardMods(5)
	for b.Loop() {
		explainBench(b, c.Bundle(b.Context(), msgs, BundleOptions{Atomic: true}))
	}
}

// BenchmarkPrivilegedSend100k installs them one by one.
func BenchmarkPrivilegedSend100k(b *testing.B) {
	s := newSandbox(b)
	c := s.dial(Options{})
	msgs := guardMods(100_000)
	for b.Loop() {
		explainBench(b, c.Send(b.Context(), msgs))
		b.StopTimer()
		explainBench(b, c.Send(b.Context(), []ofp.Message{
			&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}},
		}))
		b.StartTimer()
	}
}

// BenchmarkPrivilegedDump100k reads 100,000 flows back.
func BenchmarkPrivilegedDump100k(b *testing.B) {
	s := newSandbox(b)
	c := s.dial(Options{})
	explainBench(b, c.Bundle(b.Context(), guardMods(100_000), BundleOptions{Atomic: true}))
	for b.Loop() {
		var flows []flow.Flow
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var err error
		if flows, err = c.DumpFlows(b.Context(), FlowFilter{}); err != nil || len(flows) != 100_000 {
			b.Fatal(len(flows), err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(len(flows)), "B/flow")
		runtime.KeepAlive(flows)
	}
}

func explainBench(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
