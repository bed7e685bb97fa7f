/* SPDX-License-Identifier: MIT */
/*
 * Allocating inodes.  A file goes into the group of its directory; a directory too,
 * unless that is fuller than the average; directories in the root are spread.
 */
#include "base/bitmap.h"
#include "fs/ext4/bitmaps.h"
#include "fs/ext4/journal.h"

/* -- which group first */

static uint32_t first_group(struct e4_super *s, const struct lx_inode *dir, bool is_dir)
{
	uint32_t parent = (e4_inode(dir)->ino - 1) / s->inodes_per_group;
	uint64_t inodes = atomic_load(&s->free_inodes) / s->group_count;
	uint64_t blocks = atomic_load(&s->free_blocks) / s->group_count;
	uint32_t best = parent, most = UINT32_MAX;

	if (!is_dir)
		return parent;
	if (dir->ino == E4_ROOT_INO) {
		/* the least used group for directories that has room */
		for (uint32_t i = 0; i < s->group_count; i++) {
			struct e4_group *g = &s->groups[i];

			if (e4_group_free_inodes(s, g) && e4_group_free_inodes(s, g) >= inodes &&
			    e4_group_free_blocks(s, g) >= blocks && e4_group_used_dirs(s, g) < most) {
				most = e4_group_used_dirs(s, g);
				best = i;
			}
		}
		return best;
	}
	for (uint32_t i = 0; i < s->group_count; i++) {
		struct e4_group *g = &s->groups[(parent + i) % s->group_count];

		if (e4_group_free_inodes(s, g) >= inodes / 4 && e4_group_free_blocks(s, g) >= blocks / 4)
			return (parent + i) % s->group_count;
	}
	return parent;
}

/* -- taking one */

/* The block bitmap of a group with inodes in use is a real one. */
static int init_blocks(struct e4_handle *h, struct e4_group *g)
{
	struct e4_buf *b;
	int err;

	if (!(get_le16(g->desc->flags) & E4_BG_BLOCK_UNINIT))
		return 0;
	err = e4_bitmap_load(h->s, g, false, &b);
	if (err)
		return err;
	err = e4_bitmap_join(h, g, false, b);
	if (!err)
		e4_bitmap_done(h->s, g, false, b);
	e4_buf_put(b);
	return err;
}

/* Is none of the inodes that lie in one block of the table with the one of bit @at in use? */
static bool is_alone(const struct e4_super *s, const uint64_t *map, uint32_t at)
{
	uint32_t first = ALIGN_DOWN(at, s->block_size / s->inode_size);
	uint32_t end = MIN(first + s->block_size / s->inode_size, s->inodes_per_group);

	return bitmap_next_set(map, end, first) >= end;
}

/* An inode of @g.  *@first: it is the first one in use of its block of the table. */
static int take_in(struct e4_handle *h, struct e4_group *g, bool is_dir, uint32_t *ino, bool *first)
{
	struct e4_super *s = h->s;
	uint32_t bits = s->inodes_per_group, at, free;
	struct e4_buf *b;
	int err;

	rt_mutex_lock(&g->lock);
	free = e4_group_free_inodes(s, g);
	if (!free) {
		rt_mutex_unlock(&g->lock);
		return -ENOSPC;
	}
	err = e4_bitmap_load(s, g, true, &b);
	if (err)
		goto out;
	at = (uint32_t)bitmap_next_clear((uint64_t *)b->data, bits,
					 g->number ? 0 : s->first_ino - 1);
	err = at < bits ? e4_bitmap_join(h, g, true, b) : -ENOSPC;
	if (!err)
		err = init_blocks(h, g);
	if (!err) {
		*first = is_alone(s, (uint64_t *)b->data, at);
		bitmap_set((uint64_t *)b->data, at);
		e4_group_set_free_inodes(s, g, free - 1);
		if (is_dir)
			e4_group_set_used_dirs(s, g, e4_group_used_dirs(s, g) + 1);
		if (s->csum || e4_has_ro(s, E4_RO_GDT_CSUM)) {
			uint32_t unused = e4_group_itable_unused(s, g);

			if (at + 1 > bits - MIN(unused, bits))
				e4_group_set_itable_unused(s, g, bits - (at + 1));
		}
		e4_bitmap_done(s, g, true, b);
		*ino = g->number * bits + at + 1;
		atomic_fetch_sub(&s->free_inodes, 1);
	}
	e4_buf_put(b);
out:
	rt_mutex_unlock(&g->lock);
	return err;
}

static int give_back(struct e4_handle *h, uint32_t ino, bool is_dir)
{
	struct e4_super *s = h->s;
	struct e4_group *g = &s->groups[(ino - 1) / s->inodes_per_group];
	uint32_t at = (ino - 1) % s->inodes_per_group;
	struct e4_buf *b;
	int err;

	rt_mutex_lock(&g->lock);
	err = e4_bitmap_load(s, g, true, &b);
	if (err)
		goto out;
	if (!bitmap_test((uint64_t *)b->data, at))
		err = e4_corrupt(s, "inode %u is freed twice", ino);
	if (!err)
		err = e4_bitmap_join(h, g, true, b);
	if (!err) {
		bitmap_clear((uint64_t *)b->data, at);
		e4_group_set_free_inodes(s, g, e4_group_free_inodes(s, g) + 1);
		if (is_dir && e4_group_used_dirs(s, g))
			e4_group_set_used_dirs(s, g, e4_group_used_dirs(s, g) - 1);
		e4_bitmap_done(s, g, true, b);
		atomic_fetch_add(&s->free_inodes, 1);
	}
	e4_buf_put(b);
out:
	rt_mutex_unlock(&g->lock);
	return err;
}

/* -- new inodes */

static void inherit(struct lx_inode *inode, const struct lx_inode *dir)
{
	uint32_t flags = e4_inode(dir)->flags & E4_FL_INHERITED;
	struct lx_task *self = lx_self();
	lx_mode_t type = inode->mode & S_IFMT;

	if (type == S_IFREG)
		flags &= ~(E4_FL_DIRSYNC | E4_FL_TOPDIR | E4_FL_PROJINHERIT);
	else if (type != S_IFDIR)
		flags &= E4_FL_NODUMP | E4_FL_NOATIME;
	e4_inode(inode)->flags |= flags;
	lx_inode_apply_flags(inode, flags);
	if (self && self->cred) {
		inode->uid = self->cred->fsuid;
		inode->gid = self->cred->fsgid;
	}
	if (!(dir->mode & S_ISGID))
		return;
	inode->gid = dir->gid;
	if (type == S_IFDIR)
		inode->mode |= S_ISGID;
	else if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && self && self->cred &&
		 !lx_cred_in_group(self->cred, dir->gid) && !lx_capable(self, 4 /* FSETID */))
		inode->mode &= ~(lx_mode_t)S_ISGID;
}

int e4_new_inode(struct e4_handle *h, struct lx_inode *dir, lx_mode_t mode, struct lx_inode **out)
{
	struct e4_super *s = h->s;
	bool is_dir = (mode & S_IFMT) == S_IFDIR;
	uint32_t first = first_group(s, dir, is_dir), ino = 0;
	struct e4_disk_inode *di;
	struct lx_inode *inode;
	struct e4_inode *e;
	struct e4_buf *b;
	bool alone = false;
	int err = -ENOSPC;

	for (uint32_t i = 0; (err == -ENOSPC || err == -EBADMSG) && i < s->group_count; i++)
		err = take_in(h, &s->groups[(first + i) % s->group_count], is_dir, &ino,
			      &alone);
	if (err)
		return err;
	err = e4_inode_alloc(dir->sb, ino, &inode);
	if (err)
		goto fail;
	e = e4_inode(inode);
	inode->mode = mode;
	e->generation = atomic_fetch_add_explicit(&s->next_generation, 1, memory_order_relaxed);
	e->extra_isize = (uint16_t)s->want_extra_isize;
	e->csum_seed = s->csum ? e4_csum_u32(e4_csum_u32(s->csum_seed, ino), e->generation) : 0;
	inherit(inode, dir);
	if (e4_has_incompat(s, E4_INCOMPAT_EXTENTS) && (lx_is_reg(inode) || is_dir))
		e4_ext_init(e);
	e4_set_ops(inode);
	err = alone ? e4_inode_slot_first(s, ino, &b, &di) : e4_inode_slot(s, ino, &b, &di);
	if (!err) {
		err = e4_change(h, b);
		if (!err)
			memset(di, 0, s->inode_size);	/* whoever had it before */
		e4_buf_put(b);
	}
	if (err) {
		/* it was never on disk: not to be deleted from there */
		atomic_store(&inode->nlink, 1);
		lx_inode_put(inode);
		goto fail;
	}
	/* without its name, which is in the same transaction, nothing of it is to be found */
	atomic_store(&e->sync_tid, h->tid);
	atomic_store(&e->datasync_tid, h->tid);
	*out = inode;
	return 0;
fail:
	if (give_back(h, ino, is_dir))
		h->spoiled = true;
	return err;
}

int e4_free_inode(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_disk_inode *di;
	struct e4_buf *b;
	int err = e4_slot_begin(h, e, &b, &di);

	if (err)
		return err;
	put_le32(di->dtime, (uint32_t)lx_now_coarse().sec);
	put_le16(di->links, 0);
	e4_slot_end(h, e, b, di);
	return give_back(h, e->ino, lx_is_dir(inode));
}

uint64_t e4_count_free_inodes(struct e4_super *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->group_count; i++)
		n += e4_group_free_inodes(s, &s->groups[i]);
	return n;
}
