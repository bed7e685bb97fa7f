/* SPDX-License-Identifier: MIT */
/*
 * Copying up: before a file of a lower layer is changed it is copied, with its
 * attributes, to the upper layer, and its parents before it.
 *
 * A file is made without a name, filled, and only then linked to its place: nobody
 * sees half of it.  One that has lost its name meanwhile (it is still open) is
 * copied all the same, and stays without one.
 */
#include "fs/overlay/overlay.h"
#include "lx/acl.h"

#define CHUNK (64u * 1024)

static bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Holes, or pages that could be some, stay holes. */
static int copy_data(struct lx_inode *from, struct lx_inode *to)
{
	uint64_t size = from->size;
	char *buf = rt_alloc(CHUNK);
	int err = buf ? 0 : -ENOMEM;

	for (uint64_t off = 0; off < size && !err; off += CHUNK) {
		int64_t n = lx_pages_read_kernel(from, buf, MIN(size - off, (uint64_t)CHUNK), off);

		if (n <= 0) {
			err = n ? (int)n : -EIO;
			break;
		}
		for (uint64_t i = 0; i < (uint64_t)n && !err; i += K_PAGE_SIZE) {
			size_t len = MIN((uint64_t)n - i, (uint64_t)K_PAGE_SIZE);
			int64_t w = is_zero(buf + i, len)
					    ? (int64_t)len
					    : lx_pages_write_kernel(to, buf + i, len, off + i);

			if (w != (int64_t)len)
				err = w < 0 ? (int)w : -ENOSPC;
		}
	}
	rt_free(buf);
	if (!err && to->size < size) {
		rt_mutex_lock_nested(&to->lock);
		err = to->ops->truncate(to, size);
		rt_mutex_unlock(&to->lock);
	}
	return err;
}

static int copy_one_xattr(struct lx_inode *from, struct lx_inode *to, const char *name)
{
	int n = from->ops->getxattr(from, name, NULL, 0), err;
	void *value;

	if (n < 0)
		return n;
	value = rt_alloc((size_t)n + 1);
	if (!value)
		return -ENOMEM;
	n = from->ops->getxattr(from, name, value, (size_t)n + 1);
	err = n < 0 ? n : to->ops->setxattr(to, name, value, (size_t)n, 0);
	rt_free(value);
	return err;
}

static int copy_xattrs(struct lx_inode *from, struct lx_inode *to)
{
	char *list;
	int n, err = 0;
	bool def;

	if (!from->ops->listxattr || !to->ops->setxattr)
		return 0;
	n = from->ops->listxattr(from, NULL, 0);
	if (n <= 0)
		return n;
	list = rt_alloc((size_t)n);
	if (!list)
		return -ENOMEM;
	n = from->ops->listxattr(from, list, (size_t)n);
	for (int i = 0; i < n && !err; i += (int)strlen(list + i) + 1)
		if (!str_has_prefix(list + i, OVL_XATTR_PREFIX) && !lx_acl_is_name(list + i, &def))
			err = copy_one_xattr(from, to, list + i);
	rt_free(list);
	return n < 0 ? n : err;
}

/* In memory and, where the upper layer is on a medium, in its journal. */
static int set_attributes(struct lx_inode *to, const struct lx_attr *a, struct lx_time ctime)
{
	/* whoever stores the inode stores this, too */
	lx_time_set(&to->ctime, ctime);
	if (to->ops->setattr)
		return to->ops->setattr(to, a);
	lx_setattr_copy(to, a);
	return 0;
}

/* Owner, mode, times, attributes, and where it came from, so that its number stays. */
static int copy_attributes(struct ovl_inode *oi, struct lx_inode *from, struct lx_inode *to)
{
	struct lx_attr a = { .valid = LX_ATTR_UID | LX_ATTR_GID | LX_ATTR_MODE | LX_ATTR_ATIME | LX_ATTR_MTIME,
			     .mode = from->mode & 07777, .uid = from->uid, .gid = from->gid,
			     .atime = lx_time_get(&from->atime), .mtime = lx_time_get(&from->mtime) };
	int err;

	rt_mutex_lock_nested(&to->lock);
	err = copy_xattrs(from, to);
	if (!err && to->ops->setxattr)
		err = to->ops->setxattr(to, OVL_XATTR_ORIGIN, &oi->ino, sizeof(oi->ino), 0);
	if (!err && !lx_is_lnk(from))
		err = lx_inode_acl_copy(from, to);
	if (!err)
		err = set_attributes(to, &a, lx_time_get(&from->ctime));
	rt_mutex_unlock(&to->lock);
	return err;
}

/* A nameless copy of a regular file, on a dentry of the work directory. */
static int copy_file(struct ovl_super *s, struct ovl_inode *oi, struct lx_inode *from,
		     struct lx_dentry **out)
{
	struct lx_inode *work = lx_d_inode(s->work.dentry);
	struct lx_qstr q = { "#copy", 5, 0 };
	struct lx_dentry *d = lx_dentry_alloc(s->work.dentry, &q);
	int err;

	if (!d)
		return -ENOMEM;
	rt_mutex_lock_nested(&work->lock);
	err = work->ops->tmpfile ? work->ops->tmpfile(work, d, S_IFREG | 0600) : -EOPNOTSUPP;
	if (!err)
		lx_d_inode(d)->linkable = true;
	rt_mutex_unlock(&work->lock);
	if (!err)
		err = copy_data(from, lx_d_inode(d));
	if (!err)
		err = copy_attributes(oi, from, lx_d_inode(d));
	/* after a crash the name, which is old, must not be that of a file without its data */
	if (!err)
		err = ovl_sync_upper(s, d, NULL, false);
	if (err)
		lx_dentry_put(d);
	else
		*out = d;
	return err;
}

/* Make the copy that is no regular file at @d, in @dir (locked). */
static int make_other(struct ovl_inode *oi, struct lx_inode *from, struct lx_inode *dir,
		      struct lx_dentry *d)
{
	char *target;
	int n, err;

	switch (from->mode & S_IFMT) {
	case S_IFDIR:
		err = dir->ops->mkdir(dir, d, from->mode);
		break;
	case S_IFLNK:
		target = rt_alloc(LX_PATH_MAX);
		if (!target)
			return -ENOMEM;
		n = from->ops->readlink(oi->lower0, target, LX_PATH_MAX - 1);
		if (n >= 0)
			target[n] = '\0';
		err = n < 0 ? n : dir->ops->symlink(dir, d, target);
		rt_free(target);
		break;
	default:
		err = dir->ops->mknod(dir, d, from->mode, from->rdev);
		break;
	}
	return err ? err : copy_attributes(oi, from, lx_d_inode(d));
}

/* Copy the object of @d, whose parent's upper directory is @updir. */
static int copy_one(struct ovl_super *s, struct lx_dentry *d, struct lx_dentry *updir)
{
	struct lx_inode *inode = lx_d_inode(d), *dir = lx_d_inode(updir), *from;
	struct ovl_inode *oi = ovl_inode(inode);
	struct lx_dentry *copy = NULL, *place = NULL;
	struct lx_attr before = { .valid = LX_ATTR_MTIME, .mtime = lx_time_get(&dir->mtime) };
	struct lx_time ctime = lx_time_get(&dir->ctime);
	char name[LX_NAME_MAX + 1];
	struct lx_qstr q = { name, lx_dentry_name(d, name), 0 };
	int err = 0;

	q.hash = lx_name_hash(q.name, q.len);
	from = lx_d_inode(oi->lower0);
	if (lx_is_reg(from))
		err = copy_file(s, oi, from, &copy);
	if (err)
		return err;
	if (oi->gone) {
		/* without a name it stays; other kinds need no copy to be changed in */
		if (!copy)
			return -ENOENT;
		atomic_store_explicit(&oi->upper, copy, memory_order_release);
		return 0;
	}
	rt_mutex_lock_nested(&dir->lock);
	err = lx_lookup_locked(updir, &q, &place);
	if (!err && !lx_d_negative(place))
		err = -EIO;		/* somebody works in the upper layer behind our back */
	if (!err)
		err = copy ? lx_vfs_link(copy, dir, place) : make_other(oi, from, dir, place);
	if (!err) {
		/* the directory looks as before: nothing happened in it */
		err = set_attributes(dir, &before, ctime);
		atomic_store_explicit(&oi->upper, lx_dentry_get(place), memory_order_release);
	}
	rt_mutex_unlock(&dir->lock);
	if (place)
		lx_dentry_put(place);
	if (copy)
		lx_dentry_put(copy);
	if (!err)
		ovl_sync_attributes(inode);
	return err;
}

int ovl_copy_up(struct lx_inode *inode)
{
	struct ovl_super *s = ovl_super(inode->sb);
	int err = 0;

	if (likely(ovl_upper(inode)))
		return 0;
	if (!s->upper.dentry)
		return -EROFS;
	rt_mutex_lock_nested(&s->lock);
	while (!err && !ovl_upper(inode)) {
		struct lx_dentry *d = lx_dentry_get(ovl_inode(inode)->dentry);

		/* the topmost one that is not there yet; the root always is */
		for (;;) {
			struct lx_dentry *parent = lx_dentry_parent_get(d);
			struct lx_dentry *updir = ovl_upper(lx_d_inode(parent));

			if (updir || ovl_inode(lx_d_inode(d))->gone) {
				err = copy_one(s, d, updir ? updir : s->work.dentry);
				lx_dentry_put(parent);
				break;
			}
			lx_dentry_put(d);
			d = parent;
		}
		lx_dentry_put(d);
	}
	rt_mutex_unlock(&s->lock);
	return err;
}
