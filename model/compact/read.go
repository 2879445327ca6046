package compact

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// node is a value of the document with its place.
type node struct {
	v    *document.Value
	path string
	line int // of a map's member that of its name
}

// none reports whether the value is null, which is as good as absent.
func (n node) none() bool {
	return n.v == nil || n.v.Kind == document.Scalar && n.v.Scalar == nil
}

func (n node) item(i int) node {
	return node{&n.v.List[i], fmt.Sprintf("%s[%d]", n.path, i), n.v.List[i].Line}
}

// member is a named value of a map.
type member struct {
	node
	name string
}

// problems collects mistakes.
type problems struct {
	errs Errors
	more int
}

func (p *problems) addf(n node, format string, args ...any) {
	if len(p.errs) == maxErrors {
		p.more++
		return
	}
	p.errs = append(p.errs, &Error{Line: n.line, Path: n.path, Reason: fmt.Sprintf(format, args...)})
}

func (p *problems) err() error {
	if len(p.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(p.errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	if p.more > 0 {
		return append(p.errs, &Error{Line: p.errs[maxErrors-1].Line, Reason: fmt.Sprintf("... and %d more mistakes", p.more)})
	}
	return p.errs
}

// members gives the members of a map; what is no map is a mistake, nothing is an empty map.
func (p *problems) members(n node) []member {
	if n.none() {
		return nil
	}
	if n.v.Kind != document.Map {
		p.addf(n, "must be a map, not %s", n.v.String())
		return nil
	}
	out := make([]member, len(n.v.Members))
	for i := range n.v.Members {
		m := &n.v.Members[i]
		path := m.Name
		if n.path != "" {
			path = n.path + "." + clip(m.Name)
		}
		out[i] = member{node{&m.Value, clipPath(path), m.Line}, m.Name}
	}
	return out
}

// object is a map whose names are known.
type object struct {
	node
	of map[string]member
}

// object reads a map that may have these members.
func (p *problems) object(n node, known ...string) object {
	o := object{n, map[string]member{}}
	for _, m := range p.members(n) {
		if !slices.Contains(known, m.name) {
			p.addf(m.node, "there is no such thing here; there are %s", strings.Join(known, ", "))
			continue
		}
		o.of[m.name] = m
	}
	return o
}

// has reports whether a member is there and not null.
func (o object) has(name string) bool { m, ok := o.of[name]; return ok && !m.none() }

func (o object) get(name string) node { return o.of[name].node }

var nameSyntax = regexp.MustCompile(`^[a-z0-9]+((-+|[._])[a-z0-9]+)*$`)

const (
	maxName  = 63
	nameRule = "%q is no name: 1 to 63 of a-z and 0-9, with hyphens, dots or underscores between them"
)

func isName(s string) bool { return len(s) <= maxName && nameSyntax.MatchString(s) }

// named gives the members of a map from names that the document gives to things of the resource.
func (p *problems) named(n node, r *model.Resource) []member {
	return slices.DeleteFunc(p.members(n), func(m member) bool {
		switch {
		case !isName(m.name):
			p.addf(m.node, nameRule, clip(m.name))
		case r != nil && r.CheckUUID(m.name) == nil:
			p.addf(m.node, "%q is no name: it looks like the uuid of %s", m.name, r.Indefinite())
		default:
			return false
		}
		return true
	})
}

// text gives a single value; false where there is none, which is a mistake unless it is null.
func (p *problems) text(n node) (string, bool) {
	if n.none() {
		return "", false
	}
	if n.v.Kind != document.Scalar {
		p.addf(n, "must be a single value, not %s", n.v.String())
		return "", false
	}
	return fmt.Sprint(n.v.Scalar), true
}

// list gives the items of a list; a single value is a list of one.
func (p *problems) list(n node) []node {
	switch {
	case n.none():
		return nil
	case n.v.Kind == document.Map:
		p.addf(n, "must be a list or a single value, not a map")
		return nil
	case n.v.Kind == document.Scalar:
		return []node{n}
	}
	out := make([]node, len(n.v.List))
	for i := range n.v.List {
		out[i] = n.item(i)
		if out[i].none() {
			p.addf(out[i], "is empty")
		}
	}
	return slices.DeleteFunc(out, node.none)
}

func (p *problems) boolean(n node) bool {
	s, ok := p.text(n)
	if !ok {
		return false
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
	default:
		p.addf(n, "%q is neither true nor false", clip(s))
	}
	return false
}

// isBoolean reports whether the value is true or false rather than something else.
func isBoolean(n node) bool {
	if n.none() || n.v.Kind != document.Scalar {
		return false
	}
	switch strings.ToLower(fmt.Sprint(n.v.Scalar)) {
	case "true", "yes", "on", "false", "no", "off":
		return true
	}
	return false
}

func (p *problems) address(n node) (netip.Addr, bool) {
	s, ok := p.text(n)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		p.addf(n, "%q is not an IP address", clip(s))
		return netip.Addr{}, false
	}
	return a, true
}

func (p *problems) prefix(n node) (netip.Prefix, bool) {
	s, ok := p.text(n)
	if !ok {
		return netip.Prefix{}, false
	}
	f, reason := parsePrefix(s)
	if reason != "" {
		p.addf(n, "%s", reason)
	}
	return f, reason == ""
}

// parsePrefix reads a subnet; the reason says what is wrong with it.
func parsePrefix(s string) (f netip.Prefix, reason string) {
	f, err := netip.ParsePrefix(s)
	switch {
	case err != nil || f.Addr().Is4In6():
		return netip.Prefix{}, fmt.Sprintf("%q is not a subnet of the form address/prefix", clip(s))
	case f != f.Masked():
		return netip.Prefix{}, fmt.Sprintf("%s has bits set beyond its prefix; the subnet is %s", f, f.Masked())
	}
	return f, ""
}

func (p *problems) mac(n node) (model.MAC, bool) {
	s, ok := p.text(n)
	if !ok {
		return model.MAC{}, false
	}
	m, err := model.ParseMAC(s)
	switch {
	case err != nil:
		p.addf(n, "%v", err)
	case m == model.MAC{}:
		p.addf(n, "%q stands for no address", s)
	case m.IsMulticast():
		p.addf(n, "%s is a multicast address", m)
	default:
		return m, true
	}
	return model.MAC{}, false
}

// uuid gives the uuid of an object of the resource, "" where none is given.
func (p *problems) uuid(n node, r *model.Resource) string {
	s, ok := p.text(n)
	if !ok {
		return ""
	}
	if err := r.CheckUUID(s); err != nil {
		p.addf(n, "%v", err)
		return ""
	}
	return s
}

// port reads a port's number, 1 to 65535.
func port(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}

// clip keeps a quoted value short.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:61], "") + "..."
	}
	return s
}

// clipPath keeps a path short, whatever the names are.
func clipPath(s string) string {
	if len(s) > 256 {
		return strings.ToValidUTF8(s[:253], "") + "..."
	}
	return s
}
