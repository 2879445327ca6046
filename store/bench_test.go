package store

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
)

// guest gives what one guest's interface consists of.
func guest(n int) []model.Object {
	suffix := fmt.Sprintf("%d", n)
	return []model.Object{
		vif("if-" + suffix),
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + suffix}, InterfaceUUID: "if-" + suffix, PortName: "tap" + suffix},
		macLease("ml-"+suffix, "if-"+suffix, uint32(n)),
		ipLease("il-"+suffix, "if-"+suffix, "ml-"+suffix, fmt.Sprintf("nw-%d", n/1000), uint16(n%1000+1)),
	}
}

func networks(b *testing.B, s *Store, guests int) {
	var nws []model.Object
	for n := range guests/1000 + 1 {
		nws = append(nws, network(fmt.Sprintf("nw-%d", n), uint32(n+1)))
	}
	create(b, s, nws...)
}

// BenchmarkRecord makes a record of a service that has so many already, but for the commit.
func BenchmarkRecord(b *testing.B) {
	s, _ := run(b, Options{Dir: b.TempDir()})
	create(b, s, dnsService()...)
	had := 0
	for _, records := range []int{10, 1000, 10_000} {
		addRecords(b, s, had, records)
		had = records
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.run(creating(dnsRecord("", "new.example"))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCreate makes guests' interfaces of four objects, one transaction each.
func BenchmarkCreate(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", workers), func(b *testing.B) {
			s, _ := run(b, Options{Dir: b.TempDir()})
			networks(b, s, b.N)
			var next atomic.Int64
			var mu sync.Mutex
			times := make([]time.Duration, 0, b.N)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range workers {
				wg.Go(func() {
					for n := int(next.Add(1) - 1); n < b.N; n = int(next.Add(1) - 1) {
						start := time.Now()
						if _, err := s.Update(b.Context(), creating(guest(n)...)); err != nil {
							b.Error(err)
							return
						}
						took := time.Since(start)
						mu.Lock()
						times = append(times, took)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(times)
			b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkLarge makes guests' interfaces in one transaction.
func BenchmarkLarge(b *testing.B) {
	for _, guests := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("interfaces=%d", guests), func(b *testing.B) {
			s, _ := run(b, Options{Dir: b.TempDir()})
			networks(b, s, guests*b.N)
			b.ResetTimer()
			for k := range b.N {
				update(b, s, func(tx *Tx) error {
					for n := range guests {
						if err := creating(guest(k*guests + n)...)(tx); err != nil {
							return err
						}
					}
					return nil
				})
			}
		})
	}
}

// BenchmarkOpen starts a store that holds 100,000 interfaces, 400,000 objects.
func BenchmarkOpen(b *testing.B) {
	const guests, each = 25_000, 2500
	dir := b.TempDir()
	s, end := run(b, Options{Dir: dir})
	networks(b, s, guests)
	for k := range guests / each {
		update(b, s, func(tx *Tx) error {
			for n := range each {
				if err := creating(guest(k*each + n)...)(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	end()
	var loading time.Duration
	b.ResetTimer()
	for range b.N {
		s, err := Open(b.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		start := time.Now()
		if _, err := s.load(b.Context()); err != nil {
			b.Fatal(err)
		}
		loading += time.Since(start)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(loading.Seconds()/float64(b.N), "load-s")
}
