/* SPDX-License-Identifier: MIT */
/*
 * Bells that ring when lines were added to the log: one for each process that asked,
 * a handful at most.  A slot is free again when nobody has a handle to its bell.
 */

#include "kernel/log_watch.h"

#include "kernel/bell.h"
#include "kernel/lock.h"
#include "kernel/log.h"

#define WATCHES 8u

struct watch {
	uint64_t owner;			/* koid of the process; 0: free */
	struct bell *bell;		/* referenced */
	uint64_t bits;
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_WATCH);
static struct watch watches[WATCHES];	/* lock */

static void log_changed(void)
{
	arch_irqflags_t flags = spin_lock_irqsave(&lock);

	for (unsigned int i = 0; i < WATCHES; i++)
		if (watches[i].bell)
			bell_ring(watches[i].bell, watches[i].bits);
	spin_unlock_irqrestore(&lock, flags);
}

static bool is_free(const struct watch *w)
{
	return !w->bell || !atomic_load_explicit(&w->bell->object.handles, memory_order_relaxed);
}

static struct watch *find(uint64_t owner)
{
	for (unsigned int i = 0; i < WATCHES; i++)
		if (watches[i].bell && watches[i].owner == owner)
			return &watches[i];
	for (unsigned int i = 0; i < WATCHES; i++)
		if (is_free(&watches[i]))
			return &watches[i];
	return NULL;
}

k_status_t log_watch(uint64_t owner, struct bell *bell, uint64_t bits)
{
	struct bell *old = NULL;
	struct watch *w;
	arch_irqflags_t flags;

	if (bell)
		object_get(&bell->object);
	log_set_notify(log_changed);
	flags = spin_lock_irqsave(&lock);
	w = find(owner);
	if (w) {
		old = w->bell;
		*w = (struct watch){ .owner = owner, .bell = bell, .bits = bits };
	}
	spin_unlock_irqrestore(&lock, flags);
	if (!w && bell)
		object_put(&bell->object);
	if (old)
		object_put(&old->object);
	return w ? K_OK : K_ERR_NO_MEMORY;
}
