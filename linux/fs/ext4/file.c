/* SPDX-License-Identifier: MIT */
/*
 * Attributes and files, for the VFS.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"
#include "fs/ext4/namei.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"

/* -- attributes */

static int getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);

	if (e->flags & E4_FL_NODUMP)
		st->attributes |= 0x40;	/* STATX_ATTR_NODUMP */
	/* blocks that pages wait for count, too */
	st->blocks += READ_ONCE(e->reserved_pages) * (K_PAGE_SIZE / 512);
	st->blksize = s->block_size < K_PAGE_SIZE ? s->block_size : K_PAGE_SIZE;
	return 0;
}

static int setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_handle h;
	int err = 0;

	if (a->valid & LX_ATTR_SIZE) {
		if (!lx_is_reg(inode))
			return lx_is_dir(inode) ? -EISDIR : -EINVAL;
		err = e4_truncate(inode, a->size);
	}
	if (!err)
		err = e4_begin(s, 2, &h);
	if (err)
		return err;
	lx_setattr_copy(inode, a);
	return e4_end(&h, e4_store(&h, inode));
}

static int truncate(struct lx_inode *inode, uint64_t size)
{
	int err = e4_truncate(inode, size);

	if (!err) {
		lx_inode_touch(inode, LX_ATTR_MTIME | LX_ATTR_CTIME);
		e4_mark_dirty(inode);
	}
	return err;
}

/* -- flags */

static uint32_t get_flags(struct lx_inode *inode)
{
	uint32_t flags = e4_inode(inode)->flags & E4_FL_USER_VISIBLE;

	return lx_is_reg(inode) ? flags & ~E4_FL_PROJINHERIT : flags;
}

static int set_flags(struct lx_inode *inode, uint32_t flags)
{
	struct e4_inode *e = e4_inode(inode);
	struct e4_handle h;
	uint32_t changed;
	int err = 0;

	if (flags & ~E4_FL_USER_VISIBLE)
		return -EOPNOTSUPP;
	/* chattr(1) gives back what it was shown */
	flags &= E4_FL_USER_MODIFIABLE;
	changed = (flags ^ e->flags) & E4_FL_USER_MODIFIABLE;
	if (!lx_is_dir(inode) && (flags & E4_FL_DIR_ONLY))
		return -EOPNOTSUPP;
	if ((e->flags & flags & E4_FL_IMMUTABLE) && changed)
		return -EPERM;
	/* block maps, journaled data and case folding are not to be had */
	if (changed & (E4_FL_EXTENTS | E4_FL_JOURNAL_DATA | E4_FL_CASEFOLD))
		return -EOPNOTSUPP;
	if (lx_is_reg(inode) && (changed & flags & E4_FL_IMMUTABLE))
		err = e4_writeback(inode);
	if (!err)
		err = e4_begin(e4_super_of(inode), 2, &h);
	if (err)
		return err;
	e->flags ^= changed;
	lx_inode_apply_flags(inode, e->flags);
	lx_inode_touch(inode, LX_ATTR_CTIME);
	return e4_end(&h, e4_store(&h, inode));
}

/* -- symlinks */

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

/* -- looking up */

static int wrong_parent(struct lx_inode *inode)
{
	return e4_corrupt(e4_super_of(inode), "directory %llu has a wrong \"..\"", (unsigned long long)inode->ino);
}

/* Can the block with ".." not be read, for now?  Whoever only wants the inode need not know. */
static bool is_unreadable(struct lx_inode *dir)
{
	struct e4_map map;
	struct e4_buf *b;
	int err = e4_map(dir, 0, 1, &map);

	if (!err && map.block && !map.unwritten)
		err = e4_buf_read(&e4_super_of(dir)->cache, map.block, &b);
	else
		return false;
	if (!err)
		e4_buf_put(b);
	return err == -EIO;
}

/*
 * A directory is found under one parent only, the one that its ".." names: whatever
 * a broken image says, the tree of names is a tree.  One that cannot be read now is looked at
 * before anything is found in it.
 */
static int check_parent(struct lx_inode *dir, struct lx_inode *inode)
{
	struct e4_inode *e = e4_inode(inode);
	uint32_t parent = 0, none = 0, here = e4_inode(dir)->ino;
	int err;

	if (!lx_is_dir(inode))
		return 0;
	if (inode == dir || inode->ino == E4_ROOT_INO)
		return e4_corrupt(e4_super_of(dir), "directory %llu is in itself", (unsigned long long)inode->ino);
	if (is_unreadable(inode))
		return atomic_compare_exchange_strong(&e->presumed_parent, &none, here) || none == here
			       ? 0 : wrong_parent(inode);
	err = e4_dir_parent(inode, &parent);
	return !err && parent != here ? wrong_parent(inode) : err;
}

/* Is the directory where it was found while it could not be read? */
static int confirm_parent(struct lx_inode *dir)
{
	struct e4_inode *e = e4_inode(dir);
	uint32_t presumed = atomic_load(&e->presumed_parent), parent = 0;
	int err;

	if (!presumed)
		return 0;
	err = e4_dir_parent(dir, &parent);
	if (!err && parent != presumed)
		err = wrong_parent(dir);
	if (!err)
		atomic_store(&e->presumed_parent, 0);
	return err;
}

static int lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct e4_name name = { d->name, d->name_len };
	struct lx_inode *inode;
	struct e4_found found;
	int err = confirm_parent(dir);

	if (!err)
		err = e4_dir_find(dir, &name, false, &found);
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

/* -- data and holes */

/* Is there data at @lblock: mapped, or a page that waits for blocks?  *@n: for how many blocks. */
static int look(struct lx_inode *inode, uint32_t lblock, uint32_t max, bool *data, uint32_t *n)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	unsigned int shift = K_PAGE_SHIFT - s->block_bits;
	uint64_t page, next;
	struct e4_map map;
	int err = e4_map(inode, lblock, max, &map);

	if (err)
		return err;
	*n = map.len;
	*data = map.block && !map.unwritten;
	if (*data)
		return 0;
	page = lblock >> shift;
	rt_read_lock(&e->map_lock);
	next = e4_next_reserved(inode, page);
	rt_read_unlock(&e->map_lock);
	if (next == page) {
		*data = true;
		*n = MIN(*n, (uint32_t)(((page + 1) << shift) - lblock));
	} else if (next != UINT64_MAX && next << shift < lblock + (uint64_t)*n) {
		*n = (uint32_t)((next << shift) - lblock);
	}
	return 0;
}

static lx_off_t seek(struct lx_inode *inode, lx_off_t off, bool want_data)
{
	struct e4_super *s = e4_super_of(inode);
	uint64_t size = inode->size, at = (uint64_t)off;

	if (off < 0 || at >= size)
		return -ENXIO;
	while (at < size) {
		uint32_t lblock = (uint32_t)(at >> s->block_bits), n;
		bool data;
		int err = look(inode, lblock,
			       (uint32_t)(DIV_ROUND_UP(size, (uint64_t)s->block_size) - lblock), &data, &n);

		if (err)
			return err;
		if (data == want_data)
			return (lx_off_t)MAX(at, (uint64_t)off);
		at = ((uint64_t)lblock + n) << s->block_bits;
	}
	return want_data ? -ENXIO : (lx_off_t)size;
}

static lx_off_t llseek(struct lx_file *f, lx_off_t off, int whence)
{
	struct lx_inode *inode = f->inode;

	if (whence != 3 && whence != 4)
		return lx_generic_llseek(f, off, whence);
	rt_mutex_lock(&inode->lock);
	/* pages of unwritten blocks that are dirty look like holes until they are written */
	if (e4_super_of(inode)->journal)
		(void)!e4_writeback(inode);
	off = seek(inode, off, whence == 3);
	rt_mutex_unlock(&inode->lock);
	if (off >= 0)
		atomic_store(&f->pos, off);
	return off;
}

static int64_t read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return e4_is_direct(f) ? e4_direct_read(f, to, pos) : lx_generic_read(f, to, pos);
}

static int64_t write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	return e4_is_direct(f) ? e4_direct_write(f, from, pos) : lx_generic_write(f, from, pos);
}

static void accessed(struct lx_inode *inode)
{
	if (!(inode->sb->flags & E4_RDONLY))
		e4_mark_dirty(inode);
}

static uint32_t read_ahead(const struct lx_inode *inode)
{
	return lx_blkdev_read_ahead(e4_super(inode->sb)->dev);
}

#define COMMON .getattr = getattr, .setattr = setattr, .accessed = accessed, \
	.getxattr = e4_getxattr, .listxattr = e4_listxattr, .setxattr = e4_setxattr, \
	.removexattr = e4_removexattr
#define FLAGS .get_flags = get_flags, .set_flags = set_flags
#define LISTS .get_acl = e4_get_acl, .set_acl = e4_set_acl

const struct lx_inode_ops e4_dir_iops = {
	.lookup = lookup, .create = e4_create, .mkdir = e4_mkdir, .mknod = e4_mknod,
	.symlink = e4_symlink, .tmpfile = e4_tmpfile, .link = e4_link, .unlink = e4_unlink,
	.rmdir = e4_rmdir, .rename = e4_rename, COMMON, LISTS, FLAGS,
};
const struct lx_inode_ops e4_reg_iops = {
	.readpages = e4_readpages, .read_ahead = read_ahead, .prepare_write = e4_prepare_write, .write_back = true,
	.truncate = truncate, COMMON, LISTS, FLAGS,
};
const struct lx_inode_ops e4_link_iops = { .readlink = readlink, COMMON };
const struct lx_inode_ops e4_special_iops = { COMMON, LISTS };

static int dir_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	return e4_fsync_dir(f->inode, datasync);
}

const struct lx_file_ops e4_dir_fops = {
	.iterate = e4_iterate, .llseek = lx_dir_llseek, .fsync = dir_fsync,
};
const struct lx_file_ops e4_reg_fops = {
	.can_direct = true,
	.read = read,
	.write = write,
	.mmap = lx_generic_mmap,
	.llseek = llseek,
	.fallocate = e4_fallocate,
	.fsync = e4_fsync,
};
