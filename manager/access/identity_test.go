package access_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openvnet/openvnet/manager/access"
	"github.com/openvnet/openvnet/model"
)

// objects are a model.Reader of a few objects.
type objects map[string]model.Object

func (o objects) Get(uuid string) (model.Object, bool) { v, ok := o[uuid]; return v, ok }

func (o objects) Referrers(string, string) iter.Seq[model.Object] {
	return func(func(model.Object) bool) {}
}

func (o objects) Alike(model.Object, string) iter.Seq[model.Object] {
	return func(func(model.Object) bool) {}
}

// Role x binding x object: what is read and written, and what the refusal says.
func TestMatrix(t *testing.T) {
	meta := func(uuid, tenant string) model.Meta { return model.Meta{UUID: uuid, TenantUUID: tenant} }
	world := objects{}
	for _, o := range []model.Object{
		&model.Network{Meta: meta("nw-a", "tn-a")}, &model.Network{Meta: meta("nw-b", "tn-b")}, &model.Network{Meta: meta("nw-s", "")},
		&model.Tenant{Meta: meta("tn-a", "")}, &model.Tenant{Meta: meta("tn-b", "")},
		&model.Datapath{Meta: meta("dp-s", "")},
		&model.DatapathNetwork{Meta: meta("dpn-a", "tn-a"), DatapathUUID: "dp-s", NetworkUUID: "nw-a"},
		&model.Interface{Meta: meta("if-a", "tn-a")},
		&model.InterfacePort{Meta: meta("ifp-a", "tn-a"), InterfaceUUID: "if-a"},
	} {
		world[o.Base().UUID] = o
	}
	const (
		absent = "absent"
		reads  = "reads"
		writes = "writes"
	)
	all := func(what string) map[string]string {
		m := map[string]string{}
		for uuid := range world {
			m[uuid] = what
		}
		return m
	}
	operatorOfA := map[string]string{
		"nw-a": writes, "nw-b": absent, "nw-s": reads, "tn-a": reads, "tn-b": absent, "dp-s": reads, "dpn-a": reads, "if-a": writes, "ifp-a": writes,
	}
	viewerOfA := map[string]string{}
	for uuid, what := range operatorOfA {
		if what == writes {
			what = reads
		}
		viewerOfA[uuid] = what
	}
	sharedOnly := all(absent)
	sharedOnly["nw-s"], sharedOnly["dp-s"] = reads, reads
	ofA, ofBoth, ofNone := []string{"tn-a"}, []string{"tn-a", "tn-b"}, []string{}
	operatorOfBoth := map[string]string{}
	for uuid, what := range operatorOfA {
		operatorOfBoth[uuid] = what
	}
	operatorOfBoth["nw-b"], operatorOfBoth["tn-b"] = writes, reads
	for _, test := range []struct {
		role    access.Role
		tenants []string
		want    map[string]string
	}{
		{0, nil, all(absent)},
		{0, ofA, all(absent)},
		{access.Viewer, nil, all(reads)},
		{access.Operator, nil, all(writes)},
		{access.Admin, nil, all(writes)},
		{access.Viewer, ofA, viewerOfA},
		{access.Operator, ofA, operatorOfA},
		{access.Admin, ofA, operatorOfA},
		{access.Operator, ofBoth, operatorOfBoth},
		{access.Operator, ofNone, sharedOnly},
	} {
		id := access.Identity{Name: "who", Role: test.role, Tenants: test.tenants}
		t.Run(fmt.Sprint(test.role, test.tenants), func(t *testing.T) {
			for uuid, want := range test.want {
				o := world[uuid]
				got := absent
				if id.MayRead(o) {
					got = reads
				}
				if id.CheckWrite(world, o) == nil {
					got = writes
				}
				if got != want {
					t.Errorf("%s: %s, want %s", uuid, got, want)
				}
				if (id.CheckRead(o) == nil) != id.MayRead(o) {
					t.Errorf("%s: CheckRead and MayRead differ", uuid)
				}
				var refused *model.Error
				err := id.CheckWrite(world, o)
				switch class := map[string]model.Class{absent: model.UnknownUUIDResource, reads: model.Forbidden}[want]; {
				case want == writes:
				case !errors.As(err, &refused) || refused.Class != class:
					t.Errorf("%s: %v, want %s", uuid, err, class.Name)
				}
			}
		})
	}
}

func TestTenantOfACreation(t *testing.T) {
	for name, test := range map[string]struct {
		id     access.Identity
		tenant string
		want   string
		class  model.Class
	}{
		"nobody":           {access.Identity{}, "", "", model.Forbidden},
		"viewer":           {access.Identity{Role: access.Viewer}, "", "", model.Forbidden},
		"provider, shared": {access.Identity{Role: access.Operator}, "", "", model.Class{}},
		"provider":         {access.Identity{Role: access.Operator}, "tn-b", "tn-b", model.Class{}},
		"of one, unsaid":   {access.Identity{Role: access.Operator, Tenants: []string{"tn-a"}}, "", "tn-a", model.Class{}},
		"of one, own":      {access.Identity{Role: access.Operator, Tenants: []string{"tn-a"}}, "tn-a", "tn-a", model.Class{}},
		"of one, other":    {access.Identity{Role: access.Admin, Tenants: []string{"tn-a"}}, "tn-b", "", model.UnknownUUIDResource},
		"of two, unsaid":   {access.Identity{Role: access.Operator, Tenants: []string{"tn-a", "tn-b"}}, "", "", model.MissingArgument},
		"of two, one":      {access.Identity{Role: access.Operator, Tenants: []string{"tn-a", "tn-b"}}, "tn-b", "tn-b", model.Class{}},
		"of none":          {access.Identity{Role: access.Operator, Tenants: []string{}}, "", "", model.MissingArgument},
	} {
		got, err := test.id.CheckCreate(test.tenant)
		var refused *model.Error
		if errors.As(err, &refused); got != test.want || (err != nil) != (test.class != model.Class{}) || err != nil && refused.Class != test.class {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestContext(t *testing.T) {
	if id := access.From(context.Background()); id.Role != 0 || id.AllTenants() {
		t.Errorf("without middleware: %+v", id)
	}
	var got access.Identity
	access.Insecure(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = access.From(r.Context()) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if got.Role != access.Admin || !got.AllTenants() {
		t.Errorf("insecure: %+v", got)
	}
	for _, r := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		if p, err := access.ParseRole(r.String()); err != nil || p != r {
			t.Errorf("%v: %v, %v", r, p, err)
		}
	}
	for _, s := range []string{"", "none", "Admin", "root"} {
		if _, err := access.ParseRole(s); err == nil {
			t.Errorf("%q is a role", s)
		}
	}
}
