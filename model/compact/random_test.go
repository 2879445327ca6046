package compact

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawn is a random document without mistakes.
type drawn struct {
	networks, guests, routers, rules []string // lines
}

func (d drawn) text() string {
	var b strings.Builder
	b.WriteString("virtual_network: random\ntopology: topo-a\n")
	for _, part := range []struct {
		name  string
		lines []string
	}{{"networks", d.networks}, {"guests", d.guests}, {"routers", d.routers}, {"rules", d.rules}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "%s:\n  %s\n", part.name, strings.Join(part.lines, "\n  "))
		}
	}
	return b.String()
}

func draw(t *rapid.T) drawn {
	var d drawn
	n := func(label string, limit int) int { return rapid.IntRange(0, limit-1).Draw(t, label) }
	of := func(label string, options ...string) string { return options[n(label, len(options))] }
	names := []string{"web", "db", "a-b", "7", "a-name-of-more-than-sixteen-characters", "x.y"}
	networks := names[:1+n("networks", len(names))]
	dual := map[string]bool{}
	for i, name := range networks {
		subnets := fmt.Sprintf("10.%d.0.0/16", i)
		if dual[name] = n("dual", 2) == 0; dual[name] {
			subnets += fmt.Sprintf(", 'fd00:%d::/64'", i+1)
		}
		d.networks = append(d.networks, fmt.Sprintf("%q: {subnets: [%s]%s}", name, subnets,
			of("more", "", ", dhcp: true", ", dns: true", ", gateway: true", ", mode: internal", ", metadata: true", fmt.Sprintf(", gateway: 10.%d.255.254, dns: {servers: 192.0.2.1}", i), fmt.Sprintf(", pool: 10.%d.9.0/24", i))))
	}
	for g := range n("guests", 6) {
		var attached []string
		for i, name := range networks {
			switch n("attached", 4) {
			case 0:
				attached = append(attached, fmt.Sprintf("%q: ", name))
			case 1:
				attached = append(attached, fmt.Sprintf("%q: 10.%d.1.%d", name, i, g))
			case 2:
				if dual[name] {
					attached = append(attached, fmt.Sprintf("%q: [10.%d.1.%d, 'fd00:%d::1:%d', 10.%d.2.%d]", name, i, g, i+1, g, i, g))
				}
			}
		}
		if attached == nil {
			attached = []string{fmt.Sprintf("%q: 10.0.3.%d", networks[0], g)}
		}
		d.guests = append(d.guests, fmt.Sprintf("g%d: {networks: {%s}%s}", g, strings.Join(attached, ", "),
			of("more", "", ", security: [in]", ", security: [in, sg-other]", ", host: dp-a, port: p"+fmt.Sprint(g), ", routing: true, mac: '02:00:00:00:01:"+fmt.Sprintf("%02x'", g),
				", filter: {incoming: pass, rules: [conn tcp 443 to any, pass ip from network "+networks[0]+", drop arp from any]}")))
	}
	for i, name := range networks[n("unrouted", len(networks)):] {
		d.routers = append(d.routers, fmt.Sprintf("r%d: %s", i, of("router", fmt.Sprintf("[%q]", name),
			fmt.Sprintf("{networks: %q, uplinks: {up: {network: nw-out, address: 198.18.0.%d, public: {198.18.1.%d: 10.%d.1.1, '198.18.2.%d:80': '10.%d.1.2:8080'}}}}",
				name, i+1, i+1, slices.Index(networks, name), i+1, slices.Index(networks, name)))))
	}
	d.rules = append(d.rules, "- in <- "+of("action", "", "drop ", "reject ")+"tcp 8000-8099 from 10.0.0.0/8, network "+networks[0]+of("except", "", " except 10.9.0.0/16")+of("priority", "", " priority 5"), "- in -> "+of("protocol", "any", "sctp 7")+" to in, any",
		"- in <- tcp 80, 443 from any", "- in <- icmp from in, "+of("source", "198.51.100.0/24", "network "+networks[0], "sg-else", "2001:db8::1", "any"))
	return d
}

// TestRandom: a document without mistakes expands to documents that the model accepts, and one guest more adds to them and changes
// none.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := draw(rt)
		expand := func() ([]Document, string) {
			docs, err := Expand(parse(t, []byte(d.text())))
			if err != nil {
				rt.Fatalf("%v\nof\n%s", err, d.text())
			}
			check(rt, docs)
			return docs, string(Print(docs))
		}
		docs, printed := expand()
		if want, got := plainOf(docs), readPlain(t, []byte(printed)); !reflect.DeepEqual(want, got) {
			rt.Errorf("-printed +read:\n%s", cmp.Diff(want, got))
		}
		d.guests = append(d.guests, "more: {network: web, address: 10.0.77.77, security: in}")
		_, more := expand()
		lines := map[string]bool{}
		for line := range strings.Lines(more) {
			lines[line] = true
		}
		for line := range strings.Lines(printed) {
			if !lines[line] {
				rt.Errorf("with one guest more this is gone:\n%s", line)
			}
		}
	})
}

func TestManyGuests(t *testing.T) {
	d := drawn{networks: []string{"web: {subnets: 10.0.0.0/8, dhcp: true, dns: true}"}, rules: []string{"- in <- tcp 80 from any"}}
	const guests = 1000
	for g := range guests {
		d.guests = append(d.guests, fmt.Sprintf("g%d: {network: web, address: 10.1.%d.%d, security: in}", g, g/250, 1+g%250))
	}
	v, err := readAll(d.text())
	if err != nil {
		t.Fatal(err)
	}
	docs, err := Expand(v)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, d := range docs {
		count[d.Resource.Plural]++
	}
	for _, plural := range []string{"mac_leases", "ip_leases", "interfaces"} {
		if count[plural] != guests+1 {
			t.Errorf("%d %s", count[plural], plural)
		}
	}
}
