// Package repotest holds the tests of the tree as a whole: which folder may import what, what may not be imported at
// all, package comments, lengths of files, names of privileged tests, links of the documents. It has no code that
// runs; nothing imports it.
//
// The tests read the files themselves. Asking the go command would be shorter, but the test cache sees only the files
// that a test opens: a test that asks `go list` passes from the cache after the tree has changed.
package repotest
