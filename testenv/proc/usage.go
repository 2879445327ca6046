package proc

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime gives the CPU time that all threads of a process have used, also those that have ended.
func CPUTime(pid int) (time.Duration, error) {
	// The clock of another process's CPU time, as clock_getcpuclockid(3) makes it: include/linux/posix-timers_types.h,
	// make_process_cpuclock and CPUCLOCK_SCHED.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Resident gives the resident memory of a process, MiB (proc_pid_statm(5)).
func Resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return statm(string(text))
}

func statm(text string) (float64, error) {
	var size, pages int
	if _, err := fmt.Sscan(text, &size, &pages); err != nil {
		return 0, fmt.Errorf("memory of a process %q: %w", text, err)
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20), nil
}

// tick is what proc_pid_stat(5) counts CPU time in: USER_HZ, 100 on all machines.
const tick = time.Second / 100

// ChildrenCPUTime gives the CPU time of the children of a process that have ended and been waited for, and of theirs, to 10 ms.
func ChildrenCPUTime(pid int) (time.Duration, error) {
	st, err := readStat(pid)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of the children of process %d: %w", pid, err)
	}
	return time.Duration(st.children) * tick, nil
}
