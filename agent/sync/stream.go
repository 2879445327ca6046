package sync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model/wire"
)

// Why a stream ends.
var (
	errSilent = errors.New("the manager was silent for three intervals")
	errClosed = errors.New("the manager closed the stream")
)

const (
	dialTimeout = 5 * time.Second
	// parting is how long the manager has to end the stream when the agent has closed it.
	parting = time.Second
)

// stream runs one stream to its end; it always gives the reason.
func (c *Client) stream(parent context.Context, manager string) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	heard := time.AfterFunc(3*c.opts.Interval, func() { cancel(errSilent) })
	pr, pw := io.Pipe()
	// The transport notices the context's end only when it has something to send.
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(ctx)) })
	// The agent's own end is a closed request: the manager sees no loss.
	shut := context.AfterFunc(parent, func() {
		_ = pw.Close()
		select {
		case <-ctx.Done():
		case <-time.After(parting):
			cancel(errClosed)
		}
	})
	out := newOutbox()
	var wg sync.WaitGroup
	defer func() {
		shut()
		heard.Stop()
		cancel(nil)
		wg.Wait()
	}()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(manager, "/")+wire.Path, pr)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", wire.ContentType)
	hello := c.opts.Hello()
	hello.Version = wire.Version
	wg.Go(func() {
		if err := out.run(ctx, pw, hello, c.opts.Interval); err != nil && parent.Err() == nil {
			cancel(err)
		}
	})
	resp, err := c.transport().RoundTrip(req) // of its own: a connection that has failed is never used again
	if err != nil {
		return because(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := check(resp); err != nil {
		return err
	}
	defer c.leave(out)
	in := wire.NewReader[wire.FromManager](resp.Body)
	var r receiver
	for {
		m, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errClosed
		case err != nil:
			return because(ctx, err)
		}
		d, err := r.take(m)
		if err != nil {
			return err
		}
		heard.Stop() // what the handler takes is no silence
		c.deliver(manager, out, r.welcome, d)
		heard.Reset(3 * c.opts.Interval)
	}
}

// because gives the reason for which we ended the stream ourselves, if we did.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) transport() *http.Transport {
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: &p, HTTP2: &http.HTTP2Config{WriteByteTimeout: 3 * c.opts.Interval},
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     c.opts.TLS.Clone(),
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true,
		DisableKeepAlives:   true, // the connection ends with the stream
	}
}

// check reports an answer that is not a stream.
func check(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 200))
		if err != nil {
			b = nil // the status says it, too
		}
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(b)))
	}
	if t := resp.Header.Get("Content-Type"); t != wire.ContentType {
		return fmt.Errorf("the answer is of type %q, not %s: this is no manager", clip(t), wire.ContentType)
	}
	return nil
}

// deliver hands over what is complete. The manager may be told of it from then on.
func (c *Client) deliver(manager string, out *outbox, welcome *wire.Welcome, d delivery) {
	switch d.kind {
	case welcomed:
		c.join(out)
	case snapshot:
		c.opts.Log.Info("share received", "manager", manager, "datapath", welcome.Datapath, "store", welcome.Store, "revision", d.revision, "objects", len(d.objects))
		c.handed(manager, out, d)
		c.opts.Handler.Snapshot(d.revision, welcome.Store, welcome.Datapath, d.objects)
	case delta:
		c.handed(manager, out, d)
		c.opts.Handler.Delta(d.revision, d.objects, d.deletes)
	}
}

// join makes out the way to the manager.
func (c *Client) join(out *outbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send = out
	if c.ports != nil {
		out.ports(*c.ports)
	}
}

// handed notes what is about to be handed over.
func (c *Client) handed(manager string, out *outbox, d delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out.allow(d.revision, d.kind == snapshot)
	if d.kind == snapshot {
		c.state = State{Connected: true, Manager: manager, Since: time.Now()}
		clear(c.failures)
	}
	c.state.Revision = d.revision
}

func (c *Client) leave(out *outbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.send == out {
		c.send = nil
	}
}
