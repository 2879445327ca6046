// Package announce says when a host announces which MAC addresses, so that the switches between hosts know at which port each is and flood nothing that is for it: those
// that nobody sends from, and those that somebody sends from too seldom. It sends nothing itself, has no clock and knows no domain: the agent tells it the addresses and
// what time it is, and sends what it gives.
package announce

import (
	"container/heap"
	"slices"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Options bound an Announcer. The zero value of each is its default.
type Options struct {
	Every     time.Duration   // between two frames of an address, a third more or less; 90 s. Switches forget after 300 s (IEEE 802.1Q, 8.8.3)
	First     []time.Duration // the pauses before that, of an address that is new: 2 s, 30 s. A frame may be lost, and a port that has come up may not learn yet (spanning trees)
	Burst     int             // frames of one Tick; 16
	Addresses int             // that are announced; 4,096
}

func (o Options) withDefaults() Options {
	if o.Every == 0 {
		o.Every = 90 * time.Second
	}
	if o.First == nil {
		o.First = []time.Duration{2 * time.Second, 30 * time.Second}
	}
	if o.Burst == 0 {
		o.Burst = 16
	}
	if o.Addresses == 0 {
		o.Addresses = 4096
	}
	return o
}

// Announcer announces addresses. Not safe for concurrent use.
type Announcer struct {
	opt     Options
	random  func() uint64
	queue   queue
	refused int
}

type address struct {
	mac  model.MAC
	due  time.Time
	said int // how often, up to the number of first pauses
}

// New gives an announcer of no addresses. random gives numbers that hosts do not have in common.
func New(random func() uint64, o Options) *Announcer {
	return &Announcer{opt: o.withDefaults(), random: random}
}

// Set says which addresses there are. Those that are new are announced at once; if there are too many, the last ones are not.
func (a *Announcer) Set(now time.Time, macs []model.MAC) {
	there := make(map[model.MAC]struct{}, len(macs))
	for _, m := range macs {
		if len(there) < a.opt.Addresses {
			there[m] = struct{}{}
		}
	}
	a.refused = len(macs) - len(there)
	a.queue = slices.DeleteFunc(a.queue, func(x address) bool {
		_, ok := there[x.mac]
		delete(there, x.mac)
		return !ok
	})
	for m := range there {
		a.queue = append(a.queue, address{mac: m, due: now})
	}
	heap.Init(&a.queue)
}

// Again has all addresses announced as if they were new: switches may have forgotten them.
func (a *Announcer) Again(now time.Time) {
	for n := range a.queue {
		a.queue[n].due, a.queue[n].said = now, 0
	}
	heap.Init(&a.queue)
}

// Tick gives the addresses to be announced now, the most overdue first. Call it several times per second.
func (a *Announcer) Tick(now time.Time) []model.MAC {
	var due []model.MAC
	for len(due) < a.opt.Burst && len(a.queue) > 0 && !now.Before(a.queue[0].due) {
		x := &a.queue[0]
		due = append(due, x.mac)
		pause := a.opt.Every
		if x.said < len(a.opt.First) {
			pause = a.opt.First[x.said]
			x.said++
		}
		third := pause / 3
		x.due = now.Add(pause - third + time.Duration(a.random()%uint64(2*third+1)))
		heap.Fix(&a.queue, 0)
	}
	return due
}

// Refused gives how many addresses are not announced, as there are too many.
func (a *Announcer) Refused() int { return a.refused }

// queue is a heap of addresses, the most overdue first.
type queue []address

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].due.Compare(q[j].due); c != 0 {
		return c < 0
	}
	return q[i].mac.Uint64() < q[j].mac.Uint64()
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are the heap's, which never grows by them.
func (q *queue) Push(x any) { *q = append(*q, x.(address)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
