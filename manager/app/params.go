package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// Params are the parameters of a creation or a change by name, as they came: string, bool, json.Number, or nil for an explicit
// null.
type Params map[string]any

// decodedParams are parameters that were read into their fields' types.
type decodedParams struct {
	fields, inputs []*model.Field
	values         map[*model.Field]any
	empty          map[*model.Field]bool // given as null or "", which says nothing of a field that cannot be changed
}

// decode reads parameters strictly. The first fault in the order of the names is the error.
func decode(r *model.Resource, p Params) (*decodedParams, error) {
	d := &decodedParams{values: map[*model.Field]any{}, empty: map[*model.Field]bool{}}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		f, input := r.Field(name), false
		if f == nil {
			f, input = r.Input(name), true
		}
		if f == nil {
			return nil, unknown(r, name)
		}
		if f.ReadOnly {
			return nil, model.Errorf(model.ArgumentError, name, "is set by the manager")
		}
		if _, twice := d.values[f]; twice {
			return nil, model.Errorf(model.ArgumentError, name, "%s and %s are one parameter: give one of them", f.Alias, f.Name)
		}
		v, err := f.Parse(p[name])
		if err != nil {
			return nil, err
		}
		if p[name] == nil || p[name] == "" {
			d.empty[f] = f.Default == ""
			if f.Default != "" {
				if v, err = f.ParseText(f.Default); err != nil {
					return nil, err
				}
			}
		}
		if f.Name == "uuid" && v != "" {
			if err := r.CheckUUID(v.(string)); err != nil {
				return nil, model.Errorf(model.InvalidUUID, name, "%v", err)
			}
		}
		d.values[f] = v
		if input {
			d.inputs = append(d.inputs, f)
		} else {
			d.fields = append(d.fields, f)
		}
	}
	return d, nil
}

// set sets the fields that were given.
func (d *decodedParams) set(o model.Object) {
	for _, f := range d.fields {
		f.Set(o, d.values[f])
	}
}

// input gives the value of a creation parameter that is no field, the zero value if it was not given.
func input[T any](r *model.Resource, d *decodedParams, name string) T {
	f := r.Input(name)
	if f == nil {
		panic("app: " + r.Name + " has no input " + name) //nolint:forbidigo // a programmer's error in a constant name
	}
	v, _ := d.values[f].(T)
	return v
}

// given reports whether a creation parameter stands there, even as null or "".
func (d *decodedParams) given(r *model.Resource, name string) bool {
	_, ok := d.values[r.Input(name)]
	return ok
}

func mayChange(r *model.Resource, f *model.Field) error {
	if f.Mutable {
		return nil
	}
	var can []string
	for _, g := range r.Fields {
		if g.Mutable {
			can = append(can, g.Name)
		}
	}
	if can == nil {
		return model.Errorf(model.ArgumentError, f.Name, "cannot be changed: nothing of %s can; delete it and create another", r.Indefinite())
	}
	return model.Errorf(model.ArgumentError, f.Name, "cannot be changed; of %s these can: %s", r.Indefinite(), strings.Join(can, ", "))
}

// unknown is the refusal of a parameter that there is not, with the nearest that there is.
func unknown(r *model.Resource, name string) error {
	best, distance := "", 4
	for _, f := range slices.Concat(r.Fields, r.Inputs) {
		if d := editDistance(name, f.Name); !f.ReadOnly && d < distance {
			best, distance = f.Name, d
		}
	}
	reason := fmt.Sprintf("is not a parameter of %s", r.Plural)
	if best != "" {
		reason += "; did you mean " + best + "?"
	}
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:61], "") + "..."
	}
	return &model.Error{Class: model.ArgumentError, Field: name, Reason: reason}
}

// editDistance is Levenshtein's, of names of at most 64 bytes; longer ones are far from everything.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 1 << 20
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
