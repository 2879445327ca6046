package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Token is a token as the manager shows it.
type Token struct {
	UUID      string     `json:"uuid"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`       // viewer, operator, admin
	Tenants   []string   `json:"tenants"`    // nil: all
	ExpiresAt *time.Time `json:"expires_at"` // nil: never
	Expired   bool       `json:"expired"`
	CreatedAt time.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	Secret    string     `json:"token"` // in the answer to its creation only
}

// NewToken says what token to make.
type NewToken struct {
	Name    string   `json:"name"`              // required
	Role    string   `json:"role"`              // required
	Tenants []string `json:"tenants,omitempty"` // optional: uuids; none: all that the maker's token is for
	Expires string   `json:"expires,omitempty"` // optional: 12h, 30d, never; 90d
}

// CreateToken makes a token for the Web API, which may do no more than the client's own.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (*Token, error) {
	return ask[*Token](ctx, c, Request{Method: http.MethodPost, Path: "tokens", Body: n})
}

// Tokens gives the tokens that the client may revoke.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) { return items[Token](ctx, c, "tokens") }

// RevokeToken makes a token worthless, by its uuid or name.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	_, err := c.Do(ctx, Request{Method: http.MethodDelete, Path: "tokens/" + url.PathEscape(name)})
	return err
}

// JoinToken is a token by which one host joins ("vna join"), once.
type JoinToken struct {
	UUID      string    `json:"uuid"`
	NodeID    string    `json:"node_id"` // "" for any host that has not joined yet
	ExpiresAt time.Time `json:"expires_at"`
	Secret    string    `json:"token"` // in the answer to its creation only
}

// NewJoinToken says what token for a host to make.
type NewJoinToken struct {
	NodeID   string   `json:"node_id,omitempty"`  // optional: any host that has not joined yet without
	Managers []string `json:"managers,omitempty"` // optional: URLs by which the host reaches managers; the manager's own without
	Expires  string   `json:"expires,omitempty"`  // optional: 12h, 30d; 1h
}

// CreateJoinToken makes a token by which one host can join.
func (c *Client) CreateJoinToken(ctx context.Context, n NewJoinToken) (*JoinToken, error) {
	return ask[*JoinToken](ctx, c, Request{Method: http.MethodPost, Path: "join_tokens", Body: n})
}

// Host is what the manager knows of a host and its agent.
type Host struct {
	DatapathUUID string     `json:"datapath_uuid"`
	NodeID       string     `json:"node_id"`
	DPID         model.DPID `json:"dpid"`
	Connected    bool       `json:"connected"`
	Since        *time.Time `json:"since"`  // connected, or lost; nil if it was never connected to this manager
	Reason       string     `json:"reason"` // why it was lost
	Address      string     `json:"address"`
	Software     string     `json:"software"`
	Objects      int        `json:"objects"`      // that concern it
	Revision     int64      `json:"revision"`     // the last that changed one of them
	Acknowledged int64      `json:"acknowledged"` // what it has realised
	LagMS        int64      `json:"lag_ms"`       // how long the oldest change that it has not realised has been waiting, in ms
	Queued       int        `json:"queued"`
	Pending      int        `json:"pending"`
	Problems     []Problem  `json:"problems"`
}

// Problem is an object that a host could not realise.
type Problem struct {
	UUID   string `json:"uuid"`
	Reason string `json:"reason"`
}

// Hosts gives all hosts.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) { return items[Host](ctx, c, "hosts") }

// AuditEntry is a line of the audit log: a write, or a request that was refused.
type AuditEntry struct {
	Time     time.Time `json:"time"`
	Who      string    `json:"who"` // name of the token
	Role     string    `json:"role"`
	Remote   string    `json:"remote"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Resource string    `json:"resource"`
	UUIDs    []string  `json:"uuids"`
	DryRun   bool      `json:"dry_run"`
	Revision int64     `json:"revision"`
	Status   int       `json:"status"` // HTTP
	Error    string    `json:"error"`  // class
	Message  string    `json:"message"`
}

// Audit gives the last entries of the audit log, the newest first.
func (c *Client) Audit(ctx context.Context, limit int) ([]AuditEntry, error) {
	list, err := ask[struct{ Items []AuditEntry }](ctx, c, Request{Method: http.MethodGet, Path: "audit", Query: url.Values{"limit": {strconv.Itoa(limit)}}})
	return list.Items, err
}

// ask makes a call and reads its answer.
func ask[T any](ctx context.Context, c *Client, q Request) (T, error) {
	var v T
	reply, err := c.Do(ctx, q)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(reply.Body, &v); err != nil {
		return v, fmt.Errorf("read the answer of %s: %w", q.Path, err)
	}
	return v, nil
}

func items[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	list, err := ask[struct{ Items []T }](ctx, c, Request{Method: http.MethodGet, Path: path})
	return list.Items, err
}
