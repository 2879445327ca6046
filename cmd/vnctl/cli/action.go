package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// action is what can be done to an object beside reading and writing it.
type action struct {
	of          string // plural
	verb, short string
	method      string
	path        string // below the object's
	params      []*model.Field
}

// special are the actions of the Web API that are no resource's own.
func special() []action {
	lease := model.ByPlural("ip_leases")
	return []action{
		{of: "ip_leases", verb: "attach", short: "Give an ip lease to an interface or to a mac lease", method: http.MethodPut, path: "attach",
			params: []*model.Field{lease.Field("interface_uuid"), lease.Field("mac_lease_uuid")}},
		{of: "ip_leases", verb: "release", short: "Take an ip lease from its interface; the address stays taken", method: http.MethodPut, path: "release"},
		{of: "lease_policies", verb: "allocate", short: "Take an address by a lease policy, for no interface yet", method: http.MethodPost, path: "ip_leases",
			params: []*model.Field{
				{Name: "ip_lease_uuid", Doc: "Name of the ip lease. Generated when absent."},
				{Name: "label", Doc: "Label of the ip lease containers that the lease is put into; all without."},
			}},
	}
}

// actions gives the commands of a resource's actions.
func (e *Env) actions(r *model.Resource) []*cobra.Command {
	var cmds []*cobra.Command
	for _, a := range special() {
		if a.of != r.Plural {
			continue
		}
		cmd := &cobra.Command{Use: a.verb + " UUID", Short: a.short, Args: exactly(1, "", " UUID"), Example: examples[hyphens(a.of)+" "+a.verb]}
		fields := e.addFields(cmd, a.params, false)
		write := e.addWrite(cmd, a.method == http.MethodPut)
		cmd.Flags().SortFlags = false
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return e.completeUUIDs(cmd.Context(), r.Plural, begun, nil), cobra.ShellCompDirectiveNoFileComp
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			params := fields.params(cmd)
			if a.verb == "attach" && len(params) != 1 {
				return fmt.Errorf("%s takes one of --interface-uuid and --mac-lease-uuid", cmd.CommandPath())
			}
			c, err := write.client(e, "")
			if err != nil {
				return err
			}
			reply, err := c.Do(cmd.Context(), client.Request{Method: a.method, Path: r.Plural + "/" + url.PathEscape(args[0]) + "/" + a.path, Body: params})
			if err != nil {
				return err
			}
			return e.written(reply)
		}
		cmds = append(cmds, cmd)
	}
	return cmds
}
