/* SPDX-License-Identifier: MIT */
/*
 * What the files of linux/vfs and the file systems share among themselves.
 * The rest of the personality uses lx/vfs.h, lx/file.h, lx/fs.h.
 */
#pragma once

#include <linux/fcntl.h>
#include <linux/stat.h>

#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/ns.h"
#include "lx/task.h"
#include "lx/vfs.h"

#define LX_MAY_EXEC	1
#define LX_MAY_WRITE	2
#define LX_MAY_READ	4

#ifndef O_TMPFILE
#define O_TMPFILE	(__O_TMPFILE | O_DIRECTORY)
#endif

#define LX_ENOIOCTLCMD	515

/* umount2(2): not in the UAPI headers */
#define MNT_FORCE	1u
#define MNT_DETACH	2u
#define MNT_EXPIRE	4u
#define UMOUNT_NOFOLLOW	8u

#define LX_FMODE_DENY	256u		/* counts as an executor of its inode */
#define LX_FMODE_MNTW	512u		/* counts as a writer of its mount and inode */
#define LX_FMODE_EXCL	1024u		/* holds its block device (O_EXCL) */

/* -- one name of a path */
struct lx_qstr {
	const char *name;
	uint32_t len;
	uint32_t hash;			/* lx_name_hash() of it */
};

/* -- dentry.c */
void lx_dcache_init(void);
uint32_t lx_name_hash(const char *name, uint32_t len);
/* A cached child with a reference, or NULL. */
struct lx_dentry *lx_dcache_lookup(struct lx_dentry *parent, const struct lx_qstr *q);
/* A new dentry, not hashed, one reference, holding its parent; NULL: no memory. */
struct lx_dentry *lx_dentry_alloc(struct lx_dentry *parent, const struct lx_qstr *q);
/* The root of a super block; the reference to @inode moves in (also on failure: NULL). */
struct lx_dentry *lx_dentry_alloc_root(struct lx_super *sb, struct lx_inode *inode);
/* A dentry outside every tree, for anonymous files. */
struct lx_dentry *lx_dentry_alloc_pseudo(struct lx_super *sb, const char *name,
					 struct lx_inode *inode);
void lx_dentry_hash(struct lx_dentry *d);
void lx_dentry_unhash(struct lx_dentry *d);
/* rename: @d takes the place (parent and name) of @target, which is unhashed. */
void lx_dentry_move(struct lx_dentry *d, struct lx_dentry *target);
void lx_dentry_exchange(struct lx_dentry *a, struct lx_dentry *b);
struct lx_dentry *lx_dentry_parent_get(struct lx_dentry *d);
bool lx_dentry_is_ancestor(struct lx_dentry *anc, struct lx_dentry *d);	/* or the same */
unsigned int lx_dcache_shrink(unsigned int count);
void lx_dcache_drop_super(struct lx_super *sb);
/*
 * @dir was removed: forget what is known of names in it, so that its inode goes when
 * nobody uses it any more.  It is marked LX_INODE_DELETED, so that nothing comes anew.
 */
void lx_dcache_drop_children(struct lx_dentry *dir);
uint64_t lx_dcache_count(void);
void lx_dcache_set_limit(uint64_t dentries);

/* A copy of the name; returns its length.  @buf has LX_NAME_MAX + 1 bytes. */
uint32_t lx_dentry_name(struct lx_dentry *d, char *buf);
void lx_names_lock(void);	/* names and parents of all dentries stand still */
void lx_names_unlock(void);

static inline struct lx_inode *lx_d_inode(const struct lx_dentry *d)
{
	/* acquire: pairs with the release in lx_dentry_instantiate() */
	return atomic_load_explicit(&((struct lx_dentry *)d)->inode, memory_order_acquire);
}

static inline bool lx_d_negative(const struct lx_dentry *d)
{
	return !lx_d_inode(d);
}

static inline uint32_t lx_d_flags(const struct lx_dentry *d)
{
	return atomic_load_explicit(&((struct lx_dentry *)d)->dflags, memory_order_relaxed);
}

static inline bool lx_is_dir(const struct lx_inode *i) { return (i->mode & S_IFMT) == S_IFDIR; }
static inline bool lx_is_reg(const struct lx_inode *i) { return (i->mode & S_IFMT) == S_IFREG; }
static inline bool lx_is_lnk(const struct lx_inode *i) { return (i->mode & S_IFMT) == S_IFLNK; }

/* -- inode.c */
void lx_inode_touch(struct lx_inode *inode, uint32_t which);	/* LX_ATTR_ATIME | MTIME | CTIME: now */
void lx_inode_accessed(struct lx_mount *mnt, struct lx_inode *inode);	/* atime by the mount's rules */
int lx_inode_setattr(struct lx_task *self, const struct lx_path *p, struct lx_attr *a);
void lx_setattr_copy(struct lx_inode *inode, const struct lx_attr *a);
bool lx_inode_owner_or_capable(struct lx_task *self, const struct lx_inode *inode);
int lx_generic_permission(struct lx_task *self, const struct lx_cred *cred,
			  struct lx_inode *inode, int mask);
int lx_permission_cred(struct lx_task *self, const struct lx_cred *cred, struct lx_inode *inode,
		       int mask);
/* The cached inode with that number, a reference; or NULL.  Insert: the caller holds what makes it unique. */
struct lx_inode *lx_inode_find(struct lx_super *sb, uint64_t ino);
void lx_inode_hash(struct lx_inode *inode);
/* Hash @inode, unless one of that number is there: that one then (the reference changes over). */
struct lx_inode *lx_inode_hash_unique(struct lx_inode *inode);
void lx_getattr(const struct lx_path *p, struct lx_kstat *st);
void lx_getattr_inode(struct lx_inode *inode, struct lx_kstat *st);
int lx_deny_write(struct lx_inode *inode);	/* exec: -ETXTBSY if open for writing */
void lx_allow_write(struct lx_inode *inode);
int lx_get_write(struct lx_inode *inode);	/* open for writing: -ETXTBSY if being executed */
void lx_put_write(struct lx_inode *inode);
/* Two inodes in the lock's order; equal or NULL ones are fine. */
void lx_lock_two(struct lx_inode *a, struct lx_inode *b);
void lx_unlock_two(struct lx_inode *a, struct lx_inode *b);

/* -- super.c */
struct lx_super *lx_super_alloc(const struct lx_fs_type *type);
struct lx_super *lx_super_get(struct lx_super *sb);
void lx_super_put(struct lx_super *sb);
const struct lx_fs_type *lx_fs_find(const char *name);
/* Each registered type in order, for /proc/filesystems. */
const struct lx_fs_type *lx_fs_next(const struct lx_fs_type *prev);
lx_dev_t lx_anon_dev(void);
void lx_supers_sync(void);
void lx_for_each_super(void (*fn)(struct lx_super *sb, void *arg), void *arg);

/* -- mount.c */
extern struct rt_rwlock lx_mount_lock;
struct lx_mount *lx_mount_get(struct lx_mount *m);
void lx_mount_put(struct lx_mount *m);
struct lx_mount *lx_mount_alloc(struct lx_super *sb, struct lx_dentry *root, const char *source);
/* Go down through what is mounted on *@p (references change); true if anything was. */
bool lx_mount_traverse_down(struct lx_path *p);
/* If *@p is the root of its mount: to the mount point; false at the top. */
bool lx_mount_traverse_up(struct lx_path *p);
int lx_want_write(const struct lx_path *p);	/* -EROFS */

/* -- do_mount.c */
int lx_do_umount(struct lx_task *self, struct lx_path *at, unsigned int flags);
int lx_do_pivot_root(struct lx_task *self, struct lx_path *new_root, struct lx_path *put_old);

/* -- fs.c */
/* Whoever has @from as root or working directory gets @to. */
void lx_fs_replace_roots(const struct lx_path *from, const struct lx_path *to);
/* The path moves in; @which is &fs->root or &fs->pwd. */
void lx_fs_set_path(struct lx_fs *fs, struct lx_path *which, struct lx_path *to);

/* -- mnt_namespace.c */
int lx_mntns_init(struct lx_super *rootfs);

/* -- mountinfo.c */
size_t lx_mount_options(struct lx_mount *m, char *buf, size_t size);
/* For /proc: line @n of the task's mounts, as seen from @root. */
enum lx_mount_style { LX_MOUNTS, LX_MOUNTINFO, LX_MOUNTSTATS };
size_t lx_mounts_show(struct lx_mntns *ns, const struct lx_path *root, enum lx_mount_style style,
		      char **out);

/* -- name.c */
struct lx_name {			/* a path string of the program */
	char *s;
	size_t len;
	char small[120];
};
int lx_name_copy(struct lx_name *n, uaddr_t user, bool empty_ok);
static inline void lx_name_done(struct lx_name *n)
{
	if (n->s != n->small)
		rt_free(n->s);
}

/* -- namei.c */
/* The last component of a path and the directory it is to be looked up in. */
enum lx_last_type { LX_LAST_NORM, LX_LAST_DOT, LX_LAST_DOTDOT, LX_LAST_ROOT };
struct lx_parent {
	struct lx_path dir;		/* references */
	struct lx_qstr last;		/* points into the name, or into @body */
	enum lx_last_type type;
	bool trailing_slash;
	char *body;			/* of the symlink that the name came from, or NULL */
};
int lx_path_parent(struct lx_task *self, int dfd, const char *name, unsigned int flags,
		   struct lx_parent *out);
void lx_parent_put(struct lx_parent *p);

/* -- lookup.c */
/* The child @q of @dir (maybe negative), a reference; takes the directory's lock if it is not cached. */
int lx_lookup(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out);
/* With the directory's lock held: the child (maybe negative), a reference. */
int lx_lookup_locked(struct lx_dentry *dir, const struct lx_qstr *q, struct lx_dentry **out);
int lx_lookup_one(struct lx_task *self, struct lx_dentry *dir, const char *name, uint32_t len,
		  struct lx_dentry **out);
/* May the directory's entry be made, removed?  With its lock held. */
int lx_may_create(struct lx_task *self, struct lx_inode *dir);
int lx_may_delete(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *victim, bool isdir);

/* -- open.c */
struct lx_open_how {
	int flags;			/* O_* */
	lx_mode_t mode;
	unsigned int resolve;		/* LX_LOOKUP_* */
	bool exec;
};
int lx_do_open(struct lx_task *self, int dfd, const char *name, const struct lx_open_how *how,
	       struct lx_file **out);

/* -- sys_dir.c */
int lx_vfs_unlink(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d);
/*
 * The operations of a directory with what belongs to them, without questions of rights: for the
 * VFS and for file systems on top of others.  Directories are locked by the caller, files by these.
 * lx_vfs_link: -ENOENT if @old's file was removed.
 */
int lx_vfs_link(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d);
int lx_unlink_locked(struct lx_inode *dir, struct lx_dentry *d);
int lx_rename_locked(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir, struct lx_dentry *nd,
		     unsigned int flags);
int lx_vfs_rmdir(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d);
int lx_vfs_mknod(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode,
		 lx_dev_t dev);
int lx_vfs_mkdir(struct lx_task *self, struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);

/* -- file.c, fdtable.c */
int lx_files_init(void);
/* dup2 and dup3: @f (reference moves in on success) becomes @fd, replacing what was there. */
int lx_fd_replace(struct lx_task *self, int fd, struct lx_file *f, bool cloexec);
int lx_fd_close_range(struct lx_task *self, unsigned int first, unsigned int last, bool cloexec);
int lx_fd_get_cloexec(struct lx_task *self, int fd);
int lx_fd_set_cloexec(struct lx_task *self, int fd, bool on);
/* An open file of @path (reference moves in on success) by the rules of its inode. */
int lx_file_open_path(struct lx_task *self, struct lx_path *path, int flags, uint32_t fmode,
		      struct lx_file **out);
extern const struct lx_file_ops lx_dir_fops;	/* only "is a directory" errors */
const struct lx_file_ops *lx_chrdev_find(lx_dev_t dev);
const struct lx_file_ops *lx_blkdev_fops(void);
struct lx_inode *lx_blkdev_pages(lx_dev_t dev);	/* the inode that has its pages, or NULL */
/* For /proc/devices. */
size_t lx_chrdev_show(char *buf, size_t size);

/* -- pagecache.c */
extern const struct lx_file_ops lx_regular_fops;	/* page cache files */
/* The generic operations on the pages of @inode, which need not be that of @f (overlay). */
int64_t lx_pages_read(struct lx_file *f, struct lx_inode *inode, struct lx_iter *to, lx_off_t *pos);
int64_t lx_pages_write(struct lx_file *f, struct lx_inode *inode, struct lx_iter *from,
		       lx_off_t *pos);
int lx_pages_mmap(struct lx_file *f, struct lx_inode *inode, struct lx_mmap *m);
/*
 * For file systems that write back (vfs/dirty.c): @n bytes of @inode are about to become dirty;
 * and is it time that whoever makes them so writes some first?  Flushers are woken before that.
 */
void lx_dirty_add(struct lx_inode *inode, uint64_t n);
bool lx_dirty_is_too_much(struct lx_inode *inode);
/* A write-back begins: what the inode's count was, to be given to lx_dirty_written() in the end. */
uint64_t lx_dirty_take(struct lx_inode *inode);
void lx_dirty_written(uint64_t n);
/* A thread that writes back.  wake() is called with a leaf lock held, and must not sleep. */
struct lx_flusher {
	struct list link;		/* dirty.c's lock */
	void (*wake)(struct lx_flusher *f);
};
void lx_flusher_add(struct lx_flusher *f);
void lx_flusher_remove(struct lx_flusher *f);	/* wake() is not running afterwards, and does not any more */
void lx_flushers_wake(void);		/* any lock but leaves may be held */
/*
 * RLIMIT_FSIZE and the file system's largest file: how many of @n bytes may be written at @off.  -EFBIG,
 * with the signal for it.
 */
int64_t lx_write_limit(struct lx_task *self, struct lx_inode *inode, uint64_t off, uint64_t n);
int lx_pages_fallocate(struct lx_inode *inode, int mode, lx_off_t off, lx_off_t len);
/* Whose page cache a file of @inode reads and maps: its own, a layer's, or the block device's. */
struct lx_inode *lx_pages_inode(struct lx_inode *inode);
int lx_pages_open(struct lx_inode *inode);
void lx_pages_close(struct lx_inode *inode);
/* Set the size: pages beyond go, the tail of the last one is zero.  Inode locked. */
int lx_pages_truncate(struct lx_inode *inode, uint64_t size);
int lx_pages_punch(struct lx_inode *inode, uint64_t off, uint64_t len);
int lx_pages_zero(struct lx_inode *inode, uint64_t off, uint64_t len);
int lx_pages_grow(struct lx_inode *inode, uint64_t size);
/* Writing takes set-id bits away from whoever may not give them.  Inode locked. */
void lx_pages_remove_privs(struct lx_task *self, struct lx_inode *inode);
uint64_t lx_pages_resident(struct lx_inode *inode);
/*
 * Have the missing pages of [off, off + n) read, a few megabytes at most, as far as that goes
 * without trouble: errors are for who needs the pages.  Nothing to do for files without media.
 */
void lx_pages_populate(struct lx_inode *inode, uint64_t off, uint64_t n);
int64_t lx_pages_read_kernel(struct lx_inode *inode, void *buf, size_t n, uint64_t off);
int64_t lx_pages_write_kernel(struct lx_inode *inode, const void *buf, size_t n, uint64_t off);
lx_off_t lx_pages_seek(struct lx_inode *inode, lx_off_t off, bool data);
/* Around writing pages back: one at a time for an inode (lx_inode.writeback_seq). */
void lx_inode_begin_writeback(struct lx_inode *inode);
void lx_inode_end_writeback(struct lx_inode *inode);

/* -- reclaim.c */
void lx_reclaim_add(struct lx_inode *inode);	/* its pages were opened, and are PAGED */
void lx_reclaim_remove(struct lx_inode *inode);
/* @pages of a file that is memory only are about to be made: 0, or -ENOSPC when memory is low. */
int lx_reclaim_room(uint64_t pages);
void lx_reclaim_count_writeback(struct lx_inode *inode);	/* writeback_seq goes on by one */
/* Give up the clean pages that lie in [start, end), those in programs' mappings only if @mapped. */
void lx_pages_drop(struct lx_inode *inode, uint64_t start, uint64_t end, bool mapped);

/* -- workingset.c */
/*
 * The pages of [off, off + n) were read: how many of them came back before as many pages as memory
 * has were given up since.  pages_lock held, so that they stay.
 */
uint64_t lx_workingset_filled(struct lx_inode *inode, uint64_t off, uint64_t n);

/* -- direct.c: past the page cache */
bool lx_inode_can_direct(struct lx_inode *inode);	/* file.c: O_DIRECT may be set */
/*
 * At most @n bytes at @off between @it and the disk; *@done says how many it was, by which the iterator moved on:
 * fewer where another piece begins, 0 at the end.  -EFAULT: the iterator is where it was, and memory of ours will do.
 */
typedef int lx_direct_piece(struct lx_file *f, uint64_t off, struct lx_iter *it, size_t n, size_t *done);
/* Piece by piece until the iterator or the file ends; *@pos is how far it came.  0, or the first error. */
int lx_direct_io(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write, lx_direct_piece *piece);

/* -- inode_flags.c: FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of inodes that have lx_inode_ops.get_flags */
long lx_ioctl_getflags(struct lx_file *f, uaddr_t to);
long lx_ioctl_setflags(struct lx_task *self, struct lx_file *f, uaddr_t from);
/* What of FS_*_FL the VFS acts upon, into iflags.  Inode locked, or nobody else's. */
void lx_inode_apply_flags(struct lx_inode *inode, uint32_t flags);

/* -- xattr.c: extended attributes kept in memory */
struct lx_xattrs { struct list list; uint64_t bytes; };
void lx_xattrs_init(struct lx_xattrs *x);
void lx_xattrs_free(struct lx_xattrs *x);
int lx_xattrs_get(struct lx_xattrs *x, const char *name, void *buf, size_t size);
int lx_xattrs_set(struct lx_xattrs *x, const char *name, const void *val, size_t size, int flags);
int lx_xattrs_list(struct lx_xattrs *x, char *buf, size_t size);
int lx_xattrs_remove(struct lx_xattrs *x, const char *name);

/* -- libfs.c: what file systems have in common */
/* A directory's position: SEEK_SET and SEEK_CUR, any that is not negative.  For lx_file_ops.llseek. */
lx_off_t lx_dir_llseek(struct lx_file *f, lx_off_t off, int whence);
/* "." and "..", unless the position is behind them; it is 2 or more then.  False: no more room. */
bool lx_dir_emit_dots(struct lx_dir_emit *ctx, uint64_t ino, uint64_t parent);
/* One option of a mount; @value is NULL without "=".  Not 0: stop, and return that. */
typedef int lx_option_fn(void *arg, const char *name, const char *value);
/* @fn for each of the comma-separated @options (may be NULL); empty ones are passed over.  -ENOMEM. */
int lx_for_each_option(const char *options, lx_option_fn *fn, void *arg);

/* -- locks.c */
void lx_locks_release_posix(struct lx_task *self, struct lx_files *owner, struct lx_file *f);
void lx_locks_release_file(struct lx_file *f);

long lx_fcntl_lock(struct lx_task *self, int fd, struct lx_file *f, unsigned int cmd, uaddr_t arg);
size_t lx_locks_show(char *buf, size_t size);	/* /proc/locks */

/* -- inotify.c: tell the watchers; cheap when there are none */
void lx_notify(struct lx_inode *inode, struct lx_dentry *d, uint32_t mask);
void lx_notify_move(struct lx_inode *odir, struct lx_inode *ndir, const char *oname,
		    struct lx_dentry *d, struct lx_inode *victim);
void lx_notify_inode_gone(struct lx_inode *inode);
