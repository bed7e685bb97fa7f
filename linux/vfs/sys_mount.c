/* SPDX-License-Identifier: MIT */
/*
 * mount(2), umount2(2), pivot_root(2).
 */
#include <linux/capability.h>
#include <linux/mount.h>

#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

/* A string of at most a page; NULL stays NULL. */
static int copy_string(struct lx_task *self, uaddr_t user, char **out)
{
	int err;

	*out = NULL;
	if (!user.v)
		return 0;
	err = lx_name_from_user(self, user, true, out);
	return err == -ENAMETOOLONG ? -EINVAL : err;
}

/* Mount data is a page of bytes whose end may not be mapped; we want the string in it. */
static int copy_data(uaddr_t user, char **out)
{
	size_t done = 0;
	char *s;
	long n;

	*out = NULL;
	if (!user.v)
		return 0;
	s = rt_alloc(K_PAGE_SIZE);
	if (!s)
		return -ENOMEM;
	n = rt_strncpy_from_user(s, user, K_PAGE_SIZE - 1, &done);
	while (n < 0 && !lx_fault_in(lx_self(), uaddr_add(user, done), 1, false))
		n = rt_strncpy_from_user(s, user, K_PAGE_SIZE - 1, &done);
	if (n < 0 && !done) {
		rt_free(s);
		return -EFAULT;
	}
	s[n < 0 ? done : (size_t)n] = '\0';
	*out = s;
	return 0;
}

long lx_sys_mount(struct lx_task *self, uaddr_t source, uaddr_t target, uaddr_t type,
		  unsigned int flags, uaddr_t data)
{
	char *s = NULL, *fs = NULL, *options = NULL, *where = NULL;
	int err;

	err = copy_string(self, type, &fs);
	if (!err)
		err = copy_string(self, source, &s);
	if (!err)
		err = copy_data(data, &options);
	if (!err)
		err = lx_name_from_user(self, target, false, &where);
	if (!err && !lx_capable(self, CAP_SYS_ADMIN))
		err = -EPERM;
	if (!err)
		err = lx_do_mount(self, s, where, fs, flags, options);
	lx_name_free(where);
	rt_free(options);
	lx_name_free(s);
	lx_name_free(fs);
	return err;
}

long lx_sys_umount2(struct lx_task *self, uaddr_t name, unsigned int flags)
{
	struct lx_path p;
	int err;

	if (flags & ~(unsigned int)(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	err = lx_path_at_user(self, AT_FDCWD, name,
			      flags & UMOUNT_NOFOLLOW ? 0 : LX_LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	err = lx_do_umount(self, &p, flags);
	lx_path_put(&p);
	return err;
}

long lx_sys_pivot_root(struct lx_task *self, uaddr_t new_root, uaddr_t put_old)
{
	struct lx_path n, o;
	int err;

	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	err = lx_path_at_user(self, AT_FDCWD, new_root, LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &n);
	if (err)
		return err;
	err = lx_path_at_user(self, AT_FDCWD, put_old, LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &o);
	if (!err) {
		err = lx_do_pivot_root(self, &n, &o);
		lx_path_put(&o);
	}
	lx_path_put(&n);
	return err;
}
