package cli

import (
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// fieldFlag is the flag of a declared field. It takes any text: whether it is a value of the field is said by the server, which
// may be newer than this program.
type fieldFlag struct {
	field *model.Field
	text  string
}

func (f *fieldFlag) String() string     { return f.text }
func (f *fieldFlag) Set(s string) error { f.text = s; return nil }

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
	return fields
}

func mutable(r *model.Resource) []*model.Field {
	return slices.DeleteFunc(slices.Clone(r.Fields), func(f *model.Field) bool { return !f.Mutable })
}

// filters gives the fields by which a list can be filtered, but for those that arguments are for.
func filters(r *model.Resource, without ...string) []*model.Field {
	fields := slices.DeleteFunc(slices.Clone(r.Fields), func(f *model.Field) bool {
		return f.Type == model.Time || f.Name == "uuid" || f.Name == "id" || slices.Contains(without, f.Name)
	})
	if r == model.Interfaces { // the Web API flattens these into it
		fields = append(fields, r.Inputs...)
	}
	return fields
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
