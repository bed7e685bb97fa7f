/* SPDX-License-Identifier: MIT */
/*
 * Inodes of 9P: a fid, and what is known of the file.  The server's number for a file (the
 * path of its qid) is the inode's, so that two names of one file lead to one inode while that is
 * in use.
 */
#include "abi/calls.h"
#include "fs/9p/p9.h"

void p9_pages_drop(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	uint64_t end = n > UINT64_MAX - K_PAGE_SIZE - off
			       ? ALIGN_DOWN(UINT64_MAX, (uint64_t)K_PAGE_SIZE)
			       : ALIGN_UP(off + n, (uint64_t)K_PAGE_SIZE);

	off = ALIGN_DOWN(off, (uint64_t)K_PAGE_SIZE);
	rt_mutex_lock_nested(&inode->pages_lock);
	end = MIN(end, ALIGN_UP(atomic_load(&inode->size), (uint64_t)K_PAGE_SIZE));
	if (atomic_load(&inode->has_pages) && off < end)
		(void)!k_memory_discard(inode->pages.handle, off, end - off);
	rt_mutex_unlock(&inode->pages_lock);
}

/* -- attributes ------------------------------------------------------------------------------ */

/* A regular file's inode is locked: its pages follow its size. */
static void set_size(struct lx_inode *inode, const struct p9_attr *a)
{
	uint64_t old = atomic_load(&inode->size);
	struct lx_time mtime = lx_time_get(&inode->mtime);
	bool changed = mtime.sec != a->mtime.sec || mtime.nsec != a->mtime.nsec;

	if (lx_is_reg(inode) && atomic_load(&inode->has_pages)) {
		if (a->size != old && lx_pages_truncate(inode, a->size))
			return; /* no memory: the old size stays until the next look */
		if (changed)
			p9_pages_drop(inode, 0, a->size);
	}
	atomic_store(&inode->size, a->size);
}

/* The size locked, or the inode not known to anybody else yet. */
static void set_attr(struct lx_inode *inode, const struct p9_attr *a)
{
	struct p9_conn *c = p9_conn_of(inode->sb);

	set_size(inode, a);
	rt_mutex_lock(&c->lock);
	inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	inode->uid = a->uid;
	inode->gid = a->gid;
	atomic_store(&inode->nlink, (uint32_t)MIN(a->nlink, (uint64_t)UINT32_MAX));
	inode->blocks = a->blocks;
	lx_time_set(&inode->atime, a->atime);
	lx_time_set(&inode->mtime, a->mtime);
	lx_time_set(&inode->ctime, a->ctime);
	inode->btime = a->has_btime ? a->btime : (struct lx_time){0};
	rt_mutex_unlock(&c->lock);
}

/* Attributes that came without the inode's lock held. */
static void take_attr(struct lx_inode *inode, const struct p9_attr *a, bool locked)
{
	bool lock = !locked && lx_is_reg(inode);

	if (lock)
		rt_mutex_lock_nested(&inode->lock);
	set_attr(inode, a);
	if (lock)
		rt_mutex_unlock(&inode->lock);
}

/* The fid of any open file on it, a reference; NULL: nobody has it open. */
static struct p9_fid *open_fid(struct lx_inode *inode)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_inode *pi = p9_inode_of(inode);
	struct p9_fid *f = NULL;

	rt_mutex_lock(&c->lock);
	if (!list_is_empty(&pi->handles))
		f = p9_fid_get(list_first_entry(&pi->handles, struct p9_handle, link)->fid);
	rt_mutex_unlock(&c->lock);
	return f;
}

/*
 * Some servers look by name: one by which we knew the file may be gone, while an open file still
 * leads to it.  If that does not either, what we know is right, but for other writers.
 */
static int getattr_of_removed(struct lx_inode *inode, struct p9_attr *a, bool *known)
{
	struct p9_fid *f = open_fid(inode);
	int err = -ENOENT;

	if (f) {
		err = p9_getattr(f, a);
		*known = err == -ENOENT && p9_inode_of(inode)->unlinked;
		p9_fid_put(f);
	}
	return err;
}

int p9_refresh(struct lx_inode *inode, bool locked)
{
	bool known = false;
	struct p9_attr a;
	struct p9_fid *f;
	int err = p9_inode_fid(inode, &f);

	if (err)
		return err;
	err = p9_getattr(f, &a);
	p9_fid_put(f);
	if (err == -ENOENT)
		err = getattr_of_removed(inode, &a, &known);
	if (known)
		return 0;
	if (!err && ((a.mode ^ inode->mode) & S_IFMT))
		err = -EIO;
	if (!err)
		take_attr(inode, &a, locked);
	return err;
}

int p9_inode_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	int err = p9_refresh(inode, false);

	rt_mutex_lock(&c->lock);
	st->mode = inode->mode;
	st->uid = inode->uid;
	st->gid = inode->gid;
	st->nlink = atomic_load(&inode->nlink);
	st->size = atomic_load(&inode->size);
	st->blocks = inode->blocks;
	st->atime = lx_time_get(&inode->atime);
	st->mtime = lx_time_get(&inode->mtime);
	st->ctime = lx_time_get(&inode->ctime);
	st->btime = inode->btime;
	rt_mutex_unlock(&c->lock);
	return err;
}

int p9_inode_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	struct p9_fid *f;
	int err = p9_inode_fid(inode, &f);

	if (err)
		return err;
	err = p9_setattr(f, a);
	p9_fid_put(f);
	return err ? err : p9_refresh(inode, true);
}

/* -- kinds ------------------------------------------------------------------------------------- */

static int readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct p9_fid *f;
	int n = p9_inode_fid(lx_d_inode(d), &f);

	if (n)
		return n;
	n = p9_readlink(f, buf, size);
	p9_fid_put(f);
	return n;
}

static const struct lx_inode_ops reg_iops = {.readpages = p9_readpages, P9_COMMON_OPS};
static const struct lx_inode_ops special_iops = {P9_COMMON_OPS};
static const struct lx_inode_ops link_iops = {.readlink = readlink, P9_COMMON_OPS};

static void set_kind(struct lx_inode *inode, const struct p9_attr *a)
{
	inode->rdev = lx_dev_decode((uint32_t)a->rdev);
	inode->ops = &special_iops;
	switch (inode->mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &p9_dir_iops;
		inode->fops = &p9_dir_fops;
		break;
	case S_IFREG:
		inode->ops = &reg_iops;
		inode->fops = &p9_reg_fops;
		break;
	case S_IFLNK:
		inode->ops = &link_iops;
		break;
	}
}

static struct lx_inode *make_inode(struct lx_super *sb, const struct p9_attr *a)
{
	struct p9_inode *pi = rt_zalloc(sizeof(*pi));
	struct lx_inode *inode = pi ? lx_inode_create(sb, a->mode & (S_IFMT | 07777)) : NULL;

	if (!inode) {
		rt_free(pi);
		return NULL;
	}
	pi->qid_type = a->qid.type;
	list_init(&pi->handles);
	inode->private = pi;
	inode->ino = a->qid.path;
	set_kind(inode, a);
	set_attr(inode, a);
	return inode;
}

/* The inode in use with the number, or a new one: a reference. */
static struct lx_inode *find_or_make(struct lx_super *sb, const struct p9_attr *a)
{
	struct lx_inode *inode = lx_inode_find(sb, a->qid.path);

	if (!inode) {
		inode = make_inode(sb, a);
		if (inode)
			inode = lx_inode_hash_unique(inode);
		if (!inode || !((inode->mode ^ a->mode) & S_IFMT))
			return inode;
	} else if (!((inode->mode ^ a->mode) & S_IFMT)) {
		return inode;
	}
	/* The number is another file's now: what is open stays what it was. */
	lx_inode_put(inode);
	return make_inode(sb, a);
}

/* A server that says that a directory is in itself, further down, gets no circle of references. */
static bool is_above_locked(const struct lx_inode *inode, const struct lx_inode *dir)
{
	while (dir && dir != inode)
		dir = p9_inode_of(dir)->parent;
	return dir;
}

void p9_inode_moved(struct lx_inode *inode, struct lx_inode *parent, const char *name)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_inode *pi = p9_inode_of(inode);
	size_t n = strlen(name) + 1;
	char *copy = rt_alloc(n), *old_name;
	struct lx_inode *old;

	/* Without memory it cannot be found again after a reset, which costs an EIO then. */
	if (copy)
		memcpy(copy, name, n);
	lx_inode_get(parent);
	rt_mutex_lock(&c->lock);
	old = parent;
	old_name = copy;
	if (!is_above_locked(inode, parent)) {
		old = pi->parent;
		old_name = pi->name;
		pi->parent = parent;
		pi->name = copy;
	}
	rt_mutex_unlock(&c->lock);
	rt_free(old_name);
	if (old)
		lx_inode_put(old);
}

static bool is_called(struct lx_inode *inode, const struct lx_inode *parent, const char *name)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_inode *pi = p9_inode_of(inode);
	bool yes;

	rt_mutex_lock(&c->lock);
	yes = pi->parent == parent && pi->name && str_equal(pi->name, name);
	rt_mutex_unlock(&c->lock);
	return yes;
}

int p9_iget(struct lx_super *sb, struct p9_fid *f, struct lx_inode *parent, const char *name,
	    struct lx_inode **out)
{
	struct p9_conn *c = p9_conn_of(sb);
	struct lx_inode *inode = NULL;
	struct p9_fid *old;
	struct p9_attr a;
	int err = p9_getattr(f, &a);

	if (!err) {
		inode = find_or_make(sb, &a);
		err = inode ? 0 : -ENOMEM;
	}
	/* A directory in itself, or its own parent. */
	if (!err && parent && (inode == parent || inode == lx_d_inode(sb->root))) {
		lx_inode_put(inode);
		err = -EIO;
	}
	if (err) {
		p9_fid_put(f);
		return err;
	}
	if (parent && !is_called(inode, parent, name))
		p9_inode_moved(inode, parent, name);
	rt_mutex_lock(&c->lock);
	old = p9_inode_of(inode)->fid;
	p9_inode_of(inode)->fid = f;
	rt_mutex_unlock(&c->lock);
	p9_fid_put(old);
	take_attr(inode, &a, false);
	*out = inode;
	return 0;
}

void p9_evict(struct lx_inode *inode)
{
	struct p9_inode *pi = p9_inode_of(inode);

	if (!pi)
		return;
	p9_fid_put(pi->fid);
	p9_fid_put(pi->fresh);
	if (pi->parent)
		lx_inode_put(pi->parent);
	rt_free(pi->name);
	rt_free(pi);
}
