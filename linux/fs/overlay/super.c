/* SPDX-License-Identifier: MIT */
/*
 * overlay: one tree out of several, the upper one writable.
 *
 * mount -t overlay -o lowerdir=A[:B...],upperdir=C,workdir=D.  The layers are held
 * by their mounts.  Layers are file systems whose data is in the page cache: tmpfs,
 * erofs, ext4.  What the options of newer kernels choose is fixed: redirect_dir=off,
 * index=off, metacopy=off, xino=on.
 *
 * Lock order, all of rank LX_LOCK_INODE: inodes of the overlay, ovl_super.lock, the
 * work directory, inodes of the layers.
 */
#include <linux/fs.h>
#include <asm/statfs.h>

#include "base/format.h"
#include "fs/overlay/overlay.h"
#include "fs/overlay/ovl_fs.h"
#include "lx/acl.h"

#define OVERLAY_MAGIC 0x794c7630

static int ovl_statfs(struct lx_super *sb, void *out)
{
	struct ovl_super *s = ovl_super(sb);
	struct lx_super *real = s->upper.dentry ? s->upper.dentry->sb : s->lower[0].dentry->sb;
	struct statfs *st = out;
	int err = real->ops->statfs ? real->ops->statfs(real, out) : 0;

	st->f_type = OVERLAY_MAGIC;
	return err;
}

static void free_super(struct ovl_super *s)
{
	if (!s)
		return;
	if (s->upper.dentry)
		lx_path_put(&s->upper);
	if (s->work.dentry)
		lx_path_put(&s->work);
	for (unsigned int i = 0; i < s->nr_lower; i++)
		lx_path_put(&s->lower[i]);
	rt_free(s->lower_text);
	rt_free(s->upper_text);
	rt_free(s->work_text);
	rt_free(s);
}

static void ovl_put(struct lx_super *sb)
{
	free_super(sb->private);
}

static size_t ovl_show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct ovl_super *s = ovl_super(sb);
	size_t n = (size_t)scnprintf(buf, size, ",lowerdir=%s", s->lower_text);

	if (s->upper.dentry)
		n += (size_t)scnprintf(buf + n, size - n, ",upperdir=%s,workdir=%s", s->upper_text,
				       s->work_text);
	return n;
}

static int ovl_remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	return !(flags & 1) && !ovl_super(sb)->upper.dentry ? -EROFS : 0;
}

static const struct lx_super_ops sops = {
	.evict = ovl_evict_inode,
	.statfs = ovl_statfs,
	.sync = ovl_sync_fs,
	.put = ovl_put,
	.show_options = ovl_show_options,
	.remount = ovl_remount,
};

static char *copy_text(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = rt_alloc(n);

	if (p)
		memcpy(p, s, n);
	return p;
}

static int parse_option(struct ovl_super *s, char *name, const char *value)
{
	char **text = str_equal(name, "lowerdir") ? &s->lower_text
		    : str_equal(name, "upperdir") ? &s->upper_text
		    : str_equal(name, "workdir")  ? &s->work_text : NULL;

	if (text) {
		if (!value || !*value)
			return -EINVAL;
		rt_free(*text);
		*text = copy_text(value);
		return *text ? 0 : -ENOMEM;
	}
	/* what cannot be chosen may be named if it is what we do */
	if ((str_equal(name, "redirect_dir") || str_equal(name, "index") ||
	     str_equal(name, "metacopy") || str_equal(name, "nfs_export")) &&
	    value && (str_equal(value, "off") || str_equal(value, "nofollow")))
		return 0;
	if (str_equal(name, "xino") || str_equal(name, "volatile"))
		return 0;
	return -EINVAL;
}

/* Options are split at commas that have no backslash before them. */
static int parse_options(struct ovl_super *s, const char *options)
{
	char *copy = copy_text(options ? options : ""), *p = copy;
	int err = copy ? 0 : -ENOMEM;

	while (p && *p && !err) {
		char *out = p, *in = p, *value;
		bool more;

		while (*in && *in != ',') {
			if (*in == '\\' && in[1] == ',')
				in++;
			*out++ = *in++;
		}
		more = *in == ',';
		*out = '\0';
		value = strchr(p, '=');
		if (value)
			*value++ = '\0';
		if (*p)
			err = parse_option(s, p, value);
		p = more ? in + 1 : NULL;
	}
	rt_free(copy);
	return err;
}

static int open_dir(const char *path, struct lx_path *out)
{
	return lx_path_at(lx_self(), AT_FDCWD, path, LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, out);
}

static int open_lowers(struct ovl_super *s)
{
	char *copy = copy_text(s->lower_text), *p = copy;
	int err = copy ? 0 : -ENOMEM;

	while (p && !err) {
		char *next = strchr(p, ':');

		if (next)
			*next++ = '\0';
		if (s->nr_lower == OVL_MAX_LOWER || !*p)
			err = -EINVAL;
		if (!err)
			err = open_dir(p, &s->lower[s->nr_lower]);
		if (!err)
			s->nr_lower++;
		p = next;
	}
	rt_free(copy);
	return err;
}

static int forget_lists(struct lx_inode *dir)
{
	int err = 0;

	rt_mutex_lock(&dir->lock);
	for (int def = 0; !err && dir->ops->set_acl && def < 2; def++) {
		struct lx_acl *acl;

		err = lx_inode_acl(dir, def, &acl);
		if (!err && acl)
			err = dir->ops->set_acl(dir, def, NULL, dir->mode);
		lx_acl_put(acl);
	}
	rt_mutex_unlock(&dir->lock);
	return err;
}

/* The work directory proper: "work" in what workdir= names, as Linux makes it. */
static int open_work(struct ovl_super *s)
{
	struct lx_qstr q = { "work", 4, lx_name_hash("work", 4) };
	struct lx_dentry *d = NULL;
	struct lx_inode *dir;
	struct lx_path p;
	int err = open_dir(s->work_text, &p);

	if (err)
		return err;
	if (p.mnt != s->upper.mnt || lx_dentry_is_ancestor(p.dentry, s->upper.dentry) ||
	    lx_dentry_is_ancestor(s->upper.dentry, p.dentry)) {
		lx_path_put(&p);
		return -EINVAL;
	}
	dir = lx_d_inode(p.dentry);
	rt_mutex_lock(&dir->lock);
	err = lx_lookup_locked(p.dentry, &q, &d);
	if (!err && lx_d_negative(d))
		err = dir->ops->mkdir ? dir->ops->mkdir(dir, d, S_IFDIR) : -EROFS;
	rt_mutex_unlock(&dir->lock);
	/* what is made in there inherits from where it is going to be */
	if (!err)
		err = forget_lists(lx_d_inode(d));
	if (!err) {
		s->work.mnt = lx_mount_get(p.mnt);
		s->work.dentry = d;
	}
	lx_path_put(&p);
	return err;
}

static int open_layers(struct ovl_super *s)
{
	int err;

	if (!s->lower_text || !s->upper_text != !s->work_text)
		return -EINVAL;
	err = open_lowers(s);
	if (err || !s->upper_text)
		return err;
	err = open_dir(s->upper_text, &s->upper);
	if (err)
		return err;
	if (lx_want_write(&s->upper) || !lx_d_inode(s->upper.dentry)->ops->mkdir) {
		rt_log(RT_LOG_ERR, "overlayfs: upper fs is r/o, try multi-lower layers mount");
		return -EINVAL;
	}
	return open_work(s);
}

static int make_root(struct lx_super *sb)
{
	struct ovl_super *s = ovl_super(sb);
	struct ovl_inode *oi = rt_zalloc(sizeof(*oi));
	struct lx_inode *inode;

	if (!oi)
		return -ENOMEM;
	oi->lowers = rt_zalloc(s->nr_lower * sizeof(*oi->lowers));
	if (!oi->lowers) {
		rt_free(oi);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < s->nr_lower; i++) {
		oi->lowers[i].dentry = lx_dentry_get(s->lower[i].dentry);
		oi->lowers[i].layer = ovl_lower_layer(i);
	}
	oi->nr_lower = s->nr_lower;
	oi->lower0 = lx_dentry_get(s->lower[0].dentry);
	inode = ovl_new_inode(sb, s->upper.dentry ? lx_dentry_get(s->upper.dentry) : NULL, oi);
	if (!inode)
		return -ENOMEM;
	sb->root = lx_dentry_alloc_root(sb, inode);
	if (!sb->root)
		return -ENOMEM;
	oi->dentry = sb->root;
	return 0;
}

static int ovl_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		     const char *options, struct lx_super **out)
{
	struct ovl_super *s = rt_zalloc(sizeof(*s));
	struct lx_super *sb;
	int err;

	if (!s)
		return -ENOMEM;
	rt_mutex_init(&s->lock, LX_LOCK_INODE);
	err = parse_options(s, options);
	if (!err)
		err = open_layers(s);
	sb = err ? NULL : lx_super_alloc(type);
	if (!sb) {
		free_super(s);
		return err ? err : -ENOMEM;
	}
	sb->private = s;
	sb->ops = &sops;
	sb->magic = OVERLAY_MAGIC;
	sb->flags = flags | (s->upper.dentry ? 0 : 1);
	err = make_root(sb);
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static struct lx_fs_type type = { .name = "overlay", .flags = LX_FS_NODEV, .mount = ovl_mount };

void lx_overlay_init(void)
{
	lx_fs_register(&type);
}
