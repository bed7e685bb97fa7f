/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2): a tmpfs file without a name, and seals.
 *
 * The file is an ordinary tmpfs file whose inode has operations of its own: they
 * look at inode->seals first.  Seals only grow.
 */

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>

#include "abi/calls.h"
#include "base/format.h"
#include "vfs/vfs_priv.h"
#include "lx/mm.h"
#include "lx/syscall.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	8u
#define MFD_EXEC	16u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC	0x20
#endif

#define NAME_PREFIX	"/memfd:"		/* shown as "/memfd:NAME (deleted)" */
#define NAME_LEN_MAX	249
#define SEALS_ALL	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | \
			 F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)
#define SEALS_WRITE	(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static struct rt_mutex ops_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static bool ops_ready;				/* ops_lock */
static const struct lx_inode_ops *tmpfs_iops;	/* ops_lock; constant once ops_ready */
static const struct lx_file_ops *tmpfs_fops;
static struct lx_inode_ops memfd_iops;
static struct lx_file_ops memfd_fops;

static unsigned int seals_of(struct lx_inode *inode)
{
	return atomic_load(&inode->seals);
}

static int64_t memfd_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	unsigned int seals = seals_of(f->inode);
	uint64_t size = atomic_load(&f->inode->size);
	uint64_t at = f->flags & O_APPEND ? size : (uint64_t)*pos;

	if (seals & SEALS_WRITE)
		return -EPERM;
	if (seals & F_SEAL_GROW && (at > size || from->count > size - at))
		return -EPERM;
	return tmpfs_fops->write(f, from, pos);
}

static int memfd_mmap(struct lx_file *f, struct lx_mmap *m)
{
	if (seals_of(f->inode) & SEALS_WRITE && (m->flags & MAP_TYPE) != MAP_PRIVATE) {
		if (m->prot & PROT_WRITE)
			return -EPERM;
		m->max_prot &= ~K_PROT_WRITE;
	}
	return tmpfs_fops->mmap(f, m);
}

static int memfd_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	unsigned int seals = seals_of(f->inode);

	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (seals & SEALS_WRITE)
			return -EPERM;
	} else if (seals & F_SEAL_GROW &&
		   (uint64_t)off + (uint64_t)len > atomic_load(&f->inode->size)) {
		return -EPERM;
	}
	return tmpfs_fops->fallocate ? tmpfs_fops->fallocate(f, mode, off, len) : -EOPNOTSUPP;
}

static int check_size(struct lx_inode *inode, uint64_t size)
{
	unsigned int seals = seals_of(inode);
	uint64_t now = atomic_load(&inode->size);

	if ((size < now && seals & F_SEAL_SHRINK) || (size > now && seals & F_SEAL_GROW))
		return -EPERM;
	return 0;
}

static int memfd_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	int err = a->valid & LX_ATTR_SIZE ? check_size(inode, a->size) : 0;

	return err ? err : tmpfs_iops->setattr(inode, a);
}

static int memfd_truncate(struct lx_inode *inode, uint64_t size)
{
	int err = check_size(inode, size);

	return err ? err : tmpfs_iops->truncate(inode, size);
}

/* Derive our operations from those of tmpfs, the first time. */
static void prepare_ops(struct lx_file *f)
{
	rt_mutex_lock(&ops_lock);
	if (!ops_ready) {
		tmpfs_iops = f->inode->ops;
		tmpfs_fops = f->inode->fops;
		memfd_iops = *tmpfs_iops;
		memfd_fops = *tmpfs_fops;
		if (tmpfs_iops->setattr)
			memfd_iops.setattr = memfd_setattr;
		if (tmpfs_iops->truncate)
			memfd_iops.truncate = memfd_truncate;
		memfd_fops.write = memfd_write;
		memfd_fops.mmap = memfd_mmap;
		memfd_fops.fallocate = memfd_fallocate;
		ops_ready = true;
	}
	rt_mutex_unlock(&ops_lock);
}

/* The name of the program: 0, -EINVAL (too long), -EFAULT. */
static int load_name(char name[sizeof(NAME_PREFIX) + NAME_LEN_MAX], uaddr_t uname)
{
	size_t done;
	long len;

	memcpy(name, NAME_PREFIX, sizeof(NAME_PREFIX));
	len = rt_strncpy_from_user(name + strlen(NAME_PREFIX), uname, NAME_LEN_MAX + 1, &done);
	if (len < 0) {
		/* A page that has to be supplied first: then once more. */
		if (lx_fault_in(lx_self(), uaddr_add(uname, done), 1, false))
			return -EFAULT;
		len = rt_strncpy_from_user(name + strlen(NAME_PREFIX), uname, NAME_LEN_MAX + 1,
					   &done);
	}
	if (len < 0)
		return -EFAULT;
	return len > NAME_LEN_MAX ? -EINVAL : 0;
}

long lx_sys_memfd_create(struct lx_task *self, uaddr_t uname, unsigned int flags)
{
	char name[sizeof(NAME_PREFIX) + NAME_LEN_MAX];
	unsigned int seals = F_SEAL_SEAL;
	struct lx_file *f;
	int err, fd;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC) ||
	    (flags & MFD_NOEXEC_SEAL && flags & MFD_EXEC))
		return -EINVAL;		/* huge pages among others */
	err = load_name(name, uname);
	if (err)
		return err;
	err = lx_tmpfs_anon_file(name, 0, O_RDWR, &f);
	if (err)
		return err;
	prepare_ops(f);
	if (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL))
		seals = 0;
	if (flags & MFD_NOEXEC_SEAL) {
		f->inode->mode &= ~(lx_mode_t)0111;
		seals |= F_SEAL_EXEC;
	}
	atomic_store(&f->inode->seals, seals);
	f->inode->ops = &memfd_iops;
	f->inode->fops = &memfd_fops;
	f->ops = &memfd_fops;
	fd = lx_fd_install(self, f, 0, flags & MFD_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

/* Is the file mapped?  (Linux asks whether a mapping can write; so we refuse a little more.) */
static bool is_mapped(struct lx_inode *inode)
{
	struct k_memory_info info;

	return inode->has_pages && k_memory_info(inode->pages.handle, &info) == K_OK &&
	       info.mappings;
}

static long add_seals(struct lx_file *f, unsigned int seals)
{
	struct lx_inode *inode = f->inode;
	long err = 0;

	if (!(f->mode & LX_FMODE_WRITE))
		return -EPERM;
	if (seals & ~(unsigned int)SEALS_ALL)
		return -EINVAL;
	rt_mutex_lock(&inode->lock);
	if (seals_of(inode) & F_SEAL_SEAL)
		err = -EPERM;
	else if (seals & F_SEAL_WRITE && !(seals_of(inode) & F_SEAL_WRITE) && is_mapped(inode))
		err = -EBUSY;
	else
		atomic_fetch_or(&inode->seals, seals);
	rt_mutex_unlock(&inode->lock);
	return err;
}

long lx_memfd_fcntl(struct lx_file *f, unsigned int cmd, unsigned long arg);
long lx_memfd_fcntl(struct lx_file *f, unsigned int cmd, unsigned long arg)
{
	if (f->inode->ops != &memfd_iops)
		return -EINVAL;
	if (cmd == F_GET_SEALS)
		return seals_of(f->inode);
	return arg > UINT32_MAX ? -EINVAL : add_seals(f, (unsigned int)arg);
}
