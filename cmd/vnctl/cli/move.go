package cli

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
)

// move gives the command that announces a move of an interface, or takes that back.
func (e *Env) move() *cobra.Command {
	cmd := &cobra.Command{
		Use: "move UUID --to DATAPATH", Short: "Announce that an interface moves to another host, or take that back",
		Long: "The other host gets ready for the interface. With its guest's first frame from there the interface is there, and the former host sends on\n" +
			"what still comes to it. With --cancel, which is possible until then, it stays where it is.",
		Args: exactly(1, "", " UUID"),
	}
	to := cmd.Flags().String("to", "", "the `DATAPATH` that it moves to")
	cancel := cmd.Flags().Bool("cancel", false, "take the announcement back")
	write := e.addWrite(cmd, true)
	cmd.Flags().SortFlags = false
	noError(cmd.RegisterFlagCompletionFunc("to", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return e.completeUUIDs(cmd.Context(), "datapaths", begun, nil), cobra.ShellCompDirectiveNoFileComp
	}))
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return e.completeUUIDs(cmd.Context(), "interfaces", begun, nil), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (*to == "") != *cancel {
			return errors.New("give either --to and a datapath, or --cancel")
		}
		r := client.Request{Method: http.MethodPost, Path: "interfaces/" + url.PathEscape(args[0]) + "/move", Body: client.Params{"datapath_uuid": *to}}
		if *cancel {
			r.Method, r.Body = http.MethodDelete, nil
		}
		c, err := write.client(e, "")
		if err != nil {
			return err
		}
		reply, err := c.Do(cmd.Context(), r)
		if err != nil {
			return err
		}
		return e.written(reply)
	}
	return cmd
}
