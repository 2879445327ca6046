// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// The context abstraction, for XDP. ctx_tc.h has the same names; an attach point includes one of the two first, and
// the features after it know neither.

#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef struct xdp_md ctx_t;

enum {
	CTX_PASS = XDP_PASS,
	CTX_DROP = XDP_DROP,
};

// ctx_port: ifindex of the port that the frame came in on.
static __always_inline __u32 ctx_port(const ctx_t *ctx)
{
	return ctx->ingress_ifindex;
}

// ctx_tagged: whether the frame has a VLAN tag that is not among its bytes. Generic XDP cannot know: a tag that the
// guest's kernel left to the veth is invisible here, stays on the frame, and stays on the answer.
static __always_inline bool ctx_tagged(const ctx_t *ctx)
{
	return false;
}

// ctx_head: sets *head to the first len bytes of the frame, to read, until the next ctx_ call; false where the frame is
// shorter. (Not by return: comparing a packet pointer with NULL takes more privileges than the rest.)
static __always_inline bool ctx_head(ctx_t *ctx, __u32 len, const void **head)
{
	void *data = (void *)(long)ctx->data;

	*head = data;
	return data + len <= (void *)(long)ctx->data_end;
}

// ctx_load: copies len bytes from an offset, wherever they are; true where the frame is shorter. It leaves what ctx_head has given.
static __always_inline bool ctx_load(ctx_t *ctx, __u32 offset, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, offset, to, len);
}

// ctx_answer: overwrites the first len bytes of the frame and sends it back out of the port that it came in on.
static __always_inline int ctx_answer(ctx_t *ctx, const void *head, __u32 len)
{
	void *data = (void *)(long)ctx->data;

	if (data + len > (void *)(long)ctx->data_end)
		return CTX_PASS;
	__builtin_memcpy(data, head, len);
	return XDP_TX;
}
