package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/openvnet/openvnet/testenv/privileged"
)

// verdicts of each program, as it returns them.
var verdicts = map[string]map[uint32]Verdict{
	GuestXDP: {1: Drop, 2: Pass, 3: Answer},         // XDP_DROP, XDP_PASS, XDP_TX
	GuestTC:  {2: Drop, 1<<32 - 1: Pass, 7: Answer}, // TC_ACT_SHOT, TC_ACT_UNSPEC, TC_ACT_REDIRECT
}

// kernel is both programs in the kernel, with maps of their own that are pinned nowhere.
type kernel struct {
	*ebpf.Collection
}

func load(t testing.TB) kernel {
	t.Helper()
	privileged.Require(t)
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		var refused *ebpf.VerifierError
		if errors.As(err, &refused) {
			t.Fatalf("%+v", refused)
		}
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	return kernel{coll}
}

func (k kernel) put(t testing.TB, name string, key, value any) {
	t.Helper()
	if err := k.Maps[name].Put(key, value); err != nil {
		t.Fatalf("put %v into %s: %v", key, name, err)
	}
}

// run sends one frame through a program: its verdict, and the frame as it is afterwards.
func (k kernel) run(t testing.TB, program string, frame []byte) (Verdict, []byte) {
	t.Helper()
	opts := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	ret, err := k.Programs[program].Run(&opts)
	if err != nil {
		t.Fatalf("run %s on %d bytes: %v", program, len(frame), err)
	}
	v, ok := verdicts[program][ret]
	if !ok {
		t.Fatalf("%s returned %d", program, int32(ret))
	}
	return v, opts.DataOut
}

// counters gives the sums over all CPUs of what is not zero.
func (k kernel) counters(t testing.TB) map[Reason]uint64 {
	t.Helper()
	sums := map[Reason]uint64{}
	for r := range Reason(k.Maps[CountersMap].MaxEntries()) {
		var perCPU []uint64
		if err := k.Maps[CountersMap].Lookup(r, &perCPU); err != nil {
			t.Fatal(err)
		}
		for _, n := range perCPU {
			if n != 0 {
				sums[r] += n
			}
		}
	}
	return sums
}

// programCost is what the verifier and the translation make of a program; both differ a little between kernels.
type programCost struct{ Verified, Bytes int }

func TestPrivilegedEveryProgramLoads(t *testing.T) {
	k := load(t)
	got := map[string]programCost{}
	for name, p := range k.Programs {
		if len(name) > 15 {
			t.Errorf("%s: the kernel keeps 15 characters of a name", name)
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		verified, _ := info.VerifiedInstructions()
		size, _ := info.TranslatedSize()
		got[name] = programCost{int(verified), size}
	}
	want := map[string]programCost{}
	golden(t, "testdata/cost.json", &want, func() any { want = got; return got })
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is gone: -update", name)
		}
	}
	const tolerance = 1.25
	for name, g := range got {
		w := want[name]
		if float64(g.Verified) > tolerance*float64(w.Verified) || float64(g.Bytes) > tolerance*float64(w.Bytes) {
			t.Errorf("%s grew from %+v to %+v, more than %.0f %%: if that is meant, -update (kernel limit: 1,000,000 verified)",
				name, w, g, (tolerance-1)*100)
		}
	}
}
