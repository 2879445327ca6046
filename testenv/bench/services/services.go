// Package services measures how soon, and how often in a second, guests are answered by what the agent simulates for them: DHCP, router advertisements, names, metadata; with one
// guest and with many, and beside it what dnsmasq on a Linux bridge does with the same questions. It tests nothing: answers are checked only for being right. Imported by cmd/vnlab.
package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/lab"
)

// Options of a run.
type Options struct {
	run.Options
	Guests int           // required: how many there are; each service is measured with one of them and with all
	Span   time.Duration // required: how long each measurement takes in a round
	Cases  []string      // optional: only these services
}

// service is one that is measured.
type service struct {
	name     string
	baseline string // what answers on the bridge
	open     func(guest, outstanding int) ([]line, error)
}

// What answers on the bridge.
const (
	dnsmasq = "dnsmasq"
	nethttp = "nethttp" // a Go server of nothing else
)

var services = []service{
	{"dhcp4-offer", dnsmasq, openDHCP4(dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeOffer)},
	{"dhcp4-ack", dnsmasq, openDHCP4(dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck)},
	{"dhcp6-advertise", dnsmasq, openSolicit(false)},
	{"dhcp6-reply", dnsmasq, openSolicit(true)},
	{"ra", dnsmasq, openRA},
	{"dns-a", dnsmasq, openDNS(ownName)},
	{"dns-ptr", dnsmasq, openDNS(ownAddress)},
	{"dns-cached", dnsmasq, openDNS(elsewhere)},
	{"dns-tcp", dnsmasq, openDNSOverTCP(ownName)},
	{"metadata", nethttp, openMetadata},
}

const (
	// outstanding is how many questions of the only guest are under way while the rate is measured, and connections how many of those that take one.
	outstanding = 16
	connected   = 4
	patience    = time.Second // for an answer
)

// measured is what is measured of a service with so many guests in a world, a sample each round.
type measured struct {
	times [][]time.Duration
	rates []float64            // answers per second
	cpu   map[string][]float64 // us for each answer, by process
	lost  []float64            // of all questions
}

// key names a case.
type key struct {
	service, by string // by is "" for ours
	guests      int
}

func (k key) String() string {
	if k.by == "" {
		return fmt.Sprintf("%s@%d", k.service, k.guests)
	}
	return fmt.Sprintf("%s-%s@%d", k.service, k.by, k.guests)
}

// Run builds a lab and the bridge, measures, writes the report and removes all of it, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("services", run.Within("guests", o.Guests, 2, maxGuests), run.Positive("span", o.Span)); err != nil {
		return err
	}
	chosen, err := choose(o.Cases)
	if err != nil {
		return err
	}
	say := o.Say()
	say("a lab of one host with %d guests, and beside it a Linux bridge with as many", o.Guests)
	return o.Lab(ctx, spec(o.Guests), lab.NoAgents, func(l *lab.Lab) error { return runIn(ctx, l, chosen, o, say) })
}

// choose gives the services of these names, all if there are none.
func choose(names []string) ([]service, error) {
	if len(names) == 0 {
		return services, nil
	}
	var chosen []service
	for _, n := range names {
		at := slices.IndexFunc(services, func(s service) bool { return s.name == n })
		if at < 0 {
			var known []string
			for _, s := range services {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("benchmark services: --cases has %q, and there are %s", n, strings.Join(known, ", "))
		}
		chosen = append(chosen, services[at])
	}
	return chosen, nil
}

func runIn(ctx context.Context, l *lab.Lab, chosen []service, o Options, say func(format string, args ...any)) (err error) {
	say("forwarding by the %s datapath", l.Datapath())
	b := &bridge{tag: l.Tag(), bin: o.Bin}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, b.logs())
		}
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, b.remove(undo))
	}()
	s := &setup{lab: l}
	defer s.close()
	if err := s.start(ctx, o.Guests); err != nil {
		return err
	}
	if err := b.start(ctx, o.Guests); err != nil {
		return err
	}
	results := map[key]*measured{}
	for round := range o.Rounds {
		for _, c := range chosen {
			for _, by := range []string{"", c.baseline} {
				w := world(s)
				if by != "" {
					w = b
				}
				for _, guests := range []int{1, o.Guests} {
					k := key{c.name, by, guests}
					r := results[k]
					if r == nil {
						r = &measured{cpu: map[string][]float64{}}
						results[k] = r
					}
					if err := measure(ctx, w, c, guests, o.Span, r); err != nil {
						return fmt.Errorf("case %s: %w", k, err)
					}
					say("round %d of %d  %-24s  p50 %.0f us, p99 %.0f us, %.0f /s, %s, %.0f lost", round+1, o.Rounds, k,
						us(bench.Quantile(r.times[round], 0.50)), us(bench.Quantile(r.times[round], 0.99)), r.rates[round], r.used(round), r.lost[round])
				}
			}
		}
	}
	limited, err := s.limited(ctx, chosen, o.Span, say)
	if err != nil {
		return err
	}
	return report(chosen, o.Guests, results, limited).Write(o.Table, o.Out)
}

const (
	impatience   = 50 * time.Millisecond  // for answers that limits keep from coming
	leastLimited = 300 * time.Millisecond // some come within it by the smallest limit
)

// limited measures once what one guest gets of each service with the limits that ports have by themselves, when what it may ask at once is used up.
func (s *setup) limited(ctx context.Context, chosen []service, span time.Duration, say func(string, ...any)) (map[string]driven, error) {
	if err := s.limit(ctx); err != nil {
		return nil, err
	}
	all := map[string]driven{}
	for _, c := range chosen {
		d, err := drive(ctx, s, c, burden{guests: 1, outstanding: outstanding, warm: span, span: max(2*span, leastLimited), patience: impatience})
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", limitedName(c), err)
		}
		say("%-24s  %.0f /s, %d lost", limitedName(c), d.rate(), d.lost)
		all[c.name] = d
	}
	return all, nil
}

func limitedName(s service) string { return s.name + "-limited@1" }

func us(t time.Duration) float64 { return float64(t) / float64(time.Microsecond) }

// measure adds a round of a case. One guest is measured with one question under way, for the times, and then with several, for the rate; many guests have one under way each.
func measure(ctx context.Context, w world, s service, guests int, span time.Duration, r *measured) error {
	one, err := drive(ctx, w, s, burden{guests, 1, span / 4, span, patience})
	if err != nil {
		return err
	}
	many, lost := one, one.lost
	if guests == 1 {
		if many, err = drive(ctx, w, s, burden{guests, outstanding, span / 4, span, patience}); err != nil {
			return err
		}
		lost += many.lost
	}
	r.times = append(r.times, one.times)
	r.rates = append(r.rates, many.rate())
	r.lost = append(r.lost, float64(lost))
	for process, cpu := range many.cpu {
		r.cpu[process] = append(r.cpu[process], us(cpu)/float64(len(many.times)))
	}
	return nil
}

// driven is what came of a load, and what it cost.
type driven struct {
	answers
	cpu map[string]time.Duration
}

// burden says who asks how.
type burden struct {
	guests, outstanding int // the first so many guests, and how many questions of each are under way
	warm, span          time.Duration
	patience            time.Duration // for an answer
}

// drive asks for a while, so that everybody knows everybody, and then for the span.
func drive(ctx context.Context, w world, s service, b burden) (d driven, err error) {
	all, err := lines(ctx, w, s, b.guests, b.outstanding)
	defer func() { err = errors.Join(err, closeAll(all)) }()
	if err != nil {
		return d, err
	}
	l, err := newLoad(all, b.patience)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var used []map[string]time.Duration // before, after
	d.answers, err = l.run(ctx, spans{b.warm, b.span, func() error {
		u, err := w.cpu()
		used = append(used, u)
		return err
	}})
	if err != nil {
		return d, err
	}
	if len(d.times) == 0 {
		return d, fmt.Errorf("no question is answered, %d are lost", d.lost)
	}
	d.cpu = used[1]
	for process := range d.cpu {
		d.cpu[process] -= used[0][process]
	}
	return d, nil
}

// closeAll closes lines side by side: the kernel takes a while for each packet socket, waiting for all its readers, and no longer for many.
func closeAll(all []line) error {
	var g errgroup.Group
	g.SetLimit(64)
	for _, l := range all {
		g.Go(l.close)
	}
	return g.Wait()
}

// used says what was used in a round.
func (r *measured) used(round int) string {
	text := "CPU"
	for _, process := range slices.Sorted(maps.Keys(r.cpu)) {
		text += fmt.Sprintf(" %s %.0f us", process, r.cpu[process][round])
	}
	return text
}

// total gives the CPU of all processes, by round.
func (r *measured) total() []float64 {
	sum := make([]float64, len(r.rates))
	for _, vs := range r.cpu {
		for n, v := range vs {
			sum[n] += v
		}
	}
	return sum
}

// report makes the rows.
func report(chosen []service, guests int, results map[key]*measured, limited map[string]driven) *bench.Report {
	r := bench.New("services")
	for _, s := range chosen {
		for _, n := range []int{1, guests} {
			for _, by := range []string{"", s.baseline} {
				k := key{s.name, by, n}
				m := results[k]
				r.Latencies(k.String(), "", "us", m.times...)
				r.Add(k.String(), "rate", "1/s", m.rates...)
				r.Add(k.String(), "cpu", "us", m.total()...)
				for _, process := range slices.Sorted(maps.Keys(m.cpu)) {
					if len(m.cpu) > 1 {
						r.Add(k.String(), process+"_cpu", "us", m.cpu[process]...)
					}
				}
				r.Add(k.String(), "lost", "1", m.lost...)
			}
			r.Compare(key{s.name, s.baseline, n}.String(), key{s.name, "", n}.String())
		}
		d := limited[s.name]
		r.Add(limitedName(s), "rate", "1/s", d.rate())
		r.Add(limitedName(s), "lost", "1", float64(d.lost))
	}
	return r
}
