package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// wanted says of flags' types what a value must be.
var wanted = map[string]string{
	"bool": "true or false", "int": "a whole number", "uint64": "a whole number, not negative", "float64": "a number", "duration": "a time, such as 300ms, 10s or 5m",
	"intSlice": "whole numbers, with commas between them", "stringSlice": "words, with commas between them",
}

// flagError says what a flag's value must be, where it is not.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	f := invalid.GetFlag()
	if want := wanted[f.Value.Type()]; want != "" {
		return fmt.Errorf("--%s %s: it is to be %s", f.Name, invalid.GetValue(), want)
	}
	return fmt.Errorf("--%s %s: %w", f.Name, invalid.GetValue(), errors.Unwrap(invalid))
}

// placeholders gives the arguments that a command's Use names: those that are required, and how many there may be at most, -1 for any number.
func placeholders(use string) (required []string, most int) {
	_, rest, _ := strings.Cut(use, " ")
	for _, word := range strings.Fields(rest) {
		switch name := strings.Trim(word, "[]"); {
		case name == "--":
			continue
		case strings.HasSuffix(name, "..."):
			return required, -1
		case name == word:
			required = append(required, name)
		}
		most++
	}
	return required, most
}

// positional holds the arguments of a command against its Use, and says what is missing, with an example.
func positional(cmd *cobra.Command, args []string) error {
	required, most := placeholders(cmd.Use)
	given := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--" })
	usage := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	if len(given) < len(required) {
		missing := strings.Join(required[len(given):], " and ") + " is"
		if len(required)-len(given) > 1 {
			missing = strings.TrimSuffix(missing, "is") + "are"
		}
		if example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n"); example != "" {
			return fmt.Errorf("%s missing: %s, such as: %s", missing, usage, example)
		}
		return fmt.Errorf("%s missing: %s", missing, usage)
	}
	if most >= 0 && len(given) > most {
		return fmt.Errorf("%q is one argument too many: %s", given[most], usage)
	}
	return nil
}

// group makes a command one that does nothing by itself: without a name it shows its help, and a name that it has no command for is a mistake.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return fmt.Errorf("%s has no command %q: it has %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
	}
	return cmd
}
