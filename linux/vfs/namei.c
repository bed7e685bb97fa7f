/* SPDX-License-Identifier: MIT */
/*
 * Path resolution.
 *
 * A walk holds references to the place it stands at (nd->path).  It takes one
 * component after the other: looks the name up in the dentry cache, or asks the
 * file system with the directory locked, goes down through mounts and follows
 * symlinks.  It stops before the last component (nd->last), because what to do
 * with that differs: look it up, create it, remove it.  (Opening: open.c.)
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

#include "lx/acl.h"
#include "vfs/namei_priv.h"
#include "vfs/vfs_priv.h"

/* -- one step */

static inline int may_exec(struct nd *nd, struct lx_inode *dir)
{
	/* the usual directory: everybody may search it */
	if (likely((dir->mode & 0111) == 0111 && !dir->ops->permission && !lx_inode_acl_counts(dir)))
		return 0;
	return lx_inode_permission(nd->self, dir, LX_MAY_EXEC);
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

int lx_walk_into(struct nd *nd, struct lx_dentry *d)
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

int lx_walk_follow(struct nd *nd, struct lx_dentry *d, char **body)
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

int lx_walk_component(struct nd *nd, bool follow, char **body)
{
	struct lx_dentry *d;
	struct lx_inode *inode;
	int err;

	*body = NULL;
	if (unlikely(nd->type != LX_LAST_NORM))
		return nd->type == LX_LAST_DOTDOT ? step_up(nd) : 0;
	err = lx_lookup(nd->path.dentry, &nd->last, &d);
	if (err)
		return err;
	inode = lx_d_inode(d);
	if (!inode) {
		lx_dentry_put(d);
		return -ENOENT;
	}
	if (unlikely(lx_is_lnk(inode)) && follow)
		return lx_walk_follow(nd, d, body);
	return lx_walk_into(nd, d);
}

/* -- the walk */

int lx_walk(struct nd *nd, const char *name)
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
		err = lx_walk_component(nd, true, &body);
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

int lx_walk_start(struct nd *nd, struct lx_task *self, int dfd, const char *name,
		  unsigned int flags)
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

void lx_walk_finish(struct nd *nd)
{
	while (nd->depth)
		rt_free(nd->stack[--nd->depth].body);
	rt_free(nd->body);
	if (nd->path.dentry)
		lx_path_put(&nd->path);
	if (nd->root.mnt)
		lx_path_put(&nd->root);
}

int lx_walk_check_scope(struct nd *nd)
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

int lx_walk_body(struct nd *nd, char *body)
{
	rt_free(nd->body);
	nd->body = body;		/* nd->last will point into it */
	if (*body == '/') {
		int err = jump_to_root(nd);

		if (err)
			return err;
	}
	return lx_walk(nd, body);
}

int lx_path_at(struct lx_task *self, int dfd, const char *name, unsigned int flags,
	       struct lx_path *out)
{
	struct nd nd;
	char *body;
	int err;

	if (unlikely(!*name) && !(flags & LX_LOOKUP_EMPTY))
		return -ENOENT;
	err = lx_walk_start(&nd, self, dfd, name, flags);
	if (unlikely(err))
		return err;
	if (unlikely(!*name))
		goto done;
	err = lx_walk(&nd, name);
	while (likely(!err)) {
		bool dir = nd.slash || (flags & LX_LOOKUP_DIRECTORY);

		err = lx_walk_component(&nd, nd.slash || (flags & LX_LOOKUP_FOLLOW), &body);
		if (err)
			break;
		if (likely(!body)) {
			if (unlikely(dir) && !lx_is_dir(lx_d_inode(nd.path.dentry)))
				err = -ENOTDIR;
			break;
		}
		if (nd.slash)
			flags |= LX_LOOKUP_DIRECTORY | LX_LOOKUP_FOLLOW;
		err = lx_walk_body(&nd, body);
	}
	if (!err)
		err = lx_walk_check_scope(&nd);
done:
	if (!err) {
		*out = nd.path;
		nd.path = (struct lx_path){ 0 };
	}
	lx_walk_finish(&nd);
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
	err = lx_walk_start(&nd, self, dfd, name, flags);
	if (!err)
		err = lx_walk(&nd, name);
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
	lx_walk_finish(&nd);
	return err;
}

void lx_parent_put(struct lx_parent *p)
{
	lx_path_put(&p->dir);
}
