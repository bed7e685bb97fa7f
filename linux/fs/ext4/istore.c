/* SPDX-License-Identifier: MIT */
/*
 * Inodes into the inode tables.
 *
 * Whoever changes an inode stores it in the same transaction.  Times that a write or
 * a read changes are different: storing them each time would cost more than the
 * write, so such inodes go on the list of dirty ones and are stored at the next sync
 * or by the flusher.  The list holds a reference to each, but for those without a name:
 * they go when their last user does, with what was not written.
 */
#include "fs/ext4/journal.h"
#include "lx/ref.h"

static void encode_time(uint8_t *sec, uint8_t *extra, bool fits, struct lx_time t)
{
	put_le32(sec, (uint32_t)t.sec);
	if (fits)
		put_le32(extra, (uint32_t)((uint64_t)(t.sec - (int32_t)t.sec) >> 32 & 3) | t.nsec << 2);
}

static void encode_times(const struct lx_inode *inode, struct e4_disk_inode *di)
{
	uint32_t x = e4_inode(inode)->extra_isize;

	encode_time(di->ctime, di->ctime_extra, x && E4_FITS(x, ctime_extra), inode->ctime);
	encode_time(di->mtime, di->mtime_extra, x && E4_FITS(x, mtime_extra), inode->mtime);
	encode_time(di->atime, di->atime_extra, x && E4_FITS(x, atime_extra), inode->atime);
	if (x && E4_FITS(x, crtime))
		encode_time(di->crtime, di->crtime_extra, E4_FITS(x, crtime_extra), inode->btime);
}

static void encode(struct e4_super *s, const struct lx_inode *inode, struct e4_disk_inode *di)
{
	const struct e4_inode *e = e4_inode(inode);
	uint64_t size = lx_is_reg(inode) ? e->disk_size : inode->size, blocks = inode->blocks;
	uint32_t flags = e->flags, links = atomic_load(&inode->nlink);

	put_le16(di->mode, (uint16_t)inode->mode);
	put_le16(di->uid, (uint16_t)inode->uid);
	put_le16(di->uid_hi, (uint16_t)(inode->uid >> 16));
	put_le16(di->gid, (uint16_t)inode->gid);
	put_le16(di->gid_hi, (uint16_t)(inode->gid >> 16));
	/* a directory with too many subdirectories to count has one link */
	put_le16(di->links, (uint16_t)(lx_is_dir(inode) && links > 65000 ? 1 : links));
	put_le32(di->size_lo, (uint32_t)size);
	put_le32(di->size_hi, (uint32_t)(size >> 32));
	flags &= ~E4_FL_HUGE_FILE;
	if (blocks >> 48) {
		flags |= E4_FL_HUGE_FILE;
		blocks >>= s->block_bits - 9;
	}
	put_le32(di->blocks_lo, (uint32_t)blocks);
	put_le16(di->blocks_hi, (uint16_t)(blocks >> 32));
	put_le32(di->flags, flags);
	put_le32(di->generation, e->generation);
	put_le32(di->file_acl_lo, (uint32_t)e->file_acl);
	put_le16(di->file_acl_hi, (uint16_t)(e->file_acl >> 32));
	memcpy(di->block, e->block, sizeof(di->block));
	if (s->inode_size > E4_INODE_GOOD_OLD)
		put_le16(di->extra_isize, e->extra_isize);
	if (e->extra_isize && E4_FITS(e->extra_isize, projid))
		put_le32(di->projid, e->projid);
	encode_times(inode, di);
}

int e4_slot_begin(struct e4_handle *h, struct e4_inode *e, struct e4_buf **b,
		  struct e4_disk_inode **di)
{
	int err = e4_inode_slot(h->s, e->ino, b, di);

	if (err)
		return err;
	err = e4_change(h, *b);
	if (err)
		e4_buf_put(*b);
	else
		rt_mutex_lock(&h->s->slot_lock);
	return err;
}

void e4_slot_end(struct e4_handle *h, struct e4_inode *e, struct e4_buf *b,
		 struct e4_disk_inode *di)
{
	e4_inode_set_csum(h->s, e, di);
	rt_mutex_unlock(&h->s->slot_lock);
	e4_buf_put(b);
}

int e4_store_locked(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_disk_inode *di;
	struct e4_buf *b;
	int err = e4_slot_begin(h, e, &b, &di);

	if (err)
		return err;
	encode(h->s, inode, di);
	e4_slot_end(h, e, b, di);
	atomic_store(&e->sync_tid, h->tid);
	return 0;
}

int e4_store(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	int err;

	atomic_store(&e->dirty, false);
	rt_write_lock(&e->map_lock);
	err = e4_store_locked(h, inode);
	rt_write_unlock(&e->map_lock);
	return err;
}

void e4_mark_dirty(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);

	if (!s->journal)
		return;
	atomic_store(&e->dirty, true);
	if (!list_is_empty(&e->dirty_link))
		return;			/* a hint: who takes it off the list looks at the flag afterwards */
	rt_mutex_lock(&s->dirty_lock);
	if (list_is_empty(&e->dirty_link)) {
		list_add_last(&s->dirty, &e->dirty_link);
		e->dirty_ref = atomic_load(&inode->nlink) != 0;
		if (e->dirty_ref)
			lx_inode_get(inode);
	}
	rt_mutex_unlock(&s->dirty_lock);
}

void e4_dirty_keep(struct lx_inode *inode, bool keep)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	bool changed;

	rt_mutex_lock(&s->dirty_lock);
	changed = !list_is_empty(&e->dirty_link) && e->dirty_ref != keep;
	if (changed)
		e->dirty_ref = keep;
	rt_mutex_unlock(&s->dirty_lock);
	if (changed && keep)
		lx_inode_get(inode);
	else if (changed)
		lx_inode_put(inode);
}

struct lx_inode *e4_dirty_next(struct e4_super *s)
{
	struct lx_inode *inode = NULL;

	rt_mutex_lock(&s->dirty_lock);
	while (!inode && !list_is_empty(&s->dirty)) {
		struct e4_inode *e = list_pop_entry(&s->dirty, struct e4_inode, dirty_link);

		/* one that is on its way out waits for the lock: e4_dirty_forget() */
		if (e->dirty_ref || lx_ref_get_unless_zero(&e->vfs->refs))
			inode = e->vfs;
		e->dirty_ref = false;
	}
	rt_mutex_unlock(&s->dirty_lock);
	return inode;
}

void e4_dirty_forget(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);

	rt_mutex_lock(&s->dirty_lock);
	list_remove(&e4_inode(inode)->dirty_link);
	rt_mutex_unlock(&s->dirty_lock);
}
