package demo

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
)

// screen is what the demonstration writes to; safe for concurrent use.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	tty   bool
	began time.Time
}

const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

func (s *screen) colour(c, text string) string {
	if !s.tty {
		return text
	}
	return c + text + plain
}

func (s *screen) write(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format, args...)
}

func (s *screen) title(text string) { s.write("\n%s\n", s.colour(bold, text)) }
func (s *screen) plain(text string) { s.write("%s\n", text) }
func (s *screen) fail(err error)    { s.write("%s\n", s.colour(red, "  FAILED: "+err.Error())) }
func (s *screen) step(format string, args ...any) {
	s.write("%7.2fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *screen) event(e lab.Event) {
	node := e.Node
	if node == "" {
		node = "lab"
	}
	s.step("%-8s %s", node, e.Text)
}
