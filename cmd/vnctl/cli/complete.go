package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

const completeTimeout = 2 * time.Second

// completeField gives the completion of a field's flag: its enumeration, or the uuids that it may refer to.
func (e *Env) completeField(f *model.Field) cobra.CompletionFunc {
	switch {
	case f.Enum != nil:
		return cobra.FixedCompletions(f.Enum, cobra.ShellCompDirectiveNoFileComp)
	case f.Ref != "":
		return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			return e.completeUUIDs(cmd.Context(), f.Ref, begun, nil), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return cobra.NoFileCompletions
}

// completeArgs completes the uuids that a command takes as arguments.
func (p place) completeArgs(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	path := p.r.Plural
	switch {
	case p.parent == nil && cmd.Name() == "add", cmd.Name() == "modify" && len(args) > p.lead(), cmd.Name() == "add" && len(args) > p.lead():
		return nil, cobra.ShellCompDirectiveNoFileComp
	case len(args) < p.lead():
		path = p.parent.Plural
	case cmd.Name() == "add" && p.other == nil:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case cmd.Name() == "add":
		path = p.other.Plural
	case p.parent != nil:
		path, _ = p.path(args)
	}
	return p.e.completeUUIDs(cmd.Context(), path, begun, args), cobra.ShellCompDirectiveNoFileComp
}

// completeUUIDs asks the server for the uuids of a list; without an answer there are none.
func (e *Env) completeUUIDs(ctx context.Context, path, begun string, taken []string) []string {
	return e.completeMember(ctx, path, "uuid", begun, taken)
}

// completeMember asks the server for what the items of a list are called by that member, with their names for people.
func (e *Env) completeMember(ctx context.Context, path, member, begun string, taken []string) []string {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	conf, err := e.config()
	if err != nil {
		return nil
	}
	o, err := conf.options()
	if err != nil {
		return nil
	}
	o.Retries = -1
	c, err := client.New(o)
	if err != nil {
		return nil
	}
	q := url.Values{}
	if member == "uuid" {
		q.Set("limit", "1000")
	}
	reply, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: path, Query: q})
	if err != nil {
		return nil
	}
	var page struct{ Items []map[string]any }
	if json.Unmarshal(reply.Body, &page) != nil {
		return nil
	}
	var out []string
	for _, o := range page.Items {
		text, _ := o[member].(string)
		if text == "" || !strings.HasPrefix(text, begun) || slices.Contains(taken, text) {
			continue
		}
		if name, _ := o["display_name"].(string); name != "" {
			text += "\t" + name
		}
		out = append(out, text)
	}
	return out
}
