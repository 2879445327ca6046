package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// format is a way of printing objects.
type format uint8

const (
	formatTable format = iota
	formatJSON
	formatYAML
	formatName
)

func parseFormat(s string) (format, error) {
	switch s {
	case "table":
		return formatTable, nil
	case "json":
		return formatJSON, nil
	case "yaml", "yml":
		return formatYAML, nil
	case "name":
		return formatName, nil
	}
	return 0, fmt.Errorf("%q is no format of output; there are table, json, yaml, name", s)
}

// read gives a body of the server's as values in its order.
func read(body []byte) (document.Value, error) {
	v, err := document.JSON(body, document.Limits{Values: 100_000_000})
	if err != nil {
		return v, fmt.Errorf("read the server's answer: %w", err)
	}
	return v, nil
}

// printBody prints one body as it is, in JSON or YAML.
func (e *Env) printBody(body []byte) error {
	if e.format == formatJSON {
		var b bytes.Buffer
		if err := json.Indent(&b, bytes.TrimSpace(body), "", "  "); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		b.WriteByte('\n')
		_, err := b.WriteTo(e.Stdout)
		return err
	}
	v, err := read(body)
	if err != nil {
		return err
	}
	enc := yaml.NewEncoder(e.Stdout)
	enc.SetIndent(2)
	if err := enc.Encode(yamlNode(&v)); err != nil {
		return err
	}
	return enc.Close()
}

// printObjects prints objects, only those members if any are named: a table of several, a single one in full; in JSON and YAML one after another.
func (e *Env) printObjects(bodies [][]byte, only []string) error {
	if e.format == formatJSON || e.format == formatYAML {
		for i, body := range bodies {
			if i > 0 && e.format == formatYAML {
				if _, err := io.WriteString(e.Stdout, "---\n"); err != nil {
					return err
				}
			}
			if err := e.printBody(body); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([]document.Value, len(bodies))
	for i, body := range bodies {
		var err error
		if rows[i], err = read(body); err != nil {
			return err
		}
	}
	switch {
	case e.format == formatName:
		return e.printNames(rows, "uuid")
	case len(rows) == 1:
		return describe(e.Stdout, &rows[0])
	case len(rows) == 0:
		return nil
	}
	return table(e.Stdout, rows, only)
}

// printList prints a list, only those members of its items if any are named.
func (e *Env) printList(page *client.Page, only []string) error {
	if e.format == formatJSON || e.format == formatYAML {
		if page.Items == nil {
			page.Items = []json.RawMessage{}
		}
		body, err := json.Marshal(page)
		if err != nil {
			return err
		}
		return e.printBody(body)
	}
	rows := make([]document.Value, len(page.Items))
	for i, item := range page.Items {
		var err error
		if rows[i], err = read(item); err != nil {
			return err
		}
	}
	if e.format == formatName {
		name := "uuid"
		if len(only) > 0 && !slices.Contains(only, name) {
			name = only[0]
		}
		return e.printNames(rows, name)
	}
	if len(rows) == 0 {
		fmt.Fprintln(e.Stderr, "There are none.")
		return nil
	}
	if err := table(e.Stdout, rows, only); err != nil {
		return err
	}
	if shown := page.Offset + len(rows); page.Offset > 0 || shown < page.TotalCount {
		fmt.Fprintf(e.Stderr, "%d to %d of %d.\n", page.Offset+1, shown, page.TotalCount)
	}
	return nil
}

func (e *Env) printNames(rows []document.Value, name string) error {
	for i := range rows {
		if _, err := fmt.Fprintln(e.Stdout, memberText(&rows[i], name)); err != nil {
			return err
		}
	}
	return nil
}

// written prints the answer to a creation or a change, and says what is to be said of it.
func (e *Env) written(reply *client.Reply) error {
	e.notes(reply.Notes)
	if e.format == formatTable {
		v, err := read(reply.Body)
		if err != nil {
			return err
		}
		if err := table(e.Stdout, []document.Value{v}, nil); err != nil {
			return err
		}
	} else if err := e.printObjects([][]byte{reply.Body}, nil); err != nil {
		return err
	}
	if reply.Applied() {
		return nil
	}
	var o struct{ Status []model.HostStatus }
	if err := json.Unmarshal(reply.Body, &o); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return notApplied(reply.Revision, o.Status)
}

// deleted prints the answer to a deletion.
func (e *Env) deleted(reply *client.Reply) error {
	e.notes(reply.Notes)
	var uuids []string
	if err := json.Unmarshal(reply.Body, &uuids); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	switch e.format {
	case formatJSON, formatYAML:
		if err := e.printBody(reply.Body); err != nil {
			return err
		}
	default:
		after := map[format]string{formatTable: " deleted"}[e.format]
		for _, uuid := range uuids {
			fmt.Fprintln(e.Stdout, uuid+after)
		}
	}
	if !reply.Applied() {
		return notApplied(reply.Revision, nil)
	}
	return nil
}

func (e *Env) notes(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(e.Stderr, "Note: %s\n", n)
	}
}

// notApplied says which hosts have not realised a write.
func notApplied(revision int64, hosts []model.HostStatus) error {
	var parts []string
	for _, h := range hosts {
		if h.State != model.StateApplied {
			parts = append(parts, hostText(h))
		}
	}
	text := fmt.Sprintf("stored at revision %d, but %%w", revision)
	if len(parts) > 0 {
		text += ": " + strings.ReplaceAll(strings.Join(parts, "; "), "%", "%%")
	}
	return fmt.Errorf(text, errNotApplied)
}

func hostText(h model.HostStatus) string {
	s := string(h.State)
	if h.Reason != "" {
		s += " (" + h.Reason + ")"
	}
	if h.NodeID != "" {
		return h.NodeID + " " + s
	}
	return h.DatapathUUID + " " + s
}

// yamlNode gives a value of the server's as YAML.
func yamlNode(v *document.Value) *yaml.Node {
	n := &yaml.Node{}
	switch v.Kind {
	case document.Map:
		n.Kind = yaml.MappingNode
		for i := range v.Members {
			key := &yaml.Node{}
			key.SetString(v.Members[i].Name)
			n.Content = append(n.Content, key, yamlNode(&v.Members[i].Value))
		}
	case document.List:
		n.Kind = yaml.SequenceNode
		for i := range v.List {
			n.Content = append(n.Content, yamlNode(&v.List[i]))
		}
	default:
		if num, ok := v.Scalar.(json.Number); ok {
			n.Kind, n.Value = yaml.ScalarNode, num.String()
		} else {
			noError(n.Encode(v.Scalar)) // a string, a boolean or nil
		}
	}
	return n
}

var errNoAnswer = errors.New("the server's answer is not an object")
