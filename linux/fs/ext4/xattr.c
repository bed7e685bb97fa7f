/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: reading.  They lie at the end of the inode and, if they do
 * not fit there, in one block, which inodes with the same attributes can share.
 *
 * An area is checked as a whole before it is used: entries and values lie in it.
 */
#include <linux/xattr.h>

#include "fs/ext4/xattr.h"

static const char *const prefixes[] = {
	[1] = XATTR_USER_PREFIX, [2] = XATTR_NAME_POSIX_ACL_ACCESS,
	[3] = XATTR_NAME_POSIX_ACL_DEFAULT, [4] = XATTR_TRUSTED_PREFIX,
	[6] = XATTR_SECURITY_PREFIX, [7] = XATTR_SYSTEM_PREFIX,
};

static const char *prefix_of(unsigned int index)
{
	return index < ARRAY_SIZE(prefixes) ? prefixes[index] : NULL;
}

unsigned int e4_xattr_index(const char *name, const char **rest)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = prefixes[i] ? strlen(prefixes[i]) : 0;

		if (!n || strncmp(name, prefixes[i], n))
			continue;
		/* whole names (ACLs) before the prefix that they begin with */
		if (i == 2 || i == 3) {
			if (name[n])
				continue;
		}
		if (!best || n > strlen(prefixes[best]))
			best = i;
	}
	if (best)
		*rest = name + strlen(prefixes[best]);
	return best;
}

/* -- areas */

static bool is_end(const struct e4_xattr_area *a, const uint8_t *p)
{
	return p + 4 > a->end || !get_le32(p);
}

struct e4_xattr_entry *e4_xattr_first(const struct e4_xattr_area *a)
{
	return !a->first || is_end(a, a->first) ? NULL : (struct e4_xattr_entry *)a->first;
}

struct e4_xattr_entry *e4_xattr_next(const struct e4_xattr_area *a, struct e4_xattr_entry *e)
{
	uint8_t *p = (uint8_t *)e + E4_XATTR_LEN(e->name_len);

	return is_end(a, p) ? NULL : (struct e4_xattr_entry *)p;
}

static int bad(struct lx_inode *inode, const char *what)
{
	return e4_corrupt(e4_super_of(inode), "attributes of inode %u: %s", e4_inode(inode)->ino, what);
}

static int check_area(struct lx_inode *inode, const struct e4_xattr_area *a)
{
	const uint8_t *p = a->first;

	while (!is_end(a, p)) {
		const struct e4_xattr_entry *e = (const struct e4_xattr_entry *)p;
		size_t room = (size_t)(a->end - a->base);

		if ((size_t)(a->end - p) < sizeof(*e) ||
		    (size_t)(a->end - p) < E4_XATTR_LEN(e->name_len))
			return bad(inode, "an entry does not fit");
		if (get_le32(e->value_inum))
			return bad(inode, "a value in an inode of its own");
		if (get_le32(e->value_size) &&
		    !range_within(get_le16(e->value_offs), get_le32(e->value_size), room))
			return bad(inode, "a value does not fit");
		if (memchr(e->name, '\0', e->name_len))
			return bad(inode, "a name with a NUL");
		p += E4_XATTR_LEN(e->name_len);
	}
	return 0;
}

int e4_xattr_ibody(struct lx_inode *inode, struct e4_xattr_area *a)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct e4_disk_inode *di;
	uint32_t at = E4_INODE_GOOD_OLD + e->extra_isize;
	int err;

	*a = (struct e4_xattr_area){ 0 };
	if (!e->extra_isize || at + 8 > s->inode_size)
		return 0;
	err = e4_inode_slot(s, e->ino, &a->buf, &di);
	if (err)
		return err;
	if (get_le32((uint8_t *)di + at) != E4_XATTR_MAGIC)
		return 0;
	a->base = a->first = (uint8_t *)di + at + 4;
	a->end = (uint8_t *)di + s->inode_size;
	err = check_area(inode, a);
	if (err)
		e4_buf_put(a->buf);
	return err;
}

static uint32_t block_csum(struct e4_super *s, const struct e4_buf *b)
{
	size_t at = offsetof(struct e4_xattr_header, checksum);
	uint8_t number[8];
	uint32_t c;

	put_le64(number, b->block);
	c = crc32c(s->csum_seed, number, sizeof(number));
	c = crc32c(c, b->data, at);
	c = e4_csum_u32(c, 0);
	return crc32c(c, b->data + at + 4, s->block_size - at - 4);
}

void e4_xattr_set_csum(struct e4_super *s, struct e4_buf *b)
{
	if (s->csum)
		put_le32(((struct e4_xattr_header *)b->data)->checksum, block_csum(s, b));
}

int e4_xattr_block(struct lx_inode *inode, struct e4_xattr_area *a)
{
	struct e4_super *s = e4_super_of(inode);
	const struct e4_xattr_header *h;
	int err;

	*a = (struct e4_xattr_area){ 0 };
	if (!e4_inode(inode)->file_acl)
		return 0;
	err = e4_buf_read(&s->cache, e4_inode(inode)->file_acl, &a->buf);
	if (err)
		return err;
	h = (const struct e4_xattr_header *)a->buf->data;
	a->base = a->buf->data;
	a->first = a->base + sizeof(*h);
	a->end = a->base + s->block_size;
	if (get_le32(h->magic) != E4_XATTR_MAGIC || get_le32(h->blocks) != 1) {
		err = bad(inode, "the block has no magic number");
	} else if (atomic_load(&a->buf->kind) != E4_XATTR) {
		if (s->csum && get_le32(h->checksum) != block_csum(s, a->buf)) {
			bad(inode, "wrong checksum");
			err = -EBADMSG;
		}
		if (!err)
			atomic_store(&a->buf->kind, E4_XATTR);
	}
	if (!err)
		err = check_area(inode, a);
	if (err)
		e4_buf_put(a->buf);
	return err;
}

struct e4_xattr_entry *e4_xattr_find(const struct e4_xattr_area *a, unsigned int index,
				     const char *rest)
{
	size_t n = strlen(rest);

	for (struct e4_xattr_entry *e = e4_xattr_first(a); e; e = e4_xattr_next(a, e))
		if (e->name_index == index && e->name_len == n && !memcmp(e->name, rest, n))
			return e;
	return NULL;
}

/* -- for the VFS: the inode's lock is not held */

static int value_of(const struct e4_xattr_area *a, const struct e4_xattr_entry *e, void *buf,
		    size_t size)
{
	uint32_t n = get_le32(e->value_size);

	if (size && size < n)
		return -ERANGE;
	if (size && n)
		memcpy(buf, a->base + get_le16(e->value_offs), n);
	return (int)n;
}

typedef int (*area_fn)(struct lx_inode *inode, struct e4_xattr_area *a);
static const area_fn areas[] = { e4_xattr_ibody, e4_xattr_block };

int e4_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	struct e4_super *s = e4_super_of(inode);
	const char *rest = NULL;
	unsigned int index = e4_xattr_index(name, &rest);
	int ret = -ENODATA;

	if (!index)
		return -EOPNOTSUPP;
	rt_mutex_lock(&s->xattr_lock);
	for (size_t i = 0; ret == -ENODATA && i < ARRAY_SIZE(areas); i++) {
		struct e4_xattr_area a;
		struct e4_xattr_entry *e;
		int err = areas[i](inode, &a);

		if (err) {
			ret = err;
			break;
		}
		e = e4_xattr_find(&a, index, rest);
		if (e)
			ret = value_of(&a, e, buf, size);
		e4_buf_put(a.buf);
	}
	rt_mutex_unlock(&s->xattr_lock);
	return ret;
}

static int list_area(const struct e4_xattr_area *a, char *buf, size_t size, size_t *used)
{
	for (struct e4_xattr_entry *e = e4_xattr_first(a); e; e = e4_xattr_next(a, e)) {
		const char *prefix = prefix_of(e->name_index);
		size_t n = prefix ? strlen(prefix) + e->name_len + 1 : 0;

		if (!n)
			continue;	/* not for programs */
		if (size && n > size - *used)
			return -ERANGE;
		if (size) {
			memcpy(buf + *used, prefix, strlen(prefix));
			memcpy(buf + *used + strlen(prefix), e->name, e->name_len);
			buf[*used + n - 1] = '\0';
		}
		*used += n;
	}
	return 0;
}

int e4_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	struct e4_super *s = e4_super_of(inode);
	size_t used = 0;
	int err = 0;

	rt_mutex_lock(&s->xattr_lock);
	for (size_t i = 0; !err && i < ARRAY_SIZE(areas); i++) {
		struct e4_xattr_area a;

		err = areas[i](inode, &a);
		if (err)
			break;
		err = list_area(&a, buf, size, &used);
		e4_buf_put(a.buf);
	}
	rt_mutex_unlock(&s->xattr_lock);
	return err ? err : (int)used;
}
