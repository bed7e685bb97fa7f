/* SPDX-License-Identifier: MIT */
/*
 * Mounting ext4.
 *
 * A journal that has something in it is replayed first, also when the mount is to
 * be read-only, as long as the device can be written (as Linux does): only then the
 * rest is read.
 */
#include <linux/fs.h>
#include <asm/statfs.h>

#include "abi/calls.h"
#include "base/format.h"
#include "block/block.h"
#include "fs/ext4/init.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/load.h"
#include "fs/ext4/options.h"
#include "fs/ext4/write.h"
#include "rt/random.h"

#define ERRORS_LOGGED 10u
#define COMMIT_SECONDS 5u

bool e4_note_error(struct e4_super *s)
{
	bool log = atomic_fetch_add(&s->errors, 1) < ERRORS_LOGGED;

	if (s->journal && s->errors_behaviour == E4_ERRORS_RO)
		e4_abort(s, -EUCLEAN);
	if (s->journal && s->errors_behaviour == E4_ERRORS_PANIC)
		rt_panic("EXT4-fs (device %s): panic forced after error", s->name);
	return log;
}

int e4_read_vital(struct e4_super *s, uint64_t block, struct e4_buf **out)
{
	int err = e4_buf_read(&s->cache, block, out);

	if (err == -EIO && e4_note_error(s))
		rt_log(RT_LOG_ERR, "EXT4-fs error (device %s): block %llu cannot be read", s->name,
		       (unsigned long long)block);
	return err;
}

/* -- writable or not */

/* Say on disk that the journal has to be looked at, or that it need not be. */
static int mark_in_use(struct e4_super *s, bool in_use)
{
	struct e4_disk_super *d = s->super;
	uint32_t now = (uint32_t)lx_now_coarse().sec;

	s->incompat = in_use ? s->incompat | E4_INCOMPAT_RECOVER : s->incompat & ~E4_INCOMPAT_RECOVER;
	put_le32(d->feature_incompat, s->incompat);
	put_le32(d->wtime, now);
	if (in_use) {
		put_le32(d->mtime, now);
		put_le16(d->mnt_count, (uint16_t)(get_le16(d->mnt_count) + 1));
	} else if (atomic_load(&s->errors)) {
		put_le16(d->state, (uint16_t)(get_le16(d->state) | E4_ERROR_FS));
	}
	return e4_super_write(s);
}

static int open_journal(struct e4_super *s)
{
	struct e4_journal *j;
	int err;

	if (s->journal) {
		atomic_store(&s->journal->closed, false);
		return 0;
	}
	if (!(s->compat & E4_COMPAT_HAS_JOURNAL) || !get_le32(s->super->journal_inum)) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): no journal of its own: read-only", s->name);
		return -EROFS;
	}
	err = e4_journal_load(s, &j);
	if (err)
		return err;
	if (j->start) {
		/* mounted with noload */
		err = -EROFS;
	} else {
		err = e4_journal_start(j);
	}
	if (err) {
		e4_journal_free(j);
		return err;
	}
	s->journal = j;
	return 0;
}

static int make_writable(struct e4_super *s)
{
	uint32_t generation;
	int err;

	if (lx_blkdev_is_read_only(s->dev))
		return -EACCES;
	if (s->ro_compat & ~E4_RO_KNOWN) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): couldn't mount RDWR because of unsupported optional "
		       "features (%x)", s->name, s->ro_compat & ~E4_RO_KNOWN);
		return -EROFS;
	}
	if (s->journal && atomic_load(&s->journal->aborted))
		return -EROFS;
	if (!s->spare)
		s->spare = rt_alloc(E4_SPARE);
	err = s->spare ? open_journal(s) : -ENOMEM;
	if (!err)
		err = mark_in_use(s, true);
	if (err)
		return err;
	atomic_store(&s->free_blocks, e4_count_free_blocks(s));
	atomic_store(&s->free_inodes, e4_count_free_inodes(s));
	rt_random(&generation, sizeof(generation));
	atomic_store(&s->next_generation, generation);
	err = e4_orphans_process(s);
	return err ? err : e4_flusher_start(s);
}

/* All of it on the disk, and the journal empty: -EIO... and it stays marked for recovery. */
static int make_read_only(struct e4_super *s)
{
	int err, e1;

	if (!s->journal)
		return 0;
	e4_flusher_stop(s);
	err = e4_sync(s->sb);
	atomic_store(&s->journal->closed, true);
	e1 = e4_journal_stop(s->journal);
	if (!e1)
		e1 = mark_in_use(s, false);
	return err ? err : e1;
}

/* -- super block operations */

static int statfs(struct lx_super *sb, void *out)
{
	struct e4_super *s = e4_super(sb);
	struct statfs *st = out;
	uint64_t blocks, inodes, id;

	blocks = e4_count_free_blocks(s);
	inodes = e4_count_free_inodes(s);
	blocks -= MIN(blocks, atomic_load(&s->reserved));
	st->f_type = E4_MAGIC;
	st->f_bsize = st->f_frsize = s->block_size;
	st->f_blocks = (long)(s->blocks - MIN(s->overhead, s->blocks));
	st->f_bfree = (long)blocks;
	st->f_bavail = (long)(blocks > s->reserved_blocks ? blocks - s->reserved_blocks : 0);
	st->f_files = s->inodes;
	st->f_ffree = (long)inodes;
	st->f_namelen = LX_NAME_MAX;
	id = get_le64(s->super->uuid) ^ get_le64(s->super->uuid + 8);
	st->f_fsid.val[0] = (int)id;
	st->f_fsid.val[1] = (int)(id >> 32);
	return 0;
}

/* The last mount went: dirty inodes hold references, which have to go before the inodes can. */
static void shutdown(struct lx_super *sb)
{
	struct e4_super *s = e4_super(sb);
	struct lx_inode *inode;

	e4_flusher_stop(s);
	(void)!e4_sync(sb);
	/* what could not be written is lost */
	while (s->journal && (inode = e4_dirty_next(s)))
		lx_inode_put(inode);
}

static void put(struct lx_super *sb)
{
	struct e4_super *s = e4_super(sb);
	bool closed;

	if (!s)
		return;
	closed = !s->journal || atomic_load(&s->journal->closed);
	if (!closed && make_read_only(s))
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): the journal is left for the next mount", s->name);
	e4_journal_free(s->journal);
	s->journal = NULL;
	e4_super_unload(s);
	lx_blkdev_release(s->dev);
	lx_blkdev_put(s->dev);
	rt_free(s->spare);
	rt_free(s);
}

static void apply(struct e4_super *s, const struct e4_options *o)
{
	if (o->errors_set)
		s->errors_behaviour = o->errors;
	if (o->commit_set)
		s->commit_seconds = o->commit;
	if (o->discard_set)
		atomic_store(&s->discards, o->discard);
	if (o->discard && !lx_blkdev_discard_granularity(s->dev))
		rt_log(RT_LOG_WARNING, "EXT4-fs (%s): mounting with \"discard\" option, but the device does not "
		       "support discard", s->name);
}

static int remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	struct e4_super *s = e4_super(sb);
	bool was = sb->flags & E4_RDONLY, want = flags & MS_RDONLY;
	struct e4_options o = { 0 };
	int err = e4_options_parse(&o, options);

	if (err)
		return err;
	apply(s, &o);
	if (was && !want) {
		err = make_writable(s);
	} else if (!was && want) {
		/* a removed file that somebody has open could not be deleted any more */
		e4_flusher_stop(s);
		if (e4_orphans_exist(s)) {
			err = e4_flusher_start(s);
			return err ? err : -EBUSY;
		}
		sb->flags |= E4_RDONLY;
		err = make_read_only(s);
	}
	return err;
}

static size_t show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct e4_super *s = e4_super(sb);
	size_t n = 0;

	if (s->errors_behaviour == E4_ERRORS_RO)
		n = (size_t)strlcpy(buf, ",errors=remount-ro", size);
	else if (s->errors_behaviour == E4_ERRORS_PANIC)
		n = (size_t)strlcpy(buf, ",errors=panic", size);
	if (s->commit_seconds != COMMIT_SECONDS)
		n += (size_t)scnprintf(buf + n, size - n, ",commit=%u", s->commit_seconds);
	if (atomic_load(&s->discards))
		n += (size_t)scnprintf(buf + n, size - n, ",discard");
	return n;
}

static const struct lx_super_ops sops = {
	.evict = e4_evict,
	.statfs = statfs,
	.sync = e4_sync,
	.shutdown = shutdown,
	.put = put,
	.remount = remount,
	.show_options = show_options,
	.trim = e4_trim,
};

/* -- mounting */

/* Replay the journal if there is something in it; then the file system is read anew. */
static int recover(struct e4_super *s, const struct e4_options *o, bool *again)
{
	struct e4_journal *j;
	int err;

	*again = false;
	if (!(s->compat & E4_COMPAT_HAS_JOURNAL) || !e4_has_incompat(s, E4_INCOMPAT_RECOVER) ||
	    o->noload)
		return 0;
	if (lx_blkdev_is_read_only(s->dev)) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): write access unavailable, cannot proceed "
		       "(try mounting with noload)", s->name);
		return -EROFS;
	}
	if (!get_le32(s->super->journal_inum)) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): its journal is on another device", s->name);
		return -EINVAL;
	}
	err = e4_journal_load(s, &j);
	if (err)
		return err;
	*again = j->start;
	err = e4_journal_recover(j);
	e4_journal_free(j);
	if (!err && !*again) {
		put_le32(s->super->feature_incompat, s->incompat & ~E4_INCOMPAT_RECOVER);
		err = e4_super_write(s);
	}
	return err;
}

static int load(struct e4_super *s, const struct e4_options *o, unsigned long flags)
{
	bool again = true;
	int err = 0;

	while (!err && again) {
		err = e4_super_load(s, flags & MS_SILENT);
		if (!err)
			err = recover(s, o, &again);
		if (!err && again)
			e4_super_unload(s);
	}
	if (err)
		return err;
	s->errors_behaviour = (uint8_t)get_le16(s->super->errors);
	apply(s, o);
	if (get_le16(s->super->state) & E4_ERROR_FS)
		rt_log(RT_LOG_WARNING, "EXT4-fs (%s): warning: mounting fs with errors, running e2fsck "
		       "is recommended", s->name);
	return 0;
}

static int make_root(struct lx_super *sb)
{
	struct lx_inode *root;
	int err = e4_iget(sb, E4_ROOT_INO, false, &root);

	if (err)
		return err;
	if (!lx_is_dir(root)) {
		lx_inode_put(root);
		return e4_corrupt(e4_super(sb), "the root is no directory");
	}
	sb->root = lx_dentry_alloc_root(sb, root);
	return sb->root ? 0 : -ENOMEM;
}

struct same_device {
	const struct lx_fs_type *type;
	lx_dev_t dev;
	struct lx_super *found;		/* a reference */
};

static void match_device(struct lx_super *sb, void *arg)
{
	struct same_device *m = arg;

	if (!m->found && sb->type == m->type && sb->dev == m->dev && sb->root)
		m->found = lx_super_get(sb);
}

/* The device is mounted already: the same super block, if it is to be so, too. */
static int mount_again(const struct lx_fs_type *type, struct lx_blkdev *dev, unsigned long flags,
		       struct lx_super **out)
{
	struct same_device m = { type, lx_blkdev_number(dev), NULL };

	lx_for_each_super(match_device, &m);
	lx_blkdev_put(dev);
	if (!m.found)
		return -EBUSY;
	if ((m.found->flags ^ flags) & MS_RDONLY) {
		lx_super_put(m.found);
		return -EBUSY;
	}
	*out = m.found;
	return 0;
}

static int mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		 const char *options, struct lx_super **out)
{
	struct e4_options o = { 0 };
	struct lx_blkdev *dev;
	struct e4_super *s;
	struct lx_super *sb;
	int err = e4_options_parse(&o, options);

	if (!err)
		err = lx_blkdev_open(source, &dev);
	if (err)
		return err;
	if (lx_blkdev_claim(dev))
		return mount_again(type, dev, flags, out);
	sb = lx_super_alloc(type);
	s = rt_zalloc(sizeof(*s));
	if (!sb || !s) {
		rt_free(s);
		if (sb)
			lx_super_put(sb);
		lx_blkdev_release(dev);
		lx_blkdev_put(dev);
		return -ENOMEM;
	}
	s->sb = sb;
	s->dev = dev;
	rt_mutex_init(&s->xattr_lock, LX_LOCK_EXT4_XATTR);
	rt_mutex_init(&s->orphan_lock, LX_LOCK_EXT4_ORPHAN);
	rt_mutex_init(&s->slot_lock, LX_LOCK_EXT4_SLOT);
	rt_mutex_init(&s->dirty_lock, LX_LOCK_EXT4_DIRTY);
	rt_mutex_init(&s->spare_lock, LX_LOCK_EXT4_SPARE);
	list_init(&s->dirty);
	list_init(&s->orphans);
	s->commit_seconds = COMMIT_SECONDS;
	sb->private = s;
	sb->ops = &sops;
	sb->flags = flags | MS_RDONLY;
	sb->magic = E4_MAGIC;
	sb->dev = lx_blkdev_number(dev);
	lx_blkdev_name(sb->dev, s->name, sizeof(s->name));
	memmove(s->name, s->name + 5, sizeof(s->name) - 5);	/* without "/dev/" */
	err = load(s, &o, flags);
	if (!err && !(flags & MS_RDONLY))
		err = make_writable(s);
	if (!err)
		err = make_root(sb);
	if (!err)
		sb->flags = flags;
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static struct lx_fs_type type = { .name = "ext4", .mount = mount };

void lx_ext4_init(void)
{
	lx_fs_register(&type);
}
