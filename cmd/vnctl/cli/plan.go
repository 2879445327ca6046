package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

func (e *Env) planCommand() *cobra.Command {
	var prune string
	var detailed bool
	cmd := e.withDocuments(&cobra.Command{Use: "plan", Short: "Say what apply would do, object by object and field by field", Long: documentsHelp},
		func(cmd *cobra.Command, docs documents) error {
			plan, err := e.plan(cmd, docs, prune)
			if err != nil {
				return err
			}
			if err := e.printPlan(plan); err != nil {
				return err
			}
			if detailed && changes(plan) > 0 {
				return errDiffers
			}
			return nil
		})
	pruneFlag(cmd, &prune)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with status 5 where apply would change something")
	return cmd
}

func (e *Env) diffCommand() *cobra.Command {
	var prune string
	cmd := e.withDocuments(&cobra.Command{Use: "diff", Short: "Compare documents with what is there; exit status 5 where they differ", Long: documentsHelp},
		func(cmd *cobra.Command, docs documents) error {
			plan, err := e.plan(cmd, docs, prune)
			if err != nil {
				return err
			}
			if e.format == formatTable {
				err = printDiff(e.Stdout, plan)
			} else {
				err = e.printPlan(plan)
			}
			if err == nil && changes(plan) > 0 {
				err = errDiffers
			}
			return err
		})
	pruneFlag(cmd, &prune)
	return cmd
}

func (e *Env) plan(cmd *cobra.Command, docs documents, prune string) (*client.Applied, error) {
	c, err := e.connect()
	if err != nil {
		return nil, err
	}
	return c.With(client.Write{Prune: prune}).Plan(cmd.Context(), docs.params())
}

// changes counts the objects that a plan touches.
func changes(plan *client.Applied) int {
	n := 0
	for _, item := range plan.Items {
		if item.Action != client.Unchanged {
			n++
		}
	}
	return n
}

var planMarks = map[string]string{client.Created: "+", client.Updated: "~", client.Deleted: "-"}

// printPlan prints what an apply would do.
func (e *Env) printPlan(plan *client.Applied) error {
	e.notes(plan.Notes)
	switch e.format {
	case formatJSON, formatYAML:
		return e.printBody(plan.Body)
	case formatName:
		for _, item := range plan.Items {
			if item.Action != client.Unchanged {
				fmt.Fprintln(e.Stdout, item.UUID)
			}
		}
		return nil
	}
	out := bufio.NewWriter(e.Stdout)
	count := map[string]int{}
	for _, item := range plan.Items {
		count[item.Action]++
		mark, ok := planMarks[item.Action]
		if !ok {
			continue
		}
		fmt.Fprintf(out, "%s %s %s\n", mark, item.Resource, item.UUID)
		for _, c := range item.Changes {
			switch {
			case item.Action == client.Updated:
				fmt.Fprintf(out, "    %s: %q -> %q\n", c.Field, c.From, c.To)
			case item.Action == client.Created && c.Field != "uuid":
				fmt.Fprintf(out, "    %s: %q\n", c.Field, c.To)
			}
		}
	}
	fmt.Fprintf(out, "%d to create, %d to change, %d to delete, %d unchanged.\n",
		count[client.Created], count[client.Updated], count[client.Deleted], count[client.Unchanged])
	return out.Flush()
}

// printDiff prints what differs, line by line: what is there with -, what the documents say with +.
func printDiff(w io.Writer, plan *client.Applied) error {
	out := bufio.NewWriter(w)
	for _, item := range plan.Items {
		mark, ok := planMarks[item.Action]
		if !ok {
			continue
		}
		fmt.Fprintf(out, "%s %s %s\n", strings.Replace(mark, "~", " ", 1), item.Resource, item.UUID)
		for _, c := range item.Changes {
			if c.Field == "uuid" {
				continue
			}
			if c.From != "" {
				fmt.Fprintf(out, "-     %s: %s\n", c.Field, printable(c.From))
			}
			if c.To != "" {
				fmt.Fprintf(out, "+     %s: %s\n", c.Field, printable(c.To))
			}
		}
	}
	return out.Flush()
}

func (e *Env) expandCommand() *cobra.Command {
	return e.withDocuments(&cobra.Command{Use: "expand", Short: "Show the objects that documents stand for, compact ones expanded",
		Long: `Prints the objects of the documents as plain documents, which apply takes as well; compact ones (virtual_network: NAME) expanded,
with the path that each object comes from. It asks no server.`},
		func(_ *cobra.Command, docs documents) error {
			conf, err := e.config()
			if err != nil {
				return err
			}
			if e.format, err = parseFormat(conf.output); err != nil {
				return err
			}
			return e.printDocuments(docs)
		})
}

// printDocuments prints documents as apply takes them, what is referred to first.
func (e *Env) printDocuments(docs documents) error {
	switch e.format {
	case formatJSON:
		body, err := json.Marshal(docs.params())
		if err != nil {
			return err
		}
		return e.printBody(body)
	case formatName:
		for _, r := range model.All() {
			for _, l := range docs.byPlural[r.Plural] {
				if uuid, ok := l.params["uuid"]; ok {
					fmt.Fprintln(e.Stdout, uuid)
				}
			}
		}
		return nil
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, r := range model.All() {
		if len(docs.byPlural[r.Plural]) == 0 {
			continue
		}
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, l := range docs.byPlural[r.Plural] {
			object := &yaml.Node{Kind: yaml.MappingNode}
			if l.path != "" {
				object.HeadComment = l.path
			}
			for _, f := range settable(r) {
				if v, ok := l.params[f.Name]; ok {
					object.Content = append(object.Content, scalar(f.Name), scalar(v))
				}
			}
			list.Content = append(list.Content, object)
		}
		root.Content = append(root.Content, scalar(r.Plural), list)
	}
	enc := yaml.NewEncoder(e.Stdout)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return err
	}
	return enc.Close()
}

func scalar(v any) *yaml.Node {
	n := &yaml.Node{}
	noError(n.Encode(v)) // a string, a boolean, nil, or labels
	return n
}

func (e *Env) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export [RESOURCE...]", Short: "Print objects as documents that apply takes back", Example: examples["export"],
		Long: `Prints the objects of the resources, of all resources without an argument, as documents: applying them to the same server changes
nothing, to an empty one makes the same networks. YAML, or JSON with -o json.`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			return completePlurals(begun), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().SortFlags = false
	labels := cmd.Flags().StringP("selector", "l", "", "only what has these labels: `KEY=VALUE[,...]`")
	tenant := cmd.Flags().String("tenant-uuid", "", "only what is this tenant's: `uuid`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := url.Values{}
		resources, err := resourcesNamed(args)
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"resource": strings.Join(resources, ","), "labels": *labels, "tenant_uuid": *tenant} {
			if value != "" {
				q.Set(name, value)
			}
		}
		c, err := e.connect()
		if err != nil {
			return err
		}
		path := "export.yml"
		if e.format == formatJSON || e.format == formatName {
			path = "export"
		}
		reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: path, Query: q, Long: true})
		if err != nil {
			return err
		}
		switch e.format {
		case formatJSON:
			return e.printBody(reply.Body)
		case formatName:
			docs, err := read(reply.Body)
			if err != nil {
				return err
			}
			for i := range docs.Members {
				if err := e.printNames(docs.Members[i].List, "uuid"); err != nil {
					return err
				}
			}
			return nil
		}
		_, err = e.Stdout.Write(reply.Body)
		return err
	}
	return cmd
}

// resourcesNamed gives the plurals of resources that are named in any way.
func resourcesNamed(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		r := resourceNamed(name)
		if r == nil {
			return nil, fmt.Errorf("%q is no resource; \"vnctl explain\" lists them", name)
		}
		out = append(out, r.Plural)
	}
	return out, nil
}

func completePlurals(begun string) []string {
	return slices.DeleteFunc(plurals(), func(s string) bool { return !strings.HasPrefix(s, begun) })
}
