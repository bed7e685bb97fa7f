/* SPDX-License-Identifier: MIT */
/*
 * FUSE: file systems whose code is a program.  Source: fuse(4), libfuse's documentation of
 * the protocol, and linux/fuse.h, which has the messages.
 *
 * A connection joins an open /dev/fuse, which a server reads requests from and writes
 * replies to, with a super block.  A request is pending [fuse_call], then sent [the server
 * read it], then being answered [the server's task copies], then done [or the connection
 * ended].  Whoever waits for it may give
 * it up; then nobody looks at the answer, except for what it makes the server keep.
 *
 * Invariants, connection locked: (1) a request is on `pending` iff it is FUSE_PENDING, on
 * `sent` iff FUSE_SENT; (2) a connection that is not connected has no requests.
 *
 * The server is not trusted: sizes, types and names in its answers are checked, and it can
 * keep its own file system waiting, but not a task that is being killed.
 *
 * Locks: fuse_conn.lock (rank LX_LOCK_FUSE) protects the lists and states.  Requests are made
 * and waited for with inodes locked and pages being filled; no lock is held while the
 * server's or a program's memory is touched by the device.
 */
#pragma once

#include <linux/fuse.h>

#include "fs/fuse/init.h"
#include "lx/mm.h"
#include "rt/time.h"
#include "vfs/vfs_priv.h"

#define FUSE_PAGES_MAX		32u		/* of one read or write */
#define FUSE_MIN_BUFFER		8192u		/* that a server has to read with */

enum fuse_state { FUSE_NEW, FUSE_PENDING, FUSE_SENT, FUSE_ANSWERING, FUSE_DONE };

/* What the server has answered by ENOSYS once is not asked again: a bit for each. */
enum {
	FUSE_NO_OPEN = 1, FUSE_NO_OPENDIR = 2, FUSE_NO_FLUSH = 4, FUSE_NO_FSYNC = 8,
	FUSE_NO_FSYNCDIR = 16, FUSE_NO_FALLOCATE = 32, FUSE_NO_GETXATTR = 64, FUSE_NO_LISTXATTR = 128,
	FUSE_NO_SETXATTR = 256, FUSE_NO_REMOVEXATTR = 512, FUSE_NO_RENAME2 = 1024, FUSE_NO_LSEEK = 2048,
	FUSE_NO_INTERRUPT = 4096,
};

struct fuse_conn {
	_Atomic(uint32_t) refs;			/* of the device's open file and of the super block */
	_Atomic(uint32_t) missing;		/* FUSE_NO_* */

	/* Constant after the mount. */
	lx_uid_t uid;
	lx_gid_t gid;
	bool default_permissions, allow_other;
	uint32_t max_read;
	lx_mode_t root_mode;

	/* Set by the answer to INIT, constant once `initialized`. */
	uint32_t max_write, minor;
	bool no_open, no_opendir;		/* the server may answer these by ENOSYS */

	struct rt_mutex lock;			/* rank LX_LOCK_FUSE; protects what follows */
	bool connected, initialized, failed;	/* failed: INIT was answered badly */
	uint64_t next_unique;
	struct list pending, sent;		/* of struct fuse_req */
	struct list forgets;			/* of struct fuse_forget, to be sent */
	struct list interrupts;			/* of struct fuse_req (intr_link), to be sent */

	struct lx_waitq readers;		/* the server waits for requests */
	struct lx_waitq starting;		/* tasks wait for INIT to be answered */
};

struct fuse_req {
	_Atomic(uint32_t) refs;
	struct fuse_conn *conn;			/* constant; no reference: see fuse_conn_abort() */

	/* conn->lock. */
	enum fuse_state state;
	bool interrupted, given_up;
	struct list link, intr_link;

	/* The sender's until it is pending, the device's while it is sent, the sender's when done. */
	struct fuse_in_header *in;		/* and what follows it; allocated with the request */
	int error;				/* 0 or a negative errno */
	size_t out_size, out_len;		/* room, and what came */
	bool out_exact;				/* another length is a bad answer */
	void *out;
	/* Called with the answer, by the server's task: requests that nobody waits for. */
	void (*done)(struct fuse_conn *c, struct fuse_req *r);

	struct lx_waitq wait;
};

struct fuse_forget {
	struct list link;			/* conn->lock */
	uint64_t nodeid, nlookup;
};

struct fuse_inode {
	uint64_t nodeid;			/* constant */
	struct fuse_forget *forget;		/* what evict will send: no memory is needed then */
	_Atomic(uint64_t) attr_expires;		/* ns: until then the attributes hold */
	uint64_t attr_ino;			/* st_ino; conn->lock, as all attributes */
	struct list handles;			/* of struct fuse_handle; conn->lock */
};

/* What OPEN gave: one for each open file. */
struct fuse_handle {
	_Atomic(uint32_t) refs;
	uint64_t fh;
	uint32_t open_flags;			/* FOPEN_* */
	bool can_read, opened;			/* opened: the server wants RELEASE */
	struct list link;			/* conn->lock */
	struct fuse_req *release;		/* made in advance: closing cannot fail */
};

static inline struct fuse_conn *fuse_conn_of(const struct lx_super *sb)
{
	return sb->private;
}

static inline struct fuse_inode *fuse_inode_of(const struct lx_inode *inode)
{
	return inode->private;
}

static inline bool fuse_is_missing(struct fuse_conn *c, uint32_t what)
{
	return atomic_load_explicit(&c->missing, memory_order_relaxed) & what;
}

/* -- conn.c */
struct fuse_conn *fuse_conn_create(void);
struct fuse_conn *fuse_conn_get(struct fuse_conn *c);
void fuse_conn_put(struct fuse_conn *c);
/* No more requests; those that there are end with ECONNABORTED, later ones with ENOTCONN. */
void fuse_conn_abort(struct fuse_conn *c);

/*
 * A request on behalf of the calling task: @in_size bytes after the header, zeroed (fuse_in()),
 * room for an answer of @out_size.  NULL: no memory.  fuse_req_put() afterwards.
 */
struct fuse_req *fuse_req_new(struct fuse_conn *c, uint32_t opcode, uint64_t nodeid,
			      size_t in_size, size_t out_size);
void fuse_req_put(struct fuse_req *r);
static inline void *fuse_in(struct fuse_req *r)
{
	return r->in + 1;
}
/*
 * Send and wait for the answer.  0, what the server answered, ENOTCONN, ECONNABORTED (the
 * server died meanwhile), EIO (a bad answer), EINTR (the caller is being killed).
 */
int fuse_call(struct fuse_conn *c, struct fuse_req *r);
/* The same for requests with only names or nothing: @out may be NULL.  -ENOMEM, too. */
int fuse_simple(struct fuse_conn *c, uint32_t opcode, uint64_t nodeid, const void *arg, size_t size,
		const char *name, const char *name2, void *out, size_t out_size);
/* Send and do not wait for the answer; the reference moves in. */
void fuse_post(struct fuse_conn *c, struct fuse_req *r);
void fuse_forget_send(struct fuse_conn *c, struct fuse_forget *f, uint64_t nodeid, uint64_t nlookup);

/* -- for dev.c: connection locked */
void fuse_req_end_locked(struct fuse_req *r, int error);

/* -- dev.c */
int fuse_dev_init(void);
/* The connection of an open /dev/fuse gets used for a mount: -EINVAL, -EBUSY. */
int fuse_dev_attach(struct lx_file *f, struct fuse_conn *c);

/* -- inode.c */
extern const struct lx_inode_ops fuse_dir_iops;		/* dir.c */
/* The inode of an entry that the server named (one lookup more), a reference; -EIO, -ENOMEM. */
int fuse_iget(struct lx_super *sb, const struct fuse_entry_out *e, struct lx_inode **out);
bool fuse_entry_valid(const struct fuse_entry_out *e);
/* A lookup that leads to no inode of ours. */
void fuse_forget_entry(struct fuse_conn *c, uint64_t nodeid);
/* When something that is valid for so long from now on ends, in ns. */
uint64_t fuse_expires(uint64_t sec, uint32_t nsec);
/* Ask for the attributes if they may be old, or if @always.  A regular file's inode is not locked. */
int fuse_refresh(struct lx_inode *inode, bool always);
void fuse_attr_old(struct lx_inode *inode);
int fuse_getattr(struct lx_inode *inode, struct lx_kstat *st);
int fuse_setattr(struct lx_inode *inode, const struct lx_attr *a);
int fuse_permission(struct lx_task *self, struct lx_inode *inode, int mask);
void fuse_evict(struct lx_inode *inode);
/* Drop cached pages of [off, off + n). */
void fuse_pages_drop(struct lx_inode *inode, uint64_t off, uint64_t n);

/* -- xattr.c */
int fuse_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size);
int fuse_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags);
int fuse_listxattr(struct lx_inode *inode, char *buf, size_t size);
int fuse_removexattr(struct lx_inode *inode, const char *name);
#define FUSE_XATTR_OPS .getxattr = fuse_getxattr, .setxattr = fuse_setxattr, \
	.listxattr = fuse_listxattr, .removexattr = fuse_removexattr
#define FUSE_COMMON_OPS .getattr = fuse_getattr, .setattr = fuse_setattr, \
	.permission = fuse_permission, .revalidate = fuse_revalidate, FUSE_XATTR_OPS

/* -- dir.c */
bool fuse_revalidate(struct lx_dentry *d);
extern const struct lx_file_ops fuse_dir_fops;

/* -- file.c */
int fuse_open_file(struct lx_inode *inode, struct lx_file *f);
void fuse_release_file(struct lx_file *f);
int fuse_fsync_file(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync);
int fuse_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n);
extern const struct lx_file_ops fuse_reg_fops;

/* -- super.c */
void fuse_send_init(struct fuse_conn *c, struct fuse_req *r);
