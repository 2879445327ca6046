// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// IPv4 addresses that the host knows: what an interface may send from, and who has an address in a network.

#pragma once

struct ov_source_key {
	__u32 interface_id;
	__u8 addr[4]; // as in the packet
};

struct ov_source {
	__u32 network_id;
	__u8 mac[6]; // that the address must come with
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ov_source_key);
	__type(value, struct ov_source);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_sources_v1 SEC(".maps");

struct ov_neighbor_key {
	__u32 network_id;
	__u8 addr[4]; // as in the packet
};

struct ov_neighbor {
	__u32 interface_id; // that has the address
	__u8 mac[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ov_neighbor_key);
	__type(value, struct ov_neighbor);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_neighbors_v1 SEC(".maps");

static __always_inline bool ipv4_zero(const __u8 *addr)
{
	return !(addr[0] | addr[1] | addr[2] | addr[3]);
}

static __always_inline bool ipv4_equal(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

// source_network: the network in which the interface of the port may send from addr and mac; 0: in none. The address
// 0.0.0.0 asks for the port's default network and MAC.
static __always_inline __u32 source_network(const struct ov_port *port, const __u8 *addr, const __u8 *mac)
{
	struct ov_source_key key = { .interface_id = port->interface_id };
	const struct ov_source *source;

	if (ipv4_zero(addr))
		return mac_equal(mac, port->mac) ? port->network_id : 0;
	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	source = bpf_map_lookup_elem(&ov_sources_v1, &key);
	return source && mac_equal(mac, source->mac) ? source->network_id : 0;
}

static __always_inline const struct ov_neighbor *neighbor_lookup(__u32 network_id, const __u8 *addr)
{
	struct ov_neighbor_key key = { .network_id = network_id };

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&ov_neighbors_v1, &key);
}
