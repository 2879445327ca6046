package bpf

import "fmt"

// Reason says what became of a frame that a program looked at, and why; the index of CountersMap. Numbers are never
// reused.
type Reason = xdpOvReason

// The reasons that programs count.
const (
	AnswerARP        Reason = xdpOvReasonOV_ANSWER_ARP         // request for a known lease, answered
	PassARPMiss      Reason = xdpOvReasonOV_PASS_ARP_MISS      // request for an unknown address
	PassARPOwn       Reason = xdpOvReasonOV_PASS_ARP_OWN       // gratuitous, or for an address of the asking interface
	PassARPOther     Reason = xdpOvReasonOV_PASS_ARP_OTHER     // reply, another operation, unicast to somebody else
	DropARPSender    Reason = xdpOvReasonOV_DROP_ARP_SENDER    // not a sender that the interface may be
	DropARPMalformed Reason = xdpOvReasonOV_DROP_ARP_MALFORMED // truncated, or not Ethernet and IPv4
	AnswerND         Reason = xdpOvReasonOV_ANSWER_ND          // solicitation of a known lease, answered
	PassNDMiss       Reason = xdpOvReasonOV_PASS_ND_MISS       // solicitation of an unknown address
	PassNDOwn        Reason = xdpOvReasonOV_PASS_ND_OWN        // duplicate address detection, or for an address of the asking interface
	PassNDOther      Reason = xdpOvReasonOV_PASS_ND_OTHER      // other options, to somebody else
	DropNDSender     Reason = xdpOvReasonOV_DROP_ND_SENDER     // not a sender that the interface may be
	DropNDMalformed  Reason = xdpOvReasonOV_DROP_ND_MALFORMED  // truncated, through a router, not to be answered
	dropLimit        Reason = xdpOvReasonOV_DROP_LIMIT_ARP     // that of the first class
)

// Verdict is what a program does with a frame.
type Verdict string

// The verdicts.
const (
	Answer Verdict = "answer" // turned into an answer and sent back
	Pass   Verdict = "pass"   // left to Open vSwitch
	Drop   Verdict = "drop"
)

// reasons in the order of their numbers; a test compares it with the enum in the objects.
var reasons = [...]struct {
	verdict Verdict
	name    string
}{
	AnswerARP:        {Answer, "arp"},
	PassARPMiss:      {Pass, "arp_miss"},
	PassARPOwn:       {Pass, "arp_own"},
	PassARPOther:     {Pass, "arp_other"},
	DropARPSender:    {Drop, "arp_sender"},
	DropARPMalformed: {Drop, "arp_malformed"},
	AnswerND:         {Answer, "nd"},
	PassNDMiss:       {Pass, "nd_miss"},
	PassNDOwn:        {Pass, "nd_own"},
	PassNDOther:      {Pass, "nd_other"},
	DropNDSender:     {Drop, "nd_sender"},
	DropNDMalformed:  {Drop, "nd_malformed"},
}

// Reasons lists every reason in the order of their numbers.
func Reasons() []Reason {
	var all []Reason
	for r := range reasons {
		all = append(all, Reason(r))
	}
	for _, c := range Classes() {
		all = append(all, c.Dropped())
	}
	return all
}

// class gives the class whose limit the reason is.
func (r Reason) class() (Class, bool) {
	return Class(r - dropLimit), r >= dropLimit && int(r-dropLimit) < len(classes)
}

// String gives the name without the verdict, such as "arp_sender"; an unknown number as "reason 63".
func (r Reason) String() string {
	if c, ok := r.class(); ok {
		return "limit_" + c.String()
	}
	if int(r) >= len(reasons) {
		return fmt.Sprintf("reason %d", uint32(r))
	}
	return reasons[r].name
}

// Verdict is what happened to the frames counted for r; "" for an unknown number.
func (r Reason) Verdict() Verdict {
	if _, ok := r.class(); ok {
		return Drop
	}
	if int(r) >= len(reasons) {
		return ""
	}
	return reasons[r].verdict
}

// MarshalText gives the form of String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
