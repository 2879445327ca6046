//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Attach point: tc ingress of a guest's port. It sees what the guest sends, before the Open vSwitch kernel datapath.

#include "ctx_tc.h"
#include "guest.h"

SEC("tcx/ingress")
int ov_guest_tc(struct __sk_buff *ctx)
{
	return guest(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
