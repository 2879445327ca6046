package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/compact"
)

const documentsHelp = `Reads YAML or JSON documents: maps from the plural of a resource to a list of objects. Objects that are not there are
created, those that differ are changed, the others are left alone; the order does not matter. An object is known by its uuid,
which makes a second run change nothing. A document that begins with virtual_network is the compact form of a whole network,
which "vnctl expand" turns into objects. A directory stands for its files *.yaml, *.yml and *.json; - for the standard input;
-f may be given several times.

With --prune the objects get the labels of the selector, and objects that have all of these labels but are in no document are
deleted.`

// documentCommands are the commands over files of documents.
func (e *Env) documentCommands() []*cobra.Command {
	return []*cobra.Command{e.applyCommand(), e.planCommand(), e.diffCommand(), e.expandCommand(), e.exportCommand()}
}

// withDocuments makes a command that reads files.
func (e *Env) withDocuments(cmd *cobra.Command, run func(cmd *cobra.Command, docs documents) error) *cobra.Command {
	cmd.Use += " -f FILE"
	cmd.Example = examples[cmd.Name()]
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s takes its files with -f", cmd.CommandPath())
		}
		return nil
	}
	cmd.Flags().SortFlags = false
	files := cmd.Flags().StringArrayP("file", "f", nil, "`FILE`, directory or - (required)")
	noError(cmd.MarkFlagRequired("file"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		docs, err := e.documents(*files)
		if err != nil {
			return err
		}
		return docs.locate(run(cmd, docs))
	}
	return cmd
}

func (e *Env) applyCommand() *cobra.Command {
	var prune string
	var write *writeFlags
	cmd := e.withDocuments(&cobra.Command{Use: "apply", Short: "Create or change many objects from documents, all or none",
		Long: documentsHelp + "\n\nEither everything is done or nothing. \"vnctl plan\" says what would be done."},
		func(cmd *cobra.Command, docs documents) error {
			c, err := write.client(e, prune)
			if err != nil {
				return err
			}
			applied, err := c.Apply(cmd.Context(), docs.params())
			if err != nil {
				return err
			}
			return e.printApplied(applied, write.dryRun)
		})
	pruneFlag(cmd, &prune)
	write = e.addWrite(cmd, false)
	return cmd
}

func pruneFlag(cmd *cobra.Command, prune *string) {
	cmd.Flags().StringVar(prune, "prune", "", "delete what has these labels and is in no document: `KEY=VALUE[,...]`")
}

// documents are the objects of the files, in the order in which they are sent.
type documents struct {
	byPlural map[string][]located
}

// located is one object with the place where it stands.
type located struct {
	file   string
	line   int
	path   string // within a compact document, what it is expanded from: "guests.web1"
	params client.Params
	lines  map[string]int // of the parameters
}

func (d documents) params() client.Documents {
	out := client.Documents{}
	for plural, list := range d.byPlural {
		for _, l := range list {
			out[plural] = append(out[plural], l.params)
		}
	}
	return out
}

// locate adds to a refusal where its parameter, as "networks[2].ipv4_network", stands.
func (d documents) locate(err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) {
		return err
	}
	plural, rest, ok := strings.Cut(refused.Parameter, "[")
	var n int
	if _, serr := fmt.Sscanf(rest, "%d]", &n); !ok || serr != nil || n < 0 || n >= len(d.byPlural[plural]) {
		return err
	}
	l := d.byPlural[plural][n]
	_, field, _ := strings.Cut(rest, "].")
	if l.path != "" {
		return fmt.Errorf("%s:%d: %s: %w", l.file, cmp.Or(l.lines[field], l.line), l.path, err)
	}
	return fmt.Errorf("%s:%d: %w", l.file, cmp.Or(l.lines[field], l.line), err)
}

// ReadDocuments reads documents as "vnctl apply -f" does; - is the standard input. locate adds to a refusal, a [client.Error], where its parameter, as
// "networks[2].ipv4_network", stands in the files.
func ReadDocuments(files []string, stdin io.Reader) (docs client.Documents, locate func(error) error, err error) {
	d, err := readDocuments(files, stdin)
	return d.params(), d.locate, err
}

func (e *Env) documents(files []string) (documents, error) { return readDocuments(files, e.Stdin) }

// readDocuments reads the files.
func readDocuments(files []string, stdin io.Reader) (documents, error) {
	d := documents{byPlural: map[string][]located{}}
	for _, name := range files {
		paths, err := filesOf(name)
		if err != nil {
			return d, err
		}
		for _, path := range paths {
			var text []byte
			if path == "-" {
				path = "standard input"
				text, err = io.ReadAll(stdin)
			} else {
				text, err = os.ReadFile(path)
			}
			if err != nil {
				return d, err
			}
			if err := d.read(path, text); err != nil {
				return d, err
			}
		}
	}
	if len(d.byPlural) == 0 {
		return d, errors.New("there is nothing in the files")
	}
	return d, nil
}

// filesOf gives the files that an argument stands for.
func filesOf(name string) ([]string, error) {
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := os.ReadDir(name) // sorted by name
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); !entry.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".json") {
			out = append(out, filepath.Join(name, entry.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: there is no file *.yaml, *.yml or *.json in this directory", name)
	}
	return out, nil
}

// read adds the documents of one file; mistakes are told with their line.
func (d documents) read(file string, text []byte) error {
	docs, err := document.YAML(text, document.Limits{Depth: 8, Values: 4_000_000}) // JSON is YAML too
	if err != nil {
		var e *document.Error
		if errors.As(err, &e) && e.Line > 0 {
			return fmt.Errorf("%s:%d: %s", file, e.Line, e.Reason)
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, doc := range docs {
		if doc.Kind != document.Map {
			return fmt.Errorf("%s:%d: a document is a map from resources to lists, not %s", file, doc.Line, doc.String())
		}
		if compact.Is(&doc) {
			if err := d.expand(file, &doc); err != nil {
				return err
			}
			continue
		}
		for _, m := range doc.Members {
			r := model.ByPlural(m.Name)
			if r == nil || r.Hidden {
				return fmt.Errorf("%s:%d: %q is no resource; there are %s", file, m.Line, m.Name, strings.Join(plurals(), ", "))
			}
			if m.Kind == document.Scalar && m.Scalar == nil {
				continue
			}
			if m.Kind != document.List {
				return fmt.Errorf("%s:%d: %s must be a list, not %s", file, m.Line, m.Name, m.Value.String())
			}
			for i := range m.List {
				l, err := readObject(file, r, &m.List[i])
				if err != nil {
					return err
				}
				d.byPlural[r.Plural] = append(d.byPlural[r.Plural], l)
			}
		}
	}
	return nil
}

// expand adds what a compact document stands for.
func (d documents) expand(file string, doc *document.Value) error {
	docs, err := compact.Expand(doc)
	if err != nil {
		var mistakes compact.Errors
		if !errors.As(err, &mistakes) {
			return fmt.Errorf("%s: %w", file, err)
		}
		var all []error
		for _, m := range mistakes {
			all = append(all, fmt.Errorf("%s:%d: %s: %s", file, m.Line, cmp.Or(m.Path, compact.Key), m.Reason))
		}
		return errors.Join(all...)
	}
	for _, x := range docs {
		plural := x.Resource.Plural
		d.byPlural[plural] = append(d.byPlural[plural], located{file: file, line: x.Line, path: x.Path, params: x.Params, lines: x.Lines})
	}
	return nil
}

func readObject(file string, r *model.Resource, v *document.Value) (located, error) {
	l := located{file: file, line: v.Line, params: client.Params{}, lines: map[string]int{}}
	if v.Kind != document.Map {
		return l, fmt.Errorf("%s:%d: %s must be a map, not %s", file, v.Line, r.Indefinite(), v.String())
	}
	known := settable(r)
	for _, m := range v.Members {
		i := slices.IndexFunc(known, func(f *model.Field) bool { return f.Name == m.Name || f.Alias == m.Name && m.Name != "" })
		if i < 0 {
			return l, fmt.Errorf("%s:%d: %s has no parameter %q; there are %s", file, m.Line, r.Indefinite(), m.Name, fieldNames(known))
		}
		value := m.Scalar
		switch {
		case m.Kind == document.Map && known[i].Name == "labels":
			labels := map[string]any{}
			for _, label := range m.Members {
				labels[label.Name] = label.Scalar
			}
			value = labels
		case m.Kind != document.Scalar:
			return l, fmt.Errorf("%s:%d: %s must be a single value, not %s", file, m.Line, m.Name, m.Value.String())
		}
		if _, err := known[i].Parse(value); err != nil {
			return l, fmt.Errorf("%s:%d: %w", file, m.Line, err)
		}
		name := known[i].Name
		if _, ok := l.params[name]; ok {
			return l, fmt.Errorf("%s:%d: %s is given twice, once by its older name", file, m.Line, name)
		}
		l.params[name], l.lines[name] = value, m.Line
	}
	for _, f := range known {
		if _, ok := l.params[f.Name]; f.Required && !ok {
			return l, fmt.Errorf("%s:%d: the %s lacks %s, which is required", file, v.Line, r.Title(), f.Name)
		}
	}
	return l, nil
}

func plurals() []string {
	var out []string
	for _, r := range exposed() {
		out = append(out, r.Plural)
	}
	slices.Sort(out)
	return out
}

func fieldNames(fields []*model.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

func (e *Env) printApplied(a *client.Applied, dryRun bool) error {
	e.notes(a.Notes)
	switch e.format {
	case formatJSON, formatYAML:
		if err := e.printBody(a.Body); err != nil {
			return err
		}
	case formatName:
		for _, item := range a.Items {
			fmt.Fprintln(e.Stdout, item.UUID)
		}
	default:
		how := ""
		if dryRun {
			how = " (dry run)"
		}
		for _, item := range a.Items {
			fields := ""
			if item.Action == client.Updated && len(item.Changes) > 0 {
				names := make([]string, len(item.Changes))
				for i, c := range item.Changes {
					names[i] = c.Field
				}
				fields = " (" + strings.Join(names, ", ") + ")"
			}
			fmt.Fprintf(e.Stdout, "%s %s%s%s\n", item.UUID, item.Action, fields, how)
		}
	}
	if a.Applied {
		return nil
	}
	var hosts []model.HostStatus
	for _, item := range a.Items {
		for _, h := range item.Status {
			if h.State != model.StateApplied && !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return notApplied(a.Revision, hosts)
}
