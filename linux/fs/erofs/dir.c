/* SPDX-License-Identifier: MIT */
/*
 * Directories: files whose blocks have entries first, then their names, sorted over all blocks.
 */
#include "fs/erofs/erofs_priv.h"

#define MAX_DIR_BLOCK	65536u

/* One directory block, parsed: a private copy. */
struct dir_block {
	uint8_t *buf;
	uint32_t size;			/* bytes of it that belong to the directory */
	uint32_t nr;			/* entries */
};

static int read_dir_block(struct lx_inode *dir, uint64_t index, struct dir_block *b)
{
	struct erofs_super *s = erofs_super_of(dir->sb);
	uint64_t off = index << s->block_bits;
	int64_t got;
	uint32_t first;

	b->size = (uint32_t)MIN(erofs_block_size(s), dir->size - off);
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
	struct erofs_super *s = erofs_super_of(dir->sb);
	uint64_t lo = 0, hi = DIV_ROUND_UP(dir->size, erofs_block_size(s));
	struct dir_block b = { .buf = rt_alloc(erofs_block_size(s)) };
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

int erofs_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode;
	uint64_t nid;
	int err = find_entry(dir, d, &nid);

	if (err == -ENOENT)
		return 0;		/* negative */
	if (!err)
		err = erofs_get_inode(dir->sb, nid, &inode);
	if (!err && lx_is_dir(inode) && inode == dir) {
		lx_inode_put(inode);
		err = -EUCLEAN;		/* a directory in itself */
	}
	if (!err)
		lx_dentry_instantiate(d, inode);
	return err;
}

/* Positions: byte offset of the entry in the directory. */
int erofs_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	static const uint8_t types[] = { 0, 8, 4, 2, 6, 1, 12, 10 };
	struct lx_inode *dir = f->inode;
	struct erofs_super *s = erofs_super_of(dir->sb);
	struct dir_block b = { .buf = rt_alloc(erofs_block_size(s)) };
	int err = b.buf ? 0 : -ENOMEM;

	while (!err && (uint64_t)ctx->pos < dir->size) {
		uint64_t index = (uint64_t)ctx->pos >> s->block_bits;
		uint32_t i = (uint32_t)((uint64_t)ctx->pos & (erofs_block_size(s) - 1)) / EROFS_DIRENT;

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
