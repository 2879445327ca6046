package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openvnet/openvnet/cmd/vnctl/host"
)

//go:generate go test -count=1 -run ^(TestReferenceIsCurrent|TestHelp|TestExplain)$ . -update

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../../../docs/vnctl.md"
	e := newShell(t).env
	e.Commands = []func(*Env) *cobra.Command{func(e *Env) *cobra.Command {
		return host.Command(io.Discard, func(string) string { return "" }, e.Output)
	}}
	root := e.root(all)
	root.InitDefaultHelpFlag()
	got := reference(root)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), string(got)); d != "" {
		t.Errorf("%s is not what the commands say; make docs (-file +commands):\n%s", path, d)
	}
}

// ofAll are the flags that the verbs of all resources have, and of which; the reference says them once.
var ofAll = map[string]string{
	"uuid": "add", "tenant-uuid": "add, show", "labels": "add, modify, show", "wait": "add, modify, del", "dry-run": "add, modify, del",
	"if-revision": "modify, del", "limit": "show", "offset": "show", "fields": "show", "help": "",
}

// reference gives docs/vnctl.md.
func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# vnctl\n\nGenerated from the commands in cmd/vnctl (make docs); do not edit. `vnctl COMMAND --help` and `vnctl explain\nRESOURCE.FIELD` say the same.\n\n```\n%s\n```\n\n", root.Long)
	b.WriteString("Flags of every command:\n\n")
	flagTable(&b, root.PersistentFlags(), "help")
	b.WriteString("\n## Resources\n\n`create` is another word for `add`, `update` for `modify`, `list` for `show`, `delete` and `rm` for `del`. A resource may be named in\nthe singular, or by the prefix of its uuids: `vnctl nw show`. Flags that all resources have:\n\n")
	nw := find(root, "networks")
	b.WriteString("| flag | of | meaning |\n|---|---|---|\n")
	said := map[string]bool{"help": true}
	for _, verb := range []string{"add", "modify", "show"} {
		find(nw, verb).Flags().VisitAll(func(f *pflag.Flag) {
			if of, ok := ofAll[f.Name]; ok && !said[f.Name] {
				value, usage := pflag.UnquoteUsage(f)
				fmt.Fprintf(&b, "| %s | %s | %s |\n", code(strings.TrimSpace("--"+f.Name+" "+value)), of, cell(usage))
				said[f.Name] = true
			}
		})
	}
	for _, cmd := range root.Commands() {
		if cmd.GroupID != groupResources || cmd.Hidden {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", cmd.Name(), firstParagraph(cmd.Long))
		verbs(&b, cmd)
		for _, sub := range cmd.Commands() {
			if sub.HasSubCommands() {
				fmt.Fprintf(&b, "\n#### %s %s\n\n%s\n\n", cmd.Name(), sub.Name(), firstParagraph(sub.Long))
				verbs(&b, sub)
			}
		}
	}
	b.WriteString("\n## Other commands\n")
	for _, cmd := range root.Commands() {
		if cmd.GroupID == groupOthers && cmd.Name() != "help" && cmd.Name() != "completion" {
			other(&b, cmd, "###")
		}
	}
	return b.Bytes()
}

func find(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// verbs writes the usage of a resource's commands, and one table of their flags.
func verbs(b *bytes.Buffer, of *cobra.Command) {
	b.WriteString("```\n")
	var names []string
	flags := map[string]*pflag.Flag{}
	in := map[string][]string{}
	var cmds []*cobra.Command
	for _, name := range []string{"add", "show", "modify", "del"} {
		cmds = append(cmds, find(of, name))
	}
	for _, cmd := range of.Commands() {
		if !cmd.HasSubCommands() && !slices.Contains(cmds, cmd) {
			cmds = append(cmds, cmd)
		}
	}
	for _, cmd := range cmds {
		if cmd == nil {
			continue
		}
		fmt.Fprintln(b, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, ok := ofAll[f.Name]; ok || f.Hidden {
				return
			}
			if flags[f.Name] == nil {
				flags[f.Name] = f
				names = append(names, f.Name)
			}
			in[f.Name] = append(in[f.Name], cmd.Name())
		})
	}
	b.WriteString("```\n\n")
	if len(names) == 0 {
		return
	}
	b.WriteString("| flag | of | meaning |\n|---|---|---|\n")
	for _, name := range names {
		value, usage := pflag.UnquoteUsage(flags[name])
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(strings.TrimSpace("--"+name+" "+value)), strings.Join(in[name], ", "), cell(usage))
	}
}

func other(b *bytes.Buffer, cmd *cobra.Command, head string) {
	fmt.Fprintf(b, "\n%s %s\n\n%s.\n\n```\n", head, strings.TrimPrefix(cmd.CommandPath(), "vnctl "), cmd.Short)
	if cmd.Runnable() && !strings.HasPrefix(cmd.Long, cmd.Short) && cmd.Long != "" {
		fmt.Fprintf(b, "%s\n\n", cmd.Long)
	}
	fmt.Fprintf(b, "%s\n```\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```\n%s\n```\n", cmd.Example)
	}
	if flags := cmd.LocalFlags(); flags.HasAvailableFlags() {
		b.WriteString("\n")
		flagTable(b, flags, "help")
	}
	for _, sub := range cmd.Commands() {
		other(b, sub, head+"#")
	}
}

func flagTable(b *bytes.Buffer, flags *pflag.FlagSet, without ...string) {
	var rows []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || slices.Contains(without, f.Name) {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		rows = append(rows, fmt.Sprintf("| %s | %s |\n", code(strings.TrimSpace("--"+f.Name+" "+value)), cell(usage)))
	})
	if len(rows) > 0 {
		b.WriteString("| flag | meaning |\n|---|---|\n" + strings.Join(rows, ""))
	}
}

func code(s string) string { return "`" + cell(s) + "`" }

func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ")
}

func firstParagraph(s string) string {
	p, _, _ := strings.Cut(s, "\n\n")
	return p
}
