package sync

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model/wire"
)

// Bounds of problems, so that they fit into a line.
const (
	maxProblems = 20_000
	maxReasons  = wire.MaxLine / 8 // of all together, in bytes
)

// outbox is what is still to be said on one stream: of each kind of message the last.
type outbox struct {
	wake chan struct{}

	mu          sync.Mutex
	nextAck     *wire.Ack
	nextPorts   *wire.Ports
	nextAsked   map[asker]struct{}
	nextArrived []wire.Arrival
	nextLeases  map[string]bool // true of those that were given back
	nextClaims  []wire.Claim
	first, last int64 // revisions that have been handed over on this stream
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// allow notes a revision that is handed over: the first one, of a snapshot, or a later one.
func (o *outbox) allow(revision int64, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first {
		o.first = revision
	}
	o.last = revision
}

func (o *outbox) ack(a wire.Ack) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first == 0 || a.Revision < o.first || a.Revision > o.last {
		return // of an earlier stream
	}
	a.Problems = bounded(a.Problems)
	o.nextAck = &a
	o.nudge()
}

func (o *outbox) ports(p wire.Ports) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nextPorts = &p
	o.nudge()
}

// asker is an interface whose guest asks for a lease of a family, 4 or 6.
type asker struct {
	iface  string
	family int
}

// asked adds an interface, unless there are too many: its guest will ask again.
func (o *outbox) asked(a asker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.nextAsked) >= wire.MaxAsked {
		return
	}
	if o.nextAsked == nil {
		o.nextAsked = map[asker]struct{}{}
	}
	o.nextAsked[a] = struct{}{}
	o.nudge()
}

// arrived adds an interface once, unless there are too many: its guest will send again.
func (o *outbox) arrived(a wire.Arrival) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.nextArrived) >= wire.MaxArrived || slices.Contains(o.nextArrived, a) {
		return
	}
	o.nextArrived = append(o.nextArrived, a)
	o.nudge()
}

// lease notes what a guest has said of a lease, the last word of several; unless there are too many: guests renew in time.
func (o *outbox) lease(uuid string, released bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.nextLeases[uuid]; !known && len(o.nextLeases) >= wire.MaxLeases {
		return
	}
	if o.nextLeases == nil {
		o.nextLeases = map[string]bool{}
	}
	o.nextLeases[uuid] = released
	o.nudge()
}

// claimed adds a claim once, unless there are too many: its guest makes another address, or finds that it cannot use this one.
func (o *outbox) claimed(c wire.Claim) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.nextClaims) >= wire.MaxClaims || slices.ContainsFunc(o.nextClaims, func(n wire.Claim) bool { return n.MAC == c.MAC && n.Address == c.Address }) {
		return
	}
	o.nextClaims = append(o.nextClaims, c)
	o.nudge()
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run says hello, then what comes, and a ping when there is nothing to say, until ctx ends or w fails.
func (o *outbox) run(ctx context.Context, w io.Writer, hello wire.Hello, interval time.Duration) error {
	out := wire.NewWriter[wire.FromAgent](w)
	if err := out.Send(wire.FromAgent{Hello: &hello}); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	ping := time.NewTicker(interval)
	defer ping.Stop()
	for {
		var messages []wire.FromAgent
		select {
		case <-ctx.Done():
			return nil
		case <-ping.C:
			messages = []wire.FromAgent{{}}
		case <-o.wake:
			messages = o.take()
			ping.Reset(interval)
		}
		for _, m := range messages {
			if err := out.Send(m); err != nil {
				return fmt.Errorf("write to the manager: %w", err)
			}
		}
	}
}

func (o *outbox) take() (messages []wire.FromAgent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nextArrived != nil { // first: guests wait
		messages = append(messages, wire.FromAgent{Arrived: &wire.Arrived{Interfaces: o.nextArrived}})
	}
	if o.nextClaims != nil {
		messages = append(messages, wire.FromAgent{Claimed: &wire.Claimed{Claims: o.nextClaims}})
	}
	if o.nextAck != nil {
		messages = append(messages, wire.FromAgent{Ack: o.nextAck})
	}
	if o.nextPorts != nil {
		messages = append(messages, wire.FromAgent{Ports: o.nextPorts})
	}
	if o.nextAsked != nil {
		m := &wire.Asked{}
		for a := range o.nextAsked {
			if a.family == 4 {
				m.Interfaces = append(m.Interfaces, a.iface)
			} else {
				m.Interfaces6 = append(m.Interfaces6, a.iface)
			}
		}
		slices.Sort(m.Interfaces)
		slices.Sort(m.Interfaces6)
		messages = append(messages, wire.FromAgent{Asked: m})
	}
	if o.nextLeases != nil {
		m := &wire.Leases{}
		for _, uuid := range slices.Sorted(maps.Keys(o.nextLeases)) {
			if o.nextLeases[uuid] {
				m.Released = append(m.Released, uuid)
			} else {
				m.Renewed = append(m.Renewed, uuid)
			}
		}
		messages = append(messages, wire.FromAgent{Leases: m})
	}
	o.nextAck, o.nextPorts, o.nextAsked, o.nextArrived, o.nextLeases, o.nextClaims = nil, nil, nil, nil, nil, nil
	return messages
}

// bounded gives the problems with reasons so short that all fit into a line.
func bounded(problems []wire.Problem) []wire.Problem {
	problems = slices.Clone(problems[:min(len(problems), maxProblems)])
	for i, p := range problems {
		limit := min(maxReason, maxReasons/len(problems))
		problems[i].Reason = p.Reason[:min(len(p.Reason), limit)]
	}
	return problems
}
