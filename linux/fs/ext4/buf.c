/* SPDX-License-Identifier: MIT */
/*
 * The cache of metadata blocks, see buf.h.
 *
 * States: EMPTY (in the table, not read), READING (somebody reads it; others wait
 * on the word), READY.  A read that fails makes it EMPTY again, so that the next
 * one tries again.
 */
#include "abi/calls.h"
#include "base/hash.h"
#include "block/block.h"
#include "fs/ext4/buf.h"
#include "lx/lock_rank.h"
#include "lx/ref.h"
#include "lx/vfs.h"

enum { EMPTY, READING, READY };

#define ALLOC_TRIES 4u
#define SHRINK 64u			/* blocks, and pages of files, given back when memory has run out */
#define TABLE_MIN 256u
#define TABLE_MAX 16384u

int e4_cache_init(struct e4_cache *c, struct lx_blkdev *dev, uint32_t block_size)
{
	struct k_system_info info = { .memory_bytes = 64u << 20 };
	uint64_t blocks, size = TABLE_MIN;

	(void)!k_system_info(&info);
	blocks = info.memory_bytes / 32 / block_size;
	while (size < TABLE_MAX && size < blocks)
		size *= 2;
	*c = (struct e4_cache){ .dev = dev, .block_size = block_size, .mask = (uint32_t)size - 1,
				.limit = (uint32_t)MIN(blocks, (uint64_t)UINT32_MAX) };
	rt_mutex_init(&c->lock, LX_LOCK_EXT4_CACHE);
	list_init(&c->lru);
	c->table = rt_zalloc(size * sizeof(*c->table));
	return c->table ? 0 : -ENOMEM;
}

static void free_buf(struct e4_buf *b)
{
	rt_free(b->data);
	rt_free(b);
}

void e4_cache_free(struct e4_cache *c)
{
	struct hlist_node *tmp;
	struct e4_buf *b;

	for (uint32_t i = 0; c->table && i <= c->mask; i++)
		hlist_for_each_entry_safe(b, tmp, &c->table[i], hash_link)
			free_buf(b);
	rt_free(c->table);
	c->table = NULL;
}

/* Forget old blocks that nobody needs, down to @most.  Lock held. */
static void shrink(struct e4_cache *c, uint32_t most)
{
	struct list *l = c->lru.next;

	while (c->idle > most && l != &c->lru) {
		struct e4_buf *b = list_entry(l, struct e4_buf, lru);

		l = l->next;
		hlist_remove(&b->hash_link);
		list_remove(&b->lru);
		c->idle--;
		free_buf(b);
	}
}

static struct hlist *chain(struct e4_cache *c, uint64_t block)
{
	return &c->table[hash_u64(block, 0) & c->mask];
}

/* A reference to the cached block, or NULL.  Lock held. */
static struct e4_buf *find(struct e4_cache *c, uint64_t block)
{
	struct e4_buf *b;

	hlist_for_each_entry(b, chain(c, block), hash_link) {
		if (b->block != block)
			continue;
		if (atomic_fetch_add(&b->refs, 1) == 0) {
			list_remove(&b->lru);
			c->idle--;
		}
		return b;
	}
	return NULL;
}

struct e4_buf *e4_buf_peek(struct e4_cache *c, uint64_t block)
{
	struct e4_buf *b;

	rt_mutex_lock(&c->lock);
	b = find(c, block);
	rt_mutex_unlock(&c->lock);
	return b;
}

static struct e4_buf *alloc_buf(struct e4_cache *c, uint64_t block)
{
	struct e4_buf *b = rt_zalloc(sizeof(*b));

	if (!b)
		return NULL;
	b->data = rt_alloc(c->block_size);
	if (!b->data) {
		rt_free(b);
		return NULL;
	}
	b->cache = c;
	b->block = block;
	atomic_store(&b->refs, 1);
	list_init(&b->lru);
	list_init(&b->tx_link);
	list_init(&b->dirty_link);
	return b;
}

/*
 * A failure may end a transaction in the middle, which costs the whole file system: so
 * everything else that can give memory back does that first.
 */
static struct e4_buf *alloc_hard(struct e4_cache *c, uint64_t block)
{
	struct e4_buf *b = alloc_buf(c, block);

	for (unsigned int tries = 0; !b && tries < ALLOC_TRIES; tries++) {
		rt_mutex_lock(&c->lock);
		shrink(c, c->idle > SHRINK ? c->idle - SHRINK : 0);
		rt_mutex_unlock(&c->lock);
		(void)lx_reclaim_pages(SHRINK);
		b = alloc_buf(c, block);
	}
	return b;
}

/* The cached block, made if need be. */
static struct e4_buf *lookup(struct e4_cache *c, uint64_t block)
{
	struct e4_buf *b = e4_buf_peek(c, block), *made;

	if (b)
		return b;
	made = alloc_hard(c, block);
	rt_mutex_lock(&c->lock);
	b = find(c, block);
	if (!b && made) {
		b = made;
		hlist_add(chain(c, block), &b->hash_link);
		made = NULL;
	}
	rt_mutex_unlock(&c->lock);
	if (made)
		free_buf(made);
	return b;
}

/* Read it unless that was done, or wait for whoever does.  @zero: instead of reading. */
static int make_ready(struct e4_buf *b, bool zero)
{
	struct e4_cache *c = b->cache;
	uint32_t state;
	int err;

	/* acquire: pairs with the release below; the bytes come first */
	while ((state = atomic_load_explicit(&b->state, memory_order_acquire)) != READY) {
		if (state == READING) {
			(void)!rt_wait(&b->state, READING, K_DEADLINE_NEVER, false);
			continue;
		}
		if (!atomic_compare_exchange_strong(&b->state, &state, READING))
			continue;
		err = 0;
		if (zero)
			memset(b->data, 0, c->block_size);
		else
			err = lx_blkdev_read_direct(c->dev, b->block * c->block_size, b->data, c->block_size);
		atomic_store_explicit(&b->state, err ? EMPTY : READY, memory_order_release);
		rt_wake(&b->state, UINT32_MAX);
		return err;
	}
	return 0;
}

static int get_ready(struct e4_cache *c, uint64_t block, bool zero, struct e4_buf **out)
{
	struct e4_buf *b = lookup(c, block);
	int err;

	if (!b)
		return -ENOMEM;
	err = make_ready(b, zero);
	if (err) {
		e4_buf_put(b);
		return err;
	}
	*out = b;
	return 0;
}

int e4_buf_read(struct e4_cache *c, uint64_t block, struct e4_buf **out)
{
	return get_ready(c, block, false, out);
}

int e4_buf_unread(struct e4_cache *c, uint64_t block, struct e4_buf **out)
{
	return get_ready(c, block, true, out);
}

int e4_buf_new(struct e4_cache *c, uint64_t block, struct e4_buf **out)
{
	struct e4_buf *b = lookup(c, block);

	if (!b)
		return -ENOMEM;
	/* the block was free until now: nobody else looks at it */
	memset(b->data, 0, c->block_size);
	atomic_store(&b->kind, E4_RAW);
	atomic_store_explicit(&b->state, READY, memory_order_release);
	*out = b;
	return 0;
}

struct e4_buf *e4_buf_get(struct e4_buf *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void e4_buf_put(struct e4_buf *b)
{
	struct e4_cache *c;

	if (!b || lx_ref_drop_shared(&b->refs))
		return;
	c = b->cache;
	rt_mutex_lock(&c->lock);
	if (atomic_fetch_sub(&b->refs, 1) == 1) {
		list_add_last(&c->lru, &b->lru);
		c->idle++;
		shrink(c, c->limit);
	}
	rt_mutex_unlock(&c->lock);
}
