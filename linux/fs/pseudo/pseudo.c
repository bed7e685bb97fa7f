/* SPDX-License-Identifier: MIT */
/*
 * Trees of nodes as file systems: see pseudo.h.
 *
 * One lock per tree (rank LX_LOCK_LEAF: show functions are not called under it)
 * guards its shape.  A node is freed when it was removed and no inode refers to it.
 */
#include <linux/fs.h>

#include <stdarg.h>

#include "base/format.h"
#include "base/parse.h"
#include "fs/pseudo/pseudo.h"
#include "lx/iter.h"

struct node {
	struct list link;		/* parent->children: tree lock */
	struct list children;		/* tree lock */
	struct node *parent;
	_Atomic(uint32_t) refs;		/* the tree's one, and one per inode */
	bool removed;			/* tree lock */
	const void *owner;		/* who sees it; NULL: everybody.  Constant */
	void (*put)(void *arg);		/* or NULL */
	uint64_t ino;
	lx_mode_t mode;
	pseudo_show show;
	pseudo_store store;
	const struct lx_file_ops *fops;
	void *arg;
	const char *text;
	char *target;
	char name[];
};

/* A super block of a tree: what lx_super.private is. */
struct view {
	struct pseudo_tree *tree;	/* constant */
	void *owner;			/* whose nodes it shows besides everybody's; constant once used */
	void (*put)(void *owner);	/* or NULL */
};

struct pseudo_tree {
	struct rt_mutex lock;
	struct node *root;
	struct lx_super *sb;		/* the first super block, which stays; its view: */
	struct view view;
	const struct pseudo_hooks *hooks;
	uint64_t next_ino;
};

#define HOOK_BASE (1ll << 30)		/* positions of the hook's entries */

static const struct lx_inode_ops dir_iops, file_iops, link_iops;
static const struct lx_file_ops dir_fops, file_fops;

/* -- buffers */

static bool room(struct pseudo_buf *b, size_t n)
{
	size_t size = b->size ? b->size : 1024;
	char *p;

	if (b->failed)
		return false;
	if (n <= b->size - b->len)
		return true;
	while (size - b->len < n)
		size *= 2;
	p = rt_realloc(b->data, size);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->data = p;
	b->size = size;
	return true;
}

void pseudo_bytes(struct pseudo_buf *b, const void *data, size_t n)
{
	if (!room(b, n))
		return;
	memcpy(b->data + b->len, data, n);
	b->len += n;
}

bool pseudo_parse_u64(const char *text, size_t n, uint64_t *value)
{
	size_t used;

	while (n && char_is_space(*text)) {
		text++;
		n--;
	}
	used = parse_u64(text, n, 10, value);
	return used && (used == n || char_is_space(text[used]));
}

void pseudo_puts(struct pseudo_buf *b, const char *s)
{
	pseudo_bytes(b, s, strlen(s));
}

void pseudo_printf(struct pseudo_buf *b, const char *fmt, ...)
{
	size_t guess = 256;

	for (;;) {
		va_list ap;
		int n;

		if (!room(b, guess))
			return;
		va_start(ap, fmt);
		n = vsnprintf(b->data + b->len, b->size - b->len, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < b->size - b->len) {
			b->len += (size_t)n;
			return;
		}
		guess = (size_t)n + 1;
	}
}

/* -- nodes: tree lock held */

static bool is_seen_by(const struct node *n, const void *owner)
{
	return !n->owner || n->owner == owner;
}

static struct node *find(struct node *dir, const char *name, size_t len, const void *owner)
{
	struct node *n;

	list_for_each_entry(n, &dir->children, link)
		if (is_seen_by(n, owner) && strlen(n->name) == len && !memcmp(n->name, name, len))
			return n;
	return NULL;
}

static struct node *alloc_node(const char *name, size_t len, lx_mode_t mode)
{
	struct node *n = rt_zalloc(sizeof(*n) + len + 1);

	if (!n)
		return NULL;
	memcpy(n->name, name, len);
	n->mode = mode;
	atomic_store(&n->refs, 1);
	list_init(&n->children);
	list_init(&n->link);
	return n;
}

static void put_node(struct node *n)
{
	if (atomic_fetch_sub(&n->refs, 1) != 1)
		return;
	if (n->put)
		n->put(n->arg);
	rt_free(n->target);
	rt_free(n);
}

static void link_node(struct pseudo_tree *t, struct node *dir, struct node *n)
{
	n->parent = dir;
	n->ino = ++t->next_ino;
	list_add_last(&dir->children, &n->link);
}

/* Walk @path, making directories, to the one that holds the last name. */
static struct node *enter(struct pseudo_tree *t, const char **path, const void *owner)
{
	struct node *dir = t->root;
	const char *slash;

	while ((slash = strchr(*path, '/'))) {
		struct node *n = find(dir, *path, (size_t)(slash - *path), owner);

		if (!n) {
			n = alloc_node(*path, (size_t)(slash - *path), S_IFDIR | 0555);
			if (!n)
				return NULL;
			link_node(t, dir, n);
		}
		dir = n;
		*path = slash + 1;
	}
	return dir;
}

static int add(struct pseudo_tree *t, const char *path, struct node *model)
{
	struct node *dir, *n = NULL;
	int err = 0;

	rt_mutex_lock(&t->lock);
	dir = enter(t, &path, model->owner);
	if (!dir) {
		err = -ENOMEM;
	} else if ((n = find(dir, path, strlen(path), model->owner))) {
		err = -EEXIST;
	} else {
		n = alloc_node(path, strlen(path), model->mode);
		if (n) {
			n->show = model->show;
			n->store = model->store;
			n->fops = model->fops;
			n->arg = model->arg;
			n->text = model->text;
			n->target = model->target;
			n->owner = model->owner;
			n->put = model->put;
			link_node(t, dir, n);
		} else {
			err = -ENOMEM;
		}
	}
	rt_mutex_unlock(&t->lock);
	return err;
}

int pseudo_file(struct pseudo_tree *t, const char *path, lx_mode_t mode, pseudo_show show,
		pseudo_store store, void *arg)
{
	return add(t, path, &(struct node){ .mode = S_IFREG | mode, .show = show, .store = store,
					    .arg = arg });
}

int pseudo_special(struct pseudo_tree *t, const char *path, lx_mode_t mode,
		   const struct lx_file_ops *fops, void *arg)
{
	return add(t, path, &(struct node){ .mode = S_IFREG | mode, .fops = fops, .arg = arg });
}

int pseudo_text(struct pseudo_tree *t, const char *path, const char *text)
{
	return add(t, path, &(struct node){ .mode = S_IFREG | 0444, .text = text });
}

int pseudo_dir(struct pseudo_tree *t, const char *path)
{
	return add(t, path, &(struct node){ .mode = S_IFDIR | 0555 });
}

int pseudo_add(struct pseudo_tree *t, const char *path, const struct pseudo_node *node)
{
	lx_mode_t mode = node->show ? S_IFREG | node->mode : S_IFDIR | 0555;

	return add(t, path, &(struct node){ .mode = mode, .show = node->show, .store = node->store,
					    .arg = node->arg, .put = node->put, .owner = node->owner });
}

int pseudo_symlink(struct pseudo_tree *t, const char *path, const char *target)
{
	return pseudo_symlink_owned(t, path, target, NULL);
}

int pseudo_symlink_owned(struct pseudo_tree *t, const char *path, const char *target,
			 const void *owner)
{
	size_t n = strlen(target) + 1;
	struct node model = { .mode = S_IFLNK | 0777, .target = rt_alloc(n), .owner = owner };
	int err;

	if (!model.target)
		return -ENOMEM;
	memcpy(model.target, target, n);
	err = add(t, path, &model);
	if (err)
		rt_free(model.target);
	return err;
}

static void remove_node(struct node *n)
{
	struct node *c;

	while ((c = list_first_entry(&n->children, struct node, link)))
		remove_node(c);
	list_remove(&n->link);
	n->removed = true;
	put_node(n);
}

void pseudo_remove(struct pseudo_tree *t, const char *path)
{
	pseudo_remove_owned(t, path, NULL);
}

void pseudo_remove_owned(struct pseudo_tree *t, const char *path, const void *owner)
{
	struct node *dir, *n = NULL;

	rt_mutex_lock(&t->lock);
	dir = enter(t, &path, owner);
	if (dir)
		n = find(dir, path, strlen(path), owner);
	if (n)
		remove_node(n);
	rt_mutex_unlock(&t->lock);
}

/* -- inodes */

static struct node *node_of(const struct lx_inode *inode)
{
	return inode->private;
}

static const struct view *view_of(const struct lx_inode *inode)
{
	return inode->sb->private;
}

static struct pseudo_tree *tree_of(const struct lx_inode *inode)
{
	return view_of(inode)->tree;
}

/* The node's reference moves into the inode, also on failure. */
static struct lx_inode *make_inode(struct lx_super *sb, struct node *n)
{
	struct lx_inode *inode = lx_inode_create(sb, n->mode);

	if (!inode) {
		put_node(n);
		return NULL;
	}
	inode->private = n;
	inode->ino = n->ino;
	switch (n->mode & S_IFMT) {
	case S_IFDIR:
		inode->ops = &dir_iops;
		inode->fops = &dir_fops;
		atomic_store(&inode->nlink, 2);
		break;
	case S_IFLNK:
		inode->ops = &link_iops;
		atomic_store(&inode->size, strlen(n->target));
		break;
	default:
		inode->ops = &file_iops;
		inode->fops = n->fops ? n->fops : &file_fops;
		break;
	}
	return inode;
}

static int tree_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct pseudo_tree *t = tree_of(dir);
	struct lx_inode *inode;
	struct node *n;

	if (t->hooks && node_of(dir) == t->root) {
		int err = t->hooks->lookup(dir, d);

		if (err != -ENOENT)
			return err;
	}
	rt_mutex_lock(&t->lock);
	n = find(node_of(dir), d->name, d->name_len, view_of(dir)->owner);
	if (n)
		atomic_fetch_add(&n->refs, 1);
	rt_mutex_unlock(&t->lock);
	if (!n)
		return 0;
	inode = make_inode(dir->sb, n);
	if (!inode)
		return -ENOMEM;
	lx_dentry_instantiate(d, inode);
	return 0;
}

/* Nodes come and go: absence is not remembered, and what was removed is gone. */
static bool tree_revalidate(struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);

	if (!inode)
		return false;
	/* not those that a hook made in the root: they have operations of their own */
	return !READ_ONCE(node_of(inode)->removed);
}

static int tree_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct node *n = node_of(lx_d_inode(d));
	size_t len = MIN(strlen(n->target), size);

	memcpy(buf, n->target, len);
	return (int)len;
}

static int tree_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	if (a->valid & (LX_ATTR_UID | LX_ATTR_GID | LX_ATTR_MODE))
		return -EPERM;
	return 0;			/* O_TRUNC by shells: nothing to truncate */
}

static int tree_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	/* as made just now: nothing keeps times here */
	st->atime = st->mtime = st->ctime = lx_now_coarse();
	return 0;
}

static const struct lx_inode_ops dir_iops = {
	.lookup = tree_lookup, .revalidate = tree_revalidate, .setattr = tree_setattr,
	.getattr = tree_getattr, .lockless = true,
};
static const struct lx_inode_ops file_iops = {
	.revalidate = tree_revalidate, .setattr = tree_setattr, .getattr = tree_getattr,
};
static const struct lx_inode_ops link_iops = {
	.readlink = tree_readlink, .revalidate = tree_revalidate, .setattr = tree_setattr,
	.getattr = tree_getattr,
};

/* -- directories: positions are 2 + the index of the entry; few change */

static int tree_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct lx_inode *dir = f->inode;
	struct pseudo_tree *t = tree_of(dir);
	struct node *d = node_of(dir), *n;
	lx_off_t pos = 2;

	if (!lx_dir_emit_dots(ctx, d->ino, d->parent ? d->parent->ino : d->ino))
		return 0;
	if (ctx->pos < HOOK_BASE) {
		rt_mutex_lock(&t->lock);
		list_for_each_entry(n, &d->children, link) {
			if (!is_seen_by(n, view_of(dir)->owner) || pos++ < ctx->pos)
				continue;
			if (!ctx->emit(ctx, n->name, strlen(n->name), n->ino,
				       (n->mode & S_IFMT) >> 12)) {
				rt_mutex_unlock(&t->lock);
				return 0;
			}
			ctx->pos = pos;
		}
		rt_mutex_unlock(&t->lock);
		if (!t->hooks || d != t->root)
			return 0;
		ctx->pos = HOOK_BASE;
	}
	return t->hooks ? t->hooks->iterate(f, ctx, HOOK_BASE) : 0;
}

static const struct lx_file_ops dir_fops = { .iterate = tree_iterate, .llseek = lx_dir_llseek };

/* -- files */

int64_t pseudo_read_text(struct lx_file *f, struct lx_iter *to, lx_off_t *pos,
			 int (*fill)(struct lx_file *f, struct pseudo_buf *b))
{
	struct pseudo_open *o;
	int64_t total = 0;

	rt_mutex_lock(&f->lock);
	o = f->private;
	rt_mutex_unlock(&f->lock);
	if (!o) {
		struct pseudo_open *fresh = rt_zalloc(sizeof(*fresh));

		if (!fresh)
			return -ENOMEM;
		rt_mutex_lock(&f->lock);
		if (!f->private) {
			f->private = fresh;
			fresh = NULL;
		}
		o = f->private;
		rt_mutex_unlock(&f->lock);
		rt_free(fresh);
	}
	/* readers of one open file take turns: read holds pos_lock, pread may not */
	if (!o->filled || !*pos) {
		int err;

		o->buf.len = 0;
		o->filled = false;
		err = fill(f, &o->buf);
		if (!err && o->buf.failed)
			err = -ENOMEM;
		o->buf.failed = false;
		if (err)
			return err;
		o->filled = true;
	}
	while (to->count && (uint64_t)*pos < o->buf.len) {
		size_t n = lx_iter_put(to, o->buf.data + *pos, o->buf.len - (size_t)*pos);

		*pos += (lx_off_t)n;
		total += (int64_t)n;
		if (to->count && (uint64_t)*pos < o->buf.len && lx_iter_fault_in(to, true))
			return total ? total : -EFAULT;
	}
	return total;
}

void pseudo_release(struct lx_file *f)
{
	struct pseudo_open *o = f->private;

	if (!o)
		return;
	rt_free(o->buf.data);
	rt_free(o);
}

/* What was written, NUL-terminated; rt_free(). */
int pseudo_copy_in(struct lx_iter *from, char **text, size_t *n)
{
	size_t want = MIN(from->count, (uint64_t)K_PAGE_SIZE), got = 0;
	char *p = rt_alloc(want + 1);

	if (!p)
		return -ENOMEM;
	while (got < want) {
		got += lx_iter_get(from, p + got, want - got);
		if (got < want && lx_iter_fault_in(from, false)) {
			rt_free(p);
			return -EFAULT;
		}
	}
	p[got] = '\0';
	*text = p;
	*n = got;
	return 0;
}

static int fill_node(struct lx_file *f, struct pseudo_buf *b)
{
	struct node *n = node_of(f->inode);

	if (n->text) {
		pseudo_puts(b, n->text);
		return 0;
	}
	return n->show ? n->show(b, n->arg) : -EACCES;
}

static int64_t tree_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return pseudo_read_text(f, to, pos, fill_node);
}

static int64_t tree_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct node *n = node_of(f->inode);
	char *text;
	size_t len;
	int err;

	if (!n->store)
		return -EIO;
	err = pseudo_copy_in(from, &text, &len);
	if (err)
		return err;
	err = n->store(text, len, n->arg);
	rt_free(text);
	*pos += (lx_off_t)len;
	return err ? err : (int64_t)len;
}

static int tree_open(struct lx_inode *inode, struct lx_file *f)
{
	return 0;
}

static const struct lx_file_ops file_fops = {
	.open = tree_open,
	.read = tree_read,
	.write = tree_write,
	.release = pseudo_release,
};

/* -- super block: one per tree, whoever mounts it */

static void tree_evict(struct lx_inode *inode)
{
	const struct pseudo_hooks *hooks = tree_of(inode)->hooks;

	if (hooks && hooks->evict && hooks->evict(inode))
		return;
	if (inode->private)
		put_node(inode->private);
}

/* Of a view that pseudo_super_of() made: the first one stays. */
static void view_put(struct lx_super *sb)
{
	struct view *v = sb->private;

	if (v->put)
		v->put(v->owner);
	rt_free(v);
}

static const struct lx_super_ops sops = { .evict = tree_evict, .put = view_put };

/* 0, or -ENOMEM: the super block may be half made. */
static int fill_super(struct lx_super *sb, struct view *v, uint64_t magic)
{
	struct lx_inode *inode;

	sb->private = v;
	sb->ops = &sops;
	sb->magic = magic;
	atomic_fetch_add(&v->tree->root->refs, 1);
	inode = make_inode(sb, v->tree->root);
	if (inode)
		sb->root = lx_dentry_alloc_root(sb, inode);
	return sb->root ? 0 : -ENOMEM;
}

struct lx_super *pseudo_super(struct pseudo_tree *t)
{
	return lx_super_get(t->sb);
}

void pseudo_set_owner(struct pseudo_tree *t, const void *owner)
{
	t->view.owner = (void *)(uintptr_t)owner;
}

struct lx_super *pseudo_super_of(struct pseudo_tree *t, void *owner, void (*put)(void *owner))
{
	struct view *v = rt_zalloc(sizeof(*v));
	struct lx_super *sb = v ? lx_super_alloc(t->sb->type) : NULL;

	if (!sb) {
		rt_free(v);
		return NULL;
	}
	v->tree = t;
	v->owner = owner;
	if (fill_super(sb, v, t->sb->magic)) {
		lx_super_put(sb);	/* the owner, which it does not put yet, is the caller's */
		return NULL;
	}
	v->put = put;
	return sb;
}

struct pseudo_tree *pseudo_tree_create(struct lx_fs_type *type, uint64_t magic,
				       const struct pseudo_hooks *hooks)
{
	struct pseudo_tree *t = rt_zalloc(sizeof(*t));

	if (!t)
		return NULL;
	rt_mutex_init(&t->lock, LX_LOCK_LEAF);
	t->hooks = hooks;
	t->root = alloc_node("", 0, S_IFDIR | 0555);
	t->sb = lx_super_alloc(type);
	/* at the start of the system: whoever fails here ends it */
	if (!t->sb || !t->root)
		return NULL;
	t->root->ino = ++t->next_ino;
	t->view.tree = t;
	return fill_super(t->sb, &t->view, magic) ? NULL : t;
}
