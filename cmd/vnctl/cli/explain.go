package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/model"
)

func (e *Env) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain [RESOURCE[.FIELD]]", Short: "Describe a resource and its fields",
		Long:    "Without an argument it lists the resources. A resource may be named in the singular, the plural, or by the prefix of its uuids.",
		Example: examples["explain"],
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes one argument, not %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeExplain(begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return explainAll(e.Stdout)
			}
			name, field, hasField := strings.Cut(args[0], ".")
			r := resourceNamed(name)
			if r == nil {
				return fmt.Errorf("%q is no resource; \"vnctl explain\" lists them", name)
			}
			if !hasField {
				return explainResource(e.Stdout, r)
			}
			field = strings.ReplaceAll(field, "-", "_")
			f := r.Field(field)
			if f == nil {
				f = r.Input(field)
			}
			if f == nil {
				return fmt.Errorf("%s has no field %q; \"vnctl explain %s\" lists them", r.Indefinite(), field, r.Plural)
			}
			fmt.Fprintf(e.Stdout, "%s.%s: %s\n  %s\n", r.Plural, f.Name, strings.Join(traits(r, f), ", "), f.Doc)
			return nil
		},
	}
}

// exposed gives the resources that clients may see, by name.
func exposed() []*model.Resource {
	list := slices.DeleteFunc(slices.Clone(model.All()), func(r *model.Resource) bool { return r.Hidden })
	slices.SortFunc(list, func(a, b *model.Resource) int { return strings.Compare(a.Plural, b.Plural) })
	return list
}

func resourceNamed(name string) *model.Resource {
	name = strings.ReplaceAll(name, "-", "_")
	for _, r := range exposed() {
		if name == r.Name || name == r.Plural || name == r.Prefix {
			return r
		}
	}
	return nil
}

func completeExplain(begun string) []string {
	var out []string
	name, _, hasField := strings.Cut(begun, ".")
	for _, r := range exposed() {
		if !hasField {
			out = append(out, r.Plural)
		} else if r == resourceNamed(name) {
			for _, f := range slices.Concat(r.Fields, r.Inputs) {
				out = append(out, name+"."+f.Name)
			}
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return !strings.HasPrefix(s, begun) })
}

func explainAll(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range exposed() {
		fmt.Fprintf(tw, "%s\t%s-...\t%s\n", r.Plural, r.Prefix, firstSentence(r.Doc))
	}
	return tw.Flush()
}

func explainResource(w io.Writer, r *model.Resource) error {
	fmt.Fprintf(w, "%s (%s, uuids %s-...)\n  %s\n", r.Plural, r.Title(), r.Prefix, r.Doc)
	if r.Parent != "" {
		parent := model.ByPlural(r.Field(r.Parent).Ref)
		fmt.Fprintf(w, "  Its rows belong to %s: \"vnctl %s %s\".\n", parent.Indefinite(), hyphens(parent.Plural), hyphens(r.Path))
	}
	fmt.Fprintln(w, "\nFields:")
	explainFields(w, r, r.Fields)
	if len(r.Inputs) > 0 {
		fmt.Fprintln(w, "\nFurther parameters of its creation:")
		explainFields(w, r, r.Inputs)
	}
	for _, u := range r.Uniques {
		fmt.Fprintf(w, "\nUnique: %s.", strings.Join(u.FieldNames(), ", "))
	}
	if len(r.Uniques) > 0 {
		fmt.Fprintln(w)
	}
	return nil
}

func explainFields(w io.Writer, r *model.Resource, fields []*model.Field) {
	for _, f := range fields {
		fmt.Fprintf(w, "  %s: %s\n      %s\n", f.Name, strings.Join(traits(r, f), ", "), f.Doc)
	}
}

// traits gives what a field's declaration says beside its description.
func traits(r *model.Resource, f *model.Field) []string {
	kind := f.Type.String()
	switch {
	case f.Enum != nil:
		kind = "one of " + strings.Join(f.Enum, ", ")
	case f.Ref != "":
		kind = "uuid of " + model.ByPlural(f.Ref).Indefinite()
	case f.Type == model.IPAddress && f.Family != 0:
		kind = fmt.Sprintf("IPv%d address", f.Family)
	}
	list := []string{kind}
	add := func(ok bool, text string) {
		if ok {
			list = append(list, text)
		}
	}
	add(f.Alias != "", "also "+f.Alias)
	add(f.Required, "required")
	add(f.Default != "", "default "+f.Default)
	add(f.Min != nil || f.Max != nil, bounds(f))
	input := r.Input(f.Name) == f
	switch {
	case f.ReadOnly:
		add(true, "set by the manager")
	case f.Mutable:
		add(true, "can be changed")
	default:
		add(!input, "cannot be changed")
	}
	if f.Ref != "" && !input {
		add(f.OnDelete == model.Cascade, "deleted together with it")
		add(f.OnDelete == model.Clear, "emptied when it is deleted")
		add(f.OnDelete == model.Restrict, "which cannot be deleted meanwhile")
	}
	return list
}

func bounds(f *model.Field) string {
	switch {
	case f.Min == nil && f.Max == nil:
		return ""
	case f.Min == nil:
		return fmt.Sprintf("at most %d", *f.Max)
	case f.Max == nil:
		return fmt.Sprintf("at least %d", *f.Min)
	}
	return fmt.Sprintf("%d to %d", *f.Min, *f.Max)
}
