// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Neighbour solicitations over Ethernet (RFC 4861): the sender is guarded, a question for a known lease of another
// interface is answered, everything else is left to Open vSwitch: duplicate address detection, questions from a link-local
// address that is not known, which the sender may claim, options but one with the sender's MAC, extension headers. The
// checksum of a question is not looked at, that of an answer is made anew.

#pragma once

#include <linux/if_ether.h>
#include <linux/in6.h>
#include <bpf/bpf_endian.h>

enum {
	ND_SOLICITATION = 135,
	ND_ADVERTISEMENT = 136,
	ND_SOURCE_LINK = 1, // options
	ND_TARGET_LINK = 2,
	ND_HOP_LIMIT = 255, // it came through no router
	ND_ANSWER = 0x6000, // flags: solicited, override
};

struct ipv6_head {
	__u8 eth_dst[6];
	__u8 eth_src[6];
	__be16 eth_type;
	__be16 class_label[2]; // version, traffic class, flow label
	__be16 length;
	__u8 next_header;
	__u8 hop_limit;
	__u8 src[16];
	__u8 dst[16];
};

// nd_plain: a message without option.
struct nd_plain {
	struct ipv6_head ip;
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 flags;
	__be16 reserved;
	__u8 target[16];
};

struct nd_frame {
	struct nd_plain nd;
	__u8 option;
	__u8 option_length; // in units of 8
	__u8 option_mac[6];
};

_Static_assert(sizeof(struct nd_plain) == 78 && sizeof(struct nd_frame) == 86, "an ND frame has no padding");

enum {
	ND_PLAIN = sizeof(struct nd_plain) - sizeof(struct ipv6_head), // length of the message
	ND_FULL = sizeof(struct nd_frame) - sizeof(struct ipv6_head),
};

// nd_solicits: whether the frame, one of IPv6, is a solicitation.
static __always_inline bool nd_solicits(ctx_t *ctx)
{
	const struct ipv6_head *ip;
	const struct nd_plain *nd;

	return ctx_head(ctx, sizeof(*ip), (const void **)&ip) && ip->next_header == IPPROTO_ICMPV6 &&
	       ctx_head(ctx, sizeof(*ip) + sizeof(nd->type), (const void **)&nd) && nd->type == ND_SOLICITATION;
}

// nd_wellformed: what RFC 4861, section 7.1.1, asks of a solicitation, but for its checksum and for what it asks of one
// from the unspecified address.
static __always_inline bool nd_wellformed(const struct nd_plain *nd)
{
	return nd->ip.hop_limit == ND_HOP_LIMIT && !nd->code && nd->target[0] != 0xff;
}

static __always_inline __sum16 nd_checksum(const struct nd_frame *f, bool option)
{
	const __u16 *mac = (const __u16 *)f->option_mac;
	__u32 sum = ipv6_sum(f->nd.ip.src) + ipv6_sum(f->nd.ip.dst) + ipv6_sum(f->nd.target);

	sum += f->nd.ip.length + bpf_htons(IPPROTO_ICMPV6) + bpf_htons(ND_ADVERTISEMENT << 8) + f->nd.flags;
	if (option)
		sum += bpf_htons(ND_TARGET_LINK << 8 | 1) + mac[0] + mac[1] + mac[2];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int nd(ctx_t *ctx, const struct ov_port *port)
{
	const struct ov_neighbor *target;
	const struct nd_frame *full;
	const struct nd_plain *req;
	struct nd_frame answer;
	enum ov_reason pass;
	bool option, spoofed = false;
	__u32 network_id;

	if (!ctx_head(ctx, sizeof(*req), (const void **)&req) || !nd_wellformed(req))
		return count(OV_DROP_ND_MALFORMED, CTX_DROP);
	pass = OV_PASS_ND_OWN;
	if (ipv6_zero(req->ip.src))
		goto pass;
	pass = OV_PASS_ND_OTHER;
	option = req->ip.length == bpf_htons(ND_FULL);
	if (option) {
		if (!ctx_head(ctx, sizeof(*full), (const void **)&full) || full->option_length != 1)
			return count(OV_DROP_ND_MALFORMED, CTX_DROP);
		if (full->option != ND_SOURCE_LINK)
			goto pass;
		req = &full->nd;
		// Here, as the verifier of Linux 6.1 forgets what is behind the message.
		spoofed = !mac_equal(full->option_mac, req->ip.eth_src);
	} else if (req->ip.length != bpf_htons(ND_PLAIN)) {
		if (bpf_ntohs(req->ip.length) < ND_FULL)
			return count(OV_DROP_ND_MALFORMED, CTX_DROP);
		goto pass;
	}

	network_id = source6_network(port, req->ip.src, req->ip.eth_src);
	if (spoofed || (!network_id && !ipv6_link_local(req->ip.src)))
		return count(OV_DROP_ND_SENDER, CTX_DROP);
	if (!network_id)
		goto pass;

	pass = OV_PASS_ND_MISS;
	target = neighbor6_lookup(network_id, req->target);
	if (!target)
		goto pass;
	pass = OV_PASS_ND_OWN;
	if (target->interface_id == port->interface_id)
		goto pass;
	pass = OV_PASS_ND_OTHER;
	// A question to everybody has the option (RFC 4861, section 4.3), as the answer to it must.
	if (!(option && ipv6_solicited_node(req->ip.dst, req->target) && mac_of_ipv6(req->ip.eth_dst, req->ip.dst)) &&
	    !(ipv6_equal(req->ip.dst, req->target) && mac_equal(req->ip.eth_dst, target->mac)))
		goto pass;

	mac_copy(answer.nd.ip.eth_dst, req->ip.eth_src);
	mac_copy(answer.nd.ip.eth_src, target->mac);
	answer.nd.ip.eth_type = req->ip.eth_type;
	answer.nd.ip.class_label[0] = req->ip.class_label[0];
	answer.nd.ip.class_label[1] = req->ip.class_label[1];
	answer.nd.ip.length = req->ip.length;
	answer.nd.ip.next_header = IPPROTO_ICMPV6;
	answer.nd.ip.hop_limit = ND_HOP_LIMIT;
	ipv6_copy(answer.nd.ip.src, req->target);
	ipv6_copy(answer.nd.ip.dst, req->ip.src);
	answer.nd.type = ND_ADVERTISEMENT;
	answer.nd.code = 0;
	answer.nd.flags = bpf_htons(ND_ANSWER);
	answer.nd.reserved = 0;
	ipv6_copy(answer.nd.target, req->target);
	answer.option = ND_TARGET_LINK;
	answer.option_length = 1;
	mac_copy(answer.option_mac, target->mac);
	answer.nd.checksum = nd_checksum(&answer, option);
	if (option)
		return count(OV_ANSWER_ND, ctx_answer(ctx, &answer, sizeof(answer)));
	return count(OV_ANSWER_ND, ctx_answer(ctx, &answer, sizeof(answer.nd)));

pass:
	return limited(ctx, OV_CLASS_ND, pass);
}
