// Package probe finds out whether hosts reach each other through their tunnels, and with packets as large as they say that their guests may send. To each other
// host it sends a small frame and then a large one, which the other host's pipeline sends back. It sends nothing itself, has no clock and knows no tunnel: the agent
// tells it whom to probe, what comes back and what time it is, and sends what it gives.
package probe

import (
	"cmp"
	"slices"
	"time"
)

// Way is a way to another host: the host's datapath id and a kind of tunnel.
type Way struct {
	Host   uint32
	Tunnel uint8
}

// Options bound a Prober. The zero value of each is its default.
type Options struct {
	Every time.Duration // between probes of a way that is good; 30 s. Others are probed three times as often
	Wait  time.Duration // for an answer; 1 s
	Tries int           // frames without an answer until a size is taken for lost; 3, of a way that is new three times as many: the other host may just be coming
	Burst int           // frames of one Tick; 16
	Ways  int           // that are probed; 4,096
}

func (o Options) withDefaults() Options {
	if o.Every == 0 {
		o.Every = 30 * time.Second
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Tries == 0 {
		o.Tries = 3
	}
	if o.Burst == 0 {
		o.Burst = 16
	}
	if o.Ways == 0 {
		o.Ways = 4096
	}
	return o
}

// State is what is known of a way.
type State uint8

// The states.
const (
	Unknown State = iota // not found out yet
	Good                 // frames of full size come back
	Narrow               // small frames come back, those of full size do not
	Silent               // nothing comes back
)

// String names the state.
func (s State) String() string { return [...]string{"unknown", "good", "narrow", "silent"}[s] }

// Probe is a frame to be sent on a way.
type Probe struct {
	Way   Way
	Frame []byte
}

// Prober probes ways. Not safe for concurrent use.
type Prober struct {
	opt     Options
	self    uint32
	random  func() uint64
	ways    map[Way]*way
	refused int
}

type way struct {
	size  int // of the large frame
	state State
	phase uint8  // small or large
	nonce uint64 // of the frames that are out; 0: none are
	tries int
	due   time.Time
}

// New gives a prober of the host with that datapath id. random gives numbers that others cannot guess.
func New(self uint32, random func() uint64, o Options) *Prober {
	return &Prober{opt: o.withDefaults(), self: self, random: random, ways: map[Way]*way{}}
}

// Set says which ways there are, each with the size of its large frame, from the Ethernet header on. Those that are new or of another size are probed at once. It reports
// whether States has changed.
func (p *Prober) Set(now time.Time, ways map[Way]int) (changed bool) {
	for w, old := range p.ways {
		if size, ok := ways[w]; !ok || size != old.size {
			changed = changed || old.state > Good
			delete(p.ways, w)
		}
	}
	p.refused = 0
	for w, size := range ways {
		if p.ways[w] != nil {
			continue
		}
		if len(p.ways) >= p.opt.Ways {
			p.refused++
			continue
		}
		p.ways[w] = &way{size: size, due: now}
	}
	return changed
}

// Tick gives the frames to be sent now, the most overdue first, and reports whether States has changed. Call it several times per Wait.
func (p *Prober) Tick(now time.Time) (probes []Probe, changed bool) {
	var due []Way
	for k, w := range p.ways {
		if !now.Before(w.due) {
			due = append(due, k)
		}
	}
	slices.SortFunc(due, func(a, b Way) int {
		return cmp.Or(p.ways[a].due.Compare(p.ways[b].due), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Tunnel, b.Tunnel))
	})
	for _, k := range due {
		w := p.ways[k]
		tries := p.opt.Tries
		if w.state == Unknown && w.phase == small {
			tries *= 3
		}
		if w.nonce != 0 && w.tries >= tries {
			lost := [...]State{small: Silent, large: Narrow}[w.phase]
			changed = p.done(now, w, lost) || changed
			continue
		}
		if len(probes) >= p.opt.Burst {
			break
		}
		if w.nonce == 0 {
			w.phase, w.tries, w.nonce = small, 0, p.nonce()
		}
		probes = append(probes, p.send(now, k, w))
	}
	return probes, changed
}

func (p *Prober) nonce() uint64 { return max(1, p.random()) }

func (p *Prober) send(now time.Time, k Way, w *way) Probe {
	w.tries++
	w.due = now.Add(p.opt.Wait)
	m := message{from: p.self, to: k.Host, tunnel: k.Tunnel, phase: w.phase, nonce: w.nonce}
	size := smallest
	if w.phase == large {
		size = max(w.size, smallest)
	}
	return Probe{k, m.encode(size)}
}

// done ends a probe of a way, and reports whether it is in another state now.
func (p *Prober) done(now time.Time, w *way, s State) bool {
	before := w.state
	w.state, w.nonce = s, 0
	// A fifth more or less, so that hosts that began together do not go on so.
	pause := p.opt.Every
	if s > Good {
		pause /= 3
	}
	fifth := pause / 5
	w.due = now.Add(pause - fifth + time.Duration(p.random()%uint64(2*fifth+1)))
	return before != s && max(before, s) > Good
}

// Heard takes a frame that has come back; length is that of the whole frame, of which b may be the beginning. It gives what to send now, and reports whether States
// has changed. What was not sent, or long ago, is not believed: ok is false.
func (p *Prober) Heard(now time.Time, b []byte, length int) (next []Probe, changed, ok bool) {
	m, ok := decode(b)
	k := Way{m.to, m.tunnel}
	w := p.ways[k]
	if !ok || w == nil || m.from != p.self || w.nonce == 0 || m.nonce != w.nonce || m.phase != w.phase || w.phase == large && length < w.size {
		return nil, false, false
	}
	if w.phase == large {
		return nil, p.done(now, w, Good), true
	}
	w.phase, w.tries, w.nonce = large, 0, p.nonce()
	return []Probe{p.send(now, k, w)}, false, true
}

// States gives the state of each way.
func (p *Prober) States() map[Way]State {
	states := make(map[Way]State, len(p.ways))
	for k, w := range p.ways {
		states[k] = w.state
	}
	return states
}

// Refused gives how many ways are not probed, as there are too many.
func (p *Prober) Refused() int { return p.refused }
