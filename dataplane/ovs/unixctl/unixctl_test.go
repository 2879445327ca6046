package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// daemon listens at a control socket and answers each request as answer says, until that gives "".
func daemon(t *testing.T, answer func(id uint64, method string) string) *Conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.1.ctl")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := json.NewDecoder(c)
		for {
			var r struct {
				ID     uint64   `json:"id"`
				Method string   `json:"method"`
				Params []string `json:"params"`
			}
			if in.Decode(&r) != nil || r.Params == nil {
				return
			}
			text := answer(r.ID, r.Method)
			if text == "" {
				return
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = l.Close(); <-done })
	return c
}

func reply(t *testing.T, id uint64, result, refusal any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"id": id, "result": result, "error": refusal})
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// The bound is for one answer: a connection that is asked for long gets more than that in all.
func TestCall(t *testing.T) {
	large := strings.Repeat("x", maxReply*2/3)
	c := daemon(t, func(id uint64, method string) string {
		switch method {
		case "no":
			return reply(t, id, nil, " unknown \n")
		case "large":
			return reply(t, id, large, nil)
		case "other":
			return reply(t, id+1, "", nil)
		}
		return reply(t, id, method, nil)
	})
	for range 3 {
		if out, err := c.Call(t.Context(), "large"); err != nil || out != large {
			t.Fatalf("a large answer of %d bytes: %v", len(out), err)
		}
	}
	var refused *RefusedError
	if _, err := c.Call(t.Context(), "no"); !errors.As(err, &refused) || err.Error() != "no: unknown" {
		t.Errorf("a refusal: %v", err)
	}
	if out, err := c.Call(t.Context(), "yes", "x"); out != "yes" || err != nil {
		t.Errorf("after a refusal: %q, %v", out, err)
	}
	if _, err := c.Call(t.Context(), "other"); err == nil || !strings.Contains(err.Error(), "not ") {
		t.Errorf("an answer to another request: %v", err)
	}
	if _, err := c.Call(t.Context(), "yes"); err == nil {
		t.Error("a connection that is out of step is used")
	}
}

func TestCallFails(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"closed": {"", "the daemon closed the connection"}, "long": {`{"id":1,"result":"` + strings.Repeat("x", maxReply) + `"}`, "the answer is longer"},
		"nothing": {`{"id":1}`, "without a result"}, "no object": {"[]", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			c := daemon(t, func(uint64, string) string { return tc.text })
			if _, err := c.Call(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a connection to nothing")
	}
}

// Whoever does not wait gets the cause, and so does the next.
func TestCancel(t *testing.T) {
	hold := make(chan struct{})
	c := daemon(t, func(uint64, string) string { <-hold; return "" })
	defer close(hold)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if _, err := c.Call(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"result":"OK","error":null}`))
	f.Add([]byte(`{"id":1,"result":null,"error":"no such command"}{"id":2,"result":"","error":null}`))
	f.Add([]byte(`{"id":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := json.NewDecoder(strings.NewReader(string(b)))
		for id := uint64(1); id < 10; id++ {
			var refused *RefusedError
			if _, err := readReply(in, id, "x"); err != nil && !errors.As(err, &refused) {
				if len(b) == 0 && !errors.Is(err, io.EOF) {
					t.Errorf("nothing gives %v", err)
				}
				return
			}
		}
	})
}
