package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// world is what is in the manager's store: interfaces, numbered from 0, a thousand in a network, each with a port's name, a MAC lease
// and an IP lease, and on no host; and, once there are agents, their datapaths with an interface on each.
type world struct {
	m          *manager
	o          Options
	interfaces int
	hosts      bool
}

const (
	perNetwork = 1000
	maxSize    = 1 << 20
	maxAgents  = 1 << 14
)

func networkUUID(n int) string { return fmt.Sprintf("nw-b%d", n) }

func network(uuid string) client.Params {
	return client.Params{"uuid": uuid, "ipv4_network": "10.0.0.0", "ipv4_prefix": 16}
}

func vif(n int) client.Params {
	return client.Params{
		"uuid": fmt.Sprintf("if-b%d", n), "mode": model.InterfaceVIF, "port_name": fmt.Sprintf("p%d", n), "network_uuid": networkUUID(n / perNetwork),
		"mac_address": mac(1, n), "ipv4_address": address(n % perNetwork),
	}
}

func mac(kind byte, n int) string {
	return model.MAC{2, kind, 0, byte(n >> 16), byte(n >> 8), byte(n)}.String()
}

// address keeps room for gateways and services.
func address(n int) string {
	n += 10
	return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}).String()
}

// grow applies interfaces until there are so many, the odd ones first, and gives how many the last call made and what it took.
func (w *world) grow(ctx context.Context, size int) (batch int, took time.Duration, err error) {
	for w.interfaces < size {
		if batch = (size - w.interfaces) % applyBatch; batch == 0 {
			batch = applyBatch
		}
		docs := client.Documents{}
		for n := w.interfaces; n < w.interfaces+batch; n++ {
			if n%perNetwork == 0 {
				docs["networks"] = append(docs["networks"], network(networkUUID(n/perNetwork)))
			}
			docs["interfaces"] = append(docs["interfaces"], vif(n))
		}
		began := time.Now()
		if _, err := w.m.api.Apply(ctx, docs); err != nil {
			return 0, 0, err
		}
		took = time.Since(began)
		w.interfaces += batch
	}
	return batch, took, nil
}

// reads is how many are read for each that is created: a read is so short that fewer would fit between two garbage collections.
const reads = 10

// each makes requests, some at a time; the number says which it is.
func (w *world) each(ctx context.Context, count int, request func(n int) client.Request) (requests, error) {
	r := requests{times: make([]time.Duration, count)}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range w.o.Clients {
		g.Go(func() error {
			for {
				n := int(next.Add(1)) - 1
				if n >= count {
					return nil
				}
				q := request(n)
				sent := time.Now()
				if _, err := w.m.api.Do(ctx, q); err != nil {
					return fmt.Errorf("%s %s: %w", q.Method, q.Path, err)
				}
				r.times[n] = time.Since(sent)
			}
		})
	}
	err := g.Wait()
	r.took = time.Since(began)
	return r, err
}

// create makes further interfaces, one by one.
func (w *world) create(ctx context.Context) (requests, error) {
	docs := client.Documents{}
	first := w.interfaces
	for n := first; n < first+w.o.Requests; n++ {
		if n%perNetwork == 0 {
			docs["networks"] = append(docs["networks"], network(networkUUID(n/perNetwork)))
		}
	}
	if len(docs) > 0 {
		if _, err := w.m.api.Apply(ctx, docs); err != nil {
			return requests{}, err
		}
	}
	w.interfaces += w.o.Requests
	return w.each(ctx, w.o.Requests, func(n int) client.Request {
		return client.Request{Method: http.MethodPost, Path: model.Interfaces.Plural, Body: vif(first + n)}
	})
}

// read reads interfaces.
func (w *world) read(ctx context.Context) (requests, error) {
	return w.each(ctx, reads*w.o.Requests, func(int) client.Request {
		return client.Request{Method: http.MethodGet, Path: fmt.Sprintf("%s/if-b%d", model.Interfaces.Plural, rand.IntN(w.interfaces))}
	})
}

// list reads pages of all interfaces.
func (w *world) list(ctx context.Context) (requests, error) {
	return w.each(ctx, w.o.Requests, func(int) client.Request {
		from := rand.IntN(max(1, w.interfaces-page))
		return client.Request{Method: http.MethodGet, Path: model.Interfaces.Plural, Query: url.Values{"offset": {strconv.Itoa(from)}, "limit": {strconv.Itoa(page)}}}
	})
}

// The networks of agents and of bystanders, and the hosts: number n of all of them.
const (
	changing = "nw-agents"
	quiet    = "nw-bystanders"
)

func nodeID(n int) string { return fmt.Sprintf("node%d", n) }

func dpid(n int) model.DPID { return model.DPID(n + 1) }

// makeHosts makes a datapath for every agent and bystander, with an interface in their network.
func (w *world) makeHosts(ctx context.Context) error {
	if w.hosts {
		return nil
	}
	docs := client.Documents{"networks": {network(changing), network(quiet)}}
	for n := range w.o.Agents + w.o.Bystanders {
		nw, in := changing, n
		if n >= w.o.Agents {
			nw, in = quiet, n-w.o.Agents
		}
		dp := fmt.Sprintf("dp-a%d", n)
		docs["datapaths"] = append(docs["datapaths"], client.Params{"uuid": dp, "display_name": nodeID(n), "node_id": nodeID(n), "dpid": dpid(n).String()})
		docs["interfaces"] = append(docs["interfaces"], client.Params{
			"uuid": fmt.Sprintf("if-a%d", n), "mode": model.InterfaceVIF, "port_name": "tap", "owner_datapath_uuid": dp, "network_uuid": nw,
			"mac_address": mac(2, n), "ipv4_address": address(in),
		})
	}
	if _, err := w.m.api.Apply(ctx, docs); err != nil {
		return err
	}
	w.hosts = true
	return nil
}

// change changes the interface of the first agent, which all agents are told.
func (w *world) change(ctx context.Context, text string) error {
	_, err := w.m.api.Do(ctx, client.Request{Method: http.MethodPut, Path: model.Interfaces.Plural + "/if-a0", Body: client.Params{"display_name": text}})
	return err
}
