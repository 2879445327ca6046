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
	if rapid.IntRange(0, 29).Draw(t, "junk") == 17 {
		return rapid.SampledFrom(junk).Draw(t, f.Name)
	}
	of := func(values ...any) any { return rapid.SampledFrom(values).Draw(t, f.Name) }
	if f.Name == "labels" {
		return of("a=b", "a=b,c=d", map[string]any{"c": "d"})
	}
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
		if f.Name == "uuid" || f.Name == "tenant_uuid" && rapid.IntRange(0, 20).Draw(t, "tenant") != 11 || f.ReadOnly && rapid.IntRange(0, 60).Draw(t, "read only") != 37 || !f.Required && rapid.Bool().Draw(t, "leave out") {
			continue
		}
		p[f.Name] = drawValue(t, f)
	}
	if rapid.Bool().Draw(t, "named") {
		p["uuid"] = rapid.SampledFrom([]any{r.Prefix + "-a", r.Prefix + "-b", r.Prefix + "-v", r.Prefix + "-a", r.Prefix + "-b", r.Prefix + "-host", "x", nil, 3}).Draw(t, "uuid")
	}
	return p
}

// Whatever is asked for is done or refused: nothing panics, nothing fails in another way, and what follows from the store is always
// there.
func TestRandomRequestsAreDoneOrRefused(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.policy(model.AllocateIncremental, "10.1.0.0", "10.1.0.6")
	c.create(model.MACRangeGroups, app.Params{"uuid": "mrg-a"})
	c.create(model.MACRanges, app.Params{"mac_range_group_uuid": "mrg-a", "begin_mac_address": "02:00:00:00:00:00", "end_mac_address": "02:00:00:00:00:06"})
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "1"})
	c.create(model.LeasePolicyIPRetentionContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_retention_container_uuid": "irc-a"})
	done, refused := 0, 0
	// Most of the time of those that make worlds.
	favoured := []*model.Resource{model.Interfaces, model.IPLeases, model.MACLeases, model.Routes, model.InterfaceNetworks, model.LeasePolicyBaseInterfaces, model.Networks}
	rapid.Check(t, func(rt *rapid.T) {
		resource := func() *model.Resource {
			if rapid.Bool().Draw(rt, "favoured") {
				return rapid.SampledFrom(favoured).Draw(rt, "resource")
			}
			return rapid.SampledFrom(model.All()).Draw(rt, "resource")
		}
		uuidOf := func(r *model.Resource) string {
			return r.Prefix + "-" + rapid.SampledFrom([]string{"a", "b", "v", "a", "b", "v", "host", "default", "-"}).Draw(rt, "target")
		}
		for range 10 {
			r := resource()
			p := drawParams(rt, r)
			var err error
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1:
				_, err = c.Create(t.Context(), r, p, app.Write{})
			case 2, 3:
				_, err = c.Update(t.Context(), r, uuidOf(r), p, app.Write{DryRun: rapid.IntRange(0, 4).Draw(rt, "dry") == 0})
			case 4:
				if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
					_, err = c.Delete(t.Context(), r, uuidOf(r), app.Write{})
				}
			case 5, 6:
				docs := []app.Document{doc(r, p)}
				for range rapid.IntRange(0, 2).Draw(rt, "more") {
					r := resource()
					docs = append(docs, doc(r, drawParams(rt, r)))
				}
				_, err = c.Apply(t.Context(), docs, app.ApplyOptions{Prune: rapid.SampledFrom([]string{"", "", "", "", "", "a=b", "a=b", "="}).Draw(rt, "prune")})
			case 7:
				_, err = c.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{DryRun: rapid.Bool().Draw(rt, "dry")})
			case 8:
				lease := uuidOf(model.IPLeases)
				if rapid.Bool().Draw(rt, "attach") {
					_, err = c.AttachIPLease(t.Context(), lease, app.Params{"interface_uuid": uuidOf(model.Interfaces)}, app.Write{})
				} else {
					_, err = c.ReleaseIPLease(t.Context(), lease, app.Write{})
				}
			case 9:
				match := map[string]string{}
				for name, v := range p {
					match[name] = fmt.Sprint(v)
				}
				_, err = c.DeleteMatching(t.Context(), r, match, app.Write{})
				if rapid.Bool().Draw(rt, "dhcp") {
					_, err = c.LeaseForDHCP(t.Context(), uuidOf(model.Interfaces), rapid.SampledFrom([]int{4, 6}).Draw(rt, "family"))
				}
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
			if amiss := c.Inconsistencies(); len(amiss) > 0 {
				rt.Fatalf("after %s %v (%v): %q", r.Name, p, err, amiss)
			}
		}
	})
	t.Logf("%d done, %d refused", done, refused)
	if done < 20 || refused < 20 {
		t.Errorf("%d done and %d refused: the requests are not what they should be", done, refused)
	}
}
