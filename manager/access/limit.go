package access

import (
	"cmp"
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what clients may ask for. A negative number is no limit.
type Limits struct {
	Rate       float64 // requests per second of one identity, or of one address without identity; 500
	Burst      int     // of these at once; twice the rate
	Anonymous  float64 // requests per second of an address that come without a valid token; 10
	Concurrent int     // requests under way in all, of which one identity may have half; 2,000
}

func (l Limits) withDefaults() Limits {
	l.Rate = cmp.Or(l.Rate, 500)
	l.Burst = cmp.Or(l.Burst, int(2*l.Rate))
	l.Anonymous = cmp.Or(l.Anonymous, 10)
	l.Concurrent = cmp.Or(l.Concurrent, 2000)
	return l
}

// maxKeys bounds how many identities and addresses are remembered; the one that has been quiet for longest is forgotten, and begins
// anew.
const maxKeys = 10_000

// buckets are token buckets by key.
type buckets struct {
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	byKey map[string]*list.Element // of *bucket
	order *list.List               // the one used last is the first
}

type bucket struct {
	key string
	*rate.Limiter
}

func newBuckets(perSecond float64, burst int) *buckets {
	return &buckets{rate: rate.Limit(perSecond), burst: burst, byKey: map[string]*list.Element{}, order: list.New()}
}

// take takes one from the key's bucket; if it is empty, the time is when to come back, else 0.
func (b *buckets) take(key string, now time.Time) time.Duration {
	if b.rate < 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byKey[key]
	if e == nil {
		if b.order.Len() >= maxKeys {
			oldest := b.order.Back()
			delete(b.byKey, oldest.Value.(*bucket).key)
			b.order.Remove(oldest)
		}
		e = b.order.PushFront(&bucket{key, rate.NewLimiter(b.rate, b.burst)})
		b.byKey[key] = e
	}
	b.order.MoveToFront(e)
	r := e.Value.(*bucket).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// slots count requests under way.
type slots struct {
	total, each int

	mu    sync.Mutex
	n     int
	byKey map[string]int
}

func newSlots(total int) *slots {
	return &slots{total: total, each: (total + 1) / 2, byKey: map[string]int{}}
}

// enter takes a slot for the key, if there is one.
func (s *slots) enter(key string) bool {
	if s.total < 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= s.total || s.byKey[key] >= s.each {
		return false
	}
	s.n++
	s.byKey[key]++
	return true
}

func (s *slots) leave(key string) {
	if s.total < 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
	if s.byKey[key]--; s.byKey[key] == 0 {
		delete(s.byKey, key)
	}
}
