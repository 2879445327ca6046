// Package config reads a daemon's configuration file: YAML whose keys are the names of the command's flags, so that there is
// one declaration of each setting. What is given on the command line wins. Imported by cmd.
package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Load sets the flags that the file gives and the command line does not. A key that is no flag, a key that stands twice and a
// value that the flag does not take are errors with the file's name and the line. Hyphens and underscores in keys are the same.
func Load(flags *pflag.FlagSet, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("configuration file %s: line %d: must be keys with values", path, root.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		name := strings.ReplaceAll(key.Value, "_", "-")
		f := flags.Lookup(name)
		if f == nil || name == "config" || name == "help" || name == "version" {
			return fmt.Errorf("configuration file %s: line %d: %q is not a setting", path, key.Line, key.Value)
		}
		if seen[name] {
			return fmt.Errorf("configuration file %s: line %d: %q stands twice", path, key.Line, key.Value)
		}
		seen[name] = true
		if f.Changed {
			continue
		}
		if err := set(flags, f, value); err != nil {
			return fmt.Errorf("configuration file %s: line %d: %s: %w", path, value.Line, key.Value, err)
		}
	}
	return nil
}

func set(flags *pflag.FlagSet, f *pflag.Flag, value *yaml.Node) error {
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		if _, ok := f.Value.(pflag.SliceValue); !ok {
			return fmt.Errorf("takes one value, not a list")
		}
		values = value.Content
	}
	for _, v := range values {
		if v.Kind != yaml.ScalarNode {
			return fmt.Errorf("takes a plain value")
		}
		if err := flags.Set(f.Name, v.Value); err != nil {
			return err
		}
	}
	return nil
}
