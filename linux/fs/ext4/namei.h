/* SPDX-License-Identifier: MIT */
/* Operations on directories: see struct lx_inode_ops. */
#pragma once

#include "fs/ext4/ext4.h"

int e4_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
int e4_mkdir(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
int e4_mknod(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev);
int e4_symlink(struct lx_inode *dir, struct lx_dentry *d, const char *target);
int e4_tmpfile(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
int e4_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d);
int e4_unlink(struct lx_inode *dir, struct lx_dentry *d);
int e4_rmdir(struct lx_inode *dir, struct lx_dentry *d);
int e4_rename(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir, struct lx_dentry *nd,
	      unsigned int flags);
