/* SPDX-License-Identifier: MIT */
/*
 * Kernel objects: what handles name.
 *
 * Every object starts with a struct object and has two counts.  `refs` keeps its
 * memory; anybody in the kernel may hold one.  `handles` counts its names: slots
 * of handle tables and handles under way in messages; each holds a reference too.
 *
 *	alive		refs > 0, handles >= 0
 *	closed		handles went from 1 to 0: the type's close() ran: a channel tells its
 *			peer, a device lets go of its hardware.  An object that never had a
 *			handle is never closed.  A duplicate made while the last other handle is
 *			being closed names a closed object, so close() can run again.
 *	destroyed	refs went to 0: the type's destroy() frees it
 *
 * close() and destroy() may sleep, so whoever drops what could be the last count
 * does it without spinlocks and outside interrupts; others use
 * object_put_deferred().  They do not recurse: what they drop in turn is queued on
 * the thread and handled by the outermost one, so that chains of objects that own
 * each other cost no stack.
 *
 * (1) refs >= handles.  (2) koids are never reused.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"
#include "base/refcount.h"
#include "base/util.h"

struct group;
struct thread;

/* First member of every object, and named `object`. */
struct object {
	struct refcount refs;
	_Atomic(uint32_t) handles;
	uint32_t type;			/* constant; enum k_type */
	uint32_t charge;		/* constant; bytes charged to group */
	uint64_t koid;			/* constant */
	struct group *group;		/* constant; referenced; NULL: the kernel's own */
	struct object *next_dead;	/* object.c: on a list of objects to close or destroy */
	uint32_t pending;		/* object.c: what that list is to do */
};

/* Embedded in struct thread as `reaper`, zero at start: object.c's work list. */
struct object_reaper {
	struct object *first, *last;
	bool active;
};

/* What the object layer has to know of each type: object/types.c. */
struct object_type {
	const char *name;
	uint32_t rights;		/* all that make sense; what the creator gets */
	void (*close)(struct object *object);		/* or NULL */
	void (*destroy)(struct object *object);		/* frees it; the object layer has dropped the
							 * charge and the group after it returned */
	const char *(*object_name)(const struct object *object);	/* or NULL */
	uint64_t (*related)(struct object *object);			/* or NULL: koid or 0 */
};

extern const struct object_type object_types[K_TYPE_COUNT];

/*
 * Make @object an object with one reference and no handles; @bytes are charged to
 * @group (NULL: to nobody), and the object references it.  NO_MEMORY: over the
 * group's limit; nothing happened.
 */
k_status_t object_init(struct object *object, enum k_type type, struct group *group, uint32_t bytes)
	MUST_CHECK;

/* Undo object_init of an object that nobody has seen yet: no destroy(); the caller frees it. */
void object_abandon(struct object *object);

static inline void object_get(struct object *object)
{
	refcount_get(&object->refs);
}

/* The last reference is gone: destroy now, or queue. */
void object_last_put(struct object *object);

/* NULL is not fine.  May sleep if it could be the last. */
static inline void object_put(struct object *object)
{
	if (refcount_put(&object->refs))
		object_last_put(object);
}

/* The same from any context: the housekeeper thread destroys it. */
void object_put_deferred(struct object *object);

/* A name more (the caller holds a reference; the name takes its own) or less. */
void object_name_get(struct object *object);
void object_name_put(struct object *object);

/* Live objects by type, for the leak check. */
uint64_t object_count(enum k_type type);

/* Wait until what was deferred so far is destroyed. */
void object_settle(void);

/* Objects without a struct of their own: K_TYPE_LOG and K_TYPE_POWER, never freed. */
extern struct object log_object, power_object;
void object_types_start(void);
