/* SPDX-License-Identifier: MIT */
/*
 * Directories of 9P.  Names are not kept longer than they are in use, and those in use are
 * looked up again: the host may have changed them.
 */
#include "fs/9p/p9.h"

#define READDIR_SIZE 16384u

/* -- looking up ------------------------------------------------------------------------------ */

/* The file @name in @dir as an inode, a reference.  The directory is locked. */
static int find(struct lx_inode *dir, const char *name, struct lx_inode **out)
{
	struct p9_fid *at, *f;
	struct p9_qid qid;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	err = p9_walk(at, name, &f, &qid);
	p9_fid_put(at);
	return err ? err : p9_iget(dir->sb, f, dir, name, out);
}

static int lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode;
	int err;

	atomic_fetch_or(&d->dflags, LX_DENTRY_NOCACHE);
	err = find(dir, d->name, &inode);
	if (err)
		return err == -ENOENT ? 0 : err;
	lx_dentry_instantiate(d, inode);
	return 0;
}

/* Is @d's name still that of its inode?  The fid that says so becomes the inode's. */
static bool ask_again(struct lx_dentry *d, struct lx_inode *dir)
{
	struct lx_inode *inode = lx_d_inode(d), *now;
	char name[LX_NAME_MAX + 1];
	struct p9_fid *at, *f;
	struct p9_qid qid;
	int err;

	name[lx_dentry_name(d, name)] = '\0';
	if (p9_inode_fid(dir, &at))
		return false;
	err = p9_walk(at, name, &f, &qid);
	p9_fid_put(at);
	if (err)
		return false;
	if (qid.path != inode->ino || p9_iget(dir->sb, f, dir, name, &now)) {
		if (qid.path != inode->ino)
			p9_fid_put(f);
		return false;
	}
	lx_inode_put(now);
	return now == inode;
}

bool p9_revalidate(struct lx_dentry *d)
{
	struct lx_dentry *parent;
	bool right;

	if (d->sb->root == d)
		return true;
	if (lx_d_negative(d))
		return false;
	parent = lx_dentry_parent_get(d);
	right = ask_again(d, lx_d_inode(parent));
	lx_dentry_put(parent);
	return right;
}

/* -- making ---------------------------------------------------------------------------------- */

static lx_gid_t gid_for(const struct lx_inode *dir)
{
	return dir->mode & S_ISGID ? dir->gid : lx_self()->cred->fsgid;
}

/*
 * Files are made by whom the session is of.  If that is not the task, they are given to it where
 * the server can do that; where it cannot, for want of root's rights, all files are one user's.
 */
static bool is_others(const struct lx_inode *dir)
{
	return lx_self()->cred->fsuid != p9_conn_of(dir->sb)->n_uname;
}

/* Set-id bits come last, when it is whose it shall be. */
static lx_mode_t mode_to_make(const struct lx_inode *dir, lx_mode_t mode)
{
	return is_others(dir) ? mode & ~(lx_mode_t)(S_ISUID | S_ISGID) : mode;
}

static void give(struct lx_inode *inode, lx_mode_t mode)
{
	struct lx_attr a = {.valid = LX_ATTR_UID, .uid = lx_self()->cred->fsuid};
	struct p9_fid *f;

	if (p9_inode_fid(inode, &f))
		return;
	if (!p9_setattr(f, &a)) {
		a = (struct lx_attr){.valid = LX_ATTR_MODE, .mode = mode & 07777};
		if (mode & (S_ISUID | S_ISGID))
			(void)!p9_setattr(f, &a);
		(void)!p9_refresh(inode, false);
	}
	p9_fid_put(f);
}

/* It was made, of type and rights @mode: its inode becomes @d's. */
static int made(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, struct lx_inode **out)
{
	struct lx_inode *inode;
	int err = find(dir, d->name, &inode);

	if (err)
		return err == -ENOENT ? -EIO : err;
	if ((inode->mode ^ mode) & S_IFMT) {
		lx_inode_put(inode);
		return -EIO;
	}
	if (is_others(dir))
		give(inode, mode);
	lx_dentry_instantiate(d, inode);
	if (out)
		*out = inode;
	return 0;
}

/*
 * A file is made and opened in one, and the open one is kept for the task that made it: it may open
 * it whatever its mode is.
 */
static int create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct p9_conn *c = p9_conn_of(dir->sb);
	struct p9_fid *at, *open, *old;
	struct lx_inode *inode;
	struct p9_qid qid;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	err = p9_walk(at, NULL, &open, &qid);
	p9_fid_put(at);
	if (err)
		return err;
	mode = S_IFREG | (mode & 07777);
	err = p9_lcreate(open, d->name, O_CREAT | O_EXCL | O_RDWR, mode_to_make(dir, mode),
			 gid_for(dir));
	if (!err)
		err = made(dir, d, mode, &inode);
	if (err) {
		p9_fid_put(open);
		return err;
	}
	rt_mutex_lock(&c->lock);
	old = p9_inode_of(inode)->fresh;
	p9_inode_of(inode)->fresh = open;
	p9_inode_of(inode)->fresh_for = lx_self();
	rt_mutex_unlock(&c->lock);
	p9_fid_put(old);
	return 0;
}

static int mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct p9_fid *at;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	mode = S_IFDIR | (mode & 07777) | (dir->mode & S_ISGID);
	err = p9_mkdir(at, d->name, mode_to_make(dir, mode), gid_for(dir));
	p9_fid_put(at);
	return err ? err : made(dir, d, mode, NULL);
}

static int mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	struct p9_fid *at;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	err = p9_mknod(at, d->name, mode_to_make(dir, mode), dev, gid_for(dir));
	p9_fid_put(at);
	return err ? err : made(dir, d, mode, NULL);
}

static int symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	struct p9_fid *at;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	err = p9_symlink(at, d->name, target, gid_for(dir));
	p9_fid_put(at);
	return err ? err : made(dir, d, S_IFLNK, NULL);
}

/* A fid of @d's file by just this name. */
static int named_fid(struct lx_dentry *d, struct p9_fid **out)
{
	struct lx_dentry *parent = lx_dentry_parent_get(d);
	char name[LX_NAME_MAX + 1];
	struct p9_fid *at;
	struct p9_qid qid;
	int err = p9_inode_fid(lx_d_inode(parent), &at);

	lx_dentry_put(parent);
	if (err)
		return err;
	name[lx_dentry_name(d, name)] = '\0';
	err = p9_walk(at, name, out, &qid);
	p9_fid_put(at);
	if (!err && qid.path != lx_d_inode(d)->ino) {
		p9_fid_put(*out);
		err = -ENOENT;
	}
	return err;
}

static int link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	struct p9_fid *at, *f;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	/* The name that was asked for: another, by which it was found since, may be gone. */
	err = named_fid(old, &f);
	if (!err) {
		err = p9_link(at, f, d->name);
		p9_fid_put(f);
	}
	p9_fid_put(at);
	if (err)
		return err;
	/* Its lock is held by the VFS: it is not looked up anew. */
	lx_dentry_instantiate(d, lx_inode_get(inode));
	(void)!p9_refresh(inode, true);
	return 0;
}

/* -- taking away ------------------------------------------------------------------------------ */

/* A name of @inode, which is locked if it is a file, is gone; how many are left, the server knows.
 */
static void removed(struct lx_inode *inode)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	uint32_t n = lx_is_dir(inode) ? 0 : atomic_load(&inode->nlink);

	rt_mutex_lock(&c->lock);
	atomic_store(&inode->nlink, n ? n - 1 : 0);
	p9_inode_of(inode)->unlinked = true;
	rt_mutex_unlock(&c->lock);
	if (!lx_is_dir(inode))
		(void)!p9_refresh(inode, true);
}

static int take(struct lx_inode *dir, struct lx_dentry *d, bool is_dir)
{
	struct p9_fid *at;
	int err = p9_inode_fid(dir, &at);

	if (err)
		return err;
	err = p9_unlinkat(at, d->name, is_dir);
	p9_fid_put(at);
	if (!err)
		removed(lx_d_inode(d));
	return err;
}

static int unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	return take(dir, d, false);
}

static int rmdir(struct lx_inode *dir, struct lx_dentry *d)
{
	return take(dir, d, true);
}

static int send_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
		       struct lx_dentry *nd)
{
	struct p9_fid *from, *to = NULL, *f = NULL;
	int err = p9_inode_fid(odir, &from);

	if (err)
		return err;
	err = p9_inode_fid(ndir, &to);
	if (!err)
		err = p9_inode_fid(lx_d_inode(od), &f);
	if (!err)
		err = p9_rename(f, from, od->name, to, nd->name);
	p9_fid_put(f);
	p9_fid_put(to);
	p9_fid_put(from);
	return err;
}

static int rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
		  struct lx_dentry *nd, unsigned int flags)
{
	int err = flags ? -EINVAL : send_rename(odir, od, ndir, nd);

	if (err)
		return err;
	if (!lx_d_negative(nd))
		removed(lx_d_inode(nd));
	p9_inode_moved(lx_d_inode(od), ndir, nd->name);
	return 0;
}

const struct lx_inode_ops p9_dir_iops = {
	.lookup = lookup,
	.create = create,
	.mkdir = mkdir,
	.mknod = mknod,
	.symlink = symlink,
	.link = link,
	.unlink = unlink,
	.rmdir = rmdir,
	.rename = rename,
	P9_COMMON_OPS,
};

/* -- reading ---------------------------------------------------------------------------------- */

/* Entries are qid[13] offset[8] type[1] name[s].  -EIO for nonsense, 0 when the reader is full, 1
 * to go on. */
static int emit_all(struct lx_dir_emit *ctx, struct p9_cursor *r, uint32_t end)
{
	while (r->at < end) {
		struct p9_qid qid = p9_get_qid(r);
		uint64_t next = p9_get64(r);
		uint8_t type = p9_get8(r);
		uint32_t n;
		const char *name = p9_get_string(r, &n);

		if (r->bad || r->at > end || !p9_name_is_valid(name, n))
			return -EIO;
		if (!ctx->emit(ctx, name, n, qid.path, type))
			return 0;
		ctx->pos = (lx_off_t)next;
	}
	return 1;
}

/* One message's worth: as emit_all(); 0 at the end, too. */
static int read_some(struct p9_fid *f, struct lx_dir_emit *ctx)
{
	uint32_t want = MIN(READDIR_SIZE, f->conn->io_max), n;
	struct p9_call m;
	int more = p9_call_begin(&m, f, P9_TREADDIR, 12, 4 + want);

	if (!more) {
		p9_put64(&m.t, (uint64_t)ctx->pos);
		p9_put32(&m.t, want);
		more = p9_call_send(&m);
	}
	if (!more) {
		n = p9_get32(&m.r);
		if (m.r.bad || n > m.r.size - 4)
			more = -EIO;
		else if (n)
			more = emit_all(ctx, &m.r, 4 + n);
	}
	p9_call_end(&m);
	return more;
}

static int iterate(struct lx_file *file, struct lx_dir_emit *ctx)
{
	struct p9_fid *f;
	lx_off_t pos;
	int more = p9_handle_fid(file->private, &f);

	if (more)
		return more;
	do {
		pos = ctx->pos;
		more = read_some(f, ctx);
		/* A server that stands still would keep us here. */
		if (more > 0 && ctx->pos == pos)
			more = -EIO;
	} while (more > 0);
	p9_fid_put(f);
	return more;
}

const struct lx_file_ops p9_dir_fops = {
	.open = p9_open_file,
	.release = p9_release_file,
	.iterate = iterate,
	.llseek = lx_dir_llseek,
	.fsync = p9_fsync_file,
};
