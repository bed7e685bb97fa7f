/* SPDX-License-Identifier: MIT */
/*
 * Packet buffers: see lx/pbuf.h.
 *
 * Invariants:
 *   (1) p->len is the sum of the lengths of its pieces; all of them but the first have some.
 *   (2) A piece lies within its block.  The buffer has one reference to each of its pieces'
 *       blocks, and one to its own block; if its first piece is in its own block, one reference
 *       stands for both, so that a buffer which nobody shares is freed without atomic writes.
 *   (3) A block's bytes are written only by who has the only reference.
 */
#include "base/util.h"
#include "lx/pbuf.h"

struct lx_pbuf_block {
	/*
	 * Taking one away is a release; who finds 1, or takes the last one away, acquires: what
	 * others read or wrote is over.
	 */
	_Atomic(uint32_t) refs;
	uint32_t size;			/* of all, this header too: what the pool is charged */
	struct lx_pbuf_pool *pool;
	uint32_t head;			/* where the room for bytes begins, from here */
};

#define BLOCK_HEADER	ALIGN_UP(sizeof(struct lx_pbuf_block), 8)
_Static_assert(BLOCK_HEADER + LX_PBUF_BLOCK <= 8192, "a block is one small object of the heap");

/* -- pools */

struct lx_pbuf_pool *lx_pbuf_pool_create(uint64_t limit)
{
	struct lx_pbuf_pool *pool = rt_zalloc(sizeof(*pool));

	if (!pool)
		return NULL;
	atomic_init(&pool->used, 1);
	atomic_init(&pool->limit, limit);
	return pool;
}

static bool pool_charge(struct lx_pbuf_pool *pool, uint32_t n)
{
	uint64_t before = atomic_fetch_add_explicit(&pool->used, n, memory_order_relaxed);

	if (likely(before + n <= atomic_load_explicit(&pool->limit, memory_order_relaxed)))
		return true;
	/* the namespace is there while packets are made: it is not the last */
	atomic_fetch_sub_explicit(&pool->used, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->failures, 1, memory_order_relaxed);
	return false;
}

static void pool_uncharge(struct lx_pbuf_pool *pool, uint64_t n)
{
	if (unlikely(atomic_fetch_sub_explicit(&pool->used, n, memory_order_acq_rel) == n))
		rt_free(pool);
}

void lx_pbuf_pool_put(struct lx_pbuf_pool *pool)
{
	if (pool)
		pool_uncharge(pool, 1);
}

uint64_t lx_pbuf_pool_used(const struct lx_pbuf_pool *pool)
{
	return atomic_load_explicit(&pool->used, memory_order_relaxed) - 1;
}

/* -- blocks */

/* @head: of the block's bytes, those in front of the room; its header is among them. */
static struct lx_pbuf_block *block_alloc(struct lx_pbuf_pool *pool, size_t head, size_t room)
{
	struct lx_pbuf_block *b;
	size_t size = head + room;

	if (size > UINT32_MAX / 2 || !pool_charge(pool, (uint32_t)size))
		return NULL;
	b = rt_alloc(size);
	if (!b) {
		pool_uncharge(pool, size);
		return NULL;
	}
	atomic_init(&b->refs, 1);
	b->size = (uint32_t)size;
	b->pool = pool;
	b->head = (uint32_t)head;
	return b;
}

static uint8_t *block_head(struct lx_pbuf_block *b)
{
	return (uint8_t *)b + b->head;
}

static struct lx_pbuf_block *block_get(struct lx_pbuf_block *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

static bool block_is_shared(const struct lx_pbuf_block *b)
{
	return atomic_load_explicit(&b->refs, memory_order_acquire) != 1;
}

static void block_put(struct lx_pbuf_block *b)
{
	struct lx_pbuf_pool *pool;
	uint32_t size;

	if (block_is_shared(b) && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	pool = b->pool;
	size = b->size;
	rt_free(b);
	pool_uncharge(pool, size);
}

/* -- buffers */

/* A buffer in a new block that has room for @room bytes behind it. */
static struct lx_pbuf *buffer_alloc(struct lx_pbuf_pool *pool, uint32_t pieces, size_t room)
{
	size_t head = BLOCK_HEADER + sizeof(struct lx_pbuf) + pieces * sizeof(struct lx_piece);
	struct lx_pbuf_block *b = block_alloc(pool, head, room);
	struct lx_pbuf *p;

	if (!b)
		return NULL;
	p = (struct lx_pbuf *)((uint8_t *)b + BLOCK_HEADER);
	list_init(&p->link);
	p->pool = pool;
	p->block = b;
	p->owner = NULL;
	p->owner_charge = 0;
	p->charge = b->size;
	p->max_pieces = (uint16_t)pieces;
	return p;
}

static struct lx_pbuf *linear_alloc(struct lx_pbuf_pool *pool, uint32_t pieces, uint32_t headroom,
				    uint32_t room)
{
	struct lx_pbuf *p = buffer_alloc(pool, pieces, (size_t)headroom + room);

	if (!p)
		return NULL;
	p->len = 0;
	p->arrival_ns = 0;
	p->hash = 0;
	p->ifindex = 0;
	p->protocol = 0;
	p->pkttype = LX_PKT_HOST;
	p->csum = LX_CSUM_NONE;
	p->gso = LX_GSO_NONE;
	p->gso_size = p->gso_header = 0;
	p->csum_at = p->csum_offset = 0;
	p->link_at = p->network_at = p->transport_at = (uint16_t)headroom;
	p->nr_pieces = 1;
	p->piece[0] = (struct lx_piece){ p->block, block_head(p->block) + headroom, 0 };
	return p;
}

struct lx_pbuf *lx_pbuf_alloc(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t room)
{
	/* places are numbers of 16 bits */
	if (headroom > UINT16_MAX / 2 || room > LX_PBUF_MAX)
		return NULL;
	return linear_alloc(pool, 1, headroom, room);
}

struct lx_pbuf *lx_pbuf_alloc_large(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t linear,
				    uint32_t len)
{
	uint32_t rest;
	struct lx_pbuf *p;

	if (len > LX_PBUF_MAX || headroom > UINT16_MAX / 2)
		return NULL;
	linear = MIN(linear, len);
	rest = len - linear;
	p = linear_alloc(pool, 1 + DIV_ROUND_UP(rest, LX_PBUF_BLOCK), headroom, linear);
	if (!p)
		return NULL;
	p->piece[0].len = linear;
	p->len = linear;
	while (rest) {
		uint32_t n = MIN(rest, LX_PBUF_BLOCK);
		struct lx_pbuf_block *b = block_alloc(pool, BLOCK_HEADER, n);

		if (!b) {
			lx_pbuf_free(p);
			return NULL;
		}
		p->piece[p->nr_pieces++] = (struct lx_piece){ b, block_head(b), n };
		p->len += n;
		p->charge += b->size;
		rest -= n;
	}
	return p;
}

struct lx_pbuf *lx_pbuf_clone(const struct lx_pbuf *p)
{
	struct lx_pbuf *c = buffer_alloc(p->pool, p->nr_pieces, 0);
	struct lx_pbuf_block *own;

	if (!c)
		return NULL;
	own = c->block;
	memcpy(c, p, sizeof(*c) + p->nr_pieces * sizeof(p->piece[0]));
	list_init(&c->link);
	c->block = own;
	c->owner = NULL;
	c->max_pieces = p->nr_pieces;
	c->charge = own->size + p->charge;
	for (unsigned int i = 0; i < c->nr_pieces; i++)
		block_get(c->piece[i].block);
	return c;
}

struct lx_pbuf *lx_pbuf_alloc_shared(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t room,
				     uint32_t pieces)
{
	if (headroom > UINT16_MAX / 2 || room > LX_PBUF_MAX || pieces >= UINT16_MAX)
		return NULL;
	return linear_alloc(pool, 1 + pieces, headroom, room);
}

void lx_pbuf_orphan(struct lx_pbuf *p)
{
	struct lx_pbuf_owner *owner = p->owner;

	if (!owner)
		return;
	p->owner = NULL;
	owner->release(owner, p->owner_charge);
}

static void piece_put(struct lx_pbuf *p, const struct lx_piece *piece)
{
	if (piece->block != p->block)
		block_put(piece->block);
}

void lx_pbuf_free(struct lx_pbuf *p)
{
	if (!p)
		return;
	lx_pbuf_orphan(p);
	for (unsigned int i = 0; i < p->nr_pieces; i++)
		piece_put(p, &p->piece[i]);
	block_put(p->block);
}

void lx_pbuf_free_list(struct list *list)
{
	struct lx_pbuf *p;

	while ((p = list_pop_entry(list, struct lx_pbuf, link)))
		lx_pbuf_free(p);
}

/* -- the ends of a packet */

uint32_t lx_pbuf_headroom(const struct lx_pbuf *p)
{
	return (uint32_t)(p->piece[0].data - block_head(p->piece[0].block));
}

uint32_t lx_pbuf_tailroom(const struct lx_pbuf *p)
{
	const struct lx_piece *first = &p->piece[0];

	if (p->nr_pieces > 1)
		return 0;
	return (uint32_t)((uint8_t *)first->block + first->block->size - first->data) - first->len;
}

bool lx_pbuf_is_private(const struct lx_pbuf *p)
{
	return !block_is_shared(p->piece[0].block);
}

void *lx_pbuf_push(struct lx_pbuf *p, uint32_t n)
{
	p->piece[0].data -= n;
	p->piece[0].len += n;
	p->len += n;
	return p->piece[0].data;
}

void *lx_pbuf_pull(struct lx_pbuf *p, uint32_t n)
{
	p->piece[0].data += n;
	p->piece[0].len -= n;
	p->len -= n;
	return p->piece[0].data;
}

void *lx_pbuf_put(struct lx_pbuf *p, uint32_t n)
{
	void *end = p->piece[0].data + p->piece[0].len;

	p->piece[0].len += n;
	p->len += n;
	return end;
}

void lx_pbuf_trim(struct lx_pbuf *p, uint32_t len)
{
	uint32_t at = p->piece[0].len;
	unsigned int keep = 1;

	if (len >= p->len)
		return;
	p->piece[0].len = MIN(at, len);
	while (keep < p->nr_pieces && at < len) {
		uint32_t n = p->piece[keep].len;

		p->piece[keep++].len = MIN(n, len - at);
		at += n;
	}
	for (unsigned int i = keep; i < p->nr_pieces; i++)
		piece_put(p, &p->piece[i]);
	p->nr_pieces = (uint16_t)keep;
	p->len = len;
}

/* The first @n bytes, which are in the first piece now, are gone from those behind it. */
static void drop_copied(struct lx_pbuf *p, uint32_t n)
{
	unsigned int from = 1, to = 1;

	for (; from < p->nr_pieces; from++) {
		struct lx_piece *piece = &p->piece[from];
		uint32_t cut = MIN(n, piece->len);

		n -= cut;
		piece->data += cut;
		piece->len -= cut;
		if (piece->len)
			p->piece[to++] = *piece;
		else
			piece_put(p, piece);
	}
	p->nr_pieces = (uint16_t)to;
}

int lx_pbuf_pull_up(struct lx_pbuf *p, uint32_t n)
{
	uint32_t linear = lx_pbuf_linear(p), headroom = lx_pbuf_headroom(p);
	struct lx_pbuf_block *b;

	if (n > p->len)
		return -EINVAL;
	if (likely(n <= linear && lx_pbuf_is_private(p)))
		return 0;
	n = MAX(n, linear);
	b = block_alloc(p->pool, BLOCK_HEADER, (size_t)headroom + n);
	if (!b)
		return -ENOMEM;
	/* what was pulled stays in front: a header of the link, for who looks at it later */
	memcpy(block_head(b), block_head(p->piece[0].block), headroom);
	lx_pbuf_read(p, 0, block_head(b) + headroom, n);
	piece_put(p, &p->piece[0]);
	p->piece[0] = (struct lx_piece){ b, block_head(b) + headroom, n };
	p->charge += b->size;
	drop_copied(p, n - linear);
	return 0;
}

/* -- bytes */

/* Where byte *@off is: the piece, and what is left of *@off is the byte's place in it.  NULL: behind the end. */
static const struct lx_piece *piece_at(const struct lx_pbuf *p, uint32_t *off)
{
	for (unsigned int i = 0; i < p->nr_pieces; i++) {
		if (*off < p->piece[i].len)
			return &p->piece[i];
		*off -= p->piece[i].len;
	}
	return NULL;
}

static bool is_within(const struct lx_pbuf *p, uint32_t off, uint32_t n)
{
	return off <= p->len && n <= p->len - off;
}

uint32_t lx_pbuf_count_pieces(const struct lx_pbuf *p, uint32_t off, uint32_t n)
{
	const struct lx_piece *piece;
	uint32_t count = 0;

	if (!n || !is_within(p, off, n))
		return 0;
	for (piece = piece_at(p, &off); n; piece++, off = 0, count++)
		n -= MIN(n, piece->len - off);
	return count;
}

bool lx_pbuf_share(struct lx_pbuf *p, const struct lx_pbuf *from, uint32_t off, uint32_t n)
{
	const struct lx_piece *piece;

	if (!is_within(from, off, n) || n > LX_PBUF_MAX - p->len ||
	    p->nr_pieces + lx_pbuf_count_pieces(from, off, n) > p->max_pieces)
		return false;
	for (piece = piece_at(from, &off); n; piece++, off = 0) {
		uint32_t part = MIN(n, piece->len - off);

		p->piece[p->nr_pieces++] =
			(struct lx_piece){ block_get(piece->block), piece->data + off, part };
		p->len += part;
		p->charge += part;
		n -= part;
	}
	return true;
}

bool lx_pbuf_read(const struct lx_pbuf *p, uint32_t off, void *buf, uint32_t n)
{
	const struct lx_piece *piece;
	uint8_t *to = buf;

	if (!is_within(p, off, n))
		return false;
	for (piece = piece_at(p, &off); n; piece++, off = 0) {
		uint32_t part = MIN(n, piece->len - off);

		memcpy(to, piece->data + off, part);
		to += part;
		n -= part;
	}
	return true;
}

bool lx_pbuf_write(struct lx_pbuf *p, uint32_t off, const void *buf, uint32_t n)
{
	const struct lx_piece *piece;
	const uint8_t *from = buf;

	if (!is_within(p, off, n))
		return false;
	for (piece = piece_at(p, &off); n; piece++, off = 0) {
		uint32_t part = MIN(n, piece->len - off);

		memcpy(piece->data + off, from, part);
		from += part;
		n -= part;
	}
	return true;
}

size_t lx_pbuf_to_iter(const struct lx_pbuf *p, uint32_t off, struct lx_iter *to, size_t n)
{
	const struct lx_piece *piece;
	size_t done = 0;

	n = off <= p->len ? MIN(n, (size_t)(p->len - off)) : 0;
	for (piece = piece_at(p, &off); done < n; piece++, off = 0) {
		size_t part = MIN(n - done, (size_t)(piece->len - off));
		size_t got = lx_iter_put(to, piece->data + off, part);

		done += got;
		if (got < part)
			break;
	}
	return done;
}

size_t lx_pbuf_from_iter(struct lx_pbuf *p, uint32_t off, struct lx_iter *from, size_t n)
{
	const struct lx_piece *piece;
	size_t done = 0;

	n = off <= p->len ? MIN(n, (size_t)(p->len - off)) : 0;
	for (piece = piece_at(p, &off); done < n; piece++, off = 0) {
		size_t part = MIN(n - done, (size_t)(piece->len - off));
		size_t got = lx_iter_get(from, piece->data + off, part);

		done += got;
		if (got < part)
			break;
	}
	return done;
}
