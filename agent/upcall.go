package agent

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
)

// Bounds of the work on packets that the switch sends up.
const (
	laneSize  = 256         // packets of a class that wait
	sendLimit = time.Second // for one message to the switch to find room
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

// lane takes the packets of one class, which wait for nobody else's: a queue, and one goroutine that works on it.
type lane struct {
	class   pipeline.PuntClass
	queue   chan ovs.Packet
	packets atomic.Uint64
	drops   tally
}

func newLane(c pipeline.PuntClass) *lane {
	return &lane{class: c, queue: make(chan ovs.Packet, laneSize)}
}

// offer queues a packet, or drops it. It never blocks.
func (l *lane) offer(p ovs.Packet) {
	l.packets.Add(1)
	select {
	case l.queue <- p:
	default:
		l.drops.add(dropQueueFull)
	}
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
		case p := <-l.queue:
			if reason := s.handle(ctx, time.Now(), p); reason != "" {
				l.drops.add(reason)
			}
		case now := <-t.C:
			s.tick(ctx, now)
		}
	}
}

// desk is what services work with.
type desk struct {
	replica *replica
	log     *slog.Logger
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
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	return s.Inject(ctx, frame, ways...)
}

// send is inject for a service's own frames: that it cannot be done is no more than a loss.
func (d *desk) send(ctx context.Context, frame []byte, ways ...ovs.Way) {
	if err := d.inject(ctx, frame, ways...); err != nil {
		d.log.Debug("a frame could not be sent", "error", err)
	}
}
