// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// ARP over Ethernet for IPv4 (RFC 826; probes and announcements: RFC 5227): the sender is guarded, a request for a known
// lease of another interface is answered, everything else is left to Open vSwitch, as
// much of it as a port may send.

#pragma once

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

// RFC 826 numbers; <linux/if_arp.h> takes libc headers.
enum {
	ARP_ETHERNET = 1,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

struct arp_frame {
	__u8 eth_dst[6];
	__u8 eth_src[6];
	__be16 eth_type;
	__be16 htype;
	__be16 ptype;
	__u8 hlen;
	__u8 plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
};

_Static_assert(sizeof(struct arp_frame) == 42, "an ARP frame has no padding");

static __always_inline bool arp_wellformed(const struct arp_frame *arp)
{
	return arp->htype == bpf_htons(ARP_ETHERNET) && arp->ptype == bpf_htons(ETH_P_IP) &&
	       arp->hlen == sizeof(arp->sha) && arp->plen == sizeof(arp->spa);
}

static __always_inline int arp(ctx_t *ctx, const struct ov_port *port)
{
	const struct ov_neighbor *target;
	const struct arp_frame *req;
	struct arp_frame answer;
	enum ov_reason pass;
	__u32 network_id;
	bool request;

	if (!ctx_head(ctx, sizeof(*req), (const void **)&req) || !arp_wellformed(req))
		return count(OV_DROP_ARP_MALFORMED, CTX_DROP);

	request = req->op == bpf_htons(ARP_REQUEST);
	network_id = source_network(port, req->spa, req->sha);
	if (!network_id || !mac_equal(req->eth_src, req->sha) || (!request && ipv4_zero(req->spa)))
		return count(OV_DROP_ARP_SENDER, CTX_DROP);

	pass = OV_PASS_ARP_OTHER;
	if (!request)
		goto pass;
	pass = OV_PASS_ARP_OWN;
	if (ipv4_equal(req->spa, req->tpa))
		goto pass;

	pass = OV_PASS_ARP_MISS;
	target = neighbor_lookup(network_id, req->tpa);
	if (!target)
		goto pass;
	pass = OV_PASS_ARP_OWN;
	if (target->interface_id == port->interface_id)
		goto pass;
	pass = OV_PASS_ARP_OTHER;
	if (!mac_broadcast(req->eth_dst) && !mac_equal(req->eth_dst, target->mac))
		goto pass;

	answer.eth_type = req->eth_type;
	answer.htype = req->htype;
	answer.ptype = req->ptype;
	answer.hlen = req->hlen;
	answer.plen = req->plen;
	answer.op = bpf_htons(ARP_REPLY);
	mac_copy(answer.eth_dst, req->sha);
	mac_copy(answer.eth_src, target->mac);
	mac_copy(answer.sha, target->mac);
	mac_copy(answer.tha, req->sha);
	__builtin_memcpy(answer.spa, req->tpa, sizeof(answer.spa));
	__builtin_memcpy(answer.tpa, req->spa, sizeof(answer.tpa));
	return count(OV_ANSWER_ARP, ctx_answer(ctx, &answer, sizeof(answer)));

pass:
	return limited(ctx, OV_CLASS_ARP, pass);
}
