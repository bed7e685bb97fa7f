/* SPDX-License-Identifier: MIT */
/*
 * Access control lists, which are attributes with a format of their own: a version, and entries that have
 * an id only if they are about somebody by name.  In memory they hang on the inode (lx/acl.h).
 */
#include <linux/posix_acl.h>
#include <linux/xattr.h>

#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"
#include "fs/ext4/xattr.h"
#include "lx/acl.h"

#define VERSION	1u
#define HEADER	4u			/* bytes: the version */
#define SHORT	4u			/* an entry without an id */
#define LONG	8u

static const char *name_of(bool def)
{
	return def ? XATTR_NAME_POSIX_ACL_DEFAULT : XATTR_NAME_POSIX_ACL_ACCESS;
}

static uint32_t entry_size(unsigned int tag)
{
	return tag == ACL_USER || tag == ACL_GROUP ? LONG : SHORT;
}

/* -- between disk and memory */

static bool is_tag(unsigned int tag)
{
	return tag && !(tag & (tag - 1)) && tag <= ACL_OTHER;
}

/* Entries of a value, or -EINVAL. */
static int count(const uint8_t *p, size_t size)
{
	size_t at = HEADER;
	int n = 0;

	if (size < HEADER || get_le32(p) != VERSION)
		return -EINVAL;
	for (; at + SHORT <= size; n++) {
		if (!is_tag(get_le16(p + at)))
			return -EINVAL;
		at += entry_size(get_le16(p + at));
	}
	return at == size ? n : -EINVAL;
}

static int decode(const uint8_t *p, size_t size, struct lx_acl **out)
{
	int n = count(p, size);
	struct lx_acl *acl;

	*out = NULL;
	if (n <= 0)
		return n;
	acl = lx_acl_alloc((uint32_t)n);
	if (!acl)
		return -ENOMEM;
	p += HEADER;
	for (int i = 0; i < n; i++) {
		uint16_t tag = get_le16(p);

		acl->e[i] = (struct lx_acl_entry){ tag, get_le16(p + 2), ACL_UNDEFINED_ID };
		if (entry_size(tag) == LONG)
			acl->e[i].id = get_le32(p + SHORT);
		p += entry_size(tag);
	}
	*out = acl;
	return 0;
}

/* NULL: no memory. */
static uint8_t *encode(const struct lx_acl *acl, size_t *size)
{
	uint8_t *value = rt_alloc(HEADER + acl->count * LONG), *p = value;

	if (!value)
		return NULL;
	put_le32(p, VERSION);
	p += HEADER;
	for (uint32_t i = 0; i < acl->count; i++) {
		const struct lx_acl_entry *e = &acl->e[i];

		put_le16(p, e->tag);
		put_le16(p + 2, e->perm);
		if (entry_size(e->tag) == LONG)
			put_le32(p + SHORT, e->id);
		p += entry_size(e->tag);
	}
	*size = (size_t)(p - value);
	return value;
}

/* -- for the VFS */

int e4_get_acl(struct lx_inode *inode, bool def, struct lx_acl **acl)
{
	uint32_t room = e4_super_of(inode)->block_size;
	uint8_t *value = rt_alloc(room);
	int n;

	*acl = NULL;
	if (!value)
		return -ENOMEM;
	/* no value is larger than a block */
	n = e4_getxattr(inode, name_of(def), value, room);
	if (n >= 0)
		n = decode(value, (size_t)n, acl);
	rt_free(value);
	return n == -ENODATA ? 0 : n;
}

int e4_acl_store(struct e4_handle *h, struct lx_inode *inode, bool def, struct lx_acl *acl)
{
	uint8_t *value = NULL;
	size_t size = 0;
	int err = 0;

	if (acl) {
		value = encode(acl, &size);
		err = value ? 0 : -ENOMEM;
	}
	if (!err)
		err = e4_xattr_change(h, inode, name_of(def), value, size, 0);
	rt_free(value);
	return !acl && err == -ENODATA ? 0 : err;
}

int e4_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode)
{
	struct e4_handle h;
	int err = e4_begin(e4_super_of(inode), E4_CREDITS_XATTR + 1, &h);

	if (err)
		return err;
	err = e4_acl_store(&h, inode, def, acl);
	if (!err) {
		inode->mode = mode;
		lx_inode_touch(inode, LX_ATTR_CTIME);
		err = e4_store(&h, inode);
	}
	err = e4_end(&h, err);
	if (!err)
		lx_inode_acl_set(inode, def, acl ? lx_acl_get(acl) : NULL);
	return err;
}
