/* SPDX-License-Identifier: MIT */
/*
 * A walk along a path, for those that go beyond its last component (open.c).  Theory: namei.c.
 *
 * A struct nd is on the stack of the one thread that walks: no locks.  Between
 * lx_walk_start() and lx_walk_finish() its references are the walk's.
 */
#pragma once

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


/*
 * Stand at where @name begins.  @flags: LX_LOOKUP_*.  -EBADF, -ENOTDIR (of @dfd), -EXDEV; what
 * has failed needs no lx_walk_finish().
 */
int lx_walk_start(struct nd *nd, struct lx_task *self, int dfd, const char *name,
		  unsigned int flags);
/* Drops what the walk holds; nd->path too, unless the caller has taken and cleared it. */
void lx_walk_finish(struct nd *nd);
/*
 * Walk all components of @name but the last, which nd->last describes then.  If
 * @name is only slashes its type is LX_LAST_ROOT.
 */
int lx_walk(struct nd *nd, const char *name);
/*
 * Walk one component (nd->last) that is to be followed if it is a symlink and
 * @follow.  *@body: the text of a symlink, to be walked next by lx_walk_body(); else NULL.
 */
int lx_walk_component(struct nd *nd, bool follow, char **body);
/* The final component was a symlink with this text (moves in): walk that up to its own last one. */
int lx_walk_body(struct nd *nd, char *body);
/*
 * Follow the symlink @d, a child of where we are (reference moves in): either we
 * stand where it leads (*@body NULL), or *@body has to be walked from here.
 */
int lx_walk_follow(struct nd *nd, struct lx_dentry *d, char **body);
/* Step to @d, a positive child of where we are; its reference moves in. */
int lx_walk_into(struct nd *nd, struct lx_dentry *d);
/* Is where a scoped walk ended below its root?  -EAGAIN if not. */
int lx_walk_check_scope(struct nd *nd);
