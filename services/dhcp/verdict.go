package dhcp

import "github.com/openvnet/openvnet/services/frame"

// Verdict says what became of one frame: the kind of the answer, or the reason why there is none. Verdicts are dense
// from 1 to NumVerdicts-1, so that an array of NumVerdicts counts them; 0 is none.
type Verdict uint8

// The answers. Each comes with a reply.
const (
	Offer         Verdict = iota + 1 // to DISCOVER
	AckSelecting                     // to REQUEST of what we offered
	AckInitReboot                    // to REQUEST of an address that the client remembers
	AckRenewing                      // to REQUEST sent to us alone, to extend the lease
	AckRebinding                     // to REQUEST sent to all, to extend the lease: renewing has failed before
	AckInform                        // to INFORM
	Nak                              // to REQUEST of an address that is not this client's
)

// The messages that are taken note of and never answered.
const (
	Released Verdict = Nak + 1 + iota // RELEASE
	Declined                          // DECLINE: the client found another station at its address
)

// The refusals of what is not a well-formed message of a client. Those of the frame below it follow: see [Verdict.Frame].
const (
	NotDHCP         Verdict = Declined + 1 + iota // not to the server's UDP port
	Short                                         // ends within the BOOTP header or the magic cookie
	NotRequest                                    // op is not BOOTREQUEST
	BadHardware                                   // htype or hlen is not Ethernet's
	TooManyHops                                   // more than 16 relays (RFC 1542, 4.1.1)
	BadCookie                                     // not the magic cookie of DHCP's options
	BadOption                                     // an option is longer than what is left, or of an impossible length
	NoEnd                                         // the options do not close with option 255
	NoType                                        // no message type: plain BOOTP
	UnknownType                                   // a message type which clients do not send, or not to such a server
	ForeignHardware                               // chaddr is not the source of the frame
)

// The reasons to stay silent towards a well-formed message.
const (
	UnknownClient Verdict = ForeignHardware + 1 + iota // the lookup has no binding
	OtherServer                                        // meant for another server
	NoAddress                                          // REQUEST or INFORM that says no address
	WrongAddress                                       // INFORM, RELEASE or DECLINE of an address that cannot be the client's
)

const (
	firstFrame = WrongAddress + 1

	// NumVerdicts is one more than the highest verdict.
	NumVerdicts = int(firstFrame) + frame.NumReasons
)

var verdictText = [firstFrame]string{
	0:               "none",
	Offer:           "offer",
	AckSelecting:    "ack: selecting",
	AckInitReboot:   "ack: init-reboot",
	AckRenewing:     "ack: renewing",
	AckRebinding:    "ack: rebinding",
	AckInform:       "ack: inform",
	Nak:             "nak",
	Released:        "released",
	Declined:        "declined",
	NotDHCP:         "not dhcp",
	Short:           "dhcp: short",
	NotRequest:      "dhcp: not a request",
	BadHardware:     "dhcp: bad hardware type or length",
	TooManyHops:     "dhcp: too many hops",
	BadCookie:       "dhcp: bad magic cookie",
	BadOption:       "dhcp: bad option length",
	NoEnd:           "dhcp: options without end",
	NoType:          "dhcp: no message type",
	UnknownType:     "dhcp: unknown message type",
	ForeignHardware: "dhcp: client hardware address is not the sender's",
	UnknownClient:   "silent: unknown client",
	OtherServer:     "silent: for another server",
	NoAddress:       "silent: no address given",
	WrongAddress:    "silent: not the client's address",
}

// String gives the verdict in a few words, stable enough to label a counter.
func (v Verdict) String() string { return frame.Verdicts(verdictText[:]).Text(uint8(v)) }

// Answered reports whether a reply comes with this verdict.
func (v Verdict) Answered() bool { return v >= Offer && v <= Nak }

// Frame gives the reason of the frame decoder, and frame.OK when it was not the frame below DHCP that was refused.
func (v Verdict) Frame() frame.Reason { return frame.Verdicts(verdictText[:]).Reason(uint8(v)) }

func refusedFrame(r frame.Reason) Verdict { return firstFrame + Verdict(r) }
