package dns

import (
	"encoding/binary"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/testenv/privileged"
)

// serve answers questions at an address of the loopback, over UDP and TCP, and gives the port.
func serve(t *testing.T, z *Zone) string {
	t.Helper()
	var running sync.WaitGroup
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close(); l.Close(); running.Wait() })
	running.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if a, _, _ := Respond(buf[:n], z, Options{Size: 1472}); a != nil {
				_, _ = pc.WriteTo(a, from)
			}
		}
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				for {
					var length [2]byte
					if _, err := io.ReadFull(c, length[:]); err != nil {
						return
					}
					q := make([]byte, binary.BigEndian.Uint16(length[:]))
					if _, err := io.ReadFull(c, q); err != nil {
						return
					}
					if a, _, _ := Respond(q, z, Options{TCP: true}); a != nil {
						_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
					}
				}
			})
		}
	})
	return strconv.Itoa(pc.LocalAddr().(*net.UDPAddr).Port)
}

// Clients of other make understand what is answered.
func TestClients(t *testing.T) {
	privileged.Programs(t, "dig", "nslookup")
	lines := records
	for i := range 60 {
		lines += "many.shop.example A 10.0.1." + strconv.Itoa(i) + "\n"
	}
	port := serve(t, zoneOf(t, shop, lines))
	for _, tc := range []struct{ args, want string }{
		{"+short web.shop.example", `^10\.0\.0\.10\n$`},
		{"+short +tcp web.shop.example", `^10\.0\.0\.10\n$`},
		{"+short web.shop.example AAAA", `^fd00::10\n$`},
		{"+short www.shop.example", `^web\.shop\.example\.\n10\.0\.0\.10\n$`},
		{"+short _sip._udp.shop.example SRV", `^10 20 5060 web\.shop\.example\.\n$`},
		{"_sip._udp.shop.example SRV", `ADDITIONAL SECTION:\nweb\.shop\.example\.\s+300\s+IN\s+A\s+10\.0\.0\.10\n`},
		{"+short note.shop.example TXT", `^"v=spf1 \\"a\\" \\\\ -all"\n$`},
		{"+short x.apps.shop.example", `^10\.0\.0\.30\n$`},
		{"+short -x 10.0.0.11", `^database\.shop\.example\.\n$`},
		{"+short -x fd00::10", `^web\.shop\.example\.\n$`},
		{"web.shop.example", `flags: qr aa rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1`},
		{"nobody.shop.example", `status: NXDOMAIN(.|\n)*shop\.example\.\s+30\s+IN\s+SOA\s+dns\.shop\.example\. hostmaster\.shop\.example\. \d+ 3600 600 86400 30`},
		{"web.shop.example MX", `status: NOERROR(.|\n)*ANSWER: 0, AUTHORITY: 1`},
		{"+notcp web.shop.example ANY", `"RFC8482"`},
		{"+edns=1 +noednsnegotiation web.shop.example", `status: BADVERS`},
		{"+edns=1 web.shop.example", `status: NOERROR`},
		{"+opcode=status web.shop.example", `status: NOTIMP`},
		{"+dnssec web.shop.example", `flags: do; udp: 1232`},
		{"+cookie web.shop.example", `status: NOERROR`},
		{"version.bind CH TXT", `status: REFUSED`},
		{"web.shop.example AXFR", `Transfer failed`},
		{"WeB.sHop.ExaMple", `WeB\.sHop\.ExaMple\.\s+300\s+IN\s+A\s+10\.0\.0\.10`},
		{"+ignore +bufsize=512 many.shop.example", `flags: qr aa tc rd ra;.*ANSWER: [1-5]`},
		{"+ignore +bufsize=1232 many.shop.example", `flags: qr aa rd ra;.*ANSWER: 60`},
		{"+noedns many.shop.example", `Truncated, retrying in TCP mode(.|\n)*ANSWER: 60`},
		{"+norec www.example.org", `status: REFUSED`},
	} {
		out, err := exec.CommandContext(t.Context(), "dig", append([]string{"+time=2", "+tries=2", "-p", port, "@127.0.0.1"}, strings.Fields(tc.args)...)...).CombinedOutput()
		if !regexp.MustCompile(tc.want).Match(out) {
			t.Errorf("dig %s: %v\n%swant %s", tc.args, err, out, tc.want)
		}
		if strings.Contains(string(out), "WARNING") && !strings.Contains(tc.args, "status") {
			t.Errorf("dig %s warns:\n%s", tc.args, out)
		}
	}
	for arg, want := range map[string]string{"www.shop.example": `canonical name = web\.shop\.example\.\nName:\s+web\.shop\.example\nAddress: 10\.0\.0\.10\n`, "10.0.0.10": `name = web\.shop\.example\.`} {
		out, err := exec.CommandContext(t.Context(), "nslookup", "-port="+port, arg, "127.0.0.1").CombinedOutput()
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("nslookup %s: %v\n%s", arg, err, out)
		}
	}
}
