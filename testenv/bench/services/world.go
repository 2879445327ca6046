package services

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Both worlds, the lab and the bridge, have the same addresses, names and MAC addresses.
const (
	guestNIC = "eth0"
	domain   = "bench.internal"
	// maxGuests is how many have addresses.
	maxGuests = 1000
)

var (
	subnet4   = netip.MustParsePrefix("10.90.0.0/16")
	subnet6   = netip.MustParsePrefix("fd90::/64")
	server4   = netip.MustParseAddr("10.90.0.1")
	server6   = netip.MustParseAddr("fd90::1")
	serverMAC = model.MAC{2, 0x90, 0xff, 0, 0, 1}
)

func guestName(n int) string { return fmt.Sprintf("g%d", n) }
func guestMAC(n int) model.MAC {
	return model.MAC{2, 0x90, 0, 0, byte(n >> 8), byte(n)}
}

func guest4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 90, byte(1 + n>>8), byte(n)})
}

func guest6(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x90, 13: 1, 14: byte(n >> 8), 15: byte(n)})
}

// linkLocal is the address that an interface of Linux gives itself (RFC 4291, appendix A).
func linkLocal(m model.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// world is guests before a server.
type world interface {
	// do calls fn with the calling thread in a guest's network namespace.
	do(guest int, fn func() error) error
	// cpu gives the CPU time that each of the processes that answer has used.
	cpu() (map[string]time.Duration, error)
}

// lines opens sockets in the first guests.
func lines(ctx context.Context, w world, s service, guests, outstanding int) (all []line, err error) {
	for n := range guests {
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		err := w.do(n, func() error {
			ls, err := s.open(n, outstanding)
			all = append(all, ls...)
			return err
		})
		if err != nil {
			return all, fmt.Errorf("guest %d: %w", n, err)
		}
	}
	return all, nil
}
