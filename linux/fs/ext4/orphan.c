/* SPDX-License-Identifier: MIT */
/*
 * Orphans: inodes that have something left to be done which takes more than one
 * transaction.  Deleted ones that are still open, or whose blocks are being freed;
 * and ones being cut off.  They are a list on disk: the super block names the first,
 * the field for the time of deletion the next one.  A mount does what was left.
 */
#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

/* Set the next orphan of @e, in the inode table. */
static int set_next(struct e4_handle *h, struct e4_inode *e, uint32_t ino)
{
	struct e4_disk_inode *di;
	struct e4_buf *b;
	int err = e4_slot_begin(h, e, &b, &di);

	if (err)
		return err;
	put_le32(di->dtime, ino);
	e4_slot_end(h, e, b, di);
	return 0;
}

int e4_orphan_add(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(inode);
	int err = 0;

	rt_mutex_lock(&s->orphan_lock);
	if (list_is_empty(&e->orphan_link)) {
		err = e4_change(h, s->super_buf);
		if (!err)
			err = set_next(h, e, get_le32(s->super->last_orphan));
		if (!err) {
			put_le32(s->super->last_orphan, e->ino);
			e4_super_set_csum(s);
			list_add_first(&s->orphans, &e->orphan_link);
		}
	}
	rt_mutex_unlock(&s->orphan_lock);
	return err;
}

int e4_orphan_del(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(inode);
	uint32_t next = 0;
	int err = 0;

	rt_mutex_lock(&s->orphan_lock);
	if (!list_is_empty(&e->orphan_link)) {
		if (e->orphan_link.next != &s->orphans)
			next = list_entry(e->orphan_link.next, struct e4_inode, orphan_link)->ino;
		if (e->orphan_link.prev == &s->orphans) {
			err = e4_change(h, s->super_buf);
			if (!err) {
				put_le32(s->super->last_orphan, next);
				e4_super_set_csum(s);
			}
		} else {
			err = set_next(h, list_entry(e->orphan_link.prev, struct e4_inode,
						     orphan_link), next);
		}
		if (!err)
			err = set_next(h, e, 0);
		if (!err)
			list_remove(&e->orphan_link);
	}
	rt_mutex_unlock(&s->orphan_lock);
	return err;
}

bool e4_orphans_exist(struct e4_super *s)
{
	bool any;

	rt_mutex_lock(&s->orphan_lock);
	any = !list_is_empty(&s->orphans);
	rt_mutex_unlock(&s->orphan_lock);
	return any;
}

/* -- at mounting */

static int load_list(struct e4_super *s)
{
	uint32_t ino = get_le32(s->super->last_orphan);

	while (ino) {
		struct e4_disk_inode *di;
		struct lx_inode *inode;
		struct e4_buf *b;
		int err = ino < s->first_ino ? -EUCLEAN : e4_iget(s->sb, ino, true, &inode);

		if (err)
			return err;
		if (!list_is_empty(&e4_inode(inode)->orphan_link)) {
			lx_inode_put(inode);
			return e4_corrupt(s, "the list of orphans is a loop");
		}
		list_add_last(&s->orphans, &e4_inode(inode)->orphan_link);
		err = e4_inode_slot(s, ino, &b, &di);
		if (err)
			return err;
		ino = get_le32(di->dtime);
		e4_buf_put(b);
	}
	return 0;
}

int e4_orphans_process(struct e4_super *s)
{
	unsigned int deleted = 0, cut = 0;
	int err = load_list(s);

	/* what could not be read stays on the list, for e2fsck */
	while (!list_is_empty(&s->orphans)) {
		struct e4_inode *e = list_first_entry(&s->orphans, struct e4_inode, orphan_link);
		int e2 = 0;

		if (atomic_load(&e->vfs->nlink)) {
			e2 = lx_is_reg(e->vfs) ? e4_truncate_blocks(e->vfs, e->vfs->size) : 0;
			cut++;
		} else {
			deleted++;
		}
		if (e2 || atomic_load(&s->journal->aborted) || err) {
			/* keep it as it is on disk */
			list_remove(&e->orphan_link);
			atomic_store(&e->vfs->nlink, 1);
			err = e2 ? e2 : err ? err : -EIO;
		}
		lx_inode_put(e->vfs);
		if (!err && !list_is_empty(&s->orphans) &&
		    list_first_entry(&s->orphans, struct e4_inode, orphan_link) == e)
			return -EIO;	/* it could not be deleted */
	}
	if (deleted || cut)
		rt_log(RT_LOG_INFO, "EXT4-fs (%s): %u orphan inodes deleted, %u truncates cleaned up",
		       s->name, deleted, cut);
	return err;
}
