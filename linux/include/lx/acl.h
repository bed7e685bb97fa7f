/* SPDX-License-Identifier: MIT */
/*
 * POSIX access control lists, acl(5).
 *
 * A list is sorted as lx_acl_check() wants it: owner, named users, owning group, named groups, mask, others.
 * Once it hangs on an inode it is not changed any more: it is replaced.
 *
 * An inode has two slots (lx_inode.acl and .default_acl), which say NULL: no list; LX_ACL_ASK: the
 * file system has to be asked, lx_inode_ops.get_acl; or have the list.  So a file system without
 * lists leaves them alone, and nothing costs more for that.
 */
#pragma once

#include "lx/types.h"

struct lx_cred;
struct lx_inode;
struct lx_task;

struct lx_acl_entry {
	uint16_t tag, perm;		/* ACL_USER_OBJ...; ACL_READ... (<linux/posix_acl.h>) */
	uint32_t id;			/* ACL_USER and ACL_GROUP; else ACL_UNDEFINED_ID */
};

struct lx_acl {
	_Atomic(uint32_t) refs;
	uint32_t count;
	struct lx_acl_entry e[];
};

#define LX_ACL_ASK ((struct lx_acl *)1)

/* -- acl.c: lists by themselves */
/* One reference, entries unset; NULL: no memory. */
struct lx_acl *lx_acl_alloc(uint32_t count);
struct lx_acl *lx_acl_get(struct lx_acl *acl);
void lx_acl_put(struct lx_acl *acl);		/* NULL and LX_ACL_ASK are fine */
struct lx_acl *lx_acl_clone(const struct lx_acl *acl);	/* to be changed; NULL: no memory */
/* Is it one that acl(5) calls valid?  0 or -EINVAL. */
int lx_acl_check(const struct lx_acl *acl);
/*
 * From and to the value of an extended attribute, version 2.  *@out is NULL for a value without
 * entries.  -EINVAL, -EOPNOTSUPP (the version), -ENOMEM.
 */
int lx_acl_from_value(const void *value, size_t size, struct lx_acl **out);
size_t lx_acl_value_size(const struct lx_acl *acl);
void lx_acl_to_value(const struct lx_acl *acl, void *value);
/* May a task with @cred do @mask (LX_MAY_*) to a file of @uid and @gid?  0, -EACCES, -EIO (it is not valid). */
int lx_acl_permits(const struct lx_acl *acl, const struct lx_cred *cred, lx_uid_t uid, lx_gid_t gid,
		   int mask);
/* The permissions of *@mode become what the list says of them.  Does it say more than that? */
bool lx_acl_to_mode(const struct lx_acl *acl, lx_mode_t *mode);
/* What chmod(2) to @mode changes in it.  -EIO: it is not valid. */
int lx_acl_from_mode(struct lx_acl *acl, lx_mode_t mode);
/*
 * @acl, a copy of a directory's default, becomes the list of what is made in it with *@mode, of which
 * the permissions that it does not grant go.  1: it says more than *@mode does then; 0; -EIO: it is not valid.
 */
int lx_acl_create(struct lx_acl *acl, lx_mode_t *mode);

/* -- inode_acl.c: lists of inodes */
/* "system.posix_acl_access" or "..._default"?  *@def says which. */
bool lx_acl_is_name(const char *name, bool *def);
/*
 * A reference to the inode's list in *@out, or NULL.  -EIO, -ENOMEM, -EINVAL (what is stored makes no
 * sense).  Takes no lock of the inode; may read from the disk.
 */
int lx_inode_acl(struct lx_inode *inode, bool def, struct lx_acl **out);
/* The inode, which is locked or not known to anybody else, has this list now (a reference moves in), or none. */
void lx_inode_acl_set(struct lx_inode *inode, bool def, struct lx_acl *acl);
void lx_inode_acl_drop(struct lx_inode *inode);		/* its memory goes */
/* Is there a list that the bits of the mode may hide?  If not the mode says all. */
bool lx_inode_acl_counts(const struct lx_inode *inode);
/* As lx_acl_permits() for the inode's list; -EAGAIN: it has none. */
int lx_inode_acl_permits(const struct lx_cred *cred, struct lx_inode *inode, int mask);
/*
 * What is to be made in @dir (locked) with *@mode: what its list and its default are to be (references, or
 * NULL), and *@mode without what the default of @dir does not grant.  Errors as lx_inode_acl().
 */
int lx_acl_inherit(struct lx_inode *dir, lx_mode_t *mode, struct lx_acl **acl, struct lx_acl **def);
/* @mode for what @self makes in @dir (locked), less the umask, which a default of @dir stands in for. */
lx_mode_t lx_create_mode(struct lx_task *self, struct lx_inode *dir, lx_mode_t mode);
/* After a change of the mode: the list follows.  Inode locked. */
int lx_inode_acl_chmod(struct lx_inode *inode);
/*
 * The system calls' part: get, set and remove (@size 0, @value NULL) by the attribute's value.
 * get: the size, as getxattr(2); -ENODATA, -ERANGE, -EOPNOTSUPP.  The inode is not locked.
 */
long lx_inode_acl_get_value(struct lx_inode *inode, bool def, void *buf, size_t size);
int lx_inode_acl_set_value(struct lx_task *self, struct lx_inode *inode, bool def, const void *value,
			   size_t size);
/* Lists of @from go to @to, which is of the same kind and nobody else's yet (overlay). */
int lx_inode_acl_copy(struct lx_inode *from, struct lx_inode *to);
