package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// accessCommands are the commands of those who run the manager.
func (e *Env) accessCommands() []*cobra.Command {
	token := group("token", "Make, list and revoke tokens for the Web API, and tokens by which hosts join")
	token.Aliases = []string{"tokens"}
	token.AddCommand(e.tokenCreate(), e.tokenHost(), e.listCommand("list", "List the tokens", "tokens", "uuid", "name", "role", "tenants", "expires_at", "expired", "created_by"),
		e.revokeCommand("revoke NAME...", "Revoke tokens, by name or uuid; it counts at once", "tokens", "name"))

	hosts := e.listCommand("hosts", "List the hosts: connected or not, how far behind, with what problems", "hosts",
		"node_id", "datapath_uuid", "connected", "since", "address", "software", "objects", "acknowledged", "lag_ms", "pending", "problems", "reason")
	hosts.Long = hosts.Short + ".\n\n\"vnctl host\" debugs the host that it runs on."
	hosts.AddCommand(e.listCommand("joined", "List the hosts that have joined, and until when their certificates are valid", "enrollments",
		"uuid", "node_id", "dpid", "expires_at", "created_at"),
		e.revokeCommand("revoke NODE...", "Cut hosts off: their certificates count for nothing any more", "enrollments", "node_id"))
	return []*cobra.Command{token, hosts, e.auditCommand()}
}

// listCommand prints a list of the Web API that is no resource's: in tables those members.
func (e *Env) listCommand(use, short, path string, members ...string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Aliases: map[string][]string{"list": {"show"}}[use]}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s takes no argument %q", cmd.CommandPath(), args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return e.printPath(cmd, path, nil, members) }
	return cmd
}

// printPath prints the list at a path.
func (e *Env) printPath(cmd *cobra.Command, path string, q url.Values, members []string) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: path, Query: q})
	if err != nil {
		return err
	}
	if e.format == formatJSON || e.format == formatYAML {
		return e.printBody(reply.Body)
	}
	var page client.Page
	if err := json.Unmarshal(reply.Body, &page); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	page.TotalCount = len(page.Items) // such a list is not cut into pages
	return e.printList(&page, members)
}

// revokeCommand deletes from such a list what has those names, which are the items' member.
func (e *Env) revokeCommand(use, short, path, member string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Aliases: []string{"del"}, Args: atLeast(1, " a name")}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		return e.completeMember(cmd.Context(), path, member, begun, args), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := e.connect()
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range args {
			reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodDelete, Path: path + "/" + url.PathEscape(name)})
			if err == nil {
				err = e.deleted(reply)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return cmd
}

func (e *Env) tokenCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE", Aliases: []string{"add"}, Short: "Make a token; its secret is shown once",
		Long: `Makes a token for the Web API, which may do no more than the token that makes it. Its secret is shown now and never again: keep it in
a file that only you can read, and name that with --token-file or token_file, or set VNET_TOKEN.`,
		Example: `  vnctl token create ci --role operator --tenant tn-shop --expires 30d`,
		Args:    exactly(1, "", " NAME"),
	}
	n := client.NewToken{}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&n.Role, "role", "", "`viewer|operator|admin`: reads; also changes; also makes tokens (required)")
	cmd.Flags().StringSliceVar(&n.Tenants, "tenant", nil, "only for this tenant, may be given several times: `uuid`")
	cmd.Flags().StringVar(&n.Expires, "expires", "", "how long it is valid: `12h|30d|never`; 90d")
	noError(cmd.MarkFlagRequired("role"))
	noError(cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{model.RoleViewer, model.RoleOperator, model.RoleAdmin}, cobra.ShellCompDirectiveNoFileComp)))
	noError(cmd.RegisterFlagCompletionFunc("tenant", e.completeField(model.Networks.Field("tenant_uuid"))))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n.Name = args[0]
		return e.secret(cmd, "tokens", n)
	}
	return cmd
}

func (e *Env) tokenHost() *cobra.Command {
	cmd := &cobra.Command{
		Use: "host [NODE]", Short: "Make a token by which one host joins, once: vna join TOKEN",
		Long: `Makes a token that holds the manager's address and the fingerprint of its CA. On the host, "vna join TOKEN" is all there is to
do. Without NODE any host that has not joined yet may use it.`,
		Args: cobra.MaximumNArgs(1),
	}
	n := client.NewJoinToken{}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringSliceVar(&n.Managers, "manager", nil, "how the host reaches the manager; without it, as the manager knows itself: `URL`")
	cmd.Flags().StringVar(&n.Expires, "expires", "", "how long it is valid: `12h|2d`; 1h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			n.NodeID = args[0]
		}
		return e.secret(cmd, "join_tokens", n)
	}
	return cmd
}

// secret makes a token, and prints it.
func (e *Env) secret(cmd *cobra.Command, path string, body any) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	reply, err := c.Do(cmd.Context(), client.Request{Method: http.MethodPost, Path: path, Body: body})
	if err != nil {
		return err
	}
	return e.printObjects([][]byte{reply.Body}, nil)
}

func (e *Env) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Show the end of the audit log: who changed what, and what was refused", Args: cobra.NoArgs,
		Long: "Shows the last entries of the audit log, the newest last. It is for admins of everything.",
	}
	limit := cmd.Flags().Int("limit", 100, "how many entries, 1000 at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := e.connect()
		if err != nil {
			return err
		}
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		if e.format == formatJSON || e.format == formatYAML {
			return e.printPath(cmd, "audit", q, nil)
		}
		entries, err := c.Audit(cmd.Context(), *limit)
		if err != nil {
			return err
		}
		return printAudit(e.Stdout, entries)
	}
	return cmd
}

// printAudit prints entries, which come newest first, in the order of time.
func printAudit(w io.Writer, entries []client.AuditEntry) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME\tWHO\tFROM\tWHAT\tREVISION\tRESULT")
	for i := len(entries) - 1; i >= 0; i-- {
		a := &entries[i]
		what, result, revision := printable(a.Method+" "+a.Path), strconv.Itoa(a.Status), "-"
		if a.DryRun {
			what += " (dry run)"
		}
		if a.Message != "" {
			result += " " + printable(a.Message)
		}
		if a.Revision != 0 {
			revision = strconv.FormatInt(a.Revision, 10)
		}
		who := cmp.Or(a.Who, "-")
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Time.UTC().Format("2006-01-02T15:04:05Z"), who, a.Remote, what, revision, result)
	}
	return tw.Flush()
}

// printable gives a text of a stranger's so that it moves no cursor and begins no column.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// listText gives a list in a table: its texts, or how many there are.
func listText(v *document.Value) string {
	text := ""
	for i := range v.List {
		if v.List[i].Kind != document.Scalar {
			return strconv.Itoa(len(v.List))
		}
		if i > 0 {
			text += ","
		}
		text += fmt.Sprint(v.List[i].Scalar)
	}
	return text
}
