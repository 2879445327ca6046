package dhcp

// Option is one DHCP option: its code, and its value as on the wire.
type Option struct {
	Code uint8
	Data []byte
}

// The options that the server reads or places itself (RFC 2132 unless said).
const (
	optPad       = 0
	optMask      = 1
	optRouter    = 3
	optDNS       = 6
	optHost      = 12
	optDomain    = 15
	optMTU       = 26
	optBroadcast = 28
	optRequested = 50
	optLease     = 51
	optOverload  = 52
	optType      = 53
	optServer    = 54
	optWants     = 55
	optMessage   = 56
	optMaxSize   = 57
	optRenew     = 58
	optRebind    = 59
	optClientID  = 61
	optTFTP      = 66
	optBootFile  = 67
	optRelayInfo = 82  // RFC 3046
	optSearch    = 119 // RFC 3397
	optRoutes    = 121 // RFC 3442
	optTFTPList  = 150 // RFC 5859
	optEnd       = 255

	maxOption = 255 // bytes of one option's value; longer ones are split
)

// protocolOption reports whether an option belongs to the exchange itself, so that nobody else can configure it.
func protocolOption(code uint8) bool {
	switch code {
	case optPad, optMask, optRequested, optLease, optOverload, optType, optServer, optWants, optMessage, optMaxSize, optRenew,
		optRebind, optClientID, optRelayInfo, optEnd:
		return true
	}
	return false
}

// optionLen is the length on the wire of an option with n bytes of value.
func optionLen(n int) int { return n + 2*max(1, (n+maxOption-1)/maxOption) }

// optionWriter appends options to a message: each code once, and only what leaves room for the end option.
type optionWriter struct {
	b       []byte
	limit   int // of len(b), with the end option
	written [256]bool
}

// add appends an option, split if it is long (RFC 3396), and reports whether it is in the message now.
func (w *optionWriter) add(code uint8, data []byte) bool {
	if w.written[code] {
		return true
	}
	if len(w.b)+optionLen(len(data))+1 > w.limit {
		return false
	}
	w.written[code] = true
	for {
		n := min(len(data), maxOption)
		w.b = append(w.b, code, byte(n))
		w.b = append(w.b, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return true
		}
	}
}
