/* SPDX-License-Identifier: MIT */
/*
 * Where a task stands in the tree of files, mount namespaces, and what the start
 * of the system asks of the file systems.
 */
#pragma once

#include "lx/types.h"
#include "lx/vfs.h"
#include "lx/wait.h"

/* Root, working directory and umask; shared by CLONE_FS. */
struct lx_fs {
	_Atomic(uint32_t) refs;
	struct rt_mutex lock;		/* rank LX_LOCK_FS */
	struct lx_path root, pwd;	/* lock; references */
	lx_mode_t umask;		/* lock */
};

struct lx_fs *lx_fs_create(void);		/* at the root of the first mount namespace */
struct lx_fs *lx_fs_get(struct lx_fs *fs);
void lx_fs_put(struct lx_fs *fs);
struct lx_fs *lx_fs_copy(struct lx_fs *fs);	/* NULL: no memory */
/* References to both; either may be NULL. */
void lx_fs_paths(struct lx_fs *fs, struct lx_path *root, struct lx_path *pwd);

struct lx_mntns {
	_Atomic(uint32_t) refs;
	uint64_t ino;			/* of /proc/PID/ns/mnt */
	/* LX_LOCK_MOUNT (one lock for all namespaces, in vfs/mount.c) */
	struct lx_mount *root;
	struct list mounts;		/* of lx_mount.ns_link, in the order of mounting */
	uint64_t event;			/* counts changes: poll of /proc/mounts */
	struct lx_waitq wait;
};

extern struct lx_mntns *lx_init_mntns;
struct lx_mntns *lx_mntns_get(struct lx_mntns *ns);
void lx_mntns_put(struct lx_mntns *ns);
/* unshare(CLONE_NEWNS): a copy of every mount; root and pwd of @fs move over to the copies. */
int lx_mntns_copy(struct lx_mntns *ns, struct lx_fs *fs, struct lx_mntns **out);

/* setns: where tasks of the namespace stand at first; references. */
void lx_mntns_root(struct lx_mntns *ns, struct lx_path *out);

/* -- start of the system, in this order (linux/init) */
/* The group that memory objects are charged to: set before lx_vfs_init() (LINUX_HANDLE_GROUP). */
extern k_handle_t lx_memory_group;
/* Caches, the rootfs (a tmpfs) as the root of lx_init_mntns, the file system types. */
int lx_vfs_init(void);
/* Unpack a cpio archive (newc, plain or gzip, several in a row) into the rootfs.  -EINVAL: broken. */
int lx_initramfs_unpack(k_handle_t memory, uint64_t length);
/* Is there an executable-looking @path (rdinit=, "/init") in the rootfs? */
bool lx_initramfs_has(struct lx_task *self, const char *path);

struct lx_root_args {
	const char *root;		/* root=, or NULL */
	const char *fstype;		/* rootfstype=, or NULL: try all */
	const char *flags;		/* rootflags=, or NULL */
	const char *overlay;		/* concord.overlay=, or NULL */
	bool ro;			/* "ro" (the default) or "rw" came last */
	bool rootwait;
	uint32_t rootdelay;		/* seconds */
};
/*
 * Mount the root device over the rootfs and change to it.  Says on the log what
 * Linux says; a negative errno means that the caller must panic with
 * "VFS: Unable to mount root fs on %s" (@name gets the device as Linux shows it).
 */
int lx_mount_root(struct lx_task *self, const struct lx_root_args *args, char name[64]);
/* Mount devtmpfs on /dev of the root, if that is a directory. */
int lx_devtmpfs_mount(struct lx_task *self);

/* mount(2) and friends from within; the caller's rights are not checked. */
int lx_do_mount(struct lx_task *self, const char *source, const char *target, const char *fstype,
		unsigned long flags, const char *options);
/* bind(2): make a node at @path by the rules of mknod(2); *@out gets references. */
int lx_mknod_path(struct lx_task *self, const char *path, lx_mode_t mode, struct lx_path *out);
int lx_do_mkdir(struct lx_task *self, const char *path, lx_mode_t mode);

/* An unlinked tmpfs file (memfd, System V shared memory, MAP_SHARED|MAP_ANONYMOUS); references move out. */
int lx_tmpfs_anon_file(const char *name, uint64_t size, uint32_t o_flags, struct lx_file **out);
