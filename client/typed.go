package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"

	"github.com/openvnet/openvnet/model"
)

// Params are the parameters of a creation or a change by name, or the conditions of a list. Values are what JSON can hold, and
// whatever encodes itself as text, as addresses do.
type Params map[string]any

// Resource is a pointer to a resource's struct: *model.Network for model.Network.
type Resource[T any] interface {
	*T
	model.Object
}

// Item is an object as the manager answers it.
type Item[T any] struct {
	Object  T                  // with its revision
	Status  []model.HostStatus // what has become of it on each host that it concerns; of a list's items nil
	Notes   []string           // of a write: what follows from it that was not asked for
	Applied bool               // of a write that waited: all hosts concerned have it
	Body    json.RawMessage
}

// Decode reads the answer into another struct: model.InterfaceInputs for an interface's port and addresses, which the Web API
// flattens into it.
func (i *Item[T]) Decode(v any) error { return json.Unmarshal(i.Body, v) }

func item[T any, P Resource[T]](body []byte) (*Item[T], error) {
	i := &Item[T]{Body: body, Applied: true}
	if err := json.Unmarshal(body, &i.Object); err != nil {
		return nil, fmt.Errorf("read %s: %w", model.Of(P(&i.Object)).Title(), err)
	}
	var rest struct {
		Revision int64
		Status   []model.HostStatus
		Notes    []string
	}
	if err := json.Unmarshal(body, &rest); err != nil {
		return nil, fmt.Errorf("read %s: %w", model.Of(P(&i.Object)).Title(), err)
	}
	P(&i.Object).Base().Revision = rest.Revision
	i.Status, i.Notes = rest.Status, rest.Notes
	return i, nil
}

// Read reads an object as the Web API answers it: of an Event, or of a Page.
func Read[T any, P Resource[T]](body json.RawMessage) (*Item[T], error) { return item[T, P](body) }

func resource[T any, P Resource[T]]() *model.Resource { return model.Of(P(new(T))) }

func call[T any, P Resource[T]](ctx context.Context, c *Client, q Request) (*Item[T], error) {
	reply, err := c.Do(ctx, q)
	if err != nil {
		return nil, err
	}
	i, err := item[T, P](reply.Body)
	if err != nil {
		return nil, err
	}
	i.Applied = reply.Applied()
	return i, nil
}

// Create creates an object.
func Create[T any, P Resource[T]](ctx context.Context, c *Client, p Params) (*Item[T], error) {
	return call[T, P](ctx, c, Request{Method: http.MethodPost, Path: resource[T, P]().Plural, Body: p})
}

// Get reads an object.
func Get[T any, P Resource[T]](ctx context.Context, c *Client, uuid string) (*Item[T], error) {
	return call[T, P](ctx, c, Request{Method: http.MethodGet, Path: resource[T, P]().Plural + "/" + url.PathEscape(uuid)})
}

// Update changes an object; what p does not name stays.
func Update[T any, P Resource[T]](ctx context.Context, c *Client, uuid string, p Params) (*Item[T], error) {
	return call[T, P](ctx, c, Request{Method: http.MethodPut, Path: resource[T, P]().Plural + "/" + url.PathEscape(uuid), Body: p})
}

// List gives the objects that have all the values of the filter, by ascending id, page by page. Objects that are created or
// deleted meanwhile may be missed or met twice. An error ends it.
func List[T any, P Resource[T]](ctx context.Context, c *Client, filter Params) iter.Seq2[*Item[T], error] {
	return func(yield func(*Item[T], error) bool) {
		for body, err := range c.Pages(ctx, resource[T, P]().Plural, filter, 0) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, raw := range body.Items {
				i, err := item[T, P](raw)
				if !yield(i, err) || err != nil {
					return
				}
			}
		}
	}
}

// Page is a part of a list.
type Page struct {
	TotalCount int               `json:"total_count"`
	Offset     int               `json:"offset"`
	Limit      int               `json:"limit"`
	Items      []json.RawMessage `json:"items"`
}

// pageSize is how many items Pages asks for at once.
const pageSize = 1000

// Pages gives the list at a path from an offset to its end, page by page. An error ends it.
func (c *Client) Pages(ctx context.Context, path string, filter Params, offset int) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		for offset := offset; ; {
			page, err := c.Page(ctx, path, filter, offset, pageSize)
			if !yield(page, err) || err != nil {
				return
			}
			offset += len(page.Items)
			if len(page.Items) == 0 || offset >= page.TotalCount {
				return
			}
		}
	}
}

// Page reads a part of the list at a path.
func (c *Client) Page(ctx context.Context, path string, filter Params, offset, limit int) (*Page, error) {
	q := url.Values{"offset": {fmt.Sprint(offset)}, "limit": {fmt.Sprint(limit)}}
	for name, v := range filter {
		q.Set(name, fmt.Sprint(v))
	}
	reply, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: q})
	if err != nil {
		return nil, err
	}
	var page Page
	if err := json.Unmarshal(reply.Body, &page); err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", path, err)
	}
	return &page, nil
}

// Delete deletes the object; its uuid says of which resource it is.
func (c *Client) Delete(ctx context.Context, uuid string) (*Reply, error) {
	r := model.ByUUID(uuid)
	if r == nil {
		return nil, fmt.Errorf("delete %q: no resource has a uuid like this", uuid)
	}
	return c.Do(ctx, Request{Method: http.MethodDelete, Path: r.Plural + "/" + url.PathEscape(uuid)})
}

// Version is what the manager says of itself.
type Version struct {
	Version  string
	API      string
	Revision int64 // of the store
}

// Version asks the manager which it is.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return ask[*Version](ctx, c, Request{Method: http.MethodGet, Path: "version"})
}

// ParamsOf gives the parameters that would create the object: its fields, as far as they may be given and differ from what a
// creation sets by itself.
func ParamsOf(o model.Object) Params {
	r := model.Of(o)
	defaults, p := r.New(), Params{}
	for _, f := range r.Fields {
		if !f.ReadOnly && f.Text(o) != f.Text(defaults) {
			p[f.Name] = f.Text(o)
		}
	}
	return p
}

// AttachIPLease gives an ip lease to an interface or to a mac lease: interface_uuid or mac_lease_uuid.
func (c *Client) AttachIPLease(ctx context.Context, uuid string, p Params) (*Item[model.IPLease], error) {
	return call[model.IPLease](ctx, c, Request{Method: http.MethodPut, Path: "ip_leases/" + url.PathEscape(uuid) + "/attach", Body: p})
}

// MoveInterface announces that an interface moves to another host: it is there from its guest's first frame on.
func (c *Client) MoveInterface(ctx context.Context, uuid, datapathUUID string) (*Item[model.Interface], error) {
	return call[model.Interface](ctx, c, Request{Method: http.MethodPost, Path: "interfaces/" + url.PathEscape(uuid) + "/move", Body: Params{"datapath_uuid": datapathUUID}})
}

// CancelMove takes that back.
func (c *Client) CancelMove(ctx context.Context, uuid string) (*Item[model.Interface], error) {
	return call[model.Interface](ctx, c, Request{Method: http.MethodDelete, Path: "interfaces/" + url.PathEscape(uuid) + "/move"})
}

// ReleaseIPLease takes an ip lease from its interface; the address stays taken.
func (c *Client) ReleaseIPLease(ctx context.Context, uuid string) (*Item[model.IPLease], error) {
	return call[model.IPLease](ctx, c, Request{Method: http.MethodPut, Path: "ip_leases/" + url.PathEscape(uuid) + "/release"})
}

// AllocateIPLease takes an address by a lease policy, for no interface yet. Parameters: ip_lease_uuid, label.
func (c *Client) AllocateIPLease(ctx context.Context, policyUUID string, p Params) (*Item[model.IPLease], error) {
	return call[model.IPLease](ctx, c, Request{Method: http.MethodPost, Path: "lease_policies/" + url.PathEscape(policyUUID) + "/ip_leases", Body: p})
}
