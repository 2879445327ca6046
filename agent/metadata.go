package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/metadata"
	"github.com/openvnet/openvnet/services/stream"
)

// metadataService tells guests about themselves, by HTTP at the addresses of metadata.
type metadataService struct {
	*desk
	tcp    *stream.Server
	conns  *stream.Listener
	server *http.Server
}

// guestKey is the context key of the guest that a request comes from.
type guestKey struct{}

func newMetadataService(d *desk) *metadataService {
	s := &metadataService{desk: d, conns: stream.NewListener()}
	s.tcp = stream.New(stream.Options{Handler: s.handler})
	key := make([]byte, 32)
	rand.Read(key)
	s.server = &http.Server{
		Handler:     s.hear(&metadata.Handler{Find: s.find, Key: key}),
		ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // of guests' mistakes
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			g, _ := stream.GuestOf(c)
			return context.WithValue(ctx, guestKey{}, g)
		},
	}
	return s
}

// run works until ctx ends.
func (s *metadataService) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.tcp.Run(ctx) })
	g.Go(func() error {
		if err := s.server.Serve(s.conns); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return s.server.Close()
	})
	return g.Wait()
}

func (s *metadataService) handle(_ context.Context, _ time.Time, p ovs.Packet) string {
	if len(p.Data) < p.Length {
		return dropCut
	}
	s.replica.mu.RLock()
	d, ok := s.replica.in.DomainByNumber(p.Network)
	mtu := 0
	if ok {
		mtu = s.replica.in.MTU(d.UUID)
	}
	s.replica.mu.RUnlock()
	if !ok {
		return dropSender
	}
	if mtu == 0 {
		mtu = 1500
	}
	f := stream.Frame{Domain: p.Network, Interface: p.Ingress, MTU: mtu, Data: p.Data}
	p.Data = nil // it is not kept
	f.Back = func(ctx context.Context, frame []byte) { s.send(ctx, frame, p.Back()) }
	switch s.tcp.Take(f) {
	case stream.Taken:
		return ""
	case stream.TooManyDomains, stream.TooManyGuests, stream.Moved, stream.NoStack, stream.Ended:
		return dropLimit
	}
	return dropMalformed
}

func (*metadataService) tick(context.Context, time.Time) {}

// handler gives what serves a connection: none where there is no service for metadata any more.
func (s *metadataService) handler(domain uint32, to netip.AddrPort) stream.Handler {
	if to.Port() != 80 || to.Addr() != model.MetadataIPv4() && to.Addr() != model.MetadataIPv6() {
		return nil
	}
	s.replica.mu.RLock()
	defer s.replica.mu.RUnlock()
	if !s.replica.in.Tells(domain) {
		return nil
	}
	return s.conns.Handle
}

// hear tells of requests, if anybody wants to know.
func (s *metadataService) hear(h http.Handler) http.Handler {
	if s.heard == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := &statusWriter{w, http.StatusOK}
		h.ServeHTTP(said, r)
		guest, _ := r.Context().Value(guestKey{}).(stream.Guest)
		s.heard(Heard{
			Class: pipeline.PuntMetadata, Ingress: guest.Interface, Asked: r.Method + " " + r.URL.Path,
			Verdict: fmt.Sprintf("%d %s", said.status, http.StatusText(said.status)), Answered: said.status < http.StatusBadRequest,
		})
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// find gives who asks, as is known now: the interface that the connection comes from, if it asks from an address of its own.
func (s *metadataService) find(r *http.Request) *metadata.Instance {
	guest, ok := r.Context().Value(guestKey{}).(stream.Guest)
	if !ok {
		return nil
	}
	s.replica.mu.RLock()
	defer s.replica.mu.RUnlock()
	in := &s.replica.in
	o, ok := in.X.Graph().ByID(model.Interfaces, guest.Interface)
	if !ok || !in.Tells(guest.Domain) {
		return nil
	}
	i, err := metadata.Of(in.X.Graph(), o.(*model.Interface), in.MTU)
	if err != nil {
		s.log.Warn("a guest's metadata cannot be read", "interface", o.Base().UUID, "error", err)
		return nil
	}
	if !i.Has(guest.Addr.Addr()) {
		return nil
	}
	return i
}
