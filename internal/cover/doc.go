// Package cover puts sets of ports and of addresses into the fewest pieces that a flow can match: a value with a mask, a prefix. It
// is arithmetic only. The model imports it, to refuse a rule before it is stored that would cost too much, and dataplane/compile,
// which makes flows of the pieces.
package cover
