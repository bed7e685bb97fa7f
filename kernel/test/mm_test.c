/* SPDX-License-Identifier: MIT */
/*
 * Memory management on the real machine: what the host tests of mm/ cannot see
 * (tables that the processor walks, other processors' TLBs, kernel mappings).
 */

#include "arch/cpu.h"
#include "arch/ucopy.h"
#include "base/string.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/sched.h"
#include "kernel/selftest.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/time.h"

#define BASE 0x10000000ull

static struct space *space_with(uint64_t pages)
{
	struct k_map map = { .addr = BASE, .length = pages * K_PAGE_SIZE, .flags = K_MAP_FIXED,
			     .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE };
	struct space *space = NULL;

	if (check(space_create(NULL, K_SPACE_PROGRAM, 0, &space) == K_OK))
		check(space_map(space, &map, NULL, NULL) == K_OK);
	return space;
}

static void leave_space(struct space *space)
{
	thread_set_run_space(NULL, false);
	object_put(&space->object);
}

SELFTEST(the_heap_gives_blocks_of_all_sizes)
{
	for (size_t size = 1; size < 300000; size = size * 3 / 2 + 1) {
		unsigned char *p = kmalloc(size);

		if (!check(p))
			return;
		memset(p, 0x77, size);
		check(p[0] == 0x77 && p[size - 1] == 0x77);
		kfree(p);
	}
}

SELFTEST(vmalloc_gives_memory_that_was_zeroed)
{
	for (unsigned round = 0; round < 3; round++) {
		uint64_t *p = vmalloc(100 * K_PAGE_SIZE);

		if (!check(p))
			return;
		for (unsigned i = 0; i < 100; i++)
			check(p[i * 512] == 0);
		memset(p, 0xff, 100 * K_PAGE_SIZE);
		vfree(p);
	}
}

SELFTEST(stacks_come_back_and_have_guards)
{
	void *stacks[50];

	for (unsigned i = 0; i < 50; i++) {
		stacks[i] = kstack_alloc();
		if (!check(stacks[i]))
			return;
		memset(stacks[i], (int)i, KSTACK_SIZE);
		check(kstack_is_guard((uint64_t)(uintptr_t)stacks[i] - 1));
		check(!kstack_is_guard((uint64_t)(uintptr_t)stacks[i]));
	}
	for (unsigned i = 0; i < 50; i++)
		kstack_free(stacks[i]);
	kstack_free(kstack_alloc());
}

SELFTEST(programs_get_zeroed_pages_and_copies_on_write)
{
	struct space *space = space_with(64), *child = NULL;
	uint32_t word = 1;

	thread_set_run_space(space, false);
	check(arch_load_user_u32(BASE, &word) && word == 0);
	word = 5;
	check(!arch_copy_to_user(BASE + 4092, &(uint64_t){ 0x1122334455667788 }, 8));
	check(!arch_copy_to_user(BASE, &word, 4));
	check(space_clone(space, &child) == K_OK);
	word = 6;
	check(!arch_copy_to_user(BASE, &word, 4));
	thread_set_run_space(child, false);
	check(arch_load_user_u32(BASE, &word) && word == 5);
	check(arch_load_user_u32(BASE + 4096, &word) && word == 0x11223344);
	space_check(space);
	space_check(child);
	check(space_unmap(child, BASE, 64 * K_PAGE_SIZE) == K_OK);
	check(!arch_load_user_u32(BASE, &word));
	thread_set_run_space(space, false);
	check(arch_load_user_u32(BASE, &word) && word == 6);
	object_put(&child->object);
	leave_space(space);
}

SELFTEST(truncated_memory_disappears_from_mappings)
{
	struct space *space = space_with(1);
	struct memory *memory = NULL;
	struct k_map map = { .addr = BASE + (1 << 20), .length = 16 * K_PAGE_SIZE,
			     .flags = K_MAP_FIXED | K_MAP_SHARED,
			     .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE };
	uint32_t word = 9;

	check(memory_create(NULL, 16 * K_PAGE_SIZE, 0, &memory) == K_OK);
	check(space_map(space, &map, memory, NULL) == K_OK);
	thread_set_run_space(space, false);
	check(!arch_copy_to_user(map.addr + 9 * K_PAGE_SIZE, &word, 4));
	check(memory_resize(memory, 9 * K_PAGE_SIZE) == K_OK);
	check(!arch_load_user_u32(map.addr + 9 * K_PAGE_SIZE, &word));
	check(memory_resize(memory, 16 * K_PAGE_SIZE) == K_OK);
	check(arch_load_user_u32(map.addr + 9 * K_PAGE_SIZE, &word) && word == 0);
	object_put(&memory->object);
	leave_space(space);
}

/* -- other processors ------------------------------------------------------------------ */

static struct {
	struct space *space;
	_Atomic(uint32_t) epoch;	/* what the page holds at least */
	_Atomic(uint32_t) stop, running, stale, reads;
} race;

static void reader(uint64_t arg)
{
	thread_set_run_space(race.space, false);
	atomic_fetch_add(&race.running, 1);
	while (!atomic_load(&race.stop)) {
		uint32_t least = atomic_load(&race.epoch), seen;

		if (arch_load_user_u32(BASE, &seen) && seen && seen < least)
			atomic_fetch_add(&race.stale, 1);
		atomic_fetch_add(&race.reads, 1);
	}
	thread_set_run_space(NULL, false);
	atomic_fetch_sub(&race.running, 1);
}

SELFTEST(no_processor_sees_a_page_that_was_unmapped)
{
	uint32_t readers = cpu_count - 1;

	if (!readers)
		return;
	race.space = space_with(1);
	thread_set_run_space(race.space, false);
	for (uint32_t i = 0; i < readers; i++)
		thread_spawn_kernel("reader", reader, i);
	while (atomic_load(&race.running) < readers)
		sched_yield();
	for (uint32_t n = 1, seen; n <= 100; n++) {
		struct k_map map = { .addr = BASE, .length = K_PAGE_SIZE, .flags = K_MAP_FIXED,
				     .prot = K_PROT_READ | K_PROT_WRITE,
				     .max_prot = K_PROT_READ | K_PROT_WRITE };

		check(space_unmap(race.space, BASE, K_PAGE_SIZE) == K_OK);
		check(space_map(race.space, &map, NULL, NULL) == K_OK);
		/* In one store: a copy may go byte by byte. */
		check(arch_cmpxchg_user_u32(BASE, 0, n, &seen) && seen == 0);
		atomic_store(&race.epoch, n);
		if (n % 20 == 0)
			sched_sleep_until(time_now_ns() + 1000000);
	}
	atomic_store(&race.stop, 1);
	while (atomic_load(&race.running))
		sched_yield();
	check(atomic_load(&race.stale) == 0);
	leave_space(race.space);
}

/* -- path lengths: meaningful under -icount shift=0, where a cycle is an instruction ------ */

SELFTEST(path_lengths)
{
	struct space *space = space_with(512), *child = NULL;
	struct k_map map = { .length = 1024 * K_PAGE_SIZE, .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE };
	uint64_t start, fault, cow, copy, mapping, fork;
	uint32_t word = 1;
	struct page *page;

	thread_set_run_space(space, false);
	start = arch_cycles();
	for (unsigned i = 0; i < 100; i++)
		check(!arch_copy_to_user(BASE + i * K_PAGE_SIZE, &word, 4));
	fault = (arch_cycles() - start) / 100;

	start = arch_cycles();
	for (unsigned i = 0; i < 100; i++) {
		map.addr = 0;
		check(space_map(space, &map, NULL, NULL) == K_OK);
		check(space_unmap(space, map.addr, map.length) == K_OK);
	}
	mapping = (arch_cycles() - start) / 100;

	start = arch_cycles();
	check(space_clone(space, &child) == K_OK);
	fork = arch_cycles() - start;
	start = arch_cycles();
	for (unsigned i = 0; i < 50; i++)
		check(!arch_copy_to_user(BASE + i * K_PAGE_SIZE, &word, 4));
	cow = (arch_cycles() - start) / 50;
	object_put(&child->object);

	start = arch_cycles();
	page = page_alloc(0, PAGE_ALLOC_ZERO, PAGE_KERNEL, NULL);
	page_free(page, 0);
	copy = arch_cycles() - start;
	log_line(LOG_INFO, "mm: anonymous fault %llu, copy on write %llu, map+unmap %llu, clone of 100 pages %llu, zeroed page %llu cycles",
		 (unsigned long long)fault, (unsigned long long)cow, (unsigned long long)mapping,
		 (unsigned long long)fork, (unsigned long long)copy);
	leave_space(space);
}
