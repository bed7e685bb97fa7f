/* SPDX-License-Identifier: MIT */
/*
 * Directories of an overlay: looking up, making, removing, renaming.
 *
 * A name in the upper layer covers those below.  A removed lower name is covered
 * by a whiteout (a character device 0:0).  A directory whose lower namesakes are
 * to stay hidden is opaque (trusted.overlay.opaque = "y").
 *
 * Everything that would leave the merged view wrong if it failed half way is made
 * in the work directory first and then renamed into place.  Renaming a directory
 * that has something below it in a lower layer is EXDEV, as Linux's default is:
 * mv copies then.
 */
#include <linux/fs.h>

#include "base/format.h"
#include "fs/overlay/overlay.h"
#include "lx/acl.h"

/* -- looking up */

static int lookup_upper(struct lx_inode *dir, struct lx_dentry *d, struct lx_dentry **upper,
			bool *stop)
{
	struct lx_dentry *up = ovl_upper(dir), *found;
	struct lx_inode *real;
	int err;

	*upper = NULL;
	if (!up)
		return 0;
	err = lx_lookup_one(lx_self(), up, d->name, d->name_len, &found);
	if (err)
		return err;
	real = lx_d_inode(found);
	if (!real || ovl_is_whiteout(real)) {
		*stop = real != NULL;
		lx_dentry_put(found);
		return 0;
	}
	*upper = found;
	*stop = !lx_is_dir(real) || ovl_is_opaque(real);
	return 0;
}

/* What the lower layers have under that name: into @oi. */
static int lookup_lower(struct lx_inode *dir, struct lx_dentry *d, bool dirs_only,
			struct ovl_inode *oi)
{
	struct ovl_inode *di = ovl_inode(dir);

	for (unsigned int i = 0; i < di->nr_lower; i++) {
		struct lx_dentry *found;
		struct lx_inode *real;
		int err = lx_lookup_one(lx_self(), di->lowers[i].dentry, d->name, d->name_len, &found);

		if (err)
			return err;
		real = lx_d_inode(found);
		if (!real) {
			lx_dentry_put(found);
			continue;
		}
		if (ovl_is_whiteout(real) || (!lx_is_dir(real) && (dirs_only || oi->nr_lower))) {
			lx_dentry_put(found);
			break;
		}
		if (!oi->lower0) {
			oi->lower0 = lx_dentry_get(found);
			oi->layer0 = di->lowers[i].layer;
		}
		if (!lx_is_dir(real)) {
			lx_dentry_put(found);
			break;
		}
		if (!oi->lowers)
			oi->lowers = rt_zalloc(di->nr_lower * sizeof(*oi->lowers));
		if (!oi->lowers) {
			lx_dentry_put(found);
			return -ENOMEM;
		}
		oi->lowers[oi->nr_lower].dentry = found;
		oi->lowers[oi->nr_lower++].layer = di->lowers[i].layer;
		if (ovl_is_opaque(real))
			break;
	}
	return 0;
}

static int attach(struct lx_dentry *d, struct lx_dentry *upper, struct ovl_inode *oi)
{
	struct lx_inode *inode;

	oi->dentry = d;
	inode = ovl_new_inode(d->sb, upper, oi);
	if (!inode)
		return -ENOMEM;
	lx_dentry_instantiate(d, inode);
	return 0;
}

static void drop(struct ovl_inode *oi, struct lx_dentry *upper)
{
	if (upper)
		lx_dentry_put(upper);
	if (oi->lower0)
		lx_dentry_put(oi->lower0);
	for (unsigned int i = 0; i < oi->nr_lower; i++)
		lx_dentry_put(oi->lowers[i].dentry);
	rt_free(oi->lowers);
	rt_free(oi);
}

static int ovl_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct ovl_inode *oi = rt_zalloc(sizeof(*oi));
	struct lx_dentry *upper = NULL;
	bool stop = false;
	int err;

	if (!oi)
		return -ENOMEM;
	err = lookup_upper(dir, d, &upper, &stop);
	if (!err && !stop)
		err = lookup_lower(dir, d, upper != NULL, oi);
	if (err || (!upper && !oi->lower0)) {
		drop(oi, upper);
		return err;
	}
	return attach(d, upper, oi);
}

/* Would the name be seen in a lower layer if the upper one had nothing there? */
static int lower_has(struct lx_inode *dir, struct lx_dentry *d, bool *has)
{
	struct ovl_inode *oi = rt_zalloc(sizeof(*oi));
	int err;

	if (!oi)
		return -ENOMEM;
	err = lookup_lower(dir, d, false, oi);
	*has = oi->lower0 != NULL;
	drop(oi, NULL);
	return err;
}

/* -- changing the upper layer: the super's lock is held */

static struct lx_qstr name_of(struct lx_dentry *d)
{
	return (struct lx_qstr){ d->name, d->name_len, lx_name_hash(d->name, d->name_len) };
}

/* The upper layer's dentry for the overlay's name @d in @updir, which is locked. */
static int place(struct lx_dentry *updir, struct lx_dentry *d, struct lx_dentry **out)
{
	struct lx_qstr q = name_of(d);

	return lx_lookup_locked(updir, &q, out);
}

/* A free name in the work directory (locked). */
static int temp(struct ovl_super *s, struct lx_dentry **out)
{
	char name[24];
	struct lx_qstr q = { .name = name };

	q.len = (uint32_t)scnprintf(name, sizeof(name), "#%llx", (unsigned long long)s->next_temp++);
	q.hash = lx_name_hash(name, q.len);
	return lx_lookup_locked(s->work.dentry, &q, out);
}

static int real_remove(struct lx_inode *dir, struct lx_dentry *d)
{
	int err;

	if (!lx_is_dir(lx_d_inode(d)))
		return lx_unlink_locked(dir, d);
	err = dir->ops->rmdir(dir, d);
	if (!err) {
		/* the overlay's locks keep everybody out of it */
		lx_d_inode(d)->iflags |= LX_INODE_DELETED;
		atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
		lx_dentry_unhash(d);
		lx_dcache_drop_children(d);
	}
	return err;
}

/* What is to be made: one of the kinds that a directory operation can make. */
struct make {
	lx_mode_t mode;			/* with the type */
	lx_dev_t rdev;
	const char *target;		/* symlink */
	struct lx_dentry *old;		/* hard link to this upper dentry */
};

static int real_make(const struct make *m, struct lx_inode *dir, struct lx_dentry *d)
{
	if (m->old)
		return lx_vfs_link(m->old, dir, d);
	switch (m->mode & S_IFMT) {
	case S_IFREG:
		return dir->ops->create(dir, d, m->mode);
	case S_IFDIR:
		return dir->ops->mkdir(dir, d, m->mode);
	case S_IFLNK:
		return dir->ops->symlink(dir, d, m->target);
	default:
		return dir->ops->mknod(dir, d, m->mode, m->rdev);
	}
}

static int set_opaque(struct lx_inode *real)
{
	return real->ops->setxattr ? real->ops->setxattr(real, OVL_XATTR_OPAQUE, "y", 1, 0)
				   : -EOPNOTSUPP;
}

/* Lists for what was made in the work directory, which has none to inherit. */
static int give_lists(struct lx_inode *made, struct lx_acl *acl, struct lx_acl *def)
{
	int err = 0;

	if ((acl || def) && !made->ops->set_acl)
		return -EOPNOTSUPP;
	rt_mutex_lock_nested(&made->lock);
	if (acl)
		err = made->ops->set_acl(made, false, acl, made->mode);
	if (!err && def)
		err = made->ops->set_acl(made, true, def, made->mode);
	rt_mutex_unlock(&made->lock);
	return err;
}

/*
 * Make something in the work directory, and put it over what is at @target in
 * @updir (both locked).  @out: a reference to its dentry, which is in place then.
 */
static int make_over(struct ovl_super *s, const struct make *m, bool opaque, struct lx_inode *updir,
		     struct lx_dentry *target, struct lx_dentry **out)
{
	struct lx_inode *work = lx_d_inode(s->work.dentry);
	struct make here = *m;		/* but where it inherits from is its place */
	struct lx_acl *acl = NULL, *def = NULL;
	struct lx_dentry *t;
	int err = m->old ? 0 : lx_acl_inherit(updir, &here.mode, &acl, &def);

	if (!err)
		err = temp(s, &t);
	if (err) {
		lx_acl_put(acl);
		lx_acl_put(def);
		return err;
	}
	err = real_make(&here, work, t);
	if (!err)
		err = give_lists(lx_d_inode(t), acl, def);
	lx_acl_put(acl);
	lx_acl_put(def);
	if (!err && opaque)
		err = set_opaque(lx_d_inode(t));
	if (!err)
		err = lx_rename_locked(work, t, updir, target, 0);
	if (err) {
		if (!lx_d_negative(t))
			real_remove(work, t);
		lx_dentry_put(t);
		return err;
	}
	*out = t;
	return 0;
}

/* Lock the upper directory and the work directory; the work directory first. */
static void lock_upper(struct ovl_super *s, struct lx_inode *updir)
{
	rt_mutex_lock_nested(&lx_d_inode(s->work.dentry)->lock);
	rt_mutex_lock_nested(&updir->lock);
}

static void unlock_upper(struct ovl_super *s, struct lx_inode *updir)
{
	rt_mutex_unlock(&updir->lock);
	rt_mutex_unlock(&lx_d_inode(s->work.dentry)->lock);
}

static int make(struct lx_inode *dir, struct lx_dentry *d, const struct make *m,
		struct lx_dentry **upper)
{
	struct ovl_super *s = ovl_super(dir->sb);
	struct lx_inode *updir;
	struct lx_dentry *at;
	int err = ovl_copy_up(dir);

	if (err)
		return err;
	rt_mutex_lock_nested(&s->lock);
	updir = lx_d_inode(ovl_upper(dir));
	lock_upper(s, updir);
	err = place(ovl_upper(dir), d, &at);
	if (!err) {
		if (lx_d_negative(at)) {
			err = real_make(m, updir, at);
			*upper = err ? NULL : lx_dentry_get(at);
		} else if (ovl_is_whiteout(lx_d_inode(at))) {
			err = make_over(s, m, (m->mode & S_IFMT) == S_IFDIR && !m->old, updir, at,
					upper);
		} else {
			err = -EIO;	/* the overlay did not see it: made behind its back */
		}
		lx_dentry_put(at);
	}
	unlock_upper(s, updir);
	rt_mutex_unlock(&s->lock);
	if (!err)
		ovl_sync_attributes(dir);
	return err;
}

static int make_new(struct lx_inode *dir, struct lx_dentry *d, const struct make *m)
{
	struct ovl_inode *oi = rt_zalloc(sizeof(*oi));
	struct lx_dentry *upper;
	int err = oi ? make(dir, d, m, &upper) : -ENOMEM;

	if (err) {
		rt_free(oi);
		return err;
	}
	err = attach(d, upper, oi);
	if (err)
		lx_dentry_unhash(d);	/* it was made: let the next lookup find it */
	return err;
}

static int ovl_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return make_new(dir, d, &(struct make){ .mode = (mode & 07777) | S_IFREG });
}

static int ovl_mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return make_new(dir, d, &(struct make){ .mode = (mode & 07777) | S_IFDIR });
}

static int ovl_mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	if ((mode & S_IFMT) == S_IFCHR && !dev)
		return -EPERM;		/* that is a whiteout */
	return make_new(dir, d, &(struct make){ .mode = mode, .rdev = dev });
}

static int ovl_symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	return make_new(dir, d, &(struct make){ .mode = S_IFLNK | 0777, .target = target });
}

static int ovl_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	struct lx_dentry *upper;
	int err = ovl_copy_up(inode);

	if (!err)
		err = make(dir, d, &(struct make){ .mode = inode->mode, .old = ovl_upper(inode) },
			   &upper);
	if (err)
		return err;
	lx_dentry_put(upper);
	/* from now on other names have to find the same inode */
	if (!hlist_is_linked(&inode->hash_link)) {
		inode->ino = ovl_real(inode)->ino;
		lx_inode_hash(inode);
	}
	ovl_sync_attributes(inode);
	lx_dentry_instantiate(d, lx_inode_get(inode));
	return 0;
}

static int ovl_tmpfile(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct ovl_super *s = ovl_super(dir->sb);
	struct ovl_inode *oi = rt_zalloc(sizeof(*oi));
	struct lx_acl *acl, *def;
	struct lx_inode *work;
	struct lx_dentry *t;
	int err;

	if (!oi || !s->upper.dentry) {
		rt_free(oi);
		return s->upper.dentry ? -ENOMEM : -EROFS;
	}
	err = lx_acl_inherit(dir, &mode, &acl, &def);
	if (err) {
		rt_free(oi);
		return err;
	}
	work = lx_d_inode(s->work.dentry);
	rt_mutex_lock_nested(&work->lock);
	err = temp(s, &t);
	if (!err) {
		err = work->ops->tmpfile ? work->ops->tmpfile(work, t, mode) : -EOPNOTSUPP;
		if (!err)
			err = give_lists(lx_d_inode(t), acl, def);
		if (!err)
			lx_d_inode(t)->linkable = true;
		lx_dentry_unhash(t);
		if (err)
			lx_dentry_put(t);
	}
	rt_mutex_unlock(&work->lock);
	lx_acl_put(acl);
	lx_acl_put(def);
	if (err) {
		rt_free(oi);
		return err;
	}
	return attach(d, t, oi);
}

/* -- removing */

/* Whiteouts in the upper part of a directory that is empty to the eye. */
struct whiteouts {
	struct lx_dir_emit emit;
	char name[LX_NAME_MAX + 1];
	size_t len;
};

static bool collect_whiteout(struct lx_dir_emit *e, const char *name, size_t len, uint64_t ino,
			     unsigned int type)
{
	struct whiteouts *w = container_of(e, struct whiteouts, emit);

	if (len <= 2 && name[0] == '.' && (len == 1 || name[1] == '.'))
		return true;
	memcpy(w->name, name, len);
	w->len = len;
	return false;			/* one at a time */
}

static int clear_whiteouts(struct lx_dentry *updir)
{
	struct lx_inode *dir = lx_d_inode(updir);
	struct lx_file shadow = { .inode = dir };
	int err = 0;

	rt_mutex_lock_nested(&dir->lock);
	while (!err) {
		struct whiteouts w = { .emit.emit = collect_whiteout };
		struct lx_dentry *d;
		struct lx_qstr q;

		err = dir->fops->iterate(&shadow, &w.emit);
		if (err || !w.len)
			break;
		q = (struct lx_qstr){ w.name, (uint32_t)w.len, lx_name_hash(w.name, (uint32_t)w.len) };
		err = lx_lookup_locked(updir, &q, &d);
		if (err)
			break;
		err = lx_d_negative(d) || !ovl_is_whiteout(lx_d_inode(d)) ? -ENOTEMPTY
									   : real_remove(dir, d);
		lx_dentry_put(d);
	}
	rt_mutex_unlock(&dir->lock);
	return err;
}

static int remove_name(struct lx_inode *dir, struct lx_dentry *d)
{
	struct ovl_super *s = ovl_super(dir->sb);
	struct lx_inode *inode = lx_d_inode(d), *updir;
	struct lx_dentry *at, *white;
	bool cover;
	int err = ovl_copy_up(dir);

	if (!err)
		err = lower_has(dir, d, &cover);
	if (err)
		return err;
	rt_mutex_lock_nested(&s->lock);
	if (lx_is_dir(inode) && ovl_upper(inode))
		err = clear_whiteouts(ovl_upper(inode));
	updir = lx_d_inode(ovl_upper(dir));
	lock_upper(s, updir);
	if (!err)
		err = place(ovl_upper(dir), d, &at);
	if (!err) {
		if (!cover) {
			err = lx_d_negative(at) ? -ENOENT : real_remove(updir, at);
		} else {
			err = make_over(s, &(struct make){ .mode = S_IFCHR }, false, updir, at, &white);
			if (!err)
				lx_dentry_put(white);
		}
		lx_dentry_put(at);
	}
	if (!err)
		ovl_inode(inode)->gone = true;
	unlock_upper(s, updir);
	rt_mutex_unlock(&s->lock);
	if (!err) {
		ovl_sync_attributes(dir);
		ovl_sync_attributes(inode);
		if (!ovl_upper(inode))
			atomic_store(&inode->nlink, 0);
	}
	return err;
}

static int ovl_unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	return remove_name(dir, d);
}

static int ovl_rmdir(struct lx_inode *dir, struct lx_dentry *d)
{
	int err = ovl_check_empty(lx_d_inode(d));

	return err ? err : remove_name(dir, d);
}

/* -- renaming */

static bool has_lower(const struct lx_inode *inode)
{
	return lx_is_dir(inode) && ovl_inode(inode)->nr_lower;
}

/* A directory that comes to stand over a lower one must not be merged with that. */
static int hide_lower(struct lx_inode *ndir, struct lx_dentry *nd, struct lx_inode *inode)
{
	bool has = false;
	int err = lx_is_dir(inode) ? lower_has(ndir, nd, &has) : 0;

	return err || !has ? err : set_opaque(ovl_real(inode));
}

static int rename_upper(struct ovl_super *s, struct lx_inode *odir, struct lx_dentry *od,
			struct lx_inode *ndir, struct lx_dentry *nd, unsigned int flags)
{
	struct lx_dentry *oup = ovl_upper(odir), *nup = ovl_upper(ndir), *from = NULL, *to = NULL;
	struct lx_inode *uo = lx_d_inode(oup), *un = lx_d_inode(nup);
	int err;

	/* the overlay's locks on both directories keep everybody else away from these */
	rt_mutex_lock_nested(&uo->lock);
	if (un != uo)
		rt_mutex_lock_nested(&un->lock);
	err = place(oup, od, &from);
	if (!err)
		err = place(nup, nd, &to);
	if (!err && lx_d_negative(from))
		err = -EIO;
	if (!err)
		err = lx_rename_locked(uo, from, un, to, flags);
	if (from)
		lx_dentry_put(from);
	if (to)
		lx_dentry_put(to);
	if (un != uo)
		rt_mutex_unlock(&un->lock);
	rt_mutex_unlock(&uo->lock);
	return err;
}

static int ovl_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
		      struct lx_dentry *nd, unsigned int flags)
{
	struct ovl_super *s = ovl_super(odir->sb);
	struct lx_inode *inode = lx_d_inode(od), *target = lx_d_inode(nd);
	bool cover = false;
	int err = 0;

	if (has_lower(inode) || ((flags & RENAME_EXCHANGE) && has_lower(target)))
		return -EXDEV;
	if (flags & RENAME_WHITEOUT)
		return -EINVAL;
	if (target && lx_is_dir(target) && !(flags & RENAME_EXCHANGE))
		err = ovl_check_empty(target);
	if (!err)
		err = ovl_copy_up(inode);
	if (!err && (flags & RENAME_EXCHANGE))
		err = ovl_copy_up(target);
	if (!err)
		err = ovl_copy_up(odir);
	if (!err)
		err = ovl_copy_up(ndir);
	if (!err && !(flags & RENAME_EXCHANGE))
		err = lower_has(odir, od, &cover);
	if (err)
		return err;
	if (cover)
		flags |= RENAME_WHITEOUT;
	rt_mutex_lock_nested(&s->lock);
	err = hide_lower(ndir, nd, inode);
	if (!err && (flags & RENAME_EXCHANGE))
		err = hide_lower(odir, od, target);
	if (!err && target && lx_is_dir(target) && !(flags & RENAME_EXCHANGE) && ovl_upper(target))
		err = clear_whiteouts(ovl_upper(target));
	if (!err)
		err = rename_upper(s, odir, od, ndir, nd, flags & ~(unsigned int)RENAME_NOREPLACE);
	if (!err && target && !(flags & RENAME_EXCHANGE))
		ovl_inode(target)->gone = true;
	rt_mutex_unlock(&s->lock);
	if (err)
		return err;
	ovl_sync_attributes(odir);
	ovl_sync_attributes(ndir);
	ovl_sync_attributes(inode);
	if (target) {
		ovl_sync_attributes(target);
		if (!ovl_upper(target) && !(flags & RENAME_EXCHANGE))
			atomic_store(&target->nlink, 0);
	}
	return 0;
}

const struct lx_inode_ops ovl_dir_iops = {
	.lookup = ovl_lookup,
	.create = ovl_create,
	.mkdir = ovl_mkdir,
	.mknod = ovl_mknod,
	.symlink = ovl_symlink,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	OVL_ATTR_OPS, OVL_ACL_OPS,
};
