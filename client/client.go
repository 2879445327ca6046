// Package client is the Go client of the manager's Web API: typed by the resources of package model, with every request under a
// context, reads tried again while the manager is away, and refusals as *Error. It holds no state but the HTTP connections and
// decides nothing. Imported by vnctl (cmd/vnctl/cli), the lab, benchmarks, tests, and programs of others.
//
//	c, err := client.New(client.Options{Server: "127.0.0.1:9090"})
//	nw, err := client.Create[model.Network](ctx, c, client.Params{"ipv4_network": "10.0.0.0"})
//	for i, err := range client.List[model.Interface](ctx, c, client.Params{"network_uuid": nw.Object.UUID}) { ... }
//	for ev, err := range c.Watch(ctx, client.WatchOptions{Resources: []string{"networks"}}) { ... }
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options are what New takes.
type Options struct {
	Server  string        // required: host:port or a URL; without a path, /api/1.0 is the API's base
	Token   string        // optional: says who asks. Plain HTTP to another machine never carries it
	TLS     *tls.Config   // optional: the CA to trust (RootCAs) of an https server, instead of the system's; not with HTTP
	HTTP    *http.Client  // optional; its own Timeout should be zero
	Timeout time.Duration // optional: of one request, 30 s, ten times that of one for many objects; the time that a write may wait comes on top
	Retries int           // optional: of a read, 3; negative for none
}

// Client speaks to one manager. It is safe for concurrent use.
type Client struct {
	base    string // URL up to and with /api/1.0/
	token   string
	mute    bool // the token may not be sent
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
	Prune   string        // of Apply and Plan: a selector of labels, "a=b,c=d"; see Apply
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
		if o.TLS != nil {
			t.TLSClientConfig = o.TLS.Clone()
		}
		c.http = &http.Client{Transport: t}
	}
	c.token, c.mute = o.Token, !confidential(base)
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

// confidential reports whether a secret may be sent to the URL: with TLS, or within this machine.
func confidential(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
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

	RetryAfter time.Duration // when to come back, of a refusal for too many requests; 0 where it does not say
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
	Long   bool       // optional: it concerns many objects, and may take ten times as long
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

// Do makes one call. GET is tried again while there is no answer, or one that says that the manager is away; any method is where the
// manager has too much to do, for nothing has been done then. The error is an *Error for a refusal, and wraps ErrUnreachable where
// there was no answer. What Client.With said applies to every method but GET.
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
		if err == nil || q.Method != http.MethodGet && !tooMany(err) || try >= c.retries || ctx.Err() != nil || !passing(err) {
			return reply, err
		}
		if sleep(ctx, pause, err) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// maxRetryAfter bounds what a server can make a client wait.
const maxRetryAfter = 10 * time.Second

// sleep waits about as long as pause says, or as the refusal does; the error is that of ctx.
func sleep(ctx context.Context, pause time.Duration, refusal error) error {
	timer := time.NewTimer(atLeast(refusal, pause/2+rand.N(pause)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// atLeast gives the pause, or a longer one that the refusal asks for.
func atLeast(refusal error, pause time.Duration) time.Duration {
	var e *Error
	if errors.As(refusal, &e) {
		return max(pause, min(e.RetryAfter, maxRetryAfter))
	}
	return pause
}

// tooMany reports whether a request was refused before anything was done for it.
func tooMany(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusTooManyRequests
}

// passing reports whether another try may go better.
func passing(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var untrusted *tls.CertificateVerificationError
	return errors.Is(err, ErrUnreachable) && !errors.As(err, &untrusted)
}

func (c *Client) once(ctx context.Context, q Request, body []byte) (*Reply, error) {
	timeout := c.timeout
	if q.Long {
		timeout *= 10
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+c.write.Wait)
	defer cancel()
	r, err := c.request(ctx, q, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.refused(resp)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, c.unreachable(err)
	}
	reply := &Reply{Status: resp.StatusCode, Body: answer, Notes: resp.Header.Values("OpenVNet-Note")}
	reply.Revision, _ = strconv.ParseInt(resp.Header.Get("OpenVNet-Revision"), 10, 64) // reads have none
	return reply, nil
}

// request makes the HTTP request of a call.
func (c *Client) request(ctx context.Context, q Request, body []byte) (*http.Request, error) {
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
	if c.token != "" && !c.mute {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return r, nil
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

// refused reads an answer that is none of success.
func (c *Client) refused(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.unreachable(err)
	}
	var e struct{ Error, Message, Code, Parameter string }
	if err := json.Unmarshal(body, &e); err != nil || e.Error == "" || e.Message == "" {
		if bytes.Contains(body, []byte("HTTP request to an HTTPS server")) { // as net/http says it
			return &Error{Status: resp.StatusCode, Message: "the server speaks TLS only: use https, and name its CA"}
		}
		return &Error{Status: resp.StatusCode, Message: "the server answers " + resp.Status + ", not as vnmgr's Web API does"}
	}
	if resp.StatusCode == http.StatusUnauthorized && c.token != "" && c.mute {
		e.Message += "; there is a token, but without TLS it is not sent to another machine: use https"
	}
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // most have none
	return &Error{Status: resp.StatusCode, Class: e.Error, Code: e.Code, Parameter: e.Parameter, Message: e.Message, RetryAfter: time.Duration(after) * time.Second}
}
