/* SPDX-License-Identifier: MIT */
/*
 * The inside of a pipe, shared by pipe.c and splice.c.
 */
#pragma once

#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/pipe.h"
#include "lx/task.h"

#define PIPE_PAGE	4096u
#define PIPE_DEF_PAGES	16u

/* A page of pipe data.  tee(2) lets two buffers share one; nobody writes to it then. */
struct lx_pipe_page {
	_Atomic(uint32_t) refs;
	uint8_t *data;			/* PIPE_PAGE bytes; constant */
};

struct lx_pipe_buf {
	struct lx_pipe_page *page;	/* a reference */
	uint32_t offset, len;		/* len > 0 while the buffer is in the ring */
	uint32_t flags;			/* PIPE_BUF_* */
};

#define PIPE_BUF_MERGE	1u		/* a later write may add to it */
#define PIPE_BUF_PACKET	2u		/* O_DIRECT: one read takes it and drops what it has no room for */

struct lx_pipe {
	struct lx_waitq readers_wait;	/* wait for data (or writers to go) */
	struct lx_waitq writers_wait;	/* wait for room (or readers to go) */

	struct rt_mutex lock;		/* rank LX_LOCK_PIPE; two pipes: address order */
	struct lx_pipe_buf *bufs;	/* slots of them, a power of two */
	uint32_t slots;
	uint32_t head, tail;		/* free-running; head - tail buffers are in use */
	struct lx_pipe_page *spare;	/* the last page that was read empty, or NULL */
	uint32_t reserved;		/* slots that a splice into the pipe is about to use */
	bool draining;			/* a splice writes the buffers at the tail to a file: others wait */
	uint32_t readers, writers;	/* open files that can read, write */
	uint32_t users;			/* open files (and openers of a FIFO); 0: the pipe is freed */
	uint32_t reader_count, writer_count;	/* opens so far, for a FIFO's blocking open */
	bool polled;			/* edge-triggered pollers exist: wake on every write */
};

static inline uint32_t pipe_used(const struct lx_pipe *p)
{
	return p->head - p->tail;
}

static inline bool pipe_is_empty(const struct lx_pipe *p)
{
	return p->head == p->tail;
}

static inline bool pipe_is_full(const struct lx_pipe *p)
{
	return pipe_used(p) + p->reserved >= p->slots;
}

static inline struct lx_pipe_buf *pipe_buf(struct lx_pipe *p, uint32_t pos)
{
	return &p->bufs[pos & (p->slots - 1)];
}

/* A new page with one reference; NULL: no memory. */
struct lx_pipe_page *pipe_page_new(void);
/* A page with one reference: the pipe's spare one, or new; NULL: no memory.  Pipe locked. */
struct lx_pipe_page *pipe_page_get(struct lx_pipe *p);
/* Drop a reference; the last one makes it the pipe's spare page (or frees it).  Pipe locked. */
void pipe_page_put(struct lx_pipe *p, struct lx_pipe_page *page);
/* Take the buffer at the tail, which was read or moved away, out of the ring. */
void pipe_drop_tail(struct lx_pipe *p);

/*
 * With the pipe locked, sleep on @wq (one of its two) until woken; the pipe is
 * unlocked meanwhile.  0 or -LX_ERESTARTSYS.
 */
int pipe_sleep(struct lx_pipe *p, struct lx_waitq *wq);

/*
 * One buffer's worth, pipe locked: from the buffer at the tail (1: the read is complete),
 * into a new one at the head, where there is room.  0: go on; -EFAULT: nothing was taken, the
 * iterator stands where the copy has to start again once its memory is there; -ENOMEM.
 */
int pipe_read_one(struct lx_pipe *p, struct lx_iter *to, int64_t *done);
int pipe_write_one(struct lx_pipe *p, struct lx_iter *from, bool packet, int64_t *done);

void pipe_wake_readers(struct lx_pipe *p);
void pipe_wake_writers(struct lx_pipe *p);
/* SIGPIPE to the calling thread. */
void lx_send_sigpipe(void);

/* Lock two different pipes. */
void pipe_lock_two(struct lx_pipe *a, struct lx_pipe *b);
