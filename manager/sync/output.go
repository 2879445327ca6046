package sync

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model/wire"
)

// output writes lines to an agent and cuts the stream if one of them does not get through in time. One goroutine sends.
type output struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	stalled func() // called when the stream is cut

	mu      sync.Mutex
	limit   time.Duration
	timer   *time.Timer // runs while a line is being sent
	sending bool
}

func newOutput(w http.ResponseWriter, limit time.Duration, stalled func()) *output {
	o := &output{w: w, rc: http.NewResponseController(w), limit: limit, stalled: stalled}
	o.timer = time.AfterFunc(limit, o.expire)
	o.timer.Stop()
	return o
}

// message sends one message.
func (o *output) message(m wire.FromManager) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	return o.send(append(b, '\n'))
}

// send sends a line and does not return before it has left for the connection.
func (o *output) send(line []byte) error {
	o.begin()
	defer o.finish()
	if _, err := o.w.Write(line); err != nil {
		return err
	}
	return o.rc.Flush()
}

// flush sends the header.
func (o *output) flush() error {
	o.begin()
	defer o.finish()
	return o.rc.Flush()
}

func (o *output) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = true
	o.timer.Reset(o.limit)
}

func (o *output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = false
	o.timer.Stop()
}

// hurry shortens the time that a line has, also of one that is being sent.
func (o *output) hurry(limit time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit = min(o.limit, limit)
	if o.sending {
		o.timer.Reset(o.limit)
	}
}

// expire cuts the stream. While a line is being sent the handler has not returned, so the writer may be used.
func (o *output) expire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sending {
		o.stalled()
		_ = o.rc.SetWriteDeadline(time.Unix(1, 0))
	}
}
