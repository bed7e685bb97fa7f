/* SPDX-License-Identifier: MIT */
/*
 * Groups: quotas.  Every object, page, thread and handle is charged to one, and to
 * all groups above it.
 *
 * A group's struct stays allocated while anything is charged to it, also when
 * nobody references the object any more: pages keep plain pointers.
 *
 * All counters are atomic; charging is "add, look, take back if it was too much",
 * from the group upwards.  A limit of 0 is none.  NULL stands for the kernel itself:
 * never full, not counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "kernel/object.h"

#define GROUP_DEPTH_MAX	8u

struct bell;

struct group {
	struct object object;

	/* Constant. */
	struct group *parent;		/* referenced; NULL: the root group */
	uint32_t depth;			/* 0: the root */

	/* Atomic. */
	_Atomic(uint64_t) memory;	/* bytes */
	_Atomic(uint64_t) peak;
	_Atomic(uint64_t) users;	/* bytes charged directly, plus 1 while the object lives: the
					 * struct is freed when it gets to 0 */
	_Atomic(uint64_t) threads, handles;
	_Atomic(uint64_t) memory_limit, thread_limit, handle_limit;
	_Atomic(uint32_t) cpu_weight, flags;
	_Atomic(uint64_t) low_memory;	/* written under the lock of the list of watching groups */
	_Atomic(bool) near_limit;	/* the quota's rest fell below low_memory: the housekeeper
					 * was woken, and clears it when there is more again */

	/* group.c: lock of the list of watching groups. */
	struct list watch_link;
	struct bell *bell;		/* referenced */
	uint64_t bell_bits;
};

extern struct group *root_group;	/* constant after group_start() */

void group_start(void);			/* early: makes the root group; panics if it cannot */
k_status_t group_create(struct group *parent, const struct k_group_limits *limits,
			struct group **group) MUST_CHECK;
k_status_t group_set_limits(struct group *group, const struct k_group_limits *limits) MUST_CHECK;
void group_read(struct group *group, struct k_group_info *info);
void group_destroy(struct object *object);

/* Memory.  Any context that may hold spinlocks.  False: over a limit, nothing is charged. */
bool group_charge_bytes(struct group *group, uint64_t bytes) MUST_CHECK;
void group_uncharge_bytes(struct group *group, uint64_t bytes);

static inline MUST_CHECK bool group_charge(struct group *group, uint64_t pages)
{
	return !group || group_charge_bytes(group, pages << K_PAGE_SHIFT);
}

static inline void group_uncharge(struct group *group, uint64_t pages)
{
	if (group)
		group_uncharge_bytes(group, pages << K_PAGE_SHIFT);
}

bool group_charge_threads(struct group *group, uint64_t count) MUST_CHECK;
void group_uncharge_threads(struct group *group, uint64_t count);
bool group_charge_handles(struct group *group, uint64_t count) MUST_CHECK;
void group_uncharge_handles(struct group *group, uint64_t count);

/* May use the last pages of the machine (components, write-back). */
bool group_has_reserve(const struct group *group);

/*
 * Ring @bell (NULL: nobody any more) with @bits when free memory, or the rest of the group's own
 * quota, falls below the group's mark; and from time to time while it stays there.
 */
void group_watch(struct group *group, struct bell *bell, uint64_t bits);

