/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes kept in memory, in the order in which they were made.  The
 * inode that they belong to is locked by the caller for changes; reads take the
 * same lock (see sys_xattr.c).
 */
#include <linux/limits.h>
#include <linux/xattr.h>

#include "vfs/vfs_priv.h"

struct xattr {
	struct list link;
	size_t size;
	char *name;
	char value[];			/* the value, then the name */
};

void lx_xattrs_init(struct lx_xattrs *x)
{
	list_init(&x->list);
	x->bytes = 0;
}

void lx_xattrs_free(struct lx_xattrs *x)
{
	struct xattr *a;

	if (!x->list.next)
		return;			/* never initialised */
	while ((a = list_pop_entry(&x->list, struct xattr, link)))
		rt_free(a);
}

static struct xattr *find(struct lx_xattrs *x, const char *name)
{
	struct xattr *a;

	list_for_each_entry(a, &x->list, link)
		if (str_equal(a->name, name))
			return a;
	return NULL;
}

int lx_xattrs_get(struct lx_xattrs *x, const char *name, void *buf, size_t size)
{
	struct xattr *a = find(x, name);

	if (!a)
		return -ENODATA;
	if (!size)
		return (int)a->size;
	if (size < a->size)
		return -ERANGE;
	memcpy(buf, a->value, a->size);
	return (int)a->size;
}

int lx_xattrs_set(struct lx_xattrs *x, const char *name, const void *val, size_t size, int flags)
{
	struct xattr *old = find(x, name), *a;
	size_t n = strlen(name) + 1;

	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	/* what one file may hold: a program cannot fill the memory with attributes */
	if (x->bytes + size + n > 4 * XATTR_SIZE_MAX)
		return -ENOSPC;
	a = rt_alloc(sizeof(*a) + size + n);
	if (!a)
		return -ENOMEM;
	a->size = size;
	memcpy(a->value, val, size);
	a->name = a->value + size;
	memcpy(a->name, name, n);
	x->bytes += size + n;
	if (old) {
		list_replace(&old->link, &a->link);
		x->bytes -= old->size + n;
		rt_free(old);
	} else {
		list_add_last(&x->list, &a->link);
	}
	return 0;
}

int lx_xattrs_list(struct lx_xattrs *x, char *buf, size_t size)
{
	struct xattr *a;
	size_t total = 0;

	list_for_each_entry(a, &x->list, link) {
		size_t n = strlen(a->name) + 1;

		if (size) {
			if (total + n > size)
				return -ERANGE;
			memcpy(buf + total, a->name, n);
		}
		total += n;
	}
	return (int)total;
}

int lx_xattrs_remove(struct lx_xattrs *x, const char *name)
{
	struct xattr *a = find(x, name);

	if (!a)
		return -ENODATA;
	x->bytes -= a->size + strlen(a->name) + 1;
	list_remove(&a->link);
	rt_free(a);
	return 0;
}
