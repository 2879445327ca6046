package model

import (
	"fmt"
	"strings"
)

// canonicalName reads a domain name; its canonical form is in lower case and without the last dot (RFC 1035, section 2.3.1; also
// with underscores, RFC 8552).
func canonicalName(text string) (string, error) {
	s := strings.ToLower(strings.TrimSuffix(text, "."))
	if text == "" {
		return "", nil
	}
	if len(s) > 253 {
		return "", fmt.Errorf("is longer than 253 characters, the limit of a domain name")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, uuidAlphabet+"-_") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%q is not a domain name: %q is not a label of up to 63 letters, digits, '-' and '_' (no '-' at either end)", clip(text), clip(label))
		}
	}
	return s, nil
}
