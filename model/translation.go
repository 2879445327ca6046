package model

// The modes of a translation.
const (
	TranslationStatic = "static_address" // addresses of its rows for one another
	TranslationEdge   = "vnet_edge"      // VLANs beyond an edge interface for networks
)

// Translation makes of what passes an interface something else: addresses, or VLANs and networks.
type Translation struct {
	Meta
	Mode          string `json:"mode" vn:"required,enum=static_address|vnet_edge" doc:"static_address: one address for another, by its static_address rows. vnet_edge: VLANs for networks, by vlan_translations."`
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"The interface: one that routes, or of mode edge for vnet_edge."`
	Passthrough   bool   `json:"passthrough" vn:"mutable" doc:"Whether packets that no row translates pass as they are."`
}

// Translations declares the resource.
var Translations = declare(spec[Translation]{
	name: "translation", plural: "translations", prefix: "tr",
	doc:   "The translation of addresses at an interface that routes (static_address), or of VLANs at an edge interface (vnet_edge).",
	reach: Reach{With: []string{"interface_uuid"}},
	check: func(t *Translation, rd Reader) error {
		o, _ := rd.Get(t.InterfaceUUID)
		if i := o.(*Interface); (t.Mode == TranslationEdge) != (i.Mode == InterfaceEdge) {
			return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; interfaces of mode %s, and no others, have translations of mode %s",
				i.UUID, i.Mode, InterfaceEdge, TranslationEdge)
		}
		return nil
	},
})
