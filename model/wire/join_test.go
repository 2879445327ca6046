package wire_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model/wire"
)

func TestJoinToken(t *testing.T) {
	for _, want := range []wire.JoinToken{
		{Managers: []string{"https://10.0.0.1:9090", "https://[fd00::1]:9090"}, Fingerprint: "ab", Secret: "s", NodeID: "node1"},
		{Fingerprint: "ab", Secret: "s"},
	} {
		text := want.String()
		if strings.ContainsAny(text, " \n'\"$&|;<>()`\\") {
			t.Errorf("%s is not one word for a shell", text)
		}
		got, err := wire.ParseJoinToken(" " + text + "\n")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	good := wire.JoinToken{Fingerprint: "ab", Secret: "geheim"}.String()
	for name, text := range map[string]string{
		"empty":          "",
		"another kind":   "vnt_abc",
		"cut":            good[:len(good)-3],
		"not base64":     "vnj1.%%%",
		"not JSON":       "vnj1.Z2VoZWlt",
		"no secret":      wire.JoinToken{Fingerprint: "ab"}.String(),
		"no fingerprint": wire.JoinToken{Secret: "geheim"}.String(),
		"plain http":     wire.JoinToken{Fingerprint: "ab", Secret: "geheim", Managers: []string{"http://10.0.0.1"}}.String(),
	} {
		if _, err := wire.ParseJoinToken(text); err == nil || strings.Contains(err.Error(), "geheim") || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	f.Add(wire.JoinToken{Managers: []string{"https://10.0.0.1:9090"}, Fingerprint: "f", Secret: "s", NodeID: "n"}.String())
	f.Add("vnj1.e30")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := wire.ParseJoinToken(text)
		if err != nil {
			if token.Secret != "" {
				t.Error("value and error")
			}
			return
		}
		if again, err := wire.ParseJoinToken(token.String()); err != nil || again.String() != token.String() {
			t.Errorf("%s: %v", again, err)
		}
	})
}
