package verify

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Some worlds of fixed seeds; new ones are drawn by make verify and in CI.
func TestVerify(t *testing.T) {
	var out bytes.Buffer
	found, err := Run(t.Context(), Options{Cases: 3000, Seed: 100, Workers: 2, Most: 1, Out: &out, Progress: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Differences) > 0 || found.Cases < 3000 {
		t.Errorf("%+v\n%s", found, out.String())
	}
}

func TestPrivilegedVerify(t *testing.T) {
	privileged.Programs(t, ovs.Programs...)
	var out bytes.Buffer
	found, err := Run(t.Context(), Options{Cases: 600, Real: 600, Seed: 1_000_000, Workers: 1, Most: 1, Out: &out, Progress: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Differences) > 0 || found.Real < 600 {
		t.Errorf("%+v\n%s", found, out.String())
	}
}

func TestWalk(t *testing.T) {
	for seed := range uint64(4) {
		for _, faults := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d faults %t", seed, faults), func(t *testing.T) {
				t.Parallel()
				if err := Walk(t.Context(), WalkOptions{Seed: seed, Worlds: 4, Faults: faults}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A run draws the world of its own seed first, also where another goes through Open vSwitch: so a difference is repeated by its seed.
func TestSeedIsDrawnFirst(t *testing.T) {
	v := &verification{Options: Options{Cases: 1, Real: 1, Seed: 4711, Most: 1, Progress: &bytes.Buffer{}}}
	for n, through := range []bool{true, false, false} {
		if seed, ok := v.take(through); !ok || seed != 4711+uint64(n) {
			t.Errorf("world %d is of seed %d, %t", n, seed, ok)
		}
	}
	v.note(1, Difference{4711, true}, "")
	if _, ok := v.take(false); ok {
		t.Error("more is drawn than was asked for")
	}
}

// Equal seeds draw equal cases: otherwise a difference could not be repeated.
func TestDrawsAreRepeatable(t *testing.T) {
	draw := func() string {
		r := rand.New(rand.NewPCG(7, 0))
		c := Case{World: Generate(r)}
		d := newDrawer(c.World, r)
		for range 50 {
			s, ok := d.next()
			if !ok {
				t.Fatal("nobody sends")
			}
			c.Steps = append(c.Steps, s)
		}
		return c.String()
	}
	if a, b := draw(), draw(); a != b {
		t.Errorf("one draw:\n%s\nanother:\n%s", a, b)
	}
}
