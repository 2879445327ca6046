package store

import (
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/openvnet/openvnet/model"
)

// guards are what a transaction has seen, for etcd to compare at the commit.
type guards struct {
	objects map[string]int64    // uuid -> revision, 0 for absent
	names   map[string]struct{} // of values and references that nobody may take
	tables  map[string]struct{} // prefixes of keys below which nothing may be written
}

func newGuards() guards {
	return guards{objects: map[string]int64{}, names: map[string]struct{}{}, tables: map[string]struct{}{}}
}

func (g *guards) object(uuid string, o model.Object) {
	if o == nil {
		g.objects[uuid] = 0
	} else {
		g.objects[uuid] = o.Base().Revision
	}
}

func (g *guards) value(name string) { g.names[name] = struct{}{} }

func (g *guards) referrers(uuid string) { g.names[referenceName(uuid)] = struct{}{} }

func (g *guards) table(prefix string) { g.tables[prefix] = struct{}{} }

func (g *guards) len() int { return len(g.objects) + len(g.names) + len(g.tables) }

// compares gives the comparisons that hold as long as nothing that was seen at rev has changed.
func (g *guards) compares(l layout, rev int64) []clientv3.Cmp {
	cs := make([]clientv3.Cmp, 0, g.len()+1)
	cs = append(cs, clientv3.Compare(clientv3.ModRevision(l.fence()), "<", rev+1))
	if g.len() > maxGuards {
		return append(cs, clientv3.Compare(clientv3.ModRevision(l.head()), "<", rev+1))
	}
	for uuid, at := range g.objects {
		cs = append(cs, clientv3.Compare(clientv3.ModRevision(l.object(uuid)), "=", at))
	}
	for name := range g.names {
		cs = append(cs, clientv3.Compare(clientv3.ModRevision(l.guard(name)), "<", rev+1))
	}
	for p := range g.tables {
		cs = append(cs, clientv3.Compare(clientv3.ModRevision(p), "<", rev+1).WithPrefix())
	}
	return cs
}

// maxGuards is how many things a transaction may look at one by one; one that has seen more than that is committed only if nothing
// at all has changed.
const maxGuards = 20_000
