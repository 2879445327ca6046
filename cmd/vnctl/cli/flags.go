package cli

import (
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// fieldFlag is the flag of a declared field. It takes any text: whether it is a value of the field is said by the server, which
// may be newer than this program.
type fieldFlag struct {
	field  *model.Field
	text   string
	prefix *pflag.Flag // of a subnet's address: the flag of its prefix length, so that ADDRESS/LENGTH can be said
}

func (f *fieldFlag) String() string { return f.text }

// Set takes the flag's value.
func (f *fieldFlag) Set(s string) error {
	if address, length, ok := strings.Cut(s, "/"); ok && f.prefix != nil {
		s = address
		f.prefix.Changed = true
		if err := f.prefix.Value.Set(length); err != nil {
			return err
		}
	}
	f.text = s
	return nil
}

// aliasFlag is an older name of a flag.
type aliasFlag struct {
	pflag.Value
	of *pflag.Flag
}

// Set sets the flag that it is a name of.
func (a aliasFlag) Set(s string) error {
	a.of.Changed = true
	return a.of.Value.Set(s)
}

// Type is what help shows as the flag's value.
func (f *fieldFlag) Type() string {
	switch f.field.Type {
	case model.Boolean:
		return "bool"
	case model.Integer:
		return "number"
	case model.MACAddress:
		return "mac"
	case model.IPAddress:
		return "ip"
	case model.IPPrefix:
		return "ip/length"
	case model.DatapathID:
		return "dpid"
	}
	switch {
	case f.field.Enum != nil:
		return strings.Join(f.field.Enum, "|")
	case f.field.Ref != "" || f.field.Name == "uuid":
		return "uuid"
	}
	return "text"
}

// fieldFlags are the flags of a command that stand for fields.
type fieldFlags []*fieldFlag

// addFields gives a command a flag for each of the fields. In a creation required ones are marked and defaults shown.
func (e *Env) addFields(cmd *cobra.Command, fields []*model.Field, creation bool) fieldFlags {
	var list fieldFlags
	for _, field := range fields {
		f := &fieldFlag{field: field}
		name := hyphens(field.Name)
		usage := field.Doc
		if creation && field.Default != "" {
			usage += " Default: " + field.Default + "."
		}
		if creation && field.Required {
			usage += " (required)"
		}
		flag := cmd.Flags().VarPF(f, name, "", usage)
		if field.Alias != "" {
			alias := cmd.Flags().VarPF(aliasFlag{f, flag}, hyphens(field.Alias), "", "older name of --"+name)
			alias.Hidden, alias.NoOptDefVal = true, flag.NoOptDefVal
		}
		if field.Type == model.Boolean {
			flag.NoOptDefVal = "true"
		}
		if creation && field.Required {
			noError(cmd.MarkFlagRequired(name))
		}
		if done := e.completeField(field); done != nil {
			noError(cmd.RegisterFlagCompletionFunc(name, done))
		}
		list = append(list, f)
	}
	for _, f := range list {
		if subnet, ok := strings.CutSuffix(f.field.Name, "_network"); ok {
			f.prefix = cmd.Flags().Lookup(hyphens(subnet) + "-prefix")
		}
	}
	return list
}

// params gives what was said with the flags.
func (l fieldFlags) params(cmd *cobra.Command) client.Params {
	p := client.Params{}
	for _, f := range l {
		if cmd.Flags().Changed(hyphens(f.field.Name)) {
			p[f.field.Name] = f.text
		}
	}
	return p
}

// settable gives the parameters of a creation, without those that the command takes as arguments.
func settable(r *model.Resource, without ...string) []*model.Field {
	var fields []*model.Field
	for _, f := range slices.Concat(r.Fields, r.Inputs) {
		if !f.ReadOnly && !slices.Contains(without, f.Name) {
			fields = append(fields, f)
		}
	}
	return ownFirst(fields)
}

// ownFirst moves what every resource has, but for the uuid, behind what only some have.
func ownFirst(fields []*model.Field) []*model.Field {
	rank := func(f *model.Field) int {
		if slices.Contains([]string{"tenant_uuid", "labels"}, f.Name) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(fields, func(a, b *model.Field) int { return rank(a) - rank(b) })
	return fields
}

func mutable(r *model.Resource) []*model.Field {
	return ownFirst(slices.DeleteFunc(slices.Clone(r.Fields), func(f *model.Field) bool { return !f.Mutable }))
}

// filters gives the fields by which a list can be filtered, but for those that arguments are for.
func filters(r *model.Resource, without ...string) []*model.Field {
	fields := slices.DeleteFunc(slices.Clone(r.Fields), func(f *model.Field) bool {
		return f.Type == model.Time || f.Name == "uuid" || f.Name == "id" || slices.Contains(without, f.Name)
	})
	if r == model.Interfaces { // the Web API flattens its first port and leases into it
		fields = append(fields, slices.DeleteFunc(slices.Clone(r.Inputs), func(f *model.Field) bool {
			return f.Name == "segment_uuid" || f.Name == "mac_range_group_uuid"
		})...)
	}
	return ownFirst(fields)
}

// booleans are the names of all boolean fields, with hyphens.
var booleans = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, r := range model.All() {
		for _, f := range slices.Concat(r.Fields, r.Inputs) {
			if f.Type == model.Boolean {
				names[hyphens(f.Name)] = true
			}
		}
	}
	return names
})

// plainBooleans brings the ways in which OpenVNet's vnctl takes booleans, "--flag true" and "--no-flag", to "--flag=true".
func plainBooleans(args []string) []string {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, isFlag := strings.CutPrefix(arg, "--")
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name = hyphens(name)
		if off, ok := strings.CutPrefix(name, "no-"); isFlag && ok && booleans()[off] {
			out = append(out, "--"+off+"=false")
			continue
		}
		if isFlag && booleans()[name] && i+1 < len(args) && slices.Contains([]string{"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"}, strings.ToLower(args[i+1])) {
			out = append(out, "--"+name+"="+args[i+1])
			i++
			continue
		}
		out = append(out, arg)
	}
	return out
}
