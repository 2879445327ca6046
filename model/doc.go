// Package model is the domain: every resource of the network hypervisor as a plain Go struct, declared once with its
// fields, references, uniqueness, cascade, validation and reach. The Web API and its OpenAPI schema, the command line,
// the store's keys and indexes, what a host is sent and the documentation all derive from these declarations; to add a
// resource with plain create, read, update and delete is to add one file here.
//
// It holds no state, does no I/O and knows neither etcd, HTTP, OpenFlow nor a kernel. Everything imports it; it imports
// nothing of the project but internal packages.
package model
