package model_test

import (
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
)

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN jane@example"

func TestInterfaceMetadata(t *testing.T) {
	for _, c := range []struct{ field, value, want string }{
		{"instance_id", "i-0a1b.2_c", ""},
		{"instance_id", "a b", "instance_id"},
		{"instance_id", strings.Repeat("a", 65), "instance_id"},
		{"public_keys", sshKey, ""},
		{"public_keys", "# of Jane\n\n  from=\"10.0.0.0/8\",no-pty " + sshKey + "  \n", ""},
		{"public_keys", "ssh-ed25519 AAAA", "no SSH public key"},
		{"public_keys", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN", "no SSH public key"},
		{"public_keys", strings.Repeat(sshKey+"\n", 33), "the limit is 32"},
		{"user_data", "#!/bin/sh\n\techo hello\n", ""},
		{"user_data", "\x01", "control character"},
		{"user_data", strings.Repeat("x", 64<<10+1), "65536"},
	} {
		m := &model.InterfaceMetadata{Meta: model.Meta{UUID: "im-a", ID: 1}, InterfaceUUID: "if-a", Encoding: model.EncodingText}
		f := model.InterfaceMetadatas.Field(c.field)
		v, err := f.ParseText(c.value)
		if err == nil {
			f.Set(m, v)
			err = model.InterfaceMetadatas.Validate(m)
		}
		if got := errText(err); (c.want == "") != (err == nil) || !strings.Contains(got, c.want) {
			t.Errorf("%s %.40q: %v instead of %q", c.field, c.value, err, c.want)
		}
	}
	m := &model.InterfaceMetadata{Meta: model.Meta{UUID: "im-a", ID: 1}, InterfaceUUID: "if-a", Encoding: model.EncodingBase64, UserData: "IyEv\nYmluL3No"}
	if b, err := m.Decode(m.UserData); string(b) != "#!/bin/sh" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	m.UserData = "#!/bin/sh"
	if err := model.InterfaceMetadatas.Validate(m); err == nil || !strings.Contains(err.Error(), "user_data") {
		t.Errorf("no base64: %v", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
