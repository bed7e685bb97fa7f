/* SPDX-License-Identifier: MIT */
/*
 * Changing extended attributes.  An area is rebuilt: its attributes are read into a
 * list, the list is changed, and written to the inode if all of it fits there, else
 * as much as fits, and the rest to the block.  Blocks are not shared by us; one that
 * another kernel let several inodes share is left to the others.
 */
#include <linux/xattr.h>

#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"

struct attr {
	uint8_t index, name_len;
	bool in_inode;
	uint32_t size;
	const char *name;
	const uint8_t *value;
};

struct attrs {
	struct attr *list;
	uint32_t count, room;
	uint8_t *copies[2];		/* of the areas: names and values point into them */
};

static uint32_t space(const struct attr *a)
{
	return E4_XATTR_LEN(a->name_len) + ((a->size + 3) & ~3u);
}

/* -- reading both areas */

static int append(struct attrs *l, const struct attr *a)
{
	if (l->count == l->room) {
		struct attr *more = rt_realloc(l->list, (l->room + 16) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->list = more;
		l->room += 16;
	}
	l->list[l->count++] = *a;
	return 0;
}

static int read_area(struct attrs *l, const struct e4_xattr_area *a, bool in_inode)
{
	size_t n = (size_t)(a->end - a->base);
	uint8_t *copy;
	int err = 0;

	if (!a->first)
		return 0;
	copy = l->copies[in_inode] = rt_alloc(n);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, a->base, n);
	for (struct e4_xattr_entry *e = e4_xattr_first(a); e && !err; e = e4_xattr_next(a, e)) {
		size_t at = (size_t)((uint8_t *)e - a->base);
		struct attr x = { e->name_index, e->name_len, in_inode, get_le32(e->value_size),
				  (char *)copy + at + sizeof(*e), copy + get_le16(e->value_offs) };

		err = append(l, &x);
	}
	return err;
}

static int read_all(struct lx_inode *inode, struct attrs *l)
{
	struct e4_xattr_area a;
	int err = e4_xattr_ibody(inode, &a);

	if (err)
		return err;
	err = read_area(l, &a, true);
	e4_buf_put(a.buf);
	if (!err)
		err = e4_xattr_block(inode, &a);
	if (err)
		return err;
	err = read_area(l, &a, false);
	e4_buf_put(a.buf);
	return err;
}

static void free_all(struct attrs *l)
{
	rt_free(l->list);
	rt_free(l->copies[0]);
	rt_free(l->copies[1]);
}

/* -- writing an area */

static uint32_t entry_hash(const struct attr *a)
{
	uint32_t h = 0, i;

	for (i = 0; i < a->name_len; i++)
		h = h << 5 ^ h >> 27 ^ (uint8_t)a->name[i];
	for (i = 0; i < a->size; i += 4) {
		uint8_t word[4] = { 0 };

		memcpy(word, a->value + i, MIN(4u, a->size - i));
		h = h << 16 ^ h >> 16 ^ get_le32(word);
	}
	return h;
}

/* Those of the list that are for this area, from @first on; values from @end down.  Zeros before. */
static uint32_t write_entries(const struct attrs *l, bool in_inode, uint8_t *base, uint8_t *first,
			      uint8_t *end)
{
	uint8_t *p = first, *value = end;
	uint32_t hash = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		const struct attr *a = &l->list[i];
		struct e4_xattr_entry *e = (struct e4_xattr_entry *)p;

		if (a->in_inode != in_inode)
			continue;
		e->name_len = a->name_len;
		e->name_index = a->index;
		put_le32(e->value_size, a->size);
		put_le32(e->hash, entry_hash(a));
		memcpy(e->name, a->name, a->name_len);
		if (a->size) {
			value -= (a->size + 3) & ~3u;
			memcpy(value, a->value, a->size);
			put_le16(e->value_offs, (uint16_t)(value - base));
		}
		hash = hash << 16 ^ hash >> 16 ^ get_le32(e->hash);
		p += E4_XATTR_LEN(a->name_len);
	}
	return hash;
}

static uint32_t inode_room(struct lx_inode *inode)
{
	struct e4_super *s = e4_super_of(inode);
	uint32_t at = E4_INODE_GOOD_OLD + e4_inode(inode)->extra_isize + 4;

	return e4_inode(inode)->extra_isize && at + 4 < s->inode_size ? s->inode_size - at - 4 : 0;
}

/* Decide what goes where; the entries of a block are sorted.  -ENOSPC. */
static int place(struct lx_inode *inode, struct attrs *l)
{
	uint32_t in = inode_room(inode);
	uint32_t out = e4_super_of(inode)->block_size - sizeof(struct e4_xattr_header) - 4;

	for (uint32_t i = 0; i < l->count; i++) {
		struct attr *a = &l->list[i];

		a->in_inode = space(a) <= in;
		if (a->in_inode)
			in -= space(a);
		else if (space(a) <= out)
			out -= space(a);
		else
			return -ENOSPC;
	}
	for (uint32_t i = 1; i < l->count; i++) {
		struct attr x = l->list[i];
		uint32_t j = i;

		for (; j; j--) {
			const struct attr *y = &l->list[j - 1];
			int c = (int)y->index - (int)x.index;

			c = c ? c : (int)y->name_len - (int)x.name_len;
			c = c ? c : memcmp(y->name, x.name, x.name_len);
			if (c <= 0)
				break;
			l->list[j] = *y;
		}
		l->list[j] = x;
	}
	return 0;
}

static bool any(const struct attrs *l, bool in_inode)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->list[i].in_inode == in_inode)
			return true;
	return false;
}

static int write_inode(struct e4_handle *h, struct lx_inode *inode, const struct attrs *l)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(inode);
	uint32_t at = E4_INODE_GOOD_OLD + e->extra_isize;
	struct e4_disk_inode *di;
	struct e4_buf *b;
	uint8_t *p;
	int err;

	if (!inode_room(inode))
		return 0;
	err = e4_slot_begin(h, e, &b, &di);
	if (err)
		return err;
	p = (uint8_t *)di + at;
	memset(p, 0, s->inode_size - at);
	if (any(l, true)) {
		put_le32(p, E4_XATTR_MAGIC);
		write_entries(l, true, p + 4, p + 4, (uint8_t *)di + s->inode_size);
	}
	e4_slot_end(h, e, b, di);
	return 0;
}

int e4_xattr_drop_block(struct e4_handle *h, struct lx_inode *inode)
{
	struct e4_super *s = h->s;
	struct e4_xattr_area a;
	struct e4_xattr_header *x;
	uint64_t block = e4_inode(inode)->file_acl;
	int err = e4_xattr_block(inode, &a);

	if (err || !a.buf)
		return err;
	x = (struct e4_xattr_header *)a.buf->data;
	if (get_le32(x->refcount) > 1) {
		err = e4_change(h, a.buf);
		if (!err) {
			put_le32(x->refcount, get_le32(x->refcount) - 1);
			e4_xattr_set_csum(s, a.buf);
		}
		e4_buf_put(a.buf);
	} else {
		e4_buf_put(a.buf);
		err = e4_free_blocks(h, block, 1, true);
	}
	if (!err) {
		e4_inode(inode)->file_acl = 0;
		inode->blocks -= s->block_size / 512;
	}
	return err;
}

/* A block of its own for what is not in the inode. */
static int write_block(struct e4_handle *h, struct lx_inode *inode, const struct attrs *l)
{
	struct e4_super *s = h->s;
	struct e4_xattr_header *x;
	struct e4_buf *b;
	int err;

	if (!any(l, false))
		return e4_xattr_drop_block(h, inode);
	err = e4_alloc_meta(h, e4_inode_goal(inode), &b);
	if (err)
		return err;
	err = e4_xattr_drop_block(h, inode);
	if (err) {
		e4_unalloc_blocks(h, b->block, 1, true);
		e4_buf_put(b);
		return err;
	}
	x = (struct e4_xattr_header *)b->data;
	put_le32(x->magic, E4_XATTR_MAGIC);
	put_le32(x->refcount, 1);
	put_le32(x->blocks, 1);
	put_le32(x->hash, write_entries(l, false, b->data, b->data + sizeof(*x),
					b->data + s->block_size));
	e4_xattr_set_csum(s, b);
	atomic_store(&b->kind, E4_XATTR);
	e4_inode(inode)->file_acl = b->block;
	inode->blocks += s->block_size / 512;
	e4_buf_put(b);
	return 0;
}

/* -- one attribute: the inode is locked */

/* The list as it is to be: without the attribute of that name, or with a new value of it. */
static int edit(struct attrs *l, const struct attr *a, int flags)
{
	uint32_t i;

	for (i = 0; i < l->count; i++)
		if (l->list[i].index == a->index && l->list[i].name_len == a->name_len &&
		    !memcmp(l->list[i].name, a->name, a->name_len))
			break;
	if (i < l->count) {
		if (a->value && (flags & XATTR_CREATE))
			return -EEXIST;
		l->list[i] = l->list[--l->count];
	} else if (!a->value || (flags & XATTR_REPLACE)) {
		return -ENODATA;
	}
	return a->value ? append(l, a) : 0;
}

int e4_xattr_change(struct e4_handle *h, struct lx_inode *inode, const char *name, const void *val,
		    size_t size, int flags)
{
	const char *rest = NULL;
	unsigned int index = e4_xattr_index(name, &rest);
	struct attr a = { .index = (uint8_t)index, .size = (uint32_t)size, .name = rest, .value = val };
	struct attrs l = { 0 };
	int err;

	if (!index)
		return -EOPNOTSUPP;
	a.name_len = (uint8_t)strlen(rest);
	rt_mutex_lock(&h->s->xattr_lock);
	err = read_all(inode, &l);
	if (!err)
		err = edit(&l, &a, flags);
	if (!err)
		err = place(inode, &l);
	if (!err)
		err = write_block(h, inode, &l);
	if (!err)
		err = write_inode(h, inode, &l);
	rt_mutex_unlock(&h->s->xattr_lock);
	free_all(&l);
	return err;
}

/* -- for the VFS */

static int change(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags)
{
	struct e4_handle h;
	int err = e4_begin(e4_super_of(inode), E4_CREDITS_XATTR + 1, &h);

	if (err)
		return err;
	err = e4_xattr_change(&h, inode, name, val, size, flags);
	if (!err) {
		lx_inode_touch(inode, LX_ATTR_CTIME);
		err = e4_store(&h, inode);
	}
	return e4_end(&h, err);
}

int e4_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags)
{
	return change(inode, name, val, size, flags);
}

int e4_removexattr(struct lx_inode *inode, const char *name)
{
	return change(inode, name, NULL, 0, 0);
}
