// Package sync is the agent's side of its stream (package wire): it dials the managers in turn, says hello, and hands over
// what the manager sends: a whole share, then changes of it. What is cut off, malformed or against the protocol is never
// handed over, not even in part: the stream is dropped, the agent goes on with what it has, and a new stream begins with a
// new snapshot.
//
// It keeps no objects (see agent/cache for the disk) and knows no data plane. Imported by agent.
package sync
