/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include <stdarg.h>

#include "kernel/bell.h"
#include "kernel/channel.h"
#include "kernel/housekeeper.h"
#include "kernel/kmem.h"
#include "kernel/page.h"
#include "unit/unit.h"

struct thread *sim_current;
struct thread sim_thread[4];
struct process sim_process;
struct space sim_space;
void (*sim_on_block)(void);
k_status_t sim_block_status;
unsigned int sim_blocks, sim_fail_allocation;
unsigned int sim_closed, sim_destroyed;
uint64_t sim_allocated, sim_free_pages;
unsigned int sim_spinlocks_held;
uint32_t sim_ranks[16];

/* -- panic, heap, pages ----------------------------------------------------------------- */

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	abort();
}

void *kmalloc(size_t size)
{
	void *p;

	if (sim_fail_allocation && !--sim_fail_allocation)
		return NULL;
	p = malloc(size);
	memset(p, 0xa5, size);
	sim_allocated++;
	return p;
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void *kcalloc(size_t n, size_t size)
{
	return kzalloc(n * size);
}

void kfree(void *p)
{
	sim_allocated -= p != NULL;
	free(p);
}

uint64_t page_free_count(void)
{
	return sim_free_pages;
}

void page_set_low_watch(uint64_t pages, void (*fn)(void))
{
}

void housekeeper_wake(uint32_t job)
{
}

void housekeeper_run(void)
{
	object_reap_deferred();
	group_memory_check();
}

/* -- threads ------------------------------------------------------------------------------ */

void sched_prepare(uint32_t block_flags)
{
	sim_current->blocking = true;
	sim_current->block_flags = block_flags;
}

void sched_cancel(void)
{
	sim_current->blocking = false;
}

bool sched_wake(struct thread *t)
{
	bool was = t->blocking;

	if (was)
		t->woken = true;
	t->blocking = false;
	return was;
}

bool sched_wake_sync(struct thread *t)
{
	return sched_wake(t);
}

k_status_t sched_block(uint64_t deadline_ns)
{
	struct thread *self = sim_current;
	void (*others)(void) = sim_on_block;

	assert(!sim_spinlocks_held);
	sim_blocks++;
	sim_on_block = NULL;
	if (self->blocking && others) {
		sim_current = &sim_thread[1];
		others();
		sim_current = self;
	}
	self->blocking = false;
	if (self->woken) {
		self->woken = false;
		return K_OK;
	}
	assert(sim_block_status != K_ERR_KICKED || (self->block_flags & BLOCK_KICKABLE));
	return sim_block_status;
}

/* -- objects --------------------------------------------------------------------------------- */

static void sim_close(struct object *object)
{
	sim_closed++;
}

static void sim_destroy(struct object *object)
{
	sim_destroyed++;
	kfree(container_of(object, struct sim_object, object));
}

const struct object_type object_types[K_TYPE_COUNT] = {
	[K_TYPE_BELL] = { .name = "bell", .destroy = bell_destroy,
			  .rights = K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER | K_RIGHT_SIGNAL |
				    K_RIGHT_WAIT },
	[K_TYPE_CHANNEL] = { .name = "channel", .close = channel_close,
			     .destroy = channel_destroy, .related = channel_related,
			     .rights = K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER | K_RIGHT_SEND |
				       K_RIGHT_RECEIVE },
	[K_TYPE_GROUP] = { .name = "group", .destroy = group_destroy, .rights = K_RIGHT_READ },
	[K_TYPE_MEMORY] = { .name = "memory", .close = sim_close, .destroy = sim_destroy,
			    .rights = K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_TRANSFER },
};

struct object *sim_object_create(void)
{
	struct sim_object *o = kzalloc(sizeof(*o));

	if (object_init(&o->object, K_TYPE_MEMORY, sim_process.object.group, 100) != K_OK) {
		kfree(o);
		return NULL;
	}
	return &o->object;
}

/* -- state -------------------------------------------------------------------------------------- */

static void drop_root(void)
{
	if (root_group)
		object_put(&root_group->object);
	root_group = NULL;
}

void sim_reset(void)
{
	memset(sim_thread, 0, sizeof(sim_thread));
	memset(&sim_process, 0, sizeof(sim_process));
	memset(&sim_space, 0, sizeof(sim_space));
	sim_current = &sim_thread[0];
	sim_on_block = NULL;
	sim_block_status = K_ERR_TIMED_OUT;
	sim_blocks = sim_fail_allocation = sim_closed = sim_destroyed = 0;
	sim_allocated = 0;
	sim_free_pages = 1000;
	root_group = NULL;
	group_start();
	for (unsigned int i = 0; i < ARRAY_SIZE(sim_thread); i++) {
		sim_thread[i].process = &sim_process;
		sim_thread[i].space = &sim_space;
	}
	sim_process.object.group = root_group;
	handle_table_init(&sim_process.handles);
}

void sim_check_clean(void)
{
	handle_table_close(&sim_process);
	handle_table_destroy(&sim_process);
	object_settle();
	CHECK_EQ(atomic_load(&root_group->memory), 0);
	CHECK_EQ(atomic_load(&root_group->handles), 0);
	CHECK_EQ(atomic_load(&root_group->threads), 0);
	for (unsigned int type = 0; type < K_TYPE_COUNT; type++)
		if (type != K_TYPE_GROUP)
			CHECK_EQ(object_count((enum k_type)type), 0);
	drop_root();
	CHECK_EQ(sim_allocated, 0);
	CHECK_EQ(sim_spinlocks_held, 0);
}
