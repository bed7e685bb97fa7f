/* SPDX-License-Identifier: MIT */
/*
 * File systems whose files are made when they are read: proc (what does not belong
 * to a process) and sysfs.
 *
 * A tree of nodes, added at the start of the system or when a device appears, and
 * rarely removed.  A file has a show function that writes its text into a growing
 * buffer when the file is read from its beginning; the open file keeps the text, so
 * that a program reads something consistent in pieces.
 *
 *	static int show_uptime(struct pseudo_buf *b, void *arg)
 *	{
 *		pseudo_printf(b, "%llu.%02u ...\n", ...);
 *		return 0;
 *	}
 *
 *	pseudo_file(lx_proc_tree, "uptime", 0444, show_uptime, NULL, NULL);
 */
#pragma once

#include "vfs/vfs_priv.h"

struct pseudo_buf {
	char *data;
	size_t len, size;
	bool failed;			/* out of memory: reading gives ENOMEM */
};

void pseudo_printf(struct pseudo_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * What a program wrote to a file of one number: decimal, spaces around it, anything behind those.
 * False: that is not what @text is.
 */
bool pseudo_parse_u64(const char *text, size_t n, uint64_t *value);
void pseudo_puts(struct pseudo_buf *b, const char *s);
void pseudo_bytes(struct pseudo_buf *b, const void *data, size_t n);

/* 0 or a negative errno, which read(2) returns. */
typedef int (*pseudo_show)(struct pseudo_buf *b, void *arg);
/* The program's bytes, at most a page, NUL-terminated.  0 (all taken) or a negative errno. */
typedef int (*pseudo_store)(const char *text, size_t n, void *arg);

struct pseudo_tree;
extern struct pseudo_tree *lx_proc_tree, *lx_sysfs_tree;	/* set by lx_vfs_init() */

/*
 * Add to the tree; missing directories on the way are made.  Paths have no leading
 * slash.  0, -EEXIST, -ENOMEM.  Nodes may be added at any time, with locks up to
 * LX_LOCK_LINK held.
 */
int pseudo_file(struct pseudo_tree *t, const char *path, lx_mode_t mode, pseudo_show show,
		pseudo_store store, void *arg);
/* The same with file operations of your own (kmsg); f->private is @arg when open runs. */
int pseudo_special(struct pseudo_tree *t, const char *path, lx_mode_t mode,
		   const struct lx_file_ops *fops, void *arg);
int pseudo_dir(struct pseudo_tree *t, const char *path);
int pseudo_symlink(struct pseudo_tree *t, const char *path, const char *target);
/* A file that shows a constant text (kept, not copied). */
int pseudo_text(struct pseudo_tree *t, const char *path, const char *text);
/* Take a node and everything under it away. */
void pseudo_remove(struct pseudo_tree *t, const char *path);

/*
 * Nodes of an owner, a network namespace for example: super blocks of others do not show them, and
 * each owner can have its own of one name.  What is under such a node needs no owner of its own.
 */
struct pseudo_node {
	const void *owner;		/* of it and of nodes on the way; NULL: everybody's */
	lx_mode_t mode;			/* of a file */
	pseudo_show show;		/* NULL: it is a directory */
	pseudo_store store;
	void *arg;
	void (*put)(void *arg);		/* or NULL: nobody reads it any more.  May have the tree's lock, a leaf */
};
/* As pseudo_file() or pseudo_dir(); put() is not called if this fails. */
int pseudo_add(struct pseudo_tree *t, const char *path, const struct pseudo_node *node);
int pseudo_symlink_owned(struct pseudo_tree *t, const char *path, const char *target,
			 const void *owner);
void pseudo_remove_owned(struct pseudo_tree *t, const char *path, const void *owner);
/* Whose nodes pseudo_super() shows.  Before there are any. */
void pseudo_set_owner(struct pseudo_tree *t, const void *owner);
/*
 * Another super block of the tree, which shows the nodes of @owner; put(owner) is called at its end.
 * NULL: no memory, and the owner stays the caller's.
 */
struct lx_super *pseudo_super_of(struct pseudo_tree *t, void *owner, void (*put)(void *owner));

/* -- for proc: a tree with entries of its own in the root */
struct pseudo_hooks {
	/* Fill @d as an inode operation's lookup, or -ENOENT: then the tree is searched. */
	int (*lookup)(struct lx_inode *dir, struct lx_dentry *d);
	/* Report entries after the tree's; positions from @base on are the hook's. */
	int (*iterate)(struct lx_file *f, struct lx_dir_emit *ctx, lx_off_t base);
	/* Free what the hook hung on an inode of its own; false: it is not. */
	bool (*evict)(struct lx_inode *inode);
};

struct pseudo_tree *pseudo_tree_create(struct lx_fs_type *type, uint64_t magic,
				       const struct pseudo_hooks *hooks);
struct lx_super *pseudo_super(struct pseudo_tree *t);
/* What the files of a show function are: for files elsewhere (proc/PID). */
struct pseudo_open {			/* f->private */
	struct pseudo_buf buf;
	bool filled;
};
int64_t pseudo_read_text(struct lx_file *f, struct lx_iter *to, lx_off_t *pos,
			 int (*fill)(struct lx_file *f, struct pseudo_buf *b));
void pseudo_release(struct lx_file *f);
int pseudo_copy_in(struct lx_iter *from, char **text, size_t *n);
