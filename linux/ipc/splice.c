/* SPDX-License-Identifier: MIT */
/*
 * splice, tee, vmsplice: bytes between pipes and files without the program touching them.
 *
 * From pipe to pipe buffers move, or share their page: nothing is copied.  Between a pipe and
 * a file bytes are copied once, by the file's own read or write from or to the pipe's pages.
 * (The pages of the page cache belong to the kernel's memory objects, those of pipes to the
 * personality, so they cannot change sides.)
 *
 * A file's read and write may sleep and take locks of any rank, so the pipe is not locked
 * during them.  What keeps others away meanwhile:
 *
 *   into a pipe	slots are set aside first (pipe->reserved) and count as used, so that there
 *			is room for what was read;
 *   out of a pipe	pipe->draining makes whoever else wants to take from the pipe wait, so that
 *			the buffers at the tail are still there when it is known how much of
 *			them the file took.  An extra reference to their pages keeps writers from
 *			adding to them.
 *
 * Linux holds the pipe's lock instead, with the same effect for programs: a second reader
 * waits, even if it asked not to.
 *
 * vmsplice copies.  Linux lets the pipe refer to the program's pages; a program may not rely
 * on what a later change of them does.
 */
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "pipe_priv.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "lx/net.h"
#include "lx/syscall.h"

/* linux/splice.h of Linux: not in the UAPI headers. */
#define SPLICE_F_MOVE		1u
#define SPLICE_F_NONBLOCK	2u
#define SPLICE_F_MORE		4u
#define SPLICE_F_GIFT		8u
#define SPLICE_F_ALL		15u

#define SPLICE_MAX		0x7ffff000ull	/* no call transfers more */
#define BATCH			16u		/* pages that one read or write of a file gets */

static bool is_nonblock(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static uint32_t room_of(const struct lx_pipe *p)
{
	return pipe_is_full(p) ? 0 : p->slots - pipe_used(p) - p->reserved;
}

/* -- waiting: pipe locked ------------------------------------------------------------- */

/* 1: there are bytes to take; 0: none, and no writer; -EAGAIN, -LX_ERESTARTSYS. */
static int wait_for_data(struct lx_pipe *p, unsigned int flags)
{
	int err;

	while (pipe_is_empty(p) || p->draining) {
		if (!p->draining && !p->writers)
			return 0;
		if (!p->draining && (flags & SPLICE_F_NONBLOCK))
			return -EAGAIN;
		err = pipe_sleep(p, &p->readers_wait);
		if (err) {
			/* We may have been woken in the place of all readers. */
			pipe_wake_readers(p);
			return err;
		}
	}
	return 1;
}

/* 0: there is room; -EPIPE, -EAGAIN, -LX_ERESTARTSYS. */
static int wait_for_room(struct lx_pipe *p, unsigned int flags)
{
	int err;

	for (;;) {
		if (!p->readers)
			return -EPIPE;
		if (!pipe_is_full(p))
			return 0;
		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		err = pipe_sleep(p, &p->writers_wait);
		if (err) {
			pipe_wake_writers(p);
			return err;
		}
	}
}

/* -- from a file into a pipe ------------------------------------------------------------ */

struct batch {
	unsigned int nr;
	struct lx_pipe_page *page[BATCH];
	struct lx_seg seg[BATCH];
};

static void batch_iter(struct batch *b, struct lx_iter *it, uint64_t count)
{
	*it = (struct lx_iter){ .nr = b->nr, .segs = b->seg, .count = count };
}

/* New pages for @len bytes, as many as there is memory for. */
static uint64_t batch_alloc(struct batch *b, uint64_t len)
{
	uint64_t room = 0;

	for (b->nr = 0; room < len && b->nr < BATCH; b->nr++) {
		struct lx_pipe_page *page = pipe_page_new();

		if (!page)
			break;
		b->page[b->nr] = page;
		b->seg[b->nr] = (struct lx_seg){ (uintptr_t)page->data,
						 MIN(len - room, (uint64_t)PIPE_PAGE) };
		room += b->seg[b->nr].len;
	}
	return room;
}

/* Pipe locked: the first @bytes go into the ring, into slots that were reserved; the rest is freed. */
static void batch_push(struct lx_pipe *p, struct batch *b, uint64_t bytes)
{
	for (unsigned int i = 0; i < b->nr; i++) {
		uint32_t n = (uint32_t)MIN(bytes, (uint64_t)PIPE_PAGE);

		if (!n) {
			pipe_page_put(p, b->page[i]);
			continue;
		}
		*pipe_buf(p, p->head) = (struct lx_pipe_buf){ .page = b->page[i], .len = n };
		p->head++;
		bytes -= n;
	}
}

static int64_t read_source(struct lx_task *self, struct lx_file *in, struct lx_iter *it,
			   lx_off_t *pos, unsigned int flags)
{
	if ((flags & SPLICE_F_NONBLOCK) && (in->inode->mode & S_IFMT) == S_IFSOCK)
		return lx_socket_read_nonblock(in, it);
	return lx_file_read(self, in, it, pos);
}

/* Once, with the room that there is now.  Pipe locked before and after, not meanwhile. */
static int64_t fill_once(struct lx_task *self, struct lx_file *in, lx_off_t *pos,
			 struct lx_pipe *p, uint64_t len, unsigned int flags)
{
	uint32_t slots = MIN(room_of(p), BATCH);
	struct batch b;
	struct lx_iter it;
	int64_t got;
	bool was_empty;

	slots = (uint32_t)MIN((uint64_t)slots, DIV_ROUND_UP(len, PIPE_PAGE));
	p->reserved += slots;
	rt_mutex_unlock(&p->lock);
	len = batch_alloc(&b, MIN(len, (uint64_t)slots * PIPE_PAGE));
	if (len) {
		batch_iter(&b, &it, len);
		got = read_source(self, in, &it, pos, flags);
	} else {
		got = -ENOMEM;
	}
	rt_mutex_lock(&p->lock);
	p->reserved -= slots;
	was_empty = pipe_is_empty(p);
	batch_push(p, &b, (uint64_t)MAX(got, (int64_t)0));
	if (got > 0 && (was_empty || p->polled))
		pipe_wake_readers(p);
	if (room_of(p))			/* what was set aside and not used */
		pipe_wake_writers(p);
	return got;
}

int64_t lx_splice_to_pipe(struct lx_task *self, struct lx_file *in, lx_off_t *pos,
			  struct lx_pipe *p, uint64_t len, unsigned int flags)
{
	/* Only where reading again cannot wait for somebody. */
	lx_mode_t type = in->inode->mode & S_IFMT;
	bool again = type == S_IFREG || type == S_IFBLK;
	int64_t done = 0, got;

	rt_mutex_lock(&p->lock);
	got = wait_for_room(p, flags);
	while (got >= 0) {
		got = fill_once(self, in, pos, p, len - (uint64_t)done, flags);
		if (got <= 0)
			break;
		done += got;
		if (!again || (uint64_t)done == len || !room_of(p) || !p->readers ||
		    lx_signal_pending(self))
			break;
	}
	rt_mutex_unlock(&p->lock);
	if (got == -EPIPE && !done)
		lx_send_sigpipe();
	return done ? done : got;
}

/* -- from a pipe into a file ------------------------------------------------------------ */

/* Pipe locked: refer to at most @len bytes at the tail. */
static uint64_t batch_peek(struct lx_pipe *p, struct batch *b, uint64_t len)
{
	uint64_t bytes = 0;

	for (b->nr = 0; b->nr < MIN(pipe_used(p), BATCH) && bytes < len; b->nr++) {
		struct lx_pipe_buf *buf = pipe_buf(p, p->tail + b->nr);
		uint64_t n = MIN((uint64_t)buf->len, len - bytes);

		atomic_fetch_add_explicit(&buf->page->refs, 1, memory_order_relaxed);
		b->page[b->nr] = buf->page;
		b->seg[b->nr] = (struct lx_seg){ (uintptr_t)buf->page->data + buf->offset, n };
		bytes += n;
	}
	return bytes;
}

static void batch_put(struct lx_pipe *p, struct batch *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		pipe_page_put(p, b->page[i]);
}

/* Pipe locked: @n bytes at the tail are gone. */
static void consume(struct lx_pipe *p, uint64_t n)
{
	while (n) {
		struct lx_pipe_buf *buf = pipe_buf(p, p->tail);
		uint32_t part = (uint32_t)MIN(n, (uint64_t)buf->len);

		buf->offset += part;
		buf->len -= part;
		n -= part;
		if (!buf->len)
			pipe_drop_tail(p);
	}
}

/* Pipe locked before and after, and not empty. */
static int64_t drain_once(struct lx_task *self, struct lx_pipe *p, struct lx_file *out,
			  lx_off_t *pos, uint64_t len)
{
	struct batch b;
	struct lx_iter it;
	int64_t wrote;
	bool was_full;

	p->draining = true;
	len = batch_peek(p, &b, len);
	rt_mutex_unlock(&p->lock);
	batch_iter(&b, &it, len);
	wrote = lx_file_write(self, out, &it, pos);
	rt_mutex_lock(&p->lock);
	p->draining = false;
	batch_put(p, &b);
	was_full = pipe_is_full(p);
	if (wrote > 0)
		consume(p, (uint64_t)wrote);
	if (was_full && !pipe_is_full(p))
		pipe_wake_writers(p);
	pipe_wake_readers(p);
	return wrote;
}

static int64_t from_pipe(struct lx_task *self, struct lx_pipe *p, struct lx_file *out,
			 lx_off_t *pos, uint64_t len, unsigned int flags)
{
	int64_t done = 0, n = 0;

	rt_mutex_lock(&p->lock);
	while ((uint64_t)done < len) {
		if (done && (pipe_is_empty(p) || p->draining))
			break;
		n = wait_for_data(p, flags);
		if (n > 0)
			n = drain_once(self, p, out, pos, len - (uint64_t)done);
		if (n <= 0)
			break;
		done += n;
		if (lx_signal_pending(self))
			break;
	}
	rt_mutex_unlock(&p->lock);
	return done ? done : n;
}

/* -- between pipes ----------------------------------------------------------------------- */

/* Wait until @in has something and @out has room, as far as that is known without both locks. */
static int wait_for_both(struct lx_pipe *in, struct lx_pipe *out, unsigned int flags)
{
	int err;

	rt_mutex_lock(&in->lock);
	err = wait_for_data(in, flags);
	rt_mutex_unlock(&in->lock);
	if (err < 0)
		return err;
	rt_mutex_lock(&out->lock);
	err = wait_for_room(out, flags);
	rt_mutex_unlock(&out->lock);
	return err;
}

/* The buffer at @in's @pos, or its first @len bytes, also becomes @out's: they share the page. */
static void share_buffer(struct lx_pipe *out, const struct lx_pipe_buf *from, uint64_t len)
{
	struct lx_pipe_buf *to = pipe_buf(out, out->head++);

	atomic_fetch_add_explicit(&from->page->refs, 1, memory_order_relaxed);
	*to = *from;
	to->len = (uint32_t)MIN(len, (uint64_t)from->len);
	to->flags &= ~PIPE_BUF_MERGE;
}

/* Both locked.  Bytes moved, or -EPIPE. */
static int64_t move_buffers(struct lx_pipe *in, struct lx_pipe *out, uint64_t len)
{
	int64_t done = 0;

	if (!out->readers)
		return -EPIPE;
	while (len && !pipe_is_empty(in) && !in->draining && !pipe_is_full(out)) {
		struct lx_pipe_buf *buf = pipe_buf(in, in->tail);
		uint32_t n = (uint32_t)MIN((uint64_t)buf->len, len);

		if (n == buf->len) {
			*pipe_buf(out, out->head++) = *buf;
			buf->page = NULL;	/* the reference moved */
			pipe_drop_tail(in);
		} else {
			share_buffer(out, buf, n);
			buf->offset += n;
			buf->len -= n;
		}
		done += n;
		len -= n;
	}
	return done;
}

/* Both locked.  Bytes shared, or -EPIPE. */
static int64_t share_buffers(struct lx_pipe *in, struct lx_pipe *out, uint64_t len)
{
	int64_t done = 0;

	if (!out->readers)
		return -EPIPE;
	for (uint32_t at = in->tail; len && at != in->head && !pipe_is_full(out); at++) {
		const struct lx_pipe_buf *buf = pipe_buf(in, at);
		uint64_t n = MIN((uint64_t)buf->len, len);

		share_buffer(out, buf, n);
		done += (int64_t)n;
		len -= n;
	}
	return done;
}

/* splice or tee. */
static int64_t between_pipes(struct lx_pipe *in, struct lx_pipe *out, uint64_t len,
			     unsigned int flags,
			     int64_t (*act)(struct lx_pipe *, struct lx_pipe *, uint64_t))
{
	for (;;) {
		bool in_was_full, out_was_empty, in_over, wake_writers, wake_readers;
		int64_t n = wait_for_both(in, out, flags);

		if (!n) {
			pipe_lock_two(in, out);
			in_was_full = pipe_is_full(in);
			out_was_empty = pipe_is_empty(out);
			n = act(in, out, len);
			in_over = pipe_is_empty(in) && !in->writers;
			wake_writers = in_was_full && !pipe_is_full(in);
			wake_readers = n > 0 && (out_was_empty || out->polled);
			rt_mutex_unlock(&in->lock);
			rt_mutex_unlock(&out->lock);
			if (wake_writers)
				pipe_wake_writers(in);
			if (wake_readers)
				pipe_wake_readers(out);
			if (!n && !in_over)
				continue;	/* somebody was faster: wait again */
		}
		if (n == -EPIPE)
			lx_send_sigpipe();
		return n;
	}
}

long lx_sys_tee(struct lx_task *self, int in_fd, int out_fd, size_t len, unsigned int flags)
{
	struct lx_file *in, *out;
	struct lx_pipe *from, *to;
	long n = -EBADF;

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!len)
		return 0;
	in = lx_fd_get_mode(self, in_fd, LX_FMODE_READ);
	out = lx_fd_get_mode(self, out_fd, LX_FMODE_WRITE);
	if (in && out) {
		from = lx_pipe_of(in);
		to = lx_pipe_of(out);
		n = -EINVAL;
		if (is_nonblock(in) || is_nonblock(out))
			flags |= SPLICE_F_NONBLOCK;
		if (from && to && from != to)
			n = between_pipes(from, to, MIN(len, SPLICE_MAX), flags, share_buffers);
	}
	if (in)
		lx_file_put(in);
	if (out)
		lx_file_put(out);
	return n;
}

/* -- splice ------------------------------------------------------------------------------- */

/* Files without a type (eventfd, timerfd...) and directories cannot be spliced. */
static bool can_splice(const struct lx_file *f)
{
	lx_mode_t type = f->inode->mode & S_IFMT;

	return type && type != S_IFDIR;
}

/* The file that is no pipe: where in it, and does the call make sense? */
static int file_position(struct lx_file *f, uaddr_t user, lx_off_t *value, lx_off_t **pos,
			 uint64_t len)
{
	*pos = NULL;
	if (user.v) {
		if (lx_copy_from_user(value, user, sizeof(*value)))
			return -EFAULT;
		if (!(f->mode & LX_FMODE_SEEK))
			return -EINVAL;
		*pos = value;
	} else if (f->mode & LX_FMODE_SEEK) {
		*value = atomic_load(&f->pos);
		*pos = value;
	}
	if ((int64_t)len < 0 || (*pos && *value < 0))
		return -EINVAL;
	return can_splice(f) ? 0 : -EINVAL;
}

static int position_done(struct lx_file *f, uaddr_t user, const lx_off_t *pos)
{
	if (!pos)
		return 0;
	if (user.v)
		return lx_copy_to_user(user, pos, sizeof(*pos));
	atomic_store(&f->pos, *pos);
	return 0;
}

static int64_t splice_files(struct lx_task *self, struct lx_file *in, uaddr_t in_off,
			    struct lx_file *out, uaddr_t out_off, size_t len, unsigned int flags)
{
	struct lx_pipe *from = lx_pipe_of(in), *to = lx_pipe_of(out);
	struct lx_file *file = from ? out : in;
	uaddr_t user = from ? out_off : in_off;
	lx_off_t value, *pos;
	int64_t n;

	if ((from && in_off.v) || (to && out_off.v))
		return -ESPIPE;
	if (!(in->mode & LX_FMODE_READ) || !(out->mode & LX_FMODE_WRITE))
		return -EBADF;
	if (!from && !to)
		return -EINVAL;
	if ((from && is_nonblock(in)) || (to && is_nonblock(out)))
		flags |= SPLICE_F_NONBLOCK;
	if (from && to)
		return from == to ? -EINVAL
				  : between_pipes(from, to, MIN(len, SPLICE_MAX), flags, move_buffers);

	n = file_position(file, user, &value, &pos, len);
	if (n)
		return n;
	len = MIN(len, SPLICE_MAX);
	if (to)
		n = lx_splice_to_pipe(self, in, pos, to, len, flags);
	else if (atomic_load_explicit(&out->flags, memory_order_relaxed) & O_APPEND)
		n = -EINVAL;
	else
		n = from_pipe(self, from, out, pos, len, flags);
	if (n > 0 && position_done(file, user, pos))
		n = -EFAULT;
	return n;
}

long lx_sys_splice(struct lx_task *self, int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off,
		   size_t len, unsigned int flags)
{
	struct lx_file *in, *out;
	long n = -EBADF;

	if (!len)
		return 0;
	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	in = lx_fd_get(self, in_fd);
	out = lx_fd_get(self, out_fd);
	if (in && out)
		n = splice_files(self, in, in_off, out, out_off, len, flags);
	if (in)
		lx_file_put(in);
	if (out)
		lx_file_put(out);
	return n;
}

/* -- vmsplice ----------------------------------------------------------------------------- */

/* Until the pipe is full or empty; a signal or a hole in the program's memory ends it, too. */
static int64_t vmsplice_copy(struct lx_pipe *p, struct lx_iter *it, bool write, unsigned int flags)
{
	int64_t done = 0;
	int st;

	rt_mutex_lock(&p->lock);
	st = write ? wait_for_room(p, flags) : wait_for_data(p, flags);
	if (!write && st >= 0)
		st = st ? 0 : 1;
	while (!st && it->count) {
		bool full = pipe_is_full(p), empty = pipe_is_empty(p);

		if (write ? full || !p->readers : empty || p->draining)
			break;
		st = write ? pipe_write_one(p, it, false, &done) : pipe_read_one(p, it, &done);
		if (write && !st && (empty || p->polled))
			pipe_wake_readers(p);
		if (!write && full && !pipe_is_full(p))
			pipe_wake_writers(p);
		if (st == -EFAULT) {
			rt_mutex_unlock(&p->lock);
			st = lx_iter_fault_in(it, !write);
			rt_mutex_lock(&p->lock);
		}
	}
	/* Sleepers are woken one at a time: pass on what we leave. */
	if (write && !pipe_is_full(p))
		pipe_wake_writers(p);
	if (!write && !pipe_is_empty(p))
		pipe_wake_readers(p);
	rt_mutex_unlock(&p->lock);
	if (st == -EPIPE)
		lx_send_sigpipe();
	return done ? done : MIN(st, 0);
}

long lx_sys_vmsplice(struct lx_task *self, int fd, uaddr_t iov, unsigned long nr,
		     unsigned int flags)
{
	struct lx_file *f;
	struct lx_iter it;
	long n;

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	f = lx_fd_get_mode(self, fd, LX_FMODE_READ | LX_FMODE_WRITE);
	if (!f)
		return -EBADF;
	n = lx_iter_import(&it, iov, nr);
	if (!n) {
		if (!it.count)
			n = 0;
		else if (!lx_pipe_of(f))
			n = -EBADF;
		else
			n = vmsplice_copy(lx_pipe_of(f), &it, f->mode & LX_FMODE_WRITE, flags);
		lx_iter_free(&it);
	}
	lx_file_put(f);
	return n;
}
