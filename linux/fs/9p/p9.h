/* SPDX-License-Identifier: MIT */
/*
 * 9P: directories of a host, by the protocol 9P2000.L over a virtio device.  Sources: intro(5)
 * of the Plan 9 manual, diod's protocol.md, Linux's Documentation/filesystems/9p.rst.
 *
 * The client asks for everything (Linux's cache=none): names are looked up and attributes
 * fetched each time, reads and writes go to the server at once.  What is kept is what is in
 * use: an inode for each file that is open, mapped, or on somebody's path.  Pages are kept for
 * mappings alone; they are read anew after an open and after a write by this system.
 *
 * A *fid* is our number for a file of the server's: of an inode (by which it is walked from,
 * looked at, changed) or of an open file.  It is made by walking, and ends by CLUNK.  Fids belong
 * to a *session*, which begins with VERSION and ATTACH, and ends when the device is reset.  A
 * driver's death does not end it: its successor goes on with the live device.  After a reset
 * the next call begins another session, and fids of the old one are replaced when they are
 * needed, by walking from the root again; calls in flight at the reset fail with EIO, because
 * nobody knows whether they were done.
 *
 * Invariants, the connection locked: (1) a fid's number is set in fid_map until its CLUNK was
 * answered, whatever session it is of, so that no two files ever have one number; (2) a fid of
 * an older session is only compared and freed.
 *
 * The server is not trusted.  An answer is copied out of the memory that is shared with it and
 * checked before it is believed (wire.h); names, types and counts in it are checked where they are
 * used.  It can keep its own files waiting, but not a task that is being killed.
 *
 * Locks: p9_conn.session_lock (rank LX_LOCK_9P_SESSION) is held while a session begins, which
 * waits for the server.  p9_conn.lock (rank LX_LOCK_9P) protects fids, attributes and the names
 * below; no message is waited for with it.  Calls are made with inodes locked and pages being
 * filled.  As Linux's client, one waits killably: files are not interrupted by signals.
 */
#pragma once

#include "fs/9p/init.h"
#include "fs/9p/wire.h"
#include "link/p9.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define P9_MSIZE_DEFAULT	131072u		/* Linux's since 5.15 */
#define P9_MSIZE_MIN		4096u
#define P9_MAGIC		0x01021997u
#define P9_FIDS_MAX		(1u << 20)

struct p9_conn {
	/* Constant after the mount. */
	struct p9link *link;			/* NULL before the mount has one */
	uint32_t asked_msize;
	char *uname, *aname;
	lx_uid_t n_uname;
	bool access_any;

	struct rt_mutex session_lock;	/* rank LX_LOCK_9P_SESSION: one task begins a session */
	/* Set before the session that they are of is; constant in it. */
	uint32_t msize, io_max;		/* io_max: bytes of data in one READ or WRITE */

	struct rt_mutex lock;		/* rank LX_LOCK_9P; protects what follows */
	_Atomic(uint32_t) session;	/* number of the present one, from 1; 0: none yet */
	_Atomic(uint32_t) link_session;	/* p9link_session() of it; written locked */
	struct p9_fid *root;		/* of the present session, or NULL */
	struct p9_qid root_qid;
	uint64_t *fid_map;
	uint32_t fid_room, fid_next;
	struct list clunks;		/* of struct p9_fid: nobody has them, the server may */
};

struct p9_fid {
	_Atomic(uint32_t) refs;
	struct p9_conn *conn;		/* constant, as what follows */
	uint32_t number, session;
	struct list link;		/* conn->lock: on conn->clunks */
	struct p9link_request *clunk;	/* conn->lock: sent */
};

struct p9_inode {
	uint8_t qid_type;		/* constant; the path is inode->ino */

	/* conn->lock. */
	struct p9_fid *fid;
	struct lx_inode *parent;	/* where it was found last, a reference; NULL: the root */
	char *name;			/* under which name; NULL: no memory */
	struct list handles;		/* of struct p9_handle */
	_Atomic(bool) unlinked;		/* a name of it, by us; the server may not find it now */
	/* Just made: open for reading and writing, for the task that made it. */
	struct p9_fid *fresh;
	struct lx_task *fresh_for;	/* only compared */
};

/* One for each open file. */
struct p9_handle {
	_Atomic(uint32_t) refs;
	struct lx_inode *inode;		/* constant; the file with the handle holds it */
	uint32_t flags;			/* constant: of LOPEN, to open it again */
	bool can_read;
	struct p9_fid *fid;		/* conn->lock */
	struct list link;		/* conn->lock */
};

struct p9_attr {
	struct p9_qid qid;
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size, blksize, blocks;
	struct lx_time atime, mtime, ctime, btime;
	bool has_btime;
};

static inline struct p9_conn *p9_conn_of(const struct lx_super *sb)
{
	return sb->private;
}

static inline struct p9_inode *p9_inode_of(const struct lx_inode *inode)
{
	return inode->private;
}

/* -- channel.c: servers by their tags */
/* The one called @tag becomes the caller's alone.  -ENOENT, -EBUSY. */
int p9_channel_take(const char *tag, struct p9link **out);
void p9_channel_give_back(struct p9link *link);

/* -- conn.c: connections, sessions, calls */
struct p9_conn *p9_conn_create(void);
void p9_conn_free(struct p9_conn *c);	/* no fid is in use */
/*
 * There is a session, perhaps a new one.  0, what the server answered to ATTACH, -EIO, -EINTR (the
 * caller is being killed), -ENOMEM.
 */
int p9_session_check(struct p9_conn *c);

/* One message and its answer, on the caller's stack. */
struct p9_call {
	struct p9_conn *conn;
	struct p9link_request *req;
	uint8_t type;
	uint32_t session;		/* of the fids in it; 0: it has none */
	struct p9_cursor t;		/* behind the header of the message */
	struct p9_cursor r;		/* behind that of the answer, in memory of ours */
	void *copy;
	uint8_t small[256];
};

/*
 * Begin a message about @f, which comes first in it, with room for @t_size more bytes, and for an
 * answer of @r_size after its header.  -EIO, -EINTR.  p9_call_end() afterwards in any case.
 */
int p9_call_begin(struct p9_call *m, struct p9_fid *f, uint8_t type, uint32_t t_size,
		  uint32_t r_size);
/*
 * Send it and wait.  0: m->r is at the first byte of the answer, all of which has been copied.
 * What the server answered, -EIO (a bad answer, or none: the session or the driver ended), -EINTR
 * (the caller is being killed), -ENOMEM.
 */
int p9_call_send(struct p9_call *m);
/* The same for answers with much data: only @r_head bytes after the header are copied. */
int p9_call_send_head(struct p9_call *m, uint32_t r_head);
/* The bytes of the answer behind what was copied: shared, and at most *@n. */
const void *p9_call_data(const struct p9_call *m, uint32_t r_head);
void p9_call_end(struct p9_call *m);	/* again: nothing */

/* -- fid.c */
/* A new number; NULL: none or no memory.  The server does not know it yet. */
struct p9_fid *p9_fid_new(struct p9_conn *c);
struct p9_fid *p9_fid_get(struct p9_fid *f);
/* The last one: it is clunked, which nobody waits for.  NULL is fine. */
void p9_fid_put(struct p9_fid *f);
/*
 * Clunk a fid that nobody else has, and wait for the answer, which is returned: -EIO, -EINTR.
 * With an error @err of before, that is returned, and nothing is waited for.
 */
int p9_fid_close(struct p9_fid *f, int err);
/* Send what could not be sent before, and free the numbers of those that are done. */
void p9_fids_tidy(struct p9_conn *c);
/* A fid of the inode that is good in the present session, which may begin now; a reference. */
int p9_inode_fid(struct lx_inode *inode, struct p9_fid **out);
/* A new fid of the same file, opened: a reference. */
int p9_open_fid(struct lx_inode *inode, uint32_t flags, struct p9_fid **out);
/* A fid of an open file that is good in the present session. */
int p9_handle_fid(struct p9_handle *h, struct p9_fid **out);

/* -- proto.c: the messages.  Errors are those of p9_call_send(). */
/* *@out: a new fid, a reference.  @name NULL: of the same file. */
int p9_walk(struct p9_fid *from, const char *name, struct p9_fid **out, struct p9_qid *qid);
int p9_getattr(struct p9_fid *f, struct p9_attr *a);
int p9_setattr(struct p9_fid *f, const struct lx_attr *a);
int p9_lopen(struct p9_fid *f, uint32_t flags);
/* @f, a directory, becomes the open file. */
int p9_lcreate(struct p9_fid *f, const char *name, uint32_t flags, lx_mode_t mode, lx_gid_t gid);
int p9_mkdir(struct p9_fid *dir, const char *name, lx_mode_t mode, lx_gid_t gid);
int p9_mknod(struct p9_fid *dir, const char *name, lx_mode_t mode, lx_dev_t dev, lx_gid_t gid);
int p9_symlink(struct p9_fid *dir, const char *name, const char *target, lx_gid_t gid);
int p9_link(struct p9_fid *dir, struct p9_fid *f, const char *name);
int p9_rename(struct p9_fid *f, struct p9_fid *odir, const char *oname, struct p9_fid *ndir,
	      const char *nname);
int p9_unlinkat(struct p9_fid *dir, const char *name, bool is_dir);
int p9_readlink(struct p9_fid *f, char *buf, size_t size);
int p9_fsync(struct p9_fid *f, bool datasync);
int p9_statfs(struct p9_fid *f, void *linux_statfs);
/* At most conn->io_max bytes.  Bytes read into @buf, or into @to (one of them is NULL). */
int64_t p9_read(struct p9_fid *f, uint64_t off, uint32_t n, void *buf, struct lx_iter *to);
/* Bytes that the server took, 1 at least.  -EAGAIN: the program's memory is to be faulted in. */
int64_t p9_write(struct p9_fid *f, uint64_t off, uint32_t n, struct lx_iter *from);
int p9_xattrwalk(struct p9_fid *f, const char *name, struct p9_fid **out, uint64_t *size);
int p9_xattrcreate(struct p9_fid *f, const char *name, uint64_t size, uint32_t flags);

/* -- inode.c */
extern const struct lx_inode_ops p9_dir_iops;		/* dir.c */
/*
 * The inode of the file that @f is (the reference moves in, also on failure), found as @name in
 * @parent (NULL: the root): a reference.
 */
int p9_iget(struct lx_super *sb, struct p9_fid *f, struct lx_inode *parent, const char *name,
	    struct lx_inode **out);
/* @inode is now called @name in @parent. */
void p9_inode_moved(struct lx_inode *inode, struct lx_inode *parent, const char *name);
/* Ask for the attributes.  A regular file's inode is not locked, unless @locked. */
int p9_refresh(struct lx_inode *inode, bool locked);
int p9_inode_getattr(struct lx_inode *inode, struct lx_kstat *st);
int p9_inode_setattr(struct lx_inode *inode, const struct lx_attr *a);
void p9_evict(struct lx_inode *inode);
void p9_pages_drop(struct lx_inode *inode, uint64_t off, uint64_t n);

/* -- dir.c */
bool p9_revalidate(struct lx_dentry *d);
extern const struct lx_file_ops p9_dir_fops;

/* -- file.c */
int p9_open_file(struct lx_inode *inode, struct lx_file *f);
void p9_release_file(struct lx_file *f);
int p9_fsync_file(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync);
int p9_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n);
extern const struct lx_file_ops p9_reg_fops;

/* -- xattr.c */
int p9_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int p9_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
int p9_listxattr(struct lx_inode *inode, char *buf, size_t size);
int p9_removexattr(struct lx_inode *inode, const char *name);

#define P9_COMMON_OPS .getattr = p9_inode_getattr, .setattr = p9_inode_setattr, \
	.revalidate = p9_revalidate, .getxattr = p9_getxattr, .setxattr = p9_setxattr, \
	.listxattr = p9_listxattr, .removexattr = p9_removexattr
