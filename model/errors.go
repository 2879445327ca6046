package model

import "fmt"

// Class is a kind of error that a client of the Web API can act on. Names, HTTP statuses and codes are OpenVNet's.
type Class struct {
	Name   string // the "error" member of the body
	Status int    // HTTP status
	Code   string // the "code" member of the body
}

// The classes of OpenVNet 1.0, and those that it lacked (from Conflict on).
var (
	UnknownUUIDResource   = Class{"UnknownUUIDResource", 404, "100"}
	InvalidUUID           = Class{"InvalidUUID", 400, "101"}
	DuplicateUUID         = Class{"DuplicateUUID", 400, "102"}
	InvalidID             = Class{"InvalidID", 400, "103"}
	ArgumentError         = Class{"ArgumentError", 400, "110"}
	MissingArgument       = Class{"MissingArgument", 400, "111"}
	RelationAlreadyExists = Class{"RelationAlreadyExists", 400, "112"}
	UnknownResource       = Class{"UnknownResource", 404, "114"}

	// Conflict: the request is well formed but what the store holds refuses it: a value that must be unique is taken, an
	// object is still in use, an If-Match revision is old.
	Conflict = Class{"Conflict", 409, "115"}
	// Exhausted: nothing is left in the range that a value must be allocated from.
	Exhausted = Class{"Exhausted", 409, "116"}

	// Forbidden: who asks may not do this; with Unauthorized the request does not say who asks, or not credibly.
	Forbidden    = Class{"Forbidden", 403, "120"}
	Unauthorized = Class{"Unauthorized", 401, "121"}
	// TooManyRequests: too many at a time; the header Retry-After says when to come back.
	TooManyRequests = Class{"TooManyRequests", 429, "122"}
)

// Error is a refusal of a request: which class, which field, and the reason in words. It is the only error type that the
// Web API turns into a 4xx.
type Error struct {
	Class  Class
	Field  string // the parameter at fault, "" when it is none in particular
	Reason string // a sentence without the field's name: "is not an IPv4 address"
}

// Error gives "field: reason".
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

// Errorf makes an *Error; field may be empty.
func Errorf(class Class, field, format string, args ...any) *Error {
	return &Error{Class: class, Field: field, Reason: fmt.Sprintf(format, args...)}
}
