package bpf

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkGuest gives the kernel's own time per frame, without the system call. Frames that come out as they went in are
// run over and over. An answered request is no request any more, so it is run once per call, and the median stands for
// it; the time of a clock reading, which is in it, is that of "once/not ARP" less that of "repeated/not ARP".
func BenchmarkGuest(b *testing.B) {
	k := loadWorld(b)
	notARP := arpFrame{spa: mine, tpa: peers}.bytes(b)
	notARP[12], notARP[13] = 0x88, 0xb5
	ask6 := ndFrame{src6: mine6, target: peers6}.bytes(b)
	tcp6 := append(ask6[:len(ask6):len(ask6)], make([]byte, 1400)...)
	tcp6[20] = 6
	cases := []struct {
		name   string
		frame  []byte
		repeat int
	}{
		{"repeated/not ARP", notARP, 10000},
		{"repeated/unknown target", arpFrame{spa: mine, tpa: unknown}.bytes(b), 10000},
		{"repeated/spoofed sender", arpFrame{spa: peers, tpa: unknown}.bytes(b), 10000},
		{"repeated/TCP over IPv6", tcp6, 10000},
		{"repeated/unknown IPv6 target", ndFrame{src6: mine6, target: unknown6}.bytes(b), 10000},
		{"repeated/spoofed IPv6 sender", ndFrame{src6: peers6, target: unknown6}.bytes(b), 10000},
		{"once/not ARP", notARP, 1},
		{"once/answered", arpFrame{spa: mine, tpa: peers}.bytes(b), 1},
		{"once/solicitation answered", ask6, 1},
	}
	for _, program := range []string{GuestXDP, GuestTC} {
		for _, c := range cases {
			b.Run(program+"/"+c.name, func(b *testing.B) {
				var times []time.Duration
				for b.Loop() {
					_, d, err := k.Programs[program].Benchmark(c.frame, c.repeat, nil)
					if err != nil {
						b.Fatal(err)
					}
					times = append(times, d)
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2]), "ns/frame")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
