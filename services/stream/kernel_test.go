package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// TestPrivilegedKernel: the service alone on a raw socket, and curl with the kernel's TCP in a namespace, which has no more than neighbours that it was told of.
func TestPrivilegedKernel(t *testing.T) {
	privileged.Require(t, "curl", "ip")
	var lose atomic.Bool
	l := NewListener()
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(megabyte) })}
	done := make(chan error, 1)
	go func() { done <- hs.Serve(l) }()
	t.Cleanup(func() {
		hs.Close()
		<-done
	})
	s := run(t, Options{Handler: on(l.Handle)})
	ns := wire(t, s, &lose)
	for _, url := range []string{"http://169.254.169.254/", "http://[fd00:ec2::254]/"} {
		for _, lossy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, every fifth frame lost: %v", url, lossy), func(t *testing.T) {
				lose.Store(lossy)
				got, err := exec.Command("ip", "netns", "exec", ns, "curl", "-gsS", "--max-time", "30", "-w", "%{stderr}%{time_total} s", url).Output()
				if err != nil || !bytes.Equal(got, megabyte) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
	lose.Store(false)
	out, err := exec.Command("ip", "netns", "exec", ns, "curl", "-sS", "--max-time", "30", "http://169.254.169.254:81/").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "onnect") {
		t.Errorf("a closed port: %s, %v", out, err)
	}
}

// wire gives the server what comes in by a wire, and names the namespace at the other end. Of all frames in both directions every fifth is lost while lose says so.
func wire(t *testing.T, s *Server, lose *atomic.Bool) string {
	guest, ours := fmt.Sprintf("str-%d-guest", os.Getpid()), fmt.Sprintf("str-%d-server", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	for _, ns := range []string{guest, ours} {
		ip("netns", "add", ns)
		t.Cleanup(func() { ip("netns", "del", ns) })
	}
	ip("-n", ours, "link", "add", "srv0", "type", "veth", "peer", "name", "eth0", "address", guestMAC.String(), "netns", guest)
	ip("-n", ours, "link", "set", "srv0", "up")
	ip("-n", guest, "link", "set", "eth0", "up")
	ip("-n", guest, "address", "add", guest4.String()+"/24", "dev", "eth0")
	ip("-n", guest, "address", "add", guest6.String()+"/64", "dev", "eth0", "nodad")
	for _, a := range []string{ours4.String(), ours6.String()} {
		ip("-n", guest, "route", "add", a, "dev", "eth0")
		ip("-n", guest, "neighbour", "add", a, "lladdr", ourMAC.String(), "dev", "eth0")
	}
	w, err := netns.Listen(ours, "srv0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Uint64
	lost := func() bool { return lose.Load() && n.Add(1)%5 == 0 }
	back := func(_ context.Context, b []byte) {
		if !lost() {
			_ = w.Send(b) // what there is no room for is lost
		}
	}
	done := make(chan error, 1)
	go func() {
		done <- w.Serve(func(f []byte) {
			if !lost() {
				s.Take(Frame{Domain: 1, Interface: 1, MTU: 1500, Data: f, Back: back})
			}
		})
	}()
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return guest
}
