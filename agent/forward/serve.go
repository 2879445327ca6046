package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
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
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	// A slot is taken from before a question is read until its answer is written, so that there is always room for an answer.
	slots, answers := make(chan struct{}, maxPipelined), make(chan []byte, maxPipelined)
	g.Go(func() error {
		defer func() { // what is on its way is answered: the asker may have closed its own side only
			for range maxPipelined {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
			close(answers)
		}()
		for {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			if err := conn.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
				<-slots
				return err
			}
			q, err := readMessage(conn)
			if err != nil {
				<-slots
				return ended(err)
			}
			answer(q, func(a []byte) { answers <- a })
		}
	})
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case a, more := <-answers:
				if !more {
					return nil
				}
				if err := write(conn, a); err != nil {
					return err
				}
				<-slots
			}
		}
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("connection of %s: %w", conn.RemoteAddr(), err)
	}
	return nil
}

func write(conn net.Conn, a []byte) error {
	if len(a) == 0 || len(a) > 0xffff {
		return nil
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, len(a)+2), uint16(len(a))), a...))
	return err
}

// ended gives nil for the ordinary ends of a connection.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
