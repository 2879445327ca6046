package oftest

import (
	"math/rand/v2"

	"github.com/openvnet/openvnet/ofctl/ofp"
)

// TenthFails gives an Options.Fault that refuses one message in ten, chosen by the seed, with an error that Open vSwitch gives
// to a message of that kind.
func TenthFails(seed uint64) func(ofp.Message) *ofp.Error {
	return Fails(seed, 10)
}

// Fails is TenthFails for one message in n; n is at least 1.
func Fails(seed uint64, n int) func(ofp.Message) *ofp.Error {
	r := rand.New(rand.NewPCG(seed, 0x6f66))
	return func(m ofp.Message) *ofp.Error {
		if r.IntN(n) != 0 {
			return nil
		}
		switch m.(type) {
		case *ofp.GroupMod:
			return groupError(3) // OFPGMFC_OUT_OF_GROUPS
		case *ofp.MeterMod:
			return meterError(10) // OFPMMFC_OUT_OF_METERS
		case *ofp.FlowMod:
			return refuse(ofp.ErrFlowModFailed, 1) // OFPFMFC_TABLE_FULL
		}
		return refuse(ofp.ErrBadRequest, 5) // OFPBRC_EPERM
	}
}
