package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// Documents are the objects of an apply, by the plural of their resource.
type Documents map[string][]Params

// Applied is what has become of the documents of an apply, or what would.
type Applied struct {
	Revision int64
	Items    []AppliedItem // in order of the documents, then what pruning deletes
	Notes    []string
	Applied  bool            `json:"-"` // of a write that waited: all hosts concerned have all of it
	Body     json.RawMessage `json:"-"`
}

// The actions of an apply.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
	Deleted   = "deleted" // by pruning
)

// AppliedItem is what has become of one document.
type AppliedItem struct {
	Resource string             `json:"resource"` // plural
	UUID     string             `json:"uuid"`
	Action   string             `json:"action"`
	Changes  []FieldChange      `json:"changes,omitempty"` // of an update
	Revision int64              `json:"revision"`
	Status   []model.HostStatus `json:"status,omitempty"` // of a write that waited
}

// FieldChange is what an update does to a field, in text.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// Apply creates the objects that are not there and changes those that differ, all in one transaction or none. With Write.Prune the
// documents get these labels, and objects that have all of them and are not among the documents are deleted.
func (c *Client) Apply(ctx context.Context, docs Documents) (*Applied, error) {
	return c.applied(ctx, "apply", docs)
}

// Plan says what Apply would do. It changes nothing.
func (c *Client) Plan(ctx context.Context, docs Documents) (*Applied, error) {
	return c.With(Write{Prune: c.write.Prune}).applied(ctx, "plan", docs)
}

func (c *Client) applied(ctx context.Context, path string, docs Documents) (*Applied, error) {
	q := url.Values{}
	if c.write.Prune != "" {
		q.Set("prune", c.write.Prune)
	}
	reply, err := c.Do(ctx, Request{Method: http.MethodPost, Path: path, Query: q, Body: docs, Long: true})
	if err != nil {
		return nil, err
	}
	var a Applied
	if err := json.Unmarshal(reply.Body, &a); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	a.Applied, a.Body = reply.Applied(), reply.Body
	return &a, nil
}

// ExportOptions choose what Export gives; the zero value chooses everything.
type ExportOptions struct {
	Resources []string // optional: plurals
	Labels    string   // optional: a selector, "a=b,c=d"
	Tenant    string   // optional: uuid of a tenant
}

// Export gives objects as documents: applying them again changes nothing.
func (c *Client) Export(ctx context.Context, o ExportOptions) (Documents, error) {
	q := url.Values{}
	for name, value := range map[string]string{"resource": strings.Join(o.Resources, ","), "labels": o.Labels, "tenant_uuid": o.Tenant} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return ask[Documents](ctx, c, Request{Method: http.MethodGet, Path: "export", Query: q, Long: true})
}
