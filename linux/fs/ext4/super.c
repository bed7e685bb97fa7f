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

#include "base/format.h"
#include "block/block.h"
#include "fs/ext4/init.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/load.h"
#include "fs/ext4/options.h"

#define ERRORS_LOGGED 10u

bool e4_note_error(struct e4_super *s)
{
	return atomic_fetch_add(&s->errors, 1) < ERRORS_LOGGED;
}

/* -- operations on inodes */

static int getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	if (e4_inode(inode)->flags & E4_FL_NODUMP)
		st->attributes |= 0x40;	/* STATX_ATTR_NODUMP */
	return 0;
}

static int readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	struct e4_inode *e = e4_inode(inode);
	size_t n = MIN(size, (size_t)inode->size);
	struct e4_buf *b;
	int err;

	if (inode->size < E4_I_BLOCK) {
		memcpy(buf, e->block, n);
		return (int)strnlen(buf, n);
	}
	err = e4_read_block(inode, 0, &b);
	if (err)
		return err;
	memcpy(buf, b->data, n);
	e4_buf_put(b);
	return (int)strnlen(buf, n);
}

/*
 * A directory is found under one parent only, the one that its ".." names: whatever
 * a broken image says, the tree of names is a tree.
 */
static int check_parent(struct lx_inode *dir, struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(dir);
	uint32_t parent = 0;
	int err;

	if (!lx_is_dir(inode))
		return 0;
	if (inode == dir || inode->ino == E4_ROOT_INO)
		return e4_corrupt(s, "directory %llu is in itself", (unsigned long long)inode->ino);
	err = e4_dir_parent(inode, &parent);
	if (!err && parent != dir->ino)
		err = e4_corrupt(s, "directory %llu has a wrong \"..\"", (unsigned long long)inode->ino);
	return err;
}

static int lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct e4_name name = { d->name, d->name_len };
	struct lx_inode *inode;
	struct e4_found found;
	int err = e4_dir_find(dir, &name, false, &found);

	if (err == -ENOENT)
		return 0;		/* negative */
	if (!err)
		err = e4_iget(dir->sb, found.ino, false, &inode);
	if (err)
		return err;
	err = check_parent(dir, inode);
	if (err)
		lx_inode_put(inode);
	else
		lx_dentry_instantiate(d, inode);
	return err;
}

static lx_off_t dir_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	if (whence == 1)
		off += atomic_load(&f->pos);
	else if (whence != 0)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

#define XATTR_OPS .getxattr = e4_getxattr, .listxattr = e4_listxattr, .getattr = getattr

const struct lx_inode_ops e4_dir_iops = { .lookup = lookup, XATTR_OPS };
const struct lx_inode_ops e4_reg_iops = { .readpages = e4_readpages, XATTR_OPS };
const struct lx_inode_ops e4_link_iops = { .readlink = readlink, XATTR_OPS };
const struct lx_inode_ops e4_special_iops = { XATTR_OPS };

const struct lx_file_ops e4_dir_fops = { .iterate = e4_iterate, .llseek = dir_llseek };
const struct lx_file_ops e4_reg_fops = {
	.read = lx_generic_read,
	.mmap = lx_generic_mmap,
	.llseek = lx_generic_llseek,
};

/* -- super block operations */

static int statfs(struct lx_super *sb, void *out)
{
	struct e4_super *s = e4_super(sb);
	struct statfs *st = out;
	uint64_t blocks = 0, inodes = 0, id;

	for (uint32_t i = 0; i < s->group_count; i++) {
		blocks += e4_group_free_blocks(s, &s->groups[i]);
		inodes += e4_group_free_inodes(s, &s->groups[i]);
	}
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

static void put(struct lx_super *sb)
{
	struct e4_super *s = e4_super(sb);

	if (!s)
		return;
	e4_super_unload(s);
	lx_blkdev_release(s->dev);
	lx_blkdev_put(s->dev);
	rt_free(s);
}

static int remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	struct e4_options o = { 0 };
	int err = e4_options_parse(&o, options);

	if (err)
		return err;
	return flags & MS_RDONLY ? 0 : -EROFS;
}

static const struct lx_super_ops sops = {
	.evict = e4_evict,
	.statfs = statfs,
	.put = put,
	.remount = remount,
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
	if (s->ro_compat & ~E4_RO_KNOWN && !(flags & MS_RDONLY)) {
		rt_log(RT_LOG_ERR, "EXT4-fs (%s): couldn't mount RDWR because of unsupported optional "
		       "features (%x)", s->name, s->ro_compat & ~E4_RO_KNOWN);
		return -EROFS;
	}
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
	rt_mutex_init(&s->super_lock, LX_LOCK_EXT4_SUPER);
	rt_mutex_init(&s->xattr_lock, LX_LOCK_EXT4_XATTR);
	sb->private = s;
	sb->ops = &sops;
	sb->flags = flags | MS_RDONLY;
	sb->magic = E4_MAGIC;
	sb->dev = lx_blkdev_number(dev);
	lx_blkdev_name(sb->dev, s->name, sizeof(s->name));
	memmove(s->name, s->name + 5, sizeof(s->name) - 5);	/* without "/dev/" */
	err = flags & MS_RDONLY ? 0 : -EROFS;
	if (!err)
		err = load(s, &o, flags);
	if (!err)
		err = make_root(sb);
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
