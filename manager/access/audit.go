package access

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Entry is one line of the audit log: a write, or a request that was refused. It holds no parameters and no secrets.
type Entry struct {
	Time     time.Time `json:"time"`
	Who      string    `json:"who"` // name of the identity, "" where there was none
	Role     string    `json:"role,omitempty"`
	Token    string    `json:"token,omitempty"` // uuid
	Remote   string    `json:"remote"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Resource string    `json:"resource,omitempty"`
	UUIDs    []string  `json:"uuids,omitempty"`
	More     int       `json:"more,omitempty"` // uuids that are not listed
	DryRun   bool      `json:"dry_run,omitempty"`
	Revision int64     `json:"revision,omitempty"`
	Status   int       `json:"status"`
	Error    string    `json:"error,omitempty"`   // class
	Message  string    `json:"message,omitempty"` // of the refusal
	Skipped  int       `json:"skipped,omitempty"` // refused requests before this one for which there was no line
}

// AuditOptions are what OpenAudit takes.
type AuditOptions struct {
	Path     string       // required
	MaxBytes int64        // optional: of a file; 16 MiB
	Files    int          // optional: how many there are at most, Path being the first of them and Path.1 the one before; 8
	Log      *slog.Logger // required
}

// maxRefused bounds the lines about refused requests, per second: whoever is refused may not push out of the files what others did.
const maxRefused = 20

// Audit is the audit log: one JSON line per entry, in files of bounded size and number. All methods may be called concurrently.
type Audit struct {
	opts    AuditOptions
	refused *rate.Limiter

	mu      sync.Mutex
	f       *os.File
	size    int64
	skipped int
	failing bool
}

// OpenAudit opens the log; what is there is kept.
func OpenAudit(o AuditOptions) (*Audit, error) {
	if o.Path == "" || o.Log == nil {
		return nil, errors.New("audit log: Path and Log are required")
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	o.Files = cmp.Or(o.Files, 8)
	a := &Audit{opts: o, refused: rate.NewLimiter(maxRefused, 10*maxRefused)}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return a, nil
}

func (a *Audit) open() error {
	f, err := os.OpenFile(a.opts.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	a.f, a.size = f, info.Size()
	if last := make([]byte, 1); a.size > 0 {
		if _, err := f.ReadAt(last, a.size-1); err == nil && last[0] != '\n' { // a crash cut the last line off
			n, err := f.Write([]byte{'\n'})
			a.size += int64(n)
			return err
		}
	}
	return nil
}

// Write adds a line. A log that cannot be written is reported once until it can; requests go on.
func (a *Audit) Write(e Entry) {
	refused := e.Status == 401 || e.Status == 403 || e.Status == 429
	a.mu.Lock()
	defer a.mu.Unlock()
	if refused && !a.refused.AllowN(e.Time, 1) {
		a.skipped++
		return
	}
	e.Skipped = a.skipped
	b, err := json.Marshal(e)
	if err != nil {
		a.opts.Log.Error("audit log entry cannot be encoded", "err", err)
		return
	}
	err = a.append(append(b, '\n'))
	switch {
	case err == nil:
		a.skipped = 0
		if a.failing {
			a.opts.Log.Info("audit log is written again")
		}
	case !a.failing:
		a.opts.Log.Error("audit log cannot be written, requests go on without", "path", a.opts.Path, "err", err)
	}
	a.failing = err != nil
}

func (a *Audit) append(line []byte) error {
	if a.f == nil {
		if err := a.open(); err != nil {
			return err
		}
	}
	if a.size > 0 && a.size+int64(len(line)) > a.opts.MaxBytes {
		if err := a.rotate(); err != nil {
			return err
		}
	}
	n, err := a.f.Write(line)
	a.size += int64(n)
	return err
}

// rotate moves each file one further, and the last one away.
func (a *Audit) rotate() error {
	err := a.f.Close()
	a.f = nil
	for i := a.opts.Files - 1; i > 0; i-- {
		if e := os.Rename(a.file(i-1), a.file(i)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if a.opts.Files == 1 {
		err = errors.Join(err, os.Remove(a.opts.Path))
	}
	return errors.Join(err, a.open())
}

func (a *Audit) file(i int) string {
	if i == 0 {
		return a.opts.Path
	}
	return a.opts.Path + "." + strconv.Itoa(i)
}

// Last gives the n last entries, the newest first.
func (a *Audit) Last(n int) ([]Entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := []Entry{}
	for i := 0; i < a.opts.Files && len(entries) < n; i++ {
		f, err := os.Open(a.file(i))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		entries, err = lastLines(f, entries, n)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
	}
	return entries, nil
}

// lastLines adds the entries of a file from its end until there are n. What is no entry is passed over.
func lastLines(f *os.File, entries []Entry, n int) ([]Entry, error) {
	const block = 64 << 10
	info, err := f.Stat()
	if err != nil {
		return entries, err
	}
	var rest []byte // the beginning of a line that the block before begins with
	for at := info.Size(); at > 0 && len(entries) < n; {
		size := min(block, at)
		at -= size
		b := make([]byte, size, int(size)+len(rest))
		if _, err := f.ReadAt(b, at); err != nil {
			return entries, err
		}
		b = append(b, rest...)
		for len(entries) < n {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 && at > 0 {
				break
			}
			var e Entry
			if line := b[i+1:]; len(line) > 0 && json.Unmarshal(line, &e) == nil {
				entries = append(entries, e)
			}
			if i < 0 {
				break
			}
			b = b[:i]
		}
		rest = b
	}
	return entries, nil
}

// Close ends the log.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return nil
	}
	err := a.f.Close()
	a.f = nil
	return err
}
