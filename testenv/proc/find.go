package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// FindEnv gives the running processes whose initial environment holds the entry "name=value": among them those that a
// crashed start left without a record. Processes that end while being looked at are left out, and so are this program
// and its ancestors.
func FindEnv(entry string) []Record {
	want := []byte(entry)
	return find(func(pid int) bool {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		for e := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(e, want) {
				return true
			}
		}
		return false
	})
}

// FindNetns gives the running processes in the network namespaces of the inodes, with the exceptions of FindEnv.
func FindNetns(inodes map[uint64]bool) []Record {
	links := make(map[string]bool, len(inodes))
	for i := range inodes {
		links[fmt.Sprintf("net:[%d]", i)] = true
	}
	return find(func(pid int) bool {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		return links[link]
	})
}

func find(is func(pid int) bool) []Record {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	own := ancestors(os.Getpid())
	var found []Record
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || own[pid] {
			continue
		}
		// The start time is read first: if the pid changes hands in between, the record matches neither process.
		st, err := readStat(pid)
		if err != nil || !st.alive() || !is(pid) {
			continue
		}
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		r := Record{PID: pid, Start: st.start}
		for a := range bytes.SplitSeq(bytes.TrimRight(args, "\x00"), []byte{0}) {
			r.Args = append(r.Args, string(a))
		}
		found = append(found, r)
	}
	return found
}

func ancestors(pid int) map[int]bool {
	seen := map[int]bool{}
	for pid > 0 && !seen[pid] {
		seen[pid] = true
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 2 {
			break
		}
		pid, _ = strconv.Atoi(string(f[1]))
	}
	return seen
}
