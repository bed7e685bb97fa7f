/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files in memory.  Also rootfs (without limits), ramfs and devtmpfs.
 *
 * A directory keeps its entries in two trees: by name, and by a number (cookie)
 * that counts up, which is what readdir reports as the position; so a listing
 * goes on where it was, whatever is removed or added meanwhile.  An entry holds
 * its inode.  File data lies in the page cache, whose pages are the file.
 *
 * Limits: blocks are pages.  A file written from front to back, as nearly all
 * are, has all pages below dense_end and none above: its charge is dense_end.  A
 * file with holes, or one that was mapped (pages appear by touching them), is
 * counted page by page in the memory object when it matters.
 *
 * Locking: an inode's entries, symlink text, charge and attributes by its lock; a
 * super block's counters are atomic.
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/xattr.h>
#include <asm/statfs.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "base/rbtree.h"
#include "fs/tmpfs/tmpfs.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define ENTRY_SIZE 20			/* what an entry adds to st_size of its directory */
#define FIRST_COOKIE 2			/* 0 and 1 are "." and ".." */

struct tmpfs_super {
	_Atomic(uint64_t) used_blocks, used_inodes;
	uint64_t max_blocks, max_inodes;	/* 0: no limit; changed by remount */
	bool default_size, default_inodes;
	lx_mode_t mode;
	lx_uid_t uid;
	lx_gid_t gid;
};

struct entry {
	struct rb_node by_name, by_cookie;
	struct lx_inode *inode;		/* a reference */
	uint64_t cookie;
	uint32_t hash, len;
	char name[];
};

struct node {
	struct lx_xattrs xattrs;
	struct rb_tree names, cookies;	/* directories */
	uint64_t next_cookie;
	struct lx_inode *parent;	/* directories: not a reference; itself at the root */
	char *target;			/* symlinks */
	uint64_t charged, dense_end;	/* regular files: pages */
	uint64_t prepared;		/* charged by the last prepare_write(), if sparse */
	bool sparse;
};

static const struct lx_inode_ops dir_iops, reg_iops, link_iops, special_iops;
static const struct lx_file_ops dir_fops;
static const struct lx_super_ops sops;

static struct node *node_of(const struct lx_inode *inode)
{
	return inode->private;
}

static struct tmpfs_super *super_of(const struct lx_super *sb)
{
	return sb->private;
}

/* -- limits */

static bool take(_Atomic(uint64_t) *used, uint64_t max, uint64_t n)
{
	uint64_t old = atomic_load(used);

	do {
		if (max && (old > max || n > max - old))
			return false;
	} while (!atomic_compare_exchange_weak(used, &old, old + n));
	return true;
}

/* The charge of @inode becomes @pages; what is too much was noticed too late to refuse. */
static void set_charge(struct lx_inode *inode, uint64_t pages)
{
	struct node *n = node_of(inode);

	atomic_fetch_add(&super_of(inode->sb)->used_blocks, pages - n->charged);
	n->charged = pages;
	inode->blocks = pages * (PAGE / 512);
}

/* Pages appeared or went in ways that were not counted one by one. */
static void recount(struct lx_inode *inode)
{
	struct node *n = node_of(inode);

	if (n->sparse || (inode->iflags & LX_INODE_MAPPED))
		set_charge(inode, lx_pages_resident(inode));
}

static uint64_t missing_pages(struct lx_inode *inode, uint64_t first, uint64_t last)
{
	uint64_t missing = 0, off = first * PAGE, end = (last + 1) * PAGE;

	if (!atomic_load(&inode->has_pages))
		return last + 1 - first;
	while (off < end) {
		uint64_t data, hole;

		if (k_memory_next(inode->pages.handle, off, K_NEXT_DATA, &data) != K_OK)
			data = end;
		missing += (MIN(data, end) - off) / PAGE;
		if (data >= end || k_memory_next(inode->pages.handle, data, K_NEXT_HOLE, &hole) != K_OK)
			break;
		off = MAX(hole, data + PAGE);
	}
	return missing;
}

static int prepare_write(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct tmpfs_super *s = super_of(inode->sb);
	struct node *n = node_of(inode);
	uint64_t first = off / PAGE, last, need;

	if (!len)
		return 0;
	last = (off + len - 1) / PAGE;
	if (last < n->dense_end)
		return 0;
	if (!n->sparse && first <= n->dense_end && !(inode->iflags & LX_INODE_MAPPED)) {
		need = last + 1 - n->dense_end;
	} else {
		n->sparse = true;
		need = missing_pages(inode, first, last);
	}
	if (need && lx_reclaim_room(need))
		return -ENOSPC;
	if (!take(&s->used_blocks, s->max_blocks, need))
		return -ENOSPC;
	n->charged += need;
	inode->blocks = n->charged * (PAGE / 512);
	if (!n->sparse)
		n->dense_end = last + 1;
	n->prepared = n->sparse ? need : 0;
	return 0;
}

/* Without this, a write that is tried again would pay again.  Below dense_end none does. */
static void write_short(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct node *n = node_of(inode);
	uint64_t back = n->prepared ? missing_pages(inode, off / PAGE, (off + len - 1) / PAGE) : 0;

	set_charge(inode, n->charged - MIN(back, n->prepared));
	n->prepared = 0;
}

static void hole_punched(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct node *n = node_of(inode);

	n->dense_end = MIN(n->dense_end, DIV_ROUND_UP(off, PAGE));
	n->sparse = true;
	recount(inode);
}

static int tmpfs_truncate(struct lx_inode *inode, uint64_t size)
{
	struct node *n = node_of(inode);
	int err = lx_pages_truncate(inode, size);

	if (err)
		return err;
	n->dense_end = MIN(n->dense_end, DIV_ROUND_UP(size, PAGE));
	if (!size)
		n->sparse = false;
	if (n->sparse || (inode->iflags & LX_INODE_MAPPED))
		recount(inode);
	else
		set_charge(inode, n->dense_end);
	return 0;
}

static int tmpfs_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	if (inode->iflags & LX_INODE_MAPPED) {
		rt_mutex_lock(&inode->lock);
		recount(inode);
		st->blocks = inode->blocks;
		rt_mutex_unlock(&inode->lock);
	}
	return 0;
}

/* -- inodes */

static struct lx_inode *new_inode(struct lx_super *sb, struct lx_inode *dir, lx_mode_t mode,
				  lx_dev_t rdev)
{
	struct tmpfs_super *s = super_of(sb);
	struct lx_task *self = lx_self();
	struct lx_inode *inode;
	struct node *n;

	if (!take(&s->used_inodes, s->max_inodes, 1))
		return NULL;
	n = rt_zalloc(sizeof(*n));
	inode = n ? lx_inode_create(sb, mode) : NULL;
	if (!inode) {
		rt_free(n);
		atomic_fetch_sub(&s->used_inodes, 1);
		return NULL;
	}
	lx_xattrs_init(&n->xattrs);
	n->next_cookie = FIRST_COOKIE;
	inode->private = n;
	inode->rdev = rdev;
	if (self && self->cred) {
		inode->uid = self->cred->fsuid;
		inode->gid = self->cred->fsgid;
	}
	if (dir && (dir->mode & S_ISGID)) {
		inode->gid = dir->gid;
		if ((mode & S_IFMT) == S_IFDIR)
			inode->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && self && self->cred &&
			 !lx_cred_in_group(self->cred, dir->gid) && !lx_capable(self, 4 /* FSETID */))
			inode->mode &= ~(lx_mode_t)S_ISGID;
	}
	switch (mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &dir_iops;
		inode->fops = &dir_fops;
		atomic_store(&inode->nlink, 2);
		atomic_store(&inode->size, 2 * ENTRY_SIZE);
		n->parent = dir ? dir : inode;
		break;
	case S_IFREG:
		inode->ops = &reg_iops;
		inode->fops = &lx_regular_fops;
		break;
	case S_IFLNK:
		inode->ops = &link_iops;
		break;
	default:
		inode->ops = &special_iops;
		break;
	}
	return inode;
}

static void evict(struct lx_inode *inode)
{
	struct tmpfs_super *s = super_of(inode->sb);
	struct node *n = node_of(inode);

	atomic_fetch_sub(&s->used_blocks, n->charged);
	atomic_fetch_sub(&s->used_inodes, 1);
	lx_xattrs_free(&n->xattrs);
	rt_free(n->target);
	rt_free(n);
}

/* -- entries: the directory's inode is locked */

static int compare(const struct entry *e, const char *name, uint32_t len, uint32_t hash)
{
	if (hash != e->hash)
		return hash < e->hash ? -1 : 1;
	if (len != e->len)
		return len < e->len ? -1 : 1;
	return memcmp(name, e->name, len);
}

static struct entry *find_entry(struct node *dir, const struct lx_dentry *d)
{
	struct rb_node *n = dir->names.root;

	while (n) {
		struct entry *e = container_of(n, struct entry, by_name);
		int c = compare(e, d->name, d->name_len, d->hash);

		if (!c)
			return e;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

static struct entry *alloc_entry(const struct lx_dentry *d)
{
	struct entry *e = rt_alloc(sizeof(*e) + d->name_len);

	if (!e)
		return NULL;
	e->hash = d->hash;
	e->len = d->name_len;
	memcpy(e->name, d->name, d->name_len);
	return e;
}

/* Link @e, whose name is not there yet; the reference to @inode moves in. */
static void link_entry(struct lx_inode *dir, struct entry *e, struct lx_inode *inode)
{
	struct node *n = node_of(dir);
	struct rb_node **link = &n->names.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = compare(container_of(parent, struct entry, by_name), e->name, e->len,
			       e->hash) < 0 ? &parent->left : &parent->right;
	}
	rb_insert(&n->names, &e->by_name, parent, link);
	e->inode = inode;
	e->cookie = n->next_cookie++;
	parent = NULL;
	link = &n->cookies.root;
	while (*link) {			/* the largest of all */
		parent = *link;
		link = &parent->right;
	}
	rb_insert(&n->cookies, &e->by_cookie, parent, link);
	atomic_fetch_add(&dir->size, ENTRY_SIZE);
	lx_inode_touch(dir, LX_ATTR_MTIME | LX_ATTR_CTIME);
}

/* The entry's reference to its inode goes to the caller. */
static struct lx_inode *unlink_entry(struct lx_inode *dir, struct entry *e)
{
	struct node *n = node_of(dir);
	struct lx_inode *inode = e->inode;

	rb_remove(&n->names, &e->by_name);
	rb_remove(&n->cookies, &e->by_cookie);
	rt_free(e);
	atomic_fetch_sub(&dir->size, ENTRY_SIZE);
	lx_inode_touch(dir, LX_ATTR_MTIME | LX_ATTR_CTIME);
	return inode;
}

static bool is_empty(const struct lx_inode *dir)
{
	return !node_of(dir)->names.root;
}

static int tmpfs_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct entry *e = find_entry(node_of(dir), d);

	if (e)
		lx_dentry_instantiate(d, lx_inode_get(e->inode));
	return 0;
}

/* Make @inode (reference moves in, also on failure) the entry that @d names. */
static int add(struct lx_inode *dir, struct lx_dentry *d, struct lx_inode *inode)
{
	struct entry *e;

	if (!inode)
		return -ENOSPC;
	e = alloc_entry(d);
	if (!e) {
		lx_inode_put(inode);
		return -ENOSPC;
	}
	link_entry(dir, e, lx_inode_get(inode));
	lx_dentry_instantiate(d, inode);
	return 0;
}

static int tmpfs_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return add(dir, d, new_inode(dir->sb, dir, (mode & 07777) | S_IFREG, 0));
}

static int tmpfs_mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	int err = add(dir, d, new_inode(dir->sb, dir, (mode & 07777) | S_IFDIR, 0));

	if (!err)
		atomic_fetch_add(&dir->nlink, 1);
	return err;
}

static int tmpfs_mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	return add(dir, d, new_inode(dir->sb, dir, mode, dev));
}

static int tmpfs_symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	size_t n = strlen(target);
	struct lx_inode *inode = new_inode(dir->sb, dir, S_IFLNK | 0777, 0);

	if (!inode)
		return -ENOSPC;
	node_of(inode)->target = rt_alloc(n + 1);
	if (!node_of(inode)->target) {
		lx_inode_put(inode);
		return -ENOMEM;
	}
	memcpy(node_of(inode)->target, target, n + 1);
	atomic_store(&inode->size, n);
	return add(dir, d, inode);
}

static int tmpfs_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	size_t n = MIN(size, (size_t)inode->size);

	memcpy(buf, node_of(inode)->target, n);
	return (int)n;
}

static int tmpfs_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(old);
	int err = add(dir, d, lx_inode_get(inode));

	if (err)
		return err;
	atomic_fetch_add(&inode->nlink, 1);
	lx_inode_touch(inode, LX_ATTR_CTIME);
	return 0;
}

static int tmpfs_tmpfile(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	struct lx_inode *inode = new_inode(dir->sb, dir, (mode & 07777) | S_IFREG, 0);

	if (!inode)
		return -ENOSPC;
	atomic_store(&inode->nlink, 0);
	lx_dentry_instantiate(d, inode);
	return 0;
}

static int tmpfs_unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	struct entry *e = find_entry(node_of(dir), d);
	struct lx_inode *inode;

	if (!e)
		return -ENOENT;
	inode = unlink_entry(dir, e);
	atomic_fetch_sub(&inode->nlink, 1);
	lx_inode_touch(inode, LX_ATTR_CTIME);
	lx_inode_put(inode);
	return 0;
}

static int tmpfs_rmdir(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);

	if (!is_empty(inode))
		return -ENOTEMPTY;
	atomic_store(&inode->nlink, 1);	/* the entry's; unlink takes it */
	atomic_fetch_sub(&dir->nlink, 1);
	return tmpfs_unlink(dir, d);
}

static void moved(struct lx_inode *inode, struct lx_inode *odir, struct lx_inode *ndir)
{
	lx_inode_touch(inode, LX_ATTR_CTIME);
	if (!lx_is_dir(inode) || odir == ndir)
		return;
	atomic_fetch_sub(&odir->nlink, 1);
	atomic_fetch_add(&ndir->nlink, 1);
	node_of(inode)->parent = ndir;
}

static int tmpfs_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
			struct lx_dentry *nd, unsigned int flags)
{
	struct entry *oe = find_entry(node_of(odir), od), *ne = find_entry(node_of(ndir), nd);
	struct entry *made = NULL, *white = NULL;
	struct lx_inode *inode, *hole = NULL;

	/* decide */
	if (!oe)
		return -ENOENT;
	inode = oe->inode;
	if (flags & RENAME_EXCHANGE) {
		if (!ne)
			return -ENOENT;
		oe->inode = ne->inode;
		ne->inode = inode;
		moved(inode, odir, ndir);
		moved(oe->inode, ndir, odir);
		lx_inode_touch(odir, LX_ATTR_MTIME | LX_ATTR_CTIME);
		lx_inode_touch(ndir, LX_ATTR_MTIME | LX_ATTR_CTIME);
		return 0;
	}
	if (ne && lx_is_dir(ne->inode) && !is_empty(ne->inode))
		return -ENOTEMPTY;
	if (!ne) {
		made = alloc_entry(nd);
		if (!made)
			return -ENOMEM;
	}
	if (flags & RENAME_WHITEOUT) {
		white = alloc_entry(od);
		hole = white ? new_inode(odir->sb, odir, S_IFCHR | 0600, 0) : NULL;
		if (!hole) {
			rt_free(white);
			rt_free(made);
			return -ENOSPC;
		}
	}

	/* act */
	unlink_entry(odir, oe);		/* its reference is ours now */
	moved(inode, odir, ndir);
	if (ne) {
		struct lx_inode *victim = ne->inode;

		ne->inode = inode;
		if (lx_is_dir(victim)) {
			atomic_store(&victim->nlink, 0);
			atomic_fetch_sub(&ndir->nlink, 1);
		} else {
			atomic_fetch_sub(&victim->nlink, 1);
		}
		lx_inode_touch(victim, LX_ATTR_CTIME);
		lx_inode_touch(ndir, LX_ATTR_MTIME | LX_ATTR_CTIME);
		lx_inode_put(victim);
	} else {
		link_entry(ndir, made, inode);
	}
	if (white)
		link_entry(odir, white, hole);
	return 0;
}

/* -- listing */

static unsigned int dtype(const struct lx_inode *inode)
{
	return (inode->mode & S_IFMT) >> 12;
}

static int tmpfs_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct lx_inode *dir = f->inode;
	struct node *n = node_of(dir);
	struct rb_node *r = n->cookies.root;
	struct entry *e = NULL;

	if (!lx_dir_emit_dots(ctx, dir->ino, n->parent->ino))
		return 0;
	while (r) {			/* the first one at or after the position */
		struct entry *at = container_of(r, struct entry, by_cookie);

		if (at->cookie >= (uint64_t)ctx->pos) {
			e = at;
			r = r->left;
		} else {
			r = r->right;
		}
	}
	for (; e; e = rb_next_entry(e, by_cookie)) {
		ctx->pos = (lx_off_t)e->cookie;
		if (!ctx->emit(ctx, e->name, e->len, e->inode->ino, dtype(e->inode)))
			return 0;
		ctx->pos = (lx_off_t)e->cookie + 1;
	}
	return 0;
}

/* -- extended attributes */

static int tmpfs_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	return lx_xattrs_get(&node_of(inode)->xattrs, name, buf, size);
}

static int tmpfs_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size,
			  int flags)
{
	int err = lx_xattrs_set(&node_of(inode)->xattrs, name, val, size, flags);

	if (!err)
		lx_inode_touch(inode, LX_ATTR_CTIME);
	return err;
}

static int tmpfs_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	return lx_xattrs_list(&node_of(inode)->xattrs, buf, size);
}

static int tmpfs_removexattr(struct lx_inode *inode, const char *name)
{
	int err = lx_xattrs_remove(&node_of(inode)->xattrs, name);

	if (!err)
		lx_inode_touch(inode, LX_ATTR_CTIME);
	return err;
}

#define XATTR_OPS \
	.getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr, \
	.listxattr = tmpfs_listxattr, .removexattr = tmpfs_removexattr

static const struct lx_inode_ops dir_iops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	XATTR_OPS,
};

static const struct lx_inode_ops reg_iops = {
	.getattr = tmpfs_getattr,
	.truncate = tmpfs_truncate,
	.prepare_write = prepare_write,
	.write_short = write_short,
	.hole_punched = hole_punched,
	XATTR_OPS,
};

static const struct lx_inode_ops link_iops = {
	.readlink = tmpfs_readlink,
	XATTR_OPS,
};

static const struct lx_inode_ops special_iops = { XATTR_OPS };

static const struct lx_file_ops dir_fops = {
	.iterate = tmpfs_iterate,
	.llseek = lx_dir_llseek,
};

/* -- super blocks */

static int tmpfs_statfs(struct lx_super *sb, void *out)
{
	struct tmpfs_super *s = super_of(sb);
	struct statfs *st = out;
	uint64_t blocks = atomic_load(&s->used_blocks), inodes = atomic_load(&s->used_inodes);

	st->f_type = (long)sb->magic;
	st->f_bsize = st->f_frsize = (long)PAGE;
	st->f_namelen = LX_NAME_MAX;
	if (s->max_blocks) {
		st->f_blocks = (long)s->max_blocks;
		st->f_bfree = st->f_bavail = (long)(s->max_blocks - MIN(blocks, s->max_blocks));
	}
	if (s->max_inodes) {
		st->f_files = (long)s->max_inodes;
		st->f_ffree = (long)(s->max_inodes - MIN(inodes, s->max_inodes));
	}
	return 0;
}

/* Files of directories that are still linked; iterative: trees may be deep. */
static void tmpfs_shutdown(struct lx_super *sb)
{
	struct lx_inode *root = lx_d_inode(sb->root);
	struct node *top = node_of(root);
	struct rb_node *r;

	while ((r = rb_first(&top->cookies))) {
		struct entry *e = container_of(r, struct entry, by_cookie);
		struct lx_inode *inode;

		if (lx_is_dir(e->inode)) {
			struct node *sub = node_of(e->inode);
			struct rb_node *c;

			/* the child's entries move up; names do not matter any more */
			while ((c = rb_first(&sub->cookies))) {
				struct entry *ce = container_of(c, struct entry, by_cookie);

				rb_remove(&sub->names, &ce->by_name);
				rb_remove(&sub->cookies, &ce->by_cookie);
				link_entry(root, ce, ce->inode);
			}
		}
		inode = unlink_entry(root, e);
		lx_inode_put(inode);
	}
}

static void tmpfs_put(struct lx_super *sb)
{
	rt_free(sb->private);
}

static uint64_t half_of_memory(void)
{
	struct k_system_info info;

	return k_system_info(&info) == K_OK ? info.memory_bytes / PAGE / 2 : 65536;
}

/* One "name=value"; @value may be NULL.  0, or -EINVAL. */
static int parse_option(void *arg, const char *name, const char *value)
{
	struct tmpfs_super *s = arg;
	size_t n = value ? strlen(value) : 0;
	uint64_t v = 0;

	if (str_equal(name, "size") || str_equal(name, "nr_blocks")) {
		size_t used = value ? parse_size(value, n, &v) : 0;

		if (used && used + 1 == n && value[used] == '%' && name[0] == 's')
			v = half_of_memory() * 2 * v / 100 * PAGE;
		else if (!used || used != n)
			return -EINVAL;
		s->max_blocks = name[0] == 's' ? DIV_ROUND_UP(v, PAGE) : v;
		s->default_size = false;
		return 0;
	}
	if (str_equal(name, "nr_inodes")) {
		if (!value || parse_size(value, n, &v) != n)
			return -EINVAL;
		s->max_inodes = v;
		s->default_inodes = false;
		return 0;
	}
	if (str_equal(name, "mode")) {
		if (!value || parse_u64(value, n, 8, &v) != n || v > 07777)
			return -EINVAL;
		s->mode = (lx_mode_t)v;
		return 0;
	}
	if (str_equal(name, "uid") || str_equal(name, "gid")) {
		if (!value || parse_u64(value, n, 10, &v) != n || v > UINT32_MAX)
			return -EINVAL;
		if (name[0] == 'u')
			s->uid = (lx_uid_t)v;
		else
			s->gid = (lx_gid_t)v;
		return 0;
	}
	/* where pages lie and how large they are is not ours to choose */
	if (str_equal(name, "huge") || str_equal(name, "mpol") || str_equal(name, "inode64") ||
	    str_equal(name, "inode32") || str_equal(name, "noswap"))
		return 0;
	return -EINVAL;
}

static size_t tmpfs_show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct tmpfs_super *s = super_of(sb);
	size_t n = 0;

	if (s->max_blocks && !s->default_size)
		n += (size_t)scnprintf(buf + n, size - n, ",size=%lluk",
				       (unsigned long long)(s->max_blocks * PAGE / 1024));
	if (s->max_inodes && !s->default_inodes)
		n += (size_t)scnprintf(buf + n, size - n, ",nr_inodes=%llu",
				       (unsigned long long)s->max_inodes);
	if (s->mode != 01777)
		n += (size_t)scnprintf(buf + n, size - n, ",mode=%03o", s->mode);
	if (s->uid)
		n += (size_t)scnprintf(buf + n, size - n, ",uid=%u", s->uid);
	if (s->gid)
		n += (size_t)scnprintf(buf + n, size - n, ",gid=%u", s->gid);
	n += (size_t)scnprintf(buf + n, size - n, ",inode64");
	return n;
}

static int tmpfs_remount(struct lx_super *sb, unsigned long flags, const char *options)
{
	struct tmpfs_super *s = super_of(sb), want = { 0 };
	int err;

	want.max_blocks = s->max_blocks;
	want.max_inodes = s->max_inodes;
	want.default_size = s->default_size;
	want.default_inodes = s->default_inodes;
	err = lx_for_each_option(options, parse_option, &want);
	if (err)
		return err;
	if ((want.max_blocks && want.max_blocks < atomic_load(&s->used_blocks)) ||
	    (want.max_inodes && want.max_inodes < atomic_load(&s->used_inodes)))
		return -EINVAL;
	s->max_blocks = want.max_blocks;
	s->max_inodes = want.max_inodes;
	s->default_size = want.default_size;
	s->default_inodes = want.default_inodes;
	return 0;
}

static const struct lx_super_ops sops = {
	.evict = evict,
	.statfs = tmpfs_statfs,
	.shutdown = tmpfs_shutdown,
	.put = tmpfs_put,
	.show_options = tmpfs_show_options,
	.remount = tmpfs_remount,
};

int lx_tmpfs_make(const struct lx_fs_type *type, const char *options, bool limits,
		  struct lx_super **out)
{
	struct lx_super *sb = lx_super_alloc(type);
	struct tmpfs_super *s = rt_zalloc(sizeof(*s));
	struct lx_inode *root;
	int err;

	if (!sb || !s) {
		if (sb)
			lx_super_put(sb);
		rt_free(s);
		return -ENOMEM;
	}
	sb->ops = &sops;
	sb->private = s;
	sb->magic = TMPFS_MAGIC;
	s->mode = 01777;
	if (limits) {
		s->max_blocks = s->max_inodes = half_of_memory();
		s->default_size = s->default_inodes = true;
	}
	err = lx_for_each_option(options, parse_option, s);
	if (!err) {
		root = new_inode(sb, NULL, S_IFDIR | s->mode, 0);
		err = root ? 0 : -ENOMEM;
	}
	if (!err) {
		root->uid = s->uid;
		root->gid = s->gid;
		sb->root = lx_dentry_alloc_root(sb, root);
		err = sb->root ? 0 : -ENOMEM;
	}
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static int tmpfs_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		       const char *options, struct lx_super **out)
{
	int err = lx_tmpfs_make(type, options, type->name[0] == 't', out);

	if (!err)
		(*out)->flags = flags;
	return err;
}

static struct lx_fs_type tmpfs_type = { .name = "tmpfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };
static struct lx_fs_type ramfs_type = { .name = "ramfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };
static struct lx_fs_type rootfs_type = { .name = "rootfs", .flags = LX_FS_NODEV, .mount = tmpfs_mount };

static struct lx_super *shm;		/* files without names: memfd, shared memory */

int lx_tmpfs_init(struct lx_super **rootfs)
{
	int err;

	lx_fs_register(&tmpfs_type);
	lx_fs_register(&ramfs_type);
	err = lx_tmpfs_make(&tmpfs_type, NULL, false, &shm);
	if (!err)
		err = lx_tmpfs_make(&rootfs_type, "mode=755", false, rootfs);
	return err;
}

int lx_tmpfs_anon_file(const char *name, uint64_t size, uint32_t o_flags, struct lx_file **out)
{
	struct lx_inode *inode = new_inode(shm, NULL, S_IFREG | 0777, 0);
	struct lx_path path = { 0 };
	int err;

	if (!inode)
		return -ENOMEM;
	atomic_store(&inode->nlink, 0);
	atomic_store(&inode->size, size);
	path.dentry = lx_dentry_alloc_pseudo(shm, name, inode);
	if (!path.dentry)
		return -ENOMEM;
	err = lx_file_open_path(lx_self(), &path, (int)o_flags,
				LX_FMODE_READ | LX_FMODE_WRITE, out);
	if (err)
		lx_path_put(&path);
	return err;
}
