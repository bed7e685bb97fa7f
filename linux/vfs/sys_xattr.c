/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: who may see and change which name spaces.
 */
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/xattr.h>

#include "lx/acl.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

static int copy_key(uaddr_t user, char key[XATTR_NAME_MAX + 1])
{
	size_t done;
	long n = rt_strncpy_from_user(key, user, XATTR_NAME_MAX + 1, &done);

	if (n < 0) {
		if (lx_fault_in(lx_self(), uaddr_add(user, done), 1, false))
			return -EFAULT;
		n = rt_strncpy_from_user(key, user, XATTR_NAME_MAX + 1, &done);
		if (n < 0)
			return -EFAULT;
	}
	return n == 0 || n > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* The rules that do not depend on the file system. */
static int allowed(struct lx_task *self, const struct lx_path *p, const char *key, int mask)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	bool def;

	if (mask & LX_MAY_WRITE) {
		int err = lx_want_write(p);

		if (err)
			return err;
		if (inode->iflags & (LX_INODE_IMMUTABLE | LX_INODE_APPEND))
			return -EPERM;
	}
	if (str_has_prefix(key, XATTR_SECURITY_PREFIX)) {
		if ((mask & LX_MAY_WRITE) && !lx_capable(self, CAP_SYS_ADMIN))
			return -EPERM;
		return 0;
	}
	if (str_has_prefix(key, XATTR_SYSTEM_PREFIX))
		return lx_acl_is_name(key, &def) ? 0 : -EOPNOTSUPP;	/* inode_acl.c goes on */
	if (str_has_prefix(key, XATTR_TRUSTED_PREFIX)) {
		if (!lx_capable(self, CAP_SYS_ADMIN))
			return mask & LX_MAY_WRITE ? -EPERM : -ENODATA;
		return 0;
	}
	if (!str_has_prefix(key, XATTR_USER_PREFIX))
		return -EOPNOTSUPP;
	/* user.*: files and directories only; in sticky directories the owner's alone */
	if (!lx_is_reg(inode) && !lx_is_dir(inode))
		return mask & LX_MAY_WRITE ? -EPERM : -ENODATA;
	if (lx_is_dir(inode) && (inode->mode & S_ISVTX) && (mask & LX_MAY_WRITE) &&
	    !lx_inode_owner_or_capable(self, inode))
		return -EPERM;
	return lx_inode_permission(self, inode, mask);
}

static int set(struct lx_task *self, struct lx_inode *inode, const char *key, const void *value,
	       size_t size, unsigned int flags)
{
	bool def;
	int err;

	if (lx_acl_is_name(key, &def))
		return lx_inode_acl_set_value(self, inode, def, value, size);
	if (!inode->ops->setxattr)
		return -EOPNOTSUPP;
	rt_mutex_lock(&inode->lock);
	err = inode->ops->setxattr(inode, key, value, size, (int)flags);
	rt_mutex_unlock(&inode->lock);
	return err;
}

static long do_set(struct lx_task *self, const struct lx_path *p, uaddr_t ukey, uaddr_t uvalue,
		   size_t size, unsigned int flags)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	char key[XATTR_NAME_MAX + 1];
	void *value;
	long err;

	if (flags & ~(unsigned int)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	err = copy_key(ukey, key);
	if (err)
		return err;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	value = rt_alloc(size + 1);
	if (!value)
		return -ENOMEM;
	err = lx_copy_from_user(value, uvalue, size);
	if (!err)
		err = allowed(self, p, key, LX_MAY_WRITE);
	if (!err)
		err = set(self, inode, key, value, size, flags);
	rt_free(value);
	if (!err)
		lx_notify(inode, p->dentry, 4 /* IN_ATTRIB */);
	return err;
}

static long get(struct lx_inode *inode, const char *key, void *value, size_t size)
{
	bool def;
	long n;

	if (lx_acl_is_name(key, &def))
		return lx_inode_acl_get_value(inode, def, value, size);
	if (!inode->ops || !inode->ops->getxattr)
		return -EOPNOTSUPP;
	rt_mutex_lock(&inode->lock);
	n = inode->ops->getxattr(inode, key, value, size);
	rt_mutex_unlock(&inode->lock);
	return n;
}

static long do_get(struct lx_task *self, const struct lx_path *p, uaddr_t ukey, uaddr_t uvalue,
		   size_t size)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	char key[XATTR_NAME_MAX + 1];
	void *value = NULL;
	long n = copy_key(ukey, key);

	if (n)
		return n;
	size = MIN(size, (size_t)XATTR_SIZE_MAX);
	if (size) {
		value = rt_alloc(size);
		if (!value)
			return -ENOMEM;
	}
	n = allowed(self, p, key, LX_MAY_READ);
	if (!n)
		n = get(inode, key, value, size);
	if (n > 0 && size && lx_copy_to_user(uvalue, value, (size_t)n))
		n = -EFAULT;
	rt_free(value);
	return n;
}

/* Names that the caller may not know of are left out. */
static long filter(struct lx_task *self, char *list, long n)
{
	long out = 0;

	for (long i = 0; i < n;) {
		long len = (long)strlen(list + i) + 1;

		if (!str_has_prefix(list + i, XATTR_TRUSTED_PREFIX) ||
		    lx_capable(self, CAP_SYS_ADMIN)) {
			memmove(list + out, list + i, (size_t)len);
			out += len;
		}
		i += len;
	}
	return out;
}

static long do_list(struct lx_task *self, const struct lx_path *p, uaddr_t user, size_t size)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	char *list;
	long n;

	if (!inode->ops || !inode->ops->listxattr)
		return 0;
	list = rt_alloc(XATTR_LIST_MAX);
	if (!list)
		return -ENOMEM;
	rt_mutex_lock(&inode->lock);
	n = inode->ops->listxattr(inode, list, XATTR_LIST_MAX);
	rt_mutex_unlock(&inode->lock);
	if (n > 0)
		n = filter(self, list, n);
	if (n > 0 && size) {
		if ((size_t)n > size)
			n = -ERANGE;
		else if (lx_copy_to_user(user, list, (size_t)n))
			n = -EFAULT;
	}
	rt_free(list);
	return n;
}

static int remove(struct lx_task *self, struct lx_inode *inode, const char *key)
{
	bool def;
	int err;

	if (lx_acl_is_name(key, &def))
		return lx_inode_acl_set_value(self, inode, def, NULL, 0);
	if (!inode->ops->removexattr)
		return -EOPNOTSUPP;
	rt_mutex_lock(&inode->lock);
	err = inode->ops->removexattr(inode, key);
	rt_mutex_unlock(&inode->lock);
	return err;
}

static long do_remove(struct lx_task *self, const struct lx_path *p, uaddr_t ukey)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	char key[XATTR_NAME_MAX + 1];
	long err = copy_key(ukey, key);

	if (!err)
		err = allowed(self, p, key, LX_MAY_WRITE);
	if (!err)
		err = remove(self, inode, key);
	if (!err)
		lx_notify(inode, p->dentry, 4 /* IN_ATTRIB */);
	return err;
}

/* The three ways to name the file: by path, by path without following, by descriptor. */
static int by_path(struct lx_task *self, uaddr_t name, unsigned int follow, struct lx_path *p)
{
	return lx_path_at_user(self, AT_FDCWD, name, follow, p);
}

static int by_fd(struct lx_task *self, int fd, struct lx_path *p)
{
	struct lx_file *f = lx_fd_get(self, fd);

	if (!f)
		return -EBADF;
	*p = f->path;
	lx_path_get(p);
	lx_file_put(f);
	return 0;
}

#define WITH_PATH(find, act) \
({ \
	struct lx_path p; \
	long ret_ = (find); \
	if (!ret_) { \
		ret_ = (act); \
		lx_path_put(&p); \
	} \
	ret_; \
})

long lx_sys_setxattr(struct lx_task *self, uaddr_t name, uaddr_t key, uaddr_t value, size_t size,
		     unsigned int flags)
{
	return WITH_PATH(by_path(self, name, LX_LOOKUP_FOLLOW, &p),
			 do_set(self, &p, key, value, size, flags));
}

long lx_sys_lsetxattr(struct lx_task *self, uaddr_t name, uaddr_t key, uaddr_t value, size_t size,
		      unsigned int flags)
{
	return WITH_PATH(by_path(self, name, 0, &p), do_set(self, &p, key, value, size, flags));
}

long lx_sys_fsetxattr(struct lx_task *self, int fd, uaddr_t key, uaddr_t value, size_t size,
		      unsigned int flags)
{
	return WITH_PATH(by_fd(self, fd, &p), do_set(self, &p, key, value, size, flags));
}

long lx_sys_getxattr(struct lx_task *self, uaddr_t name, uaddr_t key, uaddr_t value, size_t size)
{
	return WITH_PATH(by_path(self, name, LX_LOOKUP_FOLLOW, &p),
			 do_get(self, &p, key, value, size));
}

long lx_sys_lgetxattr(struct lx_task *self, uaddr_t name, uaddr_t key, uaddr_t value, size_t size)
{
	return WITH_PATH(by_path(self, name, 0, &p), do_get(self, &p, key, value, size));
}

long lx_sys_fgetxattr(struct lx_task *self, int fd, uaddr_t key, uaddr_t value, size_t size)
{
	return WITH_PATH(by_fd(self, fd, &p), do_get(self, &p, key, value, size));
}

long lx_sys_listxattr(struct lx_task *self, uaddr_t name, uaddr_t list, size_t size)
{
	return WITH_PATH(by_path(self, name, LX_LOOKUP_FOLLOW, &p), do_list(self, &p, list, size));
}

long lx_sys_llistxattr(struct lx_task *self, uaddr_t name, uaddr_t list, size_t size)
{
	return WITH_PATH(by_path(self, name, 0, &p), do_list(self, &p, list, size));
}

long lx_sys_flistxattr(struct lx_task *self, int fd, uaddr_t list, size_t size)
{
	return WITH_PATH(by_fd(self, fd, &p), do_list(self, &p, list, size));
}

long lx_sys_removexattr(struct lx_task *self, uaddr_t name, uaddr_t key)
{
	return WITH_PATH(by_path(self, name, LX_LOOKUP_FOLLOW, &p), do_remove(self, &p, key));
}

long lx_sys_lremovexattr(struct lx_task *self, uaddr_t name, uaddr_t key)
{
	return WITH_PATH(by_path(self, name, 0, &p), do_remove(self, &p, key));
}

long lx_sys_fremovexattr(struct lx_task *self, int fd, uaddr_t key)
{
	return WITH_PATH(by_fd(self, fd, &p), do_remove(self, &p, key));
}
