/* SPDX-License-Identifier: MIT */
/*
 * Writing back many small files together.
 *
 * Each of them by itself would cost a search for blocks, a checksum of the bitmap, a request to the disk
 * and a handle.  Together their blocks are one run, which one request writes: they lie on the
 * disk in the order in which they became dirty, which is often that of their names.
 *
 * As in writeback.c the blocks are allocated, written, and only then entered into the trees,
 * within one handle.  That needs no more than one block of the journal for each piece, its inode's,
 * because only those are taken whose extents have room in the inode.  Whatever does not
 * suit (files that are large, or in pieces, or written in place) goes the way of writeback.c; and so does
 * all of it if there is no such run, no memory, or the disk fails: then it is known whose data is lost.
 *
 * The wb_lock of each inode is held until its data is on the disk, and taken only if it is free:
 * threads that write batches do not wait for each other with locks held.
 */
#include "abi/calls.h"
#include "block/block.h"
#include "fs/ext4/extents.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

#define PIECES		64u
#define PIECE_MAX	(64u * 1024)	/* bytes; larger ones are worth a request of their own */
#define BYTES_MAX	(1024u * 1024)

struct member {
	struct lx_inode *inode;
	uint64_t counted;		/* dirty bytes, as lx_dirty_take() had them */
	uint32_t pieces;		/* of it, in the batch */
	int err;
};

/* A run of pages, taken and not written. */
struct piece {
	struct member *of;
	uint64_t off, end;		/* the pages, as the kernel handed them out */
	uint32_t lblock, blocks;	/* what of them is within the file */
};

struct batch {
	struct e4_super *s;
	struct member members[E4_BATCH];
	struct piece pieces[PIECES];
	uint32_t member_count, count, blocks;
};

/* -- writing what was gathered */

static uint64_t bytes_of(const struct batch *b)
{
	return (uint64_t)b->blocks << b->s->block_bits;
}

/* Where the small files of the first inode's group end. */
static struct e4_group *group_of(const struct batch *b)
{
	struct e4_inode *e = e4_inode(b->pieces[0].of->inode);

	return &b->s->groups[(e->ino - 1) / b->s->inodes_per_group];
}

static int write_within(struct batch *b, struct e4_handle *h, const uint8_t *buf)
{
	struct e4_group *g = group_of(b);
	uint64_t goal = atomic_load_explicit(&g->small_goal, memory_order_relaxed), block;
	int err = e4_alloc_run(h, goal ? goal : e4_group_first_block(b->s, g->number), b->blocks, &block);

	if (err)
		return err;
	err = lx_blkdev_write_direct(b->s->dev, block << b->s->block_bits, buf, bytes_of(b));
	if (err) {
		e4_unalloc_blocks(h, block, b->blocks, false);
		h->changed = false;
		return err;
	}
	atomic_store_explicit(&g->small_goal, block + b->blocks, memory_order_relaxed);
	for (uint32_t i = 0; !err && i < b->count; i++) {
		const struct piece *p = &b->pieces[i];

		err = e4_enter_written(h, p->of->inode, p->lblock, p->blocks, block);
		block += p->blocks;
	}
	return err;
}

/* All pieces, or none: then they are as they were. */
static int write_together(struct batch *b)
{
	uint8_t *buf = rt_alloc(bytes_of(b)), *at = buf;
	struct e4_handle h;
	int err = buf ? 0 : -ENOMEM;

	for (uint32_t i = 0; !err && i < b->count; i++) {
		const struct piece *p = &b->pieces[i];
		size_t n = (size_t)p->blocks << b->s->block_bits;

		e4_copy_pages(p->of->inode, p->off, at, n);
		at += n;
	}
	if (!err)
		err = e4_begin(b->s, E4_CREDITS_ALLOC + b->count, &h);
	if (!err)
		err = e4_end(&h, write_within(b, &h, buf));
	rt_free(buf);
	return err;
}

static void note(struct member *m, int err)
{
	m->err = m->err ? m->err : err;
}

static void submit(struct batch *b)
{
	/* a piece alone gains nothing */
	int err = b->count > 1 ? write_together(b) : -EAGAIN;

	for (uint32_t i = 0; i < b->count; i++) {
		struct piece *p = &b->pieces[i];

		if (err)
			note(p->of, e4_write_run(p->of->inode, p->off, p->end));
		else
			(void)!e4_run_done(p->of->inode, p->off, p->end, 0);
		p->of->pieces--;
	}
	b->count = b->blocks = 0;
}

/* -- gathering */

/* Can @p be a part of the batch, once there is room? */
static bool is_suited(struct batch *b, const struct piece *p)
{
	struct lx_inode *inode = p->of->inode;
	struct e4_map map;

	return p->blocks && (uint64_t)p->blocks << b->s->block_bits <= PIECE_MAX &&
	       (e4_inode(inode)->flags & E4_FL_EXTENTS) &&
	       !e4_map(inode, p->lblock, p->blocks, &map) && !map.block && map.len == p->blocks &&
	       e4_ext_root_room(inode) > p->of->pieces;
}

/* The dirty run [off, end) of @m's pages, which was taken. */
static void add(struct batch *b, struct member *m, uint64_t off, uint64_t end)
{
	uint64_t stop = MIN(end, ALIGN_UP(atomic_load(&m->inode->size), (uint64_t)b->s->block_size));
	struct piece p = { .of = m, .off = off, .end = end };

	p.lblock = (uint32_t)(off >> b->s->block_bits);
	p.blocks = stop > off ? (uint32_t)((stop - off) >> b->s->block_bits) : 0;
	if (!is_suited(b, &p)) {
		/* what lies before it is written before it */
		if (m->pieces)
			submit(b);
		note(m, e4_write_run(m->inode, off, end));
		return;
	}
	if (b->count == PIECES || bytes_of(b) + ((uint64_t)p.blocks << b->s->block_bits) > BYTES_MAX)
		submit(b);
	b->pieces[b->count++] = p;
	b->blocks += p.blocks;
	m->pieces++;
}

static void gather(struct batch *b, struct member *m)
{
	uint64_t at = 0;

	m->counted = lx_dirty_take(m->inode);
	lx_inode_begin_writeback(m->inode);
	while (!e4_is_temporary(m->err)) {
		struct k_clean clean = { .offset = at, .length = UINT64_MAX - at, .action = K_CLEAN_TAKE };

		if (k_memory_clean(m->inode->pages.handle, &clean) != K_OK || !clean.length)
			break;
		at = clean.offset + clean.length;
		add(b, m, clean.offset, at);
	}
}

/* False: somebody else is at it. */
static bool join(struct batch *b, struct lx_inode *inode)
{
	struct member *m;

	if (!rt_mutex_trylock(&e4_inode(inode)->wb_lock))
		return false;
	if (!atomic_load(&inode->has_pages) || !lx_is_reg(inode)) {
		rt_mutex_unlock(&e4_inode(inode)->wb_lock);
		return true;
	}
	m = &b->members[b->member_count++];
	*m = (struct member){ .inode = inode };
	gather(b, m);
	return true;
}

static void leave(struct member *m)
{
	lx_inode_end_writeback(m->inode);
	if (e4_is_temporary(m->err))
		lx_dirty_add(m->inode, m->counted);
	lx_dirty_written(m->counted);
	rt_mutex_unlock(&e4_inode(m->inode)->wb_lock);
}

static int result(const struct batch *b, const struct lx_inode *inode)
{
	for (uint32_t i = 0; i < b->member_count; i++)
		if (b->members[i].inode == inode)
			return b->members[i].err;
	return 0;
}

void e4_writeback_many(struct e4_super *s, struct lx_inode *const *inodes, int *errs, uint32_t n)
{
	struct batch *b = n > 1 ? rt_alloc(sizeof(*b)) : NULL;
	uint32_t joined = 0;

	if (b) {
		b->s = s;
		b->member_count = b->count = b->blocks = 0;
		for (uint32_t i = 0; i < n; i++)
			joined |= (uint32_t)join(b, inodes[i]) << i;
		submit(b);
		for (uint32_t i = 0; i < b->member_count; i++)
			leave(&b->members[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		errs[i] = joined >> i & 1 ? result(b, inodes[i]) : e4_writeback(inodes[i]);
	rt_free(b);
}
