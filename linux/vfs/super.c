/* SPDX-License-Identifier: MIT */
/*
 * Super blocks and file system types.
 *
 * A super block is held by its mounts.  When the last one goes its cached
 * dentries are dropped (which evicts its inodes) and the file system frees the
 * rest.  Types register at the start of the system and stay.
 */
#include "vfs/vfs_priv.h"

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);	/* types and supers */
static struct list types = LIST_INIT(types);
static struct list supers = LIST_INIT(supers);
static _Atomic(uint32_t) next_anon = 1;

/* Minor numbers of major 0: what stat shows for file systems without a device. */
lx_dev_t lx_anon_dev(void)
{
	return LX_MKDEV(0, atomic_fetch_add(&next_anon, 1));
}

void lx_fs_register(struct lx_fs_type *type)
{
	rt_mutex_lock(&lock);
	list_add_last(&types, &type->link);
	rt_mutex_unlock(&lock);
}

/* "fuse.sshfs" is fuse, too. */
static bool is_called(const struct lx_fs_type *t, const char *name)
{
	size_t n = strlen(t->name);

	return str_equal(t->name, name) ||
	       ((t->flags & LX_FS_SUBTYPE) && !strncmp(name, t->name, n) && name[n] == '.' && name[n + 1]);
}

const struct lx_fs_type *lx_fs_find(const char *name)
{
	struct lx_fs_type *t;

	rt_mutex_lock(&lock);
	list_for_each_entry(t, &types, link) {
		if (is_called(t, name)) {
			rt_mutex_unlock(&lock);
			return t;
		}
	}
	rt_mutex_unlock(&lock);
	return NULL;
}

const struct lx_fs_type *lx_fs_next(const struct lx_fs_type *prev)
{
	const struct list *l = prev ? prev->link.next : types.next;

	return l == &types ? NULL : list_entry(l, const struct lx_fs_type, link);
}

struct lx_super *lx_super_alloc(const struct lx_fs_type *type)
{
	struct lx_super *sb = rt_zalloc(sizeof(*sb));

	if (!sb)
		return NULL;
	sb->type = type;
	sb->dev = lx_anon_dev();
	sb->block_size = K_PAGE_SIZE;
	sb->max_bytes = INT64_MAX;
	sb->time_gran_ns = 1;
	rt_mutex_init(&sb->rename_lock, LX_LOCK_RENAME);
	list_init(&sb->inodes);
	atomic_store(&sb->refs, 1);
	rt_mutex_lock(&lock);
	list_add_last(&supers, &sb->link);
	rt_mutex_unlock(&lock);
	return sb;
}

struct lx_super *lx_super_get(struct lx_super *sb)
{
	atomic_fetch_add(&sb->refs, 1);
	return sb;
}

void lx_super_put(struct lx_super *sb)
{
	if (atomic_fetch_sub(&sb->refs, 1) != 1)
		return;
	rt_mutex_lock(&lock);
	list_remove(&sb->link);
	rt_mutex_unlock(&lock);
	if (sb->root) {
		lx_dcache_drop_super(sb);
		if (sb->ops && sb->ops->shutdown)
			sb->ops->shutdown(sb);
		lx_dentry_put(sb->root);
	}
	if (sb->ops && sb->ops->put)
		sb->ops->put(sb);
	if (!list_is_empty(&sb->inodes))
		rt_log(RT_LOG_WARNING, "VFS: busy inodes after unmount of %s", sb->type->name);
	else
		rt_free(sb);
}

/* A reference unless the last one is gone. */
static bool try_get(struct lx_super *sb)
{
	uint32_t refs = atomic_load(&sb->refs);

	do {
		if (!refs)
			return false;
	} while (!atomic_compare_exchange_weak(&sb->refs, &refs, refs + 1));
	return true;
}

void lx_for_each_super(void (*fn)(struct lx_super *sb, void *arg), void *arg)
{
	struct lx_super *sb, *prev = NULL;

	rt_mutex_lock(&lock);
	list_for_each_entry(sb, &supers, link) {
		if (!try_get(sb))
			continue;
		rt_mutex_unlock(&lock);
		/* the reference keeps sb on the list, so that the walk can go on from it */
		if (prev)
			lx_super_put(prev);
		fn(sb, arg);
		prev = sb;
		rt_mutex_lock(&lock);
	}
	rt_mutex_unlock(&lock);
	if (prev)
		lx_super_put(prev);
}

static void sync_one(struct lx_super *sb, void *arg)
{
	if (sb->ops && sb->ops->sync)
		sb->ops->sync(sb);
}

void lx_supers_sync(void)
{
	lx_for_each_super(sync_one, NULL);
}
