package graph

import (
	"iter"
	"slices"
)

// members is a set of uuids that nearly always has one: a text, then a slice, then a map.
type members struct {
	one  string
	few  []string
	many map[string]struct{}
}

const fewMembers = 16

func (m *members) add(uuid string) {
	switch {
	case m.many != nil:
		m.many[uuid] = struct{}{}
	case m.one == uuid || slices.Contains(m.few, uuid):
	case m.one == "" && m.few == nil:
		m.one = uuid
	case m.few == nil:
		m.few, m.one = []string{m.one, uuid}, ""
	case len(m.few) < fewMembers:
		m.few = append(m.few, uuid)
	default:
		m.many = make(map[string]struct{}, 2*fewMembers)
		for _, u := range m.few {
			m.many[u] = struct{}{}
		}
		m.many[uuid] = struct{}{}
		m.few = nil
	}
}

// remove reports whether the set is empty afterwards.
func (m *members) remove(uuid string) bool {
	if m.many != nil {
		delete(m.many, uuid)
		return len(m.many) == 0
	}
	if m.one == uuid {
		m.one = ""
	}
	if i := slices.Index(m.few, uuid); i >= 0 {
		m.few[i] = m.few[len(m.few)-1]
		m.few[len(m.few)-1] = ""
		if m.few = m.few[:len(m.few)-1]; len(m.few) == 0 {
			m.few = nil
		}
	}
	return m.one == "" && m.few == nil
}

func (m *members) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		if m.one != "" && !yield(m.one) {
			return
		}
		for _, u := range m.few {
			if !yield(u) {
				return
			}
		}
		for u := range m.many {
			if !yield(u) {
				return
			}
		}
	}
}
