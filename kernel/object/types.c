/* SPDX-License-Identifier: MIT */
/*
 * The types of objects: what the object layer does with each.
 */

#include "kernel/backing.h"
#include "kernel/bell.h"
#include "kernel/channel.h"
#include "kernel/device.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/memory.h"
#include "kernel/object.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/timer_object.h"

#define ANY (K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER)

static const char *process_name(const struct object *object)
{
	return container_of(object, const struct process, object)->name;
}

static const char *thread_name(const struct object *object)
{
	return container_of(object, const struct thread, object)->name;
}

/* The frame may be looked at as long as somebody has a handle. */
static void destroy_thread(struct object *object)
{
	kfree(container_of(object, struct thread, object)->user_frame);
	thread_destroy(object);
}

static const char *device_name(const struct object *object)
{
	return container_of(object, const struct device, object)->desc.name;
}

static uint64_t thread_related(struct object *object)
{
	return container_of(object, struct thread, object)->process_koid;
}

static uint64_t backing_related(struct object *object)
{
	const struct memory *memory = container_of(object, struct backing, object)->memory;

	return memory ? memory->object.koid : 0;
}

const struct object_type object_types[K_TYPE_COUNT] = {
	[K_TYPE_PROCESS] = {
		.name = "process", .destroy = process_destroy, .object_name = process_name,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_MANAGE,
	},
	[K_TYPE_THREAD] = {
		.name = "thread", .destroy = destroy_thread, .object_name = thread_name,
		.related = thread_related, .rights = ANY | K_RIGHT_READ | K_RIGHT_MANAGE,
	},
	[K_TYPE_SPACE] = {
		.name = "space", .destroy = space_destroy,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_MAP,
	},
	[K_TYPE_MEMORY] = {
		.name = "memory", .destroy = memory_destroy,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_EXECUTE | K_RIGHT_MAP |
			  K_RIGHT_DMA,
	},
	[K_TYPE_BACKING] = {
		.name = "backing", .destroy = backing_destroy, .related = backing_related,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_EXECUTE | K_RIGHT_MAP,
	},
	[K_TYPE_CHANNEL] = {
		.name = "channel", .close = channel_close, .destroy = channel_destroy,
		.related = channel_related, .rights = ANY | K_RIGHT_SEND | K_RIGHT_RECEIVE,
	},
	[K_TYPE_BELL] = {
		.name = "bell", .destroy = bell_destroy,
		.rights = ANY | K_RIGHT_SIGNAL | K_RIGHT_WAIT,
	},
	[K_TYPE_TIMER] = {
		.name = "timer", .close = timer_object_close, .destroy = timer_object_destroy,
		.rights = ANY | K_RIGHT_MANAGE,
	},
	[K_TYPE_DEVICE] = {
		.name = "device", .close = device_close, .destroy = device_destroy,
		.object_name = device_name,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_MANAGE | K_RIGHT_CREATE,
	},
	[K_TYPE_GROUP] = {
		.name = "group", .destroy = group_destroy,
		.rights = ANY | K_RIGHT_READ | K_RIGHT_MANAGE | K_RIGHT_CREATE,
	},
	[K_TYPE_LOG] = { .name = "log", .rights = ANY | K_RIGHT_READ },
	[K_TYPE_POWER] = { .name = "power", .rights = ANY | K_RIGHT_MANAGE },
};

/* They exist once, with a reference that is never dropped. */
struct object log_object, power_object;

void object_types_start(void)
{
	if (object_init(&log_object, K_TYPE_LOG, NULL, 0) != K_OK ||
	    object_init(&power_object, K_TYPE_POWER, NULL, 0) != K_OK)
		panic("objects without a group cannot fail");
}
