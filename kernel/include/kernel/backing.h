/* SPDX-License-Identifier: MIT */
/*
 * Backings: how a personality learns that nothing maps one of its files any more.
 *
 * A backing names a memory object and carries its owner's cookie.  The kernel
 * counts the regions that were mapped through it.  When the count falls to zero
 * the backing is put on the owner's reap list and the list's bell rings; the owner
 * takes cookies off the list whenever it likes.  Taking is where the race with a
 * new mapping is decided, under the list's lock: a count that has risen again
 * keeps the backing alive, otherwise it is dead for good, and mapping it answers
 * CLOSED.
 *
 * States: idle (count 0, never mapped), mapped (count > 0), queued (on the list,
 * count anything), dead.  While a mapping is being made it counts; if it fails, a backing that
 * never had another is idle again, and not reported: its owner is told of the failure,
 * may give it up, and have a new one with the same cookie before it takes the next off the list.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "base/list.h"
#include "kernel/lock.h"
#include "kernel/object.h"

struct bell;
struct memory;

/* One per process that makes backings; shared by the process and its backings. */
struct reap_list {
	struct spinlock lock;		/* rank LOCK_BACKING */
	struct list queued;		/* lock; of struct backing.reap_link */
	struct bell *bell;		/* lock; holds a reference, or NULL */
	uint64_t bits;			/* lock */
	bool closed;			/* lock: the process is gone, nobody reaps */
	_Atomic(uint32_t) refs;
};

struct reap_list *reap_list_create(void);
void reap_list_put(struct reap_list *list);		/* NULL is fine */

/* Whether backing_reap() may have something to give: what the caller itself unmapped is seen. */
static inline bool reap_list_waits(const struct reap_list *list)
{
	return !list_looks_empty(&list->queued);
}

struct backing {
	struct object object;

	/* Constant. */
	struct memory *memory;		/* holds a reference; NULL: maps zeros, privately */
	uint64_t cookie;
	struct reap_list *list;		/* holds a reference */

	_Atomic(uint32_t) regions;	/* 0 -> 1 and 1 -> 0 under list->lock */
	_Atomic(bool) mapped;		/* ever: set by who holds a count, before that can be dropped by others */
	bool queued, dead;		/* list->lock */
	struct list reap_link;		/* list->lock */
};

k_status_t backing_create(struct reap_list *list, struct group *group, struct memory *memory,
			  uint64_t cookie, struct backing **out) __attribute__((warn_unused_result));
void backing_destroy(struct object *object);

/* A region is to be mapped through the backing.  CLOSED: it is dead. */
k_status_t backing_add_region(struct backing *backing) __attribute__((warn_unused_result));
/* One more, by someone whose own region keeps the count above zero (split, clone). */
void backing_copy_region(struct backing *backing);
void backing_drop_region(struct backing *backing);

/*
 * Up to @max cookies of backings that died; the bell (NULL: leave as it is) is
 * set first, and rings when more come.
 */
uint64_t backing_reap(struct reap_list *list, uint64_t *cookies, uint64_t max);
void backing_watch(struct reap_list *list, struct bell *bell, uint64_t bits);
