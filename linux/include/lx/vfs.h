/* SPDX-License-Identifier: MIT */
/*
 * Inodes, dentries, mounts, paths: Linux's words for Linux's things.
 *
 * References: a dentry holds its parent and its inode; an open file and every
 * cwd/root hold a path (mount and dentry); a mount holds its root dentry and,
 * through it, the super block.  Dentries whose count drops to zero stay cached
 * unless their file system says otherwise.
 */
#pragma once

#include "base/hlist.h"
#include "lx/errseq.h"
#include "lx/types.h"

#define LX_NAME_MAX	255
#define LX_PATH_MAX	4096

struct lx_path {
	struct lx_mount *mnt;
	struct lx_dentry *dentry;
};

struct lx_inode_ops;
struct lx_file_ops;

struct lx_inode {
	/* Constant after the inode was made. */
	struct lx_super *sb;
	uint64_t ino;
	const struct lx_inode_ops *ops;
	const struct lx_file_ops *fops;	/* given to files opened on it */
	lx_dev_t rdev;			/* device nodes */
	void *private;			/* the file system's */

	_Atomic(uint32_t) refs;
	struct hlist_node hash_link;	/* inode cache (lx_inode_find); file systems with hard links on disk */
	struct list sb_link;		/* LX_LOCK_DENTRY: inodes of the super block */

	struct rt_mutex lock;		/* rank LX_LOCK_INODE: directory contents, size changes, attributes */
	lx_mode_t mode;
	lx_uid_t uid;
	lx_gid_t gid;
	_Atomic(uint32_t) nlink;
	_Atomic(uint64_t) size;		/* written under lock; page cache readers look without */
	uint64_t blocks;		/* 512-byte units */
	/*
	 * By lx_time_get and lx_time_set, without a common lock: a read(2) sets atime, and a
	 * change of a file's names its ctime, while others write the file or look at it.  As
	 * on Linux 6.1, who looks meanwhile may see the seconds of one and the nanoseconds of
	 * another change.
	 */
	struct lx_time atime, mtime, ctime, btime;
	uint32_t iflags;		/* LX_INODE_* */
	/* Lists of access, lx/acl.h: changed with lock and one of inode_acl.c's, by the functions there. */
	_Atomic(struct lx_acl *) acl, default_acl;
	bool linkable;			/* lock: made by O_TMPFILE, link may give it its first name */

	/* Page cache: regular files and block devices.  LX_LOCK_PAGES protects opening it. */
	struct rt_mutex pages_lock;
	_Atomic(bool) has_pages;
	struct rt_memory pages;
	/*
	 * Odd while pages are on their way to the disk: clean, and not to be dropped.  Changes
	 * under pages_lock and reclaim's lock; a writer that made the file longer looks at it (write_locked()).
	 */
	_Atomic(uint32_t) writeback_seq;
	struct lx_errseq wb_error;	/* data that could not be written: lx_inode_write_failed() */
	_Atomic(uint64_t) dirty_bytes;	/* counted by file systems that write back: vfs/dirty.c */
	struct list reclaim_link;	/* reclaim's lock, if the pages can be read again */
	uint64_t reclaim_hand;		/* reclaim's lock */

	/* Writers against executors (ETXTBSY): > 0 open for writing, < 0 denied. */
	_Atomic(int32_t) writers;

	void *pipe;			/* FIFO: its pipe while open: lock */
	struct list flocks;		/* LX_LOCK_FLOCK: POSIX and flock locks */
	struct list watches;		/* LX_LOCK_LEAF: inotify watches */
	_Atomic(uint32_t) seals;	/* F_SEAL_* of a memfd (ipc/memfd.c) */
	void *unix_socket;		/* bound AF_UNIX socket: LX_LOCK_SOCKET */
};

#define LX_INODE_IMMUTABLE	1u
#define LX_INODE_APPEND		2u
#define LX_INODE_NOATIME	4u
#define LX_INODE_DELETED	8u	/* directory was removed: nothing can be made in it */
#define LX_INODE_MAPPED		16u	/* was mapped: pages may appear without a write */

#define LX_DENTRY_INLINE 32

struct lx_dentry {
	/* Name and parent change by rename, under the parents' inode locks and LX_LOCK_DENTRY. */
	struct lx_dentry *parent;	/* itself at the root of a file system */
	char *name;
	uint32_t name_len, hash;

	struct lx_super *sb;		/* constant */
	_Atomic(struct lx_inode *) inode;	/* NULL: negative.  Set once; never changes after */
	_Atomic(uint32_t) refs;
	_Atomic(uint32_t) dflags;	/* LX_DENTRY_* */
	struct hlist_node hash_link;	/* bucket lock */
	struct list child_link, children;	/* tree lock */
	struct list lru;		/* lru lock of this dentry */
	void *private;			/* the file system's */
	char iname[LX_DENTRY_INLINE];	/* short names live here; else name is on the heap */
};

#define LX_DENTRY_HASHED	1u
#define LX_DENTRY_MOUNTED	2u	/* a mount point in some namespace */
#define LX_DENTRY_NOCACHE	4u	/* drop when unused (/proc/PID) */
#define LX_DENTRY_UNLINKED	8u	/* shown with " (deleted)" */
#define LX_DENTRY_LRU		16u	/* on an lru list */
#define LX_DENTRY_REFERENCED	32u	/* used since the shrinker last looked */
#define LX_DENTRY_DEAD		64u	/* being freed */
#define LX_DENTRY_PSEUDO	128u	/* of an anonymous file: shown by its name alone */

struct lx_acl;
struct lx_attr;				/* setattr request, below */
struct fstrim_range;
struct lx_kstat;

/*
 * Operations on inodes; directory operations are called with @dir->lock held.
 * NULL means what Linux does for it (EPERM for create-like calls, ENOTDIR for
 * lookup, EINVAL for readlink...).
 */
struct lx_inode_ops {
	/*
	 * A directory that is not locked for lookup and iterate, which look after
	 * themselves, and in which nothing can be made (proc: tasks' locks come first).
	 */
	bool lockless;
	/* Fill @d->inode (a reference moves in) or leave it negative; error only for real failures. */
	int (*lookup)(struct lx_inode *dir, struct lx_dentry *d);
	int (*create)(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
	int (*mkdir)(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
	int (*mknod)(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode, lx_dev_t dev);
	int (*symlink)(struct lx_inode *dir, struct lx_dentry *d, const char *target);
	int (*link)(struct lx_dentry *old, struct lx_inode *dir, struct lx_dentry *d);
	int (*unlink)(struct lx_inode *dir, struct lx_dentry *d);
	int (*rmdir)(struct lx_inode *dir, struct lx_dentry *d);
	int (*rename)(struct lx_inode *odir, struct lx_dentry *od, struct lx_inode *ndir,
		      struct lx_dentry *nd, unsigned int flags);
	int (*tmpfile)(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode);
	/* Into @buf (no NUL); returns the length. */
	int (*readlink)(struct lx_dentry *d, char *buf, size_t size);
	/* Magic links (/proc/PID/exe, fd/N): go straight to *@out (references move to the caller). */
	int (*follow)(struct lx_dentry *d, struct lx_path *out);
	int (*getattr)(struct lx_inode *inode, struct lx_kstat *st);
	int (*setattr)(struct lx_inode *inode, const struct lx_attr *a);	/* inode locked, permissions checked */
	int (*permission)(struct lx_task *self, struct lx_inode *inode, int mask);
	/* Is a cached dentry (negative ones too) still right?  Without locks; NULL: always. */
	bool (*revalidate)(struct lx_dentry *d);
	int (*getxattr)(struct lx_inode *inode, const char *name, void *buf, size_t size);
	int (*setxattr)(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
	int (*listxattr)(struct lx_inode *inode, char *buf, size_t size);
	int (*removexattr)(struct lx_inode *inode, const char *name);
	/* FS_*_FL (<linux/fs.h>) of the inode, which is locked.  set_flags: -EOPNOTSUPP (there are no such), -EPERM... */
	uint32_t (*get_flags)(struct lx_inode *inode);
	int (*set_flags)(struct lx_inode *inode, uint32_t flags);
	/*
	 * Access control lists (lx/acl.h), where there are any.  get_acl: a slot of the inode says
	 * LX_ACL_ASK; *@acl is a reference or NULL.  The inode need not be locked.
	 */
	int (*get_acl)(struct lx_inode *inode, bool def, struct lx_acl **acl);
	/*
	 * The list is @acl from now on (valid, the caller's), NULL: there is none; and the mode is @mode, of
	 * the same type.  Calls lx_inode_acl_set() and changes the ctime.  Inode locked, permissions checked.
	 */
	int (*set_acl)(struct lx_inode *inode, bool def, struct lx_acl *acl, lx_mode_t mode);
	struct lx_inode *(*acl_of)(struct lx_inode *inode);	/* overlay: whose slots count */
	/* The page cache needs the page at @off (page aligned): read it from the disk into @buf (one page). */
	int (*readpage)(struct lx_inode *inode, uint64_t off, void *buf);
	/* The same for @n bytes (whole pages, zeros beyond the end); NULL: page by page. */
	int (*readpages)(struct lx_inode *inode, uint64_t off, void *buf, size_t n);
	/* How many bytes of a file that is read from front to back may be read beforehand.  NULL: 128 KiB. */
	uint32_t (*read_ahead)(const struct lx_inode *inode);
	/*
	 * Pages are written back to a medium: the first write to a clean page through a mapping
	 * goes through prepare_write, too.
	 */
	bool write_back;
	/* The access time changed in memory. */
	void (*accessed)(struct lx_inode *inode);
	/* Before pages of [off, off + n) that may not exist are written: limits, lower copies. */
	int (*prepare_write)(struct lx_inode *inode, uint64_t off, uint64_t n);
	/* [off, off + n), n > 0, of the last prepare_write() was not written; it may be tried again. */
	void (*write_short)(struct lx_inode *inode, uint64_t off, uint64_t n);
	/* The inode whose pages a mapping of this one shows (overlay); NULL: its own. */
	struct lx_inode *(*pages_of)(struct lx_inode *inode);
	void (*hole_punched)(struct lx_inode *inode, uint64_t off, uint64_t n);
	int (*truncate)(struct lx_inode *inode, uint64_t size);	/* inode locked */
};

struct lx_super_ops {
	void (*evict)(struct lx_inode *inode);		/* last reference and no links (or umount): free private */
	int (*statfs)(struct lx_super *sb, void *linux_statfs64);
	int (*sync)(struct lx_super *sb);
	void (*shutdown)(struct lx_super *sb);		/* the last mount went; no dentry but the root is left */
	void (*put)(struct lx_super *sb);		/* no inode is left: free private */
	size_t (*show_options)(struct lx_super *sb, char *buf, size_t size);	/* ",size=64k" for /proc/mounts */
	int (*remount)(struct lx_super *sb, unsigned long flags, const char *options);
	/* FITRIM: tell the disk of free space in @range, whose len becomes how much that was.  NULL: -ENOTTY. */
	int (*trim)(struct lx_super *sb, struct fstrim_range *range);
};

struct lx_super {
	const struct lx_fs_type *type;
	const struct lx_super_ops *ops;
	struct lx_dentry *root;
	lx_dev_t dev;			/* st_dev */
	unsigned long flags;		/* SB_RDONLY ... */
	uint64_t magic;
	uint32_t block_size;
	lx_off_t max_bytes;
	uint32_t time_gran_ns;
	struct rt_mutex rename_lock;	/* rank LX_LOCK_RENAME */
	struct list inodes;		/* LX_LOCK_DENTRY */
	struct list link;		/* all super blocks: vfs/super.c */
	struct lx_errseq wb_error;	/* data of any file that could not be written */
	_Atomic(uint32_t) refs;
	_Atomic(uint64_t) next_ino;
	char subtype[32];		/* LX_FS_SUBTYPE: ".sshfs", shown behind the type's name; constant */
	char id[64];			/* source shown in /proc/mounts when there is no better */
	void *private;
};

/* Data of the file could not be written, and is lost: its open files are told once each (@err: negative errno). */
static inline void lx_inode_write_failed(struct lx_inode *inode, int err)
{
	lx_errseq_set(&inode->wb_error, err);
	lx_errseq_set(&inode->sb->wb_error, err);
}

struct lx_fs_type {
	const char *name;
	uint32_t flags;			/* LX_FS_* */
	/* Make or find the super block; @source and @options are our copies (may be NULL). */
	int (*mount)(const struct lx_fs_type *type, const char *source, unsigned long flags,
		     const char *options, struct lx_super **sb);
	struct list link;
};
#define LX_FS_NODEV	1u		/* "nodev" in /proc/filesystems: needs no block device */
#define LX_FS_SUBTYPE	2u		/* mounted as NAME.SUBTYPE, too (fuse.sshfs) */

struct lx_mount {
	struct lx_super *sb;		/* constant, a reference */
	struct lx_dentry *root;		/* constant, a reference */
	_Atomic(uint32_t) refs;
	/* LX_LOCK_MOUNT */
	struct lx_mount *parent;	/* NULL: detached or the root of the namespace */
	struct lx_dentry *mountpoint;
	struct list children, sibling, ns_link;
	struct lx_mntns *ns;
	uint32_t id;
	struct hlist_node hash_link;	/* by (parent, mountpoint) */
	_Atomic(uint32_t) flags;	/* LX_MNT_* */
	unsigned long propagation;	/* MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE: kept, shown */
	uint32_t peer_group;		/* shown for shared mounts */
	bool detached;			/* taken out of the tree by umount */
	_Atomic(uint32_t) writers;	/* files open for writing: remount to read-only is busy */
	char *source;			/* as mount(2) was told */
};

/* Flags of a mount; the values are those that statfs(2) shows (ST_*). */
#define LX_MNT_READONLY		1u
#define LX_MNT_NOSUID		2u
#define LX_MNT_NODEV		4u
#define LX_MNT_NOEXEC		8u
#define LX_MNT_NOATIME		1024u
#define LX_MNT_NODIRATIME	2048u
#define LX_MNT_RELATIME		4096u
#define LX_MNT_NOSYMFOLLOW	8192u

struct lx_attr {
	uint32_t valid;			/* LX_ATTR_* */
	lx_mode_t mode;
	lx_uid_t uid;
	lx_gid_t gid;
	uint64_t size;
	struct lx_time atime, mtime;
};
#define LX_ATTR_MODE	1u
#define LX_ATTR_UID	2u
#define LX_ATTR_GID	4u
#define LX_ATTR_SIZE	8u
#define LX_ATTR_ATIME	16u
#define LX_ATTR_MTIME	32u
#define LX_ATTR_CTIME	64u
#define LX_ATTR_KILL_PRIV 128u		/* drop set-id bits and security.capability */

struct lx_kstat {
	uint64_t ino, dev, size, blocks, rdev;
	uint32_t mode, nlink, uid, gid, blksize;
	struct lx_time atime, mtime, ctime, btime;
	uint32_t attributes;
	uint64_t mnt_id;
};

/* -- path resolution and opening (vfs/namei.c, lookup.c, open.c) */
#define LX_LOOKUP_FOLLOW	1u	/* follow a last symlink */
#define LX_LOOKUP_DIRECTORY	2u	/* must be a directory */
#define LX_LOOKUP_PARENT	4u	/* stop at the parent of the last component */
#define LX_LOOKUP_EMPTY		8u	/* AT_EMPTY_PATH */
#define LX_LOOKUP_CREATE	16u
#define LX_LOOKUP_NO_SYMLINKS	32u	/* RESOLVE_* of openat2(2) from here on */
#define LX_LOOKUP_NO_MAGICLINKS	64u
#define LX_LOOKUP_BENEATH	128u
#define LX_LOOKUP_IN_ROOT	256u
#define LX_LOOKUP_NO_XDEV	512u

/* Resolve a path of the program / a string of ours, relative to @dfd (AT_FDCWD...). */
int lx_path_at_user(struct lx_task *self, int dfd, uaddr_t name, unsigned int flags, struct lx_path *out);
int lx_path_at(struct lx_task *self, int dfd, const char *name, unsigned int flags, struct lx_path *out);
void lx_path_get(const struct lx_path *p);
void lx_path_put(struct lx_path *p);
/* "/a/b" of @p as seen from @root, written at the end of @buf: returns its start; may add " (deleted)". */
char *lx_path_string(const struct lx_path *p, const struct lx_path *root, char *buf, size_t size);
/* Open as open(2) does. */
int lx_open_at(struct lx_task *self, int dfd, const char *name, int flags, lx_mode_t mode, struct lx_file **out);
/* Open for exec(2): regular, executable, writers denied. */
int lx_open_exec(struct lx_task *self, int dfd, const char *name, unsigned int at_flags, struct lx_file **out);
/* Read @n bytes at @off into our own buffer; short at the end of the file.  Negative errno. */
int64_t lx_file_read_kernel(struct lx_file *f, void *buf, size_t n, lx_off_t off);
int64_t lx_file_write_kernel(struct lx_file *f, const void *buf, size_t n, lx_off_t off);
/* Copy a path string from the program: 0, -ENAMETOOLONG, -EFAULT, -ENOENT (empty, unless @empty_ok); lx_name_free(). */
int lx_name_from_user(struct lx_task *self, uaddr_t name, bool empty_ok, char **out);
void lx_name_free(char *name);

/* -- inodes and dentries (vfs/inode.c, vfs/dentry.c) */
struct lx_inode *lx_inode_create(struct lx_super *sb, lx_mode_t mode);	/* one reference, times now, ino next */
struct lx_inode *lx_inode_get(struct lx_inode *inode);
void lx_inode_put(struct lx_inode *inode);
struct lx_dentry *lx_dentry_get(struct lx_dentry *d);
void lx_dentry_put(struct lx_dentry *d);
/* Make @inode (a reference moves in) the inode of @d. */
void lx_dentry_instantiate(struct lx_dentry *d, struct lx_inode *inode);
int lx_inode_permission(struct lx_task *self, struct lx_inode *inode, int mask);	/* MAY_READ 4, WRITE 2, EXEC 1 */
struct lx_time lx_now_coarse(void);

/* -- file systems register themselves at start */
void lx_fs_register(struct lx_fs_type *type);
/* Page cache reads and writes for regular files of file systems with readpage or without (tmpfs). */
int64_t lx_generic_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos);
int64_t lx_generic_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos);
int lx_generic_mmap(struct lx_file *f, struct lx_mmap *m);
lx_off_t lx_generic_llseek(struct lx_file *f, lx_off_t off, int whence);
/* A page that a mapping faulted on: fill it (K_USER_FAULT with NEED_PAGE).  0 or -EIO... */
int lx_inode_fill_page(struct lx_inode *inode, uint64_t off);
/*
 * What a fault on a mapping's page asks for: the page is read if it is not there; if it is,
 * and @write, it is going to become dirty.  0, -ENOSPC, -EIO, -ENOMEM...
 * *@refaults: how many of the pages that were read have been there not long ago (vfs/workingset.c).
 */
int lx_inode_settle_page(struct lx_inode *inode, uint64_t off, bool write, uint64_t *refaults);
/*
 * Memory is short (vfs/reclaim.c): give up @want pages that can be had again, or as many as
 * there are.  How many went; 0: nothing is left to give.  No lock above LX_LOCK_FPOS held.
 */
uint64_t lx_reclaim(uint64_t want);
uint64_t lx_reclaim_names(uint64_t want);	/* of names that nobody uses, and of files without another, alone */
/* The same for kswapd0, who is in no hurry: only pages that were not used since they were last looked at. */
uint64_t lx_reclaim_cold(uint64_t want);
bool lx_memory_is_low(void);		/* less is free than reclaim keeps */
bool lx_cache_is_least(void);		/* so few pages of files are left that none is given up for other memory */
bool lx_memory_has_room(void);		/* for files that are memory only */
uint64_t lx_memory_mark(void);		/* that, in bytes */
/* The same for pages of files alone; any lock but leaves may be held. */
uint64_t lx_reclaim_pages(uint64_t want);
/* /proc/sys/vm/drop_caches: everything clean that no program has mapped, every name that is not in use. */
void lx_reclaim_drop(bool pages, bool names);
uint64_t lx_reclaim_evicted(void);	/* pages, ever */
uint64_t lx_workingset_refaults(void);	/* pages that came back before as many as memory has had gone, ever */
uint64_t lx_workingset_activations(void);	/* those of them that were back at once, and stay longer */
int lx_workingset_start(uint64_t memory_bytes);	/* at start: 0 or -ENOMEM */
int lx_reclaim_start(void);		/* at start: kswapd0 */
/*
 * Nothing clean is left: have dirty pages written, and wait until some were, at most so long.
 * False: nothing is dirty, or nothing was written in that time.  No lock held that a file system
 * needs to write; interruptible.
 */
bool lx_dirty_wait(uint64_t most_ns);
uint64_t lx_dirty_bytes(void);		/* of all files, at most: /proc/meminfo */
void lx_dirty_start(uint64_t memory_bytes);	/* at start: what the limits are shares of */
/* Character and block devices: what open of a node with @dev does. */
int lx_chrdev_register(uint32_t major, uint32_t first_minor, uint32_t count, const char *name,
		       const struct lx_file_ops *ops);
/* Make a node in devtmpfs (/dev): "tty", "pts/ptmx", "input/event0". */
int lx_devtmpfs_create(const char *name, lx_mode_t mode, lx_dev_t dev);
/* Take it away again if it still is the node of @dev.  -ENOENT, -EBUSY: it is another, or mounted on. */
int lx_devtmpfs_remove(const char *name, lx_dev_t dev);
int lx_devtmpfs_symlink(const char *name, const char *target);
int lx_devtmpfs_mkdir(const char *name);
