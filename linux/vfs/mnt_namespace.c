/* SPDX-License-Identifier: MIT */
/*
 * Mount namespaces: each holds a tree of mounts.
 *
 * A new namespace is a copy of its creator's tree, mount by mount and in the same order,
 * so that whoever moves into it (unshare, clone) finds its root and working directory at
 * the same place of the copy.  The last reference takes the tree out whole, and mounts
 * that are still used are freed when their users finish.
 */
#include "lx/wait.h"
#include "vfs/mount_priv.h"
#include "vfs/vfs_priv.h"

struct lx_mntns *lx_init_mntns;

struct lx_mntns *lx_mntns_get(struct lx_mntns *ns)
{
	atomic_fetch_add(&ns->refs, 1);
	return ns;
}

void lx_mntns_put(struct lx_mntns *ns)
{
	struct list dead;

	if (!ns || atomic_fetch_sub(&ns->refs, 1) != 1)
		return;
	list_init(&dead);
	rt_write_lock(&lx_mount_lock);
	if (ns->root)
		lx_mount_detach_tree(ns->root, &dead);
	rt_write_unlock(&lx_mount_lock);
	lx_mount_put_dead(&dead);
	rt_free(ns);
}

static struct lx_mntns *alloc_ns(void)
{
	struct lx_mntns *ns = rt_zalloc(sizeof(*ns));

	if (!ns)
		return NULL;
	atomic_store(&ns->refs, 1);
	ns->ino = lx_ns_number_next();
	list_init(&ns->mounts);
	lx_waitq_init(&ns->wait);
	return ns;
}

int lx_mntns_init(struct lx_super *rootfs)
{
	struct lx_mount *m = lx_mount_alloc(rootfs, rootfs->root, "none");

	lx_init_mntns = alloc_ns();
	if (!m || !lx_init_mntns)
		return -ENOMEM;
	lx_init_mntns->ino = 0xf0000001u;
	m->ns = lx_init_mntns;
	m->id = 1;
	lx_init_mntns->root = m;
	list_add_last(&lx_init_mntns->mounts, &m->ns_link);
	return 0;
}

void lx_mntns_root(struct lx_mntns *ns, struct lx_path *out)
{
	rt_read_lock(&lx_mount_lock);
	*out = (struct lx_path){ ns->root, ns->root->root };
	lx_path_get(out);
	rt_read_unlock(&lx_mount_lock);
	lx_mount_traverse_down(out);
}

/* The n-th mount of one list for the n-th of the other: the copy keeps the order of the tree walk. */
static struct lx_mount *counterpart(struct lx_mount *old, struct lx_mount *copy,
				    struct lx_mount *wanted)
{
	struct list *a, *b;

	if (old == wanted)
		return copy;
	for (a = old->children.next, b = copy->children.next;
	     a != &old->children && b != &copy->children; a = a->next, b = b->next) {
		struct lx_mount *m = counterpart(list_entry(a, struct lx_mount, sibling),
						 list_entry(b, struct lx_mount, sibling), wanted);

		if (m)
			return m;
	}
	return NULL;
}

int lx_mntns_copy(struct lx_mntns *ns, struct lx_fs *fs, struct lx_mntns **out)
{
	struct lx_mntns *copy = alloc_ns();
	struct lx_path drop[2] = { 0 };
	int err = 0;

	if (!copy)
		return -ENOMEM;
	rt_write_lock(&lx_mount_lock);
	copy->root = lx_mount_clone(ns->root, ns->root->root);
	if (!copy->root) {
		err = -ENOMEM;
	} else {
		copy->root->id = lx_mount_next_id();
		copy->root->ns = copy;
		list_add_last(&copy->mounts, &copy->root->ns_link);
		err = lx_mount_copy_children(ns->root, copy->root, NULL, copy, true);
	}
	if (!err) {
		struct lx_path *paths[2] = { &fs->root, &fs->pwd };

		rt_mutex_lock(&fs->lock);
		for (int i = 0; i < 2; i++) {
			struct lx_mount *m = counterpart(ns->root, copy->root, paths[i]->mnt);

			if (!m)
				continue;
			drop[i].mnt = paths[i]->mnt;
			paths[i]->mnt = lx_mount_get(m);
		}
		rt_mutex_unlock(&fs->lock);
	}
	rt_write_unlock(&lx_mount_lock);
	for (int i = 0; i < 2; i++)
		lx_mount_put(drop[i].mnt);
	if (err) {
		lx_mntns_put(copy);
		return err;
	}
	*out = copy;
	return 0;
}
