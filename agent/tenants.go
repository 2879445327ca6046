package agent

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/openvnet/openvnet/services/dhcp"
)

const (
	maxTenants   = 4096             // of whom anything is remembered
	declinedFor  = 10 * time.Minute // how long a DECLINE is shown, if no other follows and the client does not say that it is over
	releaseAgain = time.Minute      // how often a release is passed on of one lease
	sayAgain     = time.Minute      // how often the log has either of one lease
)

// tenants remembers what clients have said of their leases: what is wrong with one, and when the manager was told of one.
type tenants struct {
	log  *slog.Logger
	tell func(lease string, released bool)

	mu   sync.Mutex
	last map[string]*tenant // by uuid of the lease
}

// word is what a client says of a lease.
type word uint8

const (
	taken    word = iota + 1 // it was offered the lease, and takes it
	used                     // it goes on using it
	released                 // it gives it back
	declined                 // it has found another station at the address
)

// held is a lease that a client has.
type held struct {
	iface     string // uuid
	lease     string // uuid
	addr      netip.Addr
	leaseTime time.Duration
	renew     time.Duration // after which the client renews it
}

type tenant struct {
	held
	heardAt           time.Time
	declined          time.Time // the last DECLINE, zero for none that counts
	renewed, released time.Time // when the manager was told
	back              bool      // that it was given back is the last that the manager was told

	saidDeclined, saidReleased time.Time
}

// heard takes what a client says of a lease, and reports whether what is wrong with leases has changed.
func (t *tenants) heard(c held, w word, now time.Time) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of(c, now)
	if e == nil {
		return false
	}
	e.heardAt = now
	switch w {
	case declined:
		news = e.declined.IsZero()
		e.declined = now
		if now.Sub(e.saidDeclined) >= sayAgain {
			e.saidDeclined = now
			t.log.Warn("a DHCP client found another station at its address", e.attrs()...)
		}
	case released:
		news, e.declined = !e.declined.IsZero(), time.Time{}
		if now.Sub(e.released) >= releaseAgain {
			e.released, e.back = now, true
			t.tell(c.lease, true)
		}
		if now.Sub(e.saidReleased) >= sayAgain {
			e.saidReleased = now
			t.log.Info("a DHCP client gave its address back", e.attrs()...)
		}
	default:
		// A client that has declined is offered the address again, and takes it before it looks again; who renews uses it.
		if w != taken {
			news, e.declined = !e.declined.IsZero(), time.Time{}
		}
		// Clients do not renew to the second. One that has given the lease back and asks again is answered before the manager has heard of either.
		if c.leaseTime != dhcp.Infinite && now.Sub(e.renewed) >= c.renew-c.renew/4 || e.back {
			e.renewed, e.back = now, false
			t.tell(c.lease, false)
		}
	}
	return news
}

// of gives what is remembered of the client's lease. If there are too many, nothing is.
func (t *tenants) of(c held, now time.Time) *tenant {
	if e := t.last[c.lease]; e != nil && e.iface == c.iface && e.addr == c.addr {
		e.leaseTime, e.renew = c.leaseTime, c.renew
		return e
	}
	if t.last == nil {
		t.last = map[string]*tenant{}
	}
	if len(t.last) >= maxTenants {
		maps.DeleteFunc(t.last, func(_ string, e *tenant) bool { return e.over(now) })
		if len(t.last) >= maxTenants {
			return nil
		}
	}
	e := &tenant{held: c}
	t.last[c.lease] = e
	return e
}

// over reports whether what is remembered is of no account any more.
func (e *tenant) over(now time.Time) bool {
	return now.Sub(e.heardAt) > max(declinedFor, min(e.leaseTime, 24*time.Hour))
}

func (e *tenant) attrs() []any {
	return []any{"interface", e.iface, "lease", e.lease, "address", e.addr}
}

// expire forgets what is over or of leases that are no more, and reports whether what is wrong with leases has changed.
func (t *tenants) expire(now time.Time, holds func(held) bool) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for lease, e := range t.last {
		if e.over(now) || !e.declined.IsZero() && !holds(e.held) {
			news = news || !e.declined.IsZero()
			delete(t.last, lease)
		} else if !e.declined.IsZero() && now.Sub(e.declined) > declinedFor {
			news, e.declined = true, time.Time{}
		}
	}
	return news
}

// problems gives what clients have found wrong with leases, by uuid.
func (t *tenants) problems() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for lease, e := range t.last {
		if !e.declined.IsZero() {
			out[lease] = fmt.Sprintf("the guest of %s does not use %s: it found another station there (DHCP DECLINE)", e.iface, e.addr)
		}
	}
	return out
}
