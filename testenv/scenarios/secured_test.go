package scenarios

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// secured is a lab whose manager, on a machine of an underlay, lets nobody in without certificate or token.
type secured struct {
	*scene
	dir string
}

const (
	securedMachine = "outside"
	securedAddress = "172.16.90.200"
)

// run starts a program of ours on a node; it ends with the test.
func (s *secured) run(t *testing.T, node, program string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(s.dir, node+"-"+program+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(programs.dir, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.lab.StartAt(node, cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // gone already: all the better
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s of %s:\n%s", program, node, text)
		}
	})
	return cmd
}

// manager gives the arguments of vnmgr.
func (s *secured) manager(args ...string) []string {
	return append([]string{"--data", filepath.Join(s.dir, "vnmgr"), "--api", "0.0.0.0:9443", "--tls-name", securedAddress}, args...)
}

// vnctl calls the command line on the manager's machine.
func (s *secured) vnctl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.dir, "vnmgr", "admin.token"))
	if err != nil {
		return "", err
	}
	return s.lab.Exec(t.Context(), securedMachine, append([]string{"env", "VNET_WEBAPI=https://" + securedAddress + ":9443",
		"VNET_CA=" + filepath.Join(s.dir, "vnmgr", "pki", "ca.crt"), "VNET_TOKEN=" + strings.TrimSpace(string(token)), filepath.Join(programs.dir, "vnctl")}, args...)...)
}

func (s *secured) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.vnctl(t, args...)
	if err != nil {
		t.Fatalf("vnctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// join has a host join by a token and starts its agent.
func (s *secured) join(t *testing.T, host string) {
	t.Helper()
	made := exec.CommandContext(t.Context(), filepath.Join(programs.dir, "vnmgr"), s.manager("token", "host", "--node-id", host)...)
	token, err := made.Output()
	if err != nil {
		t.Fatalf("vnmgr token host: %v", err)
	}
	state := filepath.Join(s.dir, host)
	s.exec(t, host, filepath.Join(programs.dir, "vna"), "join", strings.TrimSpace(string(token)), "--state-dir", state)
	sw, err := s.lab.OVS(host)
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, host, "vna", "--ovsdb", sw.DB(), "--state-dir", state, "--socket", filepath.Join(state, "vna.sock"), "--uplink", "eth0")
}

// Hosts join by one command each and serve guests; whoever has no token is refused, and a host that is cut off gets no more news while
// what it has goes on.
func TestPrivilegedSecured(t *testing.T) {
	s := &secured{up(t, threeHosts(t, "sc-secured", nil), lab.NoAgents), t.TempDir()}
	s.run(t, securedMachine, "vnmgr", s.manager()...)
	wait.For(t, patience, "the manager to answer", func() error {
		_, err := s.vnctl(t, "networks", "show")
		return err
	})
	for _, h := range s.lab.Spec().Hosts {
		s.join(t, h.Name)
	}
	wait.For(t, patience, "the hosts to join", func() error {
		out, err := s.vnctl(t, "hosts", "-o", "yaml")
		if n := strings.Count(out, "connected: true"); err == nil && n != 3 {
			err = errors.New(out)
		}
		return err
	})
	tn := s.tenant("blue", "vm1", "vm5")
	s.do(t, "networks", "add", "--uuid", tn.network(), "--ipv4-network", subnet4.String())
	s.do(t, "interfaces", "add", "--uuid", tn.server(), "--mode", "simulated", "--network-uuid", tn.network(), "--ipv4-address", server4.String())
	s.do(t, "network-services", "add", "--uuid", tn.service(), "--mode", "dhcp", "--interface-uuid", tn.server())
	for _, g := range tn.guests {
		s.do(t, "interfaces", "add", "--uuid", g.iface(), "--mode", "vif", "--port-name", g.port, "--network-uuid", tn.network(), "--mac-address", g.mac.String(), "--ipv4-address", g.v4().String(), "--wait")
	}
	for _, g := range tn.guests {
		s.leased(t, g)
	}
	from, to := tn.guests[0], tn.guests[1] // on node1 and node3
	s.soon(t, from, to.v4())

	if out, err := s.lab.Exec(t.Context(), securedMachine, filepath.Join(programs.dir, "vnctl"), "--server", "https://"+securedAddress+":9443", "--ca", filepath.Join(s.dir, "vnmgr", "pki", "ca.crt"), "networks", "show"); err == nil {
		t.Errorf("answered without a token: %s", out)
	}
	st := s.stream(t, from, to.v4())
	s.do(t, "hosts", "revoke", "node3")
	wait.For(t, 5*time.Second, "node3 to be cut off", func() error {
		if out := s.do(t, "hosts"); !strings.Contains(out, "revoked") {
			return errors.New(out)
		}
		return nil
	})
	st.carry(t, 20)
	st.lossless(t, "a host was cut off from the manager")
}
