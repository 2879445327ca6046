package services

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model"
)

// metadata4 is where guests ask for their metadata; it is on their link.
var metadata4 = model.MetadataIPv4()

const (
	httpPort     = 80
	metadataPath = "/latest/meta-data/local-ipv4" // the guest's own address
)

// openMetadata asks over HTTP, with a connection for each question.
func openMetadata(guest, outstanding int) ([]line, error) {
	return newConnections(exchange{
		to:    &unix.SockaddrInet4{Port: httpPort, Addr: metadata4.As4()},
		text:  fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", metadataPath, metadata4),
		whole: func(b []byte) (bool, error) { return readHTTP(b, guest4(guest).String()) },
	}, outstanding)
}

// routeMetadata makes the address reachable on a guest's link.
func routeMetadata(h *netlink.Handle, nic netlink.Link) error {
	return h.RouteReplace(&netlink.Route{
		LinkIndex: nic.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: metadata4.AsSlice(), Mask: net.CIDRMask(32, 32)},
	})
}

// ServeWeb is what metadata is measured beside: it tells everybody who asks at the address its own, until ctx ends. It is meant for a process of its own.
func ServeWeb(ctx context.Context, address string) error {
	mux := http.NewServeMux()
	mux.HandleFunc(metadataPath, func(w http.ResponseWriter, r *http.Request) {
		if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			fmt.Fprint(w, a.Addr())
		}
	})
	s := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ListenAndServe(); ctx.Err() == nil {
		return fmt.Errorf("serve %s: %w", address, err)
	}
	return nil
}
