/* SPDX-License-Identifier: MIT */
/*
 * Inodes of an overlay: attributes and data are those of the real inode, the
 * upper one if there is one.
 *
 * The inode's own fields mirror the real ones, because path walks and permission
 * checks look at them without asking; whatever changes the real ones through us
 * copies them again.  Pages are always the real inode's: a mapping made before a
 * copy-up goes on showing the lower file, as on Linux; a read sees the new one.
 */
#include <linux/fs.h>
#include <asm/mman.h>

#include "fs/overlay/overlay.h"
#include "lx/acl.h"
#include "lx/mm.h"

void ovl_sync_attributes(struct lx_inode *inode)
{
	struct lx_inode *real = ovl_real(inode);

	inode->mode = real->mode;
	inode->uid = real->uid;
	inode->gid = real->gid;
	inode->rdev = real->rdev;
	inode->blocks = real->blocks;
	lx_time_set(&inode->atime, lx_time_get(&real->atime));
	lx_time_set(&inode->mtime, lx_time_get(&real->mtime));
	lx_time_set(&inode->ctime, lx_time_get(&real->ctime));
	inode->btime = real->btime;
	/* that there is a list, which is kept with the real inode */
	atomic_store(&inode->acl, atomic_load(&real->acl) ? LX_ACL_ASK : NULL);
	atomic_store(&inode->nlink, atomic_load(&real->nlink));
	atomic_store(&inode->size, atomic_load(&real->size));
}

bool ovl_is_opaque(struct lx_inode *real)
{
	char c;

	return real->ops->getxattr && real->ops->getxattr(real, OVL_XATTR_OPAQUE, &c, 1) == 1 && c == 'y';
}

uint64_t ovl_upper_ino(struct lx_inode *real)
{
	uint64_t origin;

	if (real->ops->getxattr &&
	    real->ops->getxattr(real, OVL_XATTR_ORIGIN, &origin, sizeof(origin)) == sizeof(origin))
		return origin;
	return ovl_ino(real->ino, OVL_UPPER_LAYER);
}

static void free_info(struct ovl_inode *oi)
{
	struct lx_dentry *upper = atomic_load(&oi->upper);

	if (upper)
		lx_dentry_put(upper);
	if (oi->lower0)
		lx_dentry_put(oi->lower0);
	for (unsigned int i = 0; i < oi->nr_lower; i++)
		lx_dentry_put(oi->lowers[i].dentry);
	rt_free(oi->lowers);
	rt_free(oi);
}

/* Upper files with several names are one inode, found by the upper one's number. */
static struct lx_inode *share(struct lx_super *sb, struct lx_inode *inode, struct lx_inode *real)
{
	inode->ino = real->ino;
	return lx_inode_hash_unique(inode);
}

struct lx_inode *ovl_new_inode(struct lx_super *sb, struct lx_dentry *upper, struct ovl_inode *oi)
{
	struct lx_inode *inode, *real;

	atomic_store(&oi->upper, upper);
	inode = lx_inode_create(sb, 0);
	if (!inode) {
		free_info(oi);
		return NULL;
	}
	inode->private = oi;
	real = ovl_real(inode);
	if (oi->lower0)
		oi->ino = ovl_ino(lx_d_inode(oi->lower0)->ino, oi->layer0);
	else
		oi->ino = ovl_upper_ino(real);
	ovl_sync_attributes(inode);
	inode->ino = oi->ino;
	switch (inode->mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &ovl_dir_iops;
		inode->fops = &ovl_dir_fops;
		break;
	case S_IFREG:
		inode->ops = &ovl_reg_iops;
		inode->fops = &ovl_reg_fops;
		break;
	case S_IFLNK:
		inode->ops = &ovl_link_iops;
		break;
	default:
		inode->ops = &ovl_special_iops;
		break;
	}
	if (upper && !lx_is_dir(inode) && atomic_load(&real->nlink) > 1)
		return share(sb, inode, real);
	return inode;
}

void ovl_evict_inode(struct lx_inode *inode)
{
	if (inode->private)
		free_info(inode->private);
}

/* -- attributes */

int ovl_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	struct ovl_inode *oi = ovl_inode(inode);

	lx_getattr_inode(ovl_real(inode), st);
	st->ino = oi->ino;
	st->dev = inode->sb->dev;
	if (lx_is_dir(inode) && ovl_upper(inode) && oi->nr_lower)
		st->nlink = 1;		/* merged: how many there are is not known without looking */
	return 0;
}

int ovl_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	struct lx_inode *real;
	int err = ovl_copy_up(inode);

	if (err)
		return err;
	real = ovl_real(inode);
	rt_mutex_lock_nested(&real->lock);
	if (real->ops->setattr)
		err = real->ops->setattr(real, a);
	else if (a->valid & LX_ATTR_SIZE)
		err = real->ops->truncate ? real->ops->truncate(real, a->size) : -EINVAL;
	if (!err && !real->ops->setattr)
		lx_setattr_copy(real, a);
	rt_mutex_unlock(&real->lock);
	ovl_sync_attributes(inode);
	return err;
}

/* -- extended attributes */

static bool is_ours(const char *name)
{
	return str_has_prefix(name, OVL_XATTR_PREFIX);
}

int ovl_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	struct lx_inode *real = ovl_real(inode);
	int n;

	if (is_ours(name))
		return -EOPNOTSUPP;
	if (!real->ops->getxattr)
		return -EOPNOTSUPP;
	rt_mutex_lock_nested(&real->lock);
	n = real->ops->getxattr(real, name, buf, size);
	rt_mutex_unlock(&real->lock);
	return n;
}

int ovl_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags)
{
	struct lx_inode *real;
	int err;

	if (is_ours(name))
		return -EOPNOTSUPP;
	err = ovl_copy_up(inode);
	if (err)
		return err;
	real = ovl_real(inode);
	if (!real->ops->setxattr)
		return -EOPNOTSUPP;
	rt_mutex_lock_nested(&real->lock);
	err = real->ops->setxattr(real, name, val, size, flags);
	rt_mutex_unlock(&real->lock);
	ovl_sync_attributes(inode);
	return err;
}

int ovl_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	struct lx_inode *real = ovl_real(inode);
	char *list;
	int n, out = 0;

	if (!real->ops->listxattr)
		return 0;
	list = rt_alloc(65536);
	if (!list)
		return -ENOMEM;
	rt_mutex_lock_nested(&real->lock);
	n = real->ops->listxattr(real, list, 65536);
	rt_mutex_unlock(&real->lock);
	for (int i = 0; i < n; i += (int)strlen(list + i) + 1) {
		int len = (int)strlen(list + i) + 1;

		if (is_ours(list + i))
			continue;
		if (size && (size_t)(out + len) > size) {
			out = -ERANGE;
			break;
		}
		if (size)
			memcpy(buf + out, list + i, (size_t)len);
		out += len;
	}
	rt_free(list);
	return n < 0 ? n : out;
}

int ovl_removexattr(struct lx_inode *inode, const char *name)
{
	struct lx_inode *real;
	int err;

	if (is_ours(name))
		return -EOPNOTSUPP;
	/* what is not there needs no copy */
	err = ovl_getxattr(inode, name, NULL, 0);
	if (err < 0)
		return err;
	err = ovl_copy_up(inode);
	if (err)
		return err;
	real = ovl_real(inode);
	rt_mutex_lock_nested(&real->lock);
	err = real->ops->removexattr ? real->ops->removexattr(real, name) : -EOPNOTSUPP;
	rt_mutex_unlock(&real->lock);
	ovl_sync_attributes(inode);
	return err;
}

/* -- access control lists */

struct lx_inode *ovl_acl_of(struct lx_inode *inode)
{
	return ovl_real(inode);
}

int ovl_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode)
{
	struct lx_acl *old;
	struct lx_inode *real;
	int err = lx_inode_acl(inode, def, &old);

	if (err)
		return err;
	lx_acl_put(old);
	/* what is not there needs no copy */
	if (!acl && !old && mode == inode->mode)
		return 0;
	err = ovl_copy_up(inode);
	if (err)
		return err;
	real = ovl_real(inode);
	if (!real->ops->set_acl)
		return -EOPNOTSUPP;
	rt_mutex_lock_nested(&real->lock);
	err = real->ops->set_acl(real, def, acl, mode);
	rt_mutex_unlock(&real->lock);
	ovl_sync_attributes(inode);
	return err;
}

static int ovl_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	struct lx_dentry *upper = ovl_upper(inode);
	struct lx_dentry *real = upper ? upper : ovl_inode(inode)->lower0;

	return lx_d_inode(real)->ops->readlink(real, buf, size);
}

/* The pages of a mapping that want filling are those of the lower file: the upper layer's are in memory. */
static struct lx_inode *ovl_pages_of(struct lx_inode *inode)
{
	struct ovl_inode *oi = ovl_inode(inode);

	return oi->lower0 ? lx_d_inode(oi->lower0) : ovl_real(inode);
}

const struct lx_inode_ops ovl_reg_iops = { .pages_of = ovl_pages_of, OVL_ATTR_OPS, OVL_ACL_OPS };
const struct lx_inode_ops ovl_link_iops = { .readlink = ovl_readlink, OVL_ATTR_OPS };
const struct lx_inode_ops ovl_special_iops = { OVL_ATTR_OPS, OVL_ACL_OPS };

/* -- files */

static int ovl_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_inode *real;
	int err = 0;

	if (f->mode & LX_FMODE_WRITE) {
		err = ovl_copy_up(inode);
		if (err)
			return err;
	}
	real = ovl_real(inode);
	atomic_store_explicit(&f->wb_seen, lx_errseq_sample(&real->wb_error), memory_order_relaxed);
	return real->fops && real->fops->open ? real->fops->open(real, f) : 0;
}

static int64_t ovl_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct lx_inode *real = ovl_real(f->inode);
	int64_t n = lx_pages_read(f, real, to, pos);

	if (ovl_upper(f->inode) && !(atomic_load(&f->flags) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, real);
	return n;
}

static int64_t ovl_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	int64_t n = lx_pages_write(f, ovl_real(f->inode), from, pos);

	ovl_sync_attributes(f->inode);
	return n;
}

static int ovl_mmap(struct lx_file *f, struct lx_mmap *m)
{
	return lx_pages_mmap(f, ovl_real(f->inode), m);
}

static lx_off_t ovl_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	struct lx_inode *real = ovl_real(f->inode);

	if (whence != 3 && whence != 4)
		return lx_generic_llseek(f, off, whence);
	rt_mutex_lock(&real->lock);
	off = lx_pages_seek(real, off, whence == 3);
	rt_mutex_unlock(&real->lock);
	if (off >= 0)
		atomic_store(&f->pos, off);
	return off;
}

static int ovl_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	int err = lx_pages_fallocate(ovl_real(f->inode), mode, off, len);

	ovl_sync_attributes(f->inode);
	return err;
}

const struct lx_file_ops ovl_reg_fops = {
	.open = ovl_open,
	.read = ovl_read,
	.write = ovl_write,
	.mmap = ovl_mmap,
	.llseek = ovl_llseek,
	.fallocate = ovl_fallocate,
	.fsync = ovl_fsync,
};
