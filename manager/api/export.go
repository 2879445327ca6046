package api

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// export answers with objects as documents that apply takes back: applied to the store that they come from they change nothing, applied to
// an empty one they make the same again, but for what the manager numbers and draws itself. It leaves out what follows from
// other documents: rows that a topology owns, associations that leases justify, and an interface's first port, which stands among the
// interface's own parameters.
func (h *handler) export(c *call) (*response, error) {
	if err := refuseUnknown(c.q, []string{"resource", fieldLabels, "tenant_uuid"}); err != nil {
		return nil, err
	}
	var resources []*model.Resource
	for plural := range strings.SplitSeq(c.q["resource"], ",") {
		if plural == "" {
			continue
		}
		r := exposed(plural)
		if r == nil {
			return nil, refusef(model.ArgumentError, "resource", "%q is not a resource; there are %s", clip(plural), plurals())
		}
		resources = append(resources, r)
	}
	var labels []label
	if v := c.q[fieldLabels]; v != "" {
		var err error
		if labels, err = parseSelector(fieldLabels, v); err != nil {
			return nil, err
		}
	}
	tenant, byTenant := c.q["tenant_uuid"]
	if byTenant && tenant != "" {
		if err := checkUUID(model.ByPlural("tenants"), "tenant_uuid", tenant); err != nil {
			return nil, err
		}
	}

	var chosen [][]model.Object
	ports := map[string]*model.InterfacePort{} // by interface, its first
	var rev int64
	h.Reader.View(func(x *span.Index, revision int64) {
		rev = revision
		for _, o := range x.Graph().List(model.InterfacePorts) {
			if p := o.(*model.InterfacePort); ports[p.InterfaceUUID] == nil {
				ports[p.InterfaceUUID] = p
			}
		}
		for _, r := range model.All() {
			if r.Hidden || resources != nil && !slices.Contains(resources, r) {
				continue
			}
			var list []model.Object
			for _, o := range x.Graph().List(r) {
				if p, ok := o.(*model.InterfacePort); ok && ports[p.InterfaceUUID] == p || derived(o) || !c.sees(o) ||
					labels != nil && !carries(r.Field(fieldLabels).Text(o), labels) || byTenant && r.Field("tenant_uuid").Text(o) != tenant {
					continue
				}
				list = append(list, o)
			}
			if list != nil {
				chosen = append(chosen, list)
			}
		}
	})
	res := &response{revision: rev, kind: kindOf(c.asYAML)}
	res.stream = func(w http.ResponseWriter) (int, error) {
		e := &exporter{rc: http.NewResponseController(w), w: w}
		defer func() { _ = e.rc.SetWriteDeadline(time.Time{}) }()
		buffered := bufio.NewWriterSize(e, 64<<10)
		err := writeDocuments(buffered, chosen, ports, c.asYAML)
		if err == nil {
			err = buffered.Flush()
		}
		if e.gone {
			err = nil
		}
		return e.bytes, err
	}
	return res, nil
}

// derived reports whether an object follows from others, which make it again, or from what guests do.
func derived(o model.Object) bool {
	r := model.Of(o)
	if owner := r.Field("topology_uuid"); owner != nil && owner.ReadOnly && owner.IsSet(o) {
		return true
	}
	if l, ok := o.(*model.IPLease); ok && l.LinkLocal() {
		return true
	}
	static := r.Field("static")
	return static != nil && static.Type == model.Boolean && !static.IsSet(o)
}

// exporter passes text on to a client, which has to take each piece within a minute.
type exporter struct {
	rc    *http.ResponseController
	w     io.Writer
	bytes int
	gone  bool
}

// Write sends one piece.
func (e *exporter) Write(b []byte) (int, error) {
	_ = e.rc.SetWriteDeadline(time.Now().Add(time.Minute)) // a recorder of a test has none
	n, err := e.w.Write(b)
	e.bytes += n
	e.gone = err != nil
	return n, err
}

// writeDocuments writes the documents one by one, so that no more than one is in memory.
func writeDocuments(w *bufio.Writer, chosen [][]model.Object, ports map[string]*model.InterfacePort, asYAML bool) error {
	if asYAML && len(chosen) == 0 || !asYAML {
		fmt.Fprint(w, "{")
	}
	for i, list := range chosen {
		plural := model.Of(list[0]).Plural
		switch {
		case asYAML:
			fmt.Fprintf(w, "%s:\n", plural)
		case i > 0:
			fmt.Fprintf(w, ",\n%q: [\n", plural)
		default:
			fmt.Fprintf(w, "%q: [\n", plural)
		}
		for n, o := range list {
			doc := documentOf(o, ports[o.Base().UUID])
			var b []byte
			var err error
			if asYAML {
				b, err = encode([]any{doc}, true)
			} else if b, err = appendJSON(nil, doc); n < len(list)-1 {
				b = append(b, ",\n"...)
			} else {
				b = append(b, "\n]"...)
			}
			if err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	if asYAML && len(chosen) == 0 || !asYAML {
		fmt.Fprint(w, "}\n")
	}
	return nil
}

// documentOf gives an object as a document: what a creation would not give it by itself.
func documentOf(o model.Object, port *model.InterfacePort) record {
	r := model.Of(o)
	fresh := r.New()
	var doc record
	for _, f := range r.Fields {
		if !f.ReadOnly && (f.Name == "uuid" || f.Required || f.Text(o) != f.Text(fresh)) {
			doc.add(f.Name, fieldValue(f, o))
		}
	}
	if r == model.Interfaces && port != nil {
		if port.DatapathUUID != "" {
			doc.add("owner_datapath_uuid", port.DatapathUUID)
		}
		if port.PortName != "" {
			doc.add("port_name", port.PortName)
		}
	}
	return doc
}
