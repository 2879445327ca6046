package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// Case is a world and the frames that enter it, one after the other.
type Case struct {
	World *World
	Steps []Step
}

// shrink makes a case that fails smaller, as long as it fails: fewer steps, fewer objects, fewer ports. It calls fails at most limit times.
func shrink(c Case, limit int, fails func(Case) bool) Case {
	try := func(smaller Case) bool {
		if limit <= 0 {
			return false
		}
		limit--
		if !fails(smaller) {
			return false
		}
		c = smaller
		return true
	}
	for again := true; again && limit > 0; {
		again = false
		for size := max(1, len(c.Steps)/2); size >= 1; size /= 2 {
			for at := 0; at+size <= len(c.Steps) && len(c.Steps) > size; {
				if try(Case{c.World, slices.Delete(slices.Clone(c.Steps), at, at+size)}) {
					again = true
				} else {
					at += size
				}
			}
		}
		for at := len(c.World.Objects) - 1; at >= 0; at-- {
			if at < len(c.World.Objects) && !c.World.underlay(c.World.Objects[at]) && try(Case{c.World.without(c.World.Objects[at].Base().UUID), c.Steps}) {
				again = true
			}
		}
		for at := len(c.World.Ports) - 1; at >= 0; at-- {
			w := &World{Objects: c.World.Objects, Ports: slices.Delete(slices.Clone(c.World.Ports), at, at+1)}
			if try(Case{w, c.Steps}) {
				again = true
			}
		}
	}
	return c
}

// underlay reports whether an object is one of what hosts reach each other by.
func (w *World) underlay(o model.Object) bool {
	switch o := o.(type) {
	case *model.Datapath:
		return true
	case *model.Network:
		return o.UUID == "nw-under"
	case *model.Interface:
		return o.Mode == model.InterfaceHost
	case *model.InterfacePort:
		return o.PortName == NIC
	case *model.MACLease:
		return o.MACAddress[1] == 1
	case *model.IPLease:
		return o.NetworkUUID == "nw-under" && w.hostLease(o)
	}
	return false
}

func (w *World) hostLease(l *model.IPLease) bool {
	for _, o := range w.Objects {
		if i, ok := o.(*model.Interface); ok && i.UUID == l.InterfaceUUID {
			return i.Mode == model.InterfaceHost
		}
	}
	return false
}

// without gives the world without an object and all that goes with it.
func (w *World) without(uuid string) *World {
	gone := map[string]bool{uuid: true}
	for again := true; again; {
		again = false
		for _, o := range w.Objects {
			if gone[o.Base().UUID] {
				continue
			}
			for _, ref := range model.Of(o).Refs {
				for target := range ref.Targets(o) {
					if gone[target] {
						gone[o.Base().UUID], again = true, true
					}
				}
			}
		}
	}
	out := &World{}
	for _, o := range w.Objects {
		if !gone[o.Base().UUID] {
			out.Objects = append(out.Objects, o)
		}
	}
	for _, p := range w.Ports {
		if !gone[p.Datapath] {
			out.Ports = append(out.Ports, p)
		}
	}
	return out
}

// String gives the case for people: every object in one line, with the fields that say something, and every frame.
func (c Case) String() string {
	var b strings.Builder
	for _, o := range c.World.Objects {
		if _, host := o.(*model.Datapath); host || !c.World.underlay(o) || o.Base().UUID == "nw-under" {
			fmt.Fprintf(&b, "%s\n", brief(o))
		}
	}
	for _, p := range c.World.Ports {
		fmt.Fprintf(&b, "port %d of %s: %s %s\n", p.Number, p.Datapath, p.Name, p.IfaceID)
	}
	for n, s := range c.Steps {
		fmt.Fprintf(&b, "%d. %s into %s %s: %s\n", n+1, s.Note, s.Datapath, s.Port, describe(s.Frame))
	}
	return b.String()
}

// brief gives an object's uuid, id and the fields that differ from a new one's.
func brief(o model.Object) string {
	fresh := model.Of(o).New()
	words := []string{fmt.Sprintf("%s (%d)", o.Base().UUID, o.Base().ID)}
	for _, f := range model.Of(o).Fields {
		if f.Name == "uuid" || f.Name == "id" {
			continue
		}
		if v := f.Text(o); v != f.Text(fresh) {
			text, err := json.Marshal(v)
			if err != nil {
				continue // text is never refused
			}
			words = append(words, f.Name+"="+strings.Trim(string(text), `"`))
		}
	}
	return strings.Join(words, " ")
}
