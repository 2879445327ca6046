// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// What a port may send of the kinds of frames that ask the host for something: token buckets by port and class, so that who floods costs
// itself only. What is for other guests is in no class.

#pragma once

// Numbers are never reused; a new one is appended, and named in class.go, with a reason OV_DROP_LIMIT_ in count.h at the same distance from the first.
enum ov_class {
	OV_CLASS_ARP = 0, // ARP that the program does not answer
	OV_CLASS_ND = 1, // neighbour discovery that it does not answer, but for router solicitations
	OV_CLASS_DHCP4 = 2, // DHCP questions
	OV_CLASS_DHCP6 = 3, // DHCPv6 questions
	OV_CLASS_RA = 4, // router solicitations
	OV_CLASS_DNS = 5, // to port 53 of a simulated interface's address
	OV_CLASS_METADATA = 6, // to TCP port 80 of one
	OV_CLASS_ERROR = 7, // to a simulated interface, with the last hop used up
	OV_CLASS_ECHO = 8, // echo requests to a simulated interface's address
};

#define OV_CLASSES 16 // room, so that a new class changes no map

struct ov_limit {
	__u64 interval; // nanoseconds that one frame takes
	__u64 saved; // nanoseconds that are saved up at most: interval times the burst
};

// A class without an entry is not limited.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, enum ov_class);
	__type(value, struct ov_limit);
	__uint(max_entries, OV_CLASSES);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_limits_v1 SEC(".maps");

struct ov_bucket {
	__u64 from; // time of the monotonic clock, in nanoseconds, since when nothing has been taken
	__u64 passed; // frames
	__u64 dropped;
};

struct ov_buckets {
	struct ov_bucket of[OV_CLASSES];
};

// A port without an entry is not limited. Programs write the values.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); // ifindex
	__type(value, struct ov_buckets);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ov_buckets_v1 SEC(".maps");

// within: whether the port may send one more frame of the class now, which is taken from its bucket.
static __always_inline bool within(const ctx_t *ctx, enum ov_class class)
{
	__u32 ifindex = ctx_port(ctx);
	const struct ov_limit *limit = bpf_map_lookup_elem(&ov_limits_v1, &class);
	struct ov_buckets *buckets;
	struct ov_bucket *bucket;
	__u64 now, least, from, seen;

	if (!limit)
		return true;
	buckets = bpf_map_lookup_elem(&ov_buckets_v1, &ifindex);
	if (!buckets)
		return true;
	bucket = &buckets->of[class % OV_CLASSES];
	now = bpf_ktime_get_ns();
	least = now > limit->saved ? now - limit->saved : 0;
	// Other CPUs may take from the bucket meanwhile; who is beaten to it so often is one of many.
#pragma unroll
	for (int tries = 0; tries < 4; tries++) {
		seen = *(volatile __u64 *)&bucket->from;
		from = (seen > least ? seen : least) + limit->interval;
		if (from > now)
			break;
		if (__sync_val_compare_and_swap(&bucket->from, seen, from) == seen) {
			__sync_fetch_and_add(&bucket->passed, 1);
			return true;
		}
	}
	__sync_fetch_and_add(&bucket->dropped, 1);
	return false;
}

// exceeded: drops a frame that is more than its class may have.
static __always_inline int exceeded(enum ov_class class)
{
	return count(OV_DROP_LIMIT_ARP + class, CTX_DROP);
}

// limited: passes a frame for that reason if it is within the limit of its class, and drops it otherwise.
static __always_inline int limited(const ctx_t *ctx, enum ov_class class, enum ov_reason reason)
{
	return within(ctx, class) ? count(reason, CTX_PASS) : exceeded(class);
}
