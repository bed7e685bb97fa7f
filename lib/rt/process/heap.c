/* SPDX-License-Identifier: MIT */
/*
 * The heap of a process (rt/memory.h).
 *
 * Addresses [RT_HEAP, +RT_HEAP_SIZE) are two areas, each divided into units; a bitmap
 * says which are in use.  A run of units is mapped as a whole and begins with a
 * struct run, so that rt_free() finds it from any pointer into its first unit:
 *
 *   small	one unit cut into objects of one size class; free ones are linked
 *		through their first word.  Runs with free objects are on their
 *		class's list.  The last empty run of a class is kept, further ones
 *		are unmapped.
 *   large	one object behind the header, in as many units as it takes
 *
 * Every size class that is in use has a run that is not full, so runs of the many classes
 * of small objects are small: most processes need a few objects of each.  They are in the
 * first area until that is full; everything else is in the second.
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

#define FINE_UNIT	0x4000ull
#define FINE_SIZE	0x40000000ull	/* 1 GiB */
#define FINE_MAX	1024u		/* objects of at most so many bytes */
#define UNIT		0x10000ull
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
	struct area *area;		/* constant: where its units are */
	uint64_t length;		/* constant: of the run, in bytes */
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
static uint64_t fine_used[BITMAP_WORDS(FINE_SIZE / FINE_UNIT)];			/* units_lock */
static uint64_t used[BITMAP_WORDS((RT_HEAP_SIZE - FINE_SIZE) / UNIT)];		/* units_lock */

static struct area {
	uint64_t start, length, unit;	/* constant; start is from rt_base() */
	uint64_t *used;			/* constant */
	uint64_t hint;			/* units_lock: the units below it are all in use */
} fine = { RT_HEAP, FINE_SIZE, FINE_UNIT, fine_used, 0 },
  coarse = { RT_HEAP + FINE_SIZE, RT_HEAP_SIZE - FINE_SIZE, UNIT, used, 0 };

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

/* The units at @first are free again.  units_lock held. */
static void units_free(struct area *a, uint64_t first, uint64_t count)
{
	bitmap_clear_range(a->used, first, count);
	a->hint = MIN(a->hint, first);
}

/* @count units of @a, mapped; only area and length of the run are set. */
static struct run *run_map(struct area *a, uint64_t count)
{
	struct k_map map = {
		.length = count * a->unit,
		.prot = K_PROT_READ | K_PROT_WRITE,
		.max_prot = K_PROT_READ | K_PROT_WRITE,
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE,
	};
	uint64_t first, total = a->length / a->unit, reap;
	struct run *r;
	k_status_t st;

	rt_mutex_lock(&units_lock);
	first = bitmap_find_clear_run(a->used, total, a->hint, count);
	if (first < total) {
		bitmap_set_range(a->used, first, count);
		if (first == a->hint)
			a->hint = first + count;
	}
	rt_mutex_unlock(&units_lock);
	if (first >= total)
		return NULL;
	map.addr = rt_base() + a->start + first * a->unit;
	st = k_space_map(0, &map);
	if (st == K_OK) {
		/* A page that is missing when it is touched would be the end of this process. */
		st = k_space_advise(0, map.addr, map.length, K_ADVISE_POPULATE_WRITE);
		if (st == K_OK) {
			r = (struct run *)map.addr;
			r->area = a;
			r->length = map.length;
			return r;
		}
		(void)!k_space_unmap(0, map.addr, map.length, &reap);
	}
	rt_mutex_lock(&units_lock);
	units_free(a, first, count);
	rt_mutex_unlock(&units_lock);
	return NULL;
}

static void run_unmap(struct run *r)
{
	struct area *a = r->area;
	uint64_t first = ((uint64_t)r - rt_base() - a->start) / a->unit;
	uint64_t count = r->length / a->unit, reap;

	(void)!k_space_unmap(0, (uint64_t)r, r->length, &reap);
	rt_mutex_lock(&units_lock);
	units_free(a, first, count);
	rt_mutex_unlock(&units_lock);
}

static void *large_alloc(uint64_t size)
{
	struct run *r;

	if (size > RT_HEAP_SIZE)
		return NULL;
	r = run_map(&coarse, DIV_ROUND_UP(size + HEADER, UNIT));
	if (!r)
		return NULL;
	r->magic = MAGIC;
	r->class_index = CLASSES;
	r->size = r->length - HEADER;
	return (char *)r + HEADER;
}

/* A new run of class @c on its list.  The class lock is held. */
static struct run *small_run(struct size_class *sc, uint32_t c)
{
	struct run *r = class_size(c) <= FINE_MAX ? run_map(&fine, 1) : NULL;

	if (!r)
		r = run_map(&coarse, 1);
	if (!r)
		return NULL;
	r->magic = MAGIC;
	r->class_index = c;
	r->size = class_size(c);
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
	if (!r->free_list && r->fresh + r->size > r->length)
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
	uint64_t addr = (uint64_t)p;
	uint64_t unit = addr - rt_base() - fine.start < fine.length ? FINE_UNIT : UNIT;
	struct run *r = (struct run *)(addr & ~(unit - 1));

	if (r->magic != MAGIC || addr < (uint64_t)r + HEADER ||
	    (addr - (uint64_t)r - HEADER) % (r->class_index == CLASSES ? UNIT : r->size))
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
	if (!r->free_list && r->fresh + r->size > r->length)
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
