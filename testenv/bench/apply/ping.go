package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
)

// pinging is a ping that goes on until it is ended, a packet every 10 ms.
type pinging struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done bool
}

// startPing starts it at a guest.
func startPing(ctx context.Context, l *lab.Lab, guest string, to netip.Addr) (*pinging, error) {
	p := &pinging{cmd: exec.CommandContext(ctx, "ping", "-n", "-D", "-i", "0.01", to.String())}
	p.cmd.Stdout = &p.out
	if err := l.StartAt(guest, p.cmd); err != nil {
		return nil, fmt.Errorf("start ping: %w", err)
	}
	return p, nil
}

// kill ends it unless it has ended.
func (p *pinging) kill() {
	if !p.done {
		_ = p.cmd.Process.Kill() // gone already: all the better
		_ = p.cmd.Wait()         // that it was killed is no news
	}
}

// end ends it and gives the replies.
func (p *pinging) end() ([]reply, error) {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return nil, fmt.Errorf("end ping: %w", err)
	}
	err := p.cmd.Wait()
	p.done = true
	replies := readReplies(p.out.Bytes())
	if len(replies) == 0 {
		return nil, errors.Join(errors.New("nothing answered ping"), err)
	}
	return replies, nil // ping's status says that some were lost, which is counted here
}

// reply is an answer to a packet.
type reply struct {
	at  time.Time
	seq int
}

var replyLine = regexp.MustCompile(`(?m)^\[(\d+\.\d+)\] \d+ bytes from \S+ icmp_seq=(\d+) `)

// readReplies reads what ping -D prints.
func readReplies(text []byte) []reply {
	var all []reply
	for _, m := range replyLine.FindAllSubmatch(text, -1) {
		seconds, err1 := strconv.ParseFloat(string(m[1]), 64)
		seq, err2 := strconv.Atoi(string(m[2]))
		if err1 == nil && err2 == nil {
			whole, part := math.Modf(seconds)
			all = append(all, reply{time.Unix(int64(whole), int64(part*1e9)), seq})
		}
	}
	return all
}

// lost gives how many packets before the last that was answered were not.
func lost(replies []reply) int {
	last, answered := 0, map[int]bool{}
	for _, r := range replies {
		last = max(last, r.seq)
		answered[r.seq] = true
	}
	return last - len(answered)
}

// firstSince gives when the first reply after a time came.
func firstSince(replies []reply, t time.Time) (time.Time, bool) {
	for _, r := range replies {
		if r.at.After(t) {
			return r.at, true
		}
	}
	return time.Time{}, false
}
