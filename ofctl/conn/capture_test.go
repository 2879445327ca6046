package conn

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

var update = flag.Bool("update", false, "capture messages of a real switch for the tests of ofctl/ofp")

// recorder is a proxy that keeps the messages of both sides.
type recorder struct {
	mu   sync.Mutex
	seen map[string]bool
	out  bytes.Buffer
}

func (r *recorder) record(side string, b []byte) {
	// One message of each kind, subtype and length is enough.
	key := fmt.Sprintf("%s %x %d", side, b[1], len(b))
	if len(b) >= 16 && (b[1] == 4 || b[1] == 18 || b[1] == 19) {
		key += hex.EncodeToString(b[8:16])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[key] && len(b) < 4000 {
		r.seen[key] = true
		fmt.Fprintf(&r.out, "%s %x\n", side, b)
	}
}

func (r *recorder) pipe(side string, dst io.Writer, src io.Reader) {
	buf := make([]byte, ofp.MaxSize)
	for {
		if _, err := io.ReadFull(src, buf[:8]); err != nil {
			return
		}
		h, err := ofp.ParseHeader(buf)
		if err != nil {
			return
		}
		if _, err := io.ReadFull(src, buf[8:h.Length]); err != nil {
			return
		}
		r.record(side, buf[:h.Length])
		if _, err := dst.Write(buf[:h.Length]); err != nil {
			return
		}
	}
}

// proxy gives a target whose connections go to the switch through the recorder.
func (r *recorder) proxy(t *testing.T, s *sandbox) string {
	t.Helper()
	path := filepath.Join(s.dir, "proxy")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sw, err := net.Dial("unix", s.target()[len("unix:"):])
			if err != nil {
				c.Close()
				return
			}
			wg.Go(func() { r.pipe("controller", sw, c); sw.Close() })
			wg.Go(func() { r.pipe("switch", c, sw); c.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "unix:" + path
}

// TestPrivilegedCapture with -update writes what ovs-ofctl and ovs-vswitchd say into the test data of ofctl/ofp.
func TestPrivilegedCapture(t *testing.T) {
	if !*update {
		return // what was captured is in ofctl/ofp/testdata
	}
	s := newSandbox(t)
	s.addPorts("p1", "p2")
	r := &recorder{seen: map[string]bool{}}
	target := r.proxy(t, s)
	groups, meters, flows := randomState(3)
	run := func(args ...string) { s.try("", "ovs-ofctl", append([]string{"-O", "OpenFlow15"}, args...)...) }

	c := dialAndRun(t, target, Options{})
	ctx := t.Context()
	explain(t, c.Listen(ctx, 7), nil)
	for _, m := range meters {
		run("add-meter", target, fmt.Sprintf("meter=%d,pktps,burst,stats,band=type=drop,rate=10,burst_size=20", m.ID))
	}
	run("mod-meter", target, "meter=1,kbps,band=type=drop,rate=10")
	for _, g := range groups {
		run("add-group", target, g.String())
		run("mod-group", target, g.String())
	}
	run("insert-buckets", target, "group_id=1,command_bucket_id=last,bucket=bucket_id:99,weight:0,actions=output:1")
	run("remove-buckets", target, "group_id=1,command_bucket_id=all")
	for i, f := range flows[:120] {
		args := []string{"add-flow", target, f.String()}
		if i%4 == 0 {
			args = append([]string{"--bundle"}, args...)
		}
		run(args...)
	}
	run("add-flow", target, "table=5,actions=goto_table:4")                            // refused by ovs-ofctl
	c.Send(ctx, badFlows(10, []int{3}, []int{7}))                                      // refused by the switch
	c.Bundle(ctx, badFlows(10, nil, []int{7}), BundleOptions{Atomic: true})            //
	run("add-flow", target, "table=6,priority=1,conj_id=1,actions=conjunction(1,1/2)") //
	run("add-flow", target, "table=7,send_flow_rem,actions=controller(id=7,userdata=01.02,pause),controller(id=7)")
	run("mod-flows", target, "table=7,actions=controller(id=7,userdata=01.02,pause),controller(id=7)")
	run("packet-out", target, "in_port=1,reg1=5,packet=0200000000010200000000021234000000000000,actions=resubmit(,7)")
	run("mod-port", target, "p1", "no-packet-in")
	run("add-tlv-map", target, "{class=0x102,type=0x80,len=4}->tun_metadata0")
	run("dump-tlv-map", target)
	run("ct-flush-zone", target, "5")
	run("del-flows", target, "cookie=0x1/0xff,table=7")
	for _, f := range flows[:20] {
		run("dump-flows", target, fmt.Sprintf("table=%d", f.Table))
	}
	for _, what := range []string{"show", "dump-desc", "dump-flows", "dump-aggregate", "dump-groups", "dump-group-stats", "dump-meters",
		"meter-stats", "dump-ports", "dump-ports-desc", "dump-tables", "meter-features", "dump-group-features", "dump-table-features"} {
		run(what, target)
	}
	run("del-groups", target)
	run("del-meters", target)
	if p := receive(t, c.PacketIns()); len(p.Continuation) > 0 {
		c.Post(ctx, &ofp.Resume{PacketIn: *p})
	}
	c.Send(ctx, []ofp.Message{&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}}})
	c.Role(ctx, ofp.ControllerRole{Role: ofp.RoleEqual})
	s.vsctl("del-port", "br0", "p2")
	s.wait("port status", func() bool { return len(c.Events()) > 2 })

	r.mu.Lock()
	defer r.mu.Unlock()
	l := bytes.SplitAfter(r.out.Bytes(), []byte("\n"))
	slices.SortFunc(l, bytes.Compare)
	if err := os.WriteFile("../ofp/testdata/captured.txt", bytes.Join(l, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}
