package version

import (
	"runtime/debug"
	"testing"
)

func TestFromBuildInfo(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	clean := debug.BuildSetting{Key: "vcs.modified", Value: "false"}
	for name, test := range map[string]struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		"installed":        {module: "v1.2.3", settings: []debug.BuildSetting{commit}, want: "v1.2.3"},
		"clean tree":       {module: "(devel)", settings: []debug.BuildSetting{commit, clean}, want: "0123456789ab"},
		"changed tree":     {settings: []debug.BuildSetting{dirty, commit}, want: "0123456789ab-dirty"},
		"no git":           {module: "(devel)", want: "devel"},
		"short commit":     {settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}}, want: "0123"},
		"changed, no hash": {settings: []debug.BuildSetting{dirty}, want: "devel"},
	} {
		t.Run(name, func(t *testing.T) {
			info := &debug.BuildInfo{Main: debug.Module{Version: test.module}, Settings: test.settings}
			if got := fromBuildInfo(info); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStringIsNeverEmpty(t *testing.T) {
	if String() == "" {
		t.Error("empty")
	}
}
