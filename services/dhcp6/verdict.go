package dhcp6

import "github.com/openvnet/openvnet/services/frame"

// Verdict says what became of one frame: the kind of the answer, or the reason why there is none. Verdicts are dense
// from 1 to NumVerdicts-1, so that an array of NumVerdicts counts them; 0 is none.
type Verdict uint8

// The answers. Each comes with a reply.
const (
	Advertise        Verdict = iota + 1 // to SOLICIT
	AdvertiseNone                       // to SOLICIT of who has no address here: NoAddrsAvail
	ReplyRapid                          // to SOLICIT with rapid commit
	ReplyRequest                        // to REQUEST
	ReplyNone                           // to REQUEST of who has no address here: NoAddrsAvail
	ReplyElsewhere                      // to REQUEST of an address of another link: NotOnLink
	ReplyConfirm                        // to CONFIRM: the client may go on with what it has
	ReplyMoved                          // to CONFIRM: it may not, NotOnLink
	ReplyRenew                          // to RENEW
	ReplyRebind                         // to REBIND: renewing has failed before
	ReplyInformation                    // to INFORMATION-REQUEST
	ReplyRelease                        // to RELEASE
	ReplyDecline                        // to DECLINE: the client found another station at its address
	UseMulticast                        // to what is sent to us alone and may not be
)

// The refusals of what is not a well-formed message of a client. Those of the frame below it follow: see [Verdict.Frame].
const (
	NotDHCP        Verdict = UseMulticast + 1 + iota // not to the server's UDP port
	Short                                            // ends within the header
	Relayed                                          // of a relay agent: guests are none
	UnknownType                                      // a message type which clients do not send
	BadOption                                        // an option is longer than what is left, or of an impossible length
	Repeated                                         // an option is there twice that may be there once
	BadDUID                                          // an identifier is too short or too long (RFC 8415, 11.1)
	TooMany                                          // more identity associations or addresses than anybody has
	BadSource                                        // not from a link-local address
	NoClient                                         // no client identifier where there has to be one
	NoServer                                         // no server identifier where there has to be one
	UnwantedServer                                   // a server identifier where there may be none
	UnwantedIA                                       // an identity association where there may be none
	Unicast                                          // sent to us alone, in a message that is for all servers
)

// The reasons to stay silent towards a well-formed message.
const (
	UnknownClient Verdict = Unicast + 1 + iota // the lookup has no binding
	OtherServer                                // meant for another server
	NoAddress                                  // CONFIRM that says no address
)

const (
	firstFrame = NoAddress + 1

	// NumVerdicts is one more than the highest verdict.
	NumVerdicts = int(firstFrame) + frame.NumReasons
)

var verdictText = [firstFrame]string{
	0:                "none",
	Advertise:        "advertise",
	AdvertiseNone:    "advertise: no address",
	ReplyRapid:       "reply: rapid commit",
	ReplyRequest:     "reply: request",
	ReplyNone:        "reply: no address",
	ReplyElsewhere:   "reply: request of an address not on the link",
	ReplyConfirm:     "reply: confirmed",
	ReplyMoved:       "reply: not on the link",
	ReplyRenew:       "reply: renew",
	ReplyRebind:      "reply: rebind",
	ReplyInformation: "reply: information",
	ReplyRelease:     "reply: released",
	ReplyDecline:     "reply: declined",
	UseMulticast:     "reply: use multicast",
	NotDHCP:          "not dhcpv6",
	Short:            "dhcpv6: short",
	Relayed:          "dhcpv6: of a relay agent",
	UnknownType:      "dhcpv6: unknown message type",
	BadOption:        "dhcpv6: bad option length",
	Repeated:         "dhcpv6: option repeated",
	BadDUID:          "dhcpv6: bad identifier",
	TooMany:          "dhcpv6: too many addresses",
	BadSource:        "dhcpv6: not from a link-local address",
	NoClient:         "dhcpv6: no client identifier",
	NoServer:         "dhcpv6: no server identifier",
	UnwantedServer:   "dhcpv6: unwanted server identifier",
	UnwantedIA:       "dhcpv6: unwanted identity association",
	Unicast:          "dhcpv6: not to all servers",
	UnknownClient:    "silent: unknown client",
	OtherServer:      "silent: for another server",
	NoAddress:        "silent: no address given",
}

// String gives the verdict in a few words, stable enough to label a counter.
func (v Verdict) String() string { return frame.Verdicts(verdictText[:]).Text(uint8(v)) }

// Answered reports whether a reply comes with this verdict.
func (v Verdict) Answered() bool { return v >= Advertise && v <= UseMulticast }

// Frame gives the reason of the frame decoder, and frame.OK when it was not the frame below DHCP that was refused.
func (v Verdict) Frame() frame.Reason { return frame.Verdicts(verdictText[:]).Reason(uint8(v)) }

func refusedFrame(r frame.Reason) Verdict { return firstFrame + Verdict(r) }
