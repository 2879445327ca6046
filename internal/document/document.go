// Package document reads JSON and YAML text that comes from outside into plain values with their line numbers, within bounds
// of size, depth and number, so that neither a truncated body nor a bomb of YAML aliases does more than cause an error.
//
// It knows nothing of the domain: what the values mean is for its importers, manager/api (request bodies) and cmd/vnctl/cli
// (files of documents).
package document

import (
	"fmt"
	"unicode/utf8"
)

// Kind says which of a Value's members holds it.
type Kind uint8

// The kinds of values.
const (
	Scalar Kind = iota
	List
	Map
)

func (k Kind) String() string { return [...]string{"single value", "list", "map"}[k] }

// Value is one value of a document.
type Value struct {
	Kind    Kind
	Line    int      // where it begins, from 1
	Scalar  any      // of a Scalar: string, bool, json.Number or nil. YAML gives strings and nil only: the text as it stands
	List    []Value  // of a List
	Members []Member // of a Map, in the order of the text; no name twice
}

// Member is a named value of a Map.
type Member struct {
	Name string
	Line int
	Value
}

// Get gives the member of that name of a Map.
func (v *Value) Get(name string) (*Value, bool) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i].Value, true
		}
	}
	return nil, false
}

// Limits bounds what is read. Zero values stand for the defaults.
type Limits struct {
	Depth  int // nesting of lists and maps; 16
	Values int // values in all, those that YAML aliases repeat counted each time; 10,000
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 16
	}
	if l.Values == 0 {
		l.Values = 10_000
	}
	return l
}

// Error is a defect of the text.
type Error struct {
	Line   int // from 1, 0 where it is not known
	Reason string
}

// Error gives "line n: reason".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

func errorf(line int, format string, args ...any) *Error {
	return &Error{Line: line, Reason: fmt.Sprintf(format, args...)}
}

// budget counts values down.
type budget struct {
	Limits
	left int
}

func (l Limits) budget() *budget {
	l = l.withDefaults()
	return &budget{Limits: l, left: l.Values}
}

func (b *budget) take(line, depth int) error {
	if b.left--; b.left < 0 {
		return errorf(line, "more than %d values", b.Values)
	}
	if depth > b.Depth {
		return errorf(line, "nested deeper than %d levels", b.Depth)
	}
	return nil
}

// checkUTF8 names the line of the first byte that is not UTF-8.
func checkUTF8(text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	line := 1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return errorf(line, "byte %d is not UTF-8", i+1)
		}
		if r == '\n' {
			line++
		}
		i += n
	}
	return nil
}

// names finds a name that is given twice; the lookup is a map only where it pays.
type names struct {
	members []Member
	seen    map[string]struct{}
}

func (n *names) has(name string) bool {
	if n.seen != nil {
		_, ok := n.seen[name]
		return ok
	}
	for i := range n.members {
		if n.members[i].Name == name {
			return true
		}
	}
	return false
}

func (n *names) add(m Member) {
	n.members = append(n.members, m)
	if n.seen != nil {
		n.seen[m.Name] = struct{}{}
	} else if len(n.members) == 32 {
		n.seen = make(map[string]struct{}, 64)
		for i := range n.members {
			n.seen[n.members[i].Name] = struct{}{}
		}
	}
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:61]
		for len(s) > 0 && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		return s + "..."
	}
	return s
}
