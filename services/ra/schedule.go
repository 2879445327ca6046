package ra

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// When a guest is told without having asked (RFC 4861, sections 6.2.1, 6.2.4 and 10).
const (
	maxInterval  = 600 * time.Second
	minInterval  = 200 * time.Second
	firstTimes   = 3                // of each new content
	firstWithin  = 16 * time.Second // between those
	finalTimes   = 1
	betweenToAll = 3 * time.Second // of what is for all nodes
	maxGuests    = 4096            // of one host
)

// Guest is one interface in one domain, of which a router is to tell.
type Guest struct {
	Interface uint32
	Domain    uint32
	Router    uint32
}

// Schedule says when which guest is told what. It is not safe for concurrent use.
type Schedule struct {
	guests map[Guest]*state
	jitter func(time.Duration) time.Duration // below the bound
}

type state struct {
	says  *Advertisement // nil when nothing is said any more
	over  *Advertisement // says, with what is over; for the first times
	left  int            // how often it is said soon yet
	due   time.Time
	toAll time.Time // the last one for all nodes
}

// NewSchedule gives an empty schedule.
func NewSchedule() *Schedule {
	return &Schedule{guests: map[Guest]*state{}, jitter: func(d time.Duration) time.Duration { return rand.N(d) }} //nolint:gosec // no secret
}

// Want says what each guest is to be told from now on. What is new is said at once, and to a guest that is told nothing any more that all is over. Guests beyond what a host has are told
// when they ask.
func (s *Schedule) Want(now time.Time, want map[Guest]*Advertisement) {
	for g, st := range s.guests {
		if want[g] == nil && st.says != nil {
			st.over, st.says, st.left, st.due = st.over.Final(), nil, finalTimes, now
		}
	}
	for g, a := range want {
		st := s.guests[g]
		switch {
		case a == nil:
		case st == nil && len(s.guests) >= maxGuests:
		case st == nil:
			s.guests[g] = &state{says: a, over: a, left: firstTimes, due: now}
		case st.says.Equal(a):
		case st.over.config.Source != a.config.Source: // that one ends first
			if st.says != nil && st.says.config.Source == st.over.config.Source {
				st.over = st.over.Final()
			}
			st.says, st.left, st.due = a, finalTimes, now
		default:
			st.says, st.over, st.left, st.due = a, a.After(st.over), firstTimes, now
		}
	}
}

// Told is an advertisement for a guest.
type Told struct {
	Guest
	*Advertisement
}

// Due gives up to limit advertisements that are to be sent now, the longest due first.
func (s *Schedule) Due(now time.Time, limit int) []Told {
	var due []Guest
	for g, st := range s.guests {
		if !now.Before(st.due) {
			due = append(due, g)
		}
	}
	slices.SortFunc(due, func(a, b Guest) int {
		return cmp.Or(s.guests[a].due.Compare(s.guests[b].due), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Router, b.Router))
	})
	var out []Told
	for _, g := range due[:min(len(due), limit)] {
		st := s.guests[g]
		out = append(out, Told{g, st.over})
		st.toAll = now
		st.left--
		switch {
		case st.says == nil && st.left <= 0:
			delete(s.guests, g)
		case st.says != nil && st.says.config.Source != st.over.config.Source:
			st.over, st.left, st.due = st.says, firstTimes, now
		case st.left > 0:
			st.due = now.Add(firstWithin/2 + s.jitter(firstWithin/2))
		default:
			st.over, st.left = st.says, 0
			st.due = now.Add(minInterval + s.jitter(maxInterval-minInterval))
		}
	}
	return out
}

// Asked reports whether what is for all nodes may be said to a guest that asks: it has not been said in the last three seconds (RFC 4861, section 6.2.6). A
// guest that has an address is answered there, as often as its port's rate lets it ask.
func (s *Schedule) Asked(now time.Time, g Guest) bool {
	st := s.guests[g]
	if st == nil {
		return true // its port's rate is the bound
	}
	if now.Sub(st.toAll) < betweenToAll {
		return false
	}
	st.toAll = now
	return true
}
