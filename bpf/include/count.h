// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// What became of the frames that the fast path looked at, counted by reason.

#pragma once

// The name is OV_<verdict>_<reason>. Numbers are never reused; a new one is appended, and named in reason.go.
enum ov_reason {
	OV_ANSWER_ARP = 0, // known lease, answered at the port
	OV_PASS_ARP_MISS = 1, // request for an address that is no known lease of the network
	OV_PASS_ARP_OWN = 2, // gratuitous, or a request for an address of the asking interface itself
	OV_PASS_ARP_OTHER = 3, // sender is right; a reply, another operation, or unicast to somebody else
	OV_DROP_ARP_SENDER = 4, // sender address or MAC is not one of the interface, or not the frame's
	OV_DROP_ARP_MALFORMED = 5, // truncated, or not Ethernet and IPv4
	OV_ANSWER_ND = 6, // known lease, answered at the port
	OV_PASS_ND_MISS = 7, // solicitation of an address that is no known lease of the network
	OV_PASS_ND_OWN = 8, // duplicate address detection, or for an address of the asking interface itself
	OV_PASS_ND_OTHER = 9, // other options, or to somebody else
	OV_DROP_ND_SENDER = 10, // sender address or MAC is not one of the interface, or not the frame's
	OV_DROP_ND_MALFORMED = 11, // truncated, through a router, or not a question that may be answered
	OV_DROP_LIMIT_ARP = 32, // more than the port may send of that class; up to 47 in the order of enum ov_class
	OV_DROP_LIMIT_ND = 33,
	OV_DROP_LIMIT_DHCP4 = 34,
	OV_DROP_LIMIT_DHCP6 = 35,
	OV_DROP_LIMIT_RA = 36,
	OV_DROP_LIMIT_DNS = 37,
	OV_DROP_LIMIT_METADATA = 38,
	OV_DROP_LIMIT_ERROR = 39,
	OV_DROP_LIMIT_ECHO = 40,
};

#define OV_REASONS 64 // room, so that a new reason changes no map

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum ov_reason); // so that it is in the BTF, and Go gets it
	__type(value, __u64);
	__uint(max_entries, OV_REASONS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_counters_v1 SEC(".maps");

// count: adds one and gives the verdict back. A CPU is not interrupted by another frame of the same hook, so a plain
// add is enough.
static __always_inline int count(enum ov_reason reason, int verdict)
{
	__u64 *n = bpf_map_lookup_elem(&ov_counters_v1, &reason);

	if (n)
		(*n)++;
	return verdict;
}
