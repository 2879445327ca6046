package cluster

import (
	"os"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	got := Usage{10, 6, 4, 8}.Minus(Usage{2, 2, 2, 2}).Plus(Usage{4, 0, 0, 2}).By(2)
	if got != (Usage{6, 2, 1, 4}) {
		t.Errorf("usage %+v", got)
	}
}

func TestVmRSS(t *testing.T) {
	if n, err := vmRSS("Name:\tx\nVmHWM:\t    9 kB\nVmRSS:\t   12345 kB\n"); n != 12345 || err != nil {
		t.Errorf("vmRSS = %d, %v", n, err)
	}
	for _, bad := range []string{"", "VmRSS: 5", "VmRSS: x kB"} {
		if n, err := vmRSS(bad); err == nil {
			t.Errorf("vmRSS(%q) = %d without error", bad, n)
		}
	}
}

func TestProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("CPU time %v, then %v, %v", before, after, err)
	}
	if mib, err := resident(os.Getpid()); err != nil || mib < 1 || mib > 10_000 {
		t.Errorf("resident %v MiB, %v", mib, err)
	}
	if _, err := cpuTime(1 << 22); err == nil {
		t.Error("the CPU time of a process that is none")
	}
	if _, err := resident(1 << 22); err == nil {
		t.Error("the memory of a process that is none")
	}
}
