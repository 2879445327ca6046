package frame

// Verdicts are the texts of a service's verdicts, from 0 on. After its own the service has those of this package, a verdict for each [Reason].
type Verdicts []string

// Text gives a verdict in a few words, stable enough to label a counter.
func (t Verdicts) Text(v uint8) string {
	if int(v) < len(t) {
		return t[v]
	}
	if n := int(v) - len(t); n < NumReasons {
		return Reason(n).String() //nolint:gosec // below NumReasons
	}
	return "unknown verdict"
}

// Reason gives the reason for which the frame was refused, and OK where it was not the frame.
func (t Verdicts) Reason(v uint8) Reason {
	if int(v) < len(t) {
		return OK
	}
	return Reason(int(v) - len(t)) //nolint:gosec // of 8 bits
}
