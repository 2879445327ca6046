package host

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/agent/local"
)

func (h *host) countersCommand() *cobra.Command {
	var watch bool
	var every time.Duration
	cmd := &cobra.Command{
		Use: "counters [OBJECT]", Short: "What interfaces send and receive, and which rules, routes and translations packets meet", Args: cobra.MaximumNArgs(1),
		Long: `Packets and bytes by object, as the switch's flows count them: of interfaces what they have sent and received, of rules what they have
decided in either direction, of routes what has entered (in) and left (out) by them, of translations what they have translated inwards and outwards.
Of what other hosts send to without encapsulation (mac2mac): the frames by which the agent announces its MAC addresses to switches.
With the uuid of an object, only its own. Frames that the fast path forwards or answers by itself are not in it: see "vnctl host maps".

With --watch, what happens per second, until it is interrupted.`,
		Example: "  vnctl host counters\n  vnctl host counters if-web1 --watch\n  vnctl host counters sgr-abc -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := local.PathCounters
			if len(args) == 1 {
				path += "?object=" + url.QueryEscape(args[0])
			}
			if watch {
				return h.watchCounters(cmd.Context(), path, every)
			}
			counters, err := get[[]local.Counter](cmd.Context(), h, path)
			if err != nil {
				return err
			}
			return h.print(counters, func(w io.Writer) {
				fmt.Fprintln(w, "RESOURCE\tOBJECT\tWHAT\tPACKETS\tBYTES")
				for _, c := range counters {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", c.Resource, c.Object, c.What, c.Packets, c.Bytes)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show rates, again and again")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often with --watch")
	return cmd
}

// Rate is what a counter has counted per second.
type Rate struct {
	Resource string  `json:"resource"`
	Object   string  `json:"object"`
	What     string  `json:"what"`
	Packets  float64 `json:"packets_per_second"`
	Bits     float64 `json:"bits_per_second"`
}

// watchCounters prints rates until ctx ends.
func (h *host) watchCounters(ctx context.Context, path string, every time.Duration) error {
	if every < 100*time.Millisecond {
		return fmt.Errorf("--every %s is too often: 100ms at least", every)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	var before []local.Counter
	var at time.Time
	for {
		counters, err := get[[]local.Counter](ctx, h, path)
		now := time.Now()
		if err != nil {
			return err
		}
		if before != nil {
			rs := rates(before, counters, now.Sub(at))
			err := h.print(rs, func(w io.Writer) {
				fmt.Fprintf(w, "RESOURCE\tOBJECT\tWHAT\tPACKETS/S\tBITS/S\t%s\n", now.Format(time.TimeOnly))
				for _, r := range rs {
					fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%.0f\n", r.Resource, r.Object, r.What, r.Packets, r.Bits)
				}
			})
			if err != nil {
				return err
			}
		}
		before, at = counters, now
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// rates gives what was counted in between, of what was counted at all. A counter that went back has begun again.
func rates(before, after []local.Counter, took time.Duration) []Rate {
	type key struct{ resource, object, what string }
	old := map[key]local.Counter{}
	for _, c := range before {
		old[key{c.Resource, c.Object, c.What}] = c
	}
	out := []Rate{}
	for _, c := range after {
		o := old[key{c.Resource, c.Object, c.What}]
		if c.Packets < o.Packets || c.Bytes < o.Bytes {
			o = local.Counter{}
		}
		if c.Packets == o.Packets {
			continue
		}
		s := took.Seconds()
		out = append(out, Rate{c.Resource, c.Object, c.What, float64(c.Packets-o.Packets) / s, 8 * float64(c.Bytes-o.Bytes) / s})
	}
	return out
}

// droppedText puts the packets that a service dropped into words, "" for none.
func droppedText(dropped map[string]uint64) string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		words = append(words, fmt.Sprintf("%d %s", dropped[reason], reason))
	}
	if words == nil {
		return ""
	}
	return " (dropped: " + strings.Join(words, ", ") + ")"
}
