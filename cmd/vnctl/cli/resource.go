package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// place is where the objects of a resource are found, on the command line and in the Web API: by themselves, or below the
// object that they belong to.
type place struct {
	e      *Env
	r      *model.Resource
	parent *model.Resource // nil for by themselves
	other  *model.Resource // below a parent with a key: what the rows' other ends are, which they are named by
}

// resources gives the commands of all resources; of those that wanted does not know by any of their names, without what is below
// them. Those of sub-resources stand below their parents', and hidden by themselves too: OpenVNet's guide has
// "mac_ranges add mrg-x".
func (e *Env) resources(wanted func(names []string) bool) []*cobra.Command {
	var cmds []*cobra.Command
	for _, r := range exposed() {
		if r.Parent != "" { // by the prefix: the longer names would widen the column of commands in --help
			cmd := group(r.Prefix, "")
			if cmd.Aliases = aliases(r.Prefix, r.Plural, r.Name); wanted(append(cmd.Aliases, r.Prefix)) {
				cmd = e.subCommand(r, r.Prefix, r.Plural, r.Name)
			}
			cmd.Hidden = true
			cmds = append(cmds, cmd)
			continue
		}
		cmd := group(hyphens(r.Plural), firstSentence(r.Doc))
		cmd.Long = r.Doc + "\n\n\"vnctl explain " + r.Plural + "\" describes each field."
		cmd.Aliases = aliases(r.Plural, r.Name, r.Prefix)
		cmds = append(cmds, cmd)
		if !wanted(append(cmd.Aliases, cmd.Name())) {
			continue
		}
		cmd.AddCommand(place{e: e, r: r}.verbs()...)
		cmd.AddCommand(e.actions(r)...)
		if r == model.Interfaces {
			cmd.AddCommand(e.move())
		}
		for _, sub := range exposed() {
			if sub.Parent != "" && sub.Field(sub.Parent).Ref == r.Plural {
				cmd.AddCommand(e.subCommand(sub, sub.Path))
			}
		}
	}
	return cmds
}

// subCommand gives the command of a sub-resource. With the parent's uuid alone it lists, as OpenVNet's "ip_lease_containers ip_leases
// ilc-x" does.
func (e *Env) subCommand(sub *model.Resource, names ...string) *cobra.Command {
	p := place{e: e, r: sub, parent: model.ByPlural(sub.Field(sub.Parent).Ref)}
	if sub.Key != "" {
		p.other = model.ByPlural(sub.Field(sub.Key).Ref)
	}
	cmd := group(hyphens(names[0]), firstSentence(sub.Doc))
	cmd.Long, cmd.Aliases = sub.Doc+"\n\n\"vnctl explain "+sub.Plural+"\" describes each field.", aliases(names...)
	cmd.AddCommand(p.verbs()...)
	check, help := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && p.parent.CheckUUID(args[0]) == nil {
			return nil
		}
		return check(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || p.parent.CheckUUID(args[0]) != nil {
			return help(cmd, args)
		}
		c, err := e.connect()
		if err != nil {
			return err
		}
		path, _ := p.path(args)
		return e.list(cmd.Context(), c, path, client.Params{}, page{limit: -1})
	}
	return cmd
}

// aliases gives the further ways of writing the names.
func aliases(names ...string) []string {
	var out []string
	for i, name := range names {
		for _, way := range []string{name, hyphens(name)} {
			if (i > 0 || way != hyphens(name)) && !slices.Contains(out, way) {
				out = append(out, way)
			}
		}
	}
	return out
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	first, _, _ = strings.Cut(first, ": ")
	return strings.TrimSuffix(first, ".")
}

func (p place) verbs() []*cobra.Command {
	cmds := []*cobra.Command{p.add(), p.show(), p.del()}
	if len(mutable(p.r)) > 0 {
		cmds = append(cmds, p.modify())
	}
	for _, cmd := range cmds {
		cmd.Flags().SortFlags = false
		cmd.Example = examples[exampleKey(p, cmd.Name())]
		if cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = p.completeArgs
		}
	}
	return cmds
}

// named gives the arguments, for usage lines: those that lead to the collection, and those of one object in it.
func (p place) named() (parent, object string) {
	if p.parent != nil {
		parent = " " + strings.ToUpper(p.parent.Name)
	}
	switch {
	case p.other != nil:
		return parent, " " + strings.ToUpper(p.other.Name)
	case p.parent != nil:
		return parent, " " + strings.ToUpper(p.r.Prefix)
	}
	return parent, " UUID"
}

// path gives the Web API's path of the collection, and what is left of the arguments.
func (p place) path(args []string) (string, []string) {
	if p.parent == nil {
		return p.r.Plural, args
	}
	return p.parent.Plural + "/" + url.PathEscape(args[0]) + "/" + p.r.Path, args[1:]
}

// lead is the number of arguments that lead to the collection.
func (p place) lead() int {
	if p.parent == nil {
		return 0
	}
	return 1
}

func (p place) add() *cobra.Command {
	parent, object := p.named()
	use, n, taken := "add"+parent, p.lead(), []string{p.r.Parent, p.r.Key}
	if p.parent == nil {
		taken = nil
	}
	if p.other != nil {
		use, n = use+object, n+1
	}
	cmd := &cobra.Command{Use: use, Aliases: []string{"create"}, Short: "Create " + p.r.Indefinite(), Args: exactly(n, parent, object)}
	fields := p.e.addFields(cmd, settable(p.r, taken...), true)
	write := p.e.addWrite(cmd, false)
	if p.parent == nil {
		cmd.Use += " [UUID]"
		cmd.Args = cobra.ArbitraryArgs
		cmd.PreRunE = func(cmd *cobra.Command, args []string) error { return p.positional(cmd, args) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := write.client(p.e, "")
		if err != nil {
			return err
		}
		path, rest := p.path(args)
		if p.other != nil {
			path += "/" + url.PathEscape(rest[0])
		}
		reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodPost, Path: path, Body: fields.params(cmd)})
		if err != nil {
			return err
		}
		return p.e.written(reply)
	}
	return cmd
}

// positional sets flags from what stands without one, as OpenVNet's guide writes it: networks add nw-test1 10.100.0.0/24 virtual.
func (p place) positional(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		name := ""
		if strings.HasPrefix(arg, p.r.Prefix+"-") {
			name = "uuid"
		} else if f := p.r.Field("mode"); f != nil && slices.Contains(f.Enum, arg) {
			name = "mode"
		} else if prefix, err := netip.ParsePrefix(arg); err == nil {
			if name = "ipv4_network"; prefix.Addr().Is6() {
				name = "ipv6_network"
			}
		}
		flag := cmd.Flags().Lookup(name)
		if flag == nil {
			return fmt.Errorf("%s takes no argument %q; is a flag missing before it?", cmd.CommandPath(), arg)
		}
		if flag.Changed {
			return fmt.Errorf("%q is a second value of --%s", arg, flag.Name)
		}
		if err := cmd.Flags().Set(flag.Name, arg); err != nil {
			return err
		}
	}
	return nil
}

func (p place) modify() *cobra.Command {
	parent, object := p.named()
	cmd := &cobra.Command{Use: "modify" + parent + object, Aliases: []string{"update"}, Short: "Change " + p.r.Indefinite() + "; what is not said stays",
		Args: exactly(p.lead()+1, parent, object)}
	fields := p.e.addFields(cmd, mutable(p.r), false)
	write := p.e.addWrite(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		params := fields.params(cmd)
		if len(params) == 0 {
			return errors.New("nothing to change: no flag of a field is given")
		}
		c, err := write.client(p.e, "")
		if err != nil {
			return err
		}
		path, rest := p.path(args)
		reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodPut, Path: path + "/" + url.PathEscape(rest[0]), Body: params})
		if err != nil {
			return err
		}
		return p.e.written(reply)
	}
	return cmd
}

func (p place) show() *cobra.Command {
	parent, object := p.named()
	cmd := &cobra.Command{Use: "show" + parent + " [" + strings.TrimSpace(object) + "...]", Aliases: []string{"list"},
		Short: "Show some of the " + strings.ReplaceAll(p.r.Plural, "_", " ") + ", or list them",
		Long:  "Without a uuid it lists all that match the flags, with uuids it shows these. A single one is shown in full.",
		Args:  atLeast(p.lead(), parent)}
	var without []string
	if p.parent != nil {
		without = []string{p.r.Parent}
	}
	fields := p.e.addFields(cmd, filters(p.r, without...), false)
	limit := cmd.Flags().Int("limit", -1, "show at most so many; without it all")
	offset := cmd.Flags().Int("offset", 0, "leave out so many before")
	only := cmd.Flags().StringSlice("fields", nil, "show these fields only: `FIELD[,...]`; status is one")
	noError(cmd.RegisterFlagCompletionFunc("fields", cobra.FixedCompletions(strings.Split(fieldNames(p.r.Fields), ", "), cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.e.connect()
		if err != nil {
			return err
		}
		path, uuids := p.path(args)
		filter := fields.params(cmd)
		if len(uuids) == 0 {
			return p.e.list(cmd.Context(), c, path, filter, page{offset: *offset, limit: *limit, fields: *only})
		}
		query := url.Values{}
		if len(*only) > 0 {
			query.Set("fields", strings.Join(*only, ","))
		}
		if len(filter) > 0 || cmd.Flags().Changed("limit") || cmd.Flags().Changed("offset") {
			return errors.New("flags choose from a list; together with uuids they have no meaning")
		}
		return p.each(uuids, *only, func(uuid string) ([]byte, error) {
			reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: path + "/" + url.PathEscape(uuid), Query: query})
			if err != nil {
				return nil, err
			}
			return reply.Body, nil
		})
	}
	return cmd
}

// each shows some objects, those that are there also when others are not.
func (p place) each(uuids, only []string, get func(uuid string) ([]byte, error)) error {
	var bodies [][]byte
	var errs []error
	for _, uuid := range uuids {
		body, err := get(uuid)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		bodies = append(bodies, body)
	}
	return errors.Join(append(errs, p.e.printObjects(bodies, only))...)
}

// page is the part of a list that is asked for.
type page struct {
	offset, limit int      // limit < 0: to the end
	fields        []string // none: all
}

// list prints a list, all of it or a part.
func (e *Env) list(ctx context.Context, c *client.Client, path string, filter client.Params, part page) error {
	switch {
	case e.format == formatName:
		filter["fields"], part.fields = "uuid", nil
	case len(part.fields) > 0:
		filter["fields"] = strings.Join(part.fields, ",")
	case e.format == formatTable:
		filter["status"] = true
	}
	all := &client.Page{Offset: part.offset}
	if part.limit >= 0 {
		page, err := c.Page(ctx, path, filter, part.offset, part.limit)
		if err != nil {
			return err
		}
		all = page
	} else {
		for page, err := range c.Pages(ctx, path, filter, part.offset) {
			if err != nil {
				return err
			}
			all.TotalCount = page.TotalCount
			all.Items = append(all.Items, page.Items...)
		}
		all.Limit = len(all.Items)
	}
	return e.printList(all, part.fields)
}

func (p place) del() *cobra.Command {
	parent, object := p.named()
	use := "del" + parent + object + "..."
	check := atLeast(p.lead()+1, parent+object)
	matching := p.parent != nil && p.other == nil
	var fields fieldFlags
	cmd := &cobra.Command{Aliases: []string{"delete", "rm"}, Short: "Delete " + strings.ReplaceAll(p.r.Plural, "_", " ")}
	if matching {
		use = "del" + parent + " [" + strings.TrimSpace(object) + "...]"
		check = atLeast(p.lead(), parent)
		cmd.Long = "Deletes those named, or without a name all that match the flags."
		fields = p.e.addFields(cmd, filters(p.r, p.r.Parent), false)
	}
	cmd.Use, cmd.Args = use, check
	write := p.e.addWrite(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, uuids := p.path(args)
		filter := fields.params(cmd)
		switch {
		case matching && len(uuids) == 0 && len(filter) == 0:
			return errors.New("neither a uuid nor a flag says which to delete")
		case len(uuids) > 0 && len(filter) > 0:
			return errors.New("give either uuids or flags")
		}
		c, err := write.client(p.e, "")
		if err != nil {
			return err
		}
		if len(uuids) == 0 {
			q := url.Values{}
			for _, name := range slices.Sorted(maps.Keys(filter)) {
				q.Set(name, fmt.Sprint(filter[name]))
			}
			reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodDelete, Path: path, Query: q})
			if err != nil {
				return err
			}
			return p.e.deleted(reply)
		}
		var errs []error
		for _, uuid := range uuids {
			reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodDelete, Path: path + "/" + url.PathEscape(uuid)})
			if err == nil {
				err = p.e.deleted(reply)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return cmd
}

// writeFlags are the flags of every command that writes.
type writeFlags struct {
	wait       time.Duration
	dryRun     bool
	ifRevision int64
}

func (e *Env) addWrite(cmd *cobra.Command, existing bool) *writeFlags {
	w := &writeFlags{}
	cmd.Flags().DurationVar(&w.wait, "wait", 0, "wait until every connected host that is concerned has it, 30s at most or the `duration`")
	cmd.Flags().Lookup("wait").NoOptDefVal = "30s"
	cmd.Flags().BoolVar(&w.dryRun, "dry-run", false, "do everything but the commit")
	if existing {
		cmd.Flags().Int64Var(&w.ifRevision, "if-revision", 0, "refuse if the object is not at this `revision` any more")
	}
	return w
}

func (w *writeFlags) client(e *Env, prune string) (*client.Client, error) {
	c, err := e.connect()
	if err != nil {
		return nil, err
	}
	return c.With(client.Write{Wait: w.wait, DryRun: w.dryRun, IfMatch: w.ifRevision, Prune: prune}), nil
}

func exactly(n int, parent, object string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s takes %d arguments, %s, not %d", cmd.CommandPath(), n, strings.TrimSpace(parent+object), len(args))
		}
		return nil
	}
}

func atLeast(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return fmt.Errorf("%s needs%s", cmd.CommandPath(), names)
		}
		return nil
	}
}
