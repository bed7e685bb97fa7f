/* SPDX-License-Identifier: MIT */
/*
 * Binding a loop device to a file, and what programs ask and tell it afterwards.
 */
#include <linux/capability.h>

#include "block/loop.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define SECTOR		512u
#define GRANULARITY	4096u
#define DISCARD_MAX	(UINT32_MAX / SECTOR * SECTOR)

static bool is_block(const struct lx_file *f)
{
	return (f->inode->mode & S_IFMT) == S_IFBLK;
}

static uint64_t file_size(const struct lx_file *f)
{
	struct lx_kstat st = { 0 };

	if (is_block(f))
		return lx_blkdev_size(f->private);
	lx_getattr(&f->path, &st);
	return st.size;
}

static uint64_t sectors_of(const struct lx_file *f, uint64_t offset, uint64_t limit)
{
	uint64_t size = file_size(f);

	if (size <= offset)
		return 0;
	size -= offset;
	return (limit ? MIN(size, limit) : size) / SECTOR;
}

/* -- binding: the disk's lock is held */

/* May @f be what is behind @d?  A loop that is not bound may not: so there are no circles. */
static int check_file(const struct lx_disk *d, const struct lx_file *f)
{
	const struct lx_blkdev *b;

	if (!is_block(f))
		return lx_is_reg(f->inode) ? 0 : -EINVAL;
	b = f->private;
	if (b->disk == d)
		return -EBADF;
	return b->disk->ops == &loop_ops && !lx_blkdev_size(b->disk->part[0]) ? -EINVAL : 0;
}

static int check_info(const struct loop_info64 *info)
{
	if (info->lo_encrypt_key_size || info->lo_encrypt_type)
		return -EINVAL;
	return info->lo_offset > INT64_MAX || info->lo_sizelimit > INT64_MAX ? -EOVERFLOW : 0;
}

static void take_info(struct loop *l, const struct loop_info64 *info)
{
	l->info = *info;
	l->info.lo_file_name[LO_NAME_SIZE - 1] = 0;
	l->info.lo_crypt_name[LO_NAME_SIZE - 1] = 0;
	l->limit = info->lo_sizelimit;
}

/* Partitions, if they were asked for. */
static void scan(struct loop *l)
{
	l->disk->no_scan = !(l->flags & LO_FLAGS_PARTSCAN);
	if (!l->disk->no_scan)
		(void)lx_disk_scan(l->disk);
}

static void set_limits(struct loop *l, uint32_t block)
{
	struct lx_disk_limits *limits = &l->disk->limits;
	bool punch = l->file->ops->fallocate && !(l->flags & LO_FLAGS_READ_ONLY);

	limits->logical_block = limits->physical_block = limits->io_min = block;
	limits->discard_max = punch ? DISCARD_MAX : 0;
	limits->discard_granularity = punch ? GRANULARITY : 0;
	limits->volatile_cache = l->file->ops->fsync;
}

/* The reference to @file moves in on success. */
static int bind(struct loop *l, struct lx_file *opener, struct lx_file *file, uint32_t block,
		uint32_t flags, const struct loop_info64 *info)
{
	struct lx_disk *d = l->disk;
	int err = l->file ? -EBUSY : check_file(d, file);

	if (!err)
		err = loop_start(l, file, info->lo_offset);
	if (err)
		return err;
	if (!(file->mode & LX_FMODE_WRITE) || !(opener->mode & LX_FMODE_WRITE) || !file->ops->write)
		flags |= LO_FLAGS_READ_ONLY;
	l->file = file;
	l->flags = flags;
	take_info(l, info);
	set_limits(l, block);
	atomic_store(&d->write_protected, flags & LO_FLAGS_READ_ONLY);
	lx_disk_new_medium(d);
	lx_disk_set_size(d, sectors_of(file, info->lo_offset, l->limit));
	/* without memory for it there is less to see */
	(void)loop_sysfs_add(l);
	scan(l);
	return 0;
}

static long configure(struct loop *l, struct lx_file *opener, uint32_t fd, uint32_t block,
		      const struct loop_info64 *info)
{
	struct lx_file *file = lx_fd_get(lx_self(), (int)fd);
	long err = 0;

	if (!file)
		return -EBADF;
	if (info->lo_flags & ~(uint32_t)LOOP_CONFIGURE_SETTABLE_FLAGS)
		err = -EINVAL;
	if (block && (!IS_POWER_OF_2(block) || block < SECTOR || block > K_PAGE_SIZE))
		err = -EINVAL;
	if (!err)
		err = check_info(info);
	if (!err) {
		rt_mutex_lock(&l->disk->lock);
		err = bind(l, opener, file, block ? block : SECTOR, info->lo_flags, info);
		rt_mutex_unlock(&l->disk->lock);
	}
	if (err)
		lx_file_put(file);
	return err;
}

/* -- unbinding */

bool loop_is_bound(struct loop *l)
{
	bool bound;

	rt_mutex_lock(&l->disk->lock);
	bound = l->file;
	rt_mutex_unlock(&l->disk->lock);
	return bound;
}

/*
 * The last opener is gone.  One that comes from now on waits for nothing: it finds the
 * device bound, and this leaves it alone, or of size 0.
 */
void loop_idle(struct lx_disk *d)
{
	struct loop *l = loop_of(d);
	struct lx_file *file = NULL;

	rt_mutex_lock(&d->lock);
	if (l->file && (l->flags & LO_FLAGS_AUTOCLEAR) && !lx_disk_openers(d) &&
	    !lx_partitions_drop(d, false)) {
		lx_disk_set_size(d, 0);
		loop_stop(l);
		loop_sysfs_remove(l);
		file = l->file;
		l->file = NULL;
		l->flags = 0;
		memset(&l->info, 0, sizeof(l->info));
		l->limit = 0;
		d->no_scan = true;
		atomic_store(&d->write_protected, false);
		atomic_store(&d->part[0]->read_only, false);
	}
	rt_mutex_unlock(&d->lock);
	if (file)
		lx_file_put(file);
}

/* -- status: the disk's lock is held, the device is bound */

static void get_status(struct loop *l, struct loop_info64 *info)
{
	struct lx_kstat st = { 0 };
	uint64_t offset;

	lx_getattr(&l->file->path, &st);
	rt_mutex_lock(&l->queue_lock);
	offset = l->offset;
	rt_mutex_unlock(&l->queue_lock);
	*info = (struct loop_info64){
		.lo_number = l->number, .lo_device = lx_dev_encode(st.dev), .lo_inode = st.ino,
		.lo_rdevice = is_block(l->file) ? lx_dev_encode(st.rdev) : 0, .lo_offset = offset,
		.lo_sizelimit = l->limit, .lo_flags = l->flags,
	};
	memcpy(info->lo_file_name, l->info.lo_file_name, LO_NAME_SIZE);
	memcpy(info->lo_crypt_name, l->info.lo_crypt_name, LO_NAME_SIZE);
}

static long set_status(struct loop *l, const struct loop_info64 *info)
{
	uint32_t flags = l->flags;
	bool scanned = flags & LO_FLAGS_PARTSCAN;
	long err = check_info(info);

	if (err)
		return err;
	/* PARTSCAN can be set, AUTOCLEAR set and cleared */
	flags &= ~(uint32_t)LOOP_SET_STATUS_CLEARABLE_FLAGS;
	flags |= info->lo_flags & LOOP_SET_STATUS_SETTABLE_FLAGS;
	if (info->lo_offset != l->info.lo_offset || info->lo_sizelimit != l->limit) {
		loop_move(l, info->lo_offset);
		lx_disk_set_size(l->disk, sectors_of(l->file, info->lo_offset, info->lo_sizelimit));
	}
	take_info(l, info);
	l->flags = flags;
	if (!scanned && (flags & LO_FLAGS_PARTSCAN))
		scan(l);
	return 0;
}

/* The old form, with 32 bits. */
static void from_old(struct loop_info64 *info, const struct loop_info *old)
{
	*info = (struct loop_info64){
		.lo_offset = (uint64_t)(int64_t)old->lo_offset,
		.lo_encrypt_type = (uint32_t)old->lo_encrypt_type,
		.lo_encrypt_key_size = (uint32_t)old->lo_encrypt_key_size,
		.lo_flags = (uint32_t)old->lo_flags,
	};
	memcpy(info->lo_file_name, old->lo_name, LO_NAME_SIZE);
}

static int to_old(struct loop_info *old, const struct loop_info64 *info)
{
	*old = (struct loop_info){
		.lo_number = (int)info->lo_number, .lo_device = (__kernel_old_dev_t)info->lo_device,
		.lo_inode = info->lo_inode, .lo_rdevice = (__kernel_old_dev_t)info->lo_rdevice,
		.lo_offset = (int)info->lo_offset, .lo_flags = (int)info->lo_flags,
	};
	memcpy(old->lo_name, info->lo_file_name, LO_NAME_SIZE);
	return old->lo_device == info->lo_device && old->lo_rdevice == info->lo_rdevice &&
	       (uint64_t)old->lo_offset == info->lo_offset ? 0 : -EOVERFLOW;
}

/* -- calls */

static bool may_change(const struct lx_file *f)
{
	return (f->mode & LX_FMODE_WRITE) || lx_capable(lx_self(), CAP_SYS_ADMIN);
}

static long set_status_call(struct loop *l, struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct loop_info64 info;
	struct loop_info old;
	long err;

	if (!may_change(f))
		return -EPERM;
	if (cmd == LOOP_SET_STATUS64 ? lx_copy_from_user(&info, uaddr(arg), sizeof(info))
				     : lx_copy_from_user(&old, uaddr(arg), sizeof(old)))
		return -EFAULT;
	if (cmd == LOOP_SET_STATUS)
		from_old(&info, &old);
	rt_mutex_lock(&l->disk->lock);
	err = l->file ? set_status(l, &info) : -ENXIO;
	rt_mutex_unlock(&l->disk->lock);
	return err;
}

static long get_status_call(struct loop *l, unsigned int cmd, uint64_t arg)
{
	struct loop_info64 info;
	struct loop_info old;
	bool bound;
	int err;

	if (!arg)
		return -EINVAL;
	rt_mutex_lock(&l->disk->lock);
	bound = l->file;
	if (bound)
		get_status(l, &info);
	rt_mutex_unlock(&l->disk->lock);
	if (!bound)
		return -ENXIO;
	if (cmd == LOOP_GET_STATUS64)
		return lx_copy_to_user(uaddr(arg), &info, sizeof(info));
	err = to_old(&old, &info);
	return err ? err : lx_copy_to_user(uaddr(arg), &old, sizeof(old));
}

static long clear(struct loop *l)
{
	long err = -ENXIO;

	rt_mutex_lock(&l->disk->lock);
	if (l->file) {
		l->flags |= LO_FLAGS_AUTOCLEAR;
		err = 0;
	}
	rt_mutex_unlock(&l->disk->lock);
	return err;
}

static long set_capacity(struct loop *l)
{
	long err = -ENXIO;

	rt_mutex_lock(&l->disk->lock);
	if (l->file) {
		lx_disk_set_size(l->disk, sectors_of(l->file, l->info.lo_offset, l->limit));
		err = 0;
	}
	rt_mutex_unlock(&l->disk->lock);
	return err;
}

static long set_block_size(struct loop *l, uint64_t arg)
{
	long err = 0;

	if (!IS_POWER_OF_2(arg) || arg < SECTOR || arg > K_PAGE_SIZE)
		return -EINVAL;
	rt_mutex_lock(&l->disk->lock);
	if (!l->file)
		err = -ENXIO;
	else if (lx_disk_openers(l->disk) > 1)
		err = -EBUSY;		/* whoever has it open counts in its blocks */
	else
		set_limits(l, (uint32_t)arg);
	rt_mutex_unlock(&l->disk->lock);
	return err;
}

static long configure_call(struct loop *l, struct lx_file *f, uint64_t arg)
{
	struct loop_config config;

	if (lx_copy_from_user(&config, uaddr(arg), sizeof(config)))
		return -EFAULT;
	return configure(l, f, config.fd, config.block_size, &config.info);
}

long loop_ioctl(struct lx_disk *d, struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	static const struct loop_info64 plain;
	struct loop *l = loop_of(d);

	switch (cmd) {
	case LOOP_SET_FD:
		return configure(l, f, (uint32_t)arg, 0, &plain);
	case LOOP_CONFIGURE:
		return configure_call(l, f, arg);
	case LOOP_CLR_FD:
		return clear(l);
	case LOOP_SET_STATUS:
	case LOOP_SET_STATUS64:
		return set_status_call(l, f, cmd, arg);
	case LOOP_GET_STATUS:
	case LOOP_GET_STATUS64:
		return get_status_call(l, cmd, arg);
	case LOOP_SET_CAPACITY:
		return may_change(f) ? set_capacity(l) : -EPERM;
	case LOOP_SET_BLOCK_SIZE:
		return may_change(f) ? set_block_size(l, arg) : -EPERM;
	case LOOP_SET_DIRECT_IO:
		/* the file's page cache is in between always */
		return !may_change(f) ? -EPERM : !loop_is_bound(l) ? -ENXIO : arg ? -EINVAL : 0;
	case LOOP_CHANGE_FD:
		return loop_is_bound(l) ? -EINVAL : -ENXIO;
	default:
		return (cmd & ~0xffu) == 0x4c00 ? -EINVAL : -ENOTTY;
	}
}
