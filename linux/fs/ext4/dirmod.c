/* SPDX-License-Identifier: MIT */
/*
 * Changing directories: the directory's inode is locked, a handle is open.
 */
#include "fs/ext4/dir.h"
#include "fs/ext4/journal.h"

static struct e4_dirent *dirent(const struct e4_buf *b, uint32_t off)
{
	return (struct e4_dirent *)(b->data + off);
}

uint8_t e4_disk_type(const struct e4_super *s, lx_mode_t mode)
{
	static const uint8_t types[16] = { [S_IFREG >> 12] = 1, [S_IFDIR >> 12] = 2,
					   [S_IFCHR >> 12] = 3, [S_IFBLK >> 12] = 4,
					   [S_IFIFO >> 12] = 5, [S_IFSOCK >> 12] = 6,
					   [S_IFLNK >> 12] = 7 };

	return e4_has_incompat(s, E4_INCOMPAT_FILETYPE) ? types[(mode & S_IFMT) >> 12] : 0;
}

/* -- one block */

void e4_dirent_fill(struct e4_dirent *d, const struct e4_name *name, uint32_t ino, uint8_t type)
{
	put_le32(d->inode, ino);
	d->name_len = (uint8_t)name->len;
	d->file_type = type;
	memcpy(d->name, name->s, name->len);
}

void e4_dir_init_block(struct lx_inode *dir, struct e4_buf *b)
{
	struct e4_dirent *d = dirent(b, 0);

	put_le32(d->inode, 0);
	put_le16(d->rec_len, (uint16_t)e4_dir_room(e4_super_of(dir)));
	d->name_len = d->file_type = 0;
	e4_dir_set_csum(dir, b->data);
	atomic_store(&b->kind, E4_DIR);
}

int e4_dir_add_to(struct e4_handle *h, struct lx_inode *dir, struct e4_buf *b,
		  const struct e4_name *name, uint32_t ino, uint8_t type)
{
	struct e4_super *s = h->s;
	uint32_t room = e4_dir_room(s), need = E4_DIRENT_SIZE(name->len), off = 0;

	while (off < room) {
		struct e4_dirent *d = dirent(b, off);
		uint32_t len, used;
		int err;

		if (!e4_dirent_fits(s, b->data, off))
			return e4_corrupt(s, "directory %u: bad entry", e4_inode(dir)->ino);
		len = get_le16(d->rec_len);
		used = get_le32(d->inode) ? E4_DIRENT_SIZE(d->name_len) : 0;
		if (len < used + need) {
			off += len;
			continue;
		}
		err = e4_change(h, b);
		if (err)
			return err;
		if (used) {
			put_le16(d->rec_len, (uint16_t)used);
			d = dirent(b, off + used);
			put_le16(d->rec_len, (uint16_t)(len - used));
		}
		e4_dirent_fill(d, name, ino, type);
		e4_dir_set_csum(dir, b->data);
		return 0;
	}
	return -ENOSPC;
}

/* -- a block more */

int e4_dir_append(struct e4_handle *h, struct lx_inode *dir, uint32_t *lblock, struct e4_buf **out)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(dir);
	struct e4_map last = { 0 };
	struct e4_buf *b;
	int err;

	if (!(e->flags & E4_FL_EXTENTS))
		return -EOPNOTSUPP;
	*lblock = e4_dir_blocks(dir);
	if (*lblock >= E4_MAX_LBLOCK)
		return -EFBIG;
	if (*lblock)
		(void)!e4_map(dir, *lblock - 1, 1, &last);
	err = e4_alloc_meta(h, last.block ? last.block + 1 : e4_inode_goal(dir), &b);
	if (err)
		return err;
	rt_write_lock(&e->map_lock);
	err = e4_ext_insert(h, dir, *lblock, 1, b->block, false);
	if (!err) {
		atomic_fetch_add(&dir->size, s->block_size);
		err = e4_store_locked(h, dir);
	}
	rt_write_unlock(&e->map_lock);
	if (err) {
		e4_unalloc_blocks(h, b->block, 1, true);
		e4_buf_put(b);
		return err;
	}
	e4_dir_init_block(dir, b);
	*out = b;
	return 0;
}

/* -- names */

int e4_dir_add(struct e4_handle *h, struct lx_inode *dir, const struct e4_name *name, uint32_t ino,
	       lx_mode_t mode)
{
	struct e4_super *s = h->s;
	uint8_t type = e4_disk_type(s, mode);
	uint32_t n = e4_dir_blocks(dir), lblock;
	struct e4_buf *b;
	int err = -ENOSPC;

	if (e4_dir_indexed(dir))
		return e4_dx_add(h, dir, name, ino, type);
	for (uint32_t i = 0; err == -ENOSPC && i < n; i++) {
		err = e4_dir_block(dir, i, &b);
		if (err)
			return err;
		err = e4_dir_add_to(h, dir, b, name, ino, type);
		e4_buf_put(b);
	}
	if (err != -ENOSPC)
		return err;
	if (n == 1 && (s->compat & E4_COMPAT_DIR_INDEX) && (e4_inode(dir)->flags & E4_FL_EXTENTS)) {
		err = e4_dx_make(h, dir);
		return err ? err : e4_dx_add(h, dir, name, ino, type);
	}
	err = e4_dir_append(h, dir, &lblock, &b);
	if (err)
		return err;
	err = e4_dir_add_to(h, dir, b, name, ino, type);
	e4_buf_put(b);
	return err;
}

int e4_dir_remove(struct e4_handle *h, struct lx_inode *dir, const struct e4_found *f)
{
	struct e4_super *s = h->s;
	struct e4_dirent *prev = NULL, *d = dirent(f->buf, f->offset);
	int err;

	for (uint32_t off = 0; off < f->offset;) {
		prev = dirent(f->buf, off);
		if (!e4_dirent_fits(s, f->buf->data, off))
			return e4_corrupt(s, "directory %u: bad entry", e4_inode(dir)->ino);
		off += get_le16(prev->rec_len);
	}
	err = e4_change(h, f->buf);
	if (err)
		return err;
	if (prev)
		put_le16(prev->rec_len, (uint16_t)(get_le16(prev->rec_len) + get_le16(d->rec_len)));
	put_le32(d->inode, 0);
	e4_dir_set_csum(dir, f->buf->data);
	return 0;
}

int e4_dir_set(struct e4_handle *h, struct lx_inode *dir, const struct e4_found *f, uint32_t ino,
	       lx_mode_t mode)
{
	struct e4_dirent *d = dirent(f->buf, f->offset);
	int err = e4_change(h, f->buf);

	if (err)
		return err;
	put_le32(d->inode, ino);
	d->file_type = e4_disk_type(h->s, mode);
	e4_dir_set_csum(dir, f->buf->data);
	return 0;
}

int e4_dir_set_parent(struct e4_handle *h, struct lx_inode *dir, uint32_t ino)
{
	uint32_t old;
	struct e4_buf *b;
	int err = e4_dir_parent(dir, &old);	/* that the entry is where it should be */

	if (!err)
		err = e4_read_block(dir, 0, &b);
	if (err)
		return err;
	err = e4_change(h, b);
	if (!err) {
		put_le32(dirent(b, 12)->inode, ino);
		if (e4_dir_indexed(dir))
			e4_dx_set_csum(dir, b->data, true);
		else
			e4_dir_set_csum(dir, b->data);
	}
	e4_buf_put(b);
	return err;
}

int e4_dir_make(struct e4_handle *h, struct lx_inode *dir, uint32_t parent)
{
	static const struct e4_name dot = { ".", 1 }, dotdot = { "..", 2 };
	uint32_t lblock, room = e4_dir_room(h->s);
	uint8_t type = e4_disk_type(h->s, S_IFDIR);
	struct e4_buf *b;
	int err = e4_dir_append(h, dir, &lblock, &b);

	if (err)
		return err;
	e4_dirent_fill(dirent(b, 0), &dot, e4_inode(dir)->ino, type);
	put_le16(dirent(b, 0)->rec_len, 12);
	e4_dirent_fill(dirent(b, 12), &dotdot, parent, type);
	put_le16(dirent(b, 12)->rec_len, (uint16_t)(room - 12));
	e4_dir_set_csum(dir, b->data);
	e4_buf_put(b);
	return 0;
}

/* -- is there anything but "." and ".."? */

static bool block_empty(const struct e4_super *s, const struct e4_buf *b)
{
	for (uint32_t off = 0; off < e4_dir_room(s); off += get_le16(dirent(b, off)->rec_len)) {
		const struct e4_dirent *d = dirent(b, off);

		if (!e4_dirent_fits(s, b->data, off))
			return true;
		if (get_le32(d->inode) && !(d->name[0] == '.' &&
					    (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'))))
			return false;
	}
	return true;
}

int e4_dir_empty(struct lx_inode *dir)
{
	struct e4_super *s = e4_super_of(dir);
	bool indexed = e4_dir_indexed(dir), empty = true;
	struct e4_dx_path p = { .levels = 0 };
	struct e4_hash from = { 0 };
	uint32_t next = 0, n = e4_dir_blocks(dir);
	int err = indexed ? e4_dx_walk(dir, NULL, &from, &p) : 0;

	/* with an index its leaves, else all blocks */
	for (uint32_t i = 0; !err && empty && i < n; i++) {
		struct e4_buf *b;

		err = e4_dir_block(dir, indexed ? e4_dx_leaf(&p) : i, &b);
		if (err)
			break;
		empty = block_empty(s, b);
		e4_buf_put(b);
		if (indexed && empty) {
			int more = e4_dx_next(dir, &p, &next);

			if (more <= 0) {
				err = more;
				break;
			}
		}
	}
	e4_dx_put(&p);
	return err ? err : empty ? 0 : -ENOTEMPTY;
}
