//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Attach point: XDP of a guest's port, generic or native. It sees what the guest sends, before any packet tap.

#include "ctx_xdp.h"
#include "guest.h"

SEC("xdp")
int ov_guest_xdp(struct xdp_md *ctx)
{
	return guest(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
