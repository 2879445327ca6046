// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// IPv6 addresses that the host knows: what an interface may send from, and who has an address in a network. See ipv4.h.

#pragma once

struct ov_source6_key {
	__u32 interface_id;
	__u8 addr[16]; // as in the packet
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ov_source6_key);
	__type(value, struct ov_source);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_sources6_v1 SEC(".maps");

struct ov_neighbor6_key {
	__u32 network_id;
	__u8 addr[16]; // as in the packet
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ov_neighbor6_key);
	__type(value, struct ov_neighbor);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_neighbor6_v1 SEC(".maps");

// Addresses are at even offsets in frames and map keys: they are copied and compared by words.

static __always_inline void ipv6_copy(__u8 *to, const __u8 *from)
{
	__u16 *x = (__u16 *)to;
	const __u16 *y = (const __u16 *)from;

	for (int i = 0; i < 8; i++)
		x[i] = y[i];
}

static __always_inline bool ipv6_equal(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;
	__u16 differ = 0;

	for (int i = 0; i < 8; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

static __always_inline bool ipv6_zero(const __u8 *addr)
{
	const __u16 *x = (const __u16 *)addr;
	__u16 any = 0;

	for (int i = 0; i < 8; i++)
		any |= x[i];
	return !any;
}

// ipv6_link_local: whether the address is of fe80::/64.
static __always_inline bool ipv6_link_local(const __u8 *addr)
{
	const __u16 *x = (const __u16 *)addr;

	return x[0] == bpf_htons(0xfe80) && !(x[1] | x[2] | x[3]);
}

// ipv6_sum: what the address adds to a checksum.
static __always_inline __u32 ipv6_sum(const __u8 *addr)
{
	const __u16 *x = (const __u16 *)addr;
	__u32 sum = 0;

	for (int i = 0; i < 8; i++)
		sum += x[i];
	return sum;
}

// ipv6_solicited_node: whether dst is the multicast address on which who has addr listens for questions (RFC 4291,
// section 2.7.1).
static __always_inline bool ipv6_solicited_node(const __u8 *dst, const __u8 *addr)
{
	const __u16 *x = (const __u16 *)dst, *y = (const __u16 *)addr;

	return x[0] == bpf_htons(0xff02) && !(x[1] | x[2] | x[3] | x[4]) && x[5] == bpf_htons(1) &&
	       dst[12] == 0xff && dst[13] == addr[13] && x[7] == y[7];
}

// source6_network: the network in which the interface of the port may send from addr and mac; 0: in none.
static __always_inline __u32 source6_network(const struct ov_port *port, const __u8 *addr, const __u8 *mac)
{
	struct ov_source6_key key = { .interface_id = port->interface_id };
	const struct ov_source *source;

	ipv6_copy(key.addr, addr);
	source = bpf_map_lookup_elem(&ov_sources6_v1, &key);
	return source && mac_equal(mac, source->mac) ? source->network_id : 0;
}

static __always_inline const struct ov_neighbor *neighbor6_lookup(__u32 network_id, const __u8 *addr)
{
	struct ov_neighbor6_key key = { .network_id = network_id };

	ipv6_copy(key.addr, addr);
	return bpf_map_lookup_elem(&ov_neighbor6_v1, &key);
}
