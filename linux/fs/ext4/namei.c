/* SPDX-License-Identifier: MIT */
/*
 * Making, linking, removing and renaming files.  Directories are locked by the VFS;
 * each operation is one handle.  When the disk is full because blocks that were
 * freed wait for a commit, that is made, and the operation tried once more.
 */
#include <linux/fs.h>

#include "fs/ext4/dir.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/namei.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"
#include "lx/acl.h"

#define MOST_LINKS 65000u

/* -- links of directories: one with too many to count has one */

static void more_links(struct lx_inode *dir)
{
	uint32_t n = atomic_load(&dir->nlink);

	if (n != 1)
		atomic_store(&dir->nlink, n >= MOST_LINKS ? 1 : n + 1);
}

static void fewer_links(struct lx_inode *dir)
{
	if (atomic_load(&dir->nlink) > 2)
		atomic_fetch_sub(&dir->nlink, 1);
}

static int touch_dir(struct e4_handle *h, struct lx_inode *dir)
{
	lx_inode_touch(dir, LX_ATTR_MTIME | LX_ATTR_CTIME);
	return e4_store(h, dir);
}

/* Again after a commit, if that may have made room? */
static bool try_again(struct e4_super *s, int err, bool *tried)
{
	if (err != -ENOSPC || *tried)
		return false;
	*tried = true;
	return !e4_commit(s->journal, e4_current_tid(s->journal));
}

/* -- making */

struct make {
	lx_mode_t mode;
	lx_dev_t rdev;
	const char *target;		/* symlinks */
	bool unnamed;			/* O_TMPFILE */
	struct lx_acl *acl, *def;	/* what it inherits, or NULL: references, by make() */
};

static void encode_dev(struct e4_inode *e, lx_dev_t dev)
{
	uint32_t ma = LX_MAJOR(dev), mi = LX_MINOR(dev);

	if (ma < 256 && mi < 256)
		put_le32(e->block, ma << 8 | mi);
	else
		put_le32(e->block + 4, lx_dev_encode(dev));
	e->vfs->rdev = dev;
}

static int set_target(struct e4_handle *h, struct lx_inode *inode, const char *target)
{
	struct e4_inode *e = e4_inode(inode);
	size_t n = strlen(target);
	struct e4_buf *b;
	int err;

	atomic_store(&inode->size, n);
	if (n < E4_I_BLOCK) {
		memcpy(e->block, target, n);
		return 0;
	}
	if (n >= h->s->block_size)
		return -ENAMETOOLONG;
	e4_ext_init(e);
	err = e4_alloc_meta(h, e4_inode_goal(inode), &b);
	if (err)
		return err;
	memcpy(b->data, target, n);
	rt_write_lock(&e->map_lock);
	err = e4_ext_insert(h, inode, 0, 1, b->block, false);
	rt_write_unlock(&e->map_lock);
	e4_buf_put(b);
	return err;
}

static int fill(struct e4_handle *h, struct lx_inode *dir, struct lx_inode *inode, const struct make *m)
{
	switch (m->mode & S_IFMT) {
	case S_IFDIR:
		atomic_store(&inode->nlink, 2);
		return e4_dir_make(h, inode, e4_inode(dir)->ino);
	case S_IFLNK:
		return set_target(h, inode, m->target);
	case S_IFCHR:
	case S_IFBLK:
		encode_dev(e4_inode(inode), m->rdev);
		return 0;
	default:
		return 0;
	}
}

static int give_lists(struct e4_handle *h, struct lx_inode *inode, const struct make *m)
{
	int err = 0;

	if (m->acl)
		err = e4_acl_store(h, inode, false, m->acl);
	if (!err && m->def)
		err = e4_acl_store(h, inode, true, m->def);
	if (err)
		return err;
	if (m->acl)
		lx_inode_acl_set(inode, false, lx_acl_get(m->acl));
	if (m->def)
		lx_inode_acl_set(inode, true, lx_acl_get(m->def));
	return 0;
}

/* Nothing of @inode is to stay: it has no name yet. */
static void undo(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	uint64_t to = (uint64_t)E4_MAX_LBLOCK + 1;
	int err = 0;

	if (e->flags & E4_FL_EXTENTS) {
		rt_write_lock(&e->map_lock);
		err = e4_ext_remove(h, inode, 0, &to);
		rt_write_unlock(&e->map_lock);
	}
	if (!err && !list_is_empty(&e->orphan_link))
		err = e4_orphan_del(h, inode);
	if (!err && e->file_acl)
		err = e4_xattr_drop_block(h, inode);
	if (!err)
		err = e4_free_inode(h, inode);
	if (err)
		h->spoiled = true;
	atomic_store(&inode->nlink, 1);	/* so that its end does not delete it again */
	lx_inode_put(inode);
}

static int make_within(struct e4_handle *h, struct lx_inode *dir, struct lx_dentry *d,
		       const struct make *m, struct lx_inode **out)
{
	struct e4_name name = { d->name, d->name_len };
	struct lx_inode *inode;
	bool in_dir = false;
	int err = e4_new_inode(h, dir, m->mode, &inode);

	if (err)
		return err;
	err = fill(h, dir, inode, m);
	if (!err)
		err = give_lists(h, inode, m);
	if (!err && m->unnamed) {
		atomic_store(&inode->nlink, 0);
		err = e4_orphan_add(h, inode);
	}
	if (!err)
		err = e4_store(h, inode);
	if (!err && !m->unnamed) {
		err = e4_dir_add(h, dir, &name, e4_inode(inode)->ino, inode->mode);
		in_dir = err && err != -ENOSPC;
	}
	if (err) {
		undo(h, inode);
		h->changed = in_dir;
		return err;
	}
	if (!m->unnamed) {
		if (lx_is_dir(inode))
			more_links(dir);
		err = touch_dir(h, dir);
	}
	*out = inode;
	return err;
}

static int make(struct lx_inode *dir, struct lx_dentry *d, struct make *m)
{
	struct e4_super *s = e4_super_of(dir);
	struct lx_inode *inode = NULL;
	struct e4_handle h;
	bool tried = false;
	int err = lx_acl_inherit(dir, &m->mode, &m->acl, &m->def);

	if (err)
		return err;
	do {
		err = e4_begin(s, E4_CREDITS_NEW_INODE + 2 * E4_CREDITS_DIR_ADD +
			       (m->acl || m->def ? 2 * E4_CREDITS_XATTR : 0), &h);
		if (err)
			break;
		err = e4_end(&h, make_within(&h, dir, d, m, &inode));
	} while (err && !inode && try_again(s, err, &tried));
	lx_acl_put(m->acl);
	lx_acl_put(m->def);
	if (!inode)
		return err;
	lx_inode_hash(inode);
	lx_dentry_instantiate(d, inode);
	return 0;
}

int e4_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return make(dir, d, &(struct make){ .mode = (mode & 07777) | S_IFREG });
}

int e4_mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	if (atomic_load(&dir->nlink) >= MOST_LINKS && !e4_has_ro(e4_super_of(dir), E4_RO_DIR_NLINK))
		return -EMLINK;
	return make(dir, d, &(struct make){ .mode = (mode & 07777) | S_IFDIR });
}

int e4_mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	return make(dir, d, &(struct make){ .mode = mode, .rdev = dev });
}

int e4_symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	return make(dir, d, &(struct make){ .mode = S_IFLNK | 0777, .target = target });
}

int e4_tmpfile(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return make(dir, d, &(struct make){ .mode = (mode & 07777) | S_IFREG, .unnamed = true });
}

int e4_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	struct e4_name name = { d->name, d->name_len };
	struct e4_super *s = e4_super_of(dir);
	struct e4_handle h;
	bool tried = false;
	int err;

	if (atomic_load(&inode->nlink) >= MOST_LINKS)
		return -EMLINK;
	do {
		err = e4_begin(s, E4_CREDITS_DIR_ADD + 3 + E4_CREDITS_ORPHAN, &h);
		if (err)
			return err;
		err = e4_dir_add(&h, dir, &name, e4_inode(inode)->ino, inode->mode);
		if (!err) {
			if (!atomic_load(&inode->nlink))
				err = e4_orphan_del(&h, inode);
			atomic_fetch_add(&inode->nlink, 1);
			e4_dirty_keep(inode, true);
			lx_inode_touch(inode, LX_ATTR_CTIME);
			err = err ? err : e4_store(&h, inode);
			err = err ? err : touch_dir(&h, dir);
		}
		err = e4_end(&h, err);
	} while (try_again(s, err, &tried));
	if (!err)
		lx_dentry_instantiate(d, lx_inode_get(inode));
	return err;
}

/* -- removing */

/* One name of @inode went; the last one leaves it to its users, as an orphan. */
static int drop_link(struct e4_handle *h, struct lx_inode *inode)
{
	int err = 0;

	if (lx_is_dir(inode))
		atomic_store(&inode->nlink, 0);
	else if (atomic_load(&inode->nlink))
		atomic_fetch_sub(&inode->nlink, 1);
	lx_inode_touch(inode, LX_ATTR_CTIME);
	if (!atomic_load(&inode->nlink)) {
		e4_dirty_keep(inode, false);
		err = e4_orphan_add(h, inode);
	}
	return err ? err : e4_store(h, inode);
}

static int find(struct lx_inode *dir, struct lx_dentry *d, struct e4_found *f)
{
	struct e4_name name = { d->name, d->name_len };
	struct lx_inode *inode = lx_d_inode(d);
	int err = e4_dir_find(dir, &name, true, f);

	if (!err && inode && f->ino != inode->ino) {
		e4_buf_put(f->buf);
		err = e4_corrupt(e4_super_of(dir), "an entry of directory %u changed",
				 e4_inode(dir)->ino);
	}
	return err;
}

static int remove(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);
	struct e4_found f;
	struct e4_handle h;
	int err = e4_begin(e4_super_of(dir), 5 + 2 * E4_CREDITS_ORPHAN, &h);

	if (err)
		return err;
	err = find(dir, d, &f);
	if (!err) {
		err = e4_dir_remove(&h, dir, &f);
		e4_buf_put(f.buf);
		if (!err)
			err = drop_link(&h, inode);
		if (!err && lx_is_dir(inode))
			fewer_links(dir);
		if (!err)
			err = touch_dir(&h, dir);
	}
	return e4_end(&h, err);
}

int e4_unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	return remove(dir, d);
}

int e4_rmdir(struct lx_inode *dir, struct lx_dentry *d)
{
	int err = e4_dir_empty(lx_d_inode(d));

	return err ? err : remove(dir, d);
}

/* -- renaming */

struct rename {
	struct lx_inode *odir, *ndir, *inode, *victim;
	struct lx_dentry *od, *nd;
	unsigned int flags;
	struct lx_inode *white;		/* RENAME_WHITEOUT: what takes the old name's place */
};

/* @inode, a directory, came from one parent to another. */
static int moved_dir(struct e4_handle *h, struct lx_inode *inode, struct lx_inode *from,
		     struct lx_inode *to)
{
	if (!lx_is_dir(inode) || from == to)
		return 0;
	fewer_links(from);
	more_links(to);
	return e4_dir_set_parent(h, inode, e4_inode(to)->ino);
}

static int exchange(struct e4_handle *h, struct rename *r)
{
	struct e4_found of, nf;
	int err = find(r->odir, r->od, &of);

	if (err)
		return err;
	err = find(r->ndir, r->nd, &nf);
	if (!err) {
		err = e4_dir_set(h, r->odir, &of, e4_inode(r->victim)->ino, r->victim->mode);
		if (!err)
			err = e4_dir_set(h, r->ndir, &nf, e4_inode(r->inode)->ino, r->inode->mode);
		if (!err)
			err = moved_dir(h, r->inode, r->odir, r->ndir);
		if (!err)
			err = moved_dir(h, r->victim, r->ndir, r->odir);
		e4_buf_put(nf.buf);
	}
	e4_buf_put(of.buf);
	if (!err) {
		lx_inode_touch(r->victim, LX_ATTR_CTIME);
		err = e4_store(h, r->victim);
	}
	return err;
}

/* The new name leads to the inode. */
static int set_new(struct e4_handle *h, struct rename *r)
{
	struct e4_name name = { r->nd->name, r->nd->name_len };
	struct e4_found f;
	int err;

	if (!r->victim)
		return e4_dir_add(h, r->ndir, &name, e4_inode(r->inode)->ino, r->inode->mode);
	err = find(r->ndir, r->nd, &f);
	if (err)
		return err;
	err = e4_dir_set(h, r->ndir, &f, e4_inode(r->inode)->ino, r->inode->mode);
	e4_buf_put(f.buf);
	if (!err && lx_is_dir(r->victim))
		fewer_links(r->ndir);
	return err ? err : drop_link(h, r->victim);
}

/* The old name goes, or leads to a whiteout. */
static int clear_old(struct e4_handle *h, struct rename *r)
{
	struct e4_found f;
	int err = find(r->odir, r->od, &f);	/* adding the new name may have moved it */

	if (err)
		return err;
	err = r->white ? e4_dir_set(h, r->odir, &f, e4_inode(r->white)->ino, r->white->mode)
		       : e4_dir_remove(h, r->odir, &f);
	e4_buf_put(f.buf);
	return err;
}

/* Before anything else is done: it may need more room than there is. */
static int make_whiteout(struct e4_handle *h, struct rename *r)
{
	int err = e4_new_inode(h, r->odir, S_IFCHR | 0600, &r->white);

	if (err)
		return err;
	err = e4_store(h, r->white);
	if (err) {
		undo(h, r->white);
		h->changed = false;
		r->white = NULL;
	}
	return err;
}

static int replace(struct e4_handle *h, struct rename *r)
{
	int err = r->flags & RENAME_WHITEOUT ? make_whiteout(h, r) : 0;

	if (err)
		return err;
	err = set_new(h, r);
	if (err == -ENOSPC) {
		/* nothing else was changed */
		if (r->white)
			undo(h, r->white);
		r->white = NULL;
		return err;
	}
	if (!err)
		err = clear_old(h, r);
	if (!err)
		err = moved_dir(h, r->inode, r->odir, r->ndir);
	if (r->white) {
		lx_inode_hash(r->white);
		lx_inode_put(r->white);
		r->white = NULL;
	}
	return err;
}

static int rename_within(struct e4_handle *h, struct rename *r)
{
	int err;

	err = r->flags & RENAME_EXCHANGE ? exchange(h, r) : replace(h, r);
	if (!err) {
		lx_inode_touch(r->inode, LX_ATTR_CTIME);
		err = e4_store(h, r->inode);
	}
	if (!err)
		err = touch_dir(h, r->odir);
	return err || r->odir == r->ndir ? err : touch_dir(h, r->ndir);
}

int e4_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir, struct lx_dentry *nd,
	      unsigned int flags)
{
	struct rename r = { odir, ndir, lx_d_inode(od), lx_d_inode(nd), od, nd, flags, NULL };
	struct e4_super *s = e4_super_of(odir);
	struct e4_handle h;
	bool tried = false;
	int err = 0;

	if (!(flags & RENAME_EXCHANGE) && r.victim && lx_is_dir(r.victim))
		err = e4_dir_empty(r.victim);
	/* a file that replaces another by renaming is complete when the new name is there */
	if (!err && r.victim && lx_is_reg(r.inode))
		err = e4_writeback(r.inode);
	if (err)
		return err;
	do {
		err = e4_begin(s, E4_CREDITS_DIR_ADD + E4_CREDITS_NEW_INODE + 12 + 2 * E4_CREDITS_ORPHAN,
			       &h);
		if (err)
			return err;
		err = e4_end(&h, rename_within(&h, &r));
	} while (try_again(s, err, &tried));
	return err;
}
