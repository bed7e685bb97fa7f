/* SPDX-License-Identifier: MIT */
/*
 * Inodes of FUSE: a number of the server's (nodeid) and attributes that hold for as long as
 * the server said.  The server counts lookups of each number; eviction gives them all back
 * (FORGET), so each entry that it names becomes an inode here or is forgotten at once.
 */

#include "abi/calls.h"
#include "fuse.h"

uint64_t fuse_expires(uint64_t sec, uint32_t nsec)
{
	uint64_t now = rt_now_ns();

	/* A server's "for ever" must not wrap around. */
	return sec >= 1ull << 32 ? UINT64_MAX : now + sec * 1000000000 + nsec;
}

void fuse_attr_old(struct lx_inode *inode)
{
	atomic_store_explicit(&fuse_inode_of(inode)->attr_expires, 0, memory_order_relaxed);
}

void fuse_pages_drop(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	uint64_t end = ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE);

	off = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE);
	rt_mutex_lock_nested(&inode->pages_lock);
	end = MIN(end, ALIGN_UP(atomic_load(&inode->size), (uint64_t)K_PAGE_SIZE));
	if (atomic_load(&inode->has_pages) && off < end)
		(void)!k_memory_discard(inode->pages.handle, off, end - off);
	rt_mutex_unlock(&inode->pages_lock);
}

static struct lx_time time_of(uint64_t sec, uint32_t nsec)
{
	return (struct lx_time){ .sec = (int64_t)sec, .nsec = nsec < 1000000000 ? nsec : 0 };
}

/* The size is the server's; what is cached beyond it, or was before somebody else wrote, goes. */
static void set_size(struct lx_inode *inode, const struct fuse_attr *a)
{
	uint64_t old = atomic_load(&inode->size);
	bool changed = inode->mtime.sec != (int64_t)a->mtime || inode->mtime.nsec != a->mtimensec;

	if (!lx_is_reg(inode)) {
		atomic_store(&inode->size, a->size);
		return;
	}
	if (a->size != old && atomic_load(&inode->has_pages) && lx_pages_truncate(inode, a->size))
		return;			/* no memory: the old size stays until the next look */
	if (a->size != old)
		atomic_store(&inode->size, a->size);
	if (changed || a->size != old)
		fuse_pages_drop(inode, 0, a->size);
}

/*
 * Attributes are the connection's lock's, so that they can be looked at again while a
 * directory is locked; the size of a regular file, which its pages follow, is the inode's.
 */
static void lock_size(struct lx_inode *inode)
{
	if (lx_is_reg(inode))
		rt_mutex_lock_nested(&inode->lock);
}

static void unlock_size(struct lx_inode *inode)
{
	if (lx_is_reg(inode))
		rt_mutex_unlock(&inode->lock);
}

/* The size locked, or the inode not known to anybody else yet. */
static void set_attr(struct lx_inode *inode, const struct fuse_attr *a, uint64_t expires)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_inode *fi = fuse_inode_of(inode);

	set_size(inode, a);
	rt_mutex_lock_nested(&c->lock);
	fi->attr_ino = a->ino;
	inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	inode->uid = a->uid;
	inode->gid = a->gid;
	atomic_store(&inode->nlink, a->nlink);
	inode->blocks = a->blocks;
	inode->atime = time_of(a->atime, a->atimensec);
	inode->mtime = time_of(a->mtime, a->mtimensec);
	inode->ctime = time_of(a->ctime, a->ctimensec);
	rt_mutex_unlock(&c->lock);
	atomic_store_explicit(&fi->attr_expires, expires, memory_order_relaxed);
}

bool fuse_entry_valid(const struct fuse_entry_out *e)
{
	lx_mode_t type = e->attr.mode & S_IFMT;

	return e->nodeid && (type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR ||
			     type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK) &&
	       e->attr.size <= (uint64_t)INT64_MAX;
}

void fuse_forget_entry(struct fuse_conn *c, uint64_t nodeid)
{
	struct fuse_forget *f = rt_alloc(sizeof(*f));

	/* Without memory the server remembers one number too many until the unmount. */
	if (f)
		fuse_forget_send(c, f, nodeid, 1);
}

static const struct lx_inode_ops reg_iops = { .readpages = fuse_readpages, FUSE_COMMON_OPS };
static const struct lx_inode_ops special_iops = { FUSE_COMMON_OPS };

static int readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_req *r = fuse_req_new(c, FUSE_READLINK, fuse_inode_of(inode)->nodeid, 0, LX_PATH_MAX);
	int n;

	if (!r)
		return -ENOMEM;
	r->out_exact = false;
	n = fuse_call(c, r);
	if (!n) {
		n = (int)MIN(r->out_len, size);
		memcpy(buf, r->out, (size_t)n);
		if (!n || memchr(buf, '\0', (size_t)n))
			n = -EIO;
	}
	fuse_req_put(r);
	return n;
}

static const struct lx_inode_ops link_iops = { .readlink = readlink, FUSE_COMMON_OPS };

static void set_type(struct lx_inode *inode, const struct fuse_attr *a)
{
	inode->rdev = lx_dev_decode(a->rdev);
	inode->ops = &special_iops;
	switch (inode->mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &fuse_dir_iops;
		inode->fops = &fuse_dir_fops;
		break;
	case S_IFREG:
		inode->ops = &reg_iops;
		inode->fops = &fuse_reg_fops;
		break;
	case S_IFLNK:
		inode->ops = &link_iops;
		break;
	}
}

static struct lx_inode *make_inode(struct lx_super *sb, const struct fuse_entry_out *e)
{
	struct fuse_inode *fi = rt_zalloc(sizeof(*fi));
	struct fuse_forget *f = rt_zalloc(sizeof(*f));
	struct lx_inode *inode = fi && f ? lx_inode_create(sb, e->attr.mode & (S_IFMT | 07777)) : NULL;

	if (!inode) {
		rt_free(fi);
		rt_free(f);
		return NULL;
	}
	fi->nodeid = f->nodeid = e->nodeid;
	fi->forget = f;
	list_init(&fi->handles);
	inode->private = fi;
	inode->ino = e->nodeid;
	set_type(inode, &e->attr);
	set_attr(inode, &e->attr, 0);
	return inode;
}

int fuse_iget(struct lx_super *sb, const struct fuse_entry_out *e, struct lx_inode **out)
{
	struct fuse_conn *c = fuse_conn_of(sb);
	struct lx_inode *inode;

	if (!fuse_entry_valid(e)) {
		if (e->nodeid)
			fuse_forget_entry(c, e->nodeid);
		return -EIO;
	}
	inode = lx_inode_find(sb, e->nodeid);
	if (!inode) {
		inode = make_inode(sb, e);
		if (!inode) {
			fuse_forget_entry(c, e->nodeid);
			return -ENOMEM;
		}
		inode = lx_inode_hash_unique(inode);
	}
	if ((inode->mode ^ e->attr.mode) & S_IFMT) {
		/* The number is another file's now: what is open stays what it was. */
		lx_inode_put(inode);
		fuse_forget_entry(c, e->nodeid);
		return -EIO;
	}
	rt_mutex_lock_nested(&c->lock);
	fuse_inode_of(inode)->forget->nlookup++;
	rt_mutex_unlock(&c->lock);
	lock_size(inode);
	set_attr(inode, &e->attr, fuse_expires(e->attr_valid, e->attr_valid_nsec));
	unlock_size(inode);
	*out = inode;
	return 0;
}

void fuse_evict(struct lx_inode *inode)
{
	struct fuse_inode *fi = fuse_inode_of(inode);
	struct fuse_forget *f = fi->forget;

	if (f->nlookup && fi->nodeid != FUSE_ROOT_ID)
		fuse_forget_send(fuse_conn_of(inode->sb), f, fi->nodeid, f->nlookup);
	else
		rt_free(f);
	rt_free(fi);
}

/* -- attributes --------------------------------------------------------------------------- */

int fuse_refresh(struct lx_inode *inode, bool always)
{
	struct fuse_inode *fi = fuse_inode_of(inode);
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;
	int err;

	if (!always && rt_now_ns() < atomic_load_explicit(&fi->attr_expires, memory_order_relaxed))
		return 0;
	err = fuse_simple(fuse_conn_of(inode->sb), FUSE_GETATTR, fi->nodeid, &in, sizeof(in), NULL,
			  NULL, &out, sizeof(out));
	if (err)
		return err;
	if (((out.attr.mode ^ inode->mode) & S_IFMT) || out.attr.size > (uint64_t)INT64_MAX)
		return -EIO;
	lock_size(inode);
	set_attr(inode, &out.attr, fuse_expires(out.attr_valid, out.attr_valid_nsec));
	unlock_size(inode);
	return 0;
}

int fuse_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	int err = fuse_refresh(inode, false);

	rt_mutex_lock_nested(&c->lock);
	st->ino = fuse_inode_of(inode)->attr_ino;
	st->mode = inode->mode;
	st->uid = inode->uid;
	st->gid = inode->gid;
	st->nlink = atomic_load(&inode->nlink);
	st->size = atomic_load(&inode->size);
	st->blocks = inode->blocks;
	st->atime = inode->atime;
	st->mtime = inode->mtime;
	st->ctime = inode->ctime;
	rt_mutex_unlock(&c->lock);
	return err;
}

int fuse_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	struct fuse_setattr_in in = { 0 };
	struct fuse_attr_out out;
	int err;

	if (a->valid & LX_ATTR_MODE) {
		in.valid |= FATTR_MODE;
		in.mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	}
	if (a->valid & LX_ATTR_UID) {
		in.valid |= FATTR_UID;
		in.uid = a->uid;
	}
	if (a->valid & LX_ATTR_GID) {
		in.valid |= FATTR_GID;
		in.gid = a->gid;
	}
	if (a->valid & LX_ATTR_SIZE) {
		in.valid |= FATTR_SIZE;
		in.size = a->size;
	}
	if (a->valid & LX_ATTR_ATIME) {
		in.valid |= FATTR_ATIME;
		in.atime = (uint64_t)a->atime.sec;
		in.atimensec = a->atime.nsec;
	}
	if (a->valid & LX_ATTR_MTIME) {
		in.valid |= FATTR_MTIME;
		in.mtime = (uint64_t)a->mtime.sec;
		in.mtimensec = a->mtime.nsec;
	}
	if (!in.valid)
		return 0;
	err = fuse_simple(fuse_conn_of(inode->sb), FUSE_SETATTR, fuse_inode_of(inode)->nodeid, &in,
			  sizeof(in), NULL, NULL, &out, sizeof(out));
	if (err)
		return err;
	if (((out.attr.mode ^ inode->mode) & S_IFMT) || out.attr.size > (uint64_t)INT64_MAX)
		return -EIO;
	set_attr(inode, &out.attr, fuse_expires(out.attr_valid, out.attr_valid_nsec));
	return 0;
}

/* A user's server sees, and can stop, what others do here: they are let in only if the mount says so. */
static bool is_let_in(const struct fuse_conn *c, const struct lx_cred *cred)
{
	return c->allow_other ||
	       (cred->uid == c->uid && cred->euid == c->uid && cred->suid == c->uid &&
		cred->gid == c->gid && cred->egid == c->gid && cred->sgid == c->gid);
}

int fuse_permission(struct lx_task *self, struct lx_inode *inode, int mask)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);

	if (!is_let_in(c, self->cred))
		return -EACCES;
	if (c->default_permissions) {
		int err = fuse_refresh(inode, false);

		return err ? err : lx_generic_permission(self, self->cred, inode, mask);
	}
	/* The server decides, when it is asked to do something; programs need one x bit. */
	if ((mask & LX_MAY_EXEC) && lx_is_reg(inode)) {
		int err = fuse_refresh(inode, false);

		if (err || !(inode->mode & 0111))
			return err ? err : -EACCES;
	}
	return 0;
}
