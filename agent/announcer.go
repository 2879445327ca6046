package agent

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/announce"
)

// announceTick is how often the announcer looks for something to say.
const announceTick = 250 * time.Millisecond

// announceLook is how often, at most, it looks which addresses there are.
const announceLook = time.Second

// announcer announces to the switches between hosts the MAC addresses to which other hosts send without encapsulation.
type announcer struct {
	*desk
	announce   *announce.Announcer
	generation uint64    // of the share and the ports
	looked     time.Time // when it was last looked which addresses there are
	ups        uint64    // how often there had been a NIC with link anew by then
	nic        ovs.Way

	mu        sync.Mutex
	announced map[model.MAC]*announced
}

// announced is an address with what has been sent.
type announced struct {
	compile.Announced
	frames, bytes uint64
}

func newAnnouncer(d *desk) *announcer {
	return &announcer{desk: d, announce: announce.New(rand.Uint64, announce.Options{}), announced: map[model.MAC]*announced{}}
}

// run works until ctx ends.
func (r *announcer) run(ctx context.Context) error {
	t := time.NewTicker(announceTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			r.tick(ctx, now)
		}
	}
}

func (r *announcer) tick(ctx context.Context, now time.Time) {
	if !r.ready.Load() {
		return // what is not taken in yet is not to be sent here
	}
	if g := r.replica.generationNow(); g != r.generation && !now.Before(r.looked.Add(announceLook)) {
		r.generation, r.looked = g, now
		r.look(now)
	}
	for _, m := range r.announce.Tick(now) {
		frame := announce.Frame(m)
		if err := r.inject(ctx, frame, r.nic); err != nil {
			r.log.Debug("a MAC address could not be announced", "error", err)
			continue
		}
		r.mu.Lock()
		a := r.announced[m]
		a.frames++
		a.bytes += uint64(len(frame))
		r.mu.Unlock()
	}
}

// look finds out which addresses there are.
func (r *announcer) look(now time.Time) {
	nic, ups, there := r.replica.announced()
	macs := make([]model.MAC, 0, len(there))
	r.mu.Lock()
	before := r.announced
	r.announced = make(map[model.MAC]*announced, len(there))
	for _, a := range there {
		if r.announced[a.MAC] != nil {
			continue
		}
		macs = append(macs, a.MAC)
		r.announced[a.MAC] = &announced{Announced: a}
		if old := before[a.MAC]; old != nil && old.Announced == a {
			r.announced[a.MAC] = old
		}
	}
	r.mu.Unlock()
	refused := r.announce.Refused()
	r.announce.Set(now, macs)
	if n := r.announce.Refused(); n > 0 && n != refused {
		r.log.Warn("too many MAC addresses to be announced: switches may flood what is for the others", "addresses", len(macs), "others", n)
	}
	r.nic = nic
	if ups != r.ups {
		r.ups = ups
		r.announce.Again(now)
	}
}

// counters gives what has been announced; only of that object if it is not "".
func (r *announcer) counters(object string) []local.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []local.Counter
	for _, a := range r.announced {
		if object == "" || object == a.UUID {
			out = append(out, local.Counter{Resource: a.Resource.Name, Object: a.UUID, What: "announced", Packets: a.frames, Bytes: a.bytes})
		}
	}
	return out
}

// announced gives the way out of the NIC, how often there has been one with link anew, and the addresses to be announced through it.
func (r *replica) announced() (nic ovs.Way, ups uint64, there []compile.Announced) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return ovs.OutOf(r.in.Bridge.Uplink), r.ups, r.in.Announced()
}
