package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model/reason"
)

var errNoSwitch = errors.New("there is no session with the switch")

// serveLocal answers the debugger on the agent's unix socket until ctx ends.
func (a *Agent) serveLocal(ctx context.Context) error {
	path := a.opts.Socket
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("local socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("local socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("local socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return fmt.Errorf("local socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+local.PathStatus, answer(a.localStatus))
	mux.HandleFunc("GET "+local.PathPorts, answer(a.localPorts))
	mux.HandleFunc("GET "+local.PathFlows, answer(a.localFlows))
	mux.HandleFunc("GET "+local.PathDrops, answer(a.localDrops))
	mux.HandleFunc("GET "+local.PathMaps, answer(a.localMaps))
	mux.HandleFunc("GET "+local.PathCounters, answer(a.localCounters))
	mux.HandleFunc("GET "+local.PathLimits, answer(a.localLimits))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("local socket: %w", err)
	}
	return nil
}

// answer makes a handler of a function: its result as JSON, its error as {"error": ...}.
func answer[T any](f func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
			return
		}
		_ = json.NewEncoder(w).Encode(v)
	}
}

func (a *Agent) localStatus(*http.Request) (local.Status, error) {
	r := a.replica
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := local.Status{
		Node: a.opts.NodeID, Datapath: r.in.Self, Revision: r.revision, Complete: r.complete,
		Switch: a.services.current.Load() != nil, Objects: r.in.X.Graph().Len(), Flows: r.state.Flows.Len(),
	}
	s.OpenFlowSent = a.sent.Load()
	if sess := a.services.current.Load(); sess != nil {
		s.OpenFlowSent += sess.Sent()
	}
	s.Services = a.services.status()
	for name := range r.unplaced {
		s.Unplaced = append(s.Unplaced, name)
	}
	slices.Sort(s.Unplaced)
	if p := a.problems.Load(); p != nil {
		s.Problems = *p
	}
	return s, nil
}

func (a *Agent) localPorts(*http.Request) ([]local.Port, error) {
	r := a.replica
	r.mu.RLock()
	defer r.mu.RUnlock()
	hooks := a.fast.hooks()
	ports := []local.Port{}
	for p := range r.in.Bridge.Ports() {
		lp := local.Port{Name: p.Name, IfaceID: p.IfaceID, OFPort: uint32(p.OFPort), Ifindex: p.Ifindex, FastPath: hooks[p.Name]}
		for _, i := range r.in.InterfacesOfPort(p) {
			if own, ok := r.in.PortOf(i); !ok || own != p {
				continue
			}
			lp.Interface = i
			for _, st := range r.in.Stations(i) {
				for _, addr := range st.Addrs {
					lp.Addresses = append(lp.Addresses, local.Address{Network: networkOf(st, addr), MAC: st.MAC, Addr: addr.Addr})
				}
			}
			break
		}
		ports = append(ports, lp)
	}
	slices.SortFunc(ports, func(a, b local.Port) int { return cmp.Compare(a.OFPort, b.OFPort) })
	return ports, nil
}

// networkOf gives the uuid of the network of an address, or of the domain of one that belongs to none.
func networkOf(s compile.Station, a compile.Address) string {
	if a.Network != nil {
		return a.Network.UUID
	}
	return s.Domain.UUID
}

// localFlows gives the flows that the switch has, with counters; ?object=UUID only those of that object: its own, and those
// that mention it.
func (a *Agent) localFlows(r *http.Request) ([]local.Flow, error) {
	s := a.services.current.Load()
	if s == nil {
		return nil, errNoSwitch
	}
	stats, err := s.Flows(r.Context(), 0)
	if err != nil {
		return nil, err
	}
	a.replica.mu.RLock()
	defer a.replica.mu.RUnlock()
	names := a.replica.in.Names()
	want := r.URL.Query().Get("object")
	flows := []local.Flow{}
	for _, f := range stats {
		d := pipeline.Describe(f.Flow, names)
		u, _ := a.replica.state.Flows.Unit(f.Flow.Key())
		if want != "" && u.UUID != want && !mentions(d, want) {
			continue
		}
		w, current := a.replica.state.Flows.Get(f.Flow.Key())
		flows = append(flows, local.Flow{
			TableID: f.Flow.Table, Priority: f.Flow.Priority, Description: d, Packets: f.Packets, Bytes: f.Bytes,
			Text: f.Flow.String(), Foreign: !current || w.Cookie != f.Flow.Cookie,
		})
	}
	slices.SortFunc(flows, func(a, b local.Flow) int {
		return cmp.Or(cmp.Compare(a.TableID, b.TableID), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Match, b.Match))
	})
	return flows, nil
}

func (a *Agent) localDrops(r *http.Request) ([]local.Drop, error) {
	s := a.services.current.Load()
	if s == nil {
		return nil, errNoSwitch
	}
	stats, err := s.Flows(r.Context(), pipeline.KindDrop)
	if err != nil {
		return nil, err
	}
	var packets [256]uint64
	for _, f := range stats {
		packets[pipeline.Cookie(f.Flow.Cookie).Reason()] += f.Packets
	}
	packets[reason.TooBig] = a.services.teller.oversize.Load() // by no flow: Open vSwitch counts what it may do with a packet besides
	drops := []local.Drop{}
	for _, reason := range reason.All() {
		drops = append(drops, local.Drop{Where: "flow", Reason: reason.String(), Doc: reason.Doc(), Packets: packets[reason]})
	}
	drops = append(drops, a.fast.drops()...)
	for _, more := range [][]local.Drop{
		a.services.dhcp.verdicts.dropped("dhcp"), a.services.dhcp6.verdicts.dropped("dhcp6"), a.services.routers.verdicts.dropped("ra"), a.services.dns.verdicts.dropped("dns"),
		unheard("dns over tcp", a.services.dns.streams), unheard("metadata", a.services.metadata.tcp),
	} {
		drops = append(drops, more...)
	}
	return append(drops, a.services.dropped()...), nil
}

func (a *Agent) localMaps(*http.Request) (local.Maps, error) {
	a.replica.mu.RLock()
	defer a.replica.mu.RUnlock()
	return a.fast.maps(a.replica.in.Names())
}

// localLimits gives what each port may ask the host for, and what it has had: at its program, and at the meters of packets for the agent.
func (a *Agent) localLimits(r *http.Request) ([]local.Limit, error) {
	s := a.services.current.Load()
	if s == nil {
		return nil, errNoSwitch
	}
	meters, err := s.Meters(r.Context())
	if err != nil {
		return nil, err
	}
	programs, err := a.fast.limited()
	if err != nil {
		return nil, err
	}
	return a.replica.limits(meters, programs), nil
}

// limits puts limits and counters together, by port and class.
func (r *replica) limits(meters map[uint32]ovs.MeterCount, programs map[string][]fastpath.Limited) []local.Limit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []local.Limit{}
	for slot, port := range r.in.Names().Slot {
		p, _ := r.in.Bridge.Port(port)
		l := local.Limit{Port: port}
		for _, i := range r.in.InterfacesOfPort(p) {
			if own, ok := r.in.PortOf(i); ok && own == p {
				l.Interface = i
			}
		}
		for _, c := range r.in.Bridge.Limits.Ports() {
			l.Class, l.Doc, l.Rate, l.Burst = c.Name, c.Doc, c.Rate, c.Burst
			for _, had := range programs[port] {
				if c.Program && had.Class == c.Name {
					l.Where, l.Passed, l.Dropped = "fast path", had.Passed, had.Dropped
					out = append(out, l)
				}
			}
			if had, ok := meters[c.Class.Meter(slot)]; ok && c.Class != 0 {
				l.Where, l.Passed, l.Dropped = "meter", had.Passed, had.Dropped
				out = append(out, l)
			}
		}
	}
	slices.SortFunc(out, func(a, b local.Limit) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Where, b.Where))
	})
	return out
}

// mentions reports whether a flow's words name the object.
func mentions(d pipeline.Description, uuid string) bool {
	for _, text := range []string{d.Match, d.Actions, d.Owner} {
		for i := strings.Index(text, uuid); i >= 0; {
			end := i + len(uuid)
			if end == len(text) || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", rune(text[end])) {
				return true
			}
			next := strings.Index(text[end:], uuid)
			if next < 0 {
				break
			}
			i = end + next
		}
	}
	return false
}
