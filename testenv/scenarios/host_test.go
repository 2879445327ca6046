package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// ask asks the agent of a host, as vnctl host does.
func ask[T any](s *scene, host, path string) (T, error) {
	var v T
	socket := ""
	for _, e := range s.lab.Env(host) {
		if path, ok := strings.CutPrefix(e, "VNA_SOCKET="); ok {
			socket = path
		}
	}
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := c.Get("http://vna" + path)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return v, fmt.Errorf("the agent of %s answers %s with %s", host, path, resp.Status)
	}
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// where tells counters apart that count the same reason.
type counter struct{ where, reason string }

// drops gives the counters of a host, brought up to date: the switch itself counts a moment later.
func (s *scene) drops(t *testing.T, host string) map[counter]uint64 {
	t.Helper()
	sw, err := s.lab.OVS(host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sw.Appctl(t.Context(), "revalidator/wait"); err != nil {
		t.Fatal(err)
	}
	list, err := ask[[]local.Drop](s, host, local.PathDrops)
	if err != nil {
		t.Fatal(err)
	}
	drops := map[counter]uint64{}
	for _, d := range list {
		drops[counter{d.Where, d.Reason}] += d.Packets
	}
	return drops
}

func (s *scene) kill(t *testing.T, node string, c lab.Component) {
	t.Helper()
	if err := s.lab.Kill(t.Context(), node, c); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) stop(t *testing.T, node string, c lab.Component) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.lab.Stop(ctx, node, c); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) start(t *testing.T, node string, c lab.Component) {
	t.Helper()
	if err := s.lab.Start(t.Context(), node, c); err != nil {
		t.Fatal(err)
	}
}

// share says what an agent goes by.
type share bool

const (
	ofManager share = true
	ofDisk    share = false
)

// settled waits until the host's agent has a session with the switch and a share of that kind.
func (s *scene) settled(t *testing.T, host string, kind share) {
	t.Helper()
	wait.For(t, patience, "the agent of "+host, func() error {
		st, err := ask[local.Status](s, host, local.PathStatus)
		if err == nil && (!st.Switch || st.Datapath == "" || st.Complete != bool(kind)) {
			err = fmt.Errorf("its status is %+v", st)
		}
		return err
	})
}

// joined waits until the hosts have registered themselves.
func (s *scene) joined(t *testing.T) {
	t.Helper()
	want := len(s.lab.Spec().Hosts)
	wait.For(t, patience, "the hosts to join", func() error {
		n := 0
		for _, err := range client.List[model.Datapath](t.Context(), s.api, nil) {
			if err != nil {
				return err
			}
			n++
		}
		if n < want {
			return fmt.Errorf("%d of %d have", n, want)
		}
		return nil
	})
}

// apply configures, and fails the test unless every host concerned has realised it.
func (s *scene) apply(t *testing.T, docs client.Documents) *client.Applied {
	t.Helper()
	done, err := s.api.Apply(t.Context(), docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range done.Items {
		if err := realised(i.Status); err != nil {
			t.Errorf("%s: %v", i.UUID, err)
		}
	}
	if !done.Applied {
		t.Errorf("revision %d is not applied everywhere", done.Revision)
	}
	return done
}

// create makes an object and waits until it is applied.
func create[T any, P client.Resource[T]](t *testing.T, s *scene, p client.Params) *client.Item[T] {
	t.Helper()
	i, err := client.Create[T, P](t.Context(), s.api, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := realised(i.Status); err != nil || !i.Applied {
		t.Errorf("created %v: applied %t, %v", p, i.Applied, err)
	}
	return i
}

// remove deletes an object and waits until that is applied.
func (s *scene) remove(t *testing.T, uuid string) {
	t.Helper()
	r, err := s.api.Delete(t.Context(), uuid)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Applied() {
		t.Errorf("the deletion of %s is not applied everywhere", uuid)
	}
}

// realised gives an error for the hosts that have not.
func realised(status []model.HostStatus) error {
	var errs []error
	for _, h := range status {
		if h.State != model.StateApplied {
			errs = append(errs, fmt.Errorf("%s on %s: %s", h.State, h.NodeID, h.Reason))
		}
	}
	return errors.Join(errs...)
}

// takesOrders shows that a change still reaches every host that it concerns.
func (s *scene) takesOrders(t *testing.T, g guest) {
	t.Helper()
	wait.For(t, patience, "a change to be applied everywhere", func() error {
		i, err := client.Update[model.Interface](t.Context(), s.api.With(client.Write{Wait: 2 * time.Second}), g.iface(), client.Params{"display_name": t.Name()})
		if err != nil {
			return err
		}
		if len(i.Status) == 0 {
			return errors.New("it concerns no host")
		}
		return realised(i.Status)
	})
}

// answering waits until the manager answers.
func (s *scene) answering(t *testing.T) {
	t.Helper()
	wait.For(t, patience, "the manager", func() error {
		_, err := s.api.Version(t.Context())
		return err
	})
}
