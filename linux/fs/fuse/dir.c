/* SPDX-License-Identifier: MIT */
/*
 * Directories of FUSE.  A dentry's private is when it has to be looked up again (a time in
 * ns): the server says for how long a name, or that there is none, holds.
 */

#include "fuse.h"

#define READDIR_SIZE	4096u

static struct fuse_conn *conn_of(const struct lx_inode *inode)
{
	return fuse_conn_of(inode->sb);
}

static uint64_t nodeid_of(const struct lx_inode *inode)
{
	return fuse_inode_of(inode)->nodeid;
}

static void set_expiry(struct lx_dentry *d, const struct fuse_entry_out *e)
{
	uint64_t until = e ? fuse_expires(e->entry_valid, e->entry_valid_nsec) : 0;

	__atomic_store_n(&d->private, (void *)(uintptr_t)until, __ATOMIC_RELAXED);
}

static bool has_expired(const struct lx_dentry *d)
{
	return rt_now_ns() >= (uintptr_t)__atomic_load_n(&d->private, __ATOMIC_RELAXED);
}

/* -- looking up -------------------------------------------------------------------------- */

static int lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct fuse_entry_out e;
	struct lx_inode *inode;
	int err = fuse_simple(conn_of(dir), FUSE_LOOKUP, nodeid_of(dir), NULL, 0, d->name, NULL, &e,
			      sizeof(e));

	if (err == -ENOENT || (!err && !e.nodeid)) {
		set_expiry(d, err ? NULL : &e);
		return 0;
	}
	if (!err)
		err = fuse_iget(dir->sb, &e, &inode);
	if (!err && inode == dir) {
		lx_inode_put(inode);
		err = -EIO;			/* a directory in itself */
	}
	if (err)
		return err;
	lx_dentry_instantiate(d, inode);
	set_expiry(d, &e);
	return 0;
}

/* Ask again for an expired name: is it still that inode? */
static bool ask_again(struct lx_dentry *d, struct lx_inode *dir)
{
	struct lx_inode *inode = lx_d_inode(d), *now;
	char name[LX_NAME_MAX + 1];
	struct fuse_entry_out e;
	bool same;
	int err;

	name[lx_dentry_name(d, name)] = '\0';
	err = fuse_simple(conn_of(dir), FUSE_LOOKUP, nodeid_of(dir), NULL, 0, name, NULL, &e, sizeof(e));
	if (err || !e.nodeid)
		return false;
	if (fuse_iget(dir->sb, &e, &now))
		return false;
	same = now == inode;
	lx_inode_put(now);
	if (same)
		set_expiry(d, &e);
	return same;
}

bool fuse_revalidate(struct lx_dentry *d)
{
	struct lx_dentry *parent;
	bool right;

	if (d->sb->root == d || !has_expired(d))
		return true;
	if (lx_d_negative(d))
		return false;
	parent = lx_dentry_parent_get(d);
	right = ask_again(d, lx_d_inode(parent));
	lx_dentry_put(parent);
	return right;
}

/* -- making ------------------------------------------------------------------------------- */

/* The server made @e of type @type: it becomes @d's inode. */
static int made(struct lx_inode *dir, struct lx_dentry *d, const struct fuse_entry_out *e, lx_mode_t type)
{
	struct lx_inode *inode;
	int err;

	fuse_attr_old(dir);
	if (e->nodeid && (e->attr.mode & S_IFMT) != type) {
		fuse_forget_entry(conn_of(dir), e->nodeid);
		return -EIO;
	}
	err = fuse_iget(dir->sb, e, &inode);
	if (err)
		return err;
	lx_dentry_instantiate(d, inode);
	set_expiry(d, e);
	return 0;
}

static int make(struct lx_inode *dir, struct lx_dentry *d, uint32_t opcode, const void *arg, size_t size,
		const char *first, const char *second, lx_mode_t type)
{
	struct fuse_entry_out e;
	int err = fuse_simple(conn_of(dir), opcode, nodeid_of(dir), arg, size, first, second, &e, sizeof(e));

	return err ? err : made(dir, d, &e, type);
}

static int mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	struct fuse_mknod_in in = {
		.mode = mode,
		.rdev = lx_dev_encode(dev),
	};

	return make(dir, d, FUSE_MKNOD, &in, sizeof(in), d->name, NULL, mode & S_IFMT);
}

/* For servers that know only how to make a file open: close it again. */
static int create_and_close(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | mode };
	struct { struct fuse_entry_out e; struct fuse_open_out o; } out;
	struct fuse_release_in *rel;
	struct fuse_req *r;
	int err = fuse_simple(conn_of(dir), FUSE_CREATE, nodeid_of(dir), &in, sizeof(in), d->name, NULL,
			      &out, sizeof(out));

	if (err)
		return err;
	r = fuse_req_new(conn_of(dir), FUSE_RELEASE, out.e.nodeid, sizeof(*rel), 0);
	if (r) {
		rel = fuse_in(r);
		rel->fh = out.o.fh;
		rel->flags = in.flags;
		fuse_post(conn_of(dir), r);
	}
	return made(dir, d, &out.e, S_IFREG);
}

static int create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	int err = mknod(dir, d, S_IFREG | (mode & 07777), 0);

	return err == -ENOSYS ? create_and_close(dir, d, mode & 07777) : err;
}

static int mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct fuse_mkdir_in in = { .mode = mode & 07777 };

	return make(dir, d, FUSE_MKDIR, &in, sizeof(in), d->name, NULL, S_IFDIR);
}

static int symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	return make(dir, d, FUSE_SYMLINK, NULL, 0, d->name, target, S_IFLNK);
}

static int link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	struct fuse_link_in in = { .oldnodeid = nodeid_of(inode) };
	int err = make(dir, d, FUSE_LINK, &in, sizeof(in), d->name, NULL, inode->mode & S_IFMT);

	fuse_attr_old(inode);
	return err;
}

/* -- taking away ---------------------------------------------------------------------------- */

static int take(struct lx_inode *dir, struct lx_dentry *d, uint32_t opcode)
{
	int err = fuse_simple(conn_of(dir), opcode, nodeid_of(dir), NULL, 0, d->name, NULL, NULL, 0);

	if (!err) {
		fuse_attr_old(dir);
		fuse_attr_old(lx_d_inode(d));
	}
	return err;
}

static int unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	return take(dir, d, FUSE_UNLINK);
}

static int rmdir(struct lx_inode *dir, struct lx_dentry *d)
{
	return take(dir, d, FUSE_RMDIR);
}

static int rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
		  struct lx_dentry *nd, unsigned int flags)
{
	struct fuse_conn *c = conn_of(odir);
	struct fuse_rename2_in in2 = { .newdir = nodeid_of(ndir), .flags = flags };
	struct fuse_rename_in in = { .newdir = nodeid_of(ndir) };
	int err;

	if (!flags) {
		err = fuse_simple(c, FUSE_RENAME, nodeid_of(odir), &in, sizeof(in), od->name, nd->name,
				  NULL, 0);
	} else if (fuse_is_missing(c, FUSE_NO_RENAME2)) {
		err = -EINVAL;
	} else {
		err = fuse_simple(c, FUSE_RENAME2, nodeid_of(odir), &in2, sizeof(in2), od->name,
				  nd->name, NULL, 0);
		if (err == -ENOSYS) {
			atomic_fetch_or(&c->missing, FUSE_NO_RENAME2);
			err = -EINVAL;
		}
	}
	if (err)
		return err;
	fuse_attr_old(odir);
	fuse_attr_old(ndir);
	fuse_attr_old(lx_d_inode(od));
	if (!lx_d_negative(nd))
		fuse_attr_old(lx_d_inode(nd));
	return 0;
}

const struct lx_inode_ops fuse_dir_iops = {
	.lookup = lookup, .create = create, .mkdir = mkdir, .mknod = mknod, .symlink = symlink,
	.link = link, .unlink = unlink, .rmdir = rmdir, .rename = rename, FUSE_COMMON_OPS,
};

/* -- reading -------------------------------------------------------------------------------- */

/*
 * What is in @buf: -EIO for nonsense, 0 when the reader is full, 1 to go on.  The offset
 * that the server gives with an entry is where the next one is.
 */
static int emit_all(struct lx_dir_emit *ctx, const char *buf, size_t n)
{
	while (n >= FUSE_NAME_OFFSET) {
		const struct fuse_dirent *e = (const void *)buf;
		size_t size = FUSE_DIRENT_SIZE(e);

		if (!e->namelen || e->namelen > LX_NAME_MAX || memchr(e->name, '/', e->namelen) ||
		    memchr(e->name, '\0', e->namelen))
			return -EIO;
		if (size > n)
			break;
		if (!ctx->emit(ctx, e->name, e->namelen, e->ino, e->type))
			return 0;
		ctx->pos = (lx_off_t)e->off;
		buf += size;
		n -= size;
	}
	return 1;
}

static int iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct fuse_conn *c = conn_of(f->inode);
	struct fuse_handle *h = f->private;
	int more = 1;

	while (more > 0) {
		struct fuse_req *r = fuse_req_new(c, FUSE_READDIR, nodeid_of(f->inode),
						  sizeof(struct fuse_read_in), READDIR_SIZE);
		struct fuse_read_in *in;

		if (!r)
			return -ENOMEM;
		in = fuse_in(r);
		in->fh = h->fh;
		in->offset = (uint64_t)ctx->pos;
		in->size = READDIR_SIZE;
		r->out_exact = false;
		more = fuse_call(c, r);
		if (!more)
			more = r->out_len ? emit_all(ctx, r->out, r->out_len) : 0;
		fuse_req_put(r);
	}
	return more;
}

const struct lx_file_ops fuse_dir_fops = {
	.open = fuse_open_file, .release = fuse_release_file, .iterate = iterate, .llseek = lx_dir_llseek,
	.fsync = fuse_fsync_file,
};
