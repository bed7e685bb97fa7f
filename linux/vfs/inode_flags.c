/* SPDX-License-Identifier: MIT */
/*
 * Flags of inodes (chattr(1)): ioctl_iflags(2), for file systems that keep them.  What the VFS does about
 * those that it knows is where it does it: LX_INODE_IMMUTABLE and the like.
 */
#include <linux/capability.h>
#include <linux/fs.h>

#include "lx/mm.h"
#include "vfs/vfs_priv.h"

void lx_inode_apply_flags(struct lx_inode *inode, uint32_t flags)
{
	inode->iflags &= ~(LX_INODE_IMMUTABLE | LX_INODE_APPEND | LX_INODE_NOATIME);
	if (flags & FS_IMMUTABLE_FL)
		inode->iflags |= LX_INODE_IMMUTABLE;
	if (flags & FS_APPEND_FL)
		inode->iflags |= LX_INODE_APPEND;
	if (flags & FS_NOATIME_FL)
		inode->iflags |= LX_INODE_NOATIME;
}

long lx_ioctl_getflags(struct lx_file *f, uaddr_t to)
{
	struct lx_inode *inode = f->inode;
	uint32_t flags;

	rt_mutex_lock(&inode->lock);
	flags = inode->ops->get_flags(inode);
	rt_mutex_unlock(&inode->lock);
	return lx_copy_to_user(to, &flags, sizeof(flags)) ? -EFAULT : 0;
}

static int set_locked(struct lx_task *self, struct lx_inode *inode, uint32_t flags)
{
	uint32_t changed = flags ^ inode->ops->get_flags(inode);

	if ((changed & (FS_IMMUTABLE_FL | FS_APPEND_FL)) && !lx_capable(self, CAP_LINUX_IMMUTABLE))
		return -EPERM;
	return inode->ops->set_flags(inode, flags);
}

long lx_ioctl_setflags(struct lx_task *self, struct lx_file *f, uaddr_t from)
{
	struct lx_inode *inode = f->inode;
	uint32_t flags;
	int err;

	if (lx_copy_from_user(&flags, from, sizeof(flags)))
		return -EFAULT;
	err = lx_want_write(&f->path);
	if (!err && !lx_inode_owner_or_capable(self, inode))
		err = -EPERM;
	if (err)
		return err;
	rt_mutex_lock(&inode->lock);
	err = set_locked(self, inode, flags);
	rt_mutex_unlock(&inode->lock);
	return err;
}
