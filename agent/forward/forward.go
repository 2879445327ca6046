// Package forward asks DNS servers in the host's own network what a zone does not know (services/dns), and keeps what they say. It has the sockets; what
// is asked and what an answer is worth services/dns says. Imported by agent.
//
// Nobody waits for it: who asks is called back. Questions that are the same are asked once, and no more wait for servers than Options let. Of several servers the first
// that answers is asked; one that does not is left out for a while, which grows, and tried again in the background.
package forward

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openvnet/openvnet/services/dns"
)

// Options of a forwarder.
type Options struct {
	Outstanding int              // optional: questions that wait for servers; 1000
	PerAsker    int              // optional: of one asker; 100
	Attempt     time.Duration    // optional: how long a server may take before the next one is asked; 800 ms
	Within      time.Duration    // optional: how long a question may take; 4 s, before clients ask again
	PauseFirst  time.Duration    // optional: how long a server is left out that did not answer; 1 s, doubled each time
	PauseLast   time.Duration    // optional: at most; one minute
	Cache       dns.CacheOptions // optional
	Port        uint16           // optional: of servers; 53
}

// maxPaused is as many servers as are remembered to be left out.
const maxPaused = 4096

// Forwarder asks servers elsewhere. It is safe for concurrent use.
type Forwarder struct {
	opts    Options
	flights sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of Run, while it runs: what is asked ends with it
	cache   *dns.Cache
	asked   map[dns.Key]*flight
	waiting int
	askers  map[uint32]int // how many questions of each wait
	paused  map[netip.Addr]*pause
}

// flight is a question that servers are being asked.
type flight struct{ waiters []waiter }

type waiter struct {
	asker uint32
	e     *dns.Elsewhere
	done  func(answer []byte, v dns.Verdict)
}

// pause is of a server that did not answer.
type pause struct {
	times   int
	until   time.Time // when it is tried again
	probing bool
}

// New gives a forwarder, which works while Run runs.
func New(o Options) *Forwarder {
	o.Outstanding, o.PerAsker = cmp.Or(o.Outstanding, 1000), cmp.Or(o.PerAsker, 100)
	o.Attempt, o.Within = cmp.Or(o.Attempt, 800*time.Millisecond), cmp.Or(o.Within, 4*time.Second)
	o.PauseFirst, o.PauseLast = cmp.Or(o.PauseFirst, time.Second), cmp.Or(o.PauseLast, time.Minute)
	o.Port = cmp.Or(o.Port, 53)
	return &Forwarder{
		opts: o, cache: dns.NewCache(o.Cache), asked: map[dns.Key]*flight{}, askers: map[uint32]int{}, paused: map[netip.Addr]*pause{},
	}
}

// Run lets questions be asked until ctx ends, and waits for those that are on their way.
func (f *Forwarder) Run(ctx context.Context) error {
	f.mu.Lock()
	f.ctx = ctx
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	f.ctx = nil
	f.mu.Unlock()
	f.flights.Wait()
	return nil
}

// Ask has servers asked, for an asker: any number that stands for one. It calls done with the answer: at once if that is known already or cannot be had, else when a server has
// answered or none has.
func (f *Forwarder) Ask(asker uint32, e *dns.Elsewhere, servers []netip.Addr, done func(answer []byte, v dns.Verdict)) {
	now := time.Now()
	k := e.Key(keyOf(servers))
	answer, v := f.join(now, k, waiter{asker, e, done}, servers)
	switch {
	case answer != nil && answer.Failed():
		done(e.Reply(answer, now), dns.Failed)
	case answer != nil:
		done(e.Reply(answer, now), v)
	case v != 0:
		done(e.Fail(), v)
	}
}

// join gives the answer if it is known, or why there is none; else it makes w wait for one.
func (f *Forwarder) join(now time.Time, k dns.Key, w waiter, servers []netip.Addr) (*dns.Answer, dns.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.cache.Get(k, now); a != nil {
		return a, dns.Cached
	}
	switch {
	case f.ctx == nil || len(servers) == 0:
		return nil, dns.Failed
	case f.waiting >= f.opts.Outstanding || f.askers[w.asker] >= f.opts.PerAsker:
		return nil, dns.Limited
	}
	f.waiting++
	f.askers[w.asker]++
	fl := f.asked[k]
	if fl == nil {
		fl = &flight{}
		f.asked[k] = fl
		ctx := f.ctx
		f.flights.Go(func() { f.fly(ctx, k, w.e, servers) })
	}
	fl.waiters = append(fl.waiters, w)
	return nil, 0
}

// fly asks servers, and tells all who wait for the answer.
func (f *Forwarder) fly(ctx context.Context, k dns.Key, e *dns.Elsewhere, servers []netip.Addr) {
	a := f.resolve(ctx, e, servers)
	now, v := time.Now(), dns.Forwarded
	if a == nil {
		a, v = dns.Failure(now), dns.Failed
	}
	f.mu.Lock()
	f.cache.Put(k, a)
	waiters := f.asked[k].waiters
	delete(f.asked, k)
	f.waiting -= len(waiters)
	for _, w := range waiters {
		if f.askers[w.asker]--; f.askers[w.asker] == 0 {
			delete(f.askers, w.asker)
		}
	}
	f.mu.Unlock()
	for _, w := range waiters {
		w.done(w.e.Reply(a, now), v)
	}
}

// resolve asks one server after the other until one answers, nil if none does. Those that did not are asked again while there is time: a question, or an answer, may have been lost.
func (f *Forwarder) resolve(ctx context.Context, e *dns.Elsewhere, servers []netip.Addr) *dns.Answer {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Within)
	defer cancel()
	attempt := f.opts.Attempt
	silent := f.order(ctx, e, servers)
	for len(silent) > 0 && ctx.Err() == nil {
		var again []netip.Addr
		for _, s := range silent {
			a, err := f.attempt(ctx, e, s, attempt)
			if err == nil {
				return a
			}
			if !errors.Is(err, dns.ErrUseless) && !unreachable(err) {
				again = append(again, s)
			}
		}
		silent = again
		attempt += attempt / 2
	}
	return nil
}

// unreachable reports whether to ask again is of no use: the server's host says that nobody listens.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// attempt asks a server, and takes note of whether it answers.
func (f *Forwarder) attempt(ctx context.Context, e *dns.Elsewhere, server netip.Addr, within time.Duration) (*dns.Answer, error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	a, err := f.ask(ctx, e, server)
	if whole.Err() == nil || err == nil { // else it did not have the time
		f.note(server, err == nil || errors.Is(err, dns.ErrUseless))
	}
	return a, err
}

// note takes note of whether a server has answered.
func (f *Forwarder) note(server netip.Addr, answered bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if answered {
		delete(f.paused, server)
		return
	}
	now := time.Now()
	p := f.paused[server]
	if p == nil {
		if len(f.paused) >= maxPaused {
			clear(f.paused)
		}
		p = &pause{}
		f.paused[server] = p
	}
	p.probing = false
	if now.Before(p.until) {
		return // of another question
	}
	p.until = now.Add(min(f.opts.PauseFirst<<min(p.times, 16), f.opts.PauseLast))
	p.times++
}

// order gives the servers that are to be asked: those that are not left out, or else all, beginning with whose time comes first. One whose time has come is tried in the background
// with the same question, so that nobody waits for it.
func (f *Forwarder) order(ctx context.Context, e *dns.Elsewhere, servers []netip.Addr) []netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var healthy, due []netip.Addr
	for _, s := range servers {
		switch p := f.paused[s]; {
		case p == nil:
			healthy = append(healthy, s)
		case !p.probing && !now.Before(p.until):
			due = append(due, s)
		}
	}
	if healthy == nil {
		all := slices.Clone(servers)
		slices.SortStableFunc(all, func(a, b netip.Addr) int { return f.paused[a].until.Compare(f.paused[b].until) })
		return all
	}
	run := f.ctx
	for _, s := range due {
		if run == nil {
			break
		}
		f.paused[s].probing = true
		f.flights.Go(func() { _, _ = f.attempt(run, e, s, 2*f.opts.Attempt) }) // attempt takes note of it
	}
	return healthy
}

// ask asks one server over UDP, and over TCP if the answer does not fit.
func (f *Forwarder) ask(ctx context.Context, e *dns.Elsewhere, server netip.Addr) (*dns.Answer, error) {
	network, edns := "udp", true
	for {
		a, err := f.exchange(ctx, e, network, server, edns)
		switch {
		case errors.Is(err, dns.ErrTruncated) && network == "udp":
			network = "tcp"
		case errors.Is(err, dns.ErrNoEDNS) && edns:
			edns = false
		case errors.Is(err, dns.ErrTruncated), errors.Is(err, dns.ErrNoEDNS):
			return nil, fmt.Errorf("%w: %w", dns.ErrUseless, err)
		default:
			return a, err
		}
	}
}

// exchange sends a question from a port of its own, which the kernel draws, with an id of its own, and waits for the answer to it.
func (f *Forwarder) exchange(ctx context.Context, e *dns.Elsewhere, network string, server netip.Addr, edns bool) (*dns.Answer, error) {
	id := uint16(rand.Uint32()) //nolint:gosec // the runtime's generator is ChaCha8, seeded by the system
	q, err := e.Question(id, edns)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dns.ErrUseless, err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(server, f.opts.Port).String())
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		q = append(binary.BigEndian.AppendUint16(make([]byte, 0, len(q)+2), uint16(len(q))), q...)
	}
	if _, err := conn.Write(q); err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	buf := make([]byte, 4096)
	for {
		var n int
		if network == "tcp" {
			buf, err = readMessage(conn)
			n = len(buf)
		} else {
			n, err = conn.Read(buf)
		}
		if err != nil {
			return nil, fmt.Errorf("hear %s: %w", server, err)
		}
		a, err := e.Read(buf[:n], id, edns, time.Now())
		if errors.Is(err, dns.ErrOther) { // somebody guesses, or it is late
			continue
		}
		return a, err
	}
}

// readMessage reads a message with its length before it (RFC 1035, section 4.2.2).
func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// keyOf names servers together.
func keyOf(servers []netip.Addr) string {
	texts := make([]string, len(servers))
	for i, s := range servers {
		texts[i] = s.String()
	}
	return strings.Join(texts, ",")
}

// Load says how many questions wait for servers, how many answers are kept, and how many servers are left out.
func (f *Forwarder) Load() (waiting, kept, paused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, _ = f.cache.Len()
	return f.waiting, kept, len(f.paused)
}
