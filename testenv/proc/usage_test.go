package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestStatm(t *testing.T) {
	if mib, err := statm("5000 256 100 1 0 2 0\n"); err != nil || mib != float64(os.Getpagesize())/4096 {
		t.Errorf("%v MiB, %v", mib, err)
	}
	for _, bad := range []string{"", "5", "5 x 1"} {
		if mib, err := statm(bad); err == nil {
			t.Errorf("statm(%q) = %v without error", bad, mib)
		}
	}
}

func TestUsage(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := CPUTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("CPU time %v, then %v, %v", before, after, err)
	}
	if mib, err := Resident(os.Getpid()); err != nil || mib < 1 || mib > 10_000 {
		t.Errorf("resident %v MiB, %v", mib, err)
	}
	if _, err := CPUTime(1 << 22); err == nil {
		t.Error("the CPU time of a process that is none")
	}
	if _, err := Resident(1 << 22); err == nil {
		t.Error("the memory of a process that is none")
	}
}

// The CPU time of a child counts when it has been waited for.
func TestChildrenCPUTime(t *testing.T) {
	before, err := ChildrenCPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	if after, err := ChildrenCPUTime(os.Getpid()); err != nil || after <= before {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if _, err := ChildrenCPUTime(1 << 22); err == nil {
		t.Error("the children of a process that is none")
	}
}
