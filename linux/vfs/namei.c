/* SPDX-License-Identifier: MIT */
/*
 * Path resolution.
 *
 * A walk holds references to the place it stands at (nd->path).  It takes one
 * component after the other: looks the name up in the dentry cache, or asks the
 * file system with the directory locked, goes down through mounts and follows
 * symlinks.  It stops before the last component (nd->last), because what to do
 * with that differs: look it up, create it, remove it.
 *
 * Symlinks do not recurse: the rest of the path being walked is put on a small
 * stack, and the link's text is walked first.  At most 40 links are followed in
 * one resolution, however they nest; that is also the depth of the stack.
 *
 * A scoped walk (openat2's RESOLVE_BENEATH and RESOLVE_IN_ROOT) treats the
 * starting directory as its root.  A rename can move what we stand on out from
 * under it while we walk, so a walk that used ".." checks at the end that it is
 * still below (EAGAIN if not).
 */
#include <linux/capability.h>
#include <linux/inotify.h>

#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define MAX_LINKS 40

struct link {
	char *body;			/* to be freed when the walk of it is over */
	const char *rest;		/* where to go on in what was walked before it */
};

struct nd {
	struct lx_task *self;
	unsigned int flags;		/* LX_LOOKUP_* */
	struct lx_path path;		/* where we are; references */
	struct lx_path root;		/* references; mnt NULL: not needed so far */
	struct lx_qstr last;
	enum lx_last_type type;
	bool slash;			/* slashes follow the last name */
	bool scoped, used_dotdot;
	unsigned int links, depth;
	char *body;			/* of the final symlink that the name is in */
	struct link stack[MAX_LINKS];
};

/* -- names from programs */

int lx_name_copy(struct lx_name *n, uaddr_t user, bool empty_ok)
{
	size_t done = 0;
	long len;

	n->s = n->small;
	len = rt_strncpy_from_user(n->small, user, sizeof(n->small), &done);
	if (unlikely(len < 0 || (size_t)len == sizeof(n->small))) {
		n->s = rt_alloc(LX_PATH_MAX);
		if (!n->s) {
			n->s = n->small;
			return -ENOMEM;
		}
		for (;;) {
			len = rt_strncpy_from_user(n->s, user, LX_PATH_MAX, &done);
			if (len >= 0)
				break;
			if (lx_fault_in(lx_self(), uaddr_add(user, done), 1, false)) {
				lx_name_done(n);
				n->s = n->small;
				return -EFAULT;
			}
		}
		if (len == LX_PATH_MAX) {
			lx_name_done(n);
			n->s = n->small;
			return -ENAMETOOLONG;
		}
	}
	n->len = (size_t)len;
	if (!len && !empty_ok)
		return -ENOENT;		/* small: nothing to free */
	return 0;
}

int lx_name_from_user(struct lx_task *self, uaddr_t user, bool empty_ok, char **out)
{
	struct lx_name n;
	int err = lx_name_copy(&n, user, empty_ok);

	if (err)
		return err;
	if (n.s == n.small) {
		*out = rt_alloc(n.len + 1);
		if (!*out)
			return -ENOMEM;
		memcpy(*out, n.small, n.len + 1);
	} else {
		*out = n.s;
	}
	return 0;
}

void lx_name_free(char *name)
{
	rt_free(name);
}

/* -- one step */

static inline int may_exec(struct nd *nd, struct lx_inode *dir)
{
	/* the usual directory: everybody may search it */
	if (likely((dir->mode & 0111) == 0111 && !dir->ops->permission))
		return 0;
	return lx_inode_permission(nd->self, dir, LX_MAY_EXEC);
}

/* The child that the file system has; dir's inode locked. */
int lx_lookup_locked(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out)
{
	struct lx_inode *inode = lx_d_inode(dir);
	struct lx_dentry *d = lx_dcache_lookup(dir, q);
	int err;

	if (d) {
		struct lx_inode *child = lx_d_inode(d);
		const struct lx_inode_ops *ops = child ? child->ops : inode->ops;

		if (likely(!ops->revalidate || ops->revalidate(d))) {
			*out = d;
			return 0;
		}
		lx_dentry_unhash(d);
		lx_dentry_put(d);
	}
	if (inode->iflags & LX_INODE_DELETED)
		return -ENOENT;
	d = lx_dentry_alloc(dir, q);
	if (!d)
		return -ENOMEM;
	err = inode->ops->lookup(inode, d);
	if (err) {
		lx_dentry_put(d);
		return err;
	}
	lx_dentry_hash(d);
	*out = d;
	return 0;
}

/* Two that look for the same name at once get a dentry each: only one of them is found later. */
static int lookup_lockless(struct lx_dentry *dir, struct lx_inode *inode, const struct lx_qstr *q,
			   struct lx_dentry **out)
{
	struct lx_dentry *d = lx_dentry_alloc(dir, q);
	int err;

	if (!d)
		return -ENOMEM;
	err = inode->ops->lookup(inode, d);
	if (err) {
		lx_dentry_put(d);
		return err;
	}
	if (!lx_d_negative(d))
		lx_dentry_hash(d);
	*out = d;
	return 0;
}

static int lookup(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out)
{
	struct lx_dentry *d = lx_dcache_lookup(dir, q);
	struct lx_inode *inode = lx_d_inode(dir);
	int err;

	if (likely(d)) {
		struct lx_inode *child = lx_d_inode(d);
		const struct lx_inode_ops *ops = child ? child->ops : inode->ops;

		if (likely(!ops->revalidate || ops->revalidate(d))) {
			*out = d;
			return 0;
		}
		if (inode->ops->lockless)
			lx_dentry_unhash(d);
		lx_dentry_put(d);
	}
	if (q->len > LX_NAME_MAX)
		return -ENAMETOOLONG;
	if (unlikely(inode->ops->lockless))
		return lookup_lockless(dir, inode, q, out);
	/* nested: an overlay looks into its layers while its own directory is locked */
	rt_mutex_lock_nested(&inode->lock);
	err = lx_lookup_locked(dir, q, out);
	rt_mutex_unlock(&inode->lock);
	return err;
}

int lx_lookup_one(struct lx_task *self, struct lx_dentry *dir, const char *name, uint32_t len,
		  struct lx_dentry **out)
{
	struct lx_qstr q = { name, len, lx_name_hash(name, len) };

	return lookup(dir, &q, out);
}

static void need_root(struct nd *nd)
{
	if (!nd->root.mnt)
		lx_fs_paths(nd->self->fs, &nd->root, NULL);
}

static int jump_to_root(struct nd *nd)
{
	if (nd->flags & LX_LOOKUP_BENEATH)
		return -EXDEV;
	need_root(nd);
	if ((nd->flags & LX_LOOKUP_NO_XDEV) && nd->path.mnt && nd->path.mnt != nd->root.mnt)
		return -EXDEV;
	if (nd->path.dentry)
		lx_path_put(&nd->path);
	nd->path = nd->root;
	lx_path_get(&nd->path);
	return 0;
}

static int step_up(struct nd *nd)
{
	struct lx_mount *start = nd->path.mnt;
	struct lx_dentry *parent;

	need_root(nd);
	nd->used_dotdot = true;
	for (;;) {
		if (nd->path.dentry == nd->root.dentry && nd->path.mnt == nd->root.mnt)
			return nd->flags & LX_LOOKUP_BENEATH ? -EXDEV : 0;
		if (nd->path.dentry != nd->path.mnt->root)
			break;
		if (nd->flags & LX_LOOKUP_NO_XDEV)
			return -EXDEV;
		if (!lx_mount_traverse_up(&nd->path))
			return 0;	/* the top of the namespace */
	}
	parent = lx_dentry_parent_get(nd->path.dentry);
	lx_dentry_put(nd->path.dentry);
	nd->path.dentry = parent;
	/* a file system may be mounted over the directory that we came up to */
	if (unlikely(lx_d_flags(parent) & LX_DENTRY_MOUNTED) && start)
		lx_mount_traverse_down(&nd->path);
	return 0;
}

/* Step to @d, a positive child of where we are; its reference moves in. */
static int step_into(struct nd *nd, struct lx_dentry *d)
{
	lx_dentry_put(nd->path.dentry);
	nd->path.dentry = d;
	if (unlikely(lx_d_flags(d) & LX_DENTRY_MOUNTED)) {
		if (lx_mount_traverse_down(&nd->path) && (nd->flags & LX_LOOKUP_NO_XDEV))
			return -EXDEV;
	}
	return 0;
}

/* The text of the symlink @d, on the heap. */
static int read_link(struct lx_inode *inode, struct lx_dentry *d, char **body)
{
	uint64_t size = atomic_load_explicit(&inode->size, memory_order_relaxed);
	char *s;
	int n;

	if (!inode->ops->readlink)
		return -EINVAL;
	if (!size || size >= LX_PATH_MAX)
		size = LX_PATH_MAX - 1;
	s = rt_alloc(size + 1);
	if (!s)
		return -ENOMEM;
	n = inode->ops->readlink(d, s, size);
	if (n <= 0) {
		rt_free(s);
		return n ? n : -ENOENT;
	}
	s[n] = '\0';
	*body = s;
	return 0;
}

/*
 * Follow the symlink @d, a child of where we are (reference moves in): either we
 * stand where it leads (*@body NULL), or *@body has to be walked from here.
 */
static int follow_link(struct nd *nd, struct lx_dentry *d, char **body)
{
	struct lx_inode *inode = lx_d_inode(d);
	int err;

	*body = NULL;
	if (++nd->links > MAX_LINKS || (nd->flags & LX_LOOKUP_NO_SYMLINKS) ||
	    (atomic_load_explicit(&nd->path.mnt->flags, memory_order_relaxed) &
	     LX_MNT_NOSYMFOLLOW)) {
		err = -ELOOP;
	} else if (inode->ops->follow) {
		struct lx_path to;

		err = nd->flags & LX_LOOKUP_NO_MAGICLINKS ? -ELOOP : nd->scoped ? -EXDEV : 0;
		if (!err)
			err = inode->ops->follow(d, &to);
		if (!err && (nd->flags & LX_LOOKUP_NO_XDEV) && to.mnt != nd->path.mnt) {
			lx_path_put(&to);
			err = -EXDEV;
		}
		if (!err) {
			lx_path_put(&nd->path);
			nd->path = to;
		}
	} else {
		lx_inode_accessed(nd->path.mnt, inode);
		err = read_link(inode, d, body);
	}
	lx_dentry_put(d);
	return err;
}

/*
 * Walk one component (nd->last) that is to be followed if it is a symlink and
 * @follow.  *@body: the text of a symlink to be walked next.
 */
static int walk_component(struct nd *nd, bool follow, char **body)
{
	struct lx_dentry *d;
	struct lx_inode *inode;
	int err;

	*body = NULL;
	if (unlikely(nd->type != LX_LAST_NORM))
		return nd->type == LX_LAST_DOTDOT ? step_up(nd) : 0;
	err = lookup(nd->path.dentry, &nd->last, &d);
	if (err)
		return err;
	inode = lx_d_inode(d);
	if (!inode) {
		lx_dentry_put(d);
		return -ENOENT;
	}
	if (unlikely(lx_is_lnk(inode)) && follow)
		return follow_link(nd, d, body);
	return step_into(nd, d);
}

/* -- the walk */

/*
 * Walk all components of @name but the last, which nd->last describes then.  If
 * @name is only slashes its type is LX_LAST_ROOT.
 */
static int walk(struct nd *nd, const char *name)
{
	int err;

	for (;;) {
		uint32_t h, len = 0;
		const char *end;
		char *body;
		struct lx_inode *dir;

		while (*name == '/')
			name++;
		if (!*name) {
			/* "/", or a symlink to it */
			nd->type = LX_LAST_ROOT;
			nd->slash = true;
			nd->last = (struct lx_qstr){ name, 0, 0 };
			if (!nd->depth)
				return 0;
			goto pop;
		}
		dir = lx_d_inode(nd->path.dentry);
		if (unlikely(!lx_is_dir(dir)))
			return -ENOTDIR;
		err = may_exec(nd, dir);
		if (unlikely(err))
			return err;
		end = name;
		while (*end && *end != '/')
			end++;
		len = (uint32_t)(end - name);
		h = lx_name_hash(name, len);
		nd->type = LX_LAST_NORM;
		if (unlikely(name[0] == '.')) {
			if (len == 1)
				nd->type = LX_LAST_DOT;
			else if (len == 2 && name[1] == '.')
				nd->type = LX_LAST_DOTDOT;
		}
		nd->last = (struct lx_qstr){ name, len, h };
		nd->slash = *end == '/';
		while (*end == '/')
			end++;
		if (!*end && !nd->depth)
			return 0;
		err = walk_component(nd, true, &body);
		if (unlikely(err))
			return err;
		name = end;
		if (unlikely(body)) {
			/* more than MAX_LINKS never get here */
			nd->stack[nd->depth++] = (struct link){ body, name };
			name = body;
			if (*name == '/') {
				err = jump_to_root(nd);
				if (err)
					return err;
			}
			continue;
		}
		if (*name)
			continue;
pop:
		/* The end of a link's text: go on behind where it was met. */
		if (nd->slash && !lx_is_dir(lx_d_inode(nd->path.dentry)))
			return -ENOTDIR;
		do {
			nd->depth--;
			rt_free(nd->stack[nd->depth].body);
			name = nd->stack[nd->depth].rest;
		} while (!*name && nd->depth);
	}
}

static int start(struct nd *nd, struct lx_task *self, int dfd, const char *name, unsigned int flags)
{
	/* not the stack of links, which is large */
	memset(nd, 0, offsetof(struct nd, stack));
	nd->self = self;
	nd->flags = flags;
	nd->scoped = flags & (LX_LOOKUP_BENEATH | LX_LOOKUP_IN_ROOT);
	if (*name == '/' && !nd->scoped) {
		lx_fs_paths(self->fs, &nd->path, NULL);
		return 0;
	}
	if (*name == '/' && (flags & LX_LOOKUP_BENEATH))
		return -EXDEV;
	if (dfd == AT_FDCWD) {
		lx_fs_paths(self->fs, NULL, &nd->path);
	} else {
		struct lx_file *f = lx_fd_get_raw(self, dfd);

		if (!f)
			return -EBADF;
		if (*name && !lx_is_dir(f->inode)) {
			lx_file_put(f);
			return -ENOTDIR;
		}
		nd->path = f->path;
		lx_path_get(&nd->path);
		lx_file_put(f);
	}
	if (nd->scoped) {
		nd->root = nd->path;
		lx_path_get(&nd->root);
	}
	return 0;
}

static void finish(struct nd *nd)
{
	while (nd->depth)
		rt_free(nd->stack[--nd->depth].body);
	rt_free(nd->body);
	if (nd->path.dentry)
		lx_path_put(&nd->path);
	if (nd->root.mnt)
		lx_path_put(&nd->root);
}

/* Is where a scoped walk ended below its root? */
static int check_scope(struct nd *nd)
{
	struct lx_path p;
	bool below = false;

	if (!nd->scoped || !nd->used_dotdot)
		return 0;
	p = nd->path;
	lx_path_get(&p);
	for (;;) {
		if (p.mnt == nd->root.mnt && lx_dentry_is_ancestor(nd->root.dentry, p.dentry)) {
			below = true;
			break;
		}
		lx_dentry_put(p.dentry);
		p.dentry = lx_dentry_get(p.mnt->root);
		if (!lx_mount_traverse_up(&p))
			break;
	}
	lx_path_put(&p);
	return below ? 0 : -EAGAIN;
}

/* The final component was a symlink with this text: walk that up to its own last one. */
static int walk_body(struct nd *nd, char *body)
{
	rt_free(nd->body);
	nd->body = body;		/* nd->last will point into it */
	if (*body == '/') {
		int err = jump_to_root(nd);

		if (err)
			return err;
	}
	return walk(nd, body);
}

int lx_path_at(struct lx_task *self, int dfd, const char *name, unsigned int flags,
	       struct lx_path *out)
{
	struct nd nd;
	char *body;
	int err;

	if (unlikely(!*name) && !(flags & LX_LOOKUP_EMPTY))
		return -ENOENT;
	err = start(&nd, self, dfd, name, flags);
	if (unlikely(err))
		return err;
	if (unlikely(!*name))
		goto done;
	err = walk(&nd, name);
	while (likely(!err)) {
		bool dir = nd.slash || (flags & LX_LOOKUP_DIRECTORY);

		err = walk_component(&nd, nd.slash || (flags & LX_LOOKUP_FOLLOW), &body);
		if (err)
			break;
		if (likely(!body)) {
			if (unlikely(dir) && !lx_is_dir(lx_d_inode(nd.path.dentry)))
				err = -ENOTDIR;
			break;
		}
		if (nd.slash)
			flags |= LX_LOOKUP_DIRECTORY | LX_LOOKUP_FOLLOW;
		err = walk_body(&nd, body);
	}
	if (!err)
		err = check_scope(&nd);
done:
	if (!err) {
		*out = nd.path;
		nd.path = (struct lx_path){ 0 };
	}
	finish(&nd);
	return err;
}

int lx_path_at_user(struct lx_task *self, int dfd, uaddr_t name, unsigned int flags,
		    struct lx_path *out)
{
	struct lx_name n;
	int err = lx_name_copy(&n, name, flags & LX_LOOKUP_EMPTY);

	if (err)
		return err;
	err = lx_path_at(self, dfd, n.s, flags, out);
	lx_name_done(&n);
	return err;
}

int lx_path_parent(struct lx_task *self, int dfd, const char *name, unsigned int flags,
		   struct lx_parent *out)
{
	struct nd nd;
	int err;

	if (!*name)
		return -ENOENT;
	err = start(&nd, self, dfd, name, flags);
	if (!err)
		err = walk(&nd, name);
	if (!err && !lx_is_dir(lx_d_inode(nd.path.dentry)))
		err = -ENOTDIR;
	if (!err && nd.type == LX_LAST_NORM && nd.last.len > LX_NAME_MAX)
		err = -ENAMETOOLONG;
	if (!err) {
		*out = (struct lx_parent){
			.dir = nd.path, .last = nd.last, .type = nd.type,
			.trailing_slash = nd.slash,
		};
		nd.path = (struct lx_path){ 0 };
	}
	finish(&nd);
	return err;
}

void lx_parent_put(struct lx_parent *p)
{
	lx_path_put(&p->dir);
}

/* -- rights to change directories */

int lx_may_create(struct lx_task *self, struct lx_inode *dir)
{
	if (dir->iflags & LX_INODE_DELETED)
		return -ENOENT;
	return lx_inode_permission(self, dir, LX_MAY_WRITE | LX_MAY_EXEC);
}

int lx_may_delete(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *victim, bool isdir)
{
	struct lx_inode *inode = lx_d_inode(victim);
	int err;

	if (!inode)
		return -ENOENT;
	err = lx_inode_permission(self, dir, LX_MAY_WRITE | LX_MAY_EXEC);
	if (err)
		return err;
	if (dir->iflags & LX_INODE_APPEND)
		return -EPERM;
	/* a sticky directory: only the owner of either may */
	if ((dir->mode & S_ISVTX) && self->cred->fsuid != inode->uid &&
	    self->cred->fsuid != dir->uid && !lx_capable(self, CAP_FOWNER))
		return -EPERM;
	if (inode->iflags & (LX_INODE_APPEND | LX_INODE_IMMUTABLE))
		return -EPERM;
	if (isdir) {
		if (!lx_is_dir(inode))
			return -ENOTDIR;
		if (victim->parent == victim)
			return -EBUSY;
	} else if (lx_is_dir(inode)) {
		return -EISDIR;
	}
	if (dir->iflags & LX_INODE_DELETED)
		return -ENOENT;
	return 0;
}

/* -- open */

static lx_mode_t masked(struct lx_task *self, lx_mode_t mode)
{
	return mode & ~self->fs->umask;
}

/* Create @d, negative, in @dir (locked). */
static int create_file(struct lx_task *self, struct lx_path *dirpath, struct lx_inode *dir,
		       struct lx_dentry *d, lx_mode_t mode)
{
	int err = lx_want_write(dirpath);

	if (!err)
		err = lx_may_create(self, dir);
	if (!err && !dir->ops->create)
		err = -EACCES;
	if (!err)
		err = dir->ops->create(dir, d, (masked(self, mode) & 07777) | S_IFREG);
	if (!err)
		lx_notify(dir, d, IN_CREATE);
	return err;
}

/* The last component of an open: stand on what is to be opened, or get *@body to walk. */
static int open_last(struct nd *nd, const struct lx_open_how *how, bool *created, char **body)
{
	bool follow = !(how->flags & O_NOFOLLOW) && (how->flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
	struct lx_dentry *d = NULL;
	struct lx_inode *inode;
	int err;

	*body = NULL;
	if (!(how->flags & O_CREAT)) {
		if (nd->slash)
			nd->flags |= LX_LOOKUP_DIRECTORY | LX_LOOKUP_FOLLOW;
		return walk_component(nd, follow || nd->slash, body);
	}
	if (nd->type != LX_LAST_NORM) {
		if (how->flags & O_EXCL)
			return -EEXIST;
		err = walk_component(nd, false, body);
		return err ? err : -EISDIR;
	}
	if (nd->slash)
		return -EISDIR;
	if (nd->last.len > LX_NAME_MAX)
		return -ENAMETOOLONG;
	if (!lx_is_dir(lx_d_inode(nd->path.dentry)))
		return -ENOTDIR;
	if (how->flags & O_EXCL)
		goto locked;
	err = lookup(nd->path.dentry, &nd->last, &d);
	if (err)
		return err;
	if (lx_d_negative(d)) {
		struct lx_inode *dir;

		lx_dentry_put(d);
locked:
		dir = lx_d_inode(nd->path.dentry);
		if (unlikely(dir->ops->lockless)) {
			if (!(how->flags & O_EXCL))
				return -ENOENT;
			err = lookup(nd->path.dentry, &nd->last, &d);
			if (err)
				return err;
			err = lx_d_negative(d) ? -ENOENT : -EEXIST;
			lx_dentry_put(d);
			return err;
		}
		rt_mutex_lock(&dir->lock);
		err = lx_lookup_locked(nd->path.dentry, &nd->last, &d);
		if (!err && lx_d_negative(d)) {
			err = create_file(nd->self, &nd->path, dir, d, how->mode);
			*created = !err;
			if (err)
				lx_dentry_put(d);
		} else if (!err && (how->flags & O_EXCL)) {
			lx_dentry_put(d);
			err = -EEXIST;
		}
		rt_mutex_unlock(&dir->lock);
		if (err)
			return err;
	}
	inode = lx_d_inode(d);
	if (lx_is_lnk(inode) && follow)
		return follow_link(nd, d, body);
	return step_into(nd, d);
}

/* Checks that depend on what is opened; @created: just made by us, any access is fine. */
static int may_open(struct lx_task *self, const struct lx_path *p, const struct lx_open_how *how,
		    bool created)
{
	struct lx_inode *inode = lx_d_inode(p->dentry);
	uint32_t mflags = p->mnt ? atomic_load(&p->mnt->flags) : 0;
	int acc = how->flags & O_ACCMODE, mask = 0, err;

	if ((how->flags & O_CREAT) && lx_is_dir(inode))
		return -EISDIR;
	if ((how->flags & O_DIRECTORY) && !lx_is_dir(inode))
		return -ENOTDIR;
	if (acc != O_WRONLY)
		mask |= LX_MAY_READ;
	if (acc != O_RDONLY || (how->flags & O_TRUNC))
		mask |= LX_MAY_WRITE;
	if (how->exec)
		mask = LX_MAY_EXEC;
	switch (inode->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (mask & LX_MAY_WRITE)
			return -EISDIR;
		if (mask & LX_MAY_EXEC)
			return -EACCES;
		break;
	case S_IFBLK:
	case S_IFCHR:
		if (mflags & LX_MNT_NODEV)
			return -EACCES;
		__attribute__((fallthrough));
	case S_IFIFO:
	case S_IFSOCK:
		if (how->exec)
			return -EACCES;
		break;
	case S_IFREG:
		if (how->exec && (mflags & LX_MNT_NOEXEC))
			return -EACCES;
		if ((mask & LX_MAY_WRITE) && !created) {
			err = lx_want_write(p);
			if (err)
				return err;
		}
		break;
	}
	if (!created) {
		err = lx_inode_permission(self, inode, mask);
		if (err)
			return err;
	}
	if (inode->iflags & LX_INODE_APPEND) {
		if (acc != O_RDONLY && !(how->flags & O_APPEND))
			return -EPERM;
		if (how->flags & O_TRUNC)
			return -EPERM;
	}
	if ((how->flags & O_NOATIME) && !lx_inode_owner_or_capable(self, inode))
		return -EPERM;
	return 0;
}

static uint32_t fmode_of(int flags, bool exec)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return LX_FMODE_READ | (exec ? LX_FMODE_EXEC : 0);
	case O_WRONLY:
		return LX_FMODE_WRITE;
	case O_RDWR:
		return LX_FMODE_READ | LX_FMODE_WRITE;
	default:
		return 0;		/* 3: for ioctl only */
	}
}

static int truncate_opened(struct lx_task *self, struct lx_path *p)
{
	struct lx_attr a = { .valid = LX_ATTR_SIZE | LX_ATTR_MTIME | LX_ATTR_KILL_PRIV, .size = 0,
			     .mtime = lx_now_coarse() };

	return lx_inode_setattr(self, p, &a);
}

static int open_tmpfile(struct nd *nd, const struct lx_open_how *how)
{
	struct lx_inode *dir = lx_d_inode(nd->path.dentry);
	struct lx_qstr q = { "#tmp", 4, 0 };
	struct lx_dentry *d;
	int err;

	if (!lx_is_dir(dir))
		return -ENOTDIR;
	err = lx_want_write(&nd->path);
	if (err)
		return err;
	d = lx_dentry_alloc(nd->path.dentry, &q);
	if (!d)
		return -ENOMEM;
	rt_mutex_lock(&dir->lock);
	err = lx_may_create(nd->self, dir);
	if (!err && !dir->ops->tmpfile)
		err = -EOPNOTSUPP;
	if (!err)
		err = dir->ops->tmpfile(dir, d, (masked(nd->self, how->mode) & 07777) | S_IFREG);
	rt_mutex_unlock(&dir->lock);
	if (err) {
		lx_dentry_put(d);
		return err;
	}
	atomic_fetch_or(&d->dflags, LX_DENTRY_UNLINKED);
	lx_dentry_put(nd->path.dentry);
	nd->path.dentry = d;
	return 0;
}

/* Stand on what is to be opened. */
static int resolve_open(struct nd *nd, const char *name, const struct lx_open_how *how,
			bool *created)
{
	char *body;
	int err = walk(nd, name);

	for (;;) {
		if (err)
			return err;
		err = open_last(nd, how, created, &body);
		if (err)
			return err;
		if (!body)
			break;
		if (nd->slash)
			nd->flags |= LX_LOOKUP_DIRECTORY;
		err = walk_body(nd, body);
	}
	if ((nd->flags & LX_LOOKUP_DIRECTORY) && !lx_is_dir(lx_d_inode(nd->path.dentry)))
		return -ENOTDIR;
	return check_scope(nd);
}

int lx_do_open(struct lx_task *self, int dfd, const char *name, const struct lx_open_how *asked,
	       struct lx_file **out)
{
	struct lx_open_how how = *asked;
	struct nd nd;
	bool created = false, tmpfile = (how.flags & O_TMPFILE) == O_TMPFILE;
	uint32_t fmode = fmode_of(how.flags, how.exec);
	int err;

	if (how.flags & O_PATH) {
		how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
		fmode = LX_FMODE_PATH;
	} else if (tmpfile && !(fmode & LX_FMODE_WRITE)) {
		return -EINVAL;
	} else if ((how.flags & __O_TMPFILE) && !tmpfile) {
		return -EINVAL;
	}
	if (!*name && !how.exec)
		return -ENOENT;
	err = start(&nd, self, dfd, name, how.resolve);
	if (err)
		return err;
	if (!*name) {			/* fexecve */
		;
	} else if (tmpfile) {
		struct lx_path dir;

		err = lx_path_at(self, dfd, name, how.resolve | LX_LOOKUP_DIRECTORY |
				 (how.flags & O_NOFOLLOW ? 0 : LX_LOOKUP_FOLLOW), &dir);
		if (!err) {
			lx_path_put(&nd.path);
			nd.path = dir;
			err = open_tmpfile(&nd, &how);
			created = true;
			how.flags &= ~(O_CREAT | O_TRUNC | O_DIRECTORY);
		}
	} else {
		err = resolve_open(&nd, name, &how, &created);
	}
	if (!err && !(fmode & LX_FMODE_PATH))
		err = may_open(self, &nd.path, &how, created);
	else if (!err && (how.flags & O_DIRECTORY) && !lx_is_dir(lx_d_inode(nd.path.dentry)))
		err = -ENOTDIR;
	if (!err)
		err = lx_file_open_path(self, &nd.path, how.flags, fmode, out);
	if (!err) {
		/* the file holds the path now */
		if ((how.flags & O_TRUNC) && !created && lx_is_reg((*out)->inode))
			err = truncate_opened(self, &(*out)->path);
		if (err)
			lx_file_put(*out);
		else if (!(fmode & LX_FMODE_PATH))
			lx_notify((*out)->inode, (*out)->path.dentry, IN_OPEN);
	}
	finish(&nd);
	return err;
}

int lx_open_at(struct lx_task *self, int dfd, const char *name, int flags, lx_mode_t mode,
	       struct lx_file **out)
{
	struct lx_open_how how = { .flags = flags, .mode = mode };

	return lx_do_open(self, dfd, name, &how, out);
}

int lx_open_exec(struct lx_task *self, int dfd, const char *name, unsigned int at_flags,
		 struct lx_file **out)
{
	struct lx_open_how how = { .flags = O_RDONLY, .exec = true };
	int err;

	if (at_flags & ~(unsigned int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (at_flags & AT_SYMLINK_NOFOLLOW)
		how.flags |= O_NOFOLLOW;
	if (!*name && !(at_flags & AT_EMPTY_PATH))
		return -ENOENT;
	err = lx_do_open(self, dfd, name, &how, out);
	if (err)
		return err;
	err = lx_deny_write((*out)->inode);
	if (err)
		lx_file_put(*out);
	else
		(*out)->mode |= LX_FMODE_DENY;	/* until the last reference goes */
	return err;
}
