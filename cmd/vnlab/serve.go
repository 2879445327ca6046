package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/cmd/vnctl/cli"
	usecases "github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/alone"
	"github.com/openvnet/openvnet/testenv/netns"
)

// serving is what the command is told.
type serving struct {
	link, netns, output string
	files               []string
	host                alone.Options
}

func (a *app) serveCommand() *cobra.Command {
	var s serving
	var services, lines []string
	for _, x := range alone.Services {
		services, lines = append(services, x.Name+"\t"+x.Doc), append(lines, fmt.Sprintf("  %-9s %s", x.Name, x.Doc))
	}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer guests on one interface as a host would: services alone",
		Long: `Answer the frames that come in by a network interface as a host with these documents would
answer the guests, to the byte, and say what became of each question: to develop a service,
to look at it with tcpdump, to try a client. It takes no Open vSwitch, manager, agent or etcd:
documents, flows and services are the product's, the switch and the store are in memory.
The interface carries raw frames and needs no address. All interfaces of mode vif in the
documents are behind it, known by their MAC addresses; one without a lease gets one by a
policy when it asks. Needs root. Ctrl-C ends it, with the counts of all verdicts.

FILE is what "vnctl apply -f" takes. The services are:
` + strings.Join(lines, "\n"),
		Example: `  ip netns add vm1
  ip link add alone type veth peer name eth0 address 02:00:00:00:00:01 netns vm1
  ip link set alone up && ip -n vm1 link set eth0 up
  vnlab serve --interface alone -f network.yaml &
  ip netns exec vm1 udhcpc -f -q -i eth0 -s /bin/true
  vnlab serve --interface tap0 --netns lab -f documents/ --service dhcp4,dhcp6,ra -o json`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(); err != nil {
				return err
			}
			return a.serve(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&s.link, "interface", "i", "", "network interface that guests are behind (required)")
	f.StringVar(&s.netns, "netns", "", "network namespace that it is in (default: that of vnlab)")
	f.StringArrayVarP(&s.files, "file", "f", nil, "`FILE` of documents, directory or -; may be repeated (required)")
	f.StringSliceVar(&s.host.Services, "service", nil, "only these services; frames of others are ignored (default: all)")
	f.StringVar(&s.host.Datapath, "datapath", "", "which host of the documents answers, by uuid (default: the only one, or one of no documents)")
	f.StringVarP(&s.output, "output", "o", "table", "table, or json: one object a line")
	completeFlag(cmd, "service", cobra.FixedCompletions(services, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "netns", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, _ := netns.List("")
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	completeFlag(cmd, "interface", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		links, _ := netns.Links(s.netns)
		return links, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (s *serving) check() error {
	var errs []error
	if s.link == "" {
		errs = append(errs, errors.New("--interface is missing: the network interface that guests are behind"))
	}
	if len(s.files) == 0 {
		errs = append(errs, errors.New("--file is missing: the documents of what there is, as vnctl apply -f takes them"))
	}
	if s.output != "table" && s.output != "json" {
		errs = append(errs, fmt.Errorf("--output is table or json, not %q", s.output))
	}
	return errors.Join(errs...)
}

// serve answers until ctx ends.
func (a *app) serve(ctx context.Context, s serving) error {
	docs, locate, err := cli.ReadDocuments(s.files, os.Stdin)
	if err != nil {
		return err
	}
	report := report{out: a.out, json: s.output == "json", counts: map[verdictCount]int{}}
	s.host.Documents, s.host.Said, s.host.Logger = flatten(docs), report.say, slog.New(slog.NewTextHandler(a.errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var wire *netns.Wire
	s.host.Send = func(frame []byte) {
		if err := wire.Send(frame); err != nil {
			s.host.Logger.Warn("an answer cannot be sent", "error", err)
		}
	}
	host, err := alone.New(ctx, s.host)
	if err != nil {
		return locate(located(err, s.host.Documents))
	}
	if wire, err = netns.Listen(s.netns, s.link); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan error, 1)
	go func() {
		defer cancel()
		select {
		case <-host.Ready():
		case <-ctx.Done():
			received <- nil
			return
		}
		for _, g := range host.Guests() {
			fmt.Fprintf(a.errs, "answering %s (%s) on %s\n", g.UUID, dash(strings.Join(append(g.MACs, g.Addresses...), " ")), s.link)
		}
		report.begin()
		received <- wire.Serve(host.Take)
	}()
	err = host.Run(ctx)
	cancel()
	return errors.Join(err, wire.Close(), <-received, report.end())
}

// flatten gives the documents as the use cases take them.
func flatten(docs client.Documents) []usecases.Document {
	var out []usecases.Document
	for _, plural := range slices.Sorted(maps.Keys(docs)) {
		for _, p := range docs[plural] {
			out = append(out, usecases.Document{Resource: model.ByPlural(plural), Params: usecases.Params(p)})
		}
	}
	return out
}

// located makes a refusal of a document one as the manager sends it, which says where it is by resource.
func located(err error, docs []usecases.Document) error {
	var at *usecases.DocumentError
	var refused *model.Error
	if !errors.As(err, &at) || !errors.As(at.Err, &refused) {
		return err
	}
	first := slices.IndexFunc(docs, func(d usecases.Document) bool { return d.Resource == at.Document.Resource })
	return &client.Error{Class: refused.Class.Name, Parameter: fmt.Sprintf("%s[%d].%s", at.Document.Resource.Plural, at.Index-first, refused.Field), Message: at.Err.Error()}
}

// report writes what became of questions, and counts it.
type report struct {
	mu     sync.Mutex
	out    io.Writer
	json   bool
	counts map[verdictCount]int
	err    error // of writing
}

// verdictCount is what is counted.
type verdictCount struct {
	Service string `json:"service"`
	Verdict string `json:"verdict"`
}

const eventFormat = "%-12s  %-15s  %-8s  %-46s  %s\n"

// begin writes the head of a table.
func (r *report) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.json {
		_, r.err = fmt.Fprintf(r.out, eventFormat, "TIME", "INTERFACE", "SERVICE", "QUESTION", "VERDICT")
	}
}

func (r *report) say(e alone.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[verdictCount{e.Service, e.Verdict}]++
	if r.json {
		r.write(e)
	} else if r.err == nil {
		_, r.err = fmt.Fprintf(r.out, eventFormat, e.Time.Format("15:04:05.000"), dash(e.Interface), e.Service, dash(e.Question), e.Verdict)
	}
}

func (r *report) write(v any) {
	b, err := json.Marshal(v)
	if err == nil && r.err == nil {
		_, err = fmt.Fprintf(r.out, "%s\n", b)
	}
	r.err = cmp.Or(r.err, err)
}

// end writes the counts, and gives what went wrong with writing.
func (r *report) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	type counted struct {
		verdictCount
		Count int `json:"count"`
	}
	counts := []counted{}
	for k, n := range r.counts {
		counts = append(counts, counted{k, n})
	}
	slices.SortFunc(counts, func(x, y counted) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Verdict, y.Verdict))
	})
	if r.json {
		r.write(map[string]any{"counts": counts})
		return r.err
	}
	fmt.Fprintf(r.out, "\n%8s  %-8s  %s\n", "COUNT", "SERVICE", "VERDICT")
	for _, c := range counts {
		fmt.Fprintf(r.out, "%8d  %-8s  %s\n", c.Count, c.Service, c.Verdict)
	}
	return r.err
}
