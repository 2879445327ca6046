package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

func drawValue(t *rapid.T, f *model.Field) any {
	junk := []any{nil, "", true, json.Number("-1"), json.Number("1e300"), "x", "\xff\x00", "nw-a", "if-a", "::ffff:1.2.3.4", "fe80::1%a", []any{1}, map[string]any{}, 1.5}
	if rapid.IntRange(0, 9).Draw(t, "junk") == 0 {
		return rapid.SampledFrom(junk).Draw(t, f.Name)
	}
	of := func(values ...any) any { return rapid.SampledFrom(values).Draw(t, f.Name) }
	suffix := rapid.SampledFrom([]string{"a", "b", "v", "p", "host", "default"})
	switch {
	case f.Enum != nil:
		return rapid.SampledFrom(f.Enum).Draw(t, f.Name)
	case f.Ref != "":
		return model.ByPlural(f.Ref).Prefix + "-" + suffix.Draw(t, f.Name)
	}
	switch f.Type {
	case model.Boolean:
		return of(true, "no", json.Number("1"))
	case model.Integer:
		return of(json.Number("16"), "24", json.Number("33"))
	case model.MACAddress:
		return fmt.Sprintf("02:00:00:00:00:%02x", rapid.IntRange(0, 5).Draw(t, f.Name))
	case model.IPAddress:
		return of("10.1.0.0", "10.1.0.1", "10.1.0.2", "172.16.0.11", "fd00::", "fd00::1")
	case model.DatapathID:
		return fmt.Sprintf("%#x", rapid.IntRange(0, 12).Draw(t, f.Name))
	}
	return of("a", "b", "eth0")
}

func drawParams(t *rapid.T, r *model.Resource) app.Params {
	p := app.Params{}
	for _, f := range append(append([]*model.Field{}, r.Fields...), r.Inputs...) {
		if f.Name == "uuid" || f.ReadOnly && rapid.IntRange(0, 20).Draw(t, "read only") != 0 || !f.Required && rapid.Bool().Draw(t, "leave out") {
			continue
		}
		p[f.Name] = drawValue(t, f)
	}
	if rapid.Bool().Draw(t, "named") {
		p["uuid"] = rapid.SampledFrom([]any{r.Prefix + "-a", r.Prefix + "-b", r.Prefix + "-host", "x", nil, 3}).Draw(t, "uuid")
	}
	return p
}

// Whatever is asked for is done or refused: nothing panics, nothing fails in another way.
func TestRandomRequestsAreDoneOrRefused(t *testing.T) {
	c := newCases(t)
	c.world()
	done, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			r := rapid.SampledFrom(model.All()).Draw(rt, "resource")
			p := drawParams(rt, r)
			uuid := r.Prefix + "-" + rapid.SampledFrom([]string{"a", "b", "default", "host", "-"}).Draw(rt, "target")
			var err error
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0, 1:
				_, err = c.Create(t.Context(), r, p, app.Write{})
			case 2:
				_, err = c.Update(t.Context(), r, uuid, p, app.Write{})
			case 3:
				if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
					_, err = c.Delete(t.Context(), r, uuid, app.Write{})
				}
			case 4:
				docs := []app.Document{doc(r, p)}
				for range rapid.IntRange(0, 2).Draw(rt, "more") {
					r := rapid.SampledFrom(model.All()).Draw(rt, "resource")
					docs = append(docs, doc(r, drawParams(rt, r)))
				}
				_, err = c.Apply(t.Context(), docs, app.Write{})
			}
			var e *model.Error
			switch {
			case err == nil:
				done++
			case errors.As(err, &e):
				refused++
			default:
				rt.Fatalf("%s %v: %v", r.Name, p, err)
			}
		}
	})
	t.Logf("%d done, %d refused", done, refused)
	if done < 20 || refused < 20 {
		t.Errorf("%d done and %d refused: the requests are not what they should be", done, refused)
	}
}
