package flow

import (
	"bytes"
	"errors"
	"fmt"
)

// Flags of NXAST_CT and NXAST_NAT, and the optional parts of NXAST_NAT.
const (
	ctCommit = 1 << 0
	ctForce  = 1 << 1

	ctNoRecirc = 255

	natSrc        = 1 << 0
	natDst        = 1 << 1
	natPersistent = 1 << 2
	natHash       = 1 << 3
	natRandom     = 1 << 4

	natIPv4Min = 1 << 0
	natIPv4Max = 1 << 1
	natIPv6Min = 1 << 2
	natIPv6Max = 1 << 3
	natPortMin = 1 << 4
	natPortMax = 1 << 5
)

func appendCT(b []byte, a *CT) ([]byte, error) {
	start := len(b)
	var flags uint16
	switch {
	case a.Force && !a.Commit:
		return nil, errors.New("ct with force needs commit")
	case !a.Commit && (len(a.Exec) > 0 || a.NAT != nil && a.NAT.Kind != NATRestore):
		return nil, errors.New("ct with exec or an address range needs commit")
	case a.Recirc && a.Table == ctNoRecirc:
		return nil, errors.New("ct to table 255")
	}
	if a.Commit {
		flags |= ctCommit
	}
	if a.Force {
		flags |= ctForce
	}
	b = append16(appendNX(b, nxCT), flags)
	if a.ZoneSrc != (Subfield{}) {
		if !a.ZoneSrc.valid() || a.ZoneSrc.Bits != 16 {
			return nil, fmt.Errorf("ct with zone %v: not 16 bits", a.ZoneSrc)
		}
		b = append16(append32(b, a.ZoneSrc.Field.nxmHeader()), ofsBits(a.ZoneSrc))
	} else {
		b = append16(append32(b, 0), a.Zone)
	}
	table := uint8(ctNoRecirc)
	if a.Recirc {
		table = a.Table
	}
	b = append16(append(b, table, 0, 0, 0), a.ALG)
	var err error
	if a.NAT != nil {
		if b, err = appendNAT(b, a.NAT); err != nil {
			return nil, err
		}
	}
	if b, err = appendList(b, a.Exec, inCT); err != nil {
		return nil, err
	}
	return setLen(b, start), nil
}

func appendNAT(b []byte, a *NAT) ([]byte, error) {
	start := len(b)
	var flags, present uint16
	set := func(on bool, flag uint16) {
		if on {
			flags |= flag
		}
	}
	set(a.Kind == NATSrc, natSrc)
	set(a.Kind == NATDst, natDst)
	set(a.Persistent, natPersistent)
	set(a.Hash, natHash)
	set(a.Random, natRandom)
	switch {
	case a.Kind > NATDst:
		return nil, fmt.Errorf("nat of kind %d", a.Kind)
	case a.Kind == NATRestore && (flags != 0 || a.AddrMin.IsValid() || a.PortMin != 0):
		return nil, errors.New("nat without src or dst takes no range and no flags")
	case (a.Persistent || a.Hash || a.Random) && !a.AddrMin.IsValid():
		return nil, errors.New("nat with persistent, hash or random takes an address") // else a dump does not show them
	case a.Hash && a.Random:
		return nil, errors.New("nat with hash and random")
	case !a.AddrMin.IsValid() && (a.AddrMax.IsValid() || a.PortMin != 0),
		a.AddrMin.IsValid() && (a.AddrMin.IsUnspecified() || a.AddrMin.Is4In6()):
		return nil, fmt.Errorf("nat from address %v", a.AddrMin)
	case a.AddrMax.IsValid() && (a.AddrMax.Is4() != a.AddrMin.Is4() || a.AddrMax.Less(a.AddrMin)):
		return nil, fmt.Errorf("nat to addresses %v-%v: not a range", a.AddrMin, a.AddrMax)
	case a.PortMax != 0 && a.PortMax < max(a.PortMin, 1), a.PortMin == 0 && a.PortMax != 0:
		return nil, fmt.Errorf("nat to ports %d-%d: not a range", a.PortMin, a.PortMax)
	}
	b = append(append16(append(appendNX(b, nxNAT), 0, 0), flags), 0, 0)
	if a.AddrMin.IsValid() {
		n, bit := 4, uint16(natIPv4Min)
		if a.AddrMin.Is6() {
			n, bit = 16, natIPv6Min
		}
		present |= bit
		b = appendValue(b, AddrValue(a.AddrMin), n)
		if a.AddrMax.IsValid() {
			present |= bit << 1
			b = appendValue(b, AddrValue(a.AddrMax), n)
		}
	}
	if a.PortMin != 0 {
		present |= natPortMin
		b = append16(b, a.PortMin)
	}
	if a.PortMax != 0 {
		present |= natPortMax
		b = append16(b, a.PortMax)
	}
	b[start+14], b[start+15] = byte(present>>8), byte(present)
	return padAction(b, start), nil
}

func decodeCT(b []byte) (Action, error) {
	if len(b) < 24 {
		return nil, errShortAction
	}
	flags := be16(b[10:])
	if flags&^(ctCommit|ctForce) != 0 {
		return unknown(b)
	}
	a := CT{Commit: flags&ctCommit != 0, Force: flags&ctForce != 0, ALG: be16(b[22:])}
	if src := be32(b[12:]); src != 0 {
		s, err := subfieldFromOfsBits(src, be16(b[16:]))
		if err != nil {
			return nil, fmt.Errorf("ct: zone: %w", err)
		}
		a.ZoneSrc = s
	} else {
		a.Zone = be16(b[16:])
	}
	if b[18] != ctNoRecirc {
		a.Recirc, a.Table = true, b[18]
	}
	list, err := decodeList(b[24:])
	if err != nil {
		return nil, fmt.Errorf("ct: %w", err)
	}
	if len(list) > 0 {
		if nat, ok := list[0].(NAT); ok {
			a.NAT, list = &nat, list[1:]
		}
	}
	if len(list) > 0 {
		a.Exec = list
	}
	return a, nil
}

func decodeNAT(b []byte) (Action, error) {
	if len(b) < 16 {
		return nil, errShortAction
	}
	flags, present, opt := be16(b[12:]), be16(b[14:]), b[16:]
	if flags&^(natSrc|natDst|natPersistent|natHash|natRandom) != 0 || flags&(natSrc|natDst) == natSrc|natDst {
		return unknown(b)
	}
	a := NAT{Persistent: flags&natPersistent != 0, Hash: flags&natHash != 0, Random: flags&natRandom != 0}
	switch {
	case flags&natSrc != 0:
		a.Kind = NATSrc
	case flags&natDst != 0:
		a.Kind = NATDst
	}
	take := func(bit uint16, n int) Value {
		if present&bit == 0 || len(opt) < n {
			return Value{}
		}
		v := readValue(opt[:n])
		opt = opt[n:]
		present &^= bit
		return v
	}
	if present&natIPv4Min != 0 {
		a.AddrMin = take(natIPv4Min, 4).Addr4()
		if present&natIPv4Max != 0 {
			a.AddrMax = take(natIPv4Max, 4).Addr4()
		}
	} else if present&natIPv6Min != 0 {
		a.AddrMin = take(natIPv6Min, 16).Addr6()
		if present&natIPv6Max != 0 {
			a.AddrMax = take(natIPv6Max, 16).Addr6()
		}
	}
	a.PortMin = uint16(take(natPortMin, 2).Lo)
	a.PortMax = uint16(take(natPortMax, 2).Lo)
	if present != 0 {
		return nil, errors.New("nat: truncated range")
	}
	if !zero(opt) {
		return unknown(b)
	}
	return a, nil
}

func unknown(b []byte) (Action, error) { return Unknown{bytes.Clone(b)}, nil }
