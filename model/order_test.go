package model_test

import (
	"slices"
	"testing"

	"github.com/openvnet/openvnet/model"
)

// Documents are applied in the order of All: what a creation refers to, by a field or by a further parameter, must come first.
func TestAllHasReferentsFirst(t *testing.T) {
	for i, r := range model.All() {
		for _, f := range slices.Concat(r.Fields, r.Inputs) {
			if f.Ref != "" && f.Ref != r.Plural && slices.Index(model.All(), model.ByPlural(f.Ref)) > i {
				t.Errorf("%s.%s refers to %s, which comes later", r.Plural, f.Name, f.Ref)
			}
		}
	}
}

// What a creation takes values from must come before it too.
func TestAllHasRangesBeforeWhatTakesFromThem(t *testing.T) {
	at := func(plural string) int { return slices.Index(model.All(), model.ByPlural(plural)) }
	for _, pair := range [][2]string{{"mac_ranges", "interfaces"}, {"mac_ranges", "route_links"}, {"mac_ranges", "datapath_networks"}, {"ip_ranges", "lease_policy_base_interfaces"}} {
		if at(pair[0]) > at(pair[1]) {
			t.Errorf("%s come after %s", pair[0], pair[1])
		}
	}
}
