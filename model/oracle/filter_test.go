package oracle

import (
	"fmt"
	"strings"
	"testing"
)

// filtered is a guest with a static filter, and two without.
func filtered(flags string, rules ...string) string {
	text := hosts + `
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00::
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1 nw-a=fd00::1 enable_filtering=true
vif if-a2 dp-b 02:00:00:00:00:a2 nw-a=10.0.0.2 nw-a=fd00::2
vif if-a3 dp-a 02:00:00:00:00:a3 nw-a=10.0.0.3 nw-a=fd00::3
filters uuid=fil-a interface_uuid=if-a1 mode=static ` + flags + "\n"
	for _, r := range rules {
		text += "filter_statics filter_uuid=fil-a " + r + "\n"
	}
	return text
}

// Section 4: which static rule decides. The packet is of a2, UDP 1000 to 2000, to a1; and the same the other way round.
func TestStaticPrecedence(t *testing.T) {
	for name, tc := range map[string]struct {
		rules string // separated by ;
		want  bool
	}{
		"none":                        {"", false},
		"pass":                        {"protocol=ip action=pass", true},
		"drop":                        {"protocol=ip action=drop", false},
		"another protocol":            {"protocol=tcp action=pass", false},
		"udp before ip":               {"protocol=ip action=drop;protocol=udp action=pass", true},
		"icmp is not ip's only":       {"protocol=icmp action=pass", false},
		"dst prefix before protocol":  {"protocol=udp action=drop;protocol=ip dst_address=10.0.0.0/8 action=pass", true},
		"longer dst prefix":           {"protocol=ip dst_address=10.0.0.0/8 action=drop;protocol=ip dst_address=10.0.0.0/24 action=pass", true},
		"dst prefix before dst port":  {"protocol=udp dst_port=2000 action=drop;protocol=ip dst_address=10.0.0.0/8 action=pass", true},
		"dst port before src prefix":  {"protocol=udp dst_port=2000 action=pass;protocol=ip src_address=10.0.0.2/32 action=drop", true},
		"src prefix before src port":  {"protocol=udp src_port=1000 action=drop;protocol=ip src_address=10.0.0.0/8 action=pass", true},
		"longer src prefix":           {"protocol=ip src_address=10.0.0.0/8 action=drop;protocol=ip src_address=10.0.0.2/32 action=pass", true},
		"src port before none":        {"protocol=udp action=drop;protocol=udp src_port=1000 action=pass", true},
		"another dst port":            {"protocol=udp dst_port=2001 action=pass", false},
		"another src port":            {"protocol=udp src_port=1001 action=pass", false},
		"another src":                 {"protocol=ip src_address=10.0.0.3/32 action=pass", false},
		"another dst":                 {"protocol=ip dst_address=10.0.0.3/32 action=pass", false},
		"another family":              {"protocol=ip src_address=::/0 action=pass", false},
		"everything of the family":    {"protocol=ip src_address=0.0.0.0/0 action=pass", true},
		"of equals the older one":     {"protocol=ip src_address=0.0.0.0/0 action=pass;protocol=ip action=drop", true},
		"of equals the older one too": {"protocol=ip action=drop;protocol=ip src_address=0.0.0.0/0 action=pass", false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := strings.Split(tc.rules, ";")
			if tc.rules == "" {
				rules = nil
			}
			l := newLab(t, filtered("", rules...))
			in := udp(a1, a2, "10.0.0.2", "10.0.0.1")
			want := map[bool][2]string{true: {"dp-a/if-a1", "dp-b/if-a2"}, false: {"drop dp-a filter", "drop dp-a filter"}}[tc.want]
			l.expect("dp-b/if-a2", in.frame(), want[0])
			l.expect("dp-a/if-a1", in.back(a2, a1).frame(), want[1]) // read the other way round
			if l.c.Len() != 0 {
				t.Error("something is remembered")
			}
		})
	}
}

func TestStaticFilter(t *testing.T) {
	in, out := udp(a1, a2, "10.0.0.2", "10.0.0.1"), udp(a2, a1, "10.0.0.1", "10.0.0.2")
	in6, out6 := udp(a1, a2, "fd00::2", "fd00::1"), udp(a2, a1, "fd00::1", "fd00::2")
	const pass2, pass1, drop = "dp-b/if-a2", "dp-a/if-a1", "drop dp-a filter"

	l := newLab(t, filtered("ingress_passthrough=true"))
	l.expect("dp-b/if-a2", in.frame(), pass1)
	l.expect("dp-a/if-a1", out.frame(), drop)
	l = newLab(t, filtered("egress_passthrough=true"))
	l.expect("dp-a/if-a1", out.frame(), pass2)
	l.expect("dp-b/if-a2", in.frame(), drop) // passed without memory
	l.expect("dp-b/if-a2", udp(broadcast, a2, "10.0.0.2", "10.0.0.255").frame(), drop, "dp-a/if-a3")

	// No filter, and no filtering.
	none := filtered("")
	none = none[:strings.Index(none, "filters")]
	l = newLab(t, none)
	l.expect("dp-a/if-a1", out6.frame(), drop)
	l.expect("dp-b/if-a2", in6.frame(), drop)
	l = newLab(t, strings.Replace(none, "enable_filtering=true", "", 1)+"filters uuid=fil-a interface_uuid=if-a1 mode=static")
	l.expect("dp-a/if-a1", out.frame(), pass2)

	// Conversations.
	l = newLab(t, filtered("", "protocol=udp action=conn"))
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), drop)
	l.expect("dp-a/if-a1", out.frame(), pass2)
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), pass1)
	l.expect("dp-b/if-a2", in6.frame(), drop)
	other := out.back(a1, a2)
	other.fromPort++
	l.expect("dp-b/if-a2", other.frame(), drop)
	// An ICMP error about a packet of the conversation, of whoever; not about another's, nor to another.
	e := datagram{dst: a1, src: a2, from: "10.0.0.2", to: "10.0.0.1", proto: protoICMP, kind: 3, code: 3, rest: packetOf(out.frame())}
	l.expect("dp-b/if-a2", e.frame(), pass1)
	cut := e
	cut.rest = cut.rest[:28]
	l.expect("dp-b/if-a2", cut.frame(), pass1)
	cut.rest = cut.rest[:27] // less than ports
	l.expect("dp-b/if-a2", cut.frame(), drop)
	strange := e
	strange.rest = packetOf(udp(a2, a1, "10.0.0.1", "10.0.0.9").frame())
	l.expect("dp-b/if-a2", strange.frame(), drop)
	about := e // the answers, by the guest itself
	about.dst, about.src, about.from, about.to = a2, a1, "10.0.0.1", "10.0.0.2"
	about.rest = packetOf(out.back(a1, a2).frame())
	l.expect("dp-a/if-a1", about.frame(), pass2)
	about.rest = packetOf(out.frame())
	l.expect("dp-a/if-a1", about.frame(), drop)
	// It is no licence for its own direction, but answers pass while the rules refuse them.
	l.again("filter_statics uuid=fils-x filter_uuid=fil-a protocol=udp dst_port=1000 action=drop")
	l.expect("dp-a/if-a1", out.frame(), drop)
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), pass1)

	// Of ICMP: echo by its id, of both families.
	l = newLab(t, filtered("", "protocol=icmp action=conn"))
	for _, echo := range []datagram{ping(a2, a1, "10.0.0.1", "10.0.0.2"), ping(a2, a1, "fd00::1", "fd00::2")} {
		l.expect("dp-b/if-a2", echo.back(a1, a2).frame(), drop)
		l.expect("dp-a/if-a1", echo.frame(), pass2)
		l.expect("dp-b/if-a2", echo.back(a1, a2).frame(), pass1)
		l.expect("dp-b/if-a2", ping(a1, a2, echo.to, echo.from).frame(), drop) // a question is no answer
		echo.fromPort++
		l.expect("dp-b/if-a2", echo.back(a1, a2).frame(), drop)
		e := datagram{dst: a1, src: a2, from: echo.to, to: echo.from, proto: echo.proto, kind: 3, rest: packetOf(ping(a2, a1, echo.from, echo.to).frame())}
		l.expect("dp-b/if-a2", e.frame(), pass1)
	}
	// An answer makes no conversation of its own.
	l = newLab(t, filtered("", "protocol=udp action=conn", "protocol=udp dst_port=7 action=pass"))
	ask := udp(a1, a2, "10.0.0.2", "10.0.0.1")
	ask.toPort = 7
	l.expect("dp-b/if-a2", ask.frame(), pass1)
	if l.c.Len() != 0 {
		t.Error("pass remembers")
	}

	// ARP and ND are not judged, but by arp rules.
	s := func(rules ...string) *lab {
		text := strings.Replace(filtered("", rules...), "networks uuid=nw-a", "segments uuid=seg-a mode=virtual\nnetworks uuid=nw-a segment_uuid=seg-a", 1)
		return newLab(t, strings.Replace(text, "nw-a=fd00::2\n", "nw-a=fd00::2 segment_uuid=seg-a\n", 1))
	}
	reply := arpFrame(a1, a2, 2, a2, "10.0.0.2", a1, "10.0.0.1")
	own := arpFrame(a2, a1, 2, a1, "10.0.0.1", a2, "10.0.0.2")
	for rules, want := range map[string][2]string{
		"":                         {pass1, pass2},
		"protocol=ip action=drop":  {pass1, pass2},
		"protocol=arp action=drop": {drop, drop},
		"protocol=arp action=conn": {pass1, pass2},
		"protocol=arp src_address=10.0.0.2/32 action=drop":                          {drop, drop},
		"protocol=arp dst_address=10.0.0.2/32 action=drop":                          {pass1, pass2},
		"protocol=arp dst_address=10.0.0.0/24 action=pass;protocol=arp action=drop": {pass1, pass2},
	} {
		l := s(strings.FieldsFunc(rules, func(r rune) bool { return r == ';' })...)
		l.expect("dp-b/if-a2", reply, want[0])
		l.expect("dp-a/if-a1", own, want[1])
		l.expect("dp-b/if-a2", nd(a1, a2, "fd00::2", "fd00::1", 136, "fd00::2", a2), pass1)
	}
	// Other protocols pass by the passthrough flags.
	l = s("protocol=ip action=pass")
	l.expect("dp-b/if-a2", ether(a1, a2, 0x88cc), drop)
	l = newLab(t, strings.Replace(segments, "02:00:00:00:00:a1", "02:00:00:00:00:a1 enable_filtering=true", 1)+
		"filters uuid=fil-a interface_uuid=if-a1 mode=static ingress_passthrough=true")
	l.expect("dp-b/if-a2", ether(a1, a2, 0x88cc), pass1)
	l.expect("dp-a/if-a1", ether(a2, a1, 0x88cc), drop)

	// Fragments have no ports: what refuses applies whatever ports it names, what passes if it names none.
	l = newLab(t, filtered("", "protocol=udp dst_port=2000 action=pass"))
	l.expect("dp-b/if-a2", in.frame(), pass1)
	l.expect("dp-b/if-a2", fragmentOf(in, 0x2000), drop)
	l.expect("dp-b/if-a2", fragmentOf(in, 0x2001), drop)
	l = newLab(t, filtered("", "protocol=udp action=pass"))
	l.expect("dp-b/if-a2", fragmentOf(in, 1), pass1)
	l = newLab(t, filtered("", "protocol=udp action=pass", "protocol=udp dst_port=99 action=drop"))
	l.expect("dp-b/if-a2", in.frame(), pass1)
	l.expect("dp-b/if-a2", fragmentOf(in, 1), drop)
	l = newLab(t, filtered("", "protocol=udp action=conn"))
	l.expect("dp-a/if-a1", out.frame(), pass2)
	l.expect("dp-b/if-a2", fragmentOf(out.back(a1, a2), 0x2001), drop) // of a packet whose first is not there
	l.expect("dp-b/if-a2", fragmentOf(out.back(a1, a2), 0x2000), pass1)
	l.expect("dp-b/if-a2", fragmentOf(out.back(a1, a2), 1), pass1)
}

// members is guests with groups: a1 in sg-a, a2 in sg-b, a3 in both, c1 in sg-b and another network; d1 in none.
func members(groups ...string) string {
	text := hosts + `
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00::
networks uuid=nw-c ipv4_network=10.3.0.0
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1 nw-a=fd00::1
vif if-a2 dp-b 02:00:00:00:00:a2 nw-a=10.0.0.2 nw-a=fd00::2
vif if-a3 dp-a 02:00:00:00:00:a3 nw-a=10.0.0.3 nw-a=fd00::3
vif if-c1 dp-a 02:00:00:00:00:c1 nw-c=10.3.0.1
vif if-d1 dp-b 02:00:00:00:00:d1 nw-a=10.0.0.4 nw-a=fd00::4 enable_routing=true
`
	for _, m := range []string{"a:a1", "b:a2", "a:a3", "b:a3", "b:c1"} {
		text += fmt.Sprintf("security_group_interfaces security_group_uuid=sg-%s interface_uuid=if-%s\n", m[:1], m[2:])
	}
	return text + strings.Join(groups, "\n")
}

const sgA, sgB = "security_groups uuid=sg-a display_name=a trust_members=false ", "security_groups uuid=sg-b display_name=b trust_members=false "

func ruleA(fields string) string {
	return "security_group_rules security_group_uuid=sg-a " + fields
}

// Section 4: which rules of security groups match, and which decides. The packet is of d1, to a1.
func TestGroupRules(t *testing.T) {
	d1 := mac(0xd1)
	base := udp(a1, d1, "10.0.0.4", "10.0.0.1")
	six := udp(a1, d1, "fd00::4", "fd00::1")
	tcp, sctp, gre := base, base, base
	tcp.proto, sctp.proto, gre.proto = protoTCP, protoSCTP, 47
	echo, echo6 := ping(a1, d1, "10.0.0.4", "10.0.0.1"), ping(a1, d1, "fd00::4", "fd00::1")
	const yes, no = "dp-a/if-a1", "drop dp-a security_group"
	for name, tc := range map[string]struct {
		packet datagram
		groups []string
		want   string
	}{
		"none":                   {base, []string{sgA}, no},
		"text":                   {base, []string{sgA + "rules=udp:2000:10.0.0.4"}, yes},
		"text, all ports":        {base, []string{sgA + "rules=udp:0:10.0.0.0/24"}, yes},
		"text, port":             {base, []string{sgA + "rules=udp:2001:10.0.0.4"}, no},
		"text, source":           {base, []string{sgA + "rules=udp:2000:10.0.0.5"}, no},
		"text, protocol":         {base, []string{sgA + "rules=tcp:2000:10.0.0.4"}, no},
		"text, icmp":             {echo, []string{sgA + "rules=icmp:-1:0.0.0.0/0"}, yes},
		"text, icmp of IPv6":     {echo6, []string{sgA + "rules=icmp:-1:::/0"}, yes},
		"text, family":           {echo6, []string{sgA + "rules=icmp:-1:0.0.0.0/0"}, no},
		"any":                    {base, []string{sgA, ruleA("")}, yes},
		"any of IPv6":            {six, []string{sgA, ruleA("")}, yes},
		"any protocol":           {gre, []string{sgA, ruleA("")}, yes},
		"udp is not tcp":         {tcp, []string{sgA, ruleA("protocol=udp")}, no},
		"tcp":                    {tcp, []string{sgA, ruleA("protocol=tcp port_first=2000")}, yes},
		"sctp":                   {sctp, []string{sgA, ruleA("protocol=sctp port_first=2000")}, yes},
		"range":                  {base, []string{sgA, ruleA("protocol=udp port_first=1999 port_last=2000")}, yes},
		"before the range":       {base, []string{sgA, ruleA("protocol=udp port_first=2001 port_last=3000")}, no},
		"behind the range":       {base, []string{sgA, ruleA("protocol=udp port_first=1 port_last=1999")}, no},
		"type":                   {echo, []string{sgA, ruleA("protocol=icmp icmp_type=8 icmp_code=0")}, yes},
		"another type":           {echo, []string{sgA, ruleA("protocol=icmp icmp_type=3")}, no},
		"another code":           {echo, []string{sgA, ruleA("protocol=icmp icmp_type=8 icmp_code=1")}, no},
		"type of IPv6":           {echo6, []string{sgA, ruleA("protocol=icmp icmp_type=128")}, yes},
		"addresses":              {base, []string{sgA, ruleA("remote_addresses=10.1.0.0/16,10.0.0.4/32")}, yes},
		"other addresses":        {base, []string{sgA, ruleA("remote_addresses=10.1.0.0/16")}, no},
		"excluded":               {base, []string{sgA, ruleA("remote_addresses=10.0.0.0/8 excluded_addresses=10.0.0.4/31")}, no},
		"excluded of all":        {base, []string{sgA, ruleA("excluded_addresses=10.0.0.5/32")}, yes},
		"address group":          {base, []string{sgA, "address_groups uuid=ag-a display_name=a addresses=10.0.0.4/32", ruleA("remote_address_group_uuid=ag-a")}, yes},
		"empty address group":    {base, []string{sgA, "address_groups uuid=ag-a display_name=a", ruleA("remote_address_group_uuid=ag-a")}, no},
		"group":                  {base, []string{sgA, sgB, ruleA("remote_group_uuid=sg-b")}, no},
		"egress":                 {base, []string{sgA, ruleA("direction=egress")}, no},
		"another group's rule":   {base, []string{sgA, sgB, "security_group_rules security_group_uuid=sg-b"}, no},
		"higher priority":        {base, []string{sgA, ruleA("action=drop priority=1"), ruleA("priority=2")}, yes},
		"lower priority":         {base, []string{sgA, ruleA("action=drop priority=2"), ruleA("priority=1")}, "drop dp-a rule"},
		"drop before allow":      {base, []string{sgA, ruleA(""), ruleA("action=drop")}, "drop dp-a rule"},
		"text has priority 0":    {base, []string{sgA + "rules=udp:0:0.0.0.0/0", ruleA("action=drop priority=1")}, "drop dp-a rule"},
		"does not match":         {base, []string{sgA, ruleA("protocol=tcp action=drop priority=9"), ruleA("")}, yes},
		"drop before reject":     {base, []string{sgA, ruleA("action=reject"), ruleA("action=drop")}, "drop dp-a rule"},
		"refused by no rule too": {base, []string{sgA, ruleA("action=drop")}, "drop dp-a rule"},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, members(tc.groups...)).expect("dp-b/if-d1", tc.packet.frame(), tc.want) })
	}
	newLab(t, members(sgA, ruleA(""), ruleA("action=reject"))).expect("dp-b/if-d1", base.frame(), "drop dp-a reject", "punt dp-a reject")
	newLab(t, members(sgA, ruleA("log=true"))).expect("dp-b/if-d1", base.frame(), yes, "punt dp-a log")
	newLab(t, members(sgA, ruleA("log=true action=drop"))).expect("dp-b/if-d1", base.frame(), "drop dp-a rule", "punt dp-a log")
}

func TestGroups(t *testing.T) {
	const no = "drop dp-a security_group"
	from2, from3 := udp(a1, a2, "10.0.0.2", "10.0.0.1"), udp(a1, a3, "10.0.0.3", "10.0.0.1")
	out := udp(a2, a1, "10.0.0.1", "10.0.0.2")

	// Members as peers, in the domain by their addresses there, from elsewhere by those outside its subnets.
	l := newLab(t, members(sgA, sgB, ruleA("remote_group_uuid=sg-b")))
	l.expect("dp-b/if-a2", from2.frame(), "dp-a/if-a1")
	l.expect("dp-a/if-a3", from3.frame(), "dp-a/if-a1")
	l.expect("dp-b/if-d1", udp(a1, mac(0xd1), "10.3.0.1", "10.0.0.1").frame(), "dp-a/if-a1")
	l.expect("dp-b/if-d1", udp(a1, mac(0xd1), "10.3.0.2", "10.0.0.1").frame(), no)
	l.again("networks uuid=nw-a ipv4_network=10.0.0.0 ipv4_prefix=8 ipv6_network=fd00::")
	l.expect("dp-b/if-d1", udp(a1, mac(0xd1), "10.3.0.1", "10.0.0.1").frame(), no)
	l.expect("dp-b/if-a2", udp(a1, a2, linkLocalA2, linkLocalA1).frame(), "dp-a/if-a1")

	// Members trust each other, without memory.
	l = newLab(t, members("security_groups uuid=sg-a display_name=a trust_members=true", sgB))
	l.expect("dp-a/if-a3", from3.frame(), "dp-a/if-a1")
	l.expect("dp-a/if-a1", udp(a3, a1, "10.0.0.1", "10.0.0.3").frame(), "dp-a/if-a3")
	if l.c.Len() != 0 {
		t.Errorf("%d conversations between members", l.c.Len())
	}
	l.expect("dp-b/if-a2", from2.frame(), no)

	// What a member sends is answered; and it may send, as nothing judges it. The receiver's groups judge, too.
	l = newLab(t, members(sgA, sgB, "security_group_rules security_group_uuid=sg-b"))
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), no)
	l.expect("dp-a/if-a1", out.frame(), "dp-b/if-a2")
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), "dp-a/if-a1")
	l.again(ruleA("uuid=sgr-x action=drop priority=9"))
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), "dp-a/if-a1") // an answer passes rules that drop
	l.again(ruleA("uuid=sgr-x action=reject priority=9"))
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), "dp-a/if-a1")

	// A stateless egress rule counts although egress is not judged.
	l = newLab(t, members(sgA, ruleA("direction=egress stateless=true")))
	l.expect("dp-a/if-a1", udp(mac(0xd1), a1, "10.0.0.1", "10.0.0.4").frame(), "dp-b/if-d1")
	l.expect("dp-b/if-d1", udp(mac(0xd1), a1, "10.0.0.1", "10.0.0.4").back(a1, mac(0xd1)).frame(), no)

	// Egress filtering, by one of the groups, with the rules of all.
	egress := "security_groups uuid=sg-b display_name=b trust_members=false egress_filtering_enabled=true"
	l = newLab(t, members(sgA, egress))
	l.expect("dp-a/if-a3", from3.frame(), no)
	l = newLab(t, members(sgA, egress, ruleA("direction=egress protocol=udp port_first=2000 remote_addresses=10.0.0.4/32")))
	to4 := udp(mac(0xd1), a3, "10.0.0.3", "10.0.0.4")
	l.expect("dp-b/if-d1", to4.back(a3, mac(0xd1)).frame(), no)
	l.expect("dp-a/if-a3", to4.frame(), "dp-b/if-d1")
	l.expect("dp-b/if-d1", to4.back(a3, mac(0xd1)).frame(), "dp-a/if-a3")
	l = newLab(t, members(sgA, egress, ruleA("")))
	in := udp(a3, mac(0xd1), "10.0.0.4", "10.0.0.3")
	l.expect("dp-a/if-a3", in.back(mac(0xd1), a3).frame(), no)
	l.expect("dp-b/if-d1", in.frame(), "dp-a/if-a3")
	l.expect("dp-a/if-a3", in.back(mac(0xd1), a3).frame(), "dp-b/if-d1") // an answer

	// Stateless rules need one for answers, and count before one with memory of the same priority.
	l = newLab(t, members(sgA, egress, ruleA("stateless=true")))
	l.expect("dp-b/if-d1", in.frame(), "dp-a/if-a3")
	l.expect("dp-a/if-a3", in.back(mac(0xd1), a3).frame(), no)
	l = newLab(t, members(sgA, egress, ruleA(""), ruleA("stateless=true")))
	l.expect("dp-b/if-d1", in.frame(), "dp-a/if-a3")
	l.expect("dp-a/if-a3", in.back(mac(0xd1), a3).frame(), no)
	l = newLab(t, members(sgA, egress, ruleA("priority=1"), ruleA("stateless=true")))
	l.expect("dp-b/if-d1", in.frame(), "dp-a/if-a3")
	l.expect("dp-a/if-a3", in.back(mac(0xd1), a3).frame(), "dp-b/if-d1")

	// Judged without a group; ARP, ND and what is not IP.
	flag := strings.Replace(segments, "02:00:00:00:00:a1", "02:00:00:00:00:a1 ingress_filtering_enabled=true", 1)
	l = newLab(t, flag)
	l.expect("dp-b/if-a2", from2.frame(), no)
	l.expect("dp-b/if-a2", arpFrame(a1, a2, 2, a2, "10.0.0.2", a1, "10.0.0.1"), "dp-a/if-a1")
	l.expect("dp-b/if-a2", nd(a1, a2, "fd00::2", "fd00::1", 136, "fd00::2", a2), "dp-a/if-a1")
	l.expect("dp-b/if-a2", ether(a1, a2, 0x88cc), no)
	l.expect("dp-a/if-a1", ether(a2, a1, 0x88cc), "dp-b/if-a2")
	l.expect("dp-a/if-a1", out.frame(), "dp-b/if-a2")
	l.expect("dp-b/if-a2", out.back(a1, a2).frame(), "dp-a/if-a1")

	// Each copy of a broadcast is judged by itself.
	l = newLab(t, members(sgA, sgB, ruleA("")))
	l.expect("dp-b/if-d1", udp(broadcast, mac(0xd1), "10.0.0.4", "10.0.0.255").frame(), "dp-a/if-a1", "dp-a/if-a3", "drop dp-b security_group")

	// Fragments: rules that name ports allow none, but a conversation that has been answered goes on; rules that refuse apply to all.
	l = newLab(t, members(sgA, ruleA("protocol=udp port_first=2000")))
	d := udp(a1, mac(0xd1), "10.0.0.4", "10.0.0.1")
	l.expect("dp-b/if-d1", fragmentOf(d, 0x2001)) // which waits
	l.expect("dp-b/if-d1", fragmentOf(d, 0x2000), no)
	l.expect("dp-b/if-d1", fragmentOf(d, 1), no)
	l.expect("dp-b/if-d1", d.frame(), "dp-a/if-a1")
	l.expect("dp-b/if-d1", fragmentOf(d, 0x2000), no) // it has not been answered
	l.expect("dp-a/if-a1", d.back(mac(0xd1), a1).frame(), "dp-b/if-d1")
	l.expect("dp-b/if-d1", fragmentOf(d, 0x2000), "dp-a/if-a1")
	l.expect("dp-b/if-d1", fragmentOf(d, 1), "dp-a/if-a1")
	l.again(ruleA("action=drop protocol=udp port_first=99"))
	l.expect("dp-b/if-d1", d.frame(), "dp-a/if-a1")
	l.expect("dp-b/if-d1", fragmentOf(d, 1), "drop dp-a rule")
	l = newLab(t, members(sgA, ruleA("protocol=udp")))
	l.expect("dp-b/if-d1", fragmentOf(d, 0x2000), "dp-a/if-a1")
	l.expect("dp-b/if-d1", fragmentOf(d, 1), "dp-a/if-a1")
	l.expect("dp-a/if-a1", fragmentOf(d.back(mac(0xd1), a1), 0x2000), "dp-b/if-d1")

	// Both filters of an interface: what the static one drops the groups do not see.
	l = newLab(t, strings.Replace(members(sgA, ruleA("log=true")), "02:00:00:00:00:a1", "02:00:00:00:00:a1 enable_filtering=true", 1)+
		"\nfilters uuid=fil-a interface_uuid=if-a1 mode=static\nfilter_statics filter_uuid=fil-a protocol=udp dst_port=2000 action=pass")
	d.toPort = 2000
	l.expect("dp-b/if-d1", d.frame(), "dp-a/if-a1", "punt dp-a log")
	d.toPort = 2001
	l.expect("dp-b/if-d1", d.frame(), "drop dp-a filter")
}

// The host itself has no filters: an interface of mode internal that is the host and asks for some stays closed.
func TestFiltersOfHosts(t *testing.T) {
	const world = hosts + `
networks uuid=nw-i ipv4_network=10.0.0.0 mode=internal
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
security_groups uuid=sg-a display_name=a
vif if-i1 dp-a 02:00:00:00:00:11 nw-i=10.0.0.1
vif if-p1 dp-a 02:00:00:00:00:12 nw-p=172.16.0.1
host if-ha dp-a 02:00:00:00:00:0a nw-p=172.16.0.10 enable_filtering=true
security_group_interfaces security_group_uuid=sg-a interface_uuid=if-ha
internal if-ia dp-a 02:00:00:00:00:1a nw-i=10.0.0.10`
	in, out := udp(mac(0x1a), mac(0x11), "10.0.0.1", "10.0.0.10").frame(), udp(mac(0x11), mac(0x1a), "10.0.0.10", "10.0.0.1").frame()
	for fields, want := range map[string][2]string{
		"":                                {"dp-a/LOCAL", "dp-a/if-i1"},
		" enable_filtering=true":          {"drop dp-a filter", "drop dp-a filter"},
		" ingress_filtering_enabled=true": {"drop dp-a security_group", "drop dp-a security_group"},
		"\nsecurity_group_interfaces security_group_uuid=sg-a interface_uuid=if-ia": {"drop dp-a security_group", "drop dp-a security_group"},
	} {
		l := newLab(t, world+fields)
		l.expect("dp-a/if-i1", in, want[0])
		l.expect("dp-a/LOCAL", out, want[1])
		l.expect("dp-a/if-p1", udp(mac(0x0a), mac(0x12), "172.16.0.1", "172.16.0.10").frame(), "dp-a/LOCAL")
	}
}
