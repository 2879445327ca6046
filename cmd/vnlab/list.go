package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/testenv/lab"
)

func (a *app) listCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "ps"},
		Short:   "Show the nodes of the labs, their addresses and processes",
		Args:    positional,
		RunE: func(*cobra.Command, []string) error {
			names, err := lab.Names(a.root)
			if err != nil {
				return err
			}
			if a.lab != "" {
				names = []string{a.lab}
			}
			labs := []lab.Status{}
			for _, name := range names {
				st, err := lab.ReadStatus(a.root, name)
				if err != nil {
					return err
				}
				labs = append(labs, st)
			}
			if format != "table" {
				return write(a.out, format, labs)
			}
			if len(labs) == 0 {
				fmt.Fprintln(a.out, "no lab is up")
			}
			for i, l := range labs {
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				if err := table(a.out, l); err != nil {
					return err
				}
			}
			return nil
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func table(out io.Writer, l lab.Status) error {
	note := ""
	if !l.Whole {
		note = "  HALF BUILT: \"vnlab down " + l.Name + "\" removes it"
	}
	fmt.Fprintf(out, "lab %s  api %s  management %v%s\n", l.Name, l.API, l.Management, note)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tAT\tPORT\tMAC\tADDRESSES\tPROCESSES")
	for _, n := range l.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Kind, dash(n.At), dash(n.Port), dash(n.MAC.String()),
			dash(addresses(n.Addresses)), dash(processes(n.Processes)))
	}
	return w.Flush()
}

func addresses(ps []netip.Prefix) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, " ")
}

func processes(ps []lab.ProcessStatus) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		switch {
		case p.Running:
			s[i] = fmt.Sprintf("%s:%d", p.Component, p.PID)
		case p.PID != 0:
			s[i] = fmt.Sprintf("%s:ended", p.Component)
		default:
			s[i] = fmt.Sprintf("%s:-", p.Component)
		}
	}
	return strings.Join(s, " ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "table", "table, json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *format != "table" && *format != "json" && *format != "yaml" {
			return fmt.Errorf("--output is table, json or yaml, not %q", *format)
		}
		return nil
	}
}

// write gives a value as JSON, or as YAML with the same keys in the same order.
func write(out io.Writer, format string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if format == "json" {
		_, err = fmt.Fprintf(out, "%s\n", b)
		return err
	}
	var n yaml.Node // JSON is YAML in another style
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	plain(&n)
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(&n); err != nil {
		return err
	}
	_, err = out.Write(buf.Bytes())
	return err
}

func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}
