package model

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
)

// MetadataIPv4 gives the address at which guests ask for their metadata over IPv4, in every domain with a network service of mode metadata.
func MetadataIPv4() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 169, 254}) }

// MetadataIPv6 gives the address at which they ask over IPv6.
func MetadataIPv6() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 2: 0x0e, 3: 0xc2, 14: 0x02, 15: 0x54})
}

// The encodings of what a guest is given.
const (
	EncodingText   = "text"
	EncodingBase64 = "base64"
)

// InterfaceMetadata is what a guest is told of itself beyond its addresses.
type InterfaceMetadata struct {
	Meta
	InterfaceUUID string     `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=interface" doc:"The guest's interface, of mode vif."`
	InstanceID    string     `json:"instance_id" vn:"mutable" doc:"What the guest knows itself by: cloud-init sets a guest up anew that has another. The interface's uuid when absent."`
	PublicKeys    PublicKeys `json:"public_keys" vn:"mutable" doc:"SSH public keys of those who may log in, as in authorized_keys, one on a line; at most 32."`
	Encoding      string     `json:"encoding" vn:"default=text,enum=text|base64,mutable" doc:"How user_data and vendor_data are given: text, or base64, by which they may be anything, such as gzip."`
	UserData      GuestData  `json:"user_data" vn:"mutable" doc:"What the guest's owner tells cloud-init: a script that begins with #!, or #cloud-config. At most 64 KiB."`
	VendorData    GuestData  `json:"vendor_data" vn:"mutable" doc:"The same of whoever runs the guests; user_data goes before it."`
	NetworkConfig GuestData  `json:"network_config" vn:"mutable" doc:"A network-config of cloud-init, YAML, instead of the one that follows from leases and routes."`
}

// GuestData is text that OpenVNet gives a guest as it is.
type GuestData string

func (*GuestData) limits() (maxBytes int, lines bool) { return 64 << 10, true }

// PublicKeys are SSH public keys, one on a line.
type PublicKeys string

const maxPublicKeys = 32

func (*PublicKeys) limits() (maxBytes int, lines bool) { return 32 << 10, true }

func (k *PublicKeys) parse(text string) error {
	var keys []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !isPublicKey(line) {
			return fmt.Errorf("%q is no SSH public key", clip(line))
		}
		keys = append(keys, line)
	}
	if len(keys) > maxPublicKeys {
		return fmt.Errorf("has %d keys; the limit is %d", len(keys), maxPublicKeys)
	}
	*k = PublicKeys(strings.Join(keys, "\n"))
	return nil
}

// isPublicKey reports whether a line is one of authorized_keys: perhaps options, a type, and that type's key, which begins with the name of the type.
func isPublicKey(line string) bool {
	words := strings.Fields(line)
	for n := range len(words) - 1 {
		b, err := base64.StdEncoding.DecodeString(words[n+1])
		if name := words[n]; err == nil && len(b) > 4+len(name) && string(b[:4]) == string([]byte{0, 0, 0, byte(len(name))}) && string(b[4:4+len(name)]) == name {
			return true
		}
	}
	return false
}

// All gives each key.
func (k PublicKeys) All() []string {
	if k == "" {
		return nil
	}
	return strings.Split(string(k), "\n")
}

// InterfaceMetadatas declares the resource.
var InterfaceMetadatas = declare(spec[InterfaceMetadata]{
	name: "interface_metadata", plural: "interface_metadata", prefix: "im",
	doc: "What a guest is told of itself by the network service of mode metadata: keys, user data, the network. It is sent to the guest's own host only. " +
		"Whoever may read the guest's interface may read it.",
	reach:    Reach{Rule: "local", With: []string{"interface_uuid"}},
	validate: (*InterfaceMetadata).validate,
	check: func(m *InterfaceMetadata, rd Reader) error {
		return checkMode(rd, "interface_uuid", m.InterfaceUUID, InterfaceVIF)
	},
})

const maxInstanceID = 64

func (m *InterfaceMetadata) validate() error {
	if strings.ContainsFunc(m.InstanceID, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-", r)
	}) || len(m.InstanceID) > maxInstanceID {
		return Errorf(ArgumentError, "instance_id", "%q is not up to %d letters, digits, dots, hyphens and underscores", clip(m.InstanceID), maxInstanceID)
	}
	for _, f := range []struct {
		name string
		data GuestData
	}{{"user_data", m.UserData}, {"vendor_data", m.VendorData}} {
		if _, err := m.Decode(f.data); err != nil {
			return Errorf(ArgumentError, f.name, "%v", err)
		}
	}
	return nil
}

// Decode gives the bytes of user_data or vendor_data.
func (m *InterfaceMetadata) Decode(d GuestData) ([]byte, error) {
	if m.Encoding != EncodingBase64 {
		return []byte(d), nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(d)), ""))
	if err != nil {
		return nil, fmt.Errorf("is not base64, which encoding says: %w", err)
	}
	return b, nil
}
