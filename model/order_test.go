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
