package app

import (
	"context"
	"errors"
	"fmt"
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

// Apply creates the objects that are not there and changes those that differ: all in one transaction, or none. The order of the documents
// does not matter. Applied again it changes nothing. What a document does not mention stays as it is, and so does what cannot
// be changed and is given as null. A refusal that one document is the cause of is a *DocumentError.
func (a *App) Apply(ctx context.Context, docs []Document, w Write) (*Result, error) {
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
	res, err := a.write(ctx, w, func(u *unit) error {
		written = map[string]int{}
		u.written, u.wiringGiven = written, wiringGiven
		u.res.Outcomes = make([]Outcome, len(docs))
		meant := map[string]int{}
		for _, i := range order {
			u.document = i
			if err := u.applyOnce(docs, decoded[i], meant); err != nil {
				return &DocumentError{i, docs[i], err}
			}
		}
		return nil
	})
	var cause *store.ObjectError
	if errors.As(err, &cause) && !errors.As(err, new(*DocumentError)) {
		if i, ok := written[cause.UUID]; ok {
			err = &DocumentError{i, docs[i], cause.Err}
		}
	}
	return res, err
}

// applyOnce creates or changes the object of the present document, which no other may have meant: meant has their uuids.
func (u *unit) applyOnce(docs []Document, d *decodedParams, meant map[string]int) error {
	i := u.document
	old, err := u.existing(docs[i].Resource, d)
	if err != nil {
		return err
	}
	if old != nil {
		if other, ok := meant[old.Base().UUID]; ok {
			return model.Errorf(model.ArgumentError, "uuid", "%s is in the documents twice: also at %s[%d]", old.Base().UUID, docs[other].Resource.Plural, other)
		}
	}
	out, err := u.apply(docs[i].Resource, old, d)
	if err != nil {
		return err
	}
	meant[out.Object.Base().UUID], u.res.Outcomes[i] = i, out
	return nil
}

// apply creates the object of a document, or changes the old one.
func (u *unit) apply(r *model.Resource, old model.Object, d *decodedParams) (Outcome, error) {
	if old == nil {
		o, err := u.create(r, d)
		return Outcome{o, Created}, err
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
	fill(r, o)
	action := actionOf(old, o)
	if action == Updated {
		if err := u.update(r, old, o); err != nil {
			return Outcome{}, err
		}
	}
	if h := hooks[r]; h.reconcile != nil {
		moved, err := h.reconcile(u, o, d)
		if err != nil {
			return Outcome{}, err
		}
		if moved {
			action = Updated
		}
	}
	return Outcome{o, action}, nil
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
		if o := u.tx.ByUnique(r, q.Name, values...); o != nil {
			return o, nil
		}
	}
	if !keyed {
		return nil, model.Errorf(model.MissingArgument, "uuid", "is required in a document: without it, applying again would create another %s", r.Title())
	}
	return nil, nil
}
