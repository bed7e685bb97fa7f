/* SPDX-License-Identifier: MIT */
/*
 * The heap of a process (rt/memory.h).
 *
 * Addresses [RT_HEAP, +RT_HEAP_SIZE) are divided into units of UNIT bytes; a bitmap
 * says which are in use.  A run of units is mapped as a whole and begins with a
 * struct run, so that rt_free() finds it from any pointer into its first unit:
 *
 *   small	one unit cut into objects of one size class; free ones are linked
 *		through their first word.  Runs with free objects are on their
 *		class's list.  The last empty run of a class is kept, further ones
 *		are unmapped.
 *   large	one object behind the header, in as many units as it takes
 *
 * Runs have all their pages from the start, so that to be out of memory is an error of
 * rt_alloc() and not a fault later.
 *
 * Locks: one per class, units_lock inside them.  A size class is (4..7) << n for
 * n >= 4, so that at most a fifth is lost to rounding.
 *
 * Invariants: used counts the objects given out; a small run is on its class's
 * list exactly when free_list is not empty.
 */
#include "abi/calls.h"
#include "base/bitmap.h"
#include "base/list.h"
#include "base/string.h"
#include "base/util.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "thread_priv.h"

#define UNIT		0x10000ull
#define UNITS		(RT_HEAP_SIZE / UNIT)
#define MAGIC		0x68656170u
#define SMALL_MAX	8192u
#define CLASSES		32u	/* 16, 32, 48, 64, 80, 96, 112, 128, 160 ... 8192 */

struct object {
	struct object *next;
};

struct run {
	uint32_t magic;			/* MAGIC; constant */
	uint32_t class_index;		/* constant; CLASSES: large */
	uint64_t size;			/* constant: of an object */
	uint64_t units;			/* constant */
	struct list link;		/* class lock: in class->runs */
	struct object *free_list;	/* class lock */
	uint32_t used;			/* class lock */
	uint32_t fresh;			/* class lock: bytes from here on were never given out */
};

#define HEADER ALIGN_UP(sizeof(struct run), 64)

static struct size_class {
	struct rt_mutex lock;
	struct list runs;		/* with a free object; lock */
	bool started;			/* lock */
	uint32_t empty;			/* runs with used == 0; lock */
} classes[CLASSES];

static struct rt_mutex units_lock = RT_MUTEX_INIT(0);
static uint64_t units[BITMAP_WORDS(UNITS)];	/* units_lock */
static uint64_t units_hint;			/* units_lock: below it all are in use */

static uint32_t class_of(uint64_t size)
{
	unsigned int shift;

	if (size <= 64)
		return size <= 16 ? 0 : (uint32_t)((size - 1) / 16);
	shift = log2_u64(size - 1) - 2;
	return 4 * (shift - 3) + (uint32_t)((size - 1) >> shift) - 4;
}

static uint64_t class_size(uint32_t c)
{
	if (c < 4)
		return 16 * (c + 1ull);
	return (uint64_t)(c % 4 + 5) << (c / 4 + 3);
}

static struct run *run_map(uint64_t count)
{
	struct k_map map = {
		.length = count * UNIT,
		.prot = K_PROT_READ | K_PROT_WRITE,
		.max_prot = K_PROT_READ | K_PROT_WRITE,
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE,
	};
	uint64_t first, reap;
	k_status_t st;

	rt_mutex_lock(&units_lock);
	first = bitmap_find_clear_run(units, UNITS, units_hint, count);
	if (first < UNITS) {
		bitmap_set_range(units, first, count);
		if (first == units_hint)
			units_hint = first + count;
	}
	rt_mutex_unlock(&units_lock);
	if (first >= UNITS)
		return NULL;
	map.addr = rt_base() + RT_HEAP + first * UNIT;
	st = k_space_map(0, &map);
	if (st == K_OK) {
		/* A page that is missing when it is touched would be the end of this process. */
		st = k_space_advise(0, map.addr, map.length, K_ADVISE_POPULATE_WRITE);
		if (st == K_OK)
			return (struct run *)map.addr;
		(void)!k_space_unmap(0, map.addr, map.length, &reap);
	}
	rt_mutex_lock(&units_lock);
	bitmap_clear_range(units, first, count);
	units_hint = MIN(units_hint, first);
	rt_mutex_unlock(&units_lock);
	return NULL;
}

static void run_unmap(struct run *r)
{
	uint64_t first = ((uint64_t)r - rt_base() - RT_HEAP) / UNIT, count = r->units, reap;

	(void)!k_space_unmap(0, (uint64_t)r, count * UNIT, &reap);
	rt_mutex_lock(&units_lock);
	bitmap_clear_range(units, first, count);
	units_hint = MIN(units_hint, first);
	rt_mutex_unlock(&units_lock);
}

static void *large_alloc(uint64_t size)
{
	uint64_t count;
	struct run *r;

	if (size > RT_HEAP_SIZE)
		return NULL;
	count = DIV_ROUND_UP(size + HEADER, UNIT);
	r = run_map(count);
	if (!r)
		return NULL;
	r->magic = MAGIC;
	r->class_index = CLASSES;
	r->size = count * UNIT - HEADER;
	r->units = count;
	return (char *)r + HEADER;
}

/* A new run of class @c on its list.  The class lock is held. */
static struct run *small_run(struct size_class *sc, uint32_t c)
{
	struct run *r = run_map(1);

	if (!r)
		return NULL;
	r->magic = MAGIC;
	r->class_index = c;
	r->size = class_size(c);
	r->units = 1;
	r->fresh = HEADER;
	list_add_first(&sc->runs, &r->link);
	sc->empty++;
	return r;
}

/* Objects that were never used are not linked: their pages stay untouched. */
static void *run_take(struct size_class *sc, struct run *r)
{
	struct object *o = r->free_list;

	if (o) {
		r->free_list = o->next;
	} else {
		o = (struct object *)((char *)r + r->fresh);
		r->fresh += (uint32_t)r->size;
	}
	if (!r->used++)
		sc->empty--;
	if (!r->free_list && r->fresh + r->size > UNIT)
		list_remove(&r->link);
	return o;
}

static void *small_alloc(uint64_t size)
{
	uint32_t c = class_of(size ? size : 1);
	struct size_class *sc = &classes[c];
	struct run *r;
	void *p;

	rt_mutex_lock(&sc->lock);
	if (!sc->started) {
		list_init(&sc->runs);
		sc->started = true;
	}
	r = list_first_entry(&sc->runs, struct run, link);
	if (!r)
		r = small_run(sc, c);
	p = r ? run_take(sc, r) : NULL;
	rt_mutex_unlock(&sc->lock);
	return p;
}

void *rt_alloc(size_t size)
{
	void *p = size > SMALL_MAX ? large_alloc(size) : small_alloc(size);

	if (unlikely(!p) && size <= RT_ALLOC_SMALL)
		rt_memory_refused();
	return p;
}

void *rt_zalloc(size_t size)
{
	void *p = rt_alloc(size);

	if (p && size <= SMALL_MAX)	/* large ones are fresh pages */
		memset(p, 0, size);
	return p;
}

static struct run *run_of(void *p)
{
	struct run *r = (struct run *)((uint64_t)p & ~(UNIT - 1));

	if (r->magic != MAGIC || (uint64_t)p < (uint64_t)r + HEADER ||
	    ((uint64_t)p - (uint64_t)r - HEADER) % (r->class_index == CLASSES ? UNIT : r->size))
		rt_panic("heap: %p was not allocated", p);
	return r;
}

void rt_free(void *p)
{
	struct size_class *sc;
	struct object *o = p;
	struct run *r;

	if (!p)
		return;
	r = run_of(p);
	if (r->class_index == CLASSES) {
		r->magic = 0;
		run_unmap(r);
		return;
	}
	sc = &classes[r->class_index];
	rt_mutex_lock(&sc->lock);
	if (!r->free_list && r->fresh + r->size > UNIT)
		list_add_first(&sc->runs, &r->link);
	o->next = r->free_list;
	r->free_list = o;
	if (--r->used || !sc->empty++) {
		rt_mutex_unlock(&sc->lock);
		return;
	}
	sc->empty--;
	list_remove(&r->link);
	rt_mutex_unlock(&sc->lock);
	run_unmap(r);
}

void *rt_realloc(void *p, size_t size)
{
	uint64_t old;
	void *fresh;

	if (!p)
		return rt_alloc(size);
	old = run_of(p)->size;
	if (size <= old && size >= old / 2)
		return p;
	fresh = rt_alloc(size);
	if (!fresh)
		return size <= old ? p : NULL;
	memcpy(fresh, p, MIN(size, old));
	rt_free(p);
	return fresh;
}
