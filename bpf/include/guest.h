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
#include "limit.h"
#include "arp.h"
#include "nd.h"
#include "service.h"

static __always_inline int guest(ctx_t *ctx)
{
	const struct ov_port *port;
	enum ov_class class = NO_CLASS;
	const struct ethhdr *eth;

	// The type before the port: bulk traffic costs comparisons, and a look into a map only where it may be for the host itself.
	if (!ctx_head(ctx, sizeof(*eth), (const void **)&eth) || ctx_tagged(ctx))
		return CTX_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_ARP)) {
		port = port_lookup(ctx, OV_FEATURE_ARP);
		if (port)
			return arp(ctx, port);
		class = OV_CLASS_ARP;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if (nd_solicits(ctx)) {
			port = port_lookup(ctx, OV_FEATURE_ND);
			if (port)
				return nd(ctx, port);
		}
		class = ipv6_class(ctx);
	} else if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		class = ipv4_class(ctx);
	}
	return class == NO_CLASS || within(ctx, class) ? CTX_PASS : exceeded(class);
}
