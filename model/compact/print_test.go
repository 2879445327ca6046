package compact

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// plain is what YAML reads as the same text without quotes, and nobody takes for a number in another notation.
var plain = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9./_-]*|0|[1-9][0-9]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(/[0-9]+)?)$`)

// Print gives documents as YAML of resources, one object on a line with what it was made of beside it: what vnctl apply reads.
func Print(docs []Document) []byte {
	var b strings.Builder
	for _, r := range model.All() {
		first := true
		for _, d := range docs {
			if d.Resource != r {
				continue
			}
			if first {
				fmt.Fprintf(&b, "%s:\n", r.Plural)
				first = false
			}
			fmt.Fprintf(&b, "  - {%s} # %s\n", members(d.Params), d.Path)
		}
	}
	return []byte(b.String())
}

// members gives the parameters, the uuid first and what all objects have last.
func members(params map[string]any) string {
	rank := map[string]int{"uuid": -1, "tenant_uuid": 1, "labels": 2}
	names := slices.SortedFunc(maps.Keys(params), func(a, b string) int {
		if rank[a] != rank[b] {
			return rank[a] - rank[b]
		}
		return strings.Compare(a, b)
	})
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + ": " + scalar(params[name])
	}
	return strings.Join(out, ", ")
}

func scalar(v any) string {
	s := fmt.Sprint(v)
	if _, ok := v.(bool); ok {
		return s
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return strconv.Quote(s)
	}
	if plain.MatchString(s) {
		return s
	}
	return quote(s)
}

// quote gives a YAML string in double quotes, whose escapes are Go's as far as text of parameters needs them.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}
