/* SPDX-License-Identifier: MIT */
/*
 * Inodes: life, permissions, attributes, times.
 *
 * An inode is held by the dentries that name it, by a file system's own tables
 * (tmpfs directories), and by whoever works with it.  When the last reference
 * goes the file system's evict frees what it hung on it.  File systems on media,
 * where two names can lead to the same number, keep their inodes in a hash table
 * (lx_inode_find, lx_inode_hash) so that there is one inode, one page cache and
 * one set of locks per file; the count of a hashed inode drops to zero only under
 * the table's lock.
 */
#include <linux/capability.h>

#include "lx/acl.h"
#include "lx/ref.h"
#include "rt/time.h"
#include "vfs/vfs_priv.h"

#define HASH_SIZE 1024u

static struct {
	struct rt_mutex lock;		/* rank LX_LOCK_DENTRY: table and the lists of super blocks */
	struct hlist table[HASH_SIZE];
} icache = { .lock = RT_MUTEX_INIT(LX_LOCK_DENTRY) };

struct lx_time lx_now_coarse(void)
{
	uint64_t ns = rt_realtime_ns();

	return (struct lx_time){ .sec = (int64_t)(ns / 1000000000), .nsec = (uint32_t)(ns % 1000000000) };
}

struct lx_inode *lx_inode_create(struct lx_super *sb, lx_mode_t mode)
{
	struct lx_inode *inode = rt_zalloc(sizeof(*inode));

	if (!inode)
		return NULL;
	inode->sb = sb;
	inode->mode = mode;
	inode->ino = atomic_fetch_add_explicit(&sb->next_ino, 1, memory_order_relaxed) + 1;
	atomic_store(&inode->refs, 1);
	atomic_store(&inode->nlink, 1);
	rt_mutex_init(&inode->lock, LX_LOCK_INODE);
	rt_mutex_init(&inode->pages_lock, LX_LOCK_PAGES);
	list_init(&inode->flocks);
	list_init(&inode->watches);
	hlist_node_init(&inode->hash_link);
	inode->atime = inode->mtime = inode->ctime = inode->btime = lx_now_coarse();
	rt_mutex_lock_nested(&icache.lock);
	list_add_last(&sb->inodes, &inode->sb_link);
	rt_mutex_unlock(&icache.lock);
	return inode;
}

struct lx_inode *lx_inode_get(struct lx_inode *inode)
{
	atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
	return inode;
}

static void evict(struct lx_inode *inode)
{
	if (!list_is_empty(&inode->watches))
		lx_notify_inode_gone(inode);
	lx_pages_close(inode);
	if (inode->sb->ops && inode->sb->ops->evict)
		inode->sb->ops->evict(inode);
	lx_inode_acl_drop(inode);
	rt_free(inode);
}

void lx_inode_put(struct lx_inode *inode)
{
	if (lx_ref_drop_shared(&inode->refs))
		return;
	rt_mutex_lock_nested(&icache.lock);
	if (atomic_fetch_sub(&inode->refs, 1) != 1) {
		rt_mutex_unlock(&icache.lock);
		return;
	}
	hlist_remove(&inode->hash_link);
	list_remove(&inode->sb_link);
	rt_mutex_unlock(&icache.lock);
	evict(inode);
}

static struct hlist *chain(const struct lx_super *sb, uint64_t ino)
{
	return &icache.table[(ino ^ (uintptr_t)sb >> 6) * 0x9e3779b97f4a7c15ull >> 54];
}

struct lx_inode *lx_inode_find(struct lx_super *sb, uint64_t ino)
{
	struct lx_inode *inode;

	rt_mutex_lock_nested(&icache.lock);
	hlist_for_each_entry(inode, chain(sb, ino), hash_link) {
		if (inode->sb == sb && inode->ino == ino) {
			lx_inode_get(inode);
			break;
		}
	}
	rt_mutex_unlock(&icache.lock);
	return inode;
}

void lx_inode_hash(struct lx_inode *inode)
{
	rt_mutex_lock_nested(&icache.lock);
	hlist_add(chain(inode->sb, inode->ino), &inode->hash_link);
	rt_mutex_unlock(&icache.lock);
}

struct lx_inode *lx_inode_hash_unique(struct lx_inode *inode)
{
	struct lx_inode *old;

	rt_mutex_lock_nested(&icache.lock);
	hlist_for_each_entry(old, chain(inode->sb, inode->ino), hash_link) {
		if (old->sb == inode->sb && old->ino == inode->ino) {
			lx_inode_get(old);
			break;
		}
	}
	if (!old)
		hlist_add(chain(inode->sb, inode->ino), &inode->hash_link);
	rt_mutex_unlock(&icache.lock);
	if (!old)
		return inode;
	lx_inode_put(inode);
	return old;
}

void lx_lock_two(struct lx_inode *a, struct lx_inode *b)
{
	if (a == b)
		b = NULL;
	if (a && b && b < a) {
		struct lx_inode *t = a;

		a = b;
		b = t;
	}
	if (a)
		rt_mutex_lock_nested(&a->lock);
	if (b)
		rt_mutex_lock_nested(&b->lock);
}

void lx_unlock_two(struct lx_inode *a, struct lx_inode *b)
{
	if (a)
		rt_mutex_unlock(&a->lock);
	if (b && b != a)
		rt_mutex_unlock(&b->lock);
}

/* -- permissions */

int lx_generic_permission(struct lx_task *self, const struct lx_cred *cred, struct lx_inode *inode,
			  int mask)
{
	lx_mode_t mode = inode->mode;
	int err = -EAGAIN;

	if (cred->fsuid == inode->uid)
		mode >>= 6;
	else if ((mode & 070) && unlikely(lx_inode_acl_counts(inode)))
		err = lx_inode_acl_permits(cred, inode, mask);
	if (err == -EAGAIN) {
		if (cred->fsuid != inode->uid && lx_cred_in_group(cred, inode->gid))
			mode >>= 3;
		err = mask & ~mode & 7 ? -EACCES : 0;
	}
	if (likely(err != -EACCES))
		return err;

	if (lx_is_dir(inode)) {
		if (!(mask & LX_MAY_WRITE) && lx_cred_capable(cred, CAP_DAC_READ_SEARCH))
			return 0;
		return lx_cred_capable(cred, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == LX_MAY_READ && lx_cred_capable(cred, CAP_DAC_READ_SEARCH))
		return 0;
	/* even root executes only what somebody may execute */
	if ((!(mask & LX_MAY_EXEC) || (inode->mode & 0111)) &&
	    lx_cred_capable(cred, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int lx_permission_cred(struct lx_task *self, const struct lx_cred *cred, struct lx_inode *inode,
		       int mask)
{
	if (mask & LX_MAY_WRITE) {
		lx_mode_t type = inode->mode & S_IFMT;

		if ((inode->sb->flags & 1 /* SB_RDONLY */) &&
		    (type == S_IFREG || type == S_IFDIR || type == S_IFLNK))
			return -EROFS;
		if (inode->iflags & LX_INODE_IMMUTABLE)
			return -EPERM;
	}
	if (inode->ops && inode->ops->permission)
		return inode->ops->permission(self, inode, mask);
	return lx_generic_permission(self, cred, inode, mask);
}

int lx_inode_permission(struct lx_task *self, struct lx_inode *inode, int mask)
{
	return lx_permission_cred(self, self->cred, inode, mask);
}

bool lx_inode_owner_or_capable(struct lx_task *self, const struct lx_inode *inode)
{
	return self->cred->fsuid == inode->uid || lx_capable(self, CAP_FOWNER);
}

/* -- writers against executors */

int lx_get_write(struct lx_inode *inode)
{
	int32_t w = atomic_load(&inode->writers);

	do {
		if (w < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&inode->writers, &w, w + 1));
	return 0;
}

void lx_put_write(struct lx_inode *inode)
{
	atomic_fetch_sub(&inode->writers, 1);
}

int lx_deny_write(struct lx_inode *inode)
{
	int32_t w = atomic_load(&inode->writers);

	do {
		if (w > 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&inode->writers, &w, w - 1));
	return 0;
}

void lx_allow_write(struct lx_inode *inode)
{
	atomic_fetch_add(&inode->writers, 1);
}

/* -- times */

void lx_inode_touch(struct lx_inode *inode, uint32_t which)
{
	struct lx_time now = lx_now_coarse();

	if (which & LX_ATTR_ATIME)
		lx_time_set(&inode->atime, now);
	if (which & LX_ATTR_MTIME)
		lx_time_set(&inode->mtime, now);
	if (which & LX_ATTR_CTIME)
		lx_time_set(&inode->ctime, now);
}

static bool time_le(struct lx_time a, struct lx_time b)
{
	return a.sec < b.sec || (a.sec == b.sec && a.nsec <= b.nsec);
}

void lx_inode_accessed(struct lx_mount *mnt, struct lx_inode *inode)
{
	uint32_t flags = mnt ? atomic_load_explicit(&mnt->flags, memory_order_relaxed) : 0;
	struct lx_time atime = lx_time_get(&inode->atime), now;

	if ((flags & (LX_MNT_NOATIME | LX_MNT_READONLY)) || (inode->sb->flags & 1) ||
	    (inode->iflags & LX_INODE_NOATIME))
		return;
	if ((flags & LX_MNT_NODIRATIME) && lx_is_dir(inode))
		return;
	/*
	 * relatime: once after each change, and once a day.  The common read finds
	 * nothing to do after two comparisons; the clock is read only beyond them.
	 */
	if ((flags & LX_MNT_RELATIME) && !time_le(atime, lx_time_get(&inode->mtime)) &&
	    !time_le(atime, lx_time_get(&inode->ctime))) {
		now = lx_now_coarse();
		if (now.sec - atime.sec < 24 * 3600)
			return;
	} else {
		now = lx_now_coarse();
	}
	lx_time_set(&inode->atime, now);
	if (inode->ops && inode->ops->accessed)
		inode->ops->accessed(inode);
}

/* -- attributes */

void lx_setattr_copy(struct lx_inode *inode, const struct lx_attr *a)
{
	if (a->valid & LX_ATTR_UID)
		inode->uid = a->uid;
	if (a->valid & LX_ATTR_GID)
		inode->gid = a->gid;
	if (a->valid & LX_ATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	if (a->valid & LX_ATTR_ATIME)
		lx_time_set(&inode->atime, a->atime);
	if (a->valid & LX_ATTR_MTIME)
		lx_time_set(&inode->mtime, a->mtime);
	if (a->valid & LX_ATTR_CTIME)
		lx_time_set(&inode->ctime, lx_now_coarse());
}

/* Owner and mode as the caller may set them; EPERM else.  Inode locked. */
static int check_owner_change(struct lx_task *self, struct lx_inode *inode, struct lx_attr *a)
{
	const struct lx_cred *c = self->cred;

	if ((a->valid & LX_ATTR_UID) &&
	    !((c->fsuid == inode->uid && a->uid == inode->uid) || lx_capable(self, CAP_CHOWN)))
		return -EPERM;
	if ((a->valid & LX_ATTR_GID) &&
	    !((c->fsuid == inode->uid &&
	       (a->gid == inode->gid || lx_cred_in_group(c, a->gid))) ||
	      lx_capable(self, CAP_CHOWN)))
		return -EPERM;
	if (a->valid & LX_ATTR_MODE) {
		lx_gid_t gid = a->valid & LX_ATTR_GID ? a->gid : inode->gid;

		if (!lx_inode_owner_or_capable(self, inode))
			return -EPERM;
		if ((a->mode & S_ISGID) && !lx_cred_in_group(c, gid) &&
		    !lx_capable(self, CAP_FSETID))
			a->mode &= ~(lx_mode_t)S_ISGID;
	}
	return 0;
}

int lx_inode_setattr(struct lx_task *self, const struct lx_path *p, struct lx_attr *a)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	int err;

	if (inode->iflags & (LX_INODE_IMMUTABLE | LX_INODE_APPEND))
		return -EPERM;
	err = lx_want_write(p);
	if (err)
		return err;
	rt_mutex_lock(&inode->lock);
	err = check_owner_change(self, inode, a);
	if (err)
		goto out;
	if ((a->valid & LX_ATTR_KILL_PRIV) && !lx_is_dir(inode) && !(a->valid & LX_ATTR_MODE)) {
		/* changing the owner drops set-user-ID, and set-group-ID of executables */
		lx_mode_t kill = inode->mode & S_ISUID;

		if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			kill |= S_ISGID;
		if (kill) {
			a->mode = (inode->mode & 07777) & ~kill;
			a->valid |= LX_ATTR_MODE;
		}
	}
	a->valid |= LX_ATTR_CTIME;
	if (inode->ops && inode->ops->setattr) {
		err = inode->ops->setattr(inode, a);
	} else if (inode->ops && inode->ops->truncate && (a->valid & LX_ATTR_SIZE)) {
		err = inode->ops->truncate(inode, a->size);
		if (!err)
			lx_setattr_copy(inode, a);
	} else {
		lx_setattr_copy(inode, a);
	}
	if (!err && (a->valid & LX_ATTR_MODE) && unlikely(lx_inode_acl_counts(inode)))
		err = lx_inode_acl_chmod(inode);
out:
	rt_mutex_unlock(&inode->lock);
	if (!err)
		lx_notify(inode, p->dentry, 4 /* IN_ATTRIB */);
	return err;
}

void lx_getattr_inode(struct lx_inode *inode, struct lx_kstat *st)
{
	*st = (struct lx_kstat){
		.ino = inode->ino, .dev = inode->sb->dev,
		.size = atomic_load_explicit(&inode->size, memory_order_relaxed),
		.blocks = inode->blocks, .rdev = inode->rdev, .mode = inode->mode,
		.nlink = atomic_load_explicit(&inode->nlink, memory_order_relaxed),
		.uid = inode->uid, .gid = inode->gid, .blksize = inode->sb->block_size,
		.atime = lx_time_get(&inode->atime), .mtime = lx_time_get(&inode->mtime),
		.ctime = lx_time_get(&inode->ctime),
		.btime = inode->btime,
	};
	if (inode->ops && inode->ops->getattr)
		inode->ops->getattr(inode, st);
}

void lx_getattr(const struct lx_path *p, struct lx_kstat *st)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);

	lx_getattr_inode(inode, st);
	st->mnt_id = p->mnt ? p->mnt->id : 0;
	if (inode->iflags & LX_INODE_IMMUTABLE)
		st->attributes |= STATX_ATTR_IMMUTABLE;
	if (inode->iflags & LX_INODE_APPEND)
		st->attributes |= STATX_ATTR_APPEND;
	if (p->mnt && p->dentry == p->mnt->root)
		st->attributes |= STATX_ATTR_MOUNT_ROOT;
}
