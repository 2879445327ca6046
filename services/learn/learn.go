// Package learn keeps which MAC addresses of devices that nobody registered are behind which port. What is learned goes when it is not seen for a
// while or its port goes; a port may have so many; a MAC address that moves between ports too often stays where it is for a while, since either somebody pretends
// or the network outside has a loop. It sees no frame and programs nothing: the agent tells it of addresses that the switch does not know, and keeps the switch
// as it says.
package learn

import (
	"time"

	"github.com/openvnet/openvnet/model"
)

// Key is a MAC address in a domain.
type Key struct {
	Domain uint32
	MAC    model.MAC
}

// Options bound a Table. The zero value of each is its default.
type Options struct {
	PerPort int           // addresses of a port; 1,024
	Age     time.Duration // how long an address is kept that is not seen; 300 s
	Moves   int           // moves of an address within Window that are followed; 5
	Window  time.Duration // 10 s
	Hold    time.Duration // how long an address that moves more often stays where it is; 60 s
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&o.Age, 5 * time.Minute}, {&o.Window, 10 * time.Second}, {&o.Hold, time.Minute}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	if o.PerPort == 0 {
		o.PerPort = 1024
	}
	if o.Moves == 0 {
		o.Moves = 5
	}
	return o
}

// Verdict is what became of an address that was seen.
type Verdict uint8

// The verdicts.
const (
	Known Verdict = iota // it was there already
	Fresh                // it is there from now on
	Moved                // it was behind another port
	Full                 // the port has as many as it may have
	Held                 // it moves too often and stays where it was
	numVerdicts
)

// String names the verdict, as counters show it.
func (v Verdict) String() string {
	return [numVerdicts]string{"known", "fresh", "moved", "full", "held"}[v]
}

// Table is what is learned on one host; ports are interfaces' ids. Not safe for concurrent use.
type Table struct {
	opt     Options
	entries map[Key]*entry
	ports   map[uint32]int
	counts  [numVerdicts]uint64
}

type entry struct {
	port   uint32
	seen   time.Time
	moves  int
	since  time.Time // when the first of moves was
	frozen time.Time // until when it stays
}

// New gives an empty table.
func New(o Options) *Table {
	return &Table{opt: o.withDefaults(), entries: map[Key]*entry{}, ports: map[uint32]int{}}
}

// Saw takes note of a frame from an address behind a port.
func (t *Table) Saw(now time.Time, k Key, port uint32) Verdict {
	v := t.saw(now, k, port)
	t.counts[v]++
	return v
}

func (t *Table) saw(now time.Time, k Key, port uint32) Verdict {
	e := t.entries[k]
	switch {
	case e == nil && t.ports[port] >= t.opt.PerPort:
		return Full
	case e == nil:
		t.entries[k] = &entry{port: port, seen: now}
		t.ports[port]++
		return Fresh
	case e.port == port:
		e.seen = now
		return Known
	case now.Before(e.frozen):
		return Held
	}
	if now.Sub(e.since) > t.opt.Window {
		e.moves, e.since = 0, now
	}
	if e.moves++; e.moves > t.opt.Moves {
		e.frozen = now.Add(t.opt.Hold)
		return Held
	}
	if t.ports[port] >= t.opt.PerPort {
		return Full
	}
	t.leave(e.port)
	t.ports[port]++
	e.port, e.seen = port, now
	return Moved
}

func (t *Table) leave(port uint32) {
	if t.ports[port]--; t.ports[port] == 0 {
		delete(t.ports, port)
	}
}

// Used takes note that the switch has seen frames from an address since it was last asked.
func (t *Table) Used(now time.Time, k Key) {
	if e := t.entries[k]; e != nil {
		e.seen = now
	}
}

// Expire removes what has not been seen for too long and gives it.
func (t *Table) Expire(now time.Time) []Key {
	return t.remove(func(_ Key, e *entry) bool { return now.Sub(e.seen) >= t.opt.Age })
}

// Retain removes what is behind ports, or in domains, that are here no more, and gives it. keep is asked once for each port and domain.
func (t *Table) Retain(keep func(domain, port uint32) bool) []Key {
	type place struct{ domain, port uint32 }
	kept := map[place]bool{}
	return t.remove(func(k Key, e *entry) bool {
		p := place{k.Domain, e.port}
		here, asked := kept[p]
		if !asked {
			here = keep(k.Domain, e.port)
			kept[p] = here
		}
		return !here
	})
}

func (t *Table) remove(which func(Key, *entry) bool) []Key {
	var gone []Key
	for k, e := range t.entries {
		if which(k, e) {
			t.leave(e.port)
			delete(t.entries, k)
			gone = append(gone, k)
		}
	}
	return gone
}

// Port gives the port that an address is behind.
func (t *Table) Port(k Key) (uint32, bool) {
	e := t.entries[k]
	if e == nil {
		return 0, false
	}
	return e.port, true
}

// Len gives the number of addresses.
func (t *Table) Len() int { return len(t.entries) }

// Counts gives how often each verdict was given, by its name.
func (t *Table) Counts() map[string]uint64 {
	m := map[string]uint64{}
	for v, n := range t.counts {
		m[Verdict(v).String()] = n
	}
	return m
}
