package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
)

// streams serves one text after another as streams of events, then nothing more until the test ends.
func streams(t *testing.T, texts ...string) (c *Client, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := len(got)
		got = append(got, r.URL.RawQuery)
		mu.Unlock()
		if n >= len(texts) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		if text, ok := strings.CutPrefix(texts[n], "refused "); ok {
			w.WriteHeader(map[string]int{"503": 503, "400": 400}[text[:3]])
			_, _ = fmt.Fprintf(w, `{"error": "E", "message": %q, "code": "1"}`, text)
			return
		}
		w.Header().Set("OpenVNet-Revision", "40")
		_, _ = w.Write([]byte(texts[n]))
	})
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func event(kind string, id int64, uuid string) string {
	text := ""
	if id != 0 {
		text = fmt.Sprintf("id: %d\n", id)
	}
	return text + fmt.Sprintf("event: %s\ndata: {\"resource\": \"networks\", \"uuid\": %q, \"revision\": %d, \"object\": {\"uuid\": %q, \"mode\": \"virtual\"}}\n\n", kind, uuid, max(id, 1), uuid)
}

func TestWatchGoesOn(t *testing.T) {
	c, asked := streams(t,
		event(Upsert, 0, "nw-a")+event(Upsert, 41, "nw-b")+event(Upsert, 0, "nw-c"), // lost within the batch of revision 42
		"refused 503 away",
		"data: {}\n\n: alive\nid: 50\n\nevent: later\ndata: {}\n\n",
		"id: 60\nevent: resync\ndata: {\"revision\": 60}\n\n",
		"id: 7\nevent: resync\ndata: {\"revision\": 7}\n\nevent: delete\r\nid: 8\r\ndata: {\"uuid\": \"nw-d\",\r\ndata: \"revision\": 8}\r\n\r\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	losses := 0
	for ev, err := range c.Watch(ctx, WatchOptions{Resources: []string{"networks", "interfaces"}, UUIDs: []string{"nw-a"}}) {
		if err != nil {
			if !errors.Is(err, ErrUnreachable) {
				t.Fatal(err)
			}
			losses++
			continue
		}
		got = append(got, ev.Type+" "+ev.UUID)
		if ev.Object != nil {
			if i, err := Read[model.Network](ev.Object); err != nil || i.Object.UUID != ev.UUID {
				t.Errorf("%+v, %v", i, err)
			}
		}
		if ev.UUID == "nw-d" {
			break
		}
	}
	if d := cmp.Diff([]string{"upsert nw-a", "upsert nw-b", "upsert nw-c", "resync ", "resync ", "delete nw-d"}, got); d != "" {
		t.Error(d)
	}
	var since []string
	for _, q := range asked() {
		q, ok := strings.CutPrefix(q, "resource=networks%2Cinterfaces&")
		if !ok {
			t.Errorf("asks %q", q)
		}
		since = append(since, q)
	}
	if d := cmp.Diff([]string{"uuid=nw-a", "since=41&uuid=nw-a", "since=41&uuid=nw-a", "since=50&uuid=nw-a", "since=60&uuid=nw-a"}, since); d != "" || losses != 4 {
		t.Errorf("%d losses, %s", losses, d)
	}
}

func TestWatchEnds(t *testing.T) {
	c, _ := streams(t, "refused 400 what?")
	n := 0
	for _, err := range c.Watch(t.Context(), WatchOptions{}) {
		var e *Error
		if n++; !errors.As(err, &e) || e.Status != 400 {
			t.Errorf("%v", err)
		}
	}
	if n != 1 {
		t.Errorf("a refusal ends it; there were %d", n)
	}
	// From here on the server says nothing.
	for _, err := range c.Watch(t.Context(), WatchOptions{Silence: 50 * time.Millisecond}) {
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "silent") {
			t.Errorf("%v", err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	for _, err := range c.Watch(ctx, WatchOptions{}) {
		t.Errorf("the end of the context is an error: %v", err)
	}
}

// The first connection says from where on it is; that is kept although nothing has happened.
func TestWatchFromNow(t *testing.T) {
	c, asked := streams(t, ": alive\n\n", event(Upsert, 41, "nw-a"))
	for ev := range c.Watch(t.Context(), WatchOptions{}) {
		if ev != nil {
			break
		}
	}
	if d := cmp.Diff([]string{"", "since=40"}, asked()); d != "" {
		t.Error(d)
	}
}
