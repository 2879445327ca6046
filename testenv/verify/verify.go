package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model/reason"
)

// Options of a verification.
type Options struct {
	Cases    int           // required unless Time is given: how many packets
	Time     time.Duration // alternatively: for how long new cases are drawn
	Seed     uint64        // required: equal seeds draw equal cases
	Real     int           // how many of the packets go through Open vSwitch as well
	Workers  int           // required: in-memory worlds at a time
	Most     int           // required: differences that are shrunk and printed
	Out      io.Writer     // required: differences
	Progress io.Writer     // required: a line now and then
}

// stepsPerWorld is how many frames enter a world.
const stepsPerWorld = 60

// Result is what a verification found.
type Result struct {
	Cases, Real, Worlds int
	Differences         []Difference
}

// Difference is one world in which an executor does not do what the oracle says. A run with its seed, and one case, draws it first.
type Difference struct {
	Seed uint64
	Real bool // its packets went through Open vSwitch as well
}

// Run draws worlds and packets until there are enough, and gives how many there were, and how many differences. Those are printed, shrunk.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Cases == 0 && o.Time == 0 || o.Workers < 1 {
		return Result{}, errors.New("verify: cases or a time, and workers, are required")
	}
	v := &verification{Options: o, began: time.Now()}
	g, gctx := errgroup.WithContext(ctx)
	if o.Real > 0 {
		first, ok := v.take(true) // before others, so that its seed alone repeats it
		g.Go(func() error {
			x, err := startReal(gctx)
			if err != nil {
				return err
			}
			return errors.Join(v.work(gctx, x, first, ok), x.close())
		})
	}
	for range o.Workers {
		g.Go(func() error {
			first, ok := v.take(false)
			return v.work(gctx, nil, first, ok)
		})
	}
	err := g.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return v.found, err
}

type verification struct {
	Options
	began time.Time

	mu    sync.Mutex
	next  uint64 // world
	found Result
	said  time.Time
}

// take gives the seed of the next world, and whether there is to be one.
func (v *verification) take(real bool) (uint64, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	over := v.Cases > 0 && v.found.Cases >= v.Cases || v.Time > 0 && time.Since(v.began) > v.Time
	if real {
		over = v.found.Real >= v.Real
	}
	if over || len(v.found.Differences) >= v.Most {
		return 0, false
	}
	v.next++
	return v.Seed + v.next - 1, true
}

// work verifies a first world, and others.
func (v *verification) work(ctx context.Context, x *realWorld, seed uint64, ok bool) error {
	for ; ok && ctx.Err() == nil; seed, ok = v.take(x != nil) {
		n, d, err := v.world(ctx, seed, x)
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		v.note(n, Difference{seed, x != nil}, d)
	}
	return nil
}

// world draws one world and its packets. It gives how many there were, and the difference that was found, if any.
func (v *verification) world(ctx context.Context, seed uint64, x *realWorld) (int, string, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	c := Case{World: Generate(r)}
	t, err := newTrial(ctx, c.World, x, false)
	if err != nil {
		return 0, v.shrunk(ctx, c, x, err), nil
	}
	d := newDrawer(c.World, r)
	for range stepsPerWorld {
		s, ok := d.next()
		if !ok {
			break
		}
		c.Steps = append(c.Steps, s)
		o, err := t.step(ctx, s)
		if ctx.Err() != nil {
			return 0, "", nil
		}
		if errors.Is(err, errDepth) {
			c.Steps = c.Steps[:len(c.Steps)-1] // no case, and what is remembered of it is not known
			break
		}
		if err != nil {
			return len(c.Steps), v.shrunk(ctx, c, x, err), nil
		}
		d.saw(o.Deliveries)
	}
	return len(c.Steps), "", nil
}

// shrunk makes a failing case small, and gives it with its failure.
func (v *verification) shrunk(ctx context.Context, c Case, x *realWorld, failure error) string {
	small := shrink(c, 3000, func(c Case) bool {
		err := play(ctx, c, x, false)
		return err != nil && !errors.Is(err, errNoEntry) && !errors.Is(err, errDepth)
	})
	if err := play(ctx, small, x, true); err != nil {
		return fmt.Sprintf("%s%v\n", small, err)
	}
	return fmt.Sprintf("%s%v\n(cannot be repeated)\n", c, failure)
}

// note counts a world's packets, and prints how it differs, if it does.
func (v *verification) note(n int, d Difference, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.found.Worlds++
	v.found.Cases += n
	if d.Real {
		v.found.Real += n
	}
	if text != "" {
		v.found.Differences = append(v.found.Differences, d)
		fmt.Fprintf(v.Out, "difference %d, seed %d\n%s\n", len(v.found.Differences), d.Seed, text)
	}
	if time.Since(v.said) > 2*time.Second {
		v.said = time.Now()
		fmt.Fprintf(v.Progress, "%6.0fs  %d cases in %d worlds, %d of them through Open vSwitch, %d differences\n", time.Since(v.began).Seconds(), v.found.Cases, v.found.Worlds, v.found.Real, len(v.found.Differences))
	}
}

// trial is a world in all executors.
type trial struct {
	memory *memory
	real   *realWorld
	// What the oracle remembers of what each executor has done: they may choose differently among equal routes.
	memoryJudge, realJudge *judge
}

func newTrial(ctx context.Context, w *World, x *realWorld, trace bool) (*trial, error) {
	m, err := newMemory(w, x == nil, trace)
	if err != nil {
		return nil, err
	}
	t := &trial{memory: m, memoryJudge: newJudge(w)}
	if x != nil {
		t.real, t.realJudge = x, newJudge(w)
		if err := x.load(ctx, w, m.hosts); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// step gives what became of a frame in memory, or an error that says how an executor differs from the oracle.
func (t *trial) step(ctx context.Context, s Step) (*Outcome, error) {
	got, err := t.memory.step(s)
	if errors.Is(err, errDepth) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("the flows: %w\n%s", err, strings.Join(t.memory.traces, ""))
	}
	if want := t.memoryJudge.judge(s, got); want != "" {
		return nil, fmt.Errorf("the oracle says:\n%sthe flows do:\n%s%s", want, got, strings.Join(t.memory.traces, ""))
	}
	if t.real == nil {
		return got, nil
	}
	there, err := t.real.step(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("with Open vSwitch: %w", err)
	}
	want := t.realJudge.judge(s, there)
	if want == "" {
		return got, nil
	}
	for less := range withoutAnswers(there) {
		if t.realJudge.judge(s, less) == "" {
			return got, nil
		}
	}
	// Of routes of equal cost it may have taken others than the switch in memory, and then lost the packet for looking it up too often: no flow has dropped it. Or the packet has gone round,
	// with more choices on its way than the oracle follows.
	if (there.isNothing() || there.Drop == reason.Hops) && strings.Contains(want, or) {
		return nil, errDepth
	}
	return nil, fmt.Errorf("the oracle says:\n%sOpen vSwitch does:\n%s%s%s", want, there, strings.Join(t.memory.traces, ""), t.real.explain(ctx, s))
}

// play runs a case from the beginning and gives its first difference.
func play(ctx context.Context, c Case, x *realWorld, trace bool) error {
	t, err := newTrial(ctx, c.World, x, trace)
	if err != nil {
		return err
	}
	for n, s := range c.Steps {
		if _, err := t.step(ctx, s); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
	}
	return nil
}
