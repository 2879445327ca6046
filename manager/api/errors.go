package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
)

// Classes of the Web API itself; those of the domain are model's.
var (
	methodNotAllowed = model.Class{Name: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Code: "405"}
	requestTimeout   = model.Class{Name: "RequestTimeout", Status: http.StatusRequestTimeout, Code: "408"}
	requestTooLarge  = model.Class{Name: "RequestTooLarge", Status: http.StatusRequestEntityTooLarge, Code: "413"}
	// staleRevision is a Conflict (see If-Match in the package comment) with the status that RFC 9110, section 13.1.1 asks for.
	staleRevision = model.Class{Name: model.Conflict.Name, Status: http.StatusPreconditionFailed, Code: model.Conflict.Code}
	unavailable   = model.Class{Name: "Unavailable", Status: http.StatusServiceUnavailable, Code: "503"}
	internalError = model.Class{Name: "InternalError", Status: http.StatusInternalServerError, Code: "500"}
)

// ifMatch is the field of refusals because of that header.
const ifMatch = "If-Match"

// classes gives every class that a response can have, for the description of the API.
func classes() []model.Class {
	return []model.Class{
		model.UnknownUUIDResource, model.InvalidUUID, model.DuplicateUUID, model.InvalidID, model.ArgumentError, model.MissingArgument,
		model.RelationAlreadyExists, model.UnknownResource, model.Conflict, model.Exhausted,
		model.Forbidden, model.Unauthorized, model.TooManyRequests, staleRevision,
		methodNotAllowed, requestTimeout, requestTooLarge, unavailable, internalError,
	}
}

// refusal gives the error as the client is told it. Whatever is neither a refusal nor a matter of time is a fault of ours; only
// then fault is true, and the client gets the request's id and nothing of the cause.
func refusal(err error, id string) (e *model.Error, fault bool) {
	switch {
	case errors.As(err, &e):
		if e.Class == model.Conflict && e.Field == ifMatch {
			e = &model.Error{Class: staleRevision, Field: e.Field, Reason: e.Reason}
		}
		return e, false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &model.Error{Class: unavailable, Reason: "the request took too long and was given up; a change may have been made all the same"}, false
	case errors.Is(err, store.ErrClosed):
		return &model.Error{Class: unavailable, Reason: "the manager is about to stop"}, false
	}
	return &model.Error{Class: internalError, Reason: "internal error; vnmgr's log has it under request " + id}, true
}

// errorRecord is the body of a refusal.
func errorRecord(e *model.Error) record {
	r := record{{"error", e.Class.Name}, {"message", e.Error()}, {"code", e.Class.Code}}
	if e.Field != "" {
		r.add("parameter", e.Field)
	}
	return r
}

func refusef(class model.Class, field, format string, args ...any) error {
	return &model.Error{Class: class, Field: field, Reason: fmt.Sprintf(format, args...)}
}
