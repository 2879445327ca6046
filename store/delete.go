package store

import (
	"cmp"
	"iter"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// Delete removes an object, or several at once that may use each other, and what its references' declarations say: objects that
// refer to it are deleted too (cascade), lose the reference (clear), or refuse the deletion (restrict). It returns the
// uuids of all that it has deleted, those given first. The error is an *ObjectError: there is no such object, a *model.Error of
// class Conflict names one that uses it, or an object may not be without its reference.
func (tx *Tx) Delete(uuids ...string) ([]string, error) {
	for _, uuid := range uuids {
		if _, ok := tx.Get(uuid); !ok {
			return nil, &ObjectError{uuid, unknown(uuid)}
		}
	}
	p, err := planDeletion(tx, model.References(), uuids...)
	if err != nil {
		return nil, err
	}
	for _, d := range p.deleted {
		tx.guards.referrers(d)
		tx.write(d, nil)
	}
	for _, o := range p.cleared {
		if err := tx.Update(o); err != nil {
			return nil, err
		}
	}
	return p.deleted, nil
}

// deletion is what follows from the deletion of an object.
type deletion struct {
	deleted []string
	cleared []model.Object // clones without the references
}

type referrers interface {
	Referrers(uuid, ref string) iter.Seq[model.Object]
}

func planDeletion(rd referrers, refs []model.Reference, uuids ...string) (deletion, error) {
	p := deletion{deleted: slices.Clone(uuids)}
	goes := make(map[string]bool, len(uuids))
	for _, uuid := range uuids {
		goes[uuid] = true
	}
	type use struct {
		ref    model.Reference
		from   model.Object
		target string
	}
	var clear, restrict []use
	for i := 0; i < len(p.deleted); i++ {
		target := p.deleted[i]
		for _, ref := range refs {
			if ref.To != model.ByUUID(target) {
				continue
			}
			for _, o := range slices.SortedFunc(rd.Referrers(target, ref.Name), byID) {
				switch {
				case ref.Field.OnDelete == model.Clear:
					clear = append(clear, use{ref, o, target})
				case ref.Field.OnDelete == model.Restrict:
					restrict = append(restrict, use{ref, o, target})
				case !goes[o.Base().UUID]:
					p.deleted, goes[o.Base().UUID] = append(p.deleted, o.Base().UUID), true
				}
			}
		}
	}
	for _, u := range restrict {
		if !goes[u.from.Base().UUID] {
			return deletion{}, &ObjectError{uuids[0], model.Errorf(model.Conflict, "uuid", "%s is in use: %s of %s %s", u.target, u.ref.Field.Name, u.ref.From.Title(), u.from.Base().UUID)}
		}
	}
	cleared := map[string]model.Object{}
	for _, u := range clear {
		from := u.from.Base().UUID
		if goes[from] {
			continue
		}
		if cleared[from] == nil {
			cleared[from] = model.Clone(u.from)
			p.cleared = append(p.cleared, cleared[from])
		}
		u.ref.Field.Set(cleared[from], "")
	}
	return p, nil
}

func byID(a, b model.Object) int { return cmp.Compare(a.Base().ID, b.Base().ID) }
