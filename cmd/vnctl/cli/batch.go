package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// maxLine bounds a line of a batch, in bytes.
const maxLine = 1 << 20

func (e *Env) batchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "batch [FILE]", Short: "Run the commands of a file, one to a line",
		Long: `Runs the commands of the file, or of the standard input without one or with -, as vnctl's arguments one to a line, as a shell would
split them: '...', "...", \ and # comments. The word vnctl at the beginning of a line may stay. The flags --server,
--token-file, --ca and --output count for all lines that say nothing else.

It stops at the first command that fails, and says its line; with --keep-going it runs the others too. Each command is a
transaction of its own: what went before stays. "vnctl apply" does all or nothing.`,
		Example: examples["batch"],
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes one file, not %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
	}
	keepGoing := cmd.Flags().Bool("keep-going", false, "run the other commands after one that failed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if e.batch {
			return errors.New("a batch within a batch is not possible")
		}
		if len(args) == 0 || args[0] == "-" {
			in := e.Stdin
			e.Stdin = strings.NewReader("") // the commands have no share in it
			return e.runBatch(cmd.Context(), "standard input", in, *keepGoing)
		}
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		return e.runBatch(cmd.Context(), args[0], file, *keepGoing)
	}
	return cmd
}

// lineError says which line of a batch failed, and with which exit status.
type lineError struct {
	code int
	text string
}

// Error gives "FILE:LINE: " and the command's own sentence.
func (e *lineError) Error() string { return e.text }

// runBatch runs the lines of a file. The error is a *lineError, but for a file that cannot be read.
func (e *Env) runBatch(ctx context.Context, name string, in io.Reader, keepGoing bool) error {
	e.batch = true
	defer func() { e.batch = false }()
	flags := e.flags
	var first *lineError
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		args, err := splitLine(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if err == nil && len(args) > 0 && args[0] == "vnctl" {
			args = args[1:]
		}
		if err == nil && len(args) > 0 {
			_, err = e.execute(ctx, args)
			e.flags = flags
		}
		if err == nil {
			continue
		}
		failed := &lineError{exitStatus(err), fmt.Sprintf("%s:%d: %s", name, n, cmp.Or(strings.TrimSpace(err.Error()), "there is something to change"))}
		if !keepGoing || ctx.Err() != nil {
			return failed
		}
		fmt.Fprintf(e.Stderr, "vnctl: %s\n", failed.text)
		if first == nil {
			first = &lineError{code: failed.code}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if first != nil {
		return first
	}
	return nil
}

// splitLine splits a line into words as a POSIX shell does, without expanding anything: blanks part words, '...' is taken as it
// stands, in "..." a backslash goes before ", \, $ and `, elsewhere before anything, and # at the beginning of a word begins
// a comment. What a shell would do more with an unquoted character (;, |, &, <, >, $, *) is not done: it stands for itself.
func splitLine(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
			word.Reset()
			begun = false
		}
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\r':
			end()
		case c == '#' && !begun:
			return words, nil
		case c == '\'':
			n := strings.IndexByte(line[i+1:], '\'')
			if n < 0 {
				return nil, fmt.Errorf("the quote ' at column %d does not end", i+1)
			}
			word.WriteString(line[i+1 : i+1+n])
			i, begun = i+1+n, true
		case c == '"':
			begun = true
			from := i
			for i++; ; i++ {
				if i >= len(line) {
					return nil, fmt.Errorf("the quote \" at column %d does not end", from+1)
				}
				if line[i] == '"' {
					break
				}
				if line[i] == '\\' && i+1 < len(line) && strings.IndexByte("\"\\$`", line[i+1]) >= 0 {
					i++
				}
				word.WriteByte(line[i])
			}
		case c == '\\':
			if i+1 == len(line) {
				return nil, errors.New("the line ends with a backslash; a command has one line")
			}
			i, begun = i+1, true
			word.WriteByte(line[i])
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words, nil
}
