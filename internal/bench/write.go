package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Write prints the report to w as a table, and writes it to dir/NAME.json, a JSON list of rows; dir is made where it
// is missing, and a file that was there is replaced at once, never half-written. Nothing is written to the file when
// something was added wrongly: the error then says what.
func (r *Report) Write(w io.Writer, dir string) error {
	if _, err := io.WriteString(w, r.table()); err != nil {
		return fmt.Errorf("print benchmark %s: %w", r.name, err)
	}
	if err := r.Err(); err != nil {
		return err
	}
	rows := r.rows
	if rows == nil {
		rows = []Row{} // [], not null
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode benchmark %s: %w", r.name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write benchmark %s: %w", r.name, err)
	}
	path := filepath.Join(dir, r.name+".json")
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write benchmark %s: %w", r.name, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write benchmark %s: %w", r.name, err)
	}
	return nil
}

// table is the report as text: texts to the left, figures to the right, the baseline's columns only where needed.
func (r *Report) table() string {
	cells := [][]string{{"case", "metric", "median", "min", "max", "unit", "ratio", "to"}}
	compared := false
	for _, row := range r.rows {
		ratio, against := "", ""
		if row.Baseline != nil {
			compared = true
			against = fmt.Sprintf("%s (%s)", row.Against, figure(*row.Baseline))
		}
		if row.Ratio != nil {
			ratio = figure(*row.Ratio)
		}
		cells = append(cells, []string{
			row.Case, row.Metric, figure(row.Median), figure(row.Min), figure(row.Max), row.Unit, ratio, against,
		})
	}
	columns := len(cells[0])
	if !compared {
		columns -= 2
	}
	widths := make([]int, columns)
	for _, line := range cells {
		for i := range columns {
			widths[i] = max(widths[i], len(line[i]))
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "benchmark %s\n", r.name)
	for _, line := range cells {
		var text strings.Builder
		for i := range columns {
			switch cells[0][i] {
			case "median", "min", "max", "ratio":
				fmt.Fprintf(&text, "  %*s", widths[i], line[i])
			default:
				fmt.Fprintf(&text, "  %-*s", widths[i], line[i])
			}
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return out.String()
}

// figure writes a number with three significant digits and without exponent; whole numbers keep all of theirs.
func figure(v float64) string {
	if v == 0 || v == math.Trunc(v) || math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', digits, 64)
}
