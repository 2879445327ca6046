// Package client is the Go client of the manager's Web API: typed by the resources of package model, with every request under a
// context, reads tried again while the manager is away, and refusals as *Error. It holds no state but the HTTP connections and
// decides nothing. Imported by vnctl (cmd/vnctl/cli), the lab, benchmarks, tests, and programs of others.
//
//	c, err := client.New(client.Options{Server: "127.0.0.1:9090"})
//	nw, err := client.Create[model.Network](ctx, c, client.Params{"ipv4_network": "10.0.0.0"})
//	for i, err := range client.List[model.Interface](ctx, c, client.Params{"network_uuid": nw.Object.UUID}) { ... }
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options are what New takes.
type Options struct {
	Server  string        // required: host:port or a URL; without a path, /api/1.0 is the API's base
	HTTP    *http.Client  // optional; its own Timeout should be zero
	Timeout time.Duration // optional: of one request, 30 s; the time that a write may wait comes on top
	Retries int           // optional: of a read, 3; negative for none
}

// Client speaks to one manager. It is safe for concurrent use.
type Client struct {
	base    string // URL up to and with /api/1.0/
	http    *http.Client
	timeout time.Duration
	retries int
	write   Write
}

// Write says how to do the writes of a client; see Client.With.
type Write struct {
	Wait    time.Duration // wait so long at most until every connected host that is concerned has realised the change; 0 for no wait
	DryRun  bool          // everything but the commit
	IfMatch int64         // refuse if the object is not at this revision; 0 for any
}

// New gives a client. It makes no connection.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.Server)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, http: o.HTTP, timeout: o.Timeout, retries: o.Retries}
	if c.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		c.http = &http.Client{Transport: t}
	}
	if c.timeout == 0 {
		c.timeout = 30 * time.Second
	}
	if c.retries == 0 {
		c.retries = 3
	}
	return c, nil
}

func baseURL(server string) (string, error) {
	if server == "" {
		return "", errors.New("client: Server is required")
	}
	text := server
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("client: %q is neither host:port nor an http or https URL", server)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/api/1.0"
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// Server gives the URL of the API's base.
func (c *Client) Server() string { return strings.TrimSuffix(c.base, "/") }

// With gives a client of the same connections whose writes are done so.
func (c *Client) With(w Write) *Client {
	d := *c
	d.write = w
	return &d
}

// Error is a refusal by the manager, with its class and code (model.Class).
type Error struct {
	Status    int    // HTTP
	Class     string // "UnknownUUIDResource"; "" where the answer was not the Web API's
	Code      string
	Parameter string // the parameter at fault, "" for none in particular
	Message   string // a sentence, with the parameter's name
}

// Error gives the manager's message and the class.
func (e *Error) Error() string {
	if e.Class == "" {
		return e.Message
	}
	return e.Message + " (" + e.Class + ")"
}

// ErrUnreachable is wrapped by errors of requests that got no answer.
var ErrUnreachable = errors.New("no answer from vnmgr")

// Request is one call of the Web API.
type Request struct {
	Method string     // required
	Path   string     // required, below the API's base and escaped: "networks/nw-a"
	Query  url.Values // optional
	Body   any        // optional, sent as JSON
}

// Reply is the manager's answer to a call that it did not refuse.
type Reply struct {
	Status   int // 200, or 202: stored, but not realised by every host in the time that the write waited
	Body     []byte
	Revision int64    // of a write
	Notes    []string // of a write: what follows from it that was not asked for
}

// Applied reports whether all hosts concerned have realised the write. Of a write that did not wait it says nothing.
func (r *Reply) Applied() bool { return r.Status != http.StatusAccepted }

// Do makes one call. GET is tried again while there is no answer, or one that says that the manager is away; the error is an *Error for
// a refusal, and wraps ErrUnreachable where there was no answer. What Client.With said applies to every method but GET.
func (c *Client) Do(ctx context.Context, q Request) (*Reply, error) {
	var body []byte
	if q.Body != nil {
		var err error
		if body, err = json.Marshal(q.Body); err != nil {
			return nil, fmt.Errorf("%s %s: encode the body: %w", q.Method, q.Path, err)
		}
	}
	pause := 100 * time.Millisecond
	for try := 0; ; try++ {
		reply, err := c.once(ctx, q, body)
		if err == nil || q.Method != http.MethodGet || try >= c.retries || ctx.Err() != nil || !passing(err) {
			return reply, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		pause *= 2
	}
}

// passing reports whether another try may go better.
func passing(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
	}
	return errors.Is(err, ErrUnreachable)
}

func (c *Client) once(ctx context.Context, q Request, body []byte) (*Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+c.write.Wait)
	defer cancel()
	target := c.base + q.Path
	query := url.Values{}
	for name, values := range q.Query {
		query[name] = values
	}
	isWrite := q.Method != http.MethodGet
	if isWrite && c.write.Wait > 0 {
		query.Set("wait", "applied")
		query.Set("timeout", c.write.Wait.String())
	}
	if isWrite && c.write.DryRun {
		query.Set("dry_run", "true")
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.Method, q.Path, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if isWrite && c.write.IfMatch != 0 {
		r.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(c.write.IfMatch, 10)))
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refusal(resp, answer)
	}
	reply := &Reply{Status: resp.StatusCode, Body: answer, Notes: resp.Header.Values("OpenVNet-Note")}
	reply.Revision, _ = strconv.ParseInt(resp.Header.Get("OpenVNet-Revision"), 10, 64) // reads have none
	return reply, nil
}

func (c *Client) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("it took too long")
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.Server(), err)
}

func refusal(resp *http.Response, body []byte) error {
	var e struct{ Error, Message, Code, Parameter string }
	if err := json.Unmarshal(body, &e); err != nil || e.Error == "" || e.Message == "" {
		return &Error{Status: resp.StatusCode, Message: "the server answers " + resp.Status + ", not as vnmgr's Web API does"}
	}
	return &Error{Status: resp.StatusCode, Class: e.Error, Code: e.Code, Parameter: e.Parameter, Message: e.Message}
}
