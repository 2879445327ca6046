package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
)

func (e *Env) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch [RESOURCE...]", Short: "Print changes of objects as they happen", Example: examples["watch"],
		Long: `Prints every change of the resources, of all without an argument, until it is interrupted or has printed as many as --count says.
A lost connection is made again, and nothing is missed: where the server does not remember far enough, the word resync says that what
is known has to be read again. With -o json each event is a line.`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			return completePlurals(begun), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().SortFlags = false
	uuids := cmd.Flags().StringSlice("uuid", nil, "only these objects: `uuid[,...]`")
	since := cmd.Flags().Int64("since", 0, "begin with what came after this `revision`; without it, now")
	count := cmd.Flags().Int("count", 0, "end after so many events")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		resources, err := resourcesNamed(args)
		if err != nil {
			return err
		}
		c, err := e.connect()
		if err != nil {
			return err
		}
		if _, err := c.Version(cmd.Context()); err != nil { // from here on a server that is away is one to wait for
			return err
		}
		n, lost := 0, false
		for ev, err := range c.Watch(cmd.Context(), client.WatchOptions{Resources: resources, UUIDs: *uuids, Since: *since}) {
			if err != nil {
				if !errors.Is(err, client.ErrUnreachable) {
					return err
				}
				if !lost { // once is enough until it is there again
					fmt.Fprintf(e.Stderr, "vnctl: %v; trying again\n", err)
				}
				lost = true
				continue
			}
			lost = false
			if err := e.printEvent(ev); err != nil {
				return err
			}
			if n++; n == *count {
				return nil
			}
		}
		return nil
	}
	return cmd
}

// printEvent prints a change in one line, in YAML as a document.
func (e *Env) printEvent(ev *client.Event) error {
	switch e.format {
	case formatName:
		if ev.UUID == "" {
			return nil
		}
		_, err := fmt.Fprintln(e.Stdout, ev.UUID)
		return err
	case formatJSON, formatYAML:
		body, err := json.Marshal(ev)
		if err != nil {
			return err
		}
		if e.format == formatJSON {
			_, err = e.Stdout.Write(append(body, '\n'))
			return err
		}
		if err := e.printBody(body); err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.Stdout, "---")
		return err
	}
	if ev.Type == client.Resync {
		_, err := fmt.Fprintf(e.Stdout, "%d resync: changes before this revision were missed\n", ev.Revision)
		return err
	}
	o, err := read(ev.Object)
	if err != nil {
		return err
	}
	var parts []string
	for i := range o.Members {
		m := &o.Members[i]
		if base, ok := strings.CutSuffix(m.Name, "_prefix"); ok && hasMember(&o, base+"_network") {
			continue
		}
		if text := memberText(&o, m.Name); text != "" && m.Name != "uuid" && !unshown[m.Name] && says(m.Scalar) {
			parts = append(parts, m.Name+"="+text)
		}
	}
	_, err = fmt.Fprintln(e.Stdout, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", ev.Revision, ev.Type, ev.UUID, strings.Join(parts, " "))))
	return err
}
