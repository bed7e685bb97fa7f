/* SPDX-License-Identifier: MIT */
/*
 * The operations of regular files whose pages are in the page cache, other than reading
 * and writing.  mmap maps the inode's memory object itself.
 */
#include <linux/falloc.h>
#include <linux/resource.h>
#include <asm/mman.h>

#include "lx/mm.h"
#include "vfs/pages_priv.h"

int lx_generic_mmap(struct lx_file *f, struct lx_mmap *m)
{
	return lx_pages_mmap(f, f->inode, m);
}

int lx_pages_mmap(struct lx_file *f, struct lx_inode *inode, struct lx_mmap *m)
{
	int err;

	if (f->path.mnt && (atomic_load(&f->path.mnt->flags) & LX_MNT_NOEXEC)) {
		if (m->prot & PROT_EXEC)
			return -EPERM;
		m->max_prot &= ~K_PROT_EXEC;
	}
	err = lx_pages_open(inode);
	if (err)
		return err;
	if (!(inode->iflags & LX_INODE_MAPPED)) {
		rt_mutex_lock(&inode->lock);
		inode->iflags |= LX_INODE_MAPPED;
		rt_mutex_unlock(&inode->lock);
	}
	m->memory = inode->pages.handle;
	if (!(atomic_load(&f->flags) & O_NOATIME))
		lx_inode_accessed(f->path.mnt, inode);
	return 0;
}

lx_off_t lx_generic_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	lx_off_t max = f->inode->sb->max_bytes, base;

	switch (whence) {
	case 0: /* SEEK_SET */
		base = 0;
		break;
	case 1: /* SEEK_CUR */
		base = atomic_load(&f->pos);
		if (!off)
			return base;
		break;
	case 2: /* SEEK_END */
		base = (lx_off_t)f->inode->size;
		break;
	case 3: /* SEEK_DATA */
	case 4: /* SEEK_HOLE */
		if (!lx_is_reg(f->inode))
			return -EINVAL;
		rt_mutex_lock(&f->inode->lock);
		off = lx_pages_seek(f->inode, off, whence == 3);
		rt_mutex_unlock(&f->inode->lock);
		if (off < 0)
			return off;
		base = 0;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &off) || off < 0 || off > max)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

int lx_pages_fallocate(struct lx_inode *inode, int mode, lx_off_t off, lx_off_t len)
{
	uint64_t end = (uint64_t)off + (uint64_t)len;
	int err = 0;

	/* as Linux's tmpfs: nothing more */
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (is_paged(inode))
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > lx_rlimit(lx_self(), RLIMIT_FSIZE))
		return -EFBIG;
	rt_mutex_lock(&inode->lock);
	lx_pages_remove_privs(lx_self(), inode);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		err = lx_pages_punch(inode, (uint64_t)off, (uint64_t)len);
		if (!err && inode->ops->hole_punched)
			inode->ops->hole_punched(inode, (uint64_t)off, (uint64_t)len);
	} else if (inode->ops->prepare_write) {
		/* memory is not set aside; that there is room for it is */
		err = inode->ops->prepare_write(inode, (uint64_t)off, (uint64_t)len);
	}
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
		err = lx_pages_truncate(inode, end);
	if (!err)
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
	rt_mutex_unlock(&inode->lock);
	return err;
}

static int regular_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	return lx_pages_fallocate(f->inode, mode, off, len);
}

static int regular_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct lx_super *sb = f->inode->sb;

	return sb->ops && sb->ops->sync ? sb->ops->sync(sb) : 0;
}

const struct lx_file_ops lx_regular_fops = {
	.read = lx_generic_read,
	.write = lx_generic_write,
	.mmap = lx_generic_mmap,
	.llseek = lx_generic_llseek,
	.fallocate = regular_fallocate,
	.fsync = regular_fsync,
};
