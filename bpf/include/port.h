// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Ports of guests: which interface is behind an ifindex. A port that is not here is none of the fast path's business.

#pragma once

// What the fast path does on a port; what it does not do is left to Open vSwitch.
enum ov_feature {
	OV_FEATURE_ARP = 1, // guard the sender, answer requests for known leases
	OV_FEATURE_ND = 2, // the same with neighbour solicitations
};

struct ov_port {
	__u32 interface_id;
	__u32 network_id; // of frames without a source address (ARP probes); 0: none
	enum ov_feature features; // or-ed
	__u8 mac[6]; // that such frames must have
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); // ifindex
	__type(value, struct ov_port);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_ports_v1 SEC(".maps");

static __always_inline const struct ov_port *port_lookup(const ctx_t *ctx, enum ov_feature feature)
{
	__u32 ifindex = ctx_port(ctx);
	const struct ov_port *port = bpf_map_lookup_elem(&ov_ports_v1, &ifindex);

	return port && port->features & feature ? port : 0;
}
