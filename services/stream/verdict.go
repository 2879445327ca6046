package stream

import "github.com/openvnet/openvnet/services/frame"

// Verdict says what became of a frame. Verdicts are dense from 1 to NumVerdicts-1, so that an array of NumVerdicts counts them; 0 is none.
type Verdict uint8

// What becomes of a frame of a guest.
const (
	Taken          Verdict = iota + 1 // given to TCP
	NotTCP                            // another protocol, or a header of IPv6 between
	TCPShort                          // ends within the TCP header, or its options are longer than the segment
	TCPChecksum                       // the TCP checksum is wrong
	BadAddress                        // the source or destination, of IP or Ethernet, is no address of a single station
	TooManyDomains                    // all stacks are in use
	TooManyGuests                     // of this interface, or in all
	Moved                             // the address was another interface's, whose connections are being reset
	NoStack                           // a stack could not be made
	Ended                             // the server does not run any more

	// What else is counted: not results of Take.
	TooManyConnections // a connection that was asked for has no place
	Sent               // a frame to a guest
	QueueFull          // a frame to a guest that found no place in the queue
	NoGuest            // a frame to a guest that has not been heard for long

	firstFrame

	// NumVerdicts is one more than the highest verdict.
	NumVerdicts = int(firstFrame) + frame.NumReasons
)

var verdictText = [firstFrame]string{
	0:                  "none",
	Taken:              "taken",
	NotTCP:             "not tcp",
	TCPShort:           "tcp: short",
	TCPChecksum:        "tcp: bad checksum",
	BadAddress:         "bad address",
	TooManyDomains:     "too many domains",
	TooManyGuests:      "too many guests",
	Moved:              "moved",
	NoStack:            "no stack",
	Ended:              "ended",
	TooManyConnections: "too many connections",
	Sent:               "sent",
	QueueFull:          "queue full",
	NoGuest:            "no guest",
}

// String gives the verdict in a few words, stable enough to label a counter.
func (v Verdict) String() string { return frame.Verdicts(verdictText[:]).Text(uint8(v)) }

// Frame gives the reason of the frame decoder, and frame.OK when it was not the frame below TCP that was refused.
func (v Verdict) Frame() frame.Reason { return frame.Verdicts(verdictText[:]).Reason(uint8(v)) }
