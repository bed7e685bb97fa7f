/* SPDX-License-Identifier: MIT */
/*
 * Directories of a tmpfs, and symbolic links.
 *
 * A directory keeps its entries in two trees: by name, and by a number (cookie)
 * that counts up, which is what readdir reports as the position; so a listing
 * goes on where it was, whatever is removed or added meanwhile.  An entry holds
 * its inode.
 */
#include <linux/fs.h>

#include "fs/tmpfs/tmpfs_impl.h"

struct entry {
	struct rb_node by_name, by_cookie;
	struct lx_inode *inode;		/* a reference */
	uint64_t cookie;
	uint32_t hash, len;
	char name[];
};

/* -- entries: the directory's inode is locked */

static int compare(const struct entry *e, const char *name, uint32_t len, uint32_t hash)
{
	if (hash != e->hash)
		return hash < e->hash ? -1 : 1;
	if (len != e->len)
		return len < e->len ? -1 : 1;
	return memcmp(name, e->name, len);
}

static struct entry *find_entry(struct tmpfs_node *dir, const struct lx_dentry *d)
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
	struct tmpfs_node *n = tmpfs_node(dir);
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
	struct tmpfs_node *n = tmpfs_node(dir);
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
	return !tmpfs_node(dir)->names.root;
}

static int tmpfs_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct entry *e = find_entry(tmpfs_node(dir), d);

	if (e)
		lx_dentry_instantiate(d, lx_inode_get(e->inode));
	return 0;
}

/* Make @inode (reference moves in, also on failure) the entry that @d names. */
static int add(struct lx_inode *dir, struct lx_dentry *d, struct lx_inode *inode)
{
	struct entry *e = alloc_entry(d);

	if (!e) {
		lx_inode_put(inode);
		return -ENOSPC;
	}
	link_entry(dir, e, lx_inode_get(inode));
	lx_dentry_instantiate(d, inode);
	return 0;
}

static int make(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	struct lx_inode *inode;
	int err = tmpfs_new_child(dir, mode, dev, &inode);

	return err ? err : add(dir, d, inode);
}

static int tmpfs_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return make(dir, d, (mode & 07777) | S_IFREG, 0);
}

static int tmpfs_mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	int err = make(dir, d, (mode & 07777) | S_IFDIR, 0);

	if (!err)
		atomic_fetch_add(&dir->nlink, 1);
	return err;
}

static int tmpfs_mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev)
{
	return make(dir, d, mode, dev);
}

static int tmpfs_symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target)
{
	size_t n = strlen(target);
	struct lx_inode *inode = tmpfs_new_inode(dir->sb, dir, S_IFLNK | 0777, 0);

	if (!inode)
		return -ENOSPC;
	tmpfs_node(inode)->target = rt_alloc(n + 1);
	if (!tmpfs_node(inode)->target) {
		lx_inode_put(inode);
		return -ENOMEM;
	}
	memcpy(tmpfs_node(inode)->target, target, n + 1);
	atomic_store(&inode->size, n);
	return add(dir, d, inode);
}

static int tmpfs_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_inode *inode = lx_d_inode(d);
	size_t n = MIN(size, (size_t)inode->size);

	memcpy(buf, tmpfs_node(inode)->target, n);
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
	struct lx_inode *inode;
	int err = tmpfs_new_child(dir, (mode & 07777) | S_IFREG, 0, &inode);

	if (err)
		return err;
	atomic_store(&inode->nlink, 0);
	lx_dentry_instantiate(d, inode);
	return 0;
}

static int tmpfs_unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	struct entry *e = find_entry(tmpfs_node(dir), d);
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
	tmpfs_node(inode)->parent = ndir;
}

static int tmpfs_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
			struct lx_dentry *nd, unsigned int flags)
{
	struct entry *oe = find_entry(tmpfs_node(odir), od), *ne = find_entry(tmpfs_node(ndir), nd);
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
		hole = white ? tmpfs_new_inode(odir->sb, odir, S_IFCHR | 0600, 0) : NULL;
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
	struct tmpfs_node *n = tmpfs_node(dir);
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

/* Iterative: trees may be deep. */
void tmpfs_shutdown(struct lx_super *sb)
{
	struct lx_inode *root = lx_d_inode(sb->root);
	struct tmpfs_node *top = tmpfs_node(root);
	struct rb_node *r;

	while ((r = rb_first(&top->cookies))) {
		struct entry *e = container_of(r, struct entry, by_cookie);
		struct lx_inode *inode;

		if (lx_is_dir(e->inode)) {
			struct tmpfs_node *sub = tmpfs_node(e->inode);
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

const struct lx_inode_ops tmpfs_dir_iops = {
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
	TMPFS_XATTR_OPS, TMPFS_FLAG_OPS, .set_acl = tmpfs_set_acl,
};

const struct lx_inode_ops tmpfs_link_iops = {
	.readlink = tmpfs_readlink,
	TMPFS_XATTR_OPS,
};

const struct lx_file_ops tmpfs_dir_fops = {
	.iterate = tmpfs_iterate,
	.llseek = lx_dir_llseek,
};
