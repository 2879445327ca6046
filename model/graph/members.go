package graph

import (
	"iter"
	"slices"
)

// members is a set of uuids that is nearly always small: a slice until it is not.
type members struct {
	few  []string
	many map[string]struct{}
}

const fewMembers = 16

func (m *members) add(uuid string) {
	if m.many != nil {
		m.many[uuid] = struct{}{}
		return
	}
	if slices.Contains(m.few, uuid) {
		return
	}
	m.few = append(m.few, uuid)
	if len(m.few) > fewMembers {
		m.many = make(map[string]struct{}, 2*fewMembers)
		for _, u := range m.few {
			m.many[u] = struct{}{}
		}
		m.few = nil
	}
}

// remove reports whether the set is empty afterwards.
func (m *members) remove(uuid string) bool {
	if m.many != nil {
		delete(m.many, uuid)
		return len(m.many) == 0
	}
	if i := slices.Index(m.few, uuid); i >= 0 {
		m.few[i] = m.few[len(m.few)-1]
		m.few = m.few[:len(m.few)-1]
	}
	return len(m.few) == 0
}

func (m *members) all() iter.Seq[string] {
	return func(yield func(string) bool) {
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
