package sync

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// BenchmarkChange measures one change in a network of 1,000 interfaces on three hosts: from the commit to its arrival at the
// host's reader, and from the last acknowledgement to the return of Wait. Agents are spoken by hand, in this process.
func BenchmarkChange(b *testing.B) {
	w := newWorld(b, calm)
	w.commit(network(1))
	var batch []graph.Change
	for n := range 1000 {
		batch = append(batch, guest(n, fmt.Sprintf("dp-%d", n%3), "nw-1")...)
	}
	w.commit(batch...)
	type arrival struct {
		agent *agent
		at    time.Time
	}
	arrivals := make(chan arrival, 10)
	var wg sync.WaitGroup
	var agents []*agent
	for n := range 3 {
		a := w.dial(b, n+1, "a")
		_, rev := a.snapshot()
		a.ack(rev)
		agents = append(agents, a)
		wg.Go(func() {
			for {
				m, err := a.next()
				if err != nil {
					return
				}
				if m.Delta != nil {
					arrivals <- arrival{a, time.Now()}
				}
			}
		})
	}
	w.connected(b, 3)
	var deliveries, returns []time.Duration
	for n := range b.N {
		began := time.Now()
		rev := w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-1", ID: 1}, Mode: model.InterfaceVIF, DisplayName: fmt.Sprint(n)}))
		waited := make(chan time.Time)
		go func() {
			if err := w.hub.Wait(context.Background(), rev, []string{"if-1"}); err != nil {
				b.Error(err)
			}
			waited <- time.Now()
		}()
		var got []*agent
		for range 3 {
			a := <-arrivals
			deliveries = append(deliveries, a.at.Sub(began))
			got = append(got, a.agent)
		}
		var last time.Time
		for _, a := range got {
			last = time.Now()
			a.ack(rev)
		}
		returns = append(returns, (<-waited).Sub(last))
	}
	quantiles(b, "delivery", deliveries)
	quantiles(b, "wait", returns)
	for _, a := range agents {
		a.hangUp()
	}
	wg.Wait()
}

func quantiles(b *testing.B, name string, ds []time.Duration) {
	slices.Sort(ds)
	b.ReportMetric(float64(ds[len(ds)/2].Microseconds()), name+"_p50_us")
	b.ReportMetric(float64(ds[len(ds)*99/100].Microseconds()), name+"_p99_us")
}

// BenchmarkFanOut measures one change that 1,000 connected hosts of one network have to be told, until all have
// acknowledged it; and once, how long they take to come back after a restart of the manager.
func BenchmarkFanOut(b *testing.B) {
	const hosts = 1000
	w := newWorld(b, calm)
	w.commit(network(1))
	var batch []graph.Change
	for n := 1; n <= hosts; n++ {
		uuid := fmt.Sprintf("dp-%d", n-1)
		batch = append(batch, write(&model.Datapath{Meta: model.Meta{UUID: uuid, ID: uint32(n)}, DPID: model.DPID(n), NodeID: "n"}))
		batch = append(batch, guest(n, uuid, "nw-1")...)
	}
	w.commit(batch...)
	began := time.Now()
	agents := make([]*replica, hosts)
	var wg sync.WaitGroup
	for part := range 16 {
		wg.Go(func() {
			for n := part; n < hosts; n += 16 {
				agents[n] = w.follower(b, n+1, "a", true)
			}
		})
	}
	wg.Wait()
	w.connected(b, hosts)
	joined := time.Since(began)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	var commits, all []time.Duration
	for n := 0; b.Loop(); n++ {
		began := time.Now()
		rev := w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-1", ID: 1}, Mode: model.InterfaceVIF, DisplayName: fmt.Sprint(n)}))
		commits = append(commits, time.Since(began))
		if err := w.hub.Wait(context.Background(), rev, []string{"if-1"}); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(began))
	}
	b.ReportMetric(float64(joined.Milliseconds()), "join_all_ms")
	b.ReportMetric(float64(m.HeapAlloc>>20), "heap_MiB")
	quantiles(b, "observe", commits)
	quantiles(b, "all_acked", all)
}
