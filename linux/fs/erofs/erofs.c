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
#include <linux/xattr.h>
#include <asm/statfs.h>

#include "base/byteorder.h"
#include "block/block.h"
#include "fs/erofs/disk.h"
#include "fs/erofs/erofs.h"
#include "lx/acl.h"
#include "vfs/vfs_priv.h"

#define MAX_DIR_BLOCK	65536u

struct erofs_super {
	struct lx_blkdev *dev;
	unsigned int block_bits;
	uint64_t size;			/* of the image, by its super block, and not more than the device */
	uint64_t meta, xattrs;		/* byte offsets of the areas */
	uint64_t inodes;
	struct lx_time build_time;
};

struct erofs_inode {
	uint64_t offset;		/* in the image */
	uint32_t inode_size, xattr_size;
	enum erofs_layout layout;
	uint64_t data;			/* byte offset of the blocks */
	uint64_t inline_at;		/* byte offset of the inline end, or 0 */
	uint64_t in_blocks;		/* bytes of the file that lie in blocks */
};

static const struct lx_inode_ops dir_iops, reg_iops, link_iops, special_iops;
static const struct lx_file_ops dir_fops, reg_fops;

static struct erofs_super *super_of(const struct lx_super *sb)
{
	return sb->private;
}

static struct erofs_inode *info_of(const struct lx_inode *inode)
{
	return inode->private;
}

static uint64_t block_size(const struct erofs_super *s)
{
	return 1ull << s->block_bits;
}

static int read_meta(struct erofs_super *s, uint64_t off, void *buf, size_t n)
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
	int err = read_meta(s, off, raw, EROFS_COMPACT_SIZE);

	if (err)
		return err;
	format = get_le16(raw + I_FORMAT);
	if (format >> 4)
		return -EOPNOTSUPP;
	*info = (struct erofs_inode){ .offset = off, .layout = format >> 1 & 7 };
	info->inode_size = format & 1 ? EROFS_EXTENDED_SIZE : EROFS_COMPACT_SIZE;
	if (format & 1) {
		err = read_meta(s, off, raw, EROFS_EXTENDED_SIZE);
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

	inode->blocks = DIV_ROUND_UP(size, block_size(s)) << s->block_bits >> 9;
	info->data = (uint64_t)u << s->block_bits;
	info->in_blocks = size;
	if (info->layout == EROFS_INLINE) {
		tail = size & (block_size(s) - 1);
		/* an inline end lies in one block, behind the attributes */
		if (tail) {
			info->in_blocks = size - tail;
			info->inline_at = off + info->inode_size + info->xattr_size;
			if ((info->inline_at & (block_size(s) - 1)) + tail > block_size(s) ||
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

static int get_inode(struct lx_super *sb, uint64_t nid, struct lx_inode **out)
{
	struct erofs_super *s = super_of(sb);
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
static int erofs_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	struct erofs_super *s = super_of(inode->sb);
	struct erofs_inode *info = info_of(inode);
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
		int err = read_meta(s, info->inline_at + (off + got - info->in_blocks), p + got, len);

		if (err)
			return err;
		got += len;
	}
	memset(p + got, 0, n - got);
	return 0;
}

static int erofs_open(struct lx_inode *inode, struct lx_file *f)
{
	struct erofs_inode *info = info_of(inode);

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

/* -- directories */

/* One directory block, parsed: a private copy. */
struct dir_block {
	uint8_t *buf;
	uint32_t size;			/* bytes of it that belong to the directory */
	uint32_t nr;			/* entries */
};

static int read_dir_block(struct lx_inode *dir, uint64_t index, struct dir_block *b)
{
	struct erofs_super *s = super_of(dir->sb);
	uint64_t off = index << s->block_bits;
	int64_t got;
	uint32_t first;

	b->size = (uint32_t)MIN(block_size(s), dir->size - off);
	got = lx_pages_read_kernel(dir, b->buf, b->size, off);
	if (got != (int64_t)b->size)
		return got < 0 ? (int)got : -EIO;
	if (b->size < EROFS_DIRENT)
		return -EUCLEAN;
	first = get_le16(b->buf + D_NAME);
	if (first % EROFS_DIRENT || first < EROFS_DIRENT || first >= b->size)
		return -EUCLEAN;
	b->nr = first / EROFS_DIRENT;
	return 0;
}

struct dir_entry {
	uint64_t nid;
	const char *name;		/* in the block */
	uint32_t len;
	unsigned int type;
};

static int dir_entry(const struct dir_block *b, uint32_t i, struct dir_entry *e)
{
	const uint8_t *d = b->buf + i * EROFS_DIRENT;
	uint32_t at = get_le16(d + D_NAME), end = b->size;

	if (i + 1 < b->nr)
		end = get_le16(d + EROFS_DIRENT + D_NAME);
	if (at < b->nr * EROFS_DIRENT || end > b->size || at >= end)
		return -EUCLEAN;
	e->nid = get_le64(d + D_NID);
	e->name = (const char *)b->buf + at;
	/* the last name may be followed by zeros */
	e->len = (uint32_t)(i + 1 < b->nr ? end - at : strnlen(e->name, end - at));
	e->type = d[D_TYPE];
	if (!e->len || e->len > LX_NAME_MAX || memchr(e->name, '/', e->len) ||
	    memchr(e->name, '\0', e->len))
		return -EUCLEAN;
	return 0;
}

/* As the image is sorted: by bytes, a prefix first. */
static int compare(const char *a, uint32_t alen, const char *b, uint32_t blen)
{
	int c = memcmp(a, b, MIN(alen, blen));

	return c ? c : alen < blen ? -1 : alen > blen;
}

/* The entry of that name in the block, by bisection: 0, -ENOENT, or what is wrong. */
static int search_block(const struct dir_block *b, const struct lx_dentry *d, struct dir_entry *e)
{
	uint32_t lo = 0, hi = b->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int err = dir_entry(b, mid, e), c;

		if (err)
			return err;
		c = compare(d->name, d->name_len, e->name, e->len);
		if (!c)
			return 0;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -ENOENT;
}

static int find_entry(struct lx_inode *dir, const struct lx_dentry *d, uint64_t *nid)
{
	struct erofs_super *s = super_of(dir->sb);
	uint64_t lo = 0, hi = DIV_ROUND_UP(dir->size, block_size(s));
	struct dir_block b = { .buf = rt_alloc(block_size(s)) };
	struct dir_entry e;
	int err = b.buf ? -ENOENT : -ENOMEM;

	/* the last block whose first name is not after ours */
	while (err == -ENOENT && lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		int c;

		err = read_dir_block(dir, mid, &b);
		if (!err)
			err = dir_entry(&b, 0, &e);
		if (err)
			break;
		c = compare(d->name, d->name_len, e.name, e.len);
		if (!c)
			break;
		err = -ENOENT;
		if (c < 0) {
			hi = mid;
			continue;
		}
		err = search_block(&b, d, &e);
		if (err != -ENOENT)
			break;
		lo = mid + 1;
	}
	if (!err)
		*nid = e.nid;
	rt_free(b.buf);
	return err;
}

static int erofs_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode;
	uint64_t nid;
	int err = find_entry(dir, d, &nid);

	if (err == -ENOENT)
		return 0;		/* negative */
	if (!err)
		err = get_inode(dir->sb, nid, &inode);
	if (!err && lx_is_dir(inode) && inode == dir) {
		lx_inode_put(inode);
		err = -EUCLEAN;		/* a directory in itself */
	}
	if (!err)
		lx_dentry_instantiate(d, inode);
	return err;
}

/* Positions: byte offset of the entry in the directory. */
static int erofs_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	static const uint8_t types[] = { 0, 8, 4, 2, 6, 1, 12, 10 };
	struct lx_inode *dir = f->inode;
	struct erofs_super *s = super_of(dir->sb);
	struct dir_block b = { .buf = rt_alloc(block_size(s)) };
	int err = b.buf ? 0 : -ENOMEM;

	while (!err && (uint64_t)ctx->pos < dir->size) {
		uint64_t index = (uint64_t)ctx->pos >> s->block_bits;
		uint32_t i = (uint32_t)((uint64_t)ctx->pos & (block_size(s) - 1)) / EROFS_DIRENT;

		err = read_dir_block(dir, index, &b);
		for (; !err && i < b.nr; i++) {
			struct dir_entry e;

			ctx->pos = (lx_off_t)((index << s->block_bits) + i * EROFS_DIRENT);
			err = dir_entry(&b, i, &e);
			if (!err && !ctx->emit(ctx, e.name, e.len, e.nid,
					       e.type < sizeof(types) ? types[e.type] : 0))
				goto out;
		}
		if (!err)
			ctx->pos = (lx_off_t)((index + 1) << s->block_bits);
	}
out:
	rt_free(b.buf);
	return err;
}

/* -- extended attributes */

static const char *const prefixes[] = {
	NULL, XATTR_USER_PREFIX, XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT,
	XATTR_TRUSTED_PREFIX, NULL, XATTR_SECURITY_PREFIX,
};

/* What to do with each attribute; not 0: stop and return that. */
typedef int (*xattr_fn)(void *arg, const char *name, const uint8_t *value, uint32_t size);

/* The entry at @off; *@next: where one behind it would be. */
static int visit_xattr(struct erofs_super *s, uint64_t off, uint64_t *next, xattr_fn fn, void *arg)
{
	uint8_t head[EROFS_XATTR_ENTRY];
	uint32_t name_len, size;
	const char *prefix;
	char *name;
	int err = read_meta(s, off, head, sizeof(head));

	if (err)
		return err;
	name_len = head[XE_NAME_LEN];
	size = get_le16(head + XE_VALUE_SIZE);
	*next = ALIGN_UP(off + sizeof(head) + name_len + size, 4);
	prefix = head[XE_PREFIX] < ARRAY_SIZE(prefixes) ? prefixes[head[XE_PREFIX]] : NULL;
	if (!prefix)
		return 0;		/* not for programs */
	name = rt_alloc(strlen(prefix) + name_len + 1 + size);
	if (!name)
		return -ENOMEM;
	memcpy(name, prefix, strlen(prefix));
	err = read_meta(s, off + sizeof(head), name + strlen(prefix), name_len);
	if (!err)
		err = read_meta(s, off + sizeof(head) + name_len,
				name + strlen(prefix) + name_len + 1, size);
	if (!err) {
		size_t n = strlen(prefix) + name_len;

		name[n] = '\0';
		err = fn(arg, name, (const uint8_t *)name + n + 1, size);
	}
	rt_free(name);
	return err;
}

static int for_each_xattr(struct lx_inode *inode, xattr_fn fn, void *arg)
{
	struct erofs_super *s = super_of(inode->sb);
	struct erofs_inode *info = info_of(inode);
	uint64_t off = info->offset + info->inode_size, end = off + info->xattr_size, next;
	uint8_t head[EROFS_XATTR_HEADER];
	int err;

	if (!info->xattr_size)
		return 0;
	err = read_meta(s, off, head, sizeof(head));
	off += sizeof(head);
	for (uint32_t i = 0; !err && i < head[XH_SHARED]; i++, off += 4) {
		uint8_t id[4];

		if (off + 4 > end)
			return -EUCLEAN;
		err = read_meta(s, off, id, sizeof(id));
		if (!err)
			err = visit_xattr(s, s->xattrs + (uint64_t)get_le32(id) * 4, &next, fn, arg);
	}
	while (!err && off + EROFS_XATTR_ENTRY <= end) {
		err = visit_xattr(s, off, &next, fn, arg);
		if (!err && next > end)
			err = -EUCLEAN;
		if (!err)
			off = next;
	}
	return err;
}

struct find_xattr {
	const char *name;
	void *buf;
	size_t size;
};

#define FOUND 1				/* above every size an attribute can have, with it */

static int match_xattr(void *arg, const char *name, const uint8_t *value, uint32_t size)
{
	struct find_xattr *x = arg;

	if (!str_equal(name, x->name))
		return 0;
	if (x->size && x->size < size)
		return -ERANGE;
	if (x->size)
		memcpy(x->buf, value, size);
	return FOUND + (int)size;
}

static int erofs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	struct find_xattr x = { name, buf, size };
	int ret = for_each_xattr(inode, match_xattr, &x);

	return ret >= FOUND ? ret - FOUND : ret ? ret : -ENODATA;
}

struct list_xattr {
	char *buf;
	size_t size, used;
};

static int add_name(void *arg, const char *name, const uint8_t *value, uint32_t size)
{
	struct list_xattr *x = arg;
	size_t n = strlen(name) + 1;

	if (x->size) {
		if (n > x->size - x->used)
			return -ERANGE;
		memcpy(x->buf + x->used, name, n);
	}
	x->used += n;
	return 0;
}

static int erofs_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	struct list_xattr x = { buf, size, 0 };
	int err = for_each_xattr(inode, add_name, &x);

	return err ? err : (int)x.used;
}

/* The image has access control lists as programs see them. */
static int erofs_get_acl(struct lx_inode *inode, bool def, struct lx_acl **acl)
{
	const char *name = def ? XATTR_NAME_POSIX_ACL_DEFAULT : XATTR_NAME_POSIX_ACL_ACCESS;
	int n = erofs_getxattr(inode, name, NULL, 0);
	void *value;

	*acl = NULL;
	if (n <= 0)
		return n == -ENODATA ? 0 : n;
	value = rt_alloc((size_t)n);
	if (!value)
		return -ENOMEM;
	n = erofs_getxattr(inode, name, value, (size_t)n);
	if (n >= 0)
		n = lx_acl_from_value(value, (size_t)n, acl);
	rt_free(value);
	return n;
}

#define XATTR_OPS .getxattr = erofs_getxattr, .listxattr = erofs_listxattr, .get_acl = erofs_get_acl

static const struct lx_inode_ops dir_iops = {
	.lookup = erofs_lookup, .readpages = erofs_readpages, XATTR_OPS,
};
static const struct lx_inode_ops reg_iops = { .readpages = erofs_readpages, XATTR_OPS };
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
	struct erofs_super *s = super_of(sb);
	struct statfs *st = out;

	st->f_type = EROFS_MAGIC;
	st->f_bsize = st->f_frsize = (long)block_size(s);
	st->f_blocks = (long)(s->size >> s->block_bits);
	st->f_files = (long)s->inodes;
	st->f_namelen = LX_NAME_MAX;
	return 0;
}

static void erofs_put(struct lx_super *sb)
{
	struct erofs_super *s = super_of(sb);

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
	sb->block_size = (uint32_t)block_size(s);
	err = get_inode(sb, nid, &root);
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
