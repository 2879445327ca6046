package oftest

// tcpState follows a TCP connection as Open vSwitch's userspace conntrack does: the window tracking of Guido van Rooij, "Real
// stateful TCP packet filtering in IP Filter" (2001), as in pf of OpenBSD.
type tcpState struct {
	peer [2]tcpPeer // originator, responder
}

type tcpPeer struct {
	state  uint8
	seqlo  uint32 // highest sequence number sent, plus one
	seqhi  uint32 // highest that the other end has acknowledged plus its window
	maxWin uint16
	scale  uint8 // window scale and flags
}

// States of a peer, in order.
const (
	tcpClosed = iota
	_         // listening
	tcpSynSent
	_ // SYN received
	tcpEstablished
	_ // CLOSE_WAIT
	_ // FIN_WAIT_1
	tcpClosing
	_ // LAST_ACK
	tcpFinWait2
	tcpTimeWait
)

// Flags of TCP.
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
	tcpURG
)

const (
	scaleKnown   = 0x80
	scaleUnknown = 0x40 // the connection was picked up in the middle
	scaleMask    = 0x0f
	scaleMost    = 14

	ackWindow = 0xffff + 1500
)

// badFlags are combinations that no packet of a sane stack has.
func badFlags(f uint16) bool {
	if f&tcpSYN != 0 && f&(tcpRST|tcpFIN) != 0 || f&(tcpSYN|tcpACK|tcpRST) == 0 {
		return true
	}
	return f&tcpACK == 0 && f&(tcpFIN|tcpPSH|tcpURG) != 0
}

func tcpFlags(b []byte) uint16 { return be16(b[12:]) & 0xfff }

// validNewTCP: the first packet that is seen may be a SYN or one of a connection that is there, but no SYN and ACK.
func validNewTCP(b []byte) bool {
	f := tcpFlags(b)
	return !badFlags(f) && f&(tcpSYN|tcpACK) != tcpSYN|tcpACK
}

// tcpSize gives the payload.
func tcpSize(b []byte) uint32 { return uint32(max(0, len(b)-int(b[12]>>4)*4)) }

// tcpScale reads the window scale option.
func tcpScale(b []byte) uint8 {
	opts := b[tcpHeader:min(len(b), int(b[12]>>4)*4)]
	scale := uint8(0)
	for len(opts) >= 3 {
		switch opts[0] {
		case 0:
			return scale
		case 1:
			opts = opts[1:]
			continue
		case 3:
			scale = min(opts[2], scaleMost) | scaleKnown
		}
		opts = opts[min(len(opts), int(max(opts[1], 2))):]
	}
	return scale
}

func unscaled(win uint16, scale uint8) uint16 {
	return uint16((uint32(win) + 1<<scale - 1) >> scale)
}

func newTCP(b []byte) *tcpState {
	t := &tcpState{}
	src, dst := &t.peer[0], &t.peer[1]
	f := tcpFlags(b)
	src.seqlo = be32(b[4:])
	src.seqhi = src.seqlo + tcpSize(b) + 1
	if f&tcpSYN != 0 {
		src.seqhi++
		src.scale = tcpScale(b)
	} else {
		src.scale, dst.scale = scaleUnknown, scaleUnknown
	}
	src.maxWin = max(be16(b[14:]), 1)
	if s := src.scale & scaleMask; s != 0 {
		src.maxWin = unscaled(src.maxWin, s)
	}
	if f&tcpFIN != 0 {
		src.seqhi++
	}
	dst.seqhi, dst.maxWin = 1, 1
	src.state = tcpSynSent
	return t
}

// after reports whether a is at or behind b in sequence.
func after(a, b uint32) bool { return int32(a-b) >= 0 }

// update takes a packet in.
func (t *tcpState) update(b []byte, reply bool) verdict {
	src, dst := &t.peer[0], &t.peer[1]
	if reply {
		src, dst = dst, src
	}
	f := tcpFlags(b)
	if badFlags(f) {
		return ctInvalid
	}
	if f&(tcpSYN|tcpACK) == tcpSYN {
		if dst.state >= tcpFinWait2 && src.state >= tcpFinWait2 {
			return ctAnew
		}
		if src.state <= tcpSynSent {
			src.state = tcpSynSent
			return ctValidNew
		}
	}
	var sws, dws uint8
	switch {
	case f&tcpSYN != 0:
	case src.scale&dst.scale&scaleKnown != 0:
		sws, dws = src.scale&scaleMask, dst.scale&scaleMask
	case src.scale&dst.scale&scaleUnknown != 0:
		sws, dws = scaleMost, scaleMost
	}
	win := be16(b[14:])
	first, ack := be32(b[4:]), be32(b[8:])
	seq := first
	end := seq + tcpSize(b)
	if f&tcpSYN != 0 {
		end++
	}
	checkAck := true
	if src.state < tcpSynSent { // the first packet of this end
		if f&tcpSYN != 0 && dst.scale&scaleKnown != 0 {
			src.scale = tcpScale(b)
			if src.scale&scaleKnown != 0 {
				sws, dws = src.scale&scaleMask, dst.scale&scaleMask
				win = unscaled(win, sws)
			} else { // this end does not scale, so neither does the other
				dst.maxWin <<= dst.scale & scaleMask
				dst.scale = 0
			}
		}
		if f&tcpFIN != 0 {
			end++
		}
		src.seqlo, src.state = seq, tcpSynSent
		if limit := end + max(1, uint32(dst.maxWin)<<dws); src.seqhi == 1 || after(limit, src.seqhi) {
			src.seqhi = limit
			checkAck = false
		}
		src.maxWin = max(src.maxWin, win)
	} else if f&tcpFIN != 0 {
		end++
	}
	if f&tcpACK == 0 || ack == 0 && f&tcpRST != 0 {
		ack = dst.seqlo
	}
	if seq == end {
		seq = src.seqlo
		end = seq
	}
	skew := int32(0)
	if checkAck {
		skew = int32(dst.seqlo - ack)
	}
	inWindow := after(src.seqhi, end) && after(seq, src.seqlo-uint32(dst.maxWin)<<dws) &&
		skew >= -ackWindow && int64(skew) <= ackWindow<<sws &&
		(f&tcpRST == 0 || first == src.seqlo || first == src.seqlo+1 || first+1 == src.seqlo)
	loose := (dst.state < tcpSynSent || dst.state >= tcpFinWait2 || src.state >= tcpFinWait2) &&
		after(src.seqhi+ackWindow, end) && after(seq, src.seqlo-ackWindow)
	if !inWindow && !loose {
		return ctInvalid
	}
	src.maxWin = max(src.maxWin, win)
	if !after(src.seqlo, end) {
		src.seqlo = end
	}
	if room := uint32(win) << sws; after(ack+room, dst.seqhi) {
		dst.seqhi = ack + max(room, 1)
	}
	if f&tcpFIN != 0 && src.state < tcpClosing {
		src.state = tcpClosing
	}
	if inWindow && f&tcpACK != 0 {
		switch dst.state {
		case tcpSynSent:
			dst.state = tcpEstablished
		case tcpClosing:
			dst.state = tcpFinWait2
		}
	}
	if f&tcpRST != 0 {
		src.state, dst.state = tcpTimeWait, tcpTimeWait
	}
	return ctValid
}
