package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Bounds of a connection of an asker (RFC 7766).
const (
	idleLimit    = 10 * time.Second // between questions
	writeLimit   = 5 * time.Second  // for an answer to be taken
	maxPipelined = 16               // questions that wait for their answer
)

// Serve answers the questions that come over a connection, until the asker ends it, is silent for too long or does not take answers, or ctx ends. It closes the connection.
// Answers may come in another order than questions. answer is called with each question, one after the other; it must have done called once, with nil for no answer, which never blocks.
func Serve(ctx context.Context, conn net.Conn, answer func(question []byte, done func(answer []byte))) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	s := serving{conn: conn, slots: make(chan struct{}, maxPipelined)}
	err := s.read(ctx, answer)
	for range maxPipelined { // what is on its way is answered: the asker may have closed its own side only
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
	if s.failed != nil {
		err = s.failed
	}
	if err != nil {
		return fmt.Errorf("connection of %s: %w", conn.RemoteAddr(), err)
	}
	return nil
}

// serving is a connection that is being served.
type serving struct {
	conn  net.Conn
	slots chan struct{} // one is taken from before a question is read until its answer is written

	mu     sync.Mutex // of one who writes
	failed error      // of a write: the connection has been closed
}

// read reads questions. Answers that come at once it writes itself, others are written by a goroutine each, of which there are no more than slots.
func (s *serving) read(ctx context.Context, answer func(question []byte, done func(answer []byte))) error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
			<-s.slots
			return ended(err)
		}
		q, err := readMessage(s.conn)
		if err != nil {
			<-s.slots
			return ended(err)
		}
		var h handover
		answer(q, func(a []byte) {
			if h.come(a) {
				go s.write(a)
			}
		})
		if h.leave() {
			s.write(h.answer)
		}
	}
}

// handover settles who writes an answer: the reader, if it comes before the reader leaves it to itself.
type handover struct {
	mu         sync.Mutex
	answer     []byte
	came, left bool
}

// come reports whether the reader has left.
func (h *handover) come(answer []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer, h.came = answer, true
	return h.left
}

// leave reports whether the answer has come.
func (h *handover) leave() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = true
	return h.came
}

// write writes an answer, and gives its slot free.
func (s *serving) write(a []byte) {
	defer func() { <-s.slots }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || len(a) == 0 || len(a) > 0xffff {
		return
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(writeLimit))
	if err == nil {
		_, err = s.conn.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, len(a)+2), uint16(len(a))), a...))
	}
	if err != nil {
		s.failed = err
		_ = s.conn.Close() // the reader ends
	}
}

// ended gives nil for the ordinary ends of a connection.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
