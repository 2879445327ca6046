package dhcp6

import (
	"encoding/binary"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Option is one DHCPv6 option: its code, and its value as on the wire.
type Option struct {
	Code uint16
	Data []byte
}

// The options that the server reads or places itself (RFC 8415, section 21; RFC 3646).
const (
	optClientID     = uint16(dhcpv6.OptionClientID)
	optServerID     = uint16(dhcpv6.OptionServerID)
	optIANA         = uint16(dhcpv6.OptionIANA)
	optIATA         = uint16(dhcpv6.OptionIATA)
	optIAAddr       = uint16(dhcpv6.OptionIAAddr)
	optWants        = uint16(dhcpv6.OptionORO)
	optElapsed      = uint16(dhcpv6.OptionElapsedTime)
	optStatus       = uint16(dhcpv6.OptionStatusCode)
	optRapid        = uint16(dhcpv6.OptionRapidCommit)
	optDNS          = uint16(dhcpv6.OptionDNSRecursiveNameServer)
	optSearch       = uint16(dhcpv6.OptionDomainSearchList)
	optIAPD         = uint16(dhcpv6.OptionIAPD)
	optRefreshAfter = uint16(dhcpv6.OptionInformationRefreshTime)

	maxProtocolOption = optIAPD + 1 // IA_PD and IAPREFIX
)

// protocolOption reports whether an option belongs to the exchange itself, so that nobody else can configure it.
func protocolOption(code uint16) bool {
	switch dhcpv6.OptionCode(code) {
	case dhcpv6.OptionVendorOpts, dhcpv6.OptionSIPServersDomainNameList, dhcpv6.OptionSIPServersIPv6AddressList:
		return false
	case dhcpv6.OptionInformationRefreshTime:
		return true
	}
	return code == 0 || code < optDNS || code == optIAPD || code == maxProtocolOption
}

// Lengths on the wire.
const (
	headerLen = 4 // of a message: its type and transaction
	optionLen = 4 // of an option: its code and length
	iaLen     = 12
	iaAddrLen = 24
)

// walk calls f with each option of b, until f gives a refusal. It gives BadOption where an option is longer than what is left.
func walk(b []byte, f func(code uint16, data []byte) Verdict) Verdict {
	for len(b) > 0 {
		if len(b) < optionLen {
			return BadOption
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[optionLen:]; n > len(b) {
			return BadOption
		}
		if refusal := f(code, b[:n]); refusal != 0 {
			return refusal
		}
		b = b[n:]
	}
	return 0
}

// appendOption adds an option, whose value is up to 65535 bytes long.
func appendOption(b []byte, code uint16, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}
