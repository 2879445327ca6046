// Package sync is the manager's side of the agents' streams (package wire): every connected host is told its share of the
// store (package span) as a snapshot, a bookmark and then deltas, and acknowledges revisions with the problems that it
// has. From those acknowledgements the package answers which hosts have realised an object, and lets a writer wait for them.
//
// It decides nothing: who may join and where an interface is found is for manager/app. It keeps nothing: after a restart
// every agent comes back and is told everything again. Imported by cmd/vnmgr.
//
// # What a host is sent
//
// The store tells Observe of each revision, under its lock. What the revision changes in a host's share is added to that
// stream's queue, which holds one entry per object, its newest state: while an agent is slow its next delta grows, but not
// the queue, and a host that a revision does not concern is not woken. A stream that takes no byte for three intervals is
// cut; the agent comes back and gets a snapshot.
//
// # Several managers on one store
//
// An agent is connected to one of them. To the others it is unreachable, and their Wait does not wait for it.
package sync
