/* SPDX-License-Identifier: MIT */
/*
 * The tree of mounts.  (Namespaces hold one each: mnt_namespace.c.)
 *
 * A mount attaches (part of) a file system at a dentry of another mount.  One
 * read-write lock guards the shape of all trees; path walks take it for reading
 * only when a dentry says that something is mounted on it in some namespace.
 *
 * References: the tree holds each attached mount once, and a mount holds its
 * parent and its mount point.  So a mount that is used by nobody has one
 * reference plus one per child.  umount(2) of a mount with more is busy;
 * MNT_DETACH takes the whole subtree out at once and lets the users finish: a
 * detached mount is freed when they have.
 */
#include <linux/mount.h>

#include "base/hlist.h"
#include "lx/wait.h"
#include "vfs/mount_priv.h"
#include "vfs/vfs_priv.h"

struct rt_rwlock lx_mount_lock = RT_RWLOCK_INIT(LX_LOCK_MOUNT);

#define HASH_SIZE 256u
static struct hlist table[HASH_SIZE];		/* attached mounts by (parent, mountpoint): lx_mount_lock */
static uint32_t next_id = 20;			/* lx_mount_lock */

static struct hlist *chain(const struct lx_mount *parent, const struct lx_dentry *d)
{
	uint64_t v = (uintptr_t)parent >> 5 ^ (uintptr_t)d >> 3;

	return &table[v * 0x9e3779b97f4a7c15ull >> 56];
}

struct lx_mount *lx_mount_get(struct lx_mount *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

void lx_mount_put(struct lx_mount *m)
{
	struct lx_super *sb;

	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	sb = m->sb;
	lx_dentry_put(m->root);
	rt_free(m->source);
	rt_free(m);
	lx_super_put(sb);
}

/* Takes its own references on @sb and @root. */
struct lx_mount *lx_mount_alloc(struct lx_super *sb, struct lx_dentry *root, const char *source)
{
	struct lx_mount *m = rt_zalloc(sizeof(*m));
	size_t n = source ? strlen(source) + 1 : 5;

	if (!m)
		return NULL;
	m->source = rt_alloc(n);
	if (!m->source) {
		rt_free(m);
		return NULL;
	}
	memcpy(m->source, source ? source : "none", n);
	m->sb = lx_super_get(sb);
	m->root = lx_dentry_get(root);
	atomic_store(&m->refs, 1);
	m->propagation = MS_PRIVATE;
	list_init(&m->children);
	list_init(&m->sibling);
	list_init(&m->ns_link);
	hlist_node_init(&m->hash_link);
	return m;
}

void lx_path_get(const struct lx_path *p)
{
	if (p->mnt)
		lx_mount_get(p->mnt);
	lx_dentry_get(p->dentry);
}

void lx_path_put(struct lx_path *p)
{
	if (p->dentry)
		lx_dentry_put(p->dentry);
	if (p->mnt)
		lx_mount_put(p->mnt);
	*p = (struct lx_path){ 0 };
}

/* -- lookup */

static struct lx_mount *find_child(struct lx_mount *parent, struct lx_dentry *d)
{
	struct lx_mount *m;

	/* The newest is first: it covers older ones. */
	hlist_for_each_entry(m, chain(parent, d), hash_link)
		if (m->parent == parent && m->mountpoint == d)
			return m;
	return NULL;
}

bool lx_mount_traverse_down(struct lx_path *p)
{
	bool moved = false;

	while (unlikely(lx_d_flags(p->dentry) & LX_DENTRY_MOUNTED)) {
		struct lx_path next = { 0 };

		rt_read_lock(&lx_mount_lock);
		next.mnt = find_child(p->mnt, p->dentry);
		if (next.mnt) {
			next.dentry = next.mnt->root;
			lx_path_get(&next);
		}
		rt_read_unlock(&lx_mount_lock);
		if (!next.mnt)
			break;
		lx_path_put(p);
		*p = next;
		moved = true;
	}
	return moved;
}

bool lx_mount_traverse_up(struct lx_path *p)
{
	struct lx_path up = { 0 };

	if (p->dentry != p->mnt->root)
		return false;
	rt_read_lock(&lx_mount_lock);
	if (p->mnt->parent) {
		up.mnt = p->mnt->parent;
		up.dentry = p->mnt->mountpoint;
		lx_path_get(&up);
	}
	rt_read_unlock(&lx_mount_lock);
	if (!up.mnt)
		return false;
	lx_path_put(p);
	*p = up;
	return true;
}

int lx_want_write(const struct lx_path *p)
{
	if (p->mnt && (atomic_load_explicit(&p->mnt->flags, memory_order_relaxed) & LX_MNT_READONLY))
		return -EROFS;
	return p->dentry->sb->flags & MS_RDONLY ? -EROFS : 0;
}

/* -- changing the tree: all with lx_mount_lock held for writing (mount_priv.h) */

void lx_mntns_changed(struct lx_mntns *ns)
{
	if (ns) {
		ns->event++;
		lx_wake_all(&ns->wait);
	}
}

uint32_t lx_mount_next_id(void)
{
	return ++next_id;
}

void lx_mount_attach(struct lx_mount *m, const struct lx_path *at, struct lx_mntns *ns)
{
	m->parent = lx_mount_get(at->mnt);
	m->mountpoint = lx_dentry_get(at->dentry);
	m->ns = ns;
	if (!m->id)
		m->id = lx_mount_next_id();
	atomic_fetch_or(&at->dentry->dflags, LX_DENTRY_MOUNTED);
	hlist_add(chain(at->mnt, at->dentry), &m->hash_link);
	list_add_last(&at->mnt->children, &m->sibling);
	list_add_last(&ns->mounts, &m->ns_link);
	lx_mntns_changed(ns);
}

void lx_mount_detach(struct lx_mount *m, struct lx_path *at)
{
	*at = (struct lx_path){ m->parent, m->mountpoint };
	hlist_remove(&m->hash_link);
	list_remove(&m->sibling);
	m->parent = NULL;
	m->mountpoint = NULL;
}

static void leave_ns(struct lx_mount *m)
{
	struct lx_mntns *ns = m->ns;

	list_remove(&m->ns_link);
	m->ns = NULL;
	m->detached = true;
	lx_mntns_changed(ns);
}

/* The flag may stay set without a mount: it only says that it is worth looking. */
void lx_mount_point_gone(struct lx_dentry *d)
{
	struct lx_mount *m;

	for (unsigned int i = 0; i < HASH_SIZE; i++)
		hlist_for_each_entry(m, &table[i], hash_link)
			if (m->mountpoint == d)
				return;
	atomic_fetch_and(&d->dflags, ~LX_DENTRY_MOUNTED);
}

void lx_mount_detach_tree(struct lx_mount *m, struct list *dead)
{
	struct lx_mount *child, *tmp;

	list_for_each_entry_safe(child, tmp, &m->children, sibling)
		lx_mount_detach_tree(child, dead);
	leave_ns(m);
	list_add_last(dead, &m->ns_link);
}

void lx_mount_put_dead(struct list *dead)
{
	struct lx_mount *m;

	while ((m = list_pop_entry(dead, struct lx_mount, ns_link))) {
		struct lx_path at = { 0 };

		rt_write_lock(&lx_mount_lock);
		if (m->parent) {
			lx_mount_detach(m, &at);
			lx_mount_point_gone(at.dentry);
		}
		rt_write_unlock(&lx_mount_lock);
		if (at.mnt)
			lx_path_put(&at);
		lx_mount_put(m);
	}
}

bool lx_mount_is_under(struct lx_mount *m, struct lx_mount *top)
{
	while (m && m != top)
		m = m->parent;
	return m != NULL;
}

struct lx_mntns *lx_mntns_of(struct lx_task *self)
{
	return self->ns && self->ns->mnt ? self->ns->mnt : lx_init_mntns;
}

/* -- copies */

struct lx_mount *lx_mount_clone(struct lx_mount *old, struct lx_dentry *root)
{
	struct lx_mount *m = lx_mount_alloc(old->sb, root, old->source);

	if (m) {
		atomic_store(&m->flags, atomic_load(&old->flags));
		m->propagation = old->propagation;
		m->peer_group = old->peer_group;
	}
	return m;
}

int lx_mount_copy_children(struct lx_mount *old, struct lx_mount *copy, struct lx_dentry *within,
			   struct lx_mntns *ns, bool unbindable_too)
{
	struct lx_mount *child;
	int err = 0;

	list_for_each_entry(child, &old->children, sibling) {
		struct lx_path at = { copy, child->mountpoint };
		struct lx_mount *c;

		if (within && !lx_dentry_is_ancestor(within, child->mountpoint))
			continue;
		if (!unbindable_too && child->propagation == MS_UNBINDABLE)
			continue;
		c = lx_mount_clone(child, child->root);
		if (!c)
			return -ENOMEM;
		lx_mount_attach(c, &at, ns);
		err = lx_mount_copy_children(child, c, NULL, ns, unbindable_too);
		if (err)
			return err;
	}
	return 0;
}
