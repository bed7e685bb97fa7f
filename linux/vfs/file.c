/* SPDX-License-Identifier: MIT */
/*
 * Open files: making them from paths, anonymous ones, the end of them.
 */
#include <linux/capability.h>
#include <linux/inotify.h>

#include "lx/async.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

static struct lx_super *pseudo;		/* of anonymous files; constant after lx_files_init() */

static const struct lx_fs_type pseudo_type = { .name = "anon_inodefs", .flags = LX_FS_NODEV };
static const struct lx_inode_ops pseudo_iops;
static const struct lx_file_ops path_fops;	/* O_PATH: nothing works */

int lx_files_init(void)
{
	pseudo = lx_super_alloc(&pseudo_type);
	if (!pseudo)
		return -ENOMEM;
	pseudo->magic = 0x09041934;
	return 0;
}

static struct lx_file *alloc_file(const struct lx_file_ops *ops, int flags, uint32_t fmode)
{
	struct lx_task *self = lx_self();
	struct lx_file *f = rt_zalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->ops = ops;
	f->mode = fmode;
	atomic_store_explicit(&f->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&f->flags, (uint32_t)flags, memory_order_relaxed);
	rt_mutex_init(&f->pos_lock, LX_LOCK_FPOS);
	rt_mutex_init(&f->lock, LX_LOCK_FILE);
	list_init(&f->epoll_items);
	f->cred = lx_cred_get(self && self->cred ? self->cred : &lx_init_cred);
	return f;
}

static void free_file(struct lx_file *f)
{
	lx_cred_put(f->cred);
	rt_free(f);
}

static const struct lx_file_ops *ops_of(struct lx_inode *inode, int *err)
{
	extern const struct lx_file_ops lx_fifo_ops;	/* ipc/pipe.c */

	switch (inode->mode & S_IFMT) {
	case S_IFCHR: {
		const struct lx_file_ops *ops = lx_chrdev_find(inode->rdev);

		*err = ops ? 0 : -ENXIO;
		return ops;
	}
	case S_IFBLK:
		return lx_blkdev_fops();
	case S_IFIFO:
		return &lx_fifo_ops;
	case S_IFSOCK:
		*err = -ENXIO;
		return NULL;
	default:
		return inode->fops;
	}
}

/* Of file systems in layers, the one that has the pages decides. */
bool lx_inode_can_direct(struct lx_inode *inode)
{
	if ((inode->mode & S_IFMT) == S_IFBLK)
		return true;
	if (!lx_is_reg(inode))
		return false;
	inode = lx_pages_inode(inode);
	return inode && inode->fops && inode->fops->can_direct;
}

int lx_file_open_path(struct lx_task *self, struct lx_path *path, int flags, uint32_t fmode,
		      struct lx_file **out)
{
	struct lx_inode *inode = lx_d_inode(path->dentry);
	lx_mode_t type = inode->mode & S_IFMT;
	const struct lx_file_ops *ops;
	struct lx_file *f;
	int err = 0;

	if (fmode & LX_FMODE_PATH) {
		ops = &path_fops;
	} else {
		ops = ops_of(inode, &err);
		if (!err && !ops)
			err = -ENXIO;
		if (!err && (flags & O_DIRECT) && !lx_inode_can_direct(inode))
			err = -EINVAL;
		if (err)
			return err;
		if (type == S_IFREG || type == S_IFDIR || type == S_IFBLK)
			fmode |= LX_FMODE_SEEK | LX_FMODE_ATOMIC_POS;
		else if (type == S_IFCHR)
			fmode |= LX_FMODE_SEEK;
	}
	/* O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC are only for the opening itself */
	f = alloc_file(ops, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC), fmode);
	if (!f)
		return -ENOMEM;
	f->path = *path;
	f->inode = inode;
	atomic_store_explicit(&f->wb_seen, lx_errseq_sample(&inode->wb_error), memory_order_relaxed);
	atomic_store_explicit(&f->sb_wb_seen, lx_errseq_sample(&inode->sb->wb_error), memory_order_relaxed);
	if ((fmode & LX_FMODE_WRITE) && type == S_IFREG) {
		err = lx_get_write(inode);
		if (err) {
			free_file(f);
			return err;
		}
		if (path->mnt)
			atomic_fetch_add(&path->mnt->writers, 1);
		f->mode |= LX_FMODE_MNTW;
	}
	if (type == S_IFBLK && (flags & O_EXCL))
		f->mode |= LX_FMODE_EXCL;
	/* terminals look at O_NOCTTY, which is gone afterwards */
	if (ops->open)
		err = ops->open(inode, f);
	atomic_fetch_and_explicit(&f->flags, ~(uint32_t)O_NOCTTY, memory_order_relaxed);
	if (err) {
		if (f->mode & LX_FMODE_MNTW) {
			lx_put_write(inode);
			if (path->mnt)
				atomic_fetch_sub(&path->mnt->writers, 1);
		}
		free_file(f);
		return err;
	}
	*path = (struct lx_path){ 0 };
	*out = f;
	return 0;
}

struct lx_file *lx_file_get(struct lx_file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

static void last_put(struct lx_file *f)
{
	if (!list_is_empty(&f->epoll_items))
		lx_epoll_release(f);
	if (unlikely(f->async))
		lx_async_release(f);
	if (!(f->mode & LX_FMODE_PATH)) {
		lx_notify(f->inode, f->path.dentry,
			  f->mode & LX_FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
		lx_locks_release_file(f);
		if (f->ops->release)
			f->ops->release(f);
	}
	if (f->mode & LX_FMODE_MNTW) {
		lx_put_write(f->inode);
		if (f->path.mnt)
			atomic_fetch_sub(&f->path.mnt->writers, 1);
	}
	if (f->mode & LX_FMODE_DENY)
		lx_allow_write(f->inode);
	lx_path_put(&f->path);
	free_file(f);
}

void lx_file_put(struct lx_file *f)
{
	/* release/acquire: what others did with the file is over before it ends */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
		last_put(f);
}

/* -- anonymous files */

static struct lx_file *anon_on(struct lx_dentry *d, struct lx_inode *inode,
			       const struct lx_file_ops *ops, void *private, uint32_t o_flags,
			       uint32_t fmode)
{
	struct lx_file *f = alloc_file(ops, (int)(o_flags & ~(uint32_t)O_CLOEXEC), fmode);

	if (!f) {
		lx_dentry_put(d);
		return NULL;
	}
	f->path.dentry = d;
	f->inode = inode;
	f->private = private;
	return f;
}

struct lx_file *lx_file_anon_mode(const char *name, const struct lx_file_ops *ops, void *private,
				  uint32_t o_flags, uint32_t fmode, lx_mode_t mode)
{
	struct lx_inode *inode = lx_inode_create(pseudo, mode);
	struct lx_task *self = lx_self();
	struct lx_dentry *d;

	if (!inode)
		return NULL;
	inode->ops = &pseudo_iops;
	if (self && self->cred) {
		inode->uid = self->cred->fsuid;
		inode->gid = self->cred->fsgid;
	}
	inode->fops = ops;
	d = lx_dentry_alloc_pseudo(pseudo, name, inode);
	if (!d)
		return NULL;
	return anon_on(d, inode, ops, private, o_flags, fmode);
}

struct lx_file *lx_file_anon(const char *name, const struct lx_file_ops *ops, void *private,
			     uint32_t o_flags, uint32_t fmode)
{
	return lx_file_anon_mode(name, ops, private, o_flags, fmode, 0600);
}

struct lx_file *lx_file_anon_twin(struct lx_file *f, void *private, uint32_t o_flags,
				  uint32_t fmode)
{
	return anon_on(lx_dentry_get(f->path.dentry), f->inode, f->ops, private, o_flags, fmode);
}
