/* SPDX-License-Identifier: MIT */
/* The heap over the host's mmap: contents, alignment, and what is given back. */
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>

#include "abi/calls.h"
#include "rt/held.h"
#include "rt/layout.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "thread_priv.h"
#include "unit/unit.h"

static const uint64_t base = 0x210000000000;
static uint64_t mapped;

uint64_t rt_base(void)
{
	return base;
}

struct rt_held *rt_held(void)
{
	return NULL;
}

void *rt_thread_token(void)
{
	return &mapped;
}

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible)
{
	abort();
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
}

void rt_panic(const char *fmt, ...)
{
	abort();
}

static uint64_t closed;			/* nothing is mapped below this */

k_status_t k_space_map(k_handle_t space, struct k_map *map)
{
	void *p;

	if (map->addr < closed)
		return K_ERR_NO_MEMORY;
	p = mmap((void *)map->addr, map->length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	if (p != (void *)map->addr)
		return K_ERR_EXISTS;
	mapped += map->length;
	return K_OK;
}

static bool out_of_memory;

k_status_t k_space_advise(k_handle_t space, uint64_t addr, uint64_t length, uint32_t advice)
{
	return out_of_memory ? K_ERR_NO_MEMORY : K_OK;
}

k_status_t k_space_unmap(k_handle_t space, uint64_t addr, uint64_t length, uint64_t *reap)
{
	mapped -= length;
	return munmap((void *)addr, length) ? K_ERR_BAD_ARGUMENT : K_OK;
}

enum { N = 2000 };

static struct {
	unsigned char *p;
	size_t n;
	unsigned char fill;
} live[N];

static void verify(int i)
{
	for (size_t k = 0; k < live[i].n; k++)
		if (live[i].p[k] != live[i].fill) {
			CHECK(!"contents changed");
			return;
		}
}

static size_t random_size(void)
{
	switch (unit_random() % 8) {
	case 0:
		return unit_random() % 200000;
	case 1:
	case 2:
		return unit_random() % 9000;
	default:
		return unit_random() % 300;
	}
}

TEST(heap_keeps_contents_and_gives_back)
{
	for (int round = 0; round < 60000; round++) {
		int i = (int)(unit_random() % N);
		size_t n = random_size();

		if (!live[i].p) {
			live[i].p = unit_random() % 2 ? rt_alloc(n) : rt_zalloc(n);
			live[i].n = n;
		} else if (unit_random() % 4 == 0) {
			size_t keep = n < live[i].n ? n : live[i].n;

			verify(i);
			live[i].p = rt_realloc(live[i].p, n);
			live[i].n = keep;
			verify(i);
			live[i].n = n;
		} else {
			verify(i);
			rt_free(live[i].p);
			live[i].p = NULL;
			continue;
		}
		REQUIRE(live[i].p);
		CHECK(((uintptr_t)live[i].p & 15) == 0);
		live[i].fill = (unsigned char)unit_random();
		memset(live[i].p, live[i].fill, live[i].n);
	}
	for (int i = 0; i < N; i++) {
		if (live[i].p)
			verify(i);
		rt_free(live[i].p);
	}
	/* One empty run of each class: 20 of small objects, 12 of others. */
	CHECK(mapped <= 20 * 0x4000 + 12 * 0x10000);
}

/* Where there is no place for more small objects they are among the others. */
TEST(heap_puts_small_objects_where_there_is_room)
{
	enum { MANY = 3000 };
	static uint64_t *p[MANY];
	uint64_t was;

	rt_free(rt_alloc(600));			/* its empty run is kept */
	was = mapped;
	closed = base + RT_HEAP + (1ull << 30);
	for (uint64_t i = 0; i < MANY; i++) {
		p[i] = rt_alloc(600);
		REQUIRE(p[i]);
		*p[i] = i;
	}
	closed = 0;
	for (uint64_t i = 0; i < MANY; i++)
		CHECK_EQ(*p[i], i);
	CHECK((uint64_t)p[MANY - 1] >= base + RT_HEAP + (1ull << 30));
	for (uint64_t i = MANY; i-- > 0;)
		rt_free(p[i]);
	CHECK(mapped <= was + 0x10000);
}

TEST(heap_zeroes_and_refuses_absurd_sizes)
{
	unsigned char *p = rt_alloc(500);

	memset(p, 1, 500);
	rt_free(p);
	p = rt_zalloc(500);
	for (int i = 0; i < 500; i++)
		CHECK(!p[i]);
	rt_free(p);
	CHECK(!rt_alloc(SIZE_MAX));
	CHECK(!rt_alloc(SIZE_MAX - 100));
	CHECK(!rt_alloc(RT_HEAP_SIZE));
	rt_free(NULL);
	for (size_t n = 0; n <= 8300; n++) {
		p = rt_alloc(n);
		REQUIRE(p);
		memset(p, 2, n);
		rt_free(p);
	}
}

TEST(heap_that_gets_no_pages_says_so)
{
	void *before = rt_alloc(100000), *p;
	__typeof__(mapped) was = mapped;

	out_of_memory = true;
	CHECK(!rt_alloc(100000));
	CHECK(!rt_zalloc(1 << 20));
	CHECK_EQ(mapped, was);
	out_of_memory = false;
	p = rt_alloc(100000);
	CHECK(p);
	rt_free(p);
	rt_free(before);
}
