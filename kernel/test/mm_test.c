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

static uint64_t stack_pages(void)
{
	struct kmem_stats stats;

	kmem_stats(&stats);
	return stats.stack_pages;
}

/* Nobody pays for all the threads that have ended before, and nothing is kept for good. */
SELFTEST(surplus_stacks_go_a_few_at_a_time)
{
	enum { N = 300 };
	void **stacks = kcalloc(N, sizeof(*stacks));
	uint64_t full, before, after;
	unsigned n = 0;

	if (!check(stacks))
		return;
	while (n < N && (stacks[n] = kstack_alloc()))
		n++;
	check(n == N);
	full = stack_pages();
	while (n)
		kstack_free(stacks[--n]);
	check(stack_pages() >= full - 64);	/* (others come and go) */
	for (n = 0; n < N; n++) {
		before = stack_pages();
		stacks[0] = kstack_alloc();
		after = stack_pages();
		if (!check(stacks[0]))
			break;
		kstack_free(stacks[0]);
		check(after + 64 >= before);
	}
	check(stack_pages() <= full - (N - 64) * KSTACK_SIZE / K_PAGE_SIZE);
	kfree(stacks);
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

/* A space like that of a small program: 24 regions, 40 private pages in three places. */
static struct space *program_like(struct group *group, struct memory *file)
{
	static const uint64_t places[3] = { 0x400000, 0x7f0000000000, 0x7fffff000000 };
	struct space *space = NULL;
	uint32_t word = 1;

	check(space_create(group, K_SPACE_PROGRAM, 0, &space) == K_OK);
	for (unsigned i = 0; i < 24; i++) {
		struct k_map map = { .addr = places[i / 8] + (i % 8) * 32 * K_PAGE_SIZE,
				     .length = 32 * K_PAGE_SIZE, .flags = K_MAP_FIXED,
				     .prot = i % 2 ? 3 : 1, .max_prot = 7 };

		check(space_map(space, &map, i % 8 == 7 ? NULL : file, NULL) == K_OK);
	}
	thread_set_run_space(space, false);
	for (unsigned i = 0; i < 40; i++)
		check(!arch_copy_to_user(places[i % 3] + (1 + 2 * (i / 3 % 4)) * 32 * K_PAGE_SIZE +
					 i / 12 * K_PAGE_SIZE, &word, 4));
	return space;
}

SELFTEST(path_lengths_of_memory)
{
	struct k_map map = { .length = 1024 * K_PAGE_SIZE, .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE };
	struct k_group_limits none = { 0 };
	struct space *space, *child = NULL;
	struct memory *file = NULL;
	struct group *group = NULL;
	uint64_t start, fault, cow, mapping, clone, end, zero;
	uint32_t word = 1;
	struct page *page;

	if (!check(group_create(root_group, &none, &group) == K_OK) ||
	    !check(memory_create(group, 64 * K_PAGE_SIZE, 0, &file) == K_OK))
		return;
	space = program_like(group, file);
	map.addr = BASE;
	check(space_map(space, &map, NULL, NULL) == K_OK);
	start = arch_cycles();
	for (unsigned i = 0; i < 100; i++)
		check(!arch_copy_to_user(BASE + i * K_PAGE_SIZE, &word, 4));
	fault = (arch_cycles() - start) / 100;
	check(space_unmap(space, map.addr, map.length) == K_OK);

	start = arch_cycles();
	for (unsigned i = 0; i < 100; i++) {
		map.addr = 0;
		check(space_map(space, &map, NULL, NULL) == K_OK);
		check(space_unmap(space, map.addr, map.length) == K_OK);
	}
	mapping = (arch_cycles() - start) / 100;

	check(space_clone(space, &child) == K_OK);
	object_put(&child->object);
	start = arch_cycles();
	check(space_clone(space, &child) == K_OK);
	clone = arch_cycles() - start;
	start = arch_cycles();
	for (unsigned i = 0; i < 8; i++)
		check(!arch_copy_to_user(0x400000 + 32 * K_PAGE_SIZE + i % 4 * K_PAGE_SIZE, &word, 4));
	cow = (arch_cycles() - start) / 4;
	start = arch_cycles();
	object_put(&child->object);
	end = arch_cycles() - start;

	start = arch_cycles();
	for (unsigned i = 0; i < 100; i++) {
		page = page_alloc(0, PAGE_ALLOC_ZERO, PAGE_ANON, group);
		page_free(page, 0);
	}
	zero = (arch_cycles() - start) / 100;
	log_line(LOG_INFO, "mm cycles: anonymous fault %llu, copy on write %llu, map+unmap %llu, clone %llu, end of space %llu, zeroed page %llu",
		 (unsigned long long)fault, (unsigned long long)cow, (unsigned long long)mapping,
		 (unsigned long long)clone, (unsigned long long)end, (unsigned long long)zero);
	leave_space(space);
	object_put(&file->object);
	object_put(&group->object);
}

/* -- two at the mappings of one object --------------------------------------------------- */

static struct {
	struct memory *memory;
	_Atomic(uint32_t) running;
} zaps;

static void discard_page(uint64_t index)
{
	check(memory_discard(zaps.memory, index * K_PAGE_SIZE, K_PAGE_SIZE) == K_OK);
	atomic_fetch_sub(&zaps.running, 1);
}

static void map_shared(struct space *space, uint64_t pages)
{
	struct k_map map = { .addr = BASE + (1 << 20), .length = pages * K_PAGE_SIZE,
			     .flags = K_MAP_FIXED | K_MAP_SHARED, .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE };

	check(space_map(space, &map, zaps.memory, NULL) == K_OK);
}

/* The first one waits at a space, while the second has work in the other space alone. */
SELFTEST(pages_go_from_all_mappings_whoever_else_is_at_them)
{
	struct space *narrow = space_with(1), *wide = space_with(1);
	uint32_t word = 7;

	check(memory_create(NULL, 16 * K_PAGE_SIZE, 0, &zaps.memory) == K_OK);
	map_shared(narrow, 1);
	map_shared(wide, 16);
	thread_set_run_space(wide, false);
	check(!arch_copy_to_user(BASE + (1 << 20), &word, 4));
	zaps.running = 2;
	kmutex_lock(&narrow->lock);
	thread_spawn_kernel("first", discard_page, 0);
	while (!READ_ONCE(zaps.memory->zap_round))
		sched_yield();
	thread_spawn_kernel("second", discard_page, 9);
	for (unsigned i = 0; i < 1000 && atomic_load(&zaps.running) == 2; i++)
		sched_yield();
	kmutex_unlock(&narrow->lock);
	while (atomic_load(&zaps.running))
		sched_sleep_until(time_now_ns() + 1000000);
	check(arch_load_user_u32(BASE + (1 << 20), &word) && word == 0);
	leave_space(wide);
	object_put(&narrow->object);
	object_put(&zaps.memory->object);
}

/* -- everything at once ------------------------------------------------------------------ */

#define STORM_SPACES	3u
#define STORM_PAGES	64u
#define STORM_STEPS	1500u

static struct {
	struct space *space[STORM_SPACES];
	struct memory *memory[2];
	_Atomic(uint32_t) running;
} storm;

static uint64_t storm_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* One random operation.  Statuses do not matter here: the invariants do. */
static void storm_step(uint64_t *seed)
{
	uint64_t page = storm_random(seed) % STORM_PAGES, n = 1 + storm_random(seed) % 12, done;
	uint64_t addr = BASE + page * K_PAGE_SIZE, length = n * K_PAGE_SIZE;
	struct space *space = storm.space[storm_random(seed) % STORM_SPACES], *child;
	struct memory *memory = storm.memory[storm_random(seed) % 2];
	struct k_map map = { .addr = addr, .length = length, .flags = K_MAP_FIXED,
			     .prot = K_PROT_READ | K_PROT_WRITE, .max_prot = 7,
			     .offset = storm_random(seed) % 16 * K_PAGE_SIZE };
	struct k_clean clean = { .length = 1 << 20, .action = K_CLEAN_TAKE };
	struct k_move move = { .old_addr = addr, .old_length = length, .new_length = length,
			       .new_addr = BASE + storm_random(seed) % STORM_PAGES * K_PAGE_SIZE,
			       .flags = K_MOVE_MAY_MOVE | K_MOVE_FIXED };
	uint32_t word = (uint32_t)page;

	thread_set_run_space(space, false);
	switch (storm_random(seed) % 16) {
	case 0:
		(void)!space_map(space, &map, NULL, NULL);
		break;
	case 1:
		map.flags |= storm_random(seed) % 2 ? K_MAP_SHARED : 0;
		(void)!space_map(space, &map, memory, NULL);
		break;
	case 2:
		(void)!space_unmap(space, addr, length);
		break;
	case 3:
		(void)!space_protect(space, addr, length, (uint32_t)storm_random(seed) % 8);
		break;
	case 4:
		(void)!space_move(space, &move);
		break;
	case 5:
		if (space_clone(space, &child) == K_OK) {
			thread_set_run_space(child, false);
			(void)!arch_copy_to_user(addr, &word, 4);
			thread_set_run_space(NULL, false);
			object_put(&child->object);
		}
		break;
	case 6:
		(void)!memory_resize(memory, storm_random(seed) % 32 * K_PAGE_SIZE + 100);
		break;
	case 7:
		(void)!memory_discard(memory, map.offset, length);
		break;
	case 8:
		(void)!memory_clean(memory, &clean);
		break;
	case 9:
		(void)!memory_write(memory, map.offset, &word, 4, false, &done);
		break;
	case 10:
		(void)!space_write(space, addr, &word, 4, &done);
		break;
	case 11:
		(void)!space_advise(space, addr, length, K_ADVISE_DISCARD);
		break;
	default:
		for (uint64_t i = 0; i < n; i++)
			if (i % 2)
				(void)!arch_copy_to_user(addr + i * K_PAGE_SIZE, &word, 4);
			else
				(void)!arch_load_user_u32(addr + i * K_PAGE_SIZE, &word);
	}
}

static void storm_thread(uint64_t seed)
{
	for (unsigned i = 0; i < STORM_STEPS; i++)
		storm_step(&seed);
	thread_set_run_space(NULL, false);
	atomic_fetch_sub(&storm.running, 1);
}

static uint64_t used_pages(enum page_kind kind)
{
	struct page_stats stats;

	page_stats(&stats);
	return stats.kinds[kind];
}

SELFTEST(spaces_and_objects_stay_consistent_in_a_storm)
{
	uint64_t anon = used_pages(PAGE_ANON), object = used_pages(PAGE_OBJECT);
	uint64_t tables = used_pages(PAGE_TABLE);

	for (unsigned i = 0; i < STORM_SPACES; i++)
		check(space_create(NULL, K_SPACE_PROGRAM, 0, &storm.space[i]) == K_OK);
	check(memory_create(NULL, 64 * 1024, 0, &storm.memory[0]) == K_OK);
	check(memory_create(NULL, 64 * 1024, K_MEMORY_TRACK_DIRTY, &storm.memory[1]) == K_OK);
	storm.running = cpu_count + 1;
	for (uint32_t i = 0; i < cpu_count + 1; i++)
		thread_spawn_kernel("storm", storm_thread, 12345 + i);
	while (atomic_load(&storm.running))
		sched_sleep_until(time_now_ns() + 1000000);
	for (unsigned i = 0; i < STORM_SPACES; i++) {
		space_check(storm.space[i]);
		object_put(&storm.space[i]->object);
	}
	for (unsigned i = 0; i < 2; i++)
		object_put(&storm.memory[i]->object);
	object_settle();
	check(used_pages(PAGE_ANON) == anon);
	check(used_pages(PAGE_OBJECT) == object);
	check(used_pages(PAGE_TABLE) == tables);
}
