package cover

import "math/bits"

// Mask matches the ports p with p&Mask == Value. The zero Mask matches every port.
type Mask struct{ Value, Mask uint16 }

// Ports gives the fewest masks that match the ports from first to last, both included, and no other, in ascending order. It is
// empty if last is less than first, and at most 30 long.
func Ports(first, last uint16) []Mask {
	var masks []Mask
	for at, end := uint32(first), uint32(last); at <= end; {
		// The largest block that begins at this port and ends in time.
		size := uint32(1) << 16
		if at != 0 {
			size = 1 << bits.TrailingZeros32(at)
		}
		for size > end-at+1 {
			size >>= 1
		}
		masks = append(masks, Mask{uint16(at), ^uint16(size - 1)})
		at += size
	}
	return masks
}
