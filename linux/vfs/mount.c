/* SPDX-License-Identifier: MIT */
/*
 * The tree of mounts, and the namespaces that hold one each.
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
#include <linux/capability.h>
#include <linux/mount.h>

#include "base/format.h"
#include "base/hlist.h"
#include "fs/nsfs/nsfs.h"
#include "lx/wait.h"
#include "vfs/vfs_priv.h"

struct rt_rwlock lx_mount_lock = RT_RWLOCK_INIT(LX_LOCK_MOUNT);
struct lx_mntns *lx_init_mntns;

#define HASH_SIZE 256u
static struct hlist table[HASH_SIZE];		/* attached mounts by (parent, mountpoint): lx_mount_lock */
static uint32_t next_id = 20, next_peer = 1;	/* lx_mount_lock */

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

/* -- changing the tree: all with lx_mount_lock held for writing */

static void changed(struct lx_mntns *ns)
{
	if (ns) {
		ns->event++;
		lx_wake_all(&ns->wait);
	}
}

/* Put @m (its reference moves in) at @at. */
static void attach(struct lx_mount *m, const struct lx_path *at, struct lx_mntns *ns)
{
	m->parent = lx_mount_get(at->mnt);
	m->mountpoint = lx_dentry_get(at->dentry);
	m->ns = ns;
	if (!m->id)
		m->id = ++next_id;
	atomic_fetch_or(&at->dentry->dflags, LX_DENTRY_MOUNTED);
	hlist_add(chain(at->mnt, at->dentry), &m->hash_link);
	list_add_last(&at->mnt->children, &m->sibling);
	list_add_last(&ns->mounts, &m->ns_link);
	changed(ns);
}

/* The references to parent and mount point go to the caller through *@at. */
static void detach(struct lx_mount *m, struct lx_path *at)
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
	changed(ns);
}

/*
 * Does some attached mount still sit on @d?  The flag may stay set without one:
 * it only says that it is worth looking.
 */
static void clear_mounted_flag(struct lx_dentry *d)
{
	struct lx_mount *m;

	for (unsigned int i = 0; i < HASH_SIZE; i++)
		hlist_for_each_entry(m, &table[i], hash_link)
			if (m->mountpoint == d)
				return;
	atomic_fetch_and(&d->dflags, ~LX_DENTRY_MOUNTED);
}

/* Take @m and everything under it out; what has to be put is collected in @dead. */
static void detach_tree(struct lx_mount *m, struct list *dead)
{
	struct lx_mount *child, *tmp;

	list_for_each_entry_safe(child, tmp, &m->children, sibling)
		detach_tree(child, dead);
	leave_ns(m);
	list_add_last(dead, &m->ns_link);
}

/* After detach_tree, without the lock. */
static void put_dead(struct list *dead)
{
	struct lx_mount *m;

	while ((m = list_pop_entry(dead, struct lx_mount, ns_link))) {
		struct lx_path at = { 0 };

		rt_write_lock(&lx_mount_lock);
		if (m->parent) {
			detach(m, &at);
			clear_mounted_flag(at.dentry);
		}
		rt_write_unlock(&lx_mount_lock);
		if (at.mnt)
			lx_path_put(&at);
		lx_mount_put(m);
	}
}

/* Is @m in the tree under (or the same as) @top? */
static bool is_under(struct lx_mount *m, struct lx_mount *top)
{
	while (m && m != top)
		m = m->parent;
	return m != NULL;
}

static struct lx_mntns *ns_of(struct lx_task *self)
{
	return self->ns && self->ns->mnt ? self->ns->mnt : lx_init_mntns;
}

/*
 * Attach a new mount at @target, which is first moved down to what is mounted
 * there now: mounting again covers.  The reference to @m moves in on success.
 */
static int graft(struct lx_task *self, struct lx_mount *m, struct lx_path *target)
{
	struct lx_mntns *ns = ns_of(self);
	int err = 0;

	lx_mount_traverse_down(target);
	if (lx_is_dir(lx_d_inode(target->dentry)) != lx_is_dir(lx_d_inode(m->root)))
		return -ENOTDIR;
	rt_write_lock(&lx_mount_lock);
	if (!target->mnt->ns)
		err = -EINVAL;
	else if (target->mnt->sb == m->sb && target->dentry == target->mnt->root &&
		 target->mnt->root == m->root)
		err = -EBUSY;		/* the same thing on top of itself */
	else if (target->dentry != target->mnt->root &&
		 (lx_d_flags(target->dentry) & LX_DENTRY_UNLINKED))
		err = -ENOENT;
	else
		attach(m, target, ns);
	rt_write_unlock(&lx_mount_lock);
	return err;
}

/* -- the operations of mount(2) */

static uint32_t mnt_flags(unsigned long flags)
{
	uint32_t f = 0;

	if (flags & MS_RDONLY)
		f |= LX_MNT_READONLY;
	if (flags & MS_NOSUID)
		f |= LX_MNT_NOSUID;
	if (flags & MS_NODEV)
		f |= LX_MNT_NODEV;
	if (flags & MS_NOEXEC)
		f |= LX_MNT_NOEXEC;
	if (flags & MS_NOATIME)
		f |= LX_MNT_NOATIME;
	if (flags & MS_NODIRATIME)
		f |= LX_MNT_NODIRATIME;
	if (flags & MS_NOSYMFOLLOW)
		f |= LX_MNT_NOSYMFOLLOW;
	/* relatime unless something else is asked for */
	if (!(flags & (MS_STRICTATIME | MS_NOATIME)))
		f |= LX_MNT_RELATIME;
	return f;
}

static int mount_new(struct lx_task *self, const char *source, struct lx_path *target,
		     const char *fstype, unsigned long flags, const char *options)
{
	const struct lx_fs_type *type = fstype ? lx_fs_find(fstype) : NULL;
	struct lx_super *sb;
	struct lx_mount *m;
	int err;

	if (!fstype)
		return -EINVAL;
	if (!type)
		return -ENODEV;
	err = type->mount(type, source, flags & (MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC |
						 MS_SILENT | MS_LAZYTIME), options, &sb);
	if (err)
		return err;
	if (type->flags & LX_FS_SUBTYPE)
		strlcpy(sb->subtype, fstype + strlen(type->name), sizeof(sb->subtype));
	m = lx_mount_alloc(sb, sb->root, source);
	lx_super_put(sb);		/* the mount holds it now */
	if (!m)
		return -ENOMEM;
	atomic_store(&m->flags, mnt_flags(flags));
	err = graft(self, m, target);
	if (err)
		lx_mount_put(m);
	return err;
}

static struct lx_mount *clone_mount(struct lx_mount *old, struct lx_dentry *root)
{
	struct lx_mount *m = lx_mount_alloc(old->sb, root, old->source);

	if (m) {
		atomic_store(&m->flags, atomic_load(&old->flags));
		m->propagation = old->propagation;
		m->peer_group = old->peer_group;
	}
	return m;
}

/*
 * Copy the mounts under @old (lock held for writing).  @ns: where the copies go; NULL:
 * nowhere yet (rbind copies are attached to the tree at the end, by the top).
 */
static int copy_children(struct lx_mount *old, struct lx_mount *copy, struct lx_dentry *within,
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
		c = clone_mount(child, child->root);
		if (!c)
			return -ENOMEM;
		attach(c, &at, ns);
		err = copy_children(child, c, NULL, ns, unbindable_too);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Namespaces may be bound although they are on no tree; a mount namespace only by
 * older ones, so that none holds itself.
 */
static bool may_bind_namespace(struct lx_task *self, const struct lx_path *from)
{
	const struct lx_inode *inode = lx_d_inode(from->dentry);

	return lx_nsfs_is_mount(from->mnt) &&
	       (!str_equal(from->dentry->name, "mnt") || inode->ino > ns_of(self)->ino);
}

static int mount_bind(struct lx_task *self, const char *source, struct lx_path *target, bool rec)
{
	struct lx_path from;
	struct lx_mount *m;
	struct list dead;
	int err;

	if (!source || !*source)
		return -EINVAL;
	err = lx_path_at(self, AT_FDCWD, source, LX_LOOKUP_FOLLOW, &from);
	if (err)
		return err;
	if (!from.mnt || from.mnt->propagation == MS_UNBINDABLE) {
		err = -EINVAL;
		goto put_from;
	}
	m = clone_mount(from.mnt, from.dentry);
	if (!m) {
		err = -ENOMEM;
		goto put_from;
	}
	if (m->propagation == MS_SLAVE)
		m->propagation = MS_PRIVATE;
	lx_mount_traverse_down(target);
	if (lx_is_dir(lx_d_inode(target->dentry)) != lx_is_dir(lx_d_inode(m->root))) {
		lx_mount_put(m);
		err = -ENOTDIR;
		goto put_from;
	}
	list_init(&dead);
	rt_write_lock(&lx_mount_lock);
	if (!target->mnt->ns || (!from.mnt->ns && !may_bind_namespace(self, &from))) {
		err = -EINVAL;
		list_add_last(&dead, &m->ns_link);
	} else {
		struct lx_mntns *ns = ns_of(self);
		/*
		 * The copies are made before the top is attached, so that a bind of a
		 * directory into itself does not copy its own copies.
		 */
		if (rec) {
			m->ns = ns;
			err = copy_children(from.mnt, m, from.dentry, ns, false);
		}
		if (err)
			detach_tree(m, &dead);
		else
			attach(m, target, ns);
	}
	rt_write_unlock(&lx_mount_lock);
	put_dead(&dead);
put_from:
	lx_path_put(&from);
	return err;
}

static int mount_move(struct lx_task *self, const char *source, struct lx_path *target)
{
	struct lx_path from, at = { 0 };
	int err;

	if (!source || !*source)
		return -EINVAL;
	err = lx_path_at(self, AT_FDCWD, source, LX_LOOKUP_FOLLOW, &from);
	if (err)
		return err;
	lx_mount_traverse_down(target);
	rt_write_lock(&lx_mount_lock);
	if (!from.mnt || from.dentry != from.mnt->root || !from.mnt->parent || !from.mnt->ns || !target->mnt->ns)
		err = -EINVAL;
	else if (from.mnt->parent->propagation == MS_SHARED)
		err = -EINVAL;
	else if (is_under(target->mnt, from.mnt))
		err = -ELOOP;
	else if (lx_is_dir(lx_d_inode(target->dentry)) != lx_is_dir(lx_d_inode(from.dentry)))
		err = -ENOTDIR;
	if (!err) {
		struct lx_mntns *ns = from.mnt->ns;

		detach(from.mnt, &at);
		clear_mounted_flag(at.dentry);
		list_remove(&from.mnt->ns_link);
		attach(from.mnt, target, ns);
	}
	rt_write_unlock(&lx_mount_lock);
	if (at.mnt)
		lx_path_put(&at);
	lx_path_put(&from);
	return err;
}

static int mount_remount(struct lx_path *target, unsigned long flags, const char *options)
{
	struct lx_mount *m = target->mnt;
	uint32_t keep = atomic_load(&m->flags), want = mnt_flags(flags);
	int err = 0;

	if (target->dentry != m->root)
		return -EINVAL;
	/* access time rules stay unless the caller names some */
	if (!(flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME))) {
		uint32_t atime = LX_MNT_NOATIME | LX_MNT_NODIRATIME | LX_MNT_RELATIME;

		want = (want & ~atime) | (keep & atime);
	}
	if ((flags & MS_RDONLY) && !(keep & LX_MNT_READONLY) && atomic_load(&m->writers))
		return -EBUSY;
	if (!(flags & MS_BIND)) {
		struct lx_super *sb = m->sb;

		if (sb->ops && sb->ops->remount)
			err = sb->ops->remount(sb, flags, options);
		if (err)
			return err;
		sb->flags = (sb->flags & ~(unsigned long)MS_RDONLY) | (flags & MS_RDONLY);
	}
	atomic_store(&m->flags, want);
	rt_write_lock(&lx_mount_lock);
	changed(m->ns);
	rt_write_unlock(&lx_mount_lock);
	return 0;
}

static void set_propagation(struct lx_mount *m, unsigned long type, bool rec)
{
	struct lx_mount *child;

	m->propagation = type;
	m->peer_group = type == MS_SHARED ? (m->peer_group ? m->peer_group : next_peer++) : 0;
	if (rec)
		list_for_each_entry(child, &m->children, sibling)
			set_propagation(child, type, true);
}

static int mount_propagation(struct lx_path *target, unsigned long flags)
{
	unsigned long type = flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);

	if ((flags & ~(MS_REC | MS_SILENT | type)) || (type & (type - 1)))
		return -EINVAL;
	if (target->dentry != target->mnt->root)
		return -EINVAL;
	rt_write_lock(&lx_mount_lock);
	set_propagation(target->mnt, type, flags & MS_REC);
	changed(target->mnt->ns);
	rt_write_unlock(&lx_mount_lock);
	return 0;
}

int lx_do_mount(struct lx_task *self, const char *source, const char *target, const char *fstype,
		unsigned long flags, const char *options)
{
	struct lx_path at;
	int err;

	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~(unsigned long)MS_MGC_MSK;
	if (flags & (1ul << 31))	/* MS_NOUSER */
		return -EINVAL;
	err = lx_path_at(self, AT_FDCWD, target, LX_LOOKUP_FOLLOW, &at);
	if (err)
		return err;
	if (!at.mnt)			/* a pipe, through /proc/self/fd: on no mount */
		err = flags & (MS_REMOUNT | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE | MS_MOVE)
			      ? -EINVAL : -ENOENT;
	else if (flags & MS_REMOUNT)
		err = mount_remount(&at, flags, options);
	else if (flags & MS_BIND)
		err = mount_bind(self, source, &at, flags & MS_REC);
	else if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		err = mount_propagation(&at, flags);
	else if (flags & MS_MOVE)
		err = mount_move(self, source, &at);
	else
		err = mount_new(self, source, &at, fstype, flags, options);
	lx_path_put(&at);
	return err;
}

int lx_do_umount(struct lx_task *self, struct lx_path *at, unsigned int flags)
{
	struct lx_mount *m = at->mnt;
	struct list dead;
	int err = 0;

	if (!m)
		return -EINVAL;
	list_init(&dead);
	rt_write_lock(&lx_mount_lock);
	if (at->dentry != m->root || !m->ns || !m->parent) {
		/* not a mount point, or detached already; the root of a namespace stays */
		err = m->ns && m->ns->root == m && at->dentry == m->root ? -EBUSY : -EINVAL;
	} else if (flags & MNT_DETACH) {
		detach_tree(m, &dead);
	} else if (!list_is_empty(&m->children) || atomic_load(&m->refs) > 2) {
		err = -EBUSY;		/* the tree's and the caller's references are fine */
	} else {
		detach_tree(m, &dead);
	}
	rt_write_unlock(&lx_mount_lock);
	put_dead(&dead);
	return err;
}

/* -- pivot_root(2) */

int lx_do_pivot_root(struct lx_task *self, struct lx_path *new_root, struct lx_path *put_old)
{
	struct lx_path root, at_new = { 0 }, at_root = { 0 };
	struct lx_mntns *ns = ns_of(self);
	int err = 0;

	lx_fs_paths(self->fs, &root, NULL);
	rt_write_lock(&lx_mount_lock);
	if (!root.mnt->ns || !new_root->mnt->ns || !put_old->mnt->ns)
		err = -EINVAL;
	else if (new_root->mnt == root.mnt || put_old->mnt == root.mnt)
		err = -EBUSY;
	else if (root.dentry != root.mnt->root || new_root->dentry != new_root->mnt->root ||
		 !new_root->mnt->parent)
		err = -EINVAL;
	else if (root.mnt->propagation == MS_SHARED || new_root->mnt->propagation == MS_SHARED ||
		 new_root->mnt->parent->propagation == MS_SHARED)
		err = -EINVAL;
	else if (!root.mnt->parent && ns->root != root.mnt)
		err = -EINVAL;
	else if (!root.mnt->parent)
		err = -EINVAL;		/* rootfs itself cannot be pivoted away */
	else if (!is_under(put_old->mnt, new_root->mnt))
		err = -EINVAL;
	if (!err) {
		detach(new_root->mnt, &at_new);
		clear_mounted_flag(at_new.dentry);
		detach(root.mnt, &at_root);
		clear_mounted_flag(at_root.dentry);
		list_remove(&root.mnt->ns_link);
		list_remove(&new_root->mnt->ns_link);
		attach(new_root->mnt, &at_root, ns);
		attach(root.mnt, put_old, ns);
	}
	rt_write_unlock(&lx_mount_lock);
	if (!err) {
		/* everybody who stood at the old root stands at the new one */
		lx_fs_replace_roots(&root, new_root);
		lx_path_put(&at_new);
		lx_path_put(&at_root);
	}
	lx_path_put(&root);
	return err;
}

/* -- namespaces */

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
		detach_tree(ns->root, &dead);
	rt_write_unlock(&lx_mount_lock);
	put_dead(&dead);
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
	copy->root = clone_mount(ns->root, ns->root->root);
	if (!copy->root) {
		err = -ENOMEM;
	} else {
		copy->root->id = ++next_id;
		copy->root->ns = copy;
		list_add_last(&copy->mounts, &copy->root->ns_link);
		err = copy_children(ns->root, copy->root, NULL, copy, true);
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

/* -- what /proc shows */

size_t lx_mount_options(struct lx_mount *m, char *buf, size_t size)
{
	uint32_t f = atomic_load(&m->flags);

	return (size_t)scnprintf(buf, size, "%s%s%s%s%s%s%s", f & LX_MNT_READONLY ? "ro" : "rw",
				 f & LX_MNT_NOSUID ? ",nosuid" : "", f & LX_MNT_NODEV ? ",nodev" : "",
				 f & LX_MNT_NOEXEC ? ",noexec" : "",
				 f & LX_MNT_NOATIME ? ",noatime" : "",
				 f & LX_MNT_NODIRATIME ? ",nodiratime" : "",
				 f & LX_MNT_RELATIME ? ",relatime" : "");
}

struct text {
	char *buf;
	size_t len, size;
	bool failed;
};

static char *room(struct text *t, size_t n)
{
	if (t->len + n > t->size) {
		size_t size = MAX(t->size * 2, t->len + n);
		char *p = rt_realloc(t->buf, size);

		if (!p) {
			t->failed = true;
			return NULL;
		}
		t->buf = p;
		t->size = size;
	}
	return t->buf + t->len;
}

static void put_str(struct text *t, const char *s)
{
	size_t n = strlen(s);
	char *p = room(t, n);

	if (p) {
		memcpy(p, s, n);
		t->len += n;
	}
}

/* Spaces, tabs, newlines and backslashes as \ooo, so that the fields can be told apart. */
static void put_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		char one[5] = { *s };

		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#')
			snprintf(one, sizeof(one), "\\%03o", (unsigned char)*s);
		put_str(t, one);
	}
}

static void show_one(struct text *t, struct lx_mount *m, const char *where, const char *sub,
		     enum lx_mount_style style)
{
	char opts[512], line[256];
	size_t n;

	switch (style) {
	case LX_MOUNTS:
		put_escaped(t, m->source);
		put_str(t, " ");
		put_escaped(t, where);
		snprintf(line, sizeof(line), " %s%s ", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		lx_mount_options(m, opts, sizeof(opts));
		if ((m->sb->flags & MS_RDONLY) && opts[1] == 'w')
			opts[1] = 'o';
		if (opts[1] == 'o')
			opts[0] = 'r';
		put_str(t, opts);
		n = m->sb->ops && m->sb->ops->show_options
			    ? m->sb->ops->show_options(m->sb, opts, sizeof(opts)) : 0;
		opts[n] = '\0';
		put_str(t, opts);
		put_str(t, " 0 0\n");
		break;
	case LX_MOUNTINFO:
		snprintf(line, sizeof(line), "%u %u %u:%u ", m->id, m->parent ? m->parent->id : m->id,
			 LX_MAJOR(m->sb->dev), LX_MINOR(m->sb->dev));
		put_str(t, line);
		put_escaped(t, sub);
		put_str(t, " ");
		put_escaped(t, where);
		put_str(t, " ");
		lx_mount_options(m, opts, sizeof(opts));
		put_str(t, opts);
		if (m->propagation == MS_SHARED) {
			snprintf(line, sizeof(line), " shared:%u", m->peer_group);
			put_str(t, line);
		} else if (m->propagation == MS_UNBINDABLE) {
			put_str(t, " unbindable");
		}
		snprintf(line, sizeof(line), " - %s%s ", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		put_escaped(t, m->source);
		put_str(t, m->sb->flags & MS_RDONLY ? " ro" : " rw");
		n = m->sb->ops && m->sb->ops->show_options
			    ? m->sb->ops->show_options(m->sb, opts, sizeof(opts)) : 0;
		opts[n] = '\0';
		put_str(t, opts);
		put_str(t, "\n");
		break;
	case LX_MOUNTSTATS:
		put_str(t, "device ");
		put_escaped(t, m->source);
		put_str(t, " mounted on ");
		put_escaped(t, where);
		snprintf(line, sizeof(line), " with fstype %s%s\n", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		break;
	}
}

/*
 * The paths are made without the lock (lx_path_string takes it), from a list of
 * references gathered under it.
 */
size_t lx_mounts_show(struct lx_mntns *ns, const struct lx_path *root, enum lx_mount_style style,
		      char **out)
{
	struct text t = { 0 };
	struct lx_mount **list, *m;
	size_t n = 0, count;
	char *buf = rt_alloc(2 * LX_PATH_MAX);

	*out = NULL;
	if (!buf)
		return 0;
	rt_read_lock(&lx_mount_lock);
	count = list_count(&ns->mounts);
	list = rt_alloc((count + 1) * sizeof(*list));
	if (list)
		list_for_each_entry(m, &ns->mounts, ns_link)
			list[n++] = lx_mount_get(m);
	rt_read_unlock(&lx_mount_lock);
	for (size_t i = 0; i < n; i++) {
		struct lx_path p = { list[i], list[i]->root };
		struct lx_path fsroot = { NULL, list[i]->sb->root }, sub = { NULL, list[i]->root };
		char *where = lx_path_string(&p, root, buf, LX_PATH_MAX);
		char *part = lx_path_string(&sub, &fsroot, buf + LX_PATH_MAX, LX_PATH_MAX);

		/* what lies outside the caller's root is not its business */
		if (where && where[0] == '/' && !t.failed)
			show_one(&t, list[i], where, part ? part : "/", style);
		lx_mount_put(list[i]);
	}
	rt_free(list);
	rt_free(buf);
	*out = t.buf;
	return t.len;
}
