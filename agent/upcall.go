package agent

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/internal/fair"
)

// Bounds of the work on packets that the switch sends up.
const (
	laneSize  = 1024 // packets of a class that wait: 200 guests that close a TCP connection and open another send 600 at once
	tickEvery = time.Second
)

// tally counts by reason.
type tally struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (t *tally) add(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]uint64{}
	}
	t.counts[reason]++
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// lane takes the packets of one class, which wait for nobody else's: a queue in which each interface has its turn, and one goroutine that works on it.
type lane struct {
	class   pipeline.PuntClass
	packets atomic.Uint64
	drops   tally
	heard   func(Heard) // or nil

	news  chan struct{} // something waits
	mu    sync.Mutex
	queue *fair.Queue[uint32, ovs.Packet] // by the interface that sent it, 0 for all that came from other hosts
}

func newLane(c pipeline.PuntClass) *lane {
	return &lane{class: c, news: make(chan struct{}, 1), queue: fair.New[uint32, ovs.Packet](laneSize)}
}

// offer queues a packet. Where there is no room one is dropped, of the interface that has most waiting. It does not wait for the work.
func (l *lane) offer(p ovs.Packet) {
	l.packets.Add(1)
	l.mu.Lock()
	_, lost := l.queue.Put(p.Ingress, p)
	l.mu.Unlock()
	if lost {
		l.drops.add(dropQueueFull)
	}
	signal(l.news)
}

// next gives the packet whose turn it is; more says whether others wait.
func (l *lane) next() (p ovs.Packet, ok, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok = l.queue.Take()
	return p, ok, l.queue.Len() > 0
}

// service is what works on a lane. Its methods are called by one goroutine.
type service interface {
	// handle works on a packet. It gives the reason why the packet was dropped, "" if it was not.
	handle(ctx context.Context, now time.Time, p ovs.Packet) string
	// tick is called about every tickEvery.
	tick(ctx context.Context, now time.Time)
}

// run works until ctx ends.
func (l *lane) run(ctx context.Context, s service, every time.Duration) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.news:
			p, ok, more := l.next()
			if more {
				signal(l.news)
			}
			if !ok {
				continue
			}
			reason := s.handle(ctx, time.Now(), p)
			if reason != "" {
				l.drops.add(reason)
			}
			l.hear(p, reason)
		case now := <-t.C:
			s.tick(ctx, now)
		}
	}
}

// hear tells of a packet that was dropped, or that its service has no verdict about.
func (l *lane) hear(p ovs.Packet, reason string) {
	if l.heard != nil && (reason != "" || !judging[l.class]) {
		l.heard(Heard{Class: l.class, Ingress: p.Ingress, Frame: p.Data, Verdict: cmp.Or(reason, "done"), Answered: reason == ""})
	}
}

// desk is what services work with.
type desk struct {
	replica *replica
	log     *slog.Logger
	heard   func(Heard) // or nil
	current atomic.Pointer[session]
	ready   atomic.Bool // the session's switch has what it should have
	wake    func()      // the apply loop
}

// Why services drop packets; dropDocs says it in words.
const (
	dropQueueFull   = "queue_full"
	dropNoSwitch    = "no_switch"
	dropMalformed   = "malformed"
	dropCut         = "cut"
	dropSender      = "unknown_sender"
	dropLimit       = "limit"
	dropTaken       = "taken"
	dropNoAnswer    = "no_answer"
	dropNotAsked    = "not_asked"
	dropNotAnswered = "not_answered"
	dropSuppressed  = "suppressed"
	dropUnknownRule = "unknown_rule"
)

// inject puts a frame into the pipeline.
func (d *desk) inject(ctx context.Context, frame []byte, ways ...ovs.Way) error {
	s := d.current.Load()
	if s == nil {
		return errNoSwitch
	}
	return s.Inject(ctx, frame, ways...)
}

// send is inject for a service's own frames: that it cannot be done is no more than a loss.
func (d *desk) send(ctx context.Context, frame []byte, ways ...ovs.Way) {
	if err := d.inject(ctx, frame, ways...); err != nil {
		d.log.Debug("a frame could not be sent", "error", err)
	}
}
