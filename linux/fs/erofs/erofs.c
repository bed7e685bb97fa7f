/* SPDX-License-Identifier: MIT */
/*
 * erofs: read-only images.
 *
 * Metadata (inodes, attributes, inline data) is read through the block device's
 * page cache; file data goes from the device straight into the file's own pages.
 * Directories are files whose blocks are parsed when they are searched: names are
 * sorted over all blocks, so a lookup looks at few of them, and only the first time
 * (the dentry cache answers after that).
 *
 * Every byte of the image is hostile.  Each structure is copied before it is
 * looked at, every offset is checked against the image's size, names against the
 * block they lie in.  What is wrong gives -EUCLEAN, as on Linux, and never more
 * than that file.
 *
 * Uncompressed layouts only (plain, and inline: the default of mkfs.erofs).
 * Compressed and chunked files can be listed but not opened: -EOPNOTSUPP.
 */
#include <linux/fs.h>
#include <asm/statfs.h>

#include "fs/erofs/erofs_priv.h"
#include "lx/acl.h"

static const struct lx_inode_ops dir_iops, reg_iops, link_iops, special_iops;
static const struct lx_file_ops dir_fops, reg_fops;

int erofs_read_meta(struct erofs_super *s, uint64_t off, void *buf, size_t n)
{
	if (!range_within(off, n, s->size))
		return -EUCLEAN;
	return lx_blkdev_read(s->dev, off, buf, n);
}

/* -- inodes */

/* What the inode at @off says; @inode and @info are filled in. */
static int decode_inode(struct erofs_super *s, uint64_t off, struct lx_inode *inode,
			struct erofs_inode *info)
{
	uint8_t raw[EROFS_EXTENDED_SIZE];
	uint16_t format, xattrs;
	uint32_t u;
	uint64_t size, tail;
	int err = erofs_read_meta(s, off, raw, EROFS_COMPACT_SIZE);

	if (err)
		return err;
	format = get_le16(raw + I_FORMAT);
	if (format >> 4)
		return -EOPNOTSUPP;
	*info = (struct erofs_inode){ .offset = off, .layout = format >> 1 & 7 };
	info->inode_size = format & 1 ? EROFS_EXTENDED_SIZE : EROFS_COMPACT_SIZE;
	if (format & 1) {
		err = erofs_read_meta(s, off, raw, EROFS_EXTENDED_SIZE);
		if (err)
			return err;
	}
	xattrs = get_le16(raw + I_XATTR_COUNT);
	info->xattr_size = xattrs ? EROFS_XATTR_HEADER + (xattrs - 1u) * 4 : 0;
	inode->mode = get_le16(raw + I_MODE);
	u = get_le32(raw + I_UNION);
	if (format & 1) {
		size = get_le64(raw + IE_SIZE);
		inode->uid = get_le32(raw + IE_UID);
		inode->gid = get_le32(raw + IE_GID);
		atomic_store(&inode->nlink, get_le32(raw + IE_NLINK));
		inode->mtime.sec = (int64_t)get_le64(raw + IE_MTIME);
		inode->mtime.nsec = get_le32(raw + IE_MTIME_NSEC) % 1000000000u;
	} else {
		size = get_le32(raw + IC_SIZE);
		inode->uid = get_le16(raw + IC_UID);
		inode->gid = get_le16(raw + IC_GID);
		atomic_store(&inode->nlink, get_le16(raw + IC_NLINK));
		inode->mtime = s->build_time;
	}
	inode->atime = inode->ctime = inode->btime = inode->mtime;
	if (size > INT64_MAX)
		return -EUCLEAN;
	atomic_store(&inode->size, size);

	switch (inode->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = lx_dev_decode(u);
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return -EUCLEAN;
	}

	inode->blocks = DIV_ROUND_UP(size, erofs_block_size(s)) << s->block_bits >> 9;
	info->data = (uint64_t)u << s->block_bits;
	info->in_blocks = size;
	if (info->layout == EROFS_INLINE) {
		tail = size & (erofs_block_size(s) - 1);
		/* an inline end lies in one block, behind the attributes */
		if (tail) {
			info->in_blocks = size - tail;
			info->inline_at = off + info->inode_size + info->xattr_size;
			if ((info->inline_at & (erofs_block_size(s) - 1)) + tail > erofs_block_size(s) ||
			    !range_within(info->inline_at, tail, s->size))
				return -EUCLEAN;
		}
	} else if (info->layout != EROFS_PLAIN) {
		/* its name may be listed; its contents cannot be had */
		return lx_is_reg(inode) ? 0 : -EOPNOTSUPP;
	}
	if (info->in_blocks && !range_within(info->data, info->in_blocks, s->size))
		return -EUCLEAN;
	if (lx_is_lnk(inode) && (!size || size >= LX_PATH_MAX))
		return -EUCLEAN;
	return 0;
}

int erofs_get_inode(struct lx_super *sb, uint64_t nid, struct lx_inode **out)
{
	struct erofs_super *s = erofs_super_of(sb);
	struct lx_inode *inode = lx_inode_find(sb, nid);
	struct erofs_inode *info;
	int err;

	if (inode) {
		*out = inode;
		return 0;
	}
	if (nid > (s->size - s->meta) / EROFS_SLOT)
		return -EUCLEAN;
	info = rt_zalloc(sizeof(*info));
	inode = info ? lx_inode_create(sb, 0) : NULL;
	if (!inode) {
		rt_free(info);
		return -ENOMEM;
	}
	inode->private = info;
	inode->ino = nid;
	err = decode_inode(s, s->meta + nid * EROFS_SLOT, inode, info);
	if (err) {
		inode->ops = &special_iops;
		lx_inode_put(inode);
		return err;
	}
	if (info->xattr_size) {
		atomic_store(&inode->acl, LX_ACL_ASK);
		atomic_store(&inode->default_acl, lx_is_dir(inode) ? LX_ACL_ASK : NULL);
	}
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		inode->ops = &reg_iops;
		inode->fops = &reg_fops;
		break;
	case S_IFDIR:
		inode->ops = &dir_iops;
		inode->fops = &dir_fops;
		break;
	case S_IFLNK:
		inode->ops = &link_iops;
		break;
	default:
		inode->ops = &special_iops;
		break;
	}
	*out = lx_inode_hash_unique(inode);
	return 0;
}

/* -- data */

/* Pages of the file: whole, zeros beyond its end. */
int erofs_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	struct erofs_super *s = erofs_super_of(inode->sb);
	struct erofs_inode *info = erofs_info_of(inode);
	uint64_t size = inode->size, got = 0;
	char *p = buf;

	if (info->layout != EROFS_PLAIN && info->layout != EROFS_INLINE)
		return -EOPNOTSUPP;
	if (off < info->in_blocks) {
		/* whole sectors: the rest of the last block is there, too */
		uint64_t want = MIN((uint64_t)n, info->in_blocks - off);
		uint64_t whole = MIN(ALIGN_UP(want, 512), (uint64_t)n);
		int err;

		if (!range_within(info->data + off, whole, ALIGN_UP(s->size, 512)))
			return -EIO;
		err = lx_blkdev_read_direct(s->dev, info->data + off, p, whole);
		if (err)
			return err;
		got = want;
	}
	if (got < n && off + got < size && info->inline_at) {
		uint64_t len = MIN(n - got, size - off - got);
		int err = erofs_read_meta(s, info->inline_at + (off + got - info->in_blocks), p + got, len);

		if (err)
			return err;
		got += len;
	}
	memset(p + got, 0, n - got);
	return 0;
}

static int erofs_open(struct lx_inode *inode, struct lx_file *f)
{
	struct erofs_inode *info = erofs_info_of(inode);

	return info->layout == EROFS_PLAIN || info->layout == EROFS_INLINE ? 0 : -EOPNOTSUPP;
}

static int erofs_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	size_t n = MIN(size, (size_t)inode->size);
	int64_t got = lx_pages_read_kernel(inode, buf, n, 0);

	if (got < 0)
		return (int)got;
	/* a text with a NUL in it ends there */
	return (int)strnlen(buf, (size_t)got);
}

static uint32_t read_ahead(const struct lx_inode *inode)
{
	return lx_blkdev_read_ahead(erofs_super_of(inode->sb)->dev);
}

#define XATTR_OPS .getxattr = erofs_getxattr, .listxattr = erofs_listxattr, .get_acl = erofs_get_acl

static const struct lx_inode_ops dir_iops = {
	.lookup = erofs_lookup, .readpages = erofs_readpages, XATTR_OPS,
};
static const struct lx_inode_ops reg_iops = {
	.readpages = erofs_readpages, .read_ahead = read_ahead, XATTR_OPS,
};
static const struct lx_inode_ops link_iops = {
	.readlink = erofs_readlink, .readpages = erofs_readpages, XATTR_OPS,
};
static const struct lx_inode_ops special_iops = { XATTR_OPS };

static const struct lx_file_ops dir_fops = {
	.iterate = erofs_iterate,
	.llseek = lx_dir_llseek,
};
static const struct lx_file_ops reg_fops = {
	.can_direct = true,
	.open = erofs_open,
	.read = lx_generic_read,
	.mmap = lx_generic_mmap,
	.llseek = lx_generic_llseek,
};

/* -- super blocks */

static void erofs_evict(struct lx_inode *inode)
{
	rt_free(inode->private);
}

static int erofs_statfs(struct lx_super *sb, void *out)
{
	struct erofs_super *s = erofs_super_of(sb);
	struct statfs *st = out;

	st->f_type = EROFS_MAGIC;
	st->f_bsize = st->f_frsize = (long)erofs_block_size(s);
	st->f_blocks = (long)(s->size >> s->block_bits);
	st->f_files = (long)s->inodes;
	st->f_namelen = LX_NAME_MAX;
	return 0;
}

static void erofs_put(struct lx_super *sb)
{
	struct erofs_super *s = erofs_super_of(sb);

	if (!s)
		return;
	lx_blkdev_put(s->dev);
	rt_free(s);
}

static int erofs_remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	return flags & 1 /* MS_RDONLY */ ? 0 : -EROFS;
}

static size_t erofs_show_options(struct lx_super *sb, char *buf, size_t size)
{
	return (size_t)strlcpy(buf, ",user_xattr", size);
}

static const struct lx_super_ops sops = {
	.evict = erofs_evict,
	.statfs = erofs_statfs,
	.put = erofs_put,
	.remount = erofs_remount,
	.show_options = erofs_show_options,
};

/* The super block of the image into @s; -EINVAL: no erofs image, or one with features that we lack. */
static int decode_super(struct erofs_super *s, uint64_t device_size, uint64_t *root)
{
	uint8_t raw[EROFS_SUPER_SIZE];
	uint32_t incompat;
	int err;

	if (device_size < EROFS_SUPER_OFFSET + EROFS_SUPER_SIZE)
		return -EINVAL;
	err = lx_blkdev_read(s->dev, EROFS_SUPER_OFFSET, raw, sizeof(raw));
	if (err)
		return err;
	if (get_le32(raw + SB_MAGIC) != EROFS_MAGIC)
		return -EINVAL;
	s->block_bits = raw[SB_BLOCK_BITS];
	if (s->block_bits < 9 || s->block_bits > 16) {
		rt_log(RT_LOG_ERR, "erofs: blkszbits %u isn't supported", s->block_bits);
		return -EINVAL;
	}
	incompat = get_le32(raw + SB_INCOMPAT);
	if (incompat & ~EROFS_INCOMPAT_KNOWN) {
		rt_log(RT_LOG_ERR, "erofs: unidentified incompatible feature %x, please upgrade",
		       incompat & ~EROFS_INCOMPAT_KNOWN);
		return -EINVAL;
	}
	s->size = (uint64_t)get_le32(raw + SB_BLOCKS) << s->block_bits;
	if (s->size > ALIGN_UP(device_size, 1ull << s->block_bits)) {
		rt_log(RT_LOG_ERR, "erofs: the image is larger than its device");
		return -EINVAL;
	}
	s->size = MIN(s->size, device_size);
	s->meta = (uint64_t)get_le32(raw + SB_META_BLOCK) << s->block_bits;
	s->xattrs = (uint64_t)get_le32(raw + SB_XATTR_BLOCK) << s->block_bits;
	if (s->meta >= s->size)
		return -EUCLEAN;
	s->inodes = get_le64(raw + SB_INODES);
	s->build_time.sec = (int64_t)get_le64(raw + SB_BUILD_TIME);
	s->build_time.nsec = get_le32(raw + SB_BUILD_NSEC) % 1000000000u;
	*root = get_le16(raw + SB_ROOT_NID);
	return 0;
}

static int erofs_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		       const char *options, struct lx_super **out)
{
	struct erofs_super *s;
	struct lx_super *sb;
	struct lx_inode *root;
	uint64_t nid;
	int err;

	sb = lx_super_alloc(type);
	s = rt_zalloc(sizeof(*s));
	if (!sb || !s) {
		err = -ENOMEM;
		goto fail;
	}
	err = lx_blkdev_open(source, &s->dev);
	if (err)
		goto fail;
	err = decode_super(s, lx_blkdev_size(s->dev), &nid);
	if (err) {
		lx_blkdev_put(s->dev);
		goto fail;
	}
	sb->private = s;
	sb->ops = &sops;
	sb->flags = flags | 1;		/* always read-only */
	sb->magic = EROFS_MAGIC;
	sb->dev = lx_blkdev_number(s->dev);
	sb->block_size = (uint32_t)erofs_block_size(s);
	err = erofs_get_inode(sb, nid, &root);
	if (err)
		goto put;
	if (!lx_is_dir(root)) {
		lx_inode_put(root);
		err = -EINVAL;
		goto put;
	}
	sb->root = lx_dentry_alloc_root(sb, root);
	if (!sb->root) {
		err = -ENOMEM;
		goto put;
	}
	*out = sb;
	return 0;
fail:
	rt_free(s);
put:
	if (sb)
		lx_super_put(sb);
	return err;
}

static struct lx_fs_type type = { .name = "erofs", .mount = erofs_mount };

void lx_erofs_init(void)
{
	lx_fs_register(&type);
}
