package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Reader reads messages of type T, one JSON value to a line. Not safe for concurrent use.
type Reader[T any] struct{ s *bufio.Scanner }

// NewReader gives a reader of r. A line longer than MaxLine is an error.
func NewReader[T any](r io.Reader) *Reader[T] {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), MaxLine)
	return &Reader[T]{s}
}

// Next gives the next message; io.EOF at the end of the stream. An unknown member is ignored, so that a newer peer may say more.
func (r *Reader[T]) Next() (T, error) {
	var m T
	if !r.s.Scan() {
		err := r.s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			return m, fmt.Errorf("a message is longer than %d bytes", MaxLine)
		}
		if err == nil {
			err = io.EOF
		}
		return m, err
	}
	if err := json.Unmarshal(r.s.Bytes(), &m); err != nil {
		return m, fmt.Errorf("malformed message: %w", err)
	}
	return m, nil
}

// Writer writes messages of type T. Not safe for concurrent use.
type Writer[T any] struct{ w io.Writer }

// NewWriter gives a writer to w.
func NewWriter[T any](w io.Writer) *Writer[T] { return &Writer[T]{w} }

// Send writes one message with one Write.
func (w *Writer[T]) Send(m T) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(b) >= MaxLine {
		return fmt.Errorf("a message of %d bytes is longer than %d", len(b), MaxLine)
	}
	_, err = w.w.Write(append(b, '\n'))
	return err
}
