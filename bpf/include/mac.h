// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Ethernet addresses. Every one in a frame or a map value is at an even offset.

#pragma once

#include <bpf/bpf_endian.h>

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

static __always_inline bool mac_broadcast(const __u8 *a)
{
	const __u16 *x = (const __u16 *)a;

	return (x[0] & x[1] & x[2]) == 0xffff;
}

// mac_of_ipv6: whether a is the Ethernet address of an IPv6 multicast address (RFC 2464, section 7).
static __always_inline bool mac_of_ipv6(const __u8 *a, const __u8 *group)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)group;

	return x[0] == bpf_htons(0x3333) && x[1] == y[6] && x[2] == y[7];
}

static __always_inline void mac_copy(__u8 *to, const __u8 *from)
{
	__u16 *x = (__u16 *)to;
	const __u16 *y = (const __u16 *)from;

	x[0] = y[0];
	x[1] = y[1];
	x[2] = y[2];
}
