/* SPDX-License-Identifier: MIT */
/*
 * Changing the tree of mounts: what mount.c offers to mount(2) (do_mount.c) and to
 * namespaces (mnt_namespace.c).
 *
 * All with lx_mount_lock held for writing, unless it says otherwise.
 */
#pragma once

#include "base/list.h"
#include "lx/fs.h"

/* Put @m (its reference moves in) at @at, in @ns. */
void lx_mount_attach(struct lx_mount *m, const struct lx_path *at, struct lx_mntns *ns);
/*
 * Take @m from where it is, with what is mounted under it.  The references to parent and
 * mount point go to the caller through *@at; lx_mount_point_gone() is due for the latter.
 */
void lx_mount_detach(struct lx_mount *m, struct lx_path *at);
/* A mount on @d went: does some attached mount still sit on it?  Else paths need not look. */
void lx_mount_point_gone(struct lx_dentry *d);
/* Take @m and everything under it out; what has to be put is collected in @dead. */
void lx_mount_detach_tree(struct lx_mount *m, struct list *dead);
/* After lx_mount_detach_tree(), without the lock. */
void lx_mount_put_dead(struct list *dead);
/* Is @m in the tree under (or the same as) @top? */
bool lx_mount_is_under(struct lx_mount *m, struct lx_mount *top);
/* The number of a new mount. */
uint32_t lx_mount_next_id(void);

/* A mount like @old, but of @root (takes references), attached nowhere; NULL: no memory.  No lock needed. */
struct lx_mount *lx_mount_clone(struct lx_mount *old, struct lx_dentry *root);
/*
 * Copy the mounts under @old to under @copy, in the same order; only those on what is below
 * @within, if that is not NULL.  @ns: where the copies go.  0 or -ENOMEM: some are there then,
 * and go with @copy.
 */
int lx_mount_copy_children(struct lx_mount *old, struct lx_mount *copy, struct lx_dentry *within,
			   struct lx_mntns *ns, bool unbindable_too);

/* Whoever polls the mounts of @ns (may be NULL) gets to know. */
void lx_mntns_changed(struct lx_mntns *ns);
/* The namespace of @self; no reference.  No lock needed. */
struct lx_mntns *lx_mntns_of(struct lx_task *self);
