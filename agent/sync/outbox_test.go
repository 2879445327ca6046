package sync

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Claims wait each once, so many as one message may have, and the first stay: a guest whose claim is dropped makes it again.
func TestClaimsWait(t *testing.T) {
	o := newOutbox()
	var all []wire.Claim
	for n := range 2 * wire.MaxClaims {
		c := wire.Claim{InterfaceUUID: "if-a", MAC: model.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)}, Address: netip.MustParseAddr("fd00::1")}
		all = append(all, c)
		for range 2 {
			o.claimed(c)
		}
	}
	address := func(a, b wire.Claim) bool { return a.MAC == b.MAC && a.Address == b.Address }
	for _, want := range [][]wire.Claim{all[:wire.MaxClaims], all[:1]} {
		messages := o.take()
		if len(messages) != 1 || messages[0].Claimed == nil || !slices.EqualFunc(messages[0].Claimed.Claims, want, address) {
			t.Fatalf("%d messages, the first %.200v; want one with %d claims", len(messages), messages, len(want))
		}
		if messages = o.take(); messages != nil {
			t.Fatalf("said again: %.200v", messages)
		}
		o.claimed(all[0]) // what has been said is said again
	}
}
