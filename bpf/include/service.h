// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// What the host itself answers, or its agent: which class a packet is in. A packet is in none that is for somebody else.

#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_endian.h>

// A simulated interface that is at this host. Its MAC address is nobody else's in any network.
struct ov_simulated_key {
	__u8 mac[6]; // zero of an address that is served whatever MAC address a packet for it has
	__u8 addr[16]; // one of its addresses, of IPv4 mapped into IPv6 (RFC 4291, section 2.5.5.2); zero stands for all that is sent to it
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ov_simulated_key);
	__type(value, __u32); // interface id
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_simulated_v1 SEC(".maps");

enum {
	NO_CLASS = OV_CLASSES,

	PORT_DNS = 53,
	PORT_DHCP_SERVER = 67,
	PORT_DHCP_CLIENT = 68,
	PORT_HTTP = 80,
	PORT_DHCP6_CLIENT = 546,
	PORT_DHCP6_SERVER = 547,

	ICMP_ASK = 8,
	ICMP6_ASK = 128,
	ND_ROUTER_SOLICITATION = 133,
	ND_FIRST = 133,
	ND_LAST = 137,

	FRAGMENT_OFFSET = 0x1fff,
};

struct ipv4_head {
	__u8 eth_dst[6];
	__u8 eth_src[6];
	__be16 eth_type;
	__u8 version_ihl;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__sum16 checksum;
	__u8 src[4];
	__u8 dst[4];
};

_Static_assert(sizeof(struct ipv4_head) == 34, "an IPv4 header has no padding");

struct ports {
	__be16 src;
	__be16 dst;
};

static __always_inline bool simulated(const struct ov_simulated_key *key)
{
	return bpf_map_lookup_elem(&ov_simulated_v1, key);
}

// served_port: the class of what goes to a port of an address that may be a simulated interface's.
static __always_inline enum ov_class served_port(__u8 protocol, __be16 port)
{
	if (port == bpf_htons(PORT_DNS))
		return OV_CLASS_DNS;
	return protocol == IPPROTO_TCP && port == bpf_htons(PORT_HTTP) ? OV_CLASS_METADATA : NO_CLASS;
}

// class_of: that of what is for a simulated interface's address if it is one's, or whose last hop is used up there.
static __always_inline enum ov_class class_of(struct ov_simulated_key *to, enum ov_class class, bool last_hop)
{
	if (class != NO_CLASS) {
		struct ov_simulated_key any = *to;

		__builtin_memset(any.mac, 0, sizeof(any.mac));
		if (simulated(to) || simulated(&any))
			return class;
	}
	if (!last_hop)
		return NO_CLASS;
	__builtin_memset(to->addr, 0, sizeof(to->addr));
	return simulated(to) ? OV_CLASS_ERROR : NO_CLASS;
}

static __always_inline enum ov_class ipv4_class(ctx_t *ctx)
{
	struct ov_simulated_key to = { .addr = { [10] = 0xff, [11] = 0xff } };
	enum ov_class class = NO_CLASS;
	const struct ipv4_head *ip;
	struct ports ports;
	__u8 type;
	__u32 l4;

	if (!ctx_head(ctx, sizeof(*ip), (const void **)&ip))
		return NO_CLASS;
	mac_copy(to.mac, ip->eth_dst);
	__builtin_memcpy(&to.addr[12], ip->dst, sizeof(ip->dst));
	l4 = sizeof(struct ethhdr) + (ip->version_ihl & 0xf) * 4;
	if (ip->fragment & bpf_htons(FRAGMENT_OFFSET)) {
		// It has no ports.
	} else if (ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_TCP) {
		if (ctx_load(ctx, l4, &ports, sizeof(ports)))
			return NO_CLASS;
		if (ip->protocol == IPPROTO_UDP && ports.src == bpf_htons(PORT_DHCP_CLIENT) && ports.dst == bpf_htons(PORT_DHCP_SERVER))
			return OV_CLASS_DHCP4;
		class = served_port(ip->protocol, ports.dst);
	} else if (ip->protocol == IPPROTO_ICMP) {
		if (ctx_load(ctx, l4, &type, sizeof(type)))
			return NO_CLASS;
		class = type == ICMP_ASK ? OV_CLASS_ECHO : NO_CLASS;
	}
	return class_of(&to, class, ip->ttl <= 1);
}

// ipv6_class: extension headers are not looked behind.
static __always_inline enum ov_class ipv6_class(ctx_t *ctx)
{
	struct ov_simulated_key to = {};
	enum ov_class class = NO_CLASS;
	const struct ipv6_head *ip;
	struct ports ports;
	__u8 type;

	if (!ctx_head(ctx, sizeof(*ip), (const void **)&ip))
		return NO_CLASS;
	mac_copy(to.mac, ip->eth_dst);
	ipv6_copy(to.addr, ip->dst);
	if (ip->next_header == IPPROTO_UDP || ip->next_header == IPPROTO_TCP) {
		if (ctx_load(ctx, sizeof(*ip), &ports, sizeof(ports)))
			return NO_CLASS;
		if (ip->next_header == IPPROTO_UDP && ports.src == bpf_htons(PORT_DHCP6_CLIENT) && ports.dst == bpf_htons(PORT_DHCP6_SERVER))
			return OV_CLASS_DHCP6;
		class = served_port(ip->next_header, ports.dst);
	} else if (ip->next_header == IPPROTO_ICMPV6) {
		if (ctx_load(ctx, sizeof(*ip), &type, sizeof(type)))
			return NO_CLASS;
		if (type == ND_ROUTER_SOLICITATION)
			return OV_CLASS_RA;
		if (type >= ND_FIRST && type <= ND_LAST)
			return OV_CLASS_ND;
		class = type == ICMP6_ASK ? OV_CLASS_ECHO : NO_CLASS;
	}
	return class_of(&to, class, ip->hop_limit <= 1);
}
