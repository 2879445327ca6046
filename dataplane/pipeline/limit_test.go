package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLimits(t *testing.T) {
	settings := []string{"arp=500", "dns=2000/4000"}
	l, err := ParseLimits(settings)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Limits{"arp": {500, 500}, "dns": {2000, 4000}}, l); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"arp=500/500", "dns=2000/4000"}, l.Strings()); d != "" {
		t.Error(d)
	}
	if got := l.Port(PuntDNS); got != (Limit{2000, 4000}) {
		t.Errorf("of dns %v", got)
	}
	if got, want := l.Port(PuntDHCP4), (Limits)(nil).Port(PuntDHCP4); got != want || got == (Limit{}) {
		t.Errorf("of dhcp4 %v, want the declared %v", got, want)
	}
	if got := l.Port(PuntLog); got != (Limit{}) {
		t.Errorf("of log, of which ports send nothing: %v", got)
	}
	for setting, want := range map[string]string{
		"dns": "form", "nds=5": `no class "nds", but activate, arp, claim`, "log=5": "no class", "dns=0": "the rate is a number from 1", "dns=5/0": "the burst is a number from 1",
		"dns=5/6/7": "the burst", "dns=-1": "the rate", "dns=1000001": "to 1000000", "dns=": "the rate", "arp=7": "twice",
	} {
		if _, err := ParseLimits([]string{"arp=500", setting}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one of %q", setting, err, want)
		}
	}
}

// Each class is there once, in order, with words and a limit; what has been set is.
func TestPortLimits(t *testing.T) {
	l := Limits{"echo": {7, 8}}
	var names []string
	for _, p := range l.Ports() {
		names = append(names, p.Name)
		if p.Doc == "" || p.Rate == 0 || p.Burst == 0 || p.Class == 0 && !p.Program || p.Name == "echo" && p.Limit != l["echo"] {
			t.Errorf("%+v", p)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error(names)
	}
	if d := cmp.Diff(names, LimitNames()); d != "" {
		t.Error(d)
	}
	for c := range told {
		if (Limits{}).Port(c) == (Limit{}) {
			t.Errorf("a program tells %s, of which ports send nothing", c)
		}
	}
}
