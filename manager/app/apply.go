package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
)

// Document is one object of Apply.
type Document struct {
	Resource *model.Resource
	Params   Params
}

// DocumentError is a refusal of Apply that one document is the cause of. It unwraps to the *model.Error.
type DocumentError struct {
	Index    int // in the list that was given
	Document Document
	Err      error
}

// Error names the document.
func (e *DocumentError) Error() string {
	name := fmt.Sprintf("%s[%d]", e.Document.Resource.Plural, e.Index)
	if uuid, ok := e.Document.Params["uuid"].(string); ok {
		name += " " + uuid
	}
	return name + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *DocumentError) Unwrap() error { return e.Err }

// ApplyOptions say how to apply documents.
type ApplyOptions struct {
	Write
	Prune string // optional: labels a=b,c=d that the documents' objects get; others that have them all are deleted
}

// Apply creates the objects that are not there and changes those that differ: all in one transaction, or none. The order of the documents
// does not matter. Applied again it changes nothing. What a document does not mention stays as it is, and so does what cannot
// be changed and is given as null. A refusal that one document is the cause of is a *DocumentError.
func (a *App) Apply(ctx context.Context, docs []Document, o ApplyOptions) (*Result, error) {
	prune, err := model.ParseLabels(o.Prune)
	if err != nil {
		return nil, model.Errorf(model.ArgumentError, "prune", "%v", err)
	}
	decoded := make([]*decodedParams, len(docs))
	order := make([]int, len(docs))
	wiringGiven := false
	for i, doc := range docs {
		d, err := decode(doc.Resource, doc.Params)
		if err != nil {
			return nil, &DocumentError{i, doc, err}
		}
		decoded[i], order[i] = d, i
		if _, ok := doc.Params["automatic"]; ok && doc.Params["uuid"] == model.DefaultTopology {
			wiringGiven = true
		}
	}
	rank := map[*model.Resource]int{}
	for i, r := range model.All() {
		rank[r] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return rank[docs[i].Resource] - rank[docs[j].Resource] })
	var written map[string]int
	res, err := a.transact(ctx, o.Write, func(u *unit) error {
		written = map[string]int{}
		u.written, u.meant, u.wiringGiven = written, map[string]int{}, wiringGiven
		u.res.Outcomes = make([]Outcome, len(docs))
		if err := u.claim(docs, decoded); err != nil {
			return err
		}
		u.reserveMACs(docs, decoded)
		for _, i := range order {
			u.document = i
			if err := u.applyOnce(docs, decoded[i], prune); err != nil {
				return &DocumentError{i, docs[i], err}
			}
		}
		return u.prune(docs, prune)
	})
	var cause *store.ObjectError
	if errors.As(err, &cause) && !errors.As(err, new(*DocumentError)) {
		if i, ok := written[cause.UUID]; ok {
			err = &DocumentError{i, docs[i], cause.Err}
		}
	}
	return res, err
}

// claim notes the leases that documents of their own mean, so that an interface's document does not move them.
func (u *unit) claim(docs []Document, decoded []*decodedParams) error {
	for i, doc := range docs {
		if doc.Resource != model.IPLeases && doc.Resource != model.MACLeases {
			continue
		}
		o, err := u.existing(doc.Resource, decoded[i])
		if err != nil {
			return &DocumentError{i, doc, err}
		}
		if o != nil {
			if u.claimed == nil {
				u.claimed = map[string]bool{}
			}
			u.claimed[o.Base().UUID] = true
		}
	}
	return nil
}

// prune deletes the objects that have all the labels and are in no document, at once: they may use each other.
func (u *unit) prune(docs []Document, labels model.Labels) error {
	if labels == "" {
		return nil
	}
	var victims []model.Object
	var uuids []string
	for _, r := range slices.Backward(model.All()) { // what refers to others before those
		if r.Hidden {
			continue
		}
		for _, o := range u.tx.Base().List(r) {
			uuid := o.Base().UUID
			if _, ok := u.meant[uuid]; ok || o.Base().Labels == "" || !o.Base().Labels.Has(labels) || uuid == model.DefaultTopology {
				continue
			}
			if now, ok := u.tx.Get(uuid); ok { // else it went with another one
				victims, uuids = append(victims, now), append(uuids, uuid)
			}
		}
	}
	if len(victims) == 0 {
		return nil
	}
	kept := make(map[string]model.Object, len(u.meant))
	for uuid := range u.meant {
		kept[uuid], _ = u.tx.Get(uuid)
	}
	deleted, err := u.removeAll(victims, uuids)
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	for _, d := range deleted {
		i, ok := u.meant[d]
		if !ok {
			continue
		}
		with := "what"
		for _, ref := range model.Of(kept[d]).Refs {
			if uuid := ref.Field.Text(kept[d]); slices.Contains(deleted, uuid) {
				with = uuid + ", which"
				break
			}
		}
		return &DocumentError{i, docs[i], model.Errorf(model.Conflict, "", "%s would be deleted with %s has the labels %s and is in no document", d, with, labels)}
	}
	for _, o := range victims {
		u.res.Outcomes = append(u.res.Outcomes, Outcome{Object: o, Action: Deleted})
	}
	u.res.Deleted = append(u.res.Deleted, deleted...)
	return nil
}

// applyOnce creates or changes the object of the present document, which no other may have meant.
func (u *unit) applyOnce(docs []Document, d *decodedParams, labels model.Labels) error {
	i := u.document
	r := docs[i].Resource
	old, err := u.existing(r, d)
	if err != nil {
		return err
	}
	if old != nil {
		if other, ok := u.meant[old.Base().UUID]; ok {
			return model.Errorf(model.ArgumentError, "uuid", "%s is in the documents twice: also at %s[%d]", old.Base().UUID, docs[other].Resource.Plural, other)
		}
	}
	d, err = d.labelled(r, old, labels)
	if err != nil {
		return err
	}
	out, err := u.apply(r, old, d)
	if err != nil {
		return err
	}
	u.meant[out.Object.Base().UUID], u.res.Outcomes[i] = i, out
	return nil
}

// labelled adds labels to those that are given, or that the old object has.
func (d *decodedParams) labelled(r *model.Resource, old model.Object, labels model.Labels) (*decodedParams, error) {
	if labels == "" {
		return d, nil
	}
	f := r.Field("labels")
	have, given := d.values[f].(model.Labels)
	if !given && old != nil {
		have = old.Base().Labels
	}
	m := have.Map()
	maps.Copy(m, labels.Map())
	all, err := model.MakeLabels(m)
	if err != nil {
		return nil, model.Errorf(model.ArgumentError, "labels", "%v", err)
	}
	with := *d
	with.values = maps.Clone(d.values)
	with.values[f] = all
	if !given {
		with.fields = append(slices.Clip(d.fields), f)
	}
	return &with, nil
}

// apply creates the object of a document, or changes the old one.
func (u *unit) apply(r *model.Resource, old model.Object, d *decodedParams) (Outcome, error) {
	if old == nil {
		return u.create(r, d)
	}
	o := model.Clone(old)
	d.set(o)
	o.Base().UUID = old.Base().UUID
	for _, f := range d.fields {
		if f.Text(o) == f.Text(old) || f.Name == "uuid" {
			continue
		}
		if d.empty[f] && !f.Mutable {
			f.Set(o, f.Get(old))
		} else if err := mayChange(r, f); err != nil {
			return Outcome{}, err
		}
	}
	return u.change(r, old, o, d)
}

// existing gives the object that a document means: by its uuid, or by values that are unique.
func (u *unit) existing(r *model.Resource, d *decodedParams) (model.Object, error) {
	probe := r.New()
	d.set(probe)
	if uuid := probe.Base().UUID; uuid != "" {
		o, _ := u.tx.Get(uuid)
		return o, nil
	}
	keyed := false
	for _, q := range r.Uniques {
		if _, ok := q.Key(probe); !ok {
			continue
		}
		keyed = true
		values := make([]string, len(q.Fields))
		for i, f := range q.Fields {
			values[i] = f.Text(probe)
		}
		if o := u.tx.ByUnique(r, q.Name, values...); o != nil && model.Of(o) == r {
			return o, nil
		}
	}
	if !keyed {
		return nil, model.Errorf(model.MissingArgument, "uuid", "is required in a document: without it, applying again would create another %s", r.Title())
	}
	return nil, nil
}
