package dns

import "github.com/openvnet/openvnet/services/frame"

// Verdict says what became of one question: the kind of the answer, or the reason why there is none. Verdicts are dense
// from 1 to NumVerdicts-1, so that an array of NumVerdicts counts them; 0 is none.
type Verdict uint8

// The answers, by authority or by what other servers say.
const (
	Answered  Verdict = iota + 1 // with records
	NoData                       // the name has none of the type
	NoName                       // the name does not exist
	Minimal                      // to ANY (RFC 8482)
	Truncated                    // with as many records as there was room for
	Forwarded                    // what another server has said
	Cached                       // what another server had said
	Failed                       // no other server answers, or what it answers is of no use
	Limited                      // the asker, or all together, have too many questions waiting for other servers
)

// The refusals, which the asker is told.
const (
	RefusedClass     Verdict = Limited + 1 + iota // a class other than IN
	RefusedType                                   // a transfer, or another type that is no record's
	RefusedElsewhere                              // of a name elsewhere, and the asker does not want other servers to be asked
	NotImplemented                                // an operation other than a query
	BadVersion                                    // a version of EDNS other than 0
	BadQuestion                                   // not one question
	BadSection                                    // a query with answers
	BadRecord                                     // a name or record that cannot be read
	BadOption                                     // more than one EDNS option record, or not of the root
)

// The reasons to stay silent.
const (
	Short        Verdict = BadOption + 1 + iota // ends within the header
	NotQuery                                    // an answer, which nobody asked for
	NotDNS                                      // not to the server's port
	FromDNS                                     // from the port of a server: two servers could go on for ever
	OtherAddress                                // not to an address of the server
)

const (
	firstFrame = OtherAddress + 1

	// NumVerdicts is one more than the highest verdict.
	NumVerdicts = int(firstFrame) + frame.NumReasons
)

var verdictText = [firstFrame]string{
	0:                "none",
	Answered:         "answered",
	NoData:           "answered: no such record",
	NoName:           "answered: no such name",
	Minimal:          "answered: any",
	Truncated:        "answered: truncated",
	Forwarded:        "forwarded",
	Cached:           "cached",
	Failed:           "failed: no server answers",
	Limited:          "failed: too many questions wait",
	RefusedClass:     "refused: class",
	RefusedType:      "refused: type",
	RefusedElsewhere: "refused: no recursion desired",
	NotImplemented:   "dns: unknown operation",
	BadVersion:       "dns: unknown version of edns",
	BadQuestion:      "dns: not one question",
	BadSection:       "dns: a question with answers",
	BadRecord:        "dns: bad name or record",
	BadOption:        "dns: bad edns record",
	Short:            "dns: short",
	NotQuery:         "dns: not a question",
	NotDNS:           "not dns",
	OtherAddress:     "silent: for another server",
}

// String gives the verdict in a few words, stable enough to label a counter.
func (v Verdict) String() string { return frame.Verdicts(verdictText[:]).Text(uint8(v)) }

// Answered reports whether the question was answered as it should be.
func (v Verdict) Answered() bool { return v >= Answered && v <= Cached }

// Frame gives the reason of the frame decoder, and frame.OK when it was not the frame below DNS that was refused.
func (v Verdict) Frame() frame.Reason { return frame.Verdicts(verdictText[:]).Reason(uint8(v)) }

func refusedFrame(r frame.Reason) Verdict { return firstFrame + Verdict(r) }
