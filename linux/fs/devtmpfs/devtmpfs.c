/* SPDX-License-Identifier: MIT */
/*
 * devtmpfs: one tmpfs, the same for every mount, into which drivers put the nodes
 * of their devices.
 */
#include <linux/mount.h>

#include "fs/devtmpfs/devtmpfs.h"
#include "fs/tmpfs/tmpfs.h"

static struct lx_super *dev;		/* constant after lx_devtmpfs_init() */

static int mount_dev(const struct lx_fs_type *type, const char *source, unsigned long flags,
		     const char *options, struct lx_super **out)
{
	*out = lx_super_get(dev);
	return 0;
}

static struct lx_fs_type type = { .name = "devtmpfs", .flags = LX_FS_NODEV, .mount = mount_dev };

int lx_devtmpfs_init(void)
{
	lx_fs_register(&type);
	return lx_tmpfs_make(&type, "mode=755", true, &dev);
}

/* The child @name of @dir, made as a directory if it is not there; puts @dir. */
static int enter(struct lx_dentry *dir, const char *name, uint32_t len, struct lx_dentry **out)
{
	struct lx_qstr q = { name, len, lx_name_hash(name, len) };
	struct lx_inode *inode = lx_d_inode(dir);
	struct lx_dentry *d;
	int err;

	rt_mutex_lock(&inode->lock);
	err = lx_lookup_locked(dir, &q, &d);
	if (!err && lx_d_negative(d))
		err = inode->ops->mkdir(inode, d, 0755);
	rt_mutex_unlock(&inode->lock);
	lx_dentry_put(dir);
	if (!err)
		*out = d;
	return err;
}

static int walk(const char **name, struct lx_dentry **dir)
{
	const char *slash;
	int err = 0;

	*dir = lx_dentry_get(dev->root);
	while (!err && (slash = strchr(*name, '/'))) {
		err = enter(*dir, *name, (uint32_t)(slash - *name), dir);
		*name = slash + 1;
	}
	return err;
}

static int make(const char *name, lx_mode_t mode, lx_dev_t rdev, const char *target)
{
	struct lx_dentry *dir, *d;
	struct lx_inode *inode;
	struct lx_qstr q;
	int err;

	if (!dev)
		return -ENODEV;
	err = walk(&name, &dir);
	if (err)
		return err;
	q = (struct lx_qstr){ name, (uint32_t)strlen(name), 0 };
	q.hash = lx_name_hash(name, q.len);
	inode = lx_d_inode(dir);
	rt_mutex_lock(&inode->lock);
	err = lx_lookup_locked(dir, &q, &d);
	if (!err) {
		if (!lx_d_negative(d))
			err = -EEXIST;
		else if (target)
			err = inode->ops->symlink(inode, d, target);
		else if ((mode & S_IFMT) == S_IFDIR)
			err = inode->ops->mkdir(inode, d, mode);
		else
			err = inode->ops->mknod(inode, d, mode, rdev);
		if (!err) {
			/* the system's, whoever's task happens to run the driver's code */
			lx_d_inode(d)->uid = 0;
			lx_d_inode(d)->gid = 0;
		}
		lx_dentry_put(d);
	}
	rt_mutex_unlock(&inode->lock);
	lx_dentry_put(dir);
	return err;
}

int lx_devtmpfs_create(const char *name, lx_mode_t mode, lx_dev_t rdev)
{
	return make(name, mode, rdev, NULL);
}

int lx_devtmpfs_symlink(const char *name, const char *target)
{
	return make(name, 0, 0, target);
}

int lx_devtmpfs_mkdir(const char *name)
{
	return make(name, S_IFDIR | 0755, 0, NULL);
}

/* Only what is still the device's node: what a program put in its place is the program's. */
static int remove_locked(struct lx_dentry *dir, const char *name, lx_dev_t rdev,
			 struct lx_inode **gone)
{
	struct lx_qstr q = { name, (uint32_t)strlen(name), 0 };
	struct lx_inode *inode = lx_d_inode(dir), *node;
	struct lx_dentry *d;
	int err;

	q.hash = lx_name_hash(name, q.len);
	err = lx_lookup_locked(dir, &q, &d);
	if (err)
		return err;
	node = lx_d_inode(d);
	if (!node)
		err = -ENOENT;
	else if (node->rdev != rdev || (lx_d_flags(d) & LX_DENTRY_MOUNTED))
		err = -EBUSY;
	else
		err = inode->ops->unlink(inode, d);
	if (!err) {
		*gone = lx_inode_get(node);
		atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
		lx_dentry_unhash(d);
	}
	lx_dentry_put(d);
	return err;
}

int lx_devtmpfs_remove(const char *name, lx_dev_t rdev)
{
	struct lx_inode *gone = NULL;
	struct lx_dentry *dir;
	int err;

	if (!dev)
		return -ENODEV;
	err = walk(&name, &dir);
	if (err)
		return err;
	rt_mutex_lock(&lx_d_inode(dir)->lock);
	err = remove_locked(dir, name, rdev, &gone);
	rt_mutex_unlock(&lx_d_inode(dir)->lock);
	lx_dentry_put(dir);
	if (gone)
		lx_inode_put(gone);
	return err;
}

int lx_devtmpfs_mount(struct lx_task *self)
{
	int err = lx_do_mount(self, "devtmpfs", "/dev", "devtmpfs", MS_SILENT | MS_NOSUID, NULL);

	if (!err)
		rt_log(RT_LOG_INFO, "devtmpfs: mounted");
	return err;
}
