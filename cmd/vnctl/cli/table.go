package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// unshown are the members of an object that a table leaves out.
var unshown = map[string]bool{
	"id": true, "created_at": true, "updated_at": true, "revision": true, "notes": true,
	"public_keys": true, "user_data": true, "vendor_data": true, "network_config": true, // of guests, long, and not for everybody who looks over a shoulder
}

// column is a column of a table: what it is called, and the text of an object's cell, "" where there is nothing.
type column struct {
	head string
	text func(o *document.Value) string
}

// columns gives the columns that say something of any of the objects, in the order of the objects' members: the uuid first, the status
// last. A prefix length stands with its network.
func columns(rows []document.Value) []column {
	var cols []column
	seen := map[string]bool{}
	status := false
	for i := range rows {
		for j := range rows[i].Members {
			m := &rows[i].Members[j]
			name := m.Name
			status = status || name == "status"
			if seen[name] || m.Kind != document.Scalar || unshown[name] {
				continue
			}
			if base, ok := strings.CutSuffix(name, "_prefix"); ok && hasMember(&rows[i], base+"_network") {
				continue
			}
			if !says(m.Scalar) || ordinary(&rows[i], m) {
				continue
			}
			seen[name] = true
			cols = append(cols, column{head: name, text: func(o *document.Value) string { return memberText(o, name) }})
		}
	}
	cols = inOrder(cols, rows)
	if status {
		cols = append(cols, column{head: "status", text: statusText})
	}
	return cols
}

// says reports whether a value is worth a column: a boolean only where it is true.
func says(v any) bool { return v != nil && v != "" && v != false }

// ordinary reports whether a setting of an object is the one that it has if nobody says anything, which is not worth a column: a number or
// choice that is the default, or a number that is 0. The mode is not meant: it says what the object is.
func ordinary(o *document.Value, m *document.Member) bool {
	r := model.ByUUID(memberText(o, "uuid"))
	if r == nil || m.Name == "mode" {
		return false
	}
	f := r.Field(m.Name)
	switch {
	case f == nil || !f.Mutable:
		return false
	case f.Type == model.Integer:
		return fmt.Sprint(m.Scalar) == cmp.Or(f.Default, "0")
	}
	return f.Enum != nil && fmt.Sprint(m.Scalar) == f.Default
}

// inOrder sorts columns that were met in different objects as the first object has its members.
func inOrder(cols []column, rows []document.Value) []column {
	var out []column
	for i := range rows[0].Members {
		for _, c := range cols {
			if c.head == rows[0].Members[i].Name {
				out = append(out, c)
			}
		}
	}
	for _, c := range cols {
		if !hasMember(&rows[0], c.head) {
			out = append(out, c)
		}
	}
	return out
}

func hasMember(o *document.Value, name string) bool {
	_, ok := o.Get(name)
	return ok
}

// memberText gives a member of an object for people.
func memberText(o *document.Value, name string) string {
	m, ok := o.Get(name)
	if !ok || m.Kind != document.Scalar || m.Scalar == nil {
		return ""
	}
	text := fmt.Sprint(m.Scalar)
	if b, ok := m.Scalar.(bool); ok {
		text = map[bool]string{true: "yes", false: "no"}[b]
	}
	if base, ok := strings.CutSuffix(name, "_network"); ok && text != "" {
		if prefix := memberText(o, base+"_prefix"); prefix != "" {
			text += "/" + prefix
		}
	}
	return text
}

// statusText sums an object's status up.
func statusText(o *document.Value) string {
	hosts := hostStatus(o)
	count := map[model.HostState]int{}
	for _, h := range hosts {
		if h.State == model.StateError {
			return "error: " + hostText(h)
		}
		count[h.State]++
	}
	switch {
	case len(hosts) == 0:
		return ""
	case count[model.StatePending] > 0:
		return fmt.Sprintf("pending on %d of %d", count[model.StatePending], len(hosts))
	case count[model.StateUnreachable] > 0:
		return fmt.Sprintf("unreachable: %d of %d", count[model.StateUnreachable], len(hosts))
	}
	return "applied"
}

func hostStatus(o *document.Value) []model.HostStatus {
	s, ok := o.Get("status")
	if !ok {
		return nil
	}
	var hosts []model.HostStatus
	for i := range s.List {
		h := &s.List[i]
		hosts = append(hosts, model.HostStatus{DatapathUUID: memberText(h, "datapath_uuid"), NodeID: memberText(h, "node_id"),
			State: model.HostState(memberText(h, "state")), Reason: memberText(h, "reason")})
	}
	return hosts
}

// table prints objects one to a line, those columns or the ones that say something.
func table(w io.Writer, rows []document.Value, only []string) error {
	for i := range rows {
		if rows[i].Kind != document.Map {
			return errNoAnswer
		}
	}
	cols := columns(rows)
	if len(only) > 0 {
		cols = nil
		for _, name := range only {
			c := column{head: name, text: func(o *document.Value) string {
				if m, ok := o.Get(name); ok && m.Kind == document.List {
					return listText(m)
				}
				return memberText(o, name)
			}}
			if name == "status" {
				c.text = statusText
			}
			cols = append(cols, c)
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cell func(column) string) {
		cells := make([]string, len(cols))
		for i, c := range cols {
			cells[i] = cell(c)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	line(func(c column) string { return strings.ToUpper(c.head) })
	for i := range rows {
		line(func(c column) string {
			if text := c.text(&rows[i]); text != "" {
				return strings.ReplaceAll(text, "\n", ", ") // a row is one line; rules may be parted by either
			}
			return "-"
		})
	}
	return tw.Flush()
}

// describe prints one object in full.
func describe(w io.Writer, o *document.Value) error {
	if o.Kind != document.Map {
		return errNoAnswer
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	describeMembers(tw, o, "")
	if hosts, ok := o.Get("status"); ok && len(hosts.List) > 0 {
		for i, h := range hostStatus(o) {
			head := ""
			if i == 0 {
				head = "status:"
			}
			fmt.Fprintf(tw, "%s\t%s\n", head, hostText(h))
		}
	} else if ok {
		fmt.Fprintf(tw, "status:\tconcerns no host\n")
	}
	return tw.Flush()
}

func describeMembers(w io.Writer, o *document.Value, indent string) {
	for i := range o.Members {
		m := &o.Members[i]
		switch {
		case m.Name == "status" || indent != "" && unshown[m.Name]:
		case m.Kind == document.Scalar:
			if base, ok := strings.CutSuffix(m.Name, "_prefix"); ok && hasMember(o, base+"_network") {
				continue
			}
			if text := memberText(o, m.Name); text != "" {
				fmt.Fprintf(w, "%s%s:\t%s\n", indent, m.Name, strings.ReplaceAll(text, "\n", "\n\t"))
			}
		case m.Kind == document.List && len(m.List) > 0 && m.List[0].Kind == document.Scalar:
			fmt.Fprintf(w, "%s%s:\t%s\n", indent, m.Name, listText(&m.Value))
		case m.Kind == document.List:
			for j := range m.List {
				fmt.Fprintf(w, "%s%s:\n", indent, strings.TrimSuffix(m.Name, "s"))
				describeMembers(w, &m.List[j], indent+"  ")
			}
		}
	}
}
