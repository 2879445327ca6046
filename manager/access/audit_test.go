package access_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/manager/access"
)

func openAudit(t *testing.T, o access.AuditOptions) *access.Audit {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a, err := access.OpenAudit(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// The files are bounded in size and number, and the last entries are found across them, also after a restart.
func TestRotation(t *testing.T) {
	const size, files = 2000, 3
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	a := openAudit(t, access.AuditOptions{Path: path, MaxBytes: size, Files: files})
	for i := range 100 {
		a.Write(access.Entry{Time: time.Now(), Who: fmt.Sprint("n", i), Status: 200})
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != files {
		t.Fatalf("%d files, %v", len(found), err)
	}
	for _, f := range found {
		if info, err := f.Info(); err != nil || info.Size() > size || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	cut, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cut.WriteString(`{"who": "cut o`); err != nil {
		t.Fatal(err)
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	b := openAudit(t, access.AuditOptions{Path: path, MaxBytes: size, Files: files})
	b.Write(access.Entry{Who: "n100", Status: 200})
	got, err := b.Last(25)
	if err != nil || len(got) != 25 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, e := range got {
		if e.Who != fmt.Sprint("n", 100-i) {
			t.Errorf("entry %d is %s", i, e.Who)
		}
	}
	if all, err := b.Last(1000); err != nil || len(all) >= 100 || len(all) < 30 {
		t.Errorf("%d entries in all, %v", len(all), err)
	}
}

// Lines longer than the blocks in which the file is read.
func TestLongLines(t *testing.T) {
	a := openAudit(t, access.AuditOptions{Path: filepath.Join(t.TempDir(), "audit.log")})
	for i := range 5 {
		a.Write(access.Entry{Who: fmt.Sprint(i), Path: strings.Repeat("x", i*50_000), Status: 200})
	}
	got, err := a.Last(10)
	if err != nil || len(got) != 5 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, e := range got {
		if e.Who != fmt.Sprint(4-i) || len(e.Path) != (4-i)*50_000 {
			t.Errorf("entry %d: %s, %d bytes", i, e.Who, len(e.Path))
		}
	}
}

// Whoever is refused again and again does not push out what others did.
func TestRefusedLinesAreBounded(t *testing.T) {
	a := openAudit(t, access.AuditOptions{Path: filepath.Join(t.TempDir(), "audit.log")})
	now := time.Now()
	for range 1000 {
		a.Write(access.Entry{Time: now, Status: 401})
	}
	a.Write(access.Entry{Time: now, Who: "op", Status: 200})
	got, err := a.Last(1000)
	if err != nil || len(got) > 300 || got[0].Who != "op" || got[0].Skipped != 1001-len(got) {
		t.Errorf("%d entries, the last %+v, %v", len(got), got[0], err)
	}
}

func TestUnwritableAuditIsReportedOnce(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "sub")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := openAudit(t, access.AuditOptions{Path: filepath.Join(dir, "audit.log"), MaxBytes: 10, Log: slog.New(slog.NewTextHandler(&log, nil))})
	a.Write(access.Entry{Status: 200})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		a.Write(access.Entry{Status: 200}) // has to rotate
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("reported %d times:\n%s", n, &log)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a.Write(access.Entry{Who: "again", Status: 200})
	if got, err := a.Last(1); err != nil || len(got) != 1 || got[0].Who != "again" {
		t.Errorf("%+v, %v", got, err)
	}
}
