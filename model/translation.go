package model

// The modes of a translation.
const (
	TranslationStatic     = "static_address" // addresses of its rows for one another
	TranslationMasquerade = "masquerade"     // the interface's own address for all others
	TranslationEdge       = "vnet_edge"      // VLANs beyond an edge interface for networks
)

// Translation makes of what passes an interface something else: addresses, or VLANs and networks.
type Translation struct {
	Meta
	Mode          string `json:"mode" vn:"required,enum=static_address|masquerade|vnet_edge" doc:"static_address: one address for another, by its static_address rows. masquerade: the interface's own address for those of what leaves through it. vnet_edge: VLANs for networks, by vlan_translations."`
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"The interface: one that routes, or of mode edge for vnet_edge."`
	NetworkUUID   string `json:"network_uuid" vn:"ref=networks,cascade,mutable" doc:"Of masquerade: the network whose addresses are translated; all when absent."`
	Passthrough   bool   `json:"passthrough" vn:"mutable" doc:"Whether packets that no row translates pass as they are."`
}

// Translations declares the resource.
var Translations = declare(spec[Translation]{
	name: "translation", plural: "translations", prefix: "tr",
	doc:   "The translation of addresses at an interface that routes (static_address, masquerade), or of VLANs at an edge interface (vnet_edge).",
	reach: Reach{Rule: "translation", With: []string{"interface_uuid"}},
	validate: func(t *Translation) error {
		if t.NetworkUUID != "" && t.Mode != TranslationMasquerade {
			return Errorf(ArgumentError, "network_uuid", "is for translations of mode %s", TranslationMasquerade)
		}
		return nil
	},
	check: func(t *Translation, rd Reader) error {
		o, _ := rd.Get(t.InterfaceUUID)
		if i := o.(*Interface); (t.Mode == TranslationEdge) != (i.Mode == InterfaceEdge) {
			return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; interfaces of mode %s, and no others, have translations of mode %s",
				i.UUID, i.Mode, InterfaceEdge, TranslationEdge)
		}
		return nil
	},
})
