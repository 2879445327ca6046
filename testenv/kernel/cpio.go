package kernel

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// archive writes a root file system in the "newc" format of cpio, which the kernel unpacks when it boots
// (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel). All files belong to root. An error makes
// everything after it do nothing; close gives it.
type archive struct {
	w    *bufio.Writer
	have map[string]bool // paths written
	ino  int
	err  error
}

// Types of files, as in a mode of stat(2).
const (
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), have: map[string]bool{}}
}

// dir adds a directory with those above it, unless it is there.
func (a *archive) dir(name string) {
	name = clean(name)
	if name == "." || a.have[name] {
		return
	}
	a.dir(path.Dir(name))
	a.entry(name, typeDir|0o755, 0, strings.NewReader(""))
}

// file adds a file of size bytes.
func (a *archive) file(name string, perm fs.FileMode, size int64, content io.Reader) {
	a.dir(path.Dir(clean(name)))
	a.entry(clean(name), typeFile|uint32(perm.Perm()), size, content)
}

func (a *archive) text(name string, perm fs.FileMode, content string) {
	a.file(name, perm, int64(len(content)), strings.NewReader(content))
}

// link adds a symbolic link.
func (a *archive) link(name, target string) {
	a.dir(path.Dir(clean(name)))
	a.entry(clean(name), typeLink|0o777, int64(len(target)), strings.NewReader(target))
}

// copy adds a file of this machine.
func (a *archive) copy(name, from string, perm fs.FileMode) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.file(name, perm, st.Size(), f)
}

// clean gives the path below the root, "." for the root itself.
func clean(name string) string {
	if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name == "" {
		return "."
	}
	return name
}

func (a *archive) entry(name string, mode uint32, size int64, content io.Reader) {
	if a.err != nil {
		return
	}
	if a.have[name] {
		a.err = fmt.Errorf("%s is twice in the root file system", name)
		return
	}
	a.have[name] = true
	a.ino++
	if a.header(name, mode, size); a.err != nil {
		return
	}
	n, err := io.Copy(a.w, io.LimitReader(content, size))
	if err == nil && n < size {
		err = fmt.Errorf("%s has only %d bytes of %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		a.err = err
		return
	}
	a.pad(size)
}

// header writes magic, inode, mode, owner, group, links, time, size, four numbers of devices, length of the name with its
// final zero, a checksum that is not used, and the name.
func (a *archive) header(name string, mode uint32, size int64) {
	if size > 0xffffffff {
		a.err = fmt.Errorf("%s is too large for a root file system: %d bytes", name, size)
		return
	}
	n, err := fmt.Fprintf(a.w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	if err != nil {
		a.err = err
		return
	}
	a.pad(int64(n))
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad(n int64) {
	for ; n%4 != 0; n++ {
		if err := a.w.WriteByte(0); err != nil {
			a.err = err
		}
	}
}

// close ends the archive and gives the first error.
func (a *archive) close() error {
	if a.err == nil {
		a.header("TRAILER!!!", 0, 0)
	}
	if a.err != nil {
		return a.err
	}
	return a.w.Flush()
}
