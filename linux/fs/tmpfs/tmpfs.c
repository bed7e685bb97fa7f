/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files in memory.  Also rootfs (without limits), ramfs and devtmpfs.
 *
 * File data lies in the page cache, whose pages are the file; dir.c has the
 * directories, charge.c what files count for.
 *
 * Locking: an inode's entries, symlink text, charge and attributes by its lock; a
 * super block's counters are atomic.
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/xattr.h>
#include <asm/statfs.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "fs/tmpfs/tmpfs_impl.h"
#include "lx/acl.h"

#define FLAGS		(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define INHERITED	(FS_NODUMP_FL | FS_NOATIME_FL)

static struct lx_fs_type tmpfs_type, ramfs_type;
static const struct lx_inode_ops special_iops;
static const struct lx_super_ops sops;

/* -- inodes */

struct lx_inode *tmpfs_new_inode(struct lx_super *sb, struct lx_inode *dir, lx_mode_t mode,
				 lx_dev_t rdev)
{
	struct tmpfs_super *s = tmpfs_super(sb);
	struct lx_task *self = lx_self();
	struct lx_inode *inode;
	struct tmpfs_node *n;

	if (!tmpfs_take(&s->used_inodes, s->max_inodes, 1))
		return NULL;
	n = rt_zalloc(sizeof(*n));
	inode = n ? lx_inode_create(sb, mode) : NULL;
	if (!inode) {
		rt_free(n);
		atomic_fetch_sub(&s->used_inodes, 1);
		return NULL;
	}
	lx_xattrs_init(&n->xattrs);
	n->next_cookie = FIRST_COOKIE;
	n->flags = dir ? tmpfs_node(dir)->flags & INHERITED : 0;
	lx_inode_apply_flags(inode, n->flags);
	inode->private = n;
	inode->rdev = rdev;
	if (self && self->cred) {
		inode->uid = self->cred->fsuid;
		inode->gid = self->cred->fsgid;
	}
	if (dir && (dir->mode & S_ISGID)) {
		inode->gid = dir->gid;
		if ((mode & S_IFMT) == S_IFDIR)
			inode->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && self && self->cred &&
			 !lx_cred_in_group(self->cred, dir->gid) && !lx_capable(self, 4 /* FSETID */))
			inode->mode &= ~(lx_mode_t)S_ISGID;
	}
	switch (mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &tmpfs_dir_iops;
		inode->fops = &tmpfs_dir_fops;
		atomic_store(&inode->nlink, 2);
		atomic_store(&inode->size, 2 * ENTRY_SIZE);
		n->parent = dir ? dir : inode;
		break;
	case S_IFREG:
		inode->ops = &tmpfs_reg_iops;
		inode->fops = &lx_regular_fops;
		break;
	case S_IFLNK:
		inode->ops = &tmpfs_link_iops;
		break;
	default:
		inode->ops = &special_iops;
		break;
	}
	return inode;
}

int tmpfs_new_child(struct lx_inode *dir, lx_mode_t mode, lx_dev_t rdev, struct lx_inode **out)
{
	struct lx_acl *acl, *def;
	struct lx_inode *inode;
	int err = lx_acl_inherit(dir, &mode, &acl, &def);

	if (err)
		return err;
	inode = tmpfs_new_inode(dir->sb, dir, mode, rdev);
	if (!inode) {
		lx_acl_put(acl);
		lx_acl_put(def);
		return -ENOSPC;
	}
	if (acl)
		lx_inode_acl_set(inode, false, acl);
	if (def)
		lx_inode_acl_set(inode, true, def);
	*out = inode;
	return 0;
}

static void evict(struct lx_inode *inode)
{
	struct tmpfs_super *s = tmpfs_super(inode->sb);
	struct tmpfs_node *n = tmpfs_node(inode);

	atomic_fetch_sub(&s->used_blocks, n->charged);
	atomic_fetch_sub(&s->used_inodes, 1);
	lx_xattrs_free(&n->xattrs);
	rt_free(n->target);
	rt_free(n);
}

/* -- extended attributes */

int tmpfs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	return lx_xattrs_get(&tmpfs_node(inode)->xattrs, name, buf, size);
}

int tmpfs_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size,
		   int flags)
{
	int err = lx_xattrs_set(&tmpfs_node(inode)->xattrs, name, val, size, flags);

	if (!err)
		lx_inode_touch(inode, LX_ATTR_CTIME);
	return err;
}

/* Lists come first, as on Linux. */
int tmpfs_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	static const char *const names[] = { XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT };
	const bool has[] = { atomic_load(&inode->acl), atomic_load(&inode->default_acl) };
	size_t used = 0;
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]) + 1;

		if (!has[i])
			continue;
		if (size && used + len > size)
			return -ERANGE;
		if (size)
			memcpy(buf + used, names[i], len);
		used += len;
	}
	if (size && used == size)
		return lx_xattrs_list(&tmpfs_node(inode)->xattrs, NULL, 0) ? -ERANGE : (int)used;
	n = lx_xattrs_list(&tmpfs_node(inode)->xattrs, size ? buf + used : NULL, size ? size - used : 0);
	return n < 0 ? n : (int)used + n;
}

int tmpfs_removexattr(struct lx_inode *inode, const char *name)
{
	int err = lx_xattrs_remove(&tmpfs_node(inode)->xattrs, name);

	if (!err)
		lx_inode_touch(inode, LX_ATTR_CTIME);
	return err;
}

/* The inode's slots are where the lists are kept. */
int tmpfs_set_acl(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode)
{
	if (inode->sb->type == &ramfs_type)
		return -EOPNOTSUPP;
	inode->mode = mode;
	lx_inode_touch(inode, LX_ATTR_CTIME);
	lx_inode_acl_set(inode, def, acl ? lx_acl_get(acl) : NULL);
	return 0;
}

/* -- flags */

uint32_t tmpfs_get_flags(struct lx_inode *inode)
{
	return tmpfs_node(inode)->flags;
}

int tmpfs_set_flags(struct lx_inode *inode, uint32_t flags)
{
	if (flags & ~(uint32_t)FLAGS)
		return -EOPNOTSUPP;
	tmpfs_node(inode)->flags = flags;
	lx_inode_apply_flags(inode, flags);
	lx_inode_touch(inode, LX_ATTR_CTIME);
	return 0;
}

static const struct lx_inode_ops special_iops = { TMPFS_XATTR_OPS, .set_acl = tmpfs_set_acl };

/* -- super blocks */

static int tmpfs_statfs(struct lx_super *sb, void *out)
{
	struct tmpfs_super *s = tmpfs_super(sb);
	struct statfs *st = out;
	uint64_t blocks = atomic_load(&s->used_blocks), inodes = atomic_load(&s->used_inodes);

	st->f_type = (long)sb->magic;
	st->f_bsize = st->f_frsize = (long)PAGE;
	st->f_namelen = LX_NAME_MAX;
	if (s->max_blocks) {
		st->f_blocks = (long)s->max_blocks;
		st->f_bfree = st->f_bavail = (long)(s->max_blocks - MIN(blocks, s->max_blocks));
	}
	if (s->max_inodes) {
		st->f_files = (long)s->max_inodes;
		st->f_ffree = (long)(s->max_inodes - MIN(inodes, s->max_inodes));
	}
	return 0;
}

static void tmpfs_put(struct lx_super *sb)
{
	rt_free(sb->private);
}

static uint64_t half_of_memory(void)
{
	struct k_system_info info;

	return k_system_info(&info) == K_OK ? info.memory_bytes / PAGE / 2 : 65536;
}

/* One "name=value"; @value may be NULL.  0, or -EINVAL. */
static int parse_option(void *arg, const char *name, const char *value)
{
	struct tmpfs_super *s = arg;
	size_t n = value ? strlen(value) : 0;
	uint64_t v = 0;

	if (str_equal(name, "size") || str_equal(name, "nr_blocks")) {
		size_t used = value ? parse_size(value, n, &v) : 0;

		if (used && used + 1 == n && value[used] == '%' && name[0] == 's')
			v = half_of_memory() * 2 * v / 100 * PAGE;
		else if (!used || used != n)
			return -EINVAL;
		s->max_blocks = name[0] == 's' ? DIV_ROUND_UP(v, PAGE) : v;
		s->default_size = false;
		return 0;
	}
	if (str_equal(name, "nr_inodes")) {
		if (!value || parse_size(value, n, &v) != n)
			return -EINVAL;
		s->max_inodes = v;
		s->default_inodes = false;
		return 0;
	}
	if (str_equal(name, "mode")) {
		if (!value || parse_u64(value, n, 8, &v) != n || v > 07777)
			return -EINVAL;
		s->mode = (lx_mode_t)v;
		return 0;
	}
	if (str_equal(name, "uid") || str_equal(name, "gid")) {
		if (!value || parse_u64(value, n, 10, &v) != n || v > UINT32_MAX)
			return -EINVAL;
		if (name[0] == 'u')
			s->uid = (lx_uid_t)v;
		else
			s->gid = (lx_gid_t)v;
		return 0;
	}
	/* where pages lie and how large they are is not ours to choose */
	if (str_equal(name, "huge") || str_equal(name, "mpol") || str_equal(name, "inode64") ||
	    str_equal(name, "inode32") || str_equal(name, "noswap"))
		return 0;
	return -EINVAL;
}

static size_t tmpfs_show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct tmpfs_super *s = tmpfs_super(sb);
	size_t n = 0;

	if (s->max_blocks && !s->default_size)
		n += (size_t)scnprintf(buf + n, size - n, ",size=%lluk",
				       (unsigned long long)(s->max_blocks * PAGE / 1024));
	if (s->max_inodes && !s->default_inodes)
		n += (size_t)scnprintf(buf + n, size - n, ",nr_inodes=%llu",
				       (unsigned long long)s->max_inodes);
	if (s->mode != 01777)
		n += (size_t)scnprintf(buf + n, size - n, ",mode=%03o", s->mode);
	if (s->uid)
		n += (size_t)scnprintf(buf + n, size - n, ",uid=%u", s->uid);
	if (s->gid)
		n += (size_t)scnprintf(buf + n, size - n, ",gid=%u", s->gid);
	n += (size_t)scnprintf(buf + n, size - n, ",inode64");
	return n;
}

static int tmpfs_remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	struct tmpfs_super *s = tmpfs_super(sb), want = { 0 };
	int err;

	want.max_blocks = s->max_blocks;
	want.max_inodes = s->max_inodes;
	want.default_size = s->default_size;
	want.default_inodes = s->default_inodes;
	err = lx_for_each_option(options, parse_option, &want);
	if (err)
		return err;
	if ((want.max_blocks && want.max_blocks < atomic_load(&s->used_blocks)) ||
	    (want.max_inodes && want.max_inodes < atomic_load(&s->used_inodes)))
		return -EINVAL;
	s->max_blocks = want.max_blocks;
	s->max_inodes = want.max_inodes;
	s->default_size = want.default_size;
	s->default_inodes = want.default_inodes;
	return 0;
}

static const struct lx_super_ops sops = {
	.evict = evict,
	.statfs = tmpfs_statfs,
	.shutdown = tmpfs_shutdown,
	.put = tmpfs_put,
	.show_options = tmpfs_show_options,
	.remount = tmpfs_remount,
};

int lx_tmpfs_make(const struct lx_fs_type *type, const char *options, bool limits,
		  struct lx_super **out)
{
	struct lx_super *sb = lx_super_alloc(type);
	struct tmpfs_super *s = rt_zalloc(sizeof(*s));
	struct lx_inode *root;
	int err;

	if (!sb || !s) {
		if (sb)
			lx_super_put(sb);
		rt_free(s);
		return -ENOMEM;
	}
	sb->ops = &sops;
	sb->private = s;
	sb->magic = TMPFS_MAGIC;
	s->mode = 01777;
	if (limits) {
		s->max_blocks = s->max_inodes = half_of_memory();
		s->default_size = s->default_inodes = true;
	}
	err = lx_for_each_option(options, parse_option, s);
	if (!err) {
		root = tmpfs_new_inode(sb, NULL, S_IFDIR | s->mode, 0);
		err = root ? 0 : -ENOMEM;
	}
	if (!err) {
		root->uid = s->uid;
		root->gid = s->gid;
		sb->root = lx_dentry_alloc_root(sb, root);
		err = sb->root ? 0 : -ENOMEM;
	}
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static int tmpfs_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		       const char *options, struct lx_super **out)
{
	int err = lx_tmpfs_make(type, options, type == &tmpfs_type, out);

	if (!err)
		(*out)->flags = flags;
	return err;
}

static struct lx_fs_type tmpfs_type = { .name = "tmpfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };
static struct lx_fs_type ramfs_type = { .name = "ramfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };
static struct lx_fs_type rootfs_type = { .name = "rootfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };

static struct lx_super *shm;		/* files without names: memfd, shared memory */

int lx_tmpfs_init(struct lx_super **rootfs)
{
	int err;

	lx_fs_register(&tmpfs_type);
	lx_fs_register(&ramfs_type);
	err = lx_tmpfs_make(&tmpfs_type, NULL, false, &shm);
	if (!err)
		err = lx_tmpfs_make(&rootfs_type, "mode=755", false, rootfs);
	return err;
}

int lx_tmpfs_anon_file(const char *name, uint64_t size, uint32_t o_flags, struct lx_file **out)
{
	struct lx_inode *inode = tmpfs_new_inode(shm, NULL, S_IFREG | 0777, 0);
	struct lx_path path = { 0 };
	int err;

	if (!inode)
		return -ENOMEM;
	atomic_store(&inode->nlink, 0);
	atomic_store(&inode->size, size);
	path.dentry = lx_dentry_alloc_pseudo(shm, name, inode);
	if (!path.dentry)
		return -ENOMEM;
	err = lx_file_open_path(lx_self(), &path, (int)o_flags,
				LX_FMODE_READ | LX_FMODE_WRITE, out);
	if (err)
		lx_path_put(&path);
	return err;
}
