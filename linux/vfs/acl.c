/* SPDX-License-Identifier: MIT */
/*
 * Access control lists: what they mean, acl(5).
 *
 * The mode of a file that has a list says the same as the list about the owner and others; its group bits
 * are the mask: no named user, and no group, has more than that.
 */
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "base/byteorder.h"
#include "lx/acl.h"
#include "vfs/vfs_priv.h"

/* -- life */

struct lx_acl *lx_acl_alloc(uint32_t count)
{
	struct lx_acl *acl = rt_alloc(sizeof(*acl) + count * sizeof(acl->e[0]));

	if (!acl)
		return NULL;
	atomic_store_explicit(&acl->refs, 1, memory_order_relaxed);
	acl->count = count;
	return acl;
}

struct lx_acl *lx_acl_get(struct lx_acl *acl)
{
	atomic_fetch_add_explicit(&acl->refs, 1, memory_order_relaxed);
	return acl;
}

void lx_acl_put(struct lx_acl *acl)
{
	if (!acl || acl == LX_ACL_ASK)
		return;
	/* acq_rel: whoever frees it sees all uses before it */
	if (atomic_fetch_sub_explicit(&acl->refs, 1, memory_order_acq_rel) == 1)
		rt_free(acl);
}

struct lx_acl *lx_acl_clone(const struct lx_acl *acl)
{
	struct lx_acl *copy = lx_acl_alloc(acl->count);

	if (copy)
		memcpy(copy->e, acl->e, acl->count * sizeof(acl->e[0]));
	return copy;
}

/* -- validity */

static bool is_named(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* Where in the order of a list the tag has its place; 0: it is none. */
static unsigned int place_of(uint16_t tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return 1;
	case ACL_USER:
		return 2;
	case ACL_GROUP_OBJ:
		return 3;
	case ACL_GROUP:
		return 4;
	case ACL_MASK:
		return 5;
	case ACL_OTHER:
		return 6;
	default:
		return 0;
	}
}

int lx_acl_check(const struct lx_acl *acl)
{
	unsigned int last = 0, seen = 0;

	for (uint32_t i = 0; i < acl->count; i++) {
		const struct lx_acl_entry *e = &acl->e[i];
		unsigned int place = place_of(e->tag);

		if (!place || (e->perm & ~7u) || place < last || (place == last && !is_named(e->tag)))
			return -EINVAL;
		seen |= e->tag;
		last = place;
	}
	if ((seen & (ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER)) != (ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER))
		return -EINVAL;
	return (seen & (ACL_USER | ACL_GROUP)) && !(seen & ACL_MASK) ? -EINVAL : 0;
}

/* -- values of attributes */

#define HEADER	sizeof(struct posix_acl_xattr_header)
#define ENTRY	sizeof(struct posix_acl_xattr_entry)

int lx_acl_from_value(const void *value, size_t size, struct lx_acl **out)
{
	const uint8_t *p = value;
	struct lx_acl *acl;

	*out = NULL;
	if (size < HEADER)
		return -EINVAL;
	if (get_le32(p) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	if ((size - HEADER) % ENTRY)
		return -EINVAL;
	if (size == HEADER)
		return 0;
	acl = lx_acl_alloc((uint32_t)((size - HEADER) / ENTRY));
	if (!acl)
		return -ENOMEM;
	p += HEADER;
	for (uint32_t i = 0; i < acl->count; i++, p += ENTRY) {
		struct lx_acl_entry *e = &acl->e[i];

		*e = (struct lx_acl_entry){ get_le16(p), get_le16(p + 2), ACL_UNDEFINED_ID };
		if (is_named(e->tag))
			e->id = get_le32(p + 4);
		if (!place_of(e->tag) || (is_named(e->tag) && e->id == (uint32_t)ACL_UNDEFINED_ID)) {
			lx_acl_put(acl);
			return -EINVAL;
		}
	}
	*out = acl;
	return 0;
}

size_t lx_acl_value_size(const struct lx_acl *acl)
{
	return HEADER + acl->count * ENTRY;
}

void lx_acl_to_value(const struct lx_acl *acl, void *value)
{
	uint8_t *p = value;

	put_le32(p, POSIX_ACL_XATTR_VERSION);
	p += HEADER;
	for (uint32_t i = 0; i < acl->count; i++, p += ENTRY) {
		put_le16(p, acl->e[i].tag);
		put_le16(p + 2, acl->e[i].perm);
		put_le32(p + 4, acl->e[i].id);
	}
}

/* -- permission */

/* @e grants it if the mask, which comes behind it if there is one, does not take it away. */
static int masked(const struct lx_acl *acl, const struct lx_acl_entry *e, unsigned int want)
{
	unsigned int perm = e->perm;

	for (const struct lx_acl_entry *m = e + 1; m < acl->e + acl->count; m++)
		if (m->tag == ACL_MASK)
			perm &= m->perm;
	return want & ~perm ? -EACCES : 0;
}

int lx_acl_permits(const struct lx_acl *acl, const struct lx_cred *cred, lx_uid_t uid, lx_gid_t gid,
		   int mask)
{
	unsigned int want = (unsigned int)mask & 7;
	bool found = false;

	for (uint32_t i = 0; i < acl->count; i++) {
		const struct lx_acl_entry *e = &acl->e[i];

		switch (e->tag) {
		case ACL_USER_OBJ:
			if (uid == cred->fsuid)
				return want & ~(unsigned int)e->perm ? -EACCES : 0;
			break;
		case ACL_USER:
			if (e->id == cred->fsuid)
				return masked(acl, e, want);
			break;
		case ACL_GROUP_OBJ:
		case ACL_GROUP:
			if (!lx_cred_in_group(cred, e->tag == ACL_GROUP ? e->id : gid))
				break;
			found = true;
			if (!(want & ~(unsigned int)e->perm))
				return masked(acl, e, want);
			break;
		case ACL_MASK:
			break;
		case ACL_OTHER:
			return found || (want & ~(unsigned int)e->perm) ? -EACCES : 0;
		default:
			return -EIO;
		}
	}
	return -EIO;
}

/* -- lists and modes */

bool lx_acl_to_mode(const struct lx_acl *acl, lx_mode_t *mode)
{
	lx_mode_t m = 0;
	bool more = false;

	for (uint32_t i = 0; i < acl->count; i++) {
		lx_mode_t perm = acl->e[i].perm & 7;

		switch (acl->e[i].tag) {
		case ACL_USER_OBJ:
			m |= perm << 6;
			break;
		case ACL_GROUP_OBJ:
			m |= perm << 3;
			break;
		case ACL_OTHER:
			m |= perm;
			break;
		case ACL_MASK:
			m = (m & ~(lx_mode_t)070) | perm << 3;
			more = true;
			break;
		default:
			more = true;
			break;
		}
	}
	*mode = (*mode & ~(lx_mode_t)0777) | m;
	return more;
}

static struct lx_acl_entry *find(struct lx_acl *acl, uint16_t tag)
{
	for (uint32_t i = 0; i < acl->count; i++)
		if (acl->e[i].tag == tag)
			return &acl->e[i];
	return NULL;
}

/* The entries that the mode has bits for: owner, mask or else owning group, others. */
static int of_mode(struct lx_acl *acl, struct lx_acl_entry *out[3])
{
	out[0] = find(acl, ACL_USER_OBJ);
	out[1] = find(acl, ACL_MASK);
	if (!out[1])
		out[1] = find(acl, ACL_GROUP_OBJ);
	out[2] = find(acl, ACL_OTHER);
	return out[0] && out[1] && out[2] ? 0 : -EIO;
}

int lx_acl_from_mode(struct lx_acl *acl, lx_mode_t mode)
{
	struct lx_acl_entry *e[3];
	int err = of_mode(acl, e);

	for (unsigned int i = 0; !err && i < 3; i++)
		e[i]->perm = mode >> (6 - 3 * i) & 7;
	return err;
}

int lx_acl_create(struct lx_acl *acl, lx_mode_t *mode)
{
	struct lx_acl_entry *e[3];
	lx_mode_t left = *mode;
	int err = of_mode(acl, e);

	if (err)
		return err;
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int shift = 6 - 3 * i;

		e[i]->perm &= left >> shift & 7;
		left = (left & ~((lx_mode_t)7 << shift)) | (lx_mode_t)e[i]->perm << shift;
	}
	*mode = left;
	return find(acl, ACL_MASK) || find(acl, ACL_USER) || find(acl, ACL_GROUP);
}
