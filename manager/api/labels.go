package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// fieldLabels is the field of every object that holds its labels, as "a=b,c=d".
const fieldLabels = "labels"

// label is one condition of a selector: the key has the value, or any value.
type label struct {
	key, value string
	any        bool
}

// parseSelector reads "a=b,c": objects that carry a with the value b, and c with whatever value.
func parseSelector(parameter, text string) ([]label, error) {
	var list []label
	for part := range strings.SplitSeq(text, ",") {
		key, value, has := strings.Cut(strings.TrimSpace(part), "=")
		if key == "" || strings.Contains(value, "=") {
			return nil, refusef(model.ArgumentError, parameter, "%q is not a selector of labels such as app=shop or app=shop,tier", clip(text))
		}
		list = append(list, label{key, value, !has})
	}
	return list, nil
}

// carries reports whether labels in their stored form meet all conditions.
func carries(labels string, conditions []label) bool {
	if labels == "" {
		return false
	}
	parts := strings.Split(labels, ",")
	for _, c := range conditions {
		if !slices.ContainsFunc(parts, func(p string) bool {
			key, value, _ := strings.Cut(p, "=")
			return key == c.key && (c.any || value == c.value)
		}) {
			return false
		}
	}
	return true
}

// labelsText gives labels that came as a map in their text form.
func labelsText(v *document.Value) (string, error) {
	var list []string
	for _, m := range v.Members {
		value := ""
		if m.Scalar != nil {
			value = fmt.Sprint(m.Scalar)
		}
		if m.Kind != document.Scalar || strings.ContainsAny(m.Name+value, "=,") {
			return "", refusef(model.ArgumentError, fieldLabels, "line %d: the label %q must have a single value, and neither may hold = or a comma", m.Line, clip(m.Name))
		}
		list = append(list, m.Name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ","), nil
}
