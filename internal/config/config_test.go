package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/openvnet/openvnet/internal/config"
)

func TestLoad(t *testing.T) {
	for _, tc := range []struct {
		name, file, wantErr string
		args                []string
		data                string
		api                 []string
		insecure            bool
	}{
		{name: "empty", data: "/def", api: []string{"a"}},
		{name: "values", file: "data: /srv\napi: [x, y]\ninsecure: true\n", data: "/srv", api: []string{"x", "y"}, insecure: true},
		{name: "one for a list", file: "api: x\n", data: "/def", api: []string{"x"}},
		{name: "underscore", file: "log_level: debug\n", data: "/def", api: []string{"a"}},
		{name: "command line wins", file: "data: /srv\n", args: []string{"--data", "/cli"}, data: "/cli", api: []string{"a"}},
		{name: "unknown", file: "data: /srv\ndatta: x\n", wantErr: `line 2: "datta" is not a setting`},
		{name: "twice", file: "log-level: x\nlog_level: y\n", wantErr: `line 2: "log_level" stands twice`},
		{name: "bad value", file: "insecure: perhaps\n", wantErr: "line 1: insecure: "},
		{name: "list for one", file: "data: [a]\n", wantErr: "takes one value, not a list"},
		{name: "nested", file: "data: {a: b}\n", wantErr: "takes a plain value"},
		{name: "not a map", file: "- a\n", wantErr: "must be keys with values"},
		{name: "not YAML", file: "a: [\n", wantErr: "line"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
			data := fs.String("data", "/def", "")
			api := fs.StringSlice("api", []string{"a"}, "")
			insecure := fs.Bool("insecure", false, "")
			fs.String("log-level", "info", "")
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			err := config.Load(fs, path)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if *data != tc.data || strings.Join(*api, ",") != strings.Join(tc.api, ",") || *insecure != tc.insecure {
				t.Errorf("got %s %v %v", *data, *api, *insecure)
			}
		})
	}
}
