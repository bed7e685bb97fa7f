/* SPDX-License-Identifier: MIT */
/*
 * Open files and descriptor tables.
 */
#pragma once

#include "lx/types.h"
#include "lx/wait.h"
#include "lx/vfs.h"

struct lx_file_ops;
struct lx_async;

struct lx_file {
	/* Constant while open. */
	const struct lx_file_ops *ops;
	struct lx_path path;		/* references; anonymous files have a pseudo dentry */
	struct lx_inode *inode;		/* of path.dentry */
	struct lx_cred *cred;		/* of the opener */
	void *private;			/* the file type's */
	uint32_t mode;			/* LX_FMODE_* */

	_Atomic(uint32_t) refs;
	_Atomic(uint32_t) flags;	/* O_* as fcntl(F_GETFL) shows them; F_SETFL changes some */

	struct rt_mutex pos_lock;	/* rank LX_LOCK_FPOS; taken if mode has ATOMIC_POS */
	_Atomic(lx_off_t) pos;

	struct rt_mutex lock;		/* rank LX_LOCK_FILE */
	_Atomic(uint32_t) wb_seen;	/* of inode->wb_error: lx/errseq.h */
	_Atomic(uint32_t) sb_wb_seen;	/* of sb->wb_error */
	uint64_t ra_next, ra_size;	/* readahead: where a sequential read would go on; lock */
	int advice;			/* POSIX_FADV_NORMAL, _RANDOM or _SEQUENTIAL: lock */

	struct lx_async *async;		/* F_SETOWN, O_ASYNC (ipc/async.c), or NULL: set once, lock */
	struct list epoll_items;	/* LX_LOCK_EPOLL: epoll registrations of this file */
	struct lx_backing *backing;	/* mm/backing.c: for mmap of this file, or NULL: lock */
};

#define LX_FMODE_READ	1u
#define LX_FMODE_WRITE	2u
#define LX_FMODE_EXEC	4u		/* opened by exec: no O_ accmode check */
#define LX_FMODE_PATH	8u		/* O_PATH */
#define LX_FMODE_SEEK	16u		/* has a position */
#define LX_FMODE_ATOMIC_POS 32u		/* read/write lock the position (regular files, directories) */
#define LX_FMODE_NOWAIT_OK 64u

/* What an entry of a directory is reported with; see getdents64(2). */
struct lx_dir_emit {
	/* Returns false when the buffer is full: stop, and do not advance ctx->pos over this one. */
	bool (*emit)(struct lx_dir_emit *ctx, const char *name, size_t len, uint64_t ino,
		     unsigned int dtype);
	lx_off_t pos;			/* cookie of the next entry; 0 ".", 1 "..", then the fs's own */
};

struct lx_mmap;				/* lx/mm.h */

/*
 * Any operation may be NULL; what happens then is what Linux does for such files
 * (read: EINVAL, ioctl: ENOTTY, mmap: ENODEV, poll: always ready, llseek: ESPIPE
 * without LX_FMODE_SEEK).  All may sleep; none is called with a lock held unless
 * it says so.  @pos is NULL for files without position.
 */
struct lx_file_ops {
	int64_t (*read)(struct lx_file *f, struct lx_iter *to, lx_off_t *pos);
	int64_t (*write)(struct lx_file *f, struct lx_iter *from, lx_off_t *pos);
	/* Returns POLL* bits that hold now; if @p is not NULL registers by lx_poll_wait(). */
	uint32_t (*poll)(struct lx_file *f, struct lx_poll *p);
	long (*ioctl)(struct lx_file *f, unsigned int cmd, uint64_t arg);
	int (*mmap)(struct lx_file *f, struct lx_mmap *m);
	int (*open)(struct lx_inode *inode, struct lx_file *f);	/* may replace f->ops (devices) */
	int (*flush)(struct lx_file *f);		/* each close of a descriptor */
	void (*release)(struct lx_file *f);		/* the last reference went */
	int (*fsync)(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync);
	int (*iterate)(struct lx_file *f, struct lx_dir_emit *ctx);	/* inode locked by the caller */
	lx_off_t (*llseek)(struct lx_file *f, lx_off_t off, int whence);
	int (*fallocate)(struct lx_file *f, int mode, lx_off_t off, lx_off_t len);
	/*
	 * O_ASYNC works: what wakes pollers also signals the owner.  Returns whose it is when
	 * nobody was made the owner (F_SETOWN), as that call names it; 0: nobody's.  NULL: no O_ASYNC.
	 */
	lx_pid_t (*async)(struct lx_file *f);
	bool can_direct;		/* regular files: O_DIRECT is understood, or does no harm */
	/* /proc/PID/fdinfo lines after the common ones, into a NUL-terminated buffer. */
	size_t (*fdinfo)(struct lx_file *f, char *buf, size_t size);
};

/*
 * One transfer as read(2) and write(2) do it, at *@pos, which moves (NULL: the file has no
 * position), with what follows from it: accounting, inotify, O_SYNC.  Bytes done or a
 * negative errno; -EINVAL, -EISDIR if the file has no such operation.
 */
int64_t lx_file_read(struct lx_task *self, struct lx_file *f, struct lx_iter *it, lx_off_t *pos);
int64_t lx_file_write(struct lx_task *self, struct lx_file *f, struct lx_iter *it, lx_off_t *pos);

/* -- references; lx_file_put runs release in the caller's context when it was the last */
struct lx_file *lx_file_get(struct lx_file *f);
void lx_file_put(struct lx_file *f);

/*
 * An open file on a pseudo inode; NULL: ENOMEM.  @name is kept, not copied; it is
 * what /proc/PID/fd shows if it has a colon ("anon_inode:[eventfd]"), else the
 * inode's number is added: "pipe" shows as "pipe:[123]".
 */
struct lx_file *lx_file_anon(const char *name, const struct lx_file_ops *ops, void *private,
			     uint32_t o_flags, uint32_t fmode);
/* The same with a mode (S_IFIFO, S_IFSOCK), so that fstat(2) shows it. */
struct lx_file *lx_file_anon_mode(const char *name, const struct lx_file_ops *ops, void *private,
				  uint32_t o_flags, uint32_t fmode, lx_mode_t mode);
/* One more open file on the pseudo inode of @f (the other end of a pipe); NULL: ENOMEM. */
struct lx_file *lx_file_anon_twin(struct lx_file *f, void *private, uint32_t o_flags,
				  uint32_t fmode);

/* -- descriptor tables */
struct lx_files *lx_files_create(void);
struct lx_files *lx_files_get(struct lx_files *t);
void lx_files_put(struct lx_files *t);			/* the last one closes all */
struct lx_files *lx_files_copy(struct lx_files *t);	/* fork; NULL: ENOMEM */
void lx_files_close_on_exec(struct lx_files *t);

/* A reference to the file of @fd, or NULL (EBADF).  _raw also gives O_PATH files. */
struct lx_file *lx_fd_get(struct lx_task *self, int fd);
struct lx_file *lx_fd_get_raw(struct lx_task *self, int fd);
/* The same if it was opened for @mode (LX_FMODE_READ, _WRITE), else NULL. */
struct lx_file *lx_fd_get_mode(struct lx_task *self, int fd, uint32_t mode);
/*
 * For looking at many files: as lx_fd_get(), but a reference is taken only if
 * somebody else could close the number meanwhile.  lx_fd_unuse() afterwards, in the
 * same call of the same task.
 */
struct lx_file *lx_fd_use(struct lx_task *self, int fd, bool *counted);
static inline void lx_fd_unuse(struct lx_file *f, bool counted)
{
	if (counted)
		lx_file_put(f);
}
/* Give @f (one reference moves in) the lowest free number >= @min; -EMFILE, -ENOMEM (reference kept by the caller then). */
int lx_fd_install(struct lx_task *self, struct lx_file *f, int min, bool cloexec);
int lx_fd_close(struct lx_task *self, int fd);
/*
 * The same in steps, for calls that tell the program the number before the file
 * becomes visible under it: reserve (-EMFILE, -ENOMEM), then publish (the
 * reference moves in) or unreserve.
 */
int lx_fd_reserve(struct lx_task *self, int min, bool cloexec);
void lx_fd_publish(struct lx_task *self, int fd, struct lx_file *f);
void lx_fd_unreserve(struct lx_task *self, int fd);
unsigned int lx_files_room(struct lx_files *t);	/* FDSize of /proc/PID/status */
/* No number at or above it is open now: select(2) need not look further. */
unsigned int lx_files_limit(struct lx_task *self);
/* For /proc/PID/fd: the file of the first open number >= *@fd (which is updated), or NULL. */
struct lx_file *lx_files_next(struct lx_files *t, int *fd, bool *cloexec);

/* One more than the largest number that the table has room for now: select(2) looks no further. */
unsigned int lx_files_limit(struct lx_task *self);

/* -- poll: how poll, select and epoll listen */
struct lx_poll {
	void (*queue)(struct lx_poll *p, struct lx_file *f, struct lx_waitq *wq);
	uint32_t events;		/* wanted; 0: only look */
};
static inline void lx_poll_wait(struct lx_poll *p, struct lx_file *f, struct lx_waitq *wq)
{
	if (p && p->queue)
		p->queue(p, f, wq);
}
uint32_t lx_file_poll(struct lx_file *f, struct lx_poll *p);
#define LX_POLL_ALWAYS	0x145u		/* POLLIN, OUT, RDNORM, WRNORM: of files without poll */
/* The file goes away: leave every epoll set (from lx_file_put). */
void lx_epoll_release(struct lx_file *f);
