// Package dns answers DNS questions of guests: what a [Zone] of records and of guests' names knows by authority, and says of the rest what has to be asked of
// servers elsewhere, whose answers it keeps in a [Cache]. It is pure: bytes in, bytes out, with a dense [Verdict]; who has sockets is the agent, which imports it.
//
// A zone is what one simulated interface answers. In a network's domain the names of guests are made of their leases. Questions are read and answers
// written with github.com/miekg/dns; what is malformed is refused here, and counted by reason.
//
// What follows: RFC 1034 and 1035 (names, messages), 2181 (sets of records), 2308 (negative answers), 2782 (SRV), 3596 (AAAA), 4592 (wildcards), 6303 (private
// reverse zones), 6761 (names for special use), 6891 (EDNS), 8482 (ANY). No transfers, updates, or signatures of its own.
package dns
