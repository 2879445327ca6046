package api_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/manager/api"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// memory is a store in memory with so many interfaces, each with a port, a MAC lease and an IP lease.
type memory struct{ x *span.Index }

func newMemory(n int) memory {
	g := graph.New()
	g.Put(&model.Network{Meta: model.Meta{UUID: "nw-a", ID: 1}, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 8})
	for i := range n {
		meta := func(prefix string) model.Meta {
			return model.Meta{UUID: fmt.Sprintf("%s-%d", prefix, i), ID: uint32(i + 1), Revision: int64(i + 1)}
		}
		uuid, addr := fmt.Sprintf("if-%d", i), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		g.Put(&model.Interface{Meta: meta("if"), Mode: model.InterfaceVIF})
		g.Put(&model.InterfacePort{Meta: meta("ifp"), InterfaceUUID: uuid, PortName: uuid})
		g.Put(&model.MACLease{Meta: meta("ml"), InterfaceUUID: uuid, MACAddress: model.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}})
		g.Put(&model.IPLease{Meta: meta("il"), InterfaceUUID: uuid, MACLeaseUUID: fmt.Sprintf("ml-%d", i), NetworkUUID: "nw-a", IPv4Address: addr})
	}
	return memory{span.New(g)}
}

func (m memory) View(f func(x *span.Index, rev int64)) { f(m.x, 1) }

func (memory) Watch(context.Context, int64) iter.Seq2[store.Batch, error] {
	return func(func(store.Batch, error) bool) {}
}

func (m memory) handler(t testing.TB) http.Handler {
	t.Helper()
	h, err := api.New(api.Options{UseCases: broken{}, Reader: m, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return access.Insecure(h)
}

// What a read costs does not depend on how much there is beside it.
func TestCostOfReads(t *testing.T) {
	small, large := newMemory(100).handler(t), newMemory(10_000).handler(t)
	for _, path := range []string{
		"/interfaces", "/interfaces?limit=30&offset=60", "/interfaces/if-7", "/interfaces?uuid=if-7", "/ip_leases?interface_uuid=if-7", "/interfaces/if-7/ports",
		"/interfaces/if-7/networks/nw-a", "/networks/nw-a",
	} {
		read := func(h http.Handler) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/1.0"+path, nil))
			if w.Code >= 500 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		// The least of several: what else runs in the process allocates too.
		allocations := func(h http.Handler) float64 {
			least := math.Inf(1)
			for range 5 {
				least = min(least, testing.AllocsPerRun(2, func() { read(h) }))
			}
			return least
		}
		if a, b := allocations(small), allocations(large); b > a*1.2+20 {
			t.Errorf("%s: %v allocations with 100 interfaces, %v with 10,000", path, a, b)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	h := newMemory(100_000).handler(b)
	for _, path := range []string{"/interfaces/if-7", "/interfaces?limit=30", "/interfaces?limit=30&offset=90000", "/interfaces?mode=vif", "/interfaces?network_uuid=nw-a",
		"/ip_leases?network_uuid=nw-a", "/interfaces?port_name=if-77", "/interfaces?labels=a=b"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/1.0"+path, nil))
				if w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
