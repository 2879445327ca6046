package api

import (
	"net/http"

	"github.com/openvnet/openvnet/manager/app"
)

// What the tests, which are outside the package because apitest imports it, need of its inside.
const (
	MaxBody   = maxBody
	AccessTag = accessTag
)

var (
	Filterable      = filterable
	Settable        = settable
	StaleRevision   = staleRevision
	RequestTooLarge = requestTooLarge
)

// Body reads a request's body as parameters, and as the documents of an apply.
func Body(r *http.Request) (p app.Params, perr, aerr error) {
	text, kind, err := readBody(r, maxBody)
	if err != nil {
		return nil, err, err
	}
	p, perr = parseParams(kind, text)
	_, aerr = parseApply(kind, text)
	return p, perr, aerr
}

// Controls are the names that no field may have; IsFixed says whether a path that is no resource's begins so.
func Controls() []string { return append(append([]string{}, writeControls...), listControls...) }

func IsFixed(elem string) bool { return (&handler{}).fixed([]string{elem}) != nil }
