// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// The context abstraction, for tc (tcx, and clsact with direct action). See ctx_xdp.h.

#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

typedef struct __sk_buff ctx_t;

enum {
	CTX_PASS = TC_ACT_UNSPEC, // on to the next program of the port, if any
	CTX_DROP = TC_ACT_SHOT,
};

static __always_inline __u32 ctx_port(const ctx_t *ctx)
{
	return ctx->ifindex;
}

static __always_inline bool ctx_tagged(const ctx_t *ctx)
{
	return ctx->vlan_present;
}

static __always_inline bool ctx_head(ctx_t *ctx, __u32 len, const void **head)
{
	void *data = (void *)(long)ctx->data;

	if (data + len > (void *)(long)ctx->data_end) {
		// The head may be outside the linear part.
		if (bpf_skb_pull_data(ctx, len))
			return false;
		data = (void *)(long)ctx->data;
	}
	*head = data;
	return data + len <= (void *)(long)ctx->data_end;
}

static __always_inline bool ctx_load(ctx_t *ctx, __u32 offset, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, offset, to, len);
}

// By helper and not by store: a program that stores into the packet has a prologue that copies the head of every
// cloned frame, and TCP sends clones.
static __always_inline int ctx_answer(ctx_t *ctx, const void *head, __u32 len)
{
	if (bpf_skb_store_bytes(ctx, 0, head, len, 0))
		return CTX_PASS;
	return bpf_redirect(ctx->ifindex, 0);
}
