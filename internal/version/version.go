// Package version says which version of the project this program is. It holds no release logic: the text comes from
// git by way of the Makefile, or else from what the Go toolchain recorded. Commands import it for --version, and the
// manager and the agent to tell it to each other.
package version

import "runtime/debug"

// linked is set by the linker (-X, see the Makefile) to what `git describe` says.
var linked string

// String is the version of this program: what `git describe --tags --always --dirty` said when make built it; else
// the version of the main module (`go install ...@v1.2.3`); else the commit, 12 digits, with "-dirty" when files
// were changed; else "devel". It is never empty.
func String() string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	return fromBuildInfo(info)
}

const devel = "devel"

func fromBuildInfo(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var commit, dirty string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if commit == "" {
		return devel
	}
	return commit + dirty
}
