/* SPDX-License-Identifier: MIT */
/*
 * Weak stand-ins for parts of the kernel that are still missing, so that the image
 * links.  A strong definition replaces each.
 */
#include "kernel/bell.h"
#include "kernel/calls.h"
#include "kernel/group.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/object.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define WEAK __attribute__((weak))

WEAK k_status_t object_init(struct object *object, enum k_type type, struct group *group,
			    uint32_t bytes)
{
	refcount_init(&object->refs, 1);
	object->type = type;
	return K_OK;
}

WEAK void object_abandon(struct object *object)
{
}

WEAK void object_last_put(struct object *object)
{
}

WEAK void object_put_deferred(struct object *object)
{
	if (refcount_put(&object->refs))
		thread_destroy(object);
}

WEAK void process_thread_exiting(struct thread *thread)
{
}

WEAK void process_fault(uint32_t vector, uint64_t error, uint64_t address,
			const struct arch_regs *regs)
{
	panic_regs(regs, "component fault");
}

WEAK bool process_find_fixup(uint64_t rip, uint64_t *landing)
{
	return false;
}

WEAK k_status_t kcall_dispatch(uint64_t number, const uint64_t args[6])
{
	return K_ERR_NOT_SUPPORTED;
}

WEAK void object_layer_start(const struct boot_info *boot)
{
}

WEAK void init_start(const struct boot_info *boot)
{
	log_line(LOG_NOTICE, "no init yet");
}

WEAK bool group_charge_bytes(struct group *group, uint64_t bytes)
{
	return true;
}

WEAK void group_uncharge_bytes(struct group *group, uint64_t bytes)
{
}

WEAK bool group_has_reserve(const struct group *group)
{
	return true;
}

WEAK void bell_ring(struct bell *bell, uint64_t bits)
{
}
