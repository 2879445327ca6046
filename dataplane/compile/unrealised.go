package compile

import (
	"errors"
	"fmt"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
)

// kindUnrealised is the kind of the units of objects that have no items because there is no feature for them.
const kindUnrealised = "unrealised"

// ErrUnrealised is of an object, or a field of it, that the data plane has no feature for.
var ErrUnrealised = errors.New("not realised by this version of the agent")

// unrealised tells whether there is no feature for a resource that hosts are sent. A host that has such an object says so: nobody is to
// take it for working.
func unrealised(r *model.Resource) bool {
	switch r {
	case model.Segments, model.RouteLinks, model.Routes, model.Filters, model.FilterStatics, model.SecurityGroupInterfaces,
		model.Translations, model.TranslationStaticAddresses, model.VLANTranslations, model.DNSServices, model.DNSRecords:
		return true
	}
	return false
}

func (in *Input) unrealised(uuid string) (state.Items, error) {
	o, ok := in.X.Graph().Get(uuid)
	if !ok {
		return state.Items{}, nil
	}
	return state.Items{}, fmt.Errorf("%w: there is no feature for %s", ErrUnrealised, model.Of(o).Indefinite())
}

// closed gives the reason why a guest's interface must stay closed: what it asks for is protection that there is no feature for.
func (in *Input) closed(i *model.Interface) error {
	if i.EnableFiltering || i.IngressFilteringEnabled {
		return fmt.Errorf("%w: there are no filters, so the interface is closed while enable_filtering or ingress_filtering_enabled is true", ErrUnrealised)
	}
	for range in.X.Graph().Referrers(i.UUID, "security_group_interfaces.interface_uuid") {
		return fmt.Errorf("%w: there are no security groups, so the interface is closed while it is in one", ErrUnrealised)
	}
	return nil
}
