/* SPDX-License-Identifier: MIT */
/*
 * mount(2), umount2(2) and pivot_root(2): what they do to the tree of mounts (mount.c).
 *
 * Each looks its paths up first, then checks and changes the tree with lx_mount_lock
 * held for writing, all of it or nothing.  What has to be put is collected and put
 * without the lock, because with the last reference of a mount a file system may go.
 *
 * Mounting at a place means on top of what is mounted there now; and only a directory
 * can be mounted on a directory.
 */
#include <linux/mount.h>

#include "base/hlist.h"
#include "fs/nsfs/nsfs.h"
#include "vfs/mount_priv.h"
#include "vfs/vfs_priv.h"

static uint32_t next_peer = 1;			/* lx_mount_lock */

/*
 * Attach a new mount at @target, which is first moved down to what is mounted
 * there now: mounting again covers.  The reference to @m moves in on success.
 */
static int graft(struct lx_task *self, struct lx_mount *m, struct lx_path *target)
{
	struct lx_mntns *ns = lx_mntns_of(self);
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
		lx_mount_attach(m, target, ns);
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

/*
 * Namespaces may be bound although they are on no tree; a mount namespace only by
 * older ones, so that none holds itself.
 */
static bool may_bind_namespace(struct lx_task *self, const struct lx_path *from)
{
	const struct lx_inode *inode = lx_d_inode(from->dentry);

	return lx_nsfs_is_mount(from->mnt) &&
	       (!str_equal(from->dentry->name, "mnt") || inode->ino > lx_mntns_of(self)->ino);
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
	m = lx_mount_clone(from.mnt, from.dentry);
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
		struct lx_mntns *ns = lx_mntns_of(self);
		/*
		 * The copies are made before the top is attached, so that a bind of a
		 * directory into itself does not copy its own copies.
		 */
		if (rec) {
			m->ns = ns;
			err = lx_mount_copy_children(from.mnt, m, from.dentry, ns, false);
		}
		if (err)
			lx_mount_detach_tree(m, &dead);
		else
			lx_mount_attach(m, target, ns);
	}
	rt_write_unlock(&lx_mount_lock);
	lx_mount_put_dead(&dead);
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
	else if (lx_mount_is_under(target->mnt, from.mnt))
		err = -ELOOP;
	else if (lx_is_dir(lx_d_inode(target->dentry)) != lx_is_dir(lx_d_inode(from.dentry)))
		err = -ENOTDIR;
	if (!err) {
		struct lx_mntns *ns = from.mnt->ns;

		lx_mount_detach(from.mnt, &at);
		lx_mount_point_gone(at.dentry);
		list_remove(&from.mnt->ns_link);
		lx_mount_attach(from.mnt, target, ns);
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
	lx_mntns_changed(m->ns);
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
	lx_mntns_changed(target->mnt->ns);
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
		lx_mount_detach_tree(m, &dead);
	} else if (!list_is_empty(&m->children) || atomic_load(&m->refs) > 2) {
		err = -EBUSY;		/* the tree's and the caller's references are fine */
	} else {
		lx_mount_detach_tree(m, &dead);
	}
	rt_write_unlock(&lx_mount_lock);
	lx_mount_put_dead(&dead);
	return err;
}

/* -- pivot_root(2) */

int lx_do_pivot_root(struct lx_task *self, struct lx_path *new_root, struct lx_path *put_old)
{
	struct lx_path root, at_new = { 0 }, at_root = { 0 };
	struct lx_mntns *ns = lx_mntns_of(self);
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
	else if (!lx_mount_is_under(put_old->mnt, new_root->mnt))
		err = -EINVAL;
	if (!err) {
		lx_mount_detach(new_root->mnt, &at_new);
		lx_mount_point_gone(at_new.dentry);
		lx_mount_detach(root.mnt, &at_root);
		lx_mount_point_gone(at_root.dentry);
		list_remove(&root.mnt->ns_link);
		list_remove(&new_root->mnt->ns_link);
		lx_mount_attach(new_root->mnt, &at_root, ns);
		lx_mount_attach(root.mnt, put_old, ns);
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
