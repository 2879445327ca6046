package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// PortLimit is how much of a class of packets a port may ask the host for.
type PortLimit struct {
	Name    string // of the class
	Doc     string
	Class   PuntClass // that a meter limits when it goes to the agent; 0: it does not
	Program bool      // the program at the port limits it, before Open vSwitch sees it
	Limit
}

// atPorts declares what only programs at ports limit: what flows answer.
var atPorts = []PortLimit{
	{Name: "arp", Doc: "ARP that the port's program does not answer: for addresses that are not known, own ones, replies", Program: true, Limit: Limit{200, 200}},
	{Name: "echo", Doc: "echo requests to a simulated interface's address", Program: true, Limit: Limit{1000, 1000}},
}

// told says which classes of packets for the agent a program tells, and what it takes for one.
var told = map[PuntClass]string{
	PuntDHCP4:    "UDP 68 to 67",
	PuntDHCP6:    "UDP 546 to 547",
	PuntND:       "neighbour discovery that the port's program does not answer, but for router solicitations",
	PuntRA:       "router solicitations",
	PuntDNS:      "UDP and TCP port 53 of a simulated interface's address",
	PuntMetadata: "TCP port 80 of a simulated interface's address",
	PuntError:    "what is sent to a simulated interface with TTL or hop limit 1 or less",
}

// Limits are limits of ports that a host has other than declared, by the names of their classes.
type Limits map[string]Limit

// Ports gives what a port may ask the host for, in the order of the names of the classes.
func (l Limits) Ports() []PortLimit {
	all := slices.Clone(atPorts)
	for _, c := range PuntClasses {
		if c.Port == (Limit{}) {
			continue
		}
		p := PortLimit{Name: c.Name, Doc: c.Doc, Class: c.Class, Limit: c.Port}
		if doc, ok := told[c.Class]; ok {
			p.Doc, p.Program = doc, true
		}
		all = append(all, p)
	}
	for n := range all {
		if set, ok := l[all[n].Name]; ok {
			all[n].Limit = set
		}
	}
	slices.SortFunc(all, func(a, b PortLimit) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Port gives what a port may send to the agent of a class; none if it sends nothing of it.
func (l Limits) Port(c PuntClass) Limit {
	for _, d := range PuntClasses {
		if d.Class != c {
			continue
		}
		if set, ok := l[d.Name]; ok {
			return set
		}
		return d.Port
	}
	return Limit{}
}

// maxRate bounds what may be said of a limit.
const maxRate = 1_000_000

// ParseLimits reads limits of the form CLASS=RATE or CLASS=RATE/BURST, in packets per second and packets; the burst is one second's unless it is said.
func ParseLimits(settings []string) (Limits, error) {
	l := Limits{}
	for _, s := range settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("limit %q is not of the form CLASS=RATE/BURST", s)
		}
		if !slices.ContainsFunc(l.Ports(), func(p PortLimit) bool { return p.Name == name }) {
			return nil, fmt.Errorf("limit %q: there is no class %q, but %s", s, name, strings.Join(LimitNames(), ", "))
		}
		if _, twice := l[name]; twice {
			return nil, fmt.Errorf("limit %q: class %s is given twice", s, name)
		}
		rate, burst, ok := strings.Cut(value, "/")
		if !ok {
			burst = rate
		}
		var limit Limit
		for _, n := range []struct {
			what, text string
			to         *uint32
		}{{"rate", rate, &limit.Rate}, {"burst", burst, &limit.Burst}} {
			v, err := strconv.ParseUint(n.text, 10, 32)
			if err != nil || v < 1 || v > maxRate {
				return nil, fmt.Errorf("limit %q: the %s is a number from 1 to %d", s, n.what, maxRate)
			}
			*n.to = uint32(v)
		}
		l[name] = limit
	}
	return l, nil
}

// LimitNames gives the names of the classes that ports have limits of.
func LimitNames() []string {
	var names []string
	for _, p := range (Limits{}).Ports() {
		names = append(names, p.Name)
	}
	return names
}

// String gives the limit as ParseLimits reads it.
func (l Limit) String() string { return fmt.Sprintf("%d/%d", l.Rate, l.Burst) }

// Strings gives the limits as ParseLimits reads them.
func (l Limits) Strings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		all = append(all, name+"="+l[name].String())
	}
	return all
}
