package flow

import (
	"runtime"
	"testing"
)

// benchFlow is a flow like those of port security: six predicates, four actions.
func benchFlow(i int) Flow {
	mac := [6]byte{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	m, err := NewMatch(
		Reg(0).Bits(0, 24).Is(uint64(i%1000)), Reg(2).Is(uint64(i)), EthSrc.MAC(mac),
		EthType.Is(0x800), IPv4Src.Is(0x0a000000+uint64(i)), Metadata.Masked(1, 1),
	)
	if err != nil {
		panic(err)
	}
	a, err := NewActions(
		Load(Reg(1).Bits(0, 24), uint64(i%1000)), SetField(EthDst.MAC(mac)), Output{Port(1 + i%100)}, GotoTable{20},
	)
	if err != nil {
		panic(err)
	}
	return Flow{Table: 10, Priority: 100, Cookie: uint64(i), Match: m, Actions: a}
}

func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		benchFlow(i)
	}
}

func BenchmarkDecode(b *testing.B) {
	f := benchFlow(1)
	m, a := []byte(f.Match.Encoded()), []byte(f.Actions.Encoded())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMatch(m); err != nil {
			b.Fatal(err)
		}
		if _, err := DecodeActions(a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFormat(b *testing.B) {
	f := benchFlow(1)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendFormat(buf[:0], f, Names{})
	}
}

func BenchmarkParse(b *testing.B) {
	s := benchFlow(1).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(s, Names{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports what a flow takes in a slice, and in a map by its key.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	var before, slice, both runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		flows := make([]Flow, n)
		for i := range flows {
			flows[i] = benchFlow(i)
		}
		runtime.GC()
		runtime.ReadMemStats(&slice)
		byKey := make(map[Key]Flow, n)
		for _, f := range flows {
			byKey[f.Key()] = f
		}
		runtime.GC()
		runtime.ReadMemStats(&both)
		runtime.KeepAlive(flows)
		runtime.KeepAlive(byKey)
	}
	b.ReportMetric(float64(slice.HeapAlloc-before.HeapAlloc)/n, "B/flow")
	b.ReportMetric(float64(both.HeapAlloc-slice.HeapAlloc)/n, "B/mapentry")
}
