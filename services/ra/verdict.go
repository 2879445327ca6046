package ra

import "github.com/openvnet/openvnet/services/frame"

// Verdict says what became of one frame: the kind of the answer, or the reason why there is none. Verdicts are dense
// from 1 to NumVerdicts-1, so that an array of NumVerdicts counts them; 0 is none.
type Verdict uint8

// The verdicts. Those of the frame below follow: see [Verdict.Frame].
const (
	ToAsker         Verdict = iota + 1 // answered at the asker's address
	ToAll                              // answered at the address of all nodes: the asker has no address yet
	NoRouter                           // nothing is advertised in the network
	NotSolicitation                    // another message
	BadHopLimit                        // the hop limit is not 255: it came through a router
	BadCode                            // the code is not 0
	Short                              // ends within the message
	BadSource                          // not from an address of a station
	BadOption                          // an option without length, or beyond the message
	LinkOfNobody                       // says a link-layer address, and comes from no address

	firstFrame = LinkOfNobody + 1

	// NumVerdicts is one more than the highest verdict.
	NumVerdicts = int(firstFrame) + frame.NumReasons
)

var verdictText = [firstFrame]string{
	0:               "none",
	ToAsker:         "advertised to the asker",
	ToAll:           "advertised to all nodes",
	NoRouter:        "silent: nothing to advertise",
	NotSolicitation: "not a router solicitation",
	BadHopLimit:     "solicitation: bad hop limit",
	BadCode:         "solicitation: bad code",
	Short:           "solicitation: short",
	BadSource:       "solicitation: bad source",
	BadOption:       "solicitation: bad option",
	LinkOfNobody:    "solicitation: link-layer address without an address",
}

// String gives the verdict in a few words, stable enough to label a counter.
func (v Verdict) String() string { return frame.Verdicts(verdictText[:]).Text(uint8(v)) }

// Answered reports whether a reply comes with this verdict.
func (v Verdict) Answered() bool { return v == ToAsker || v == ToAll }

// Frame gives the reason of the frame decoder, and frame.OK when it was not the frame below the message that was refused.
func (v Verdict) Frame() frame.Reason { return frame.Verdicts(verdictText[:]).Reason(uint8(v)) }

func refusedFrame(r frame.Reason) Verdict { return firstFrame + Verdict(r) }
