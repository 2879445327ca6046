// Package neighbor finds out the MAC addresses of next hops that nobody registered: devices of a physical network, or behind a port with
// devices outside. It keeps packets for an address that is being asked for, a few of each, asks by ARP or ND from the leg that wants to know,
// remembers what is answered, asks again before that is too old, and remembers for a while that nobody answers. It sends nothing itself and has no clock:
// the agent tells it what comes and what time it is, and sends what it gives.
package neighbor

import (
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// Key is an address in a domain.
type Key struct {
	Domain uint32
	Addr   netip.Addr
}

// Leg is who asks: a router's interface in the domain.
type Leg struct {
	ID   uint32 // of the interface
	MAC  model.MAC
	Addr netip.Addr // of the family that is asked for; the zero Addr if it has none
}

// Options bound a Resolver. The zero value of each is its default.
type Options struct {
	Keys    int           // addresses that are known or asked for; 4,096
	Waiting int           // packets kept for one address; 4
	Retry   time.Duration // between questions; 1 s
	Tries   int           // questions until nobody is taken to have the address; 4
	Absent  time.Duration // how long then nobody is asked; 10 s
	Age     time.Duration // after how long an answer is asked for again; 60 s
	Idle    time.Duration // how long an address is kept that nobody wants; 10 min
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	after := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Keys, 4096)
	def(&o.Waiting, 4)
	def(&o.Tries, 4)
	after(&o.Retry, time.Second)
	after(&o.Absent, 10*time.Second)
	after(&o.Age, time.Minute)
	after(&o.Idle, 10*time.Minute)
	return o
}

// Question is a frame to be sent into the domain.
type Question struct {
	Key   Key
	Leg   Leg
	Frame []byte
}

// Resolver is the addresses of next hops. P is a packet that waits. Not safe for concurrent use.
type Resolver[P any] struct {
	opt     Options
	entries map[Key]*entry[P]
	dropped uint64
}

type entry[P any] struct {
	mac     model.MAC // zero as long as nobody has answered
	leg     Leg
	tries   int       // questions since the last answer
	due     time.Time // when something is to be done: ask, ask again, forget
	used    time.Time // when a packet wanted it last
	absent  bool
	waiting []P
}

// New gives a resolver that knows nothing.
func New[P any](o Options) *Resolver[P] {
	return &Resolver[P]{opt: o.withDefaults(), entries: map[Key]*entry[P]{}}
}

// Want keeps a packet whose next hop is not known. The bool is true if the question is to be sent now. It is false if the address is being asked for
// already, or nobody has it, or too much waits or is being asked for: the packet is dropped then. For an address that is Known nothing is kept: send the packet on.
func (r *Resolver[P]) Want(now time.Time, k Key, leg Leg, p P) (Question, bool) {
	e := r.entries[k]
	if e == nil {
		if len(r.entries) >= r.opt.Keys {
			r.dropped++
			return Question{}, false
		}
		e = &entry[P]{}
		r.entries[k] = e
	}
	e.leg, e.used = leg, now
	if e.mac != (model.MAC{}) {
		return Question{}, false
	}
	if e.absent || len(e.waiting) >= r.opt.Waiting {
		r.dropped++
		return Question{}, false
	}
	e.waiting = append(e.waiting, p)
	if e.tries > 0 {
		return Question{}, false
	}
	return r.ask(now, k, e), true
}

func (r *Resolver[P]) ask(now time.Time, k Key, e *entry[P]) Question {
	e.tries++
	e.due = now.Add(r.opt.Retry)
	q := Question{Key: k, Leg: e.leg}
	eth := frame.Ethernet{Src: e.leg.MAC, Dst: frame.Broadcast()}
	if k.Addr.Is4() {
		q.Frame = frame.ARP{Op: frame.ARPRequest, SenderMAC: e.leg.MAC, SenderAddr: or(e.leg.Addr, netip.IPv4Unspecified()), TargetAddr: k.Addr}.Encode(eth)
		return q
	}
	m := frame.ND{Src: or(e.leg.Addr, netip.IPv6Unspecified()), Target: k.Addr, Link: e.leg.MAC}
	m.Dst, eth.Dst = frame.SolicitedNode(k.Addr)
	if m.Src.IsUnspecified() {
		m.Link = model.MAC{} // who has no address says none (RFC 4861, section 4.3)
	}
	q.Frame = m.Encode(eth)
	return q
}

func or(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// Heard takes an answer: a frame that a device in the domain has sent to a leg. It gives the address, its MAC address, the packets that waited for it, and whether that is news. What
// was not asked for is not believed.
func (r *Resolver[P]) Heard(now time.Time, domain uint32, b []byte) (k Key, mac model.MAC, released []P, news bool) {
	k.Domain = domain
	if _, a, reason := frame.DecodeARP(b); reason == frame.OK && a.Op == frame.ARPReply {
		k.Addr, mac = a.SenderAddr, a.SenderMAC
	} else if eth, m, reason := frame.DecodeND(b); reason == frame.OK && m.Advertisement {
		if k.Addr, mac = m.Target, m.Link; mac == (model.MAC{}) {
			mac = eth.Src
		}
	}
	e := r.entries[k]
	if e == nil || mac.IsMulticast() || mac == (model.MAC{}) {
		return Key{}, model.MAC{}, nil, false
	}
	released, e.waiting = e.waiting, nil
	news = e.mac != mac
	e.mac, e.absent, e.tries = mac, false, 0
	e.due = now.Add(r.opt.Age)
	return k, mac, released, news
}

// Absent reports whether nobody has answered for the address, and nobody is asked just now.
func (r *Resolver[P]) Absent(k Key) bool {
	e := r.entries[k]
	return e != nil && e.absent
}

// Tick gives the questions that are to be sent now, the addresses that are known no more, and the packets that have waited for nothing. Call it about once per Retry.
func (r *Resolver[P]) Tick(now time.Time) (questions []Question, gone []Key, lost []P) {
	for k, e := range r.entries {
		switch {
		case now.Before(e.due):
		case e.absent:
			delete(r.entries, k)
		case e.mac != (model.MAC{}) && now.Sub(e.used) >= r.opt.Idle:
			gone = append(gone, k)
			delete(r.entries, k)
		case e.tries < r.opt.Tries:
			questions = append(questions, r.ask(now, k, e))
		default:
			if e.mac != (model.MAC{}) {
				gone = append(gone, k)
			}
			r.dropped += uint64(len(e.waiting))
			lost = append(lost, e.waiting...)
			*e = entry[P]{leg: e.leg, absent: true, due: now.Add(r.opt.Absent)}
		}
	}
	return questions, gone, lost
}

// Known gives the MAC address of an address.
func (r *Resolver[P]) Known(k Key) (model.MAC, bool) {
	e := r.entries[k]
	if e == nil || e.mac == (model.MAC{}) {
		return model.MAC{}, false
	}
	return e.mac, true
}

// Used takes note that packets have gone to an address since it was last asked.
func (r *Resolver[P]) Used(now time.Time, k Key) {
	if e := r.entries[k]; e != nil {
		e.used = now
	}
}

// Retain forgets the addresses of domains that are here no more, and those that a leg asked for which is gone. It gives what was known. keep is asked once
// for each domain and leg.
func (r *Resolver[P]) Retain(keep func(domain, leg uint32) bool) (gone []Key) {
	type place struct{ domain, leg uint32 }
	kept := map[place]bool{}
	for k, e := range r.entries {
		p := place{k.Domain, e.leg.ID}
		here, asked := kept[p]
		if !asked {
			here = keep(p.domain, p.leg)
			kept[p] = here
		}
		if here {
			continue
		}
		if e.mac != (model.MAC{}) {
			gone = append(gone, k)
		}
		r.dropped += uint64(len(e.waiting))
		delete(r.entries, k)
	}
	return gone
}

// Dropped counts the packets that were dropped because nobody answered, or because too many waited.
func (r *Resolver[P]) Dropped() uint64 { return r.dropped }
