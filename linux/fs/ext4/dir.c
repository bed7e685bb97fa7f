/* SPDX-License-Identifier: MIT */
/*
 * Directories: blocks of records, each an inode number, a length that leads to the
 * next record, and a name.  A record whose inode is 0 is free.  With metadata_csum
 * the last twelve bytes of a block are a dead record with its checksum.
 *
 * A directory with an index (htree.c) has the same blocks, and some between them
 * that hold the index and look like one large free record.
 */
#include "fs/ext4/dir.h"

uint32_t e4_dir_blocks(const struct lx_inode *dir)
{
	return (uint32_t)(dir->size >> e4_super_of(dir)->block_bits);
}

uint32_t e4_dir_room(const struct e4_super *s)
{
	return s->block_size - (s->csum ? E4_DIR_TAIL : 0);
}

unsigned int e4_dtype(const struct e4_super *s, uint8_t type)
{
	static const uint8_t types[] = { 0, 8, 4, 2, 6, 1, 12, 10 };	/* DT_* */

	return e4_has_incompat(s, E4_INCOMPAT_FILETYPE) && type < sizeof(types) ? types[type] : 0;
}

/* -- checks */

static int bad(struct lx_inode *dir, uint32_t lblock, const char *what)
{
	return e4_corrupt(e4_super_of(dir), "directory %u, block %u: %s", e4_inode(dir)->ino, lblock,
			  what);
}

bool e4_dirent_fits(const struct e4_super *s, const uint8_t *data, uint32_t off)
{
	const struct e4_dirent *d = (const struct e4_dirent *)(data + off);
	uint32_t room = e4_dir_room(s), len;

	if (off + E4_DIRENT_HEAD > room)
		return false;
	len = get_le16(d->rec_len);
	return len % 4 == 0 && len >= E4_DIRENT_HEAD && len <= room - off &&
	       (!get_le32(d->inode) || (d->name_len && E4_DIRENT_SIZE(d->name_len) <= len));
}

bool e4_dirent_ok(const struct e4_super *s, const uint8_t *data, uint32_t off)
{
	const struct e4_dirent *d = (const struct e4_dirent *)(data + off);

	if (!e4_dirent_fits(s, data, off))
		return false;
	if (!get_le32(d->inode))
		return true;
	return get_le32(d->inode) <= s->inodes && !memchr(d->name, '/', d->name_len) &&
	       !memchr(d->name, '\0', d->name_len);
}

static uint32_t block_csum(struct lx_inode *dir, const uint8_t *data)
{
	return crc32c(e4_inode(dir)->csum_seed, data, e4_dir_room(e4_super_of(dir)));
}

void e4_dir_set_csum(struct lx_inode *dir, uint8_t *data)
{
	struct e4_super *s = e4_super_of(dir);
	struct e4_dirent *tail = (struct e4_dirent *)(data + e4_dir_room(s));

	if (!s->csum)
		return;
	put_le32(tail->inode, 0);
	put_le16(tail->rec_len, E4_DIR_TAIL);
	tail->name_len = 0;
	tail->file_type = E4_FT_TAIL;
	put_le32(tail->name, block_csum(dir, data));
}

static int check_block(struct lx_inode *dir, uint32_t lblock, const uint8_t *data)
{
	struct e4_super *s = e4_super_of(dir);
	uint32_t room = e4_dir_room(s);
	const struct e4_dirent *tail = (const struct e4_dirent *)(data + room);

	if (s->csum) {
		if (get_le32(tail->inode) || get_le16(tail->rec_len) != E4_DIR_TAIL ||
		    tail->name_len || tail->file_type != E4_FT_TAIL)
			return bad(dir, lblock, "no checksum");
		if (get_le32(tail->name) != block_csum(dir, data)) {
			bad(dir, lblock, "wrong checksum");
			return -EBADMSG;
		}
	}
	for (uint32_t off = 0; off < room;) {
		if (!e4_dirent_ok(s, data, off))
			return bad(dir, lblock, "bad entry");
		off += get_le16(((const struct e4_dirent *)(data + off))->rec_len);
	}
	return 0;
}

int e4_dir_block(struct lx_inode *dir, uint32_t lblock, struct e4_buf **out)
{
	struct e4_buf *b;
	int err = e4_read_block(dir, lblock, &b);

	if (err)
		return err;
	if (atomic_load(&b->kind) != E4_DIR) {
		err = check_block(dir, lblock, b->data);
		if (err) {
			e4_buf_put(b);
			return err;
		}
		atomic_store(&b->kind, E4_DIR);
	}
	*out = b;
	return 0;
}

/* -- searching */

int e4_dir_search(const struct e4_super *s, const struct e4_buf *b, const struct e4_name *name)
{
	uint32_t room = e4_dir_room(s);

	for (uint32_t off = 0; off < room;) {
		const struct e4_dirent *d = (const struct e4_dirent *)(b->data + off);

		if (!e4_dirent_fits(s, b->data, off))
			return -EUCLEAN;
		if (get_le32(d->inode) && d->name_len == name->len &&
		    !memcmp(d->name, name->s, name->len))
			return (int)off;
		off += get_le16(d->rec_len);
	}
	return -ENOENT;
}

int e4_dir_found(struct e4_buf *b, uint32_t lblock, int off, bool keep, struct e4_found *found)
{
	const struct e4_dirent *d;

	if (off < 0) {
		e4_buf_put(b);
		return off;
	}
	d = (const struct e4_dirent *)(b->data + off);
	*found = (struct e4_found){ .ino = get_le32(d->inode), .type = d->file_type,
				    .lblock = lblock, .offset = (uint32_t)off,
				    .buf = keep ? b : NULL };
	if (!keep)
		e4_buf_put(b);
	return 0;
}

static int find_linear(struct lx_inode *dir, const struct e4_name *name, bool keep,
		       struct e4_found *found)
{
	struct e4_super *s = e4_super_of(dir);
	int err = -ENOENT;

	for (uint32_t i = 0; err == -ENOENT && i < e4_dir_blocks(dir); i++) {
		struct e4_buf *b;

		err = e4_dir_block(dir, i, &b);
		if (!err)
			err = e4_dir_found(b, i, e4_dir_search(s, b, name), keep, found);
	}
	return err;
}

int e4_dir_find(struct lx_inode *dir, const struct e4_name *name, bool keep, struct e4_found *found)
{
	if (name->len > LX_NAME_MAX)
		return -ENAMETOOLONG;
	if (e4_dir_indexed(dir))
		return e4_dx_find(dir, name, keep, found);
	return find_linear(dir, name, keep, found);
}

int e4_dir_parent(struct lx_inode *dir, uint32_t *ino)
{
	struct e4_super *s = e4_super_of(dir);
	const struct e4_dirent *dot, *dotdot;
	struct e4_buf *b;
	int err = e4_read_block(dir, 0, &b);

	if (err)
		return err;
	dot = (const struct e4_dirent *)b->data;
	dotdot = (const struct e4_dirent *)(b->data + 12);
	if (get_le16(dot->rec_len) != 12 || dot->name_len != 1 || dot->name[0] != '.' ||
	    dotdot->name_len != 2 || memcmp(dotdot->name, "..", 2) ||
	    get_le32(dot->inode) != e4_inode(dir)->ino || !get_le32(dotdot->inode) ||
	    get_le32(dotdot->inode) > s->inodes)
		err = bad(dir, 0, "\".\" and \"..\" are not as they should be");
	else
		*ino = get_le32(dotdot->inode);
	e4_buf_put(b);
	return err;
}

/* -- listing: positions are byte offsets, unless there is an index or may be one soon */

int e4_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct lx_inode *dir = f->inode;
	struct e4_super *s = e4_super_of(dir);
	uint32_t room = e4_dir_room(s);

	if (e4_dir_hash_order(dir))
		return e4_dx_iterate(dir, ctx);
	while ((uint64_t)ctx->pos < dir->size) {
		uint32_t lblock = (uint32_t)((uint64_t)ctx->pos >> s->block_bits);
		uint32_t from = (uint32_t)ctx->pos & (s->block_size - 1), off;
		struct e4_buf *b;
		int err = e4_dir_block(dir, lblock, &b);

		if (err)
			return err;
		/* records may have been joined since the position was given out */
		for (off = 0; off < room;) {
			const struct e4_dirent *d = (const struct e4_dirent *)(b->data + off);

			if (!e4_dirent_ok(s, b->data, off))
				break;
			if (off >= from && get_le32(d->inode)) {
				ctx->pos = (lx_off_t)(((uint64_t)lblock << s->block_bits) + off);
				if (!ctx->emit(ctx, d->name, d->name_len, get_le32(d->inode),
					       e4_dtype(s, d->file_type))) {
					e4_buf_put(b);
					return 0;
				}
			}
			off += get_le16(d->rec_len);
		}
		e4_buf_put(b);
		ctx->pos = (lx_off_t)(((uint64_t)lblock + 1) << s->block_bits);
	}
	return 0;
}
