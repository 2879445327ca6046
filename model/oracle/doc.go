// Package oracle is docs/packets.md as a function: what becomes of one frame in a network that is described by the model's objects. Given where
// the frame enters, and what the filters and routers remember, World.Judge says which frames come out where, what goes to an agent, and where
// and why a copy of it ends. It is the judge that flows and programs are compared with, so it shares no code with them, knows neither tables
// nor hosts' exchanges, and is written to be read beside the document: a file for each section.
//
//	packet.go, icmp.go, write.go     what a frame says; how it is changed, checksums included
//	world.go, place.go, station.go   section 1: domains, stations, places
//	entry.go, guest.go               section 2: what may be sent, by guests, by devices outside, by hosts
//	answer.go                        section 3: what the host answers itself
//	filter.go, group.go              section 4: static filters, security groups
//	l2.go                            section 5: layer 2
//	route.go, size.go                section 6: routing
//	translate.go                     section 7: translation
//	outcome.go                       section 8: copies for mirrors; what a judgement is
//	conversation.go                  the memory of sections 4, 6 and 7
//
// Where docs/packets.md leaves something open, the comment of the function that decides it begins with "Open:".
//
// It is a model without time: rates drop nothing, nothing is forgotten, and a TCP segment is judged by its addresses and ports alone. Imported
// by the verifier and by tests.
package oracle
