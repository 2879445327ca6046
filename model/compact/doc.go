// Package compact reads the short form of a whole virtual network, one YAML document with its networks, guests, routers and
// rules, and expands it to the plain documents of resources that are applied. A document begins with virtual_network, its
// name; docs/examples/shop.yaml shows all of it.
//
// The uuids of what it expands to follow from the names, so that applying a document again changes nothing, and every object
// has the label virtual_network with the document's name, by which what was taken out of the document can be pruned. It is
// a pure function: it asks no manager, and knows of the objects outside of the document no more than their uuids. Imported
// by cmd/vnctl and by whoever else writes documents.
package compact

import (
	"fmt"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// Key is the member that makes a map a compact document.
const Key = "virtual_network"

// Label is the label that every object of a document has; its value is the document's name.
const Label = "virtual_network"

// Document is one object that a compact document expands to.
type Document struct {
	Resource *model.Resource
	Params   map[string]any // by parameter, as text, but booleans as bool
	Path     string         // what it was made of: "guests.web1"
	Line     int            // where that stands
	Lines    map[string]int // where single parameters stand, of those that have a line of their own
}

// Is reports whether v is a compact document rather than one of resources.
func Is(v *document.Value) bool {
	if v.Kind != document.Map {
		return false
	}
	_, ok := v.Get(Key)
	return ok
}

// Error is one mistake in a compact document.
type Error struct {
	Line   int
	Path   string // "guests.web1.address[0]"
	Reason string
}

// Error gives "line n: path: reason".
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Path, e.Reason)
}

// Errors are the mistakes in a compact document by line; of very many the last one says how many more there are.
type Errors []*Error

const maxErrors = 100

// Error gives them one on each line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}
