package flow

import (
	"strconv"
	"unicode/utf8"
)

// Names gives names to tables and ports in the text form. The zero Names has none. It is immutable.
type Names struct {
	tables   map[uint8]string
	ports    map[Port]string
	tableIDs map[string]uint8
	portIDs  map[string]Port
}

// NewNames makes Names of the names of tables and ports. A name that two of a kind have is not used, as ovs-ofctl does.
// The maps must not be changed afterwards.
func NewNames(tables map[uint8]string, ports map[Port]string) Names {
	n := Names{tables: tables, ports: ports}
	n.tableIDs = invert(tables)
	n.portIDs = invert(ports)
	return n
}

func invert[K comparable](m map[K]string) map[string]K {
	inv := make(map[string]K, len(m))
	dup := map[string]bool{}
	for k, name := range m {
		if _, ok := inv[name]; ok {
			dup[name] = true
		}
		inv[name] = k
	}
	for name := range dup {
		delete(inv, name)
	}
	return inv
}

// Table gives the name of a table, if it has one.
func (n Names) Table(id uint8) (string, bool) {
	name, ok := n.tables[id]
	if ok {
		_, ok = n.tableIDs[name]
	}
	return name, ok
}

// Port gives the name of a port, if it has one. Reserved ports have the names of Port.String.
func (n Names) Port(p Port) (string, bool) {
	if name, ok := p.reservedName(); ok {
		return name, true
	}
	name, ok := n.ports[p]
	if ok {
		_, ok = n.portIDs[name]
	}
	return name, ok
}

func appendTable(b []byte, id uint8, n Names) []byte {
	if name, ok := n.Table(id); ok {
		return appendName(b, name)
	}
	return strconv.AppendUint(b, uint64(id), 10)
}

func appendPort(b []byte, p Port, n Names) []byte {
	if name, ok := p.reservedName(); ok {
		return append(b, name...)
	}
	if name, ok := n.Port(p); ok {
		return appendName(b, name)
	}
	if p >= 0xffff0000 { // Open vSwitch holds 16 bits
		p &= 0xffff
	}
	return strconv.AppendUint(b, uint64(p), 10)
}

// appendName quotes a name as JSON, unless it is alphanumeric and begins with a letter.
func appendName(b []byte, name string) []byte {
	plain := name != ""
	for i, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		plain = plain && (letter || i > 0 && c >= '0' && c <= '9')
	}
	if plain {
		return append(b, name...)
	}
	return appendJSON(b, name)
}

// appendJSON writes a string as Open vSwitch does: it escapes quotes, backslashes and control characters only.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\f':
			b = append(b, '\\', 'f')
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
