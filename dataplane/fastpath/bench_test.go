package fastpath

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/dataplane/state"
)

// BenchmarkAnswer is a closed loop of ARP requests by a guest: from the system call that sends to the one that has the answer.
func BenchmarkAnswer(b *testing.B) {
	for _, hook := range []state.FastHook{state.HookXDPGeneric, state.HookTC} {
		b.Run("veth/"+hook.String(), func(b *testing.B) {
			h := newHost(b)
			ifindex := h.addVeth(b, "v1", 1)
			answerLoop(b, h, h.socket(b, "eth-v1").fd, household("v1", ifindex, hook))
		})
	}
	for _, hook := range []state.FastHook{state.HookXDPNative, state.HookTC} {
		b.Run("tap/"+hook.String(), func(b *testing.B) {
			h := newHost(b)
			ifindex, fd := addTap(b, "tap1")
			answerLoop(b, h, int(fd.Fd()), household("tap1", ifindex, hook))
		})
	}
}

func answerLoop(b *testing.B, h *host, fd int, items state.Items) {
	b.Helper()
	d := h.open(b)
	_, err := d.Sync(b.Context(), stateOf(b, items))
	check(b, err)
	ask := request(b, 1, 2)
	frame := make([]byte, 2048)
	var times []time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := unix.Write(fd, ask); err != nil {
			b.Fatal(err)
		}
		n, err := unix.Read(fd, frame)
		if err != nil || n < 42 {
			b.Fatal(n, err)
		}
		times = append(times, time.Since(begin))
	}
	if mac, ok := answered(frame[:42]); !ok || mac != macOf(2) {
		b.Fatalf("%x", frame[:42])
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2])/1e3, "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100])/1e3, "p99-us")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

// BenchmarkScale: the cost of one more neighbor must not grow with the number of them; that of a Sync does.
func BenchmarkScale(b *testing.B) {
	for _, n := range []uint32{1000, 100000} {
		items := state.Items{}
		for i := range n {
			items.Neighbors = append(items.Neighbors, state.Neighbor{Network: 1 + i>>16, Addr: addr(i & 0xffff), MAC: macOf(i), Interface: i})
		}
		h := newHost(b)
		d := h.open(b)
		s := stateOf(b, items)
		_, err := d.Sync(b.Context(), s)
		check(b, err)
		b.Run(fmt.Sprintf("sync of the same/%d", n), func(b *testing.B) {
			for b.Loop() {
				if w, err := d.Sync(b.Context(), s); err != nil || w != (Work{}) {
					b.Fatal(w, err)
				}
			}
		})
		b.Run(fmt.Sprintf("one more/%d", n), func(b *testing.B) {
			one := state.Neighbor{Network: 99, Addr: addr(1), MAC: macOf(1)}
			c := &state.Changes{}
			c.Neighbors.Set = map[state.NeighborKey]state.Neighbor{one.Key(): one}
			for b.Loop() {
				if _, err := d.Apply(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("first sync/%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				check(b, d.Close())
				check(b, Remove(h.dir))
				d = h.open(b)
				b.StartTimer()
				if _, err := d.Sync(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
