/* SPDX-License-Identifier: MIT */
/*
 * devpts: the nodes of pseudo-terminals' slaves, and ptmx.
 *
 * Each mount is an instance with numbers of its own, as on Linux.  A node's inode
 * belongs to the pty and goes with its master, so chown and chmod last that long;
 * dentries are checked at each look-up (revalidate), since nodes come and go
 * without directory operations.
 *
 * Opening /dev/ptmx means the instance mounted on /dev/pts; opening the ptmx of an
 * instance means that one.
 */

#include <asm/statfs.h>
#include <linux/magic.h>
#include <linux/stat.h>

#include "base/bitmap.h"
#include "base/format.h"
#include "base/parse.h"
#include "pty.h"
#include "vfs/vfs_priv.h"

#define PTY_MAX		4096u		/* numbers of one instance */
#define ROOT_INO	1u
#define PTMX_INO	2u
#define FIRST_INO	3u

struct devpts {
	struct lx_super *sb;		/* constant */
	/* Options: changed by remount. */
	bool has_uid, has_gid;
	lx_uid_t uid;
	lx_gid_t gid;
	lx_mode_t mode, ptmxmode;
	unsigned int max;

	struct lx_inode *ptmx;		/* constant: a reference */

	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	DECLARE_BITMAP(used, PTY_MAX);
	struct list ptys;		/* of pty.link: those with nodes, by number */
};

static const struct lx_inode_ops node_iops;

static struct devpts *devpts_of_sb(const struct lx_super *sb)
{
	return sb->private;
}

/* With the lock. */
static struct pty *find_pty(struct devpts *fs, unsigned int index)
{
	struct pty *p;

	list_for_each_entry(p, &fs->ptys, link)
		if (p->index == index)
			return p;
	return NULL;
}

/* -- the device's side ------------------------------------------------------------------------------- */

static struct lx_inode *node_inode(struct devpts *fs, unsigned int index)
{
	struct lx_inode *inode = lx_inode_create(fs->sb, S_IFCHR | fs->mode);
	struct lx_task *self = lx_self();

	if (!inode)
		return NULL;
	inode->ino = FIRST_INO + index;
	inode->rdev = LX_MKDEV(PTS_MAJOR, index);
	inode->ops = &node_iops;
	inode->uid = fs->has_uid ? fs->uid : self->cred->fsuid;
	inode->gid = fs->has_gid ? fs->gid : self->cred->fsgid;
	return inode;
}

int devpts_add(struct devpts *fs, struct pty *p)
{
	struct pty *after;
	int err = 0;

	rt_mutex_lock(&fs->lock);
	p->index = (unsigned int)bitmap_next_clear(fs->used, PTY_MAX, 0);
	if (p->index >= fs->max)
		err = -ENOSPC;
	else
		bitmap_set(fs->used, p->index);
	rt_mutex_unlock(&fs->lock);
	if (err)
		return err;
	p->inode = node_inode(fs, p->index);
	if (!p->inode) {
		rt_mutex_lock(&fs->lock);
		bitmap_clear(fs->used, p->index);
		rt_mutex_unlock(&fs->lock);
		return -ENOMEM;
	}
	lx_super_get(fs->sb);
	p->inode->private = p;
	rt_mutex_lock(&fs->lock);
	list_for_each_entry(after, &fs->ptys, link)
		if (after->index > p->index)
			break;
	list_add_last(&after->link, &p->link);	/* before it; at the end if there is none */
	rt_mutex_unlock(&fs->lock);
	return 0;
}

void devpts_remove(struct pty *p)
{
	struct devpts *fs = p->fs;
	struct lx_inode *inode;

	rt_mutex_lock(&fs->lock);
	list_remove(&p->link);
	inode = p->inode;
	p->inode = NULL;
	if (inode)
		inode->private = NULL;
	rt_mutex_unlock(&fs->lock);
	if (inode) {
		atomic_store(&inode->nlink, 0);
		lx_inode_put(inode);
	}
}

void devpts_free(struct pty *p)
{
	struct devpts *fs = p->fs;

	rt_mutex_lock(&fs->lock);
	bitmap_clear(fs->used, p->index);
	rt_mutex_unlock(&fs->lock);
	lx_super_put(fs->sb);
}

struct lx_tty *devpts_tty(struct lx_inode *inode)
{
	struct lx_tty *tty = NULL;
	struct devpts *fs;
	struct pty *p;

	if (inode->ops != &node_iops)
		return NULL;		/* a node of that number elsewhere */
	fs = devpts_of_sb(inode->sb);
	rt_mutex_lock(&fs->lock);
	p = inode->private;
	/* The node has its pty only while the master, which holds the tty, is open. */
	if (p && p->tty)
		tty = tty_get(p->tty);
	rt_mutex_unlock(&fs->lock);
	return tty;
}

/* -- directory ------------------------------------------------------------------------------------------ */

/* The inode of a name, a reference; NULL: there is none. */
static struct lx_inode *find_inode(struct devpts *fs, const char *name, uint32_t len)
{
	struct lx_inode *inode = NULL;
	uint64_t index;
	struct pty *p;

	if (len == 4 && !memcmp(name, "ptmx", 4))
		return lx_inode_get(fs->ptmx);
	if (!len || len > 7 || (name[0] == '0' && len > 1) ||
	    parse_u64(name, len, 10, &index) != len)
		return NULL;
	rt_mutex_lock(&fs->lock);
	p = find_pty(fs, (unsigned int)index);
	if (p && p->inode)
		inode = lx_inode_get(p->inode);
	rt_mutex_unlock(&fs->lock);
	return inode;
}

static int dir_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = find_inode(devpts_of_sb(dir->sb), d->name, d->name_len);

	if (inode)
		lx_dentry_instantiate(d, inode);
	return 0;
}

/* Does the name still mean what it meant?  (Names that meant nothing are looked up again.) */
static bool name_is_current(struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d), *now;

	if (!inode)
		return false;
	if (d == d->sb->root)
		return true;
	now = find_inode(devpts_of_sb(d->sb), d->name, d->name_len);
	if (now)
		lx_inode_put(now);
	return now == inode;
}

static int dir_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct devpts *fs = devpts_of_sb(f->inode->sb);

	if (!lx_dir_emit_dots(ctx, ROOT_INO, ROOT_INO))
		return 0;
	if (ctx->pos == 2) {
		if (!ctx->emit(ctx, "ptmx", 4, PTMX_INO, 2))
			return 0;
		ctx->pos = 3;
	}
	/* Position 3 + n: number n.  emit() copies to program memory, so not under a leaf lock. */
	for (unsigned int i = (unsigned int)ctx->pos - 3; i < PTY_MAX; i++) {
		char name[8];
		bool there;

		rt_mutex_lock(&fs->lock);
		i = (unsigned int)bitmap_next_set(fs->used, PTY_MAX, i);
		there = i < PTY_MAX && find_pty(fs, i);
		rt_mutex_unlock(&fs->lock);
		if (!there)
			continue;
		scnprintf(name, sizeof(name), "%u", i);
		if (!ctx->emit(ctx, name, strlen(name), FIRST_INO + i, 2))
			return 0;
		ctx->pos = (lx_off_t)i + 4;
	}
	return 0;
}

static lx_off_t dir_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	if (whence != 0 || off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

static const struct lx_file_ops dir_fops = { .iterate = dir_iterate, .llseek = dir_llseek };
static const struct lx_inode_ops dir_iops = { .lookup = dir_lookup, .revalidate = name_is_current };
static const struct lx_inode_ops node_iops = { .revalidate = name_is_current };
static const struct lx_inode_ops ptmx_iops = { .revalidate = name_is_current };

/* -- super blocks ----------------------------------------------------------------------------------------- */

static int devpts_statfs(struct lx_super *sb, void *out)
{
	struct statfs *st = out;

	st->f_type = DEVPTS_SUPER_MAGIC;
	st->f_bsize = st->f_frsize = (long)sb->block_size;
	st->f_namelen = LX_NAME_MAX;
	return 0;
}

/* No dentry but the root is left: the nodes of ptys that are open may stay longer. */
static void devpts_shutdown(struct lx_super *sb)
{
	struct devpts *fs = devpts_of_sb(sb);

	if (fs->ptmx)
		lx_inode_put(fs->ptmx);
	fs->ptmx = NULL;
}

static void devpts_put(struct lx_super *sb)
{
	rt_free(sb->private);
}

static size_t devpts_show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct devpts *fs = devpts_of_sb(sb);
	size_t n = 0;

	if (fs->has_uid)
		n += (size_t)scnprintf(buf + n, size - n, ",uid=%u", fs->uid);
	if (fs->has_gid)
		n += (size_t)scnprintf(buf + n, size - n, ",gid=%u", fs->gid);
	n += (size_t)scnprintf(buf + n, size - n, ",mode=%03o,ptmxmode=%03o", fs->mode,
			       fs->ptmxmode);
	if (fs->max < PTY_MAX)
		n += (size_t)scnprintf(buf + n, size - n, ",max=%u", fs->max);
	return n;
}

/* One option of the list; -EINVAL. */
static int parse_option(struct devpts *fs, const char *s, size_t n)
{
	const char *eq = memchr(s, '=', n);
	size_t name = eq ? (size_t)(eq - s) : n, len = eq ? n - name - 1 : 0;
	uint64_t v = 0;
	bool octal;

	if (n == 11 && !memcmp(s, "newinstance", 11))
		return 0;		/* always */
	octal = (name == 4 && !memcmp(s, "mode", 4)) || (name == 8 && !memcmp(s, "ptmxmode", 8));
	if (!len || parse_u64(eq + 1, len, octal ? 8 : 10, &v) != len || v > UINT32_MAX)
		return -EINVAL;
	if (name == 8 && octal) {
		fs->ptmxmode = v & 07777;
	} else if (octal) {
		fs->mode = v & 07777;
	} else if (name == 3 && !memcmp(s, "uid", 3)) {
		fs->uid = (lx_uid_t)v;
		fs->has_uid = true;
	} else if (name == 3 && !memcmp(s, "gid", 3)) {
		fs->gid = (lx_gid_t)v;
		fs->has_gid = true;
	} else if (name == 3 && !memcmp(s, "max", 3)) {
		fs->max = (unsigned int)MIN(v, (uint64_t)PTY_MAX);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int parse_options(struct devpts *fs, const char *s)
{
	int err = 0;

	fs->mode = 0600;
	fs->ptmxmode = 0;
	fs->max = PTY_MAX;
	fs->has_uid = fs->has_gid = false;
	while (s && *s && !err) {
		size_t n = strcspn(s, ",");

		if (n)
			err = parse_option(fs, s, n);
		s += n + (s[n] == ',');
	}
	return err;
}

static int devpts_remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	struct devpts *fs = devpts_of_sb(sb);
	int err = parse_options(fs, options);

	if (!err)
		fs->ptmx->mode = S_IFCHR | fs->ptmxmode;
	return err;
}

static const struct lx_super_ops sops = {
	.statfs = devpts_statfs,
	.shutdown = devpts_shutdown,
	.put = devpts_put,
	.show_options = devpts_show_options,
	.remount = devpts_remount,
};

/* Root directory and ptmx. */
static int make_nodes(struct devpts *fs)
{
	struct lx_inode *root = lx_inode_create(fs->sb, S_IFDIR | 0755);

	if (!root)
		return -ENOMEM;
	root->ino = ROOT_INO;
	root->ops = &dir_iops;
	root->fops = &dir_fops;
	atomic_store(&root->nlink, 2);
	fs->sb->root = lx_dentry_alloc_root(fs->sb, root);
	fs->ptmx = fs->sb->root ? lx_inode_create(fs->sb, S_IFCHR | fs->ptmxmode) : NULL;
	if (!fs->ptmx)
		return -ENOMEM;
	fs->ptmx->ino = PTMX_INO;
	fs->ptmx->ops = &ptmx_iops;
	fs->ptmx->rdev = LX_MKDEV(TTYAUX_MAJOR, PTMX_MINOR);
	return 0;
}

static int devpts_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
			const char *options, struct lx_super **out)
{
	struct lx_super *sb = lx_super_alloc(type);
	struct devpts *fs = rt_zalloc(sizeof(*fs));
	int err = -ENOMEM;

	if (!sb || !fs) {
		rt_free(fs);
		if (sb)
			lx_super_put(sb);
		return err;
	}
	fs->sb = sb;
	rt_mutex_init(&fs->lock, LX_LOCK_LEAF);
	list_init(&fs->ptys);
	sb->ops = &sops;
	sb->private = fs;
	sb->magic = DEVPTS_SUPER_MAGIC;
	sb->flags = flags;
	err = parse_options(fs, options);
	if (!err)
		err = make_nodes(fs);
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static struct lx_fs_type devpts_type = {
	.name = "devpts", .flags = LX_FS_NODEV, .mount = devpts_mount,
};

/* -- opening ---------------------------------------------------------------------------------------------------- */

int devpts_of(struct lx_file *f, struct devpts **fs)
{
	struct lx_path path;
	int err;

	if (f->inode->sb->type == &devpts_type) {
		*fs = devpts_of_sb(f->inode->sb);
		return 0;
	}
	err = lx_path_at(lx_self(), -100 /* AT_FDCWD */, "/dev/pts",
			 LX_LOOKUP_FOLLOW | LX_LOOKUP_DIRECTORY, &path);
	if (err)
		return -ENODEV;
	/* The caller's root and the mount keep the instance until a pty of it holds it. */
	err = path.dentry->sb->type == &devpts_type ? 0 : -ENODEV;
	if (!err)
		*fs = devpts_of_sb(path.dentry->sb);
	lx_path_put(&path);
	return err;
}

int devpts_open_peer(struct lx_task *self, struct pty *p, int flags, struct lx_file **out)
{
	struct lx_path path = { NULL, NULL };
	char name[8];
	int err;

	scnprintf(name, sizeof(name), "%u", p->index);
	err = lx_lookup_one(self, p->fs->sb->root, name, (uint32_t)strlen(name), &path.dentry);
	if (err)
		return err;
	if (lx_d_negative(path.dentry)) {
		lx_dentry_put(path.dentry);
		return -EIO;
	}
	err = lx_file_open_path(self, &path, flags, LX_FMODE_READ | LX_FMODE_WRITE, out);
	if (err)
		lx_path_put(&path);
	return err;
}

int devpts_init(void)
{
	int err;

	lx_fs_register(&devpts_type);
	err = lx_devtmpfs_create("ptmx", S_IFCHR | 0666, LX_MKDEV(TTYAUX_MAJOR, PTMX_MINOR));
	return err ? err : lx_devtmpfs_mkdir("pts");
}
