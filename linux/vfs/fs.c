/* SPDX-License-Identifier: MIT */
/*
 * struct lx_fs: root, working directory and umask of tasks.
 *
 * All of them are on one list, for pivot_root(2), which moves everybody who
 * stands at the old root.  The list's lock and a struct's own have the same rank;
 * the list's is taken first.
 */
#include "vfs/vfs_priv.h"

static struct rt_mutex all_lock = RT_MUTEX_INIT(LX_LOCK_FS);

struct fs_node {
	struct lx_fs fs;
	struct list link;		/* all_lock */
};

static struct list all = LIST_INIT(all);

static struct lx_fs *make(const struct lx_path *root, const struct lx_path *pwd, lx_mode_t umask)
{
	struct fs_node *n = rt_zalloc(sizeof(*n));

	if (!n)
		return NULL;
	atomic_store(&n->fs.refs, 1);
	rt_mutex_init(&n->fs.lock, LX_LOCK_FS);
	n->fs.root = *root;
	n->fs.pwd = *pwd;
	n->fs.umask = umask;
	lx_path_get(root);
	lx_path_get(pwd);
	rt_mutex_lock(&all_lock);
	list_add_last(&all, &n->link);
	rt_mutex_unlock(&all_lock);
	return &n->fs;
}

struct lx_fs *lx_fs_create(void)
{
	struct lx_path root = { lx_init_mntns->root, lx_init_mntns->root->root };

	return make(&root, &root, 022);
}

struct lx_fs *lx_fs_get(struct lx_fs *fs)
{
	atomic_fetch_add(&fs->refs, 1);
	return fs;
}

void lx_fs_put(struct lx_fs *fs)
{
	struct fs_node *n;

	if (!fs || atomic_fetch_sub(&fs->refs, 1) != 1)
		return;
	n = container_of(fs, struct fs_node, fs);
	rt_mutex_lock(&all_lock);
	list_remove(&n->link);
	rt_mutex_unlock(&all_lock);
	lx_path_put(&fs->root);
	lx_path_put(&fs->pwd);
	rt_free(n);
}

void lx_fs_paths(struct lx_fs *fs, struct lx_path *root, struct lx_path *pwd)
{
	rt_mutex_lock(&fs->lock);
	if (root) {
		*root = fs->root;
		lx_path_get(root);
	}
	if (pwd) {
		*pwd = fs->pwd;
		lx_path_get(pwd);
	}
	rt_mutex_unlock(&fs->lock);
}

struct lx_fs *lx_fs_copy(struct lx_fs *fs)
{
	struct lx_path root, pwd;
	struct lx_fs *copy;

	lx_fs_paths(fs, &root, &pwd);
	copy = make(&root, &pwd, fs->umask);
	lx_path_put(&root);
	lx_path_put(&pwd);
	return copy;
}

void lx_fs_set_path(struct lx_fs *fs, struct lx_path *which, struct lx_path *to)
{
	struct lx_path old;

	rt_mutex_lock(&fs->lock);
	old = *which;
	*which = *to;
	rt_mutex_unlock(&fs->lock);
	lx_path_put(&old);
}

static bool same(const struct lx_path *a, const struct lx_path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

void lx_fs_replace_roots(const struct lx_path *from, const struct lx_path *to)
{
	struct fs_node *n;
	unsigned int replaced = 0;

	rt_mutex_lock(&all_lock);
	list_for_each_entry(n, &all, link) {
		rt_mutex_lock_nested(&n->fs.lock);
		if (same(&n->fs.root, from)) {
			n->fs.root = *to;
			lx_path_get(to);
			replaced++;
		}
		if (same(&n->fs.pwd, from)) {
			n->fs.pwd = *to;
			lx_path_get(to);
			replaced++;
		}
		rt_mutex_unlock(&n->fs.lock);
	}
	rt_mutex_unlock(&all_lock);
	/* the caller holds one more reference to @from: these are not the last */
	while (replaced--) {
		struct lx_path old = *from;

		lx_path_put(&old);
	}
}
