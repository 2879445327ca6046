// Package host is "vnctl host": the debugger of one host, which asks the host's agent over its local socket what it has made of the
// virtual networks: flows in the pipeline's words, ports, fast path entries, why packets are dropped. Imported by cmd/vnctl.
package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/agent/local"
)

// ErrNoAgent is wrapped by the errors of commands that got no answer from the agent.
var ErrNoAgent = errors.New("no answer from vna")

// host is what the commands share.
type host struct {
	socket string
	out    io.Writer
	format func() string
}

// Command makes the command "host". format gives the output format that was asked for: "table", "json", "yaml" or "".
func Command(out io.Writer, getenv func(string) string, format func() string) *cobra.Command {
	h := &host{out: out, format: format}
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Debug this host: flows, ports, fast path, drops",
		Long: `The commands of host ask the agent (vna) of the host they run on, over its unix socket: --socket, else the variable
VNA_SOCKET, else ` + local.DefaultSocket + `.`,
		Example: `  vnctl host status
  vnctl host ports
  vnctl host flows if-web1
  vnctl host drops --all
  vnctl host counters if-web1 --watch`,
	}
	socket := getenv("VNA_SOCKET")
	if socket == "" {
		socket = local.DefaultSocket
	}
	cmd.PersistentFlags().StringVar(&h.socket, "socket", socket, "unix socket of the agent")
	cmd.AddCommand(h.statusCommand(), h.portsCommand(), h.flowsCommand(), h.mapsCommand(), h.dropsCommand(), h.limitsCommand(), h.countersCommand())
	return cmd
}

func (h *host) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "How the agent is: manager, switch, revision, problems", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := get[local.Status](cmd.Context(), h, local.PathStatus)
			if err != nil {
				return err
			}
			return h.print(s, func(w io.Writer) {
				fmt.Fprintf(w, "node\t%s\ndatapath\t%s\nrevision\t%d\n", s.Node, or(s.Datapath, "not registered yet"), s.Revision)
				fmt.Fprintf(w, "share\t%s\nswitch\t%s\nobjects\t%d\nflows\t%d\n", choose(s.Complete, "complete", "as the disk remembers it"), choose(s.Switch, "connected", "NOT CONNECTED"), s.Objects, s.Flows)
				fmt.Fprintf(w, "ports without interface\t%s\n", or(strings.Join(s.Unplaced, " "), "none"))
				for _, c := range s.Services {
					if c.Packets > 0 {
						fmt.Fprintf(w, "packets for the agent, %s\t%d%s\n", c.Class, c.Packets, droppedText(c.Dropped))
					}
				}
				for _, p := range s.Problems {
					fmt.Fprintf(w, "problem\t%s: %s\n", p.UUID, p.Reason)
				}
			})
		},
	}
}

func (h *host) portsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ports", Short: "The bridge's ports, their interfaces and addresses", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ports, err := get[[]local.Port](cmd.Context(), h, local.PathPorts)
			if err != nil {
				return err
			}
			return h.print(ports, func(w io.Writer) {
				fmt.Fprintln(w, "PORT\tNAME\tIFACE-ID\tINTERFACE\tNETWORK\tMAC\tADDRESS\tFAST PATH")
				for _, p := range ports {
					first := fmt.Sprintf("%d\t%s\t%s\t%s", p.OFPort, p.Name, p.IfaceID, or(p.Interface, "-"))
					if len(p.Addresses) == 0 {
						fmt.Fprintf(w, "%s\t\t\t\t%s\n", first, p.FastPath)
					}
					for n, a := range p.Addresses {
						if n > 0 {
							first, p.FastPath = "\t\t\t", ""
						}
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", first, a.Network, a.MAC, a.Addr, p.FastPath)
					}
				}
			})
		},
	}
}

func (h *host) flowsCommand() *cobra.Command {
	var raw, all bool
	cmd := &cobra.Command{
		Use: "flows [OBJECT]", Short: "The switch's flows, in the words of the pipeline", Args: cobra.MaximumNArgs(1),
		Long: `The flows that the switch has now, by table and priority, with names for tables, registers and objects: the object that a
flow belongs to, what it matches, and what it does. docs/pipeline.md says what the tables and registers are for, and reads a host's flows
in these words. With the uuid of an object, only its own flows and those that mention it. Flows that are not as they should be are
marked with !.

Drops that have not happened are left out unless --all is given.`,
		Example: "  vnctl host flows\n  vnctl host flows if-web1\n  vnctl host flows nw-front --raw",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := local.PathFlows
			if len(args) == 1 {
				path += "?object=" + url.QueryEscape(args[0])
			}
			flows, err := get[[]local.Flow](cmd.Context(), h, path)
			if err != nil {
				return err
			}
			return h.print(flows, func(w io.Writer) {
				if raw {
					for _, f := range flows {
						fmt.Fprintln(w, f.Text)
					}
					return
				}
				fmt.Fprintln(w, "TABLE\tPRIORITY\tPACKETS\tOWNER\tMATCH\tACTIONS")
				for _, f := range flows {
					if !all && f.Packets == 0 && strings.HasPrefix(f.Owner, "drop ") {
						continue
					}
					fmt.Fprintf(w, "%s%d %s\t%d\t%d\t%s\t%s\t%s\n", choose(f.Foreign, "! ", ""), f.TableID, f.Table, f.Priority, f.Packets, f.Owner, or(f.Match, "*"), f.Actions)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "as ovs-ofctl writes them")
	cmd.Flags().BoolVar(&all, "all", false, "also drops that have not happened")
	return cmd
}

func (h *host) mapsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "maps", Short: "The entries and counters of the eBPF fast path", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := get[local.Maps](cmd.Context(), h, local.PathMaps)
			if err != nil {
				return err
			}
			return h.print(m, func(w io.Writer) {
				fmt.Fprintln(w, "PORT\tIFINDEX\tHOOK\tINTERFACE\tNETWORK\tMAC")
				for _, p := range m.Ports {
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", p.Name, p.Ifindex, p.Hook, p.Interface, p.Network, p.MAC)
				}
				fmt.Fprintln(w, "\nSENDER\tADDRESS\tMAC\tNETWORK")
				for _, s := range m.Sources {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Interface, s.Addr, s.MAC, s.Network)
				}
				fmt.Fprintln(w, "\nNETWORK\tADDRESS\tMAC\tINTERFACE")
				for _, n := range m.Neighbors {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Network, n.Addr, n.MAC, n.Interface)
				}
				fmt.Fprintln(w, "\nSIMULATED\tMAC\tADDRESS")
				for _, s := range m.Simulated {
					fmt.Fprintf(w, "%s\t%s\t%s\n", s.Interface, s.MAC, or(s.Addr, "any"))
				}
				fmt.Fprintln(w, "\nCOUNTER\tFRAMES")
				for _, c := range m.Counters {
					fmt.Fprintf(w, "%s\t%d\n", c.Name, c.Value)
				}
			})
		},
	}
}

func (h *host) dropsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "drops", Short: "Why packets were dropped, and how many", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			drops, err := get[[]local.Drop](cmd.Context(), h, local.PathDrops)
			if err != nil {
				return err
			}
			return h.print(drops, func(w io.Writer) {
				fmt.Fprintln(w, "PACKETS\tWHERE\tREASON\tMEANING")
				for _, d := range drops {
					if d.Packets > 0 || all {
						fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", d.Packets, d.Where, d.Reason, d.Doc)
					}
				}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also reasons that have not occurred")
	return cmd
}

func (h *host) limitsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "limits [PORT]", Short: "What ports may ask the host for, and what was too much", Args: cobra.MaximumNArgs(1),
		Long: `The limits of what each port may ask the host for, in packets per second and packets at once, by class: at the program at the port (fast path),
before Open vSwitch sees a packet, and at the meters of packets for the agent. What a port has sent is counted since the program, or the meter, is there.
Limits are set by vna --limit. Without --all, only classes of which the port has sent something.`,
		Example: "  vnctl host limits\n  vnctl host limits tap-web1 --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			limits, err := get[[]local.Limit](cmd.Context(), h, local.PathLimits)
			if err != nil {
				return err
			}
			limits = slices.DeleteFunc(limits, func(l local.Limit) bool {
				return len(args) == 1 && l.Port != args[0] || !all && l.Passed+l.Dropped == 0
			})
			return h.print(limits, func(w io.Writer) {
				fmt.Fprintln(w, "PORT\tINTERFACE\tCLASS\tWHERE\tRATE\tBURST\tPASSED\tDROPPED\tMEANING")
				for _, l := range limits {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", l.Port, or(l.Interface, "-"), l.Class, l.Where, l.Rate, l.Burst, l.Passed, l.Dropped, l.Doc)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also classes of which a port has sent nothing")
	return cmd
}

// print writes v in the format that was asked for; table writes tab-separated columns.
func (h *host) print(v any, table func(io.Writer)) error {
	switch f := h.format(); f {
	case "", "table":
		w := tabwriter.NewWriter(h.out, 0, 0, 2, ' ', 0)
		table(w)
		return w.Flush()
	case "json":
		enc := json.NewEncoder(h.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "yaml":
		// By way of JSON, so that names are the same.
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		var plain any
		if err := yaml.Unmarshal(b, &plain); err != nil {
			return err
		}
		return yaml.NewEncoder(h.out).Encode(plain)
	default:
		return fmt.Errorf("vnctl host has no output format %q: table, json or yaml", f)
	}
}

// get asks the agent.
func get[T any](ctx context.Context, h *host, path string) (T, error) {
	var v T
	c := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", h.socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vna"+path, nil)
	if err != nil {
		return v, err
	}
	resp, err := c.Do(req)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return v, fmt.Errorf("%w: no agent listens at %s; is vna running on this host? (--socket, VNA_SOCKET)", ErrNoAgent, h.socket)
		}
		return v, fmt.Errorf("%w at %s: %w", ErrNoAgent, h.socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(resp.Body).Decode(&e)
		return v, fmt.Errorf("%w that can be used: %s", ErrNoAgent, or(e.Error, resp.Status))
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("answer of the agent at %s: %w", h.socket, err)
	}
	return v, nil
}

func or(s, otherwise string) string { return choose(s != "", s, otherwise) }

func choose(c bool, yes, no string) string {
	if c {
		return yes
	}
	return no
}
