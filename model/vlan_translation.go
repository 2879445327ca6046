package model

// VLANTranslation joins a VLAN beyond an edge interface to a network.
type VLANTranslation struct {
	Meta
	TranslationUUID string `json:"translation_uuid" vn:"required,ref=translations,cascade,unique=vlan,unique=network" doc:"The translation, of mode vnet_edge."`
	NetworkUUID     string `json:"network_uuid" vn:"required,ref=networks,cascade,mutable,unique=network" doc:"The network."`
	VLANID          uint16 `json:"vlan_id" vn:"required,min=1,max=4094,mutable,unique=vlan" doc:"The VLAN."`
	MACAddress      MAC    `json:"mac_address" vn:"mutable" doc:"Without effect; OpenVNet 0.9 had it."`
}

// VLANTranslations declares the resource.
var VLANTranslations = declare(spec[VLANTranslation]{
	name: "vlan_translation", plural: "vlan_translations", prefix: "vt",
	doc:   "A VLAN of the network beyond an edge interface that is one with a virtual network.",
	reach: Reach{With: []string{"network_uuid", "translation_uuid"}},
	check: func(v *VLANTranslation, rd Reader) error {
		return checkMode(rd, "translation_uuid", v.TranslationUUID, TranslationEdge)
	},
})
