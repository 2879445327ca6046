package services

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// watch has a line's descriptor looked at for events of epoll_ctl(2), edge-triggered: what has come is read until there is no more.
type watch func(fd int, events uint32) error

// line asks the questions of a guest, each in a slot of its own, and knows an answer when it comes.
type line interface {
	// slots is how many questions may be under way.
	slots() int
	// ask sends a question, and has its descriptor watched.
	ask(slot int, watch watch) error
	// take reads what has come, and gives the slots whose questions are answered, or what is wrong with an answer.
	take(answered func(slot int)) error
	// forget gives a question up.
	forget(slot int)
	close() error
}

// load asks: on each line as many questions are under way as it has slots, each asked as soon as the one before is answered.
type load struct {
	lines    []line
	patience time.Duration // after which an answer is not waited for any more
	poll     int
}

func newLoad(lines []line, patience time.Duration) (*load, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	return &load{lines, patience, poll}, nil
}

func (l *load) close() error { return unix.Close(l.poll) }

// answers are what came of a load within its span.
type answers struct {
	times []time.Duration // from before a question was sent until after its answer was read
	took  time.Duration
	lost  int // also before and after
}

func (a answers) rate() float64 { return float64(len(a.times)) / a.took.Seconds() }

// spans say how long a load asks: first so that everybody knows everybody, and then for the answers that count. at is called when those begin, and when they end.
type spans struct {
	warm, span time.Duration
	at         func() error
}

// run asks, and at the end waits for what is under way. One thread does it all, asleep in epoll_wait(2) between answers.
func (l *load) run(ctx context.Context, s spans) (answers, error) {
	runtime.LockOSThread()
	if !slices.ContainsFunc(l.lines, func(n line) bool { _, ok := n.(*connections); return ok }) {
		defer runtime.UnlockOSThread()
		return l.runHere(ctx, s)
	}
	home, err := ownNamespace() // which lines that open sockets leave for those of their guests
	if err != nil {
		return answers{}, err
	}
	a, err := l.runHere(ctx, s)
	if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread()
	} else {
		err = errors.Join(err, fmt.Errorf("come back from a network namespace: %w", back))
	}
	return a, errors.Join(err, unix.Close(home))
}

func (l *load) runHere(ctx context.Context, s spans) (answers, error) {
	r := &running{load: l, spans: s, began: time.Now()}
	r.times = make([]time.Duration, 0, 1<<16)
	for n, line := range l.lines {
		r.asked = append(r.asked, make([]time.Time, line.slots()))
		for slot := range line.slots() {
			if err := r.ask(n, slot); err != nil {
				return answers{}, err
			}
		}
	}
	err := r.serve(ctx)
	return r.answers, err
}

// ownNamespace opens the network namespace of the calling thread.
func ownNamespace() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the thread's network namespace: %w", err)
	}
	return fd, nil
}

// running is a load that is being asked.
type running struct {
	*load
	spans
	answers
	asked [][]time.Time // by line and slot; zero for none
	open  int           // how many are under way
	began time.Time     // of the phase
	phase phase
}

// phase is what is being done.
type phase int

const (
	warming phase = iota
	counting
	ending // nothing is asked any more
)

func (r *running) ask(n, slot int) error {
	r.asked[n][slot] = time.Now()
	r.open++
	return r.lines[n].ask(slot, func(fd int, events uint32) error {
		return unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events | epollET, Fd: int32(n)})
	})
}

// epollET is unix.EPOLLET, which is negative there.
const epollET = 1 << 31

func (r *running) serve(ctx context.Context) error {
	events := make([]unix.EpollEvent, 256)
	expired := time.Now()
	for r.open > 0 {
		n, err := unix.EpollWait(r.poll, events, int(r.patience/4/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
		now := time.Now()
		if err := r.proceed(now); err != nil {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if err := r.take(int(e.Fd)); err != nil {
				return err
			}
		}
		if now.Sub(expired) > r.patience/4 {
			expired = now
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.expire(now); err != nil {
				return err
			}
		}
	}
	return nil
}

// proceed goes to the next phase when it is time.
func (r *running) proceed(now time.Time) error {
	passed := now.Sub(r.began)
	switch {
	case r.phase == warming && passed >= r.warm:
	case r.phase == counting && passed >= r.span:
		r.took = passed
	default:
		return nil
	}
	r.phase++
	if err := r.at(); err != nil {
		return err
	}
	r.began = time.Now()
	return nil
}

// take takes the answers that have come on a line, and asks anew.
func (r *running) take(n int) error {
	var failed error
	err := r.lines[n].take(func(slot int) {
		asked := &r.asked[n][slot]
		if r.phase == counting {
			r.times = append(r.times, time.Since(*asked))
		}
		*asked = time.Time{}
		r.open--
		if r.phase != ending && failed == nil {
			failed = r.ask(n, slot)
		}
	})
	return errors.Join(err, failed)
}

// expire gives up what was asked too long ago.
func (r *running) expire(now time.Time) error {
	for n, slots := range r.asked {
		for slot, asked := range slots {
			if asked.IsZero() || now.Sub(asked) <= r.patience {
				continue
			}
			r.lines[n].forget(slot)
			r.lost++
			r.open--
			slots[slot] = time.Time{}
			if r.phase == ending {
				continue
			}
			if err := r.ask(n, slot); err != nil {
				return err
			}
		}
	}
	return nil
}
