/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: behind the inode, and, for those that many inodes have, in an area of their own.
 */
#include <linux/xattr.h>

#include "fs/erofs/erofs_priv.h"
#include "lx/acl.h"

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
	int err = erofs_read_meta(s, off, head, sizeof(head));

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
	err = erofs_read_meta(s, off + sizeof(head), name + strlen(prefix), name_len);
	if (!err)
		err = erofs_read_meta(s, off + sizeof(head) + name_len,
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
	struct erofs_super *s = erofs_super_of(inode->sb);
	struct erofs_inode *info = erofs_info_of(inode);
	uint64_t off = info->offset + info->inode_size, end = off + info->xattr_size, next;
	uint8_t head[EROFS_XATTR_HEADER];
	int err;

	if (!info->xattr_size)
		return 0;
	err = erofs_read_meta(s, off, head, sizeof(head));
	off += sizeof(head);
	for (uint32_t i = 0; !err && i < head[XH_SHARED]; i++, off += 4) {
		uint8_t id[4];

		if (off + 4 > end)
			return -EUCLEAN;
		err = erofs_read_meta(s, off, id, sizeof(id));
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

int erofs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
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

int erofs_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	struct list_xattr x = { buf, size, 0 };
	int err = for_each_xattr(inode, add_name, &x);

	return err ? err : (int)x.used;
}

/* The image has access control lists as programs see them. */
int erofs_get_acl(struct lx_inode *inode, bool def, struct lx_acl **acl)
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
