// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// The way of a frame that a guest sends: its type chooses the feature, and what no feature takes goes on to Open vSwitch
// untouched. Include after ctx_xdp.h or ctx_tc.h.

#pragma once

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

#include "count.h"
#include "mac.h"
#include "port.h"
#include "ipv4.h"
#include "ipv6.h"
#include "arp.h"
#include "nd.h"

static __always_inline int guest(ctx_t *ctx)
{
	const struct ov_port *port;
	const struct ethhdr *eth;

	// The type before the port: bulk traffic costs comparisons, not a look into a map.
	if (!ctx_head(ctx, sizeof(*eth), (const void **)&eth) || ctx_tagged(ctx))
		return CTX_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_ARP)) {
		port = port_lookup(ctx, OV_FEATURE_ARP);
		if (port)
			return arp(ctx, port);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && nd_solicits(ctx)) {
		port = port_lookup(ctx, OV_FEATURE_ND);
		if (port)
			return nd(ctx, port);
	}
	return CTX_PASS;
}
