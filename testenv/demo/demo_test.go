package demo

import (
	"slices"
	"testing"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/labs"
)

// The tenants' guests are those of the lab, each once.
func TestTenantsAreTheLabs(t *testing.T) {
	spec, err := lab.Parse(labs.ThreeHosts, "demo")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, g := range spec.Guests {
		want = append(want, g.Name)
	}
	for _, s := range seats() {
		got = append(got, s.guest)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the tenants have %v, the lab %v", got, want)
	}
}
