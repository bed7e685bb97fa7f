/* SPDX-License-Identifier: MIT */
/*
 * Making files shorter, longer, and nothing.
 *
 * The inode is locked, and wb_lock is held while blocks go: nobody may be writing
 * pages that are being cut off.  Removing many blocks takes several transactions; the
 * orphan list remembers that more was to come.
 */
#include "abi/calls.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define CREDITS_STEP 64u

static bool has_tree(const struct lx_inode *inode)
{
	return lx_is_reg(inode) || lx_is_dir(inode) || (lx_is_lnk(inode) && inode->size >= E4_I_BLOCK);
}

int e4_in_steps(struct lx_inode *inode, e4_step_fn *step, void *arg)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct e4_handle h;
	int err, e1;

	do {
		err = e4_begin(s, CREDITS_STEP, &h);
		if (err)
			return err;
		rt_write_lock(&e->map_lock);
		e->goal = 0;
		err = step(&h, inode, arg);
		e1 = e4_store_locked(&h, inode);
		rt_write_unlock(&e->map_lock);
		atomic_store(&e->datasync_tid, h.tid);
		err = e4_end(&h, e1 ? e1 : err);
	} while (err == -EAGAIN);
	return err;
}

struct removal {
	uint32_t from;
	uint64_t to;
};

static int remove_some(struct e4_handle *h, struct lx_inode *inode, void *arg)
{
	struct removal *r = arg;

	return e4_ext_remove(h, inode, r->from, &r->to);
}

int e4_remove_blocks(struct lx_inode *inode, uint32_t from, uint64_t to)
{
	struct removal r = { from, to };

	return e4_in_steps(inode, remove_some, &r);
}

int e4_truncate_blocks(struct lx_inode *inode, uint64_t size)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint32_t from = (uint32_t)((size + s->block_size - 1) >> s->block_bits);
	struct e4_handle h;
	int err = e4_begin(s, 2 + 2 * E4_CREDITS_ORPHAN, &h);

	if (err)
		return err;
	err = e4_orphan_add(&h, inode);
	if (!err) {
		e->disk_size = size;
		err = e4_store(&h, inode);
		atomic_store(&e->datasync_tid, h.tid);
	}
	err = e4_end(&h, err);
	if (!err)
		err = e4_remove_blocks(inode, from, (uint64_t)E4_MAX_LBLOCK + 1);
	if (err)
		return err;
	err = e4_begin(s, 1 + E4_CREDITS_ORPHAN, &h);
	if (err)
		return err;
	return e4_end(&h, e4_orphan_del(&h, inode));
}

bool e4_on_disk(struct lx_inode *inode, uint64_t off)
{
	struct e4_map map;

	return !e4_map(inode, (uint32_t)(off >> e4_super_of(inode)->block_bits), 1, &map) && map.block &&
	       !map.unwritten;
}

int e4_zero_tail(struct lx_inode *inode)
{
	uint64_t size = inode->size;
	struct k_clean clean = { .offset = ALIGN_DOWN(size, PAGE), .length = PAGE,
				 .action = K_CLEAN_MARK };
	int err;

	if (!(size & (e4_super_of(inode)->block_size - 1)) || !e4_on_disk(inode, size))
		return 0;
	/* reading it clears what is behind the end; written again, the disk has that, too */
	err = lx_inode_fill_page(inode, size);
	if (!err)
		(void)!k_memory_clean(inode->pages.handle, &clean);
	return err;
}

static void unreserve(struct lx_inode *inode, uint64_t from, uint64_t to)
{
	struct e4_inode *e = e4_inode(inode);

	rt_write_lock(&e->map_lock);
	e4_unreserve(inode, from, to);
	rt_write_unlock(&e->map_lock);
}

int e4_store_size(struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_handle h;
	int err = e4_begin(e4_super_of(inode), 2, &h);

	if (err)
		return err;
	e->disk_size = inode->size;
	err = e4_store(&h, inode);
	atomic_store(&e->datasync_tid, h.tid);
	return e4_end(&h, err);
}

static int shorten(struct lx_inode *inode, uint64_t size)
{
	int err = 0;

	/* the page that stays is there, to be cleared behind the new end */
	if ((size & (e4_super_of(inode)->block_size - 1)) && e4_on_disk(inode, size))
		err = lx_inode_fill_page(inode, size);
	if (!err)
		err = lx_pages_truncate(inode, size);
	if (err)
		return err;
	unreserve(inode, DIV_ROUND_UP(size, PAGE), UINT64_MAX);
	return e4_truncate_blocks(inode, size);
}

int e4_truncate(struct lx_inode *inode, uint64_t size)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	int err;

	if (!s->journal)
		return -EROFS;
	if (size > (uint64_t)inode->sb->max_bytes)
		return -EFBIG;
	e4_direct_drain(inode);
	rt_mutex_lock(&e->wb_lock);
	if (size < inode->size) {
		err = shorten(inode, size);
	} else {
		err = size > inode->size ? e4_zero_tail(inode) : 0;
		if (!err)
			err = lx_pages_truncate(inode, size);
		if (!err)
			err = e4_store_size(inode);
	}
	rt_mutex_unlock(&e->wb_lock);
	return err;
}

/* -- the last reference went */

static int free_attributes(struct e4_handle *h, struct lx_inode *inode)
{
	return e4_inode(inode)->file_acl ? e4_xattr_drop_block(h, inode) : 0;
}

static int delete(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_handle h;
	int err = 0;

	if (has_tree(inode)) {
		e4_inode(inode)->disk_size = 0;
		err = e4_remove_blocks(inode, 0, (uint64_t)E4_MAX_LBLOCK + 1);
	}
	if (!err)
		err = e4_begin(s, 8 + 2 * E4_CREDITS_ORPHAN, &h);
	if (err)
		return err;
	err = free_attributes(&h, inode);
	if (!err)
		err = e4_orphan_del(&h, inode);
	if (!err)
		err = e4_free_inode(&h, inode);
	return e4_end(&h, err);
}

void e4_evict(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);

	if (!e)
		return;
	e4_dirty_forget(inode);
	unreserve(inode, 0, UINT64_MAX);
	if (!atomic_load(&inode->nlink) && s->journal && delete(inode))
		rt_log(RT_LOG_WARNING, "EXT4-fs (%s): inode %u could not be deleted", s->name, e->ino);
	if (!list_is_empty(&e->orphan_link)) {
		rt_mutex_lock(&s->orphan_lock);
		list_remove(&e->orphan_link);
		rt_mutex_unlock(&s->orphan_lock);
	}
	rt_free(e);
	inode->private = NULL;
}
