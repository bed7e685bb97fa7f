/* SPDX-License-Identifier: MIT */
/*
 * Path strings of a program, copied in.
 *
 * Most are short: struct lx_name has room for those on the caller's stack, and only
 * a longer one costs an allocation (of PATH_MAX bytes, since its length is not known
 * before it was copied).  A name is copied once and checked in the copy: the program
 * may write into its own at any time.
 */
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

int lx_name_copy(struct lx_name *n, uaddr_t user, bool empty_ok)
{
	size_t done = 0;
	long len;

	n->s = n->small;
	len = rt_strncpy_from_user(n->small, user, sizeof(n->small), &done);
	if (unlikely(len < 0 || (size_t)len == sizeof(n->small))) {
		n->s = rt_alloc(LX_PATH_MAX);
		if (!n->s) {
			n->s = n->small;
			return -ENOMEM;
		}
		for (;;) {
			len = rt_strncpy_from_user(n->s, user, LX_PATH_MAX, &done);
			if (len >= 0)
				break;
			if (lx_fault_in(lx_self(), uaddr_add(user, done), 1, false)) {
				lx_name_done(n);
				n->s = n->small;
				return -EFAULT;
			}
		}
		if (len == LX_PATH_MAX) {
			lx_name_done(n);
			n->s = n->small;
			return -ENAMETOOLONG;
		}
	}
	n->len = (size_t)len;
	if (!len && !empty_ok)
		return -ENOENT;		/* small: nothing to free */
	return 0;
}

int lx_name_from_user(struct lx_task *self, uaddr_t user, bool empty_ok, char **out)
{
	struct lx_name n;
	int err = lx_name_copy(&n, user, empty_ok);

	if (err)
		return err;
	if (n.s == n.small) {
		*out = rt_alloc(n.len + 1);
		if (!*out)
			return -ENOMEM;
		memcpy(*out, n.small, n.len + 1);
	} else {
		*out = n.s;
	}
	return 0;
}

void lx_name_free(char *name)
{
	rt_free(name);
}
