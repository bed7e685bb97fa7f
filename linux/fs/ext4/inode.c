/* SPDX-License-Identifier: MIT */
/*
 * Inodes from the inode tables.
 */
#include "fs/ext4/extents.h"
#include "fs/ext4/journal.h"
#include "lx/acl.h"

/* Where the inode is in the table of its group, in bytes. */
static uint64_t offset_of(const struct e4_super *s, uint32_t ino)
{
	return (uint64_t)((ino - 1) % s->inodes_per_group) * s->inode_size;
}

static uint64_t block_of(const struct e4_super *s, uint32_t ino)
{
	return e4_group_inode_table(s, &s->groups[(ino - 1) / s->inodes_per_group]) +
	       offset_of(s, ino) / s->block_size;
}

int e4_inode_slot(struct e4_super *s, uint32_t ino, struct e4_buf **out, struct e4_disk_inode **di)
{
	int err = e4_read_vital(s, block_of(s, ino), out);

	if (!err)
		*di = (struct e4_disk_inode *)((*out)->data + offset_of(s, ino) % s->block_size);
	return err;
}

int e4_inode_slot_first(struct e4_super *s, uint32_t ino, struct e4_buf **out, struct e4_disk_inode **di)
{
	int err = e4_buf_unread(&s->cache, block_of(s, ino), out);

	if (!err)
		*di = (struct e4_disk_inode *)((*out)->data + offset_of(s, ino) % s->block_size);
	return err;
}

/* -- checksums */

static bool has_high_csum(const struct e4_super *s, const struct e4_disk_inode *di)
{
	return s->inode_size > E4_INODE_GOOD_OLD && E4_FITS(get_le16(di->extra_isize), checksum_hi);
}

static uint32_t checksum(const struct e4_super *s, uint32_t seed, const struct e4_disk_inode *di)
{
	static const uint8_t zeros[2];
	const uint8_t *p = (const uint8_t *)di;
	size_t lo = offsetof(struct e4_disk_inode, checksum_lo);
	size_t hi = offsetof(struct e4_disk_inode, checksum_hi);
	uint32_t c = crc32c(seed, p, lo);

	c = crc32c(c, zeros, 2);
	c = crc32c(c, p + lo + 2, E4_INODE_GOOD_OLD - lo - 2);
	if (s->inode_size <= E4_INODE_GOOD_OLD)
		return c;
	c = crc32c(c, p + E4_INODE_GOOD_OLD, hi - E4_INODE_GOOD_OLD);
	if (!has_high_csum(s, di))
		return crc32c(c, p + hi, s->inode_size - hi);
	c = crc32c(c, zeros, 2);
	return crc32c(c, p + hi + 2, s->inode_size - hi - 2);
}

void e4_inode_set_csum(struct e4_super *s, struct e4_inode *e, struct e4_disk_inode *di)
{
	uint32_t c;

	if (!s->csum)
		return;
	c = checksum(s, e->csum_seed, di);
	put_le16(di->checksum_lo, (uint16_t)c);
	if (has_high_csum(s, di))
		put_le16(di->checksum_hi, (uint16_t)(c >> 16));
}

static bool checksum_ok(const struct e4_super *s, uint32_t seed, const struct e4_disk_inode *di)
{
	uint32_t want = get_le16(di->checksum_lo), is = checksum(s, seed, di);

	if (has_high_csum(s, di))
		want |= (uint32_t)get_le16(di->checksum_hi) << 16;
	else
		is &= 0xffff;
	return want == is;
}

/* -- decoding */

/* Seconds have two more bits, nanoseconds thirty, in the extra field. */
static struct lx_time decode_time(const uint8_t *sec, const uint8_t *extra)
{
	int64_t t = (int32_t)get_le32(sec);
	uint32_t x = extra ? get_le32(extra) : 0, nsec = x >> 2;

	return (struct lx_time){ t + ((int64_t)(x & 3) << 32), nsec < 1000000000 ? nsec : 0 };
}

static const uint8_t *extra_if(const struct e4_inode *e, bool fits, const uint8_t *field)
{
	return e->extra_isize && fits ? field : NULL;
}

static void decode_times(struct lx_inode *inode, const struct e4_disk_inode *di)
{
	struct e4_inode *e = e4_inode(inode);
	uint32_t x = e->extra_isize;

	inode->ctime = decode_time(di->ctime, extra_if(e, E4_FITS(x, ctime_extra), di->ctime_extra));
	inode->mtime = decode_time(di->mtime, extra_if(e, E4_FITS(x, mtime_extra), di->mtime_extra));
	inode->atime = decode_time(di->atime, extra_if(e, E4_FITS(x, atime_extra), di->atime_extra));
	inode->btime = (struct lx_time){ 0 };
	if (x && E4_FITS(x, crtime))
		inode->btime = decode_time(di->crtime, extra_if(e, E4_FITS(x, crtime_extra),
								di->crtime_extra));
}

static uint64_t decode_blocks(const struct e4_super *s, const struct e4_disk_inode *di)
{
	uint64_t n = get_le32(di->blocks_lo);

	if (!e4_has_ro(s, E4_RO_HUGE_FILE))
		return n;
	n |= (uint64_t)get_le16(di->blocks_hi) << 32;
	return get_le32(di->flags) & E4_FL_HUGE_FILE ? n << (s->block_bits - 9) : n;
}

static lx_dev_t decode_dev(const uint8_t *block)
{
	uint32_t old = get_le32(block), new = get_le32(block + 4);

	if (old)
		return LX_MKDEV(old >> 8 & 0xff, old & 0xff);
	return lx_dev_decode(new);
}

void e4_set_ops(struct lx_inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		inode->ops = &e4_reg_iops;
		inode->fops = &e4_reg_fops;
		break;
	case S_IFDIR:
		inode->ops = &e4_dir_iops;
		inode->fops = &e4_dir_fops;
		break;
	case S_IFLNK:
		inode->ops = &e4_link_iops;
		break;
	default:
		inode->ops = &e4_special_iops;
		break;
	}
}

static int decode_type(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint64_t size = inode->size;

	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		break;
	case S_IFDIR:
		if (size % s->block_size || !size || size >> s->block_bits > E4_MAX_LBLOCK)
			return e4_corrupt(s, "directory %u has a size of %llu", e->ino,
					  (unsigned long long)size);
		break;
	case S_IFLNK:
		if (!size || size >= LX_PATH_MAX || size > s->block_size)
			return e4_corrupt(s, "symlink %u has a size of %llu", e->ino,
					  (unsigned long long)size);
		if (size < E4_I_BLOCK)
			return 0;	/* the target is where the tree would be */
		break;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = decode_dev(e->block);
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return e4_corrupt(s, "inode %u has mode %o", e->ino, inode->mode);
	}
	return e->flags & E4_FL_EXTENTS ? e4_ext_check_root(inode) : 0;
}

/* Are there attributes in the inode itself? */
static bool has_xattrs(const struct e4_super *s, const struct e4_inode *e, const struct e4_disk_inode *di)
{
	uint32_t at = E4_INODE_GOOD_OLD + e->extra_isize;

	return e->extra_isize && at + 8 <= s->inode_size &&
	       get_le32((const uint8_t *)di + at) == E4_XATTR_MAGIC;
}

static int decode(struct lx_inode *inode, const struct e4_disk_inode *di, bool special)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint64_t size;

	e->generation = get_le32(di->generation);
	if (s->inode_size > E4_INODE_GOOD_OLD) {
		e->extra_isize = get_le16(di->extra_isize);
		if (e->extra_isize % 4 || E4_INODE_GOOD_OLD + e->extra_isize > s->inode_size)
			return e4_corrupt(s, "inode %u has an extra size of %u", e->ino, e->extra_isize);
	}
	if (s->csum) {
		e->csum_seed = e4_csum_u32(e4_csum_u32(s->csum_seed, e->ino), e->generation);
		if (!checksum_ok(s, e->csum_seed, di)) {
			e4_corrupt(s, "checksum of inode %u is wrong", e->ino);
			return -EBADMSG;
		}
	}
	e->flags = get_le32(di->flags);
	inode->mode = get_le16(di->mode);
	inode->uid = get_le16(di->uid) | (uint32_t)get_le16(di->uid_hi) << 16;
	inode->gid = get_le16(di->gid) | (uint32_t)get_le16(di->gid_hi) << 16;
	atomic_store(&inode->nlink, get_le16(di->links));
	if (!get_le16(di->links) && !special)
		return -ESTALE;
	size = get_le32(di->size_lo) | (uint64_t)get_le32(di->size_hi) << 32;
	if (size > (uint64_t)inode->sb->max_bytes)
		return e4_corrupt(s, "inode %u has a size of %llu", e->ino, (unsigned long long)size);
	atomic_store(&inode->size, size);
	e->disk_size = size;
	inode->blocks = decode_blocks(s, di);
	e->file_acl = get_le32(di->file_acl_lo);
	if (e4_has_incompat(s, E4_INCOMPAT_64BIT))
		e->file_acl |= (uint64_t)get_le16(di->file_acl_hi) << 32;
	if (e->file_acl && !e4_blocks_valid(s, e->file_acl, 1))
		return e4_corrupt(s, "attributes of inode %u lie out of the file system", e->ino);
	if (e->extra_isize && E4_FITS(e->extra_isize, projid))
		e->projid = get_le32(di->projid);
	if (e->file_acl || has_xattrs(s, e, di)) {
		atomic_store(&inode->acl, LX_ACL_ASK);
		atomic_store(&inode->default_acl, lx_is_dir(inode) ? LX_ACL_ASK : NULL);
	}
	memcpy(e->block, di->block, sizeof(e->block));
	decode_times(inode, di);
	lx_inode_apply_flags(inode, e->flags);	/* the bits are the same */
	if (e->flags & (E4_FL_INLINE_DATA | E4_FL_ENCRYPT | E4_FL_CASEFOLD | E4_FL_EA_INODE))
		return e4_corrupt(s, "inode %u has features that the file system lacks", e->ino);
	return decode_type(inode);
}

int e4_inode_alloc(struct lx_super *sb, uint32_t ino, struct lx_inode **out)
{
	struct e4_inode *e = rt_zalloc(sizeof(*e));
	struct lx_inode *inode = e ? lx_inode_create(sb, 0) : NULL;

	if (!inode) {
		rt_free(e);
		return -ENOMEM;
	}
	rt_rwlock_init(&e->map_lock, LX_LOCK_EXT4_MAP);
	rt_rwlock_init(&e->direct_lock, LX_LOCK_EXT4_DIRECT);
	rt_mutex_init(&e->wb_lock, LX_LOCK_EXT4_WRITEBACK);
	list_init(&e->dirty_link);
	list_init(&e->orphan_link);
	e->vfs = inode;
	e->ino = ino;
	inode->ino = ino;
	inode->private = e;
	inode->ops = &e4_special_iops;
	*out = inode;
	return 0;
}

int e4_iget(struct lx_super *sb, uint32_t ino, bool special, struct lx_inode **out)
{
	struct e4_super *s = e4_super(sb);
	struct e4_disk_inode *di;
	struct lx_inode *inode;
	struct e4_buf *b;
	int err;

	if (!ino || ino > s->inodes || (!special && ino < s->first_ino && ino != E4_ROOT_INO))
		return e4_corrupt(s, "inode number %u", ino);
	inode = lx_inode_find(sb, ino);
	if (inode) {
		*out = inode;
		return 0;
	}
	err = e4_inode_slot(s, ino, &b, &di);
	if (err)
		return err;
	err = e4_inode_alloc(sb, ino, &inode);
	if (err) {
		e4_buf_put(b);
		return err;
	}
	err = decode(inode, di, special);
	e4_buf_put(b);
	if (err) {
		/* not one to be deleted from the disk */
		atomic_store(&inode->nlink, 1);
		lx_inode_put(inode);
		return err;
	}
	e4_set_ops(inode);
	/* it may have been in memory before, and have changes that are not committed */
	if (s->journal) {
		uint32_t tid = e4_newest_tid(s->journal);

		atomic_store(&e4_inode(inode)->sync_tid, tid);
		atomic_store(&e4_inode(inode)->datasync_tid, tid);
	}
	*out = lx_inode_hash_unique(inode);
	return 0;
}
