package model

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Labels are marks on an object in their canonical text form: a=b,c=d, sorted by key. The zero value has none.
type Labels string

const (
	maxLabels     = 16
	maxLabelBytes = 63 // of a key, and of a value
)

var (
	labelKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]*$`)
	labelValue = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)
)

// ParseLabels reads a=b,c=d in any order. A key stands once; a key alone has the empty value.
func ParseLabels(text string) (Labels, error) {
	m := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		if _, ok := m[k]; ok {
			return "", fmt.Errorf("label %q is given twice", clip(k))
		}
		m[k] = v
	}
	return MakeLabels(m)
}

// MakeLabels gives the labels of a map. The error names the first one, by key, that is none.
func MakeLabels(m map[string]string) (Labels, error) {
	if len(m) > maxLabels {
		return "", fmt.Errorf("has %d labels; the limit is %d", len(m), maxLabels)
	}
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(m)) {
		switch v := m[k]; {
		case len(k) > maxLabelBytes || !labelKey.MatchString(k):
			return "", fmt.Errorf("%q is not a label's key: up to %d of a-z, 0-9, '.', '_', '/' and '-', the first a letter or a digit", clip(k), maxLabelBytes)
		case len(v) > maxLabelBytes || !labelValue.MatchString(v):
			return "", fmt.Errorf("%q is not a label's value: up to %d of letters, digits, '.', '_' and '-'", clip(v), maxLabelBytes)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + m[k])
	}
	return Labels(b.String()), nil
}

// Map gives the labels by key; a new map each time.
func (l Labels) Map() map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(string(l), ",") {
		if k, v, ok := strings.Cut(part, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Has reports whether all labels of the selector are among l. The empty selector selects everything.
func (l Labels) Has(selector Labels) bool {
	m := l.Map()
	for k, v := range selector.Map() {
		if got, ok := m[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func (l *Labels) parse(text string) (err error) {
	*l, err = ParseLabels(text)
	return err
}

func (l *Labels) parseMap(m map[string]any) (err error) {
	texts := map[string]string{}
	for k, v := range m {
		switch v.(type) {
		case nil:
			texts[k] = ""
		case map[string]any, []any:
			return fmt.Errorf("the value of label %q must be a text, not a list or an object", clip(k))
		default:
			texts[k] = fmt.Sprint(v)
		}
	}
	*l, err = MakeLabels(texts)
	return err
}

func (*Labels) limits() (maxBytes int, lines bool) { return 4096, false }
