/* SPDX-License-Identifier: MIT */
/*
 * Handle tables: one per process.
 *
 * A handle is (generation << 20 | index + 1), so that 0 is none and a handle that
 * was closed stays invalid until its slot has been used 4,095 more times.  Slots
 * live in chunks that are never freed before the table is; chunks are found
 * through a directory whose pointers are set once, so a lookup takes no lock of
 * the table: only one of a few spinlocks, chosen by the index, for the instant
 * between reading the slot and counting the reference.
 *
 * Making a handle has two steps, so that calls can do everything that can fail
 * first: handle_reserve() finds memory, quota and slots; handle_install() cannot
 * fail.
 */
#pragma once

#include <stdint.h>

#include "kernel/lock.h"
#include "kernel/object.h"

#define HANDLE_INDEX_BITS	20
#define HANDLE_MAX		((1u << HANDLE_INDEX_BITS) - 1)
#define HANDLE_CHUNK		64u		/* slots per chunk */
#define HANDLE_LEAF		128u		/* chunks per leaf of the directory */
#define HANDLE_LEAVES		((1u << HANDLE_INDEX_BITS) / HANDLE_CHUNK / HANDLE_LEAF)
#define HANDLE_SHARDS		8u

struct process;
struct handle_leaf;

struct handle_table {
	struct spinlock lock;		/* rank LOCK_HANDLES: free list, growth, counts */
	uint32_t free_first, free_last;	/* index + 1 of free slots, oldest first; 0: none */
	uint32_t free_count;
	uint32_t reserved;		/* of the free ones; <= free_count */
	uint32_t used;
	uint32_t size;			/* slots that exist */
	bool closed;			/* the process is gone: nothing is installed any more */

	struct spinlock shard[HANDLE_SHARDS];	/* rank LOCK_HANDLES, taken under lock too: the
						 * slots whose index is congruent */
	_Atomic(struct handle_leaf *) leaves[HANDLE_LEAVES];	/* set once */
};

/* What a handler gives back for a newhandle argument. */
struct new_handle {
	struct object *object;		/* the handler's reference goes to the handle */
	uint32_t rights;		/* 0: all of the type's */
	/* Called once the caller has been told the number, or could not be; may be NULL.  The
	 * handle may be closed already: @object lives by a reference of the handler's own. */
	void (*installed)(struct object *object);
};

void handle_table_init(struct handle_table *table);
/* Close every handle; none can be made afterwards.  May sleep. */
void handle_table_close(struct process *process);
/* Free the empty table of a closed process. */
void handle_table_destroy(struct process *process);

/*
 * The object behind @handle, with a reference for the caller.  BAD_HANDLE,
 * WRONG_TYPE, NO_RIGHT.  @type K_TYPE_NONE: any; @rights: all of them are needed.
 */
k_status_t handle_get(struct process *process, k_handle_t handle, enum k_type type,
		      uint32_t rights, struct object **object) MUST_CHECK;
/* The same, and which rights there are. */
k_status_t handle_get_rights(struct process *process, k_handle_t handle, struct object **object,
			     uint32_t *rights) MUST_CHECK;

/*
 * Make sure that @count handles can be installed.  NO_MEMORY, LIMIT.  Each reserved
 * one is installed or given back.
 */
k_status_t handle_reserve(struct process *process, uint32_t count) MUST_CHECK;
void handle_unreserve(struct process *process, uint32_t count);
/* Takes over the caller's reference of @object.  @rights 0: all of the type's.  Returns
 * K_HANDLE_NONE (and drops the object) if the process died meanwhile. */
k_handle_t handle_install(struct process *process, struct object *object, uint32_t rights);

/* Both steps, for code that can undo.  On failure the reference stays the caller's. */
k_status_t handle_create(struct process *process, struct object *object, uint32_t rights,
			 k_handle_t *handle) MUST_CHECK;

/*
 * Remove @handle and give its object (with the slot's reference and name) to the
 * caller, who ends with object_name_put().  The rights in @need are required.
 */
k_status_t handle_take(struct process *process, k_handle_t handle, uint32_t need,
		       struct object **object, uint32_t *rights) MUST_CHECK;
/* Put back what handle_take took, or install what is named already: name and reference move. */
k_handle_t handle_install_named(struct process *process, struct object *object, uint32_t rights);

/*
 * Two steps of moving a handle away, when the move can still fail: lift it out of its
 * slot (nobody can use it then), and lower it back (@object as lifted), or leave the
 * slot empty for good (@object NULL: the name and the reference stay the caller's).
 * The process lives, and its table is open, in between: a thread of it does this.
 */
k_status_t handle_lift(struct process *process, k_handle_t handle, uint32_t need,
		       struct object **object, uint32_t *rights) MUST_CHECK;
void handle_lower(struct process *process, k_handle_t handle, struct object *object);

k_status_t handle_close(struct process *process, k_handle_t handle) MUST_CHECK;

/* The object's part of *@info. */
void object_describe(struct object *object, struct k_handle_info *info);

/* Walk: the first used handle at or after index *@cursor; false at the end. */
bool handle_next(struct process *process, uint32_t *cursor, struct k_handle_info *info);
