/* SPDX-License-Identifier: MIT */
/*
 * nsfs: see nsfs.h and namespaces(7).
 *
 * Each look at /proc/PID/ns/NAME makes a file of its own; what tells programs that two
 * are the same namespace is the inode number, which is the namespace's.
 */

#include "fs/nsfs/nsfs.h"

#include <linux/nsfs.h>

#include "lx/iter.h"

struct ns_node {
	const struct lx_ns_type *type;
	void *ns;			/* a reference by the type's rules */
};

static struct lx_mount *mount;		/* constant after lx_nsfs_init() */

uint64_t lx_ns_number_next(void)
{
	/* After those of the first namespaces, which are Linux's. */
	static _Atomic(uint64_t) next = 0xf0000002u;

	return atomic_fetch_add(&next, 1);
}

static int ns_open(struct lx_inode *inode, struct lx_file *f)
{
	return 0;
}

static long ns_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct ns_node *n = f->inode->private;

	return cmd == NS_GET_NSTYPE ? (long)n->type->kind : -ENOTTY;
}

static const struct lx_file_ops ns_fops = { .open = ns_open, .ioctl = ns_ioctl };

static int ns_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	return -EPERM;
}

static const struct lx_inode_ops ns_iops = { .setattr = ns_setattr };

static void evict(struct lx_inode *inode)
{
	struct ns_node *n = inode->private;

	if (!n)
		return;			/* the root */
	n->type->put(n->ns);
	rt_free(n);
}

static const struct lx_super_ops sops = { .evict = evict };
static struct lx_fs_type type = { .name = "nsfs", .flags = LX_FS_NODEV };

int lx_nsfs_path(const struct lx_ns_type *ns_type, void *ns, uint64_t number, struct lx_path *out)
{
	struct ns_node *n = rt_alloc(sizeof(*n));
	struct lx_inode *inode = n ? lx_inode_create(mount->sb, S_IFREG | 0444) : NULL;
	struct lx_dentry *d;

	if (!inode) {
		rt_free(n);
		return -ENOMEM;
	}
	*n = (struct ns_node){ ns_type, ns };
	inode->ino = number;
	inode->ops = &ns_iops;
	inode->fops = &ns_fops;
	inode->uid = inode->gid = 0;
	/* Its end frees the node too: so only now, when nothing but memory can be missing. */
	d = lx_dentry_alloc_pseudo(mount->sb, ns_type->name, inode);
	if (!d) {
		rt_free(n);
		return -ENOMEM;
	}
	inode->private = n;
	*out = (struct lx_path){ lx_mount_get(mount), d };
	return 0;
}

bool lx_nsfs_get(struct lx_file *f, const struct lx_ns_type **ns_type, void **ns)
{
	struct ns_node *n = f->inode->private;

	if (f->ops != &ns_fops)
		return false;
	*ns_type = n->type;
	*ns = n->ns;
	return true;
}

bool lx_nsfs_is_mount(const struct lx_mount *m)
{
	return m->sb == mount->sb;
}

int lx_nsfs_init(void)
{
	struct lx_super *sb = lx_super_alloc(&type);
	struct lx_inode *root;

	if (!sb)
		return -ENOMEM;
	sb->ops = &sops;
	sb->magic = LX_NSFS_MAGIC;
	root = lx_inode_create(sb, S_IFDIR | 0555);
	sb->root = root ? lx_dentry_alloc_root(sb, root) : NULL;
	if (sb->root)
		mount = lx_mount_alloc(sb, sb->root, "nsfs");
	lx_super_put(sb);
	return mount ? 0 : -ENOMEM;
}
