package lab

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a lab description.
type Problem struct {
	Path   string // such as "hosts.node1.nics.eth0.address"; "" for the whole
	Line   int    // in the file, from 1; 0 when it came from no file
	Reason string
}

// Problems is the error of Parse and Validate: everything that is wrong, in the order of the file.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// String is "line 7: guests.vm1.host: no host is named \"node9\"".
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	return b.String() + p.Reason
}
