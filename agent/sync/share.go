package sync

import (
	"errors"
	"fmt"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// maxShare bounds the objects of a snapshot, and of a delta.
const maxShare = 4_000_000

// refused is the manager's reason for ending the stream.
type refused string

func (r refused) Error() string { return "the manager refuses: " + string(r) }

// receiver follows the protocol as the manager speaks it, and collects the parts of what is handed over whole. After an
// error it is of no use any more.
type receiver struct {
	welcome  *wire.Welcome
	objects  []model.Object // of the snapshot that is coming
	revision int64          // handed over last; 0 before the bookmark
	coming   int64          // revision of the delta that is coming in parts, 0 for none
	upserts  []model.Object
	deletes  []string
}

// delivery is what a message has completed.
type delivery struct {
	kind     kind
	revision int64
	objects  []model.Object // of a snapshot, or the upserts
	deletes  []string
}

type kind int

const (
	nothing kind = iota
	welcomed
	snapshot
	delta
)

// take takes one message.
func (r *receiver) take(m wire.FromManager) (delivery, error) {
	members := 0
	for _, set := range []bool{m.Welcome != nil, m.Refused != nil, m.Objects != nil, m.Bookmark != nil, m.Delta != nil} {
		if set {
			members++
		}
	}
	switch {
	case members == 0:
		return delivery{}, nil // ping
	case members > 1:
		return delivery{}, errors.New("several messages in one")
	case m.Refused != nil:
		return delivery{}, refused(clip(m.Refused.Reason))
	case m.Welcome != nil:
		return r.takeWelcome(m.Welcome)
	case r.welcome == nil:
		return delivery{}, errors.New("the first message is not a welcome")
	case m.Objects != nil:
		return delivery{}, r.takeObjects(m.Objects)
	case m.Bookmark != nil:
		return r.takeBookmark(m.Bookmark)
	}
	return r.takeDelta(m.Delta)
}

func (r *receiver) takeWelcome(w *wire.Welcome) (delivery, error) {
	if r.welcome != nil {
		return delivery{}, errors.New("a second welcome")
	}
	if w.Store == "" {
		return delivery{}, errors.New("welcome: store is not set")
	}
	if err := model.Datapaths.CheckUUID(w.Datapath); err != nil {
		return delivery{}, fmt.Errorf("welcome: %w", err)
	}
	r.welcome = w
	return delivery{kind: welcomed}, nil
}

func (r *receiver) takeObjects(objects []wire.Object) (err error) {
	if r.revision > 0 {
		return errors.New("objects after the bookmark")
	}
	r.objects, err = decode(r.objects, objects)
	return err
}

func (r *receiver) takeBookmark(b *wire.Bookmark) (delivery, error) {
	if r.revision > 0 {
		return delivery{}, errors.New("a second bookmark")
	}
	if b.Revision <= 0 {
		return delivery{}, fmt.Errorf("bookmark: revision %d", b.Revision)
	}
	seen := make(map[string]struct{}, len(r.objects))
	for _, o := range r.objects {
		seen[o.Base().UUID] = struct{}{}
	}
	if len(seen) != len(r.objects) {
		return delivery{}, errors.New("an object comes twice in the snapshot")
	}
	r.revision = b.Revision
	d := delivery{kind: snapshot, revision: b.Revision, objects: r.objects}
	r.objects = nil
	return d, nil
}

func (r *receiver) takeDelta(d *wire.Delta) (_ delivery, err error) {
	switch {
	case r.revision == 0:
		return delivery{}, errors.New("a delta before the bookmark")
	case d.Revision <= r.revision:
		return delivery{}, fmt.Errorf("a delta of revision %d after revision %d", d.Revision, r.revision)
	case r.coming != 0 && r.coming != d.Revision:
		return delivery{}, fmt.Errorf("a part of revision %d within a delta of revision %d", d.Revision, r.coming)
	case len(r.deletes)+len(d.Deletes) > maxShare:
		return delivery{}, fmt.Errorf("a delta of more than %d removals", maxShare)
	}
	if r.upserts, err = decode(r.upserts, d.Upserts); err != nil {
		return delivery{}, err
	}
	r.deletes = append(r.deletes, d.Deletes...)
	if d.More {
		r.coming = d.Revision
		return delivery{}, nil
	}
	whole := delivery{kind: delta, revision: d.Revision, objects: r.upserts, deletes: r.deletes}
	r.revision, r.coming, r.upserts, r.deletes = d.Revision, 0, nil, nil
	return whole, nil
}

func decode(to []model.Object, from []wire.Object) ([]model.Object, error) {
	if len(to)+len(from) > maxShare {
		return nil, fmt.Errorf("more than %d objects", maxShare)
	}
	for _, w := range from {
		o, err := w.Model()
		if err != nil {
			return nil, err
		}
		if err := model.Of(o).CheckUUID(o.Base().UUID); err != nil {
			return nil, fmt.Errorf("object on the stream: %w", err)
		}
		to = append(to, o)
	}
	return to, nil
}

// maxReason bounds what is kept of a text from the manager, in bytes.
const maxReason = 1000

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return s[:maxReason] + "..."
}
