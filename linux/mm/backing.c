/* SPDX-License-Identifier: MIT */
/*
 * Files that are mapped.
 *
 * The kernel counts the regions of each backing; we hold the file open as long as
 * there are any.  One lx_backing per open file at a time: the file points to it
 * without a reference (f->backing, under f->lock), it holds a reference to the
 * file, and the kernel knows its address as the cookie.  When the kernel reports
 * the cookie, no region is left and the backing is dead for good.
 *
 * Cookies come back from the kernel at any time (a fault, /proc/PID/maps), also
 * when another thread reaps that backing just then; so a cookie is looked up in
 * the table of live backings before it is used as a pointer.
 *
 * Reaping happens where regions go away: after munmap, exec and exit.  What such a
 * moment misses (another processor still used the space), the next one finds.
 */

#include "abi/calls.h"
#include "base/hlist.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "mm/mm_impl.h"

struct entry {
	struct lx_backing b;		/* first: its address is the cookie */
	struct hlist_node link;		/* table_lock */
};

#define BUCKETS 256

static struct rt_mutex table_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct hlist table[BUCKETS];	/* table_lock */
static _Atomic(uint32_t) live;		/* backings that the kernel may report */

static struct hlist *bucket(uint64_t cookie)
{
	return &table[(cookie >> 6) % BUCKETS];
}

static struct entry *find(uint64_t cookie)
{
	struct entry *e;

	hlist_for_each_entry(e, bucket(cookie), link)
		if ((uint64_t)(uintptr_t)e == cookie)
			return e;
	return NULL;
}

struct lx_file *lx_backing_file(uint64_t cookie)
{
	struct lx_file *f = NULL;
	struct entry *e;

	if (!cookie)
		return NULL;
	rt_mutex_lock(&table_lock);
	e = find(cookie);
	if (e)
		f = lx_file_get(e->b.file);
	rt_mutex_unlock(&table_lock);
	return f;
}

/* A new backing for @f, with f->lock held. */
static k_status_t create(struct lx_file *f, k_handle_t memory)
{
	struct entry *e = rt_zalloc(sizeof(*e));
	k_status_t st;

	if (!e)
		return K_ERR_NO_MEMORY;
	st = k_backing_create(memory, (uint64_t)(uintptr_t)e, &e->b.handle);
	if (st != K_OK) {
		rt_free(e);
		return st;
	}
	e->b.file = lx_file_get(f);
	rt_mutex_lock(&table_lock);
	hlist_add(bucket((uint64_t)(uintptr_t)e), &e->link);
	rt_mutex_unlock(&table_lock);
	atomic_fetch_add(&live, 1);
	f->backing = &e->b;
	return K_OK;
}

/* Nobody maps it, and no file has it any more. */
static void free_entry(struct entry *e)
{
	rt_mutex_lock(&table_lock);
	hlist_remove(&e->link);
	rt_mutex_unlock(&table_lock);
	(void)!k_handle_close(e->b.handle);
	rt_free(e);
	atomic_fetch_sub(&live, 1);
}

/*
 * Mapping failed.  If no region has it the kernel can't have another look at it;
 * close the handle and forget it.  f->lock is held, the caller has a reference to
 * the file of its own.
 */
static void unused(struct lx_file *f)
{
	struct entry *e = container_of(f->backing, struct entry, b);

	if (e->b.mapped)
		return;
	f->backing = NULL;
	free_entry(e);
	atomic_fetch_sub(&f->refs, 1);	/* never the last */
}

k_status_t lx_backing_map(k_handle_t space, struct lx_file *f, k_handle_t memory,
			  struct k_map *map)
{
	k_status_t st = K_OK;

	rt_mutex_lock(&f->lock);
	if (!f->backing)
		st = create(f, memory);
	if (st == K_OK) {
		map->backing = f->backing->handle;
		st = k_space_map(space, map);
	}
	if (st == K_ERR_CLOSED) {
		/* The last region just went; the reaper has the old one. */
		f->backing = NULL;
		st = create(f, memory);
		if (st == K_OK) {
			map->backing = f->backing->handle;
			st = k_space_map(space, map);
		}
	}
	/*
	 * A backing that was never mapped would never be reported: it stays with the
	 * file for the next attempt, and the file with it.  Take it away again.
	 */
	if (st == K_OK)
		f->backing->mapped = true;
	else if (f->backing)
		unused(f);
	rt_mutex_unlock(&f->lock);
	return st;
}

static void destroy(struct entry *e)
{
	struct lx_file *f = e->b.file;

	rt_mutex_lock(&f->lock);
	if (f->backing == &e->b)
		f->backing = NULL;
	rt_mutex_unlock(&f->lock);
	free_entry(e);
	lx_file_put(f);
}

void lx_backing_reap(void)
{
	uint64_t cookies[32], count, i;
	struct entry *e;

	while (atomic_load(&live)) {
		if (k_backing_reap(K_HANDLE_NONE, 0, cookies, sizeof(cookies), &count) != K_OK)
			return;
		for (i = 0; i < count; i++) {
			rt_mutex_lock(&table_lock);
			e = find(cookies[i]);
			rt_mutex_unlock(&table_lock);
			if (e)
				destroy(e);
		}
		if (count < ARRAY_SIZE(cookies))
			return;
	}
}
