/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs.
 *
 * A pipe is a ring of buffers, each a run of bytes in a page of its own, so that
 * splice(2) moves buffers from pipe to pipe without copying.  A write fills whole
 * pages, or adds to the last page when what it adds fits (which keeps many small
 * writes from using up the ring).  A read takes bytes from the tail.
 *
 * A write of at most PIPE_BUF bytes is atomic: it goes into one page, and the
 * buffer becomes visible when all of it was copied.  A copy that stops at program
 * memory that is not there leaves the ring as it was; the page is made accessible
 * with the lock dropped, and the copy starts again.
 *
 * Wake-ups happen when they can matter: readers when the ring was empty, writers
 * when it was full.  Sleepers are exclusive, and one that leaves something for the
 * next wakes the next.
 *
 * Invariants, pipe locked:
 *   (1) used = head - tail, used + reserved <= slots, and every used buffer has len > 0 and a page;
 *   (2) readers + writers <= 2 * users, users > 0.
 *
 * A FIFO is the same object, found through inode->pipe, which lives while the FIFO
 * is open.  lx_file.pos, which has no meaning for pipes, keeps what writer_count
 * was when a FIFO was opened for reading without blocking: poll(2) reports no
 * hang-up before the first writer came.
 */

#include <linux/fcntl.h>
#include <linux/capability.h>
#include <linux/stat.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>

#include "pipe_priv.h"
#include "lx/async.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "lx/syscall.h"

#define PIPE_MAX_BYTES	(1u << 31)

_Atomic(uint32_t) lx_pipe_max_size = 1u << 20;

static const struct lx_file_ops pipe_ops;

/* -- pages ------------------------------------------------------------------- */

static void page_free(struct lx_pipe_page *page)
{
	rt_free(page->data);
	rt_free(page);
}

struct lx_pipe_page *pipe_page_get(struct lx_pipe *p)
{
	struct lx_pipe_page *page = p->spare;

	if (page) {
		p->spare = NULL;
		return page;
	}
	return pipe_page_new();
}

struct lx_pipe_page *pipe_page_new(void)
{
	struct lx_pipe_page *page = rt_alloc(sizeof(*page));

	if (!page)
		return NULL;
	page->data = rt_alloc(PIPE_PAGE);
	if (!page->data) {
		rt_free(page);
		return NULL;
	}
	atomic_init(&page->refs, 1);
	return page;
}

void pipe_page_put(struct lx_pipe *p, struct lx_pipe_page *page)
{
	/* One reference: nobody else can find the page to take another. */
	if (atomic_load_explicit(&page->refs, memory_order_acquire) != 1 &&
	    atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1)
		return;
	atomic_store_explicit(&page->refs, 1, memory_order_relaxed);
	if (!p->spare)
		p->spare = page;
	else
		page_free(page);
}

void pipe_drop_tail(struct lx_pipe *p)
{
	struct lx_pipe_buf *buf = pipe_buf(p, p->tail);

	if (buf->page)
		pipe_page_put(p, buf->page);
	*buf = (struct lx_pipe_buf){ .page = NULL };
	p->tail++;
}

/* -- the pipe ------------------------------------------------------------------ */

static struct lx_pipe *pipe_create(void)
{
	struct lx_pipe *p = rt_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->bufs = rt_zalloc(PIPE_DEF_PAGES * sizeof(*p->bufs));
	if (!p->bufs) {
		rt_free(p);
		return NULL;
	}
	p->slots = PIPE_DEF_PAGES;
	p->writer_count = 1;
	rt_mutex_init(&p->lock, LX_LOCK_PIPE);
	lx_waitq_init(&p->readers_wait);
	lx_waitq_init(&p->writers_wait);
	return p;
}

static void pipe_destroy(struct lx_pipe *p)
{
	while (!pipe_is_empty(p))
		pipe_drop_tail(p);
	if (p->spare)
		page_free(p->spare);
	rt_free(p->bufs);
	rt_free(p);
}

void pipe_wake_readers(struct lx_pipe *p)
{
	if (!lx_waitq_empty(&p->readers_wait))
		lx_wake(&p->readers_wait, POLLIN | POLLRDNORM, 1);
}

void pipe_wake_writers(struct lx_pipe *p)
{
	if (!lx_waitq_empty(&p->writers_wait))
		lx_wake(&p->writers_wait, POLLOUT | POLLWRNORM, 1);
}

/* One end was opened or closed: everybody has to look again. */
static void pipe_wake_both(struct lx_pipe *p)
{
	lx_wake(&p->readers_wait, POLLIN | POLLRDNORM | POLLHUP | POLLERR, ~0u);
	lx_wake(&p->writers_wait, POLLOUT | POLLWRNORM | POLLHUP | POLLERR, ~0u);
}

int pipe_sleep(struct lx_pipe *p, struct lx_waitq *wq)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err;

	/* Queued before the pipe is unlocked: whoever changes it afterwards finds us. */
	lx_wait_entry_init_once(&entry, self);
	entry.exclusive = true;
	lx_wait_prepare(self);
	lx_waitq_add(wq, &entry);
	rt_mutex_unlock(&p->lock);
	err = lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
	err = lx_wait_finish(wq, &entry, err);
	rt_mutex_lock(&p->lock);
	return err;
}

void pipe_lock_two(struct lx_pipe *a, struct lx_pipe *b)
{
	rt_mutex_lock(a < b ? &a->lock : &b->lock);
	rt_mutex_lock_nested(a < b ? &b->lock : &a->lock);
}

void lx_send_sigpipe(void)
{
	struct lx_task *self = lx_self();
	struct lx_siginfo info = lx_siginfo_user(self, SIGPIPE, 0 /* SI_USER */);

	lx_signal_task(self, &info);
}

/* -- read ---------------------------------------------------------------------- */

/* See pipe_priv.h; inline here, where every read goes through it. */
static inline int read_one(struct lx_pipe *p, struct lx_iter *to, int64_t *done)
{
	struct lx_pipe_buf *buf = pipe_buf(p, p->tail);
	size_t n = MIN((uint64_t)buf->len, to->count);
	size_t got = lx_iter_put(to, buf->page->data + buf->offset, n);
	bool packet = buf->flags & PIPE_BUF_PACKET;

	if (got < n) {
		lx_iter_revert(to, got);
		return -EFAULT;
	}
	*done += (int64_t)n;
	buf->offset += (uint32_t)n;
	buf->len -= (uint32_t)n;
	if (packet || !buf->len)
		pipe_drop_tail(p);
	return packet || !to->count;
}

int pipe_read_one(struct lx_pipe *p, struct lx_iter *to, int64_t *done)
{
	return read_one(p, to, done);
}

static int64_t pipe_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct lx_pipe *p = f->private;
	bool wake_writers = false, slept = false, wake_next;
	int64_t done = 0;
	int err = 0;

	if (!to->count)
		return 0;
	rt_mutex_lock(&p->lock);
	for (;;) {
		if (!pipe_is_empty(p) && likely(!p->draining)) {
			bool was_full = pipe_is_full(p);
			int st = read_one(p, to, &done);

			wake_writers |= was_full && !pipe_is_full(p);
			if (st == 1)
				break;
			if (st < 0) {
				rt_mutex_unlock(&p->lock);
				err = lx_iter_fault_in(to, true);
				rt_mutex_lock(&p->lock);
				if (err)
					break;
			}
			continue;
		}
		if (done || (!p->writers && !p->draining))
			break;
		if (!p->draining &&
		    (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)) {
			err = -EAGAIN;
			break;
		}
		/* Room that we made is told before we sleep: the writer may wait for it. */
		if (wake_writers)
			pipe_wake_writers(p);
		wake_writers = false;
		err = pipe_sleep(p, &p->readers_wait);
		slept = true;
		if (err)
			break;
	}
	/* We were woken in the place of all readers: pass on what we leave. */
	wake_next = slept && (!pipe_is_empty(p) || !p->writers);
	rt_mutex_unlock(&p->lock);

	if (wake_writers)
		pipe_wake_writers(p);
	if (wake_next)
		pipe_wake_readers(p);
	return done ? done : err;
}

/* -- write --------------------------------------------------------------------- */

/* Add the odd bytes of a write to the last page, if all of them fit.  0 or -EFAULT. */
static int write_merge(struct lx_pipe *p, struct lx_iter *from, int64_t *done)
{
	size_t n = from->count & (PIPE_PAGE - 1);
	struct lx_pipe_buf *buf;
	size_t got;

	if (!n || pipe_is_empty(p))
		return 0;
	buf = pipe_buf(p, p->head - 1);
	if (!(buf->flags & PIPE_BUF_MERGE) || buf->offset + buf->len + n > PIPE_PAGE ||
	    atomic_load_explicit(&buf->page->refs, memory_order_acquire) != 1)
		return 0;
	got = lx_iter_get(from, buf->page->data + buf->offset + buf->len, n);
	if (got < n) {
		lx_iter_revert(from, got);
		return -EFAULT;
	}
	buf->len += (uint32_t)n;
	*done += (int64_t)n;
	return 0;
}

static inline int write_one(struct lx_pipe *p, struct lx_iter *from, bool packet, int64_t *done)
{
	size_t n = MIN((uint64_t)PIPE_PAGE, from->count);
	struct lx_pipe_page *page = pipe_page_get(p);
	size_t got;

	if (!page)
		return -ENOMEM;
	got = lx_iter_get(from, page->data, n);
	if (got < n) {
		lx_iter_revert(from, got);
		pipe_page_put(p, page);
		return -EFAULT;
	}
	*pipe_buf(p, p->head) = (struct lx_pipe_buf){
		.page = page, .len = (uint32_t)n,
		.flags = packet ? PIPE_BUF_PACKET : PIPE_BUF_MERGE,
	};
	p->head++;
	*done += (int64_t)n;
	return 0;
}

int pipe_write_one(struct lx_pipe *p, struct lx_iter *from, bool packet, int64_t *done)
{
	return write_one(p, from, packet, done);
}

static int64_t pipe_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_pipe *p = f->private;
	bool wake_readers = false, slept = false, wake_next, broken = false, merge = true;
	int64_t done = 0;
	int err = 0;

	if (!from->count)
		return 0;
	rt_mutex_lock(&p->lock);
	for (;;) {
		uint32_t flags = atomic_load_explicit(&f->flags, memory_order_relaxed);
		int64_t before = done;
		bool was_empty;

		if (!p->readers) {
			broken = true;
			err = -EPIPE;
			break;
		}
		was_empty = pipe_is_empty(p);
		if (merge) {
			err = write_merge(p, from, &done);
			if (!err)
				merge = false;	/* only the first bytes */
		}
		if (!err && from->count && !pipe_is_full(p))
			err = write_one(p, from, flags & O_DIRECT, &done);
		else if (!err && from->count && done == before) {
			if (flags & O_NONBLOCK) {
				err = -EAGAIN;
				break;
			}
			if (wake_readers)
				pipe_wake_readers(p);
			wake_readers = false;
			err = pipe_sleep(p, &p->writers_wait);
			slept = true;
			if (err)
				break;
			continue;
		}
		wake_readers |= done != before && (was_empty || p->polled);
		if (err == -EFAULT) {
			rt_mutex_unlock(&p->lock);
			err = lx_iter_fault_in(from, false);
			rt_mutex_lock(&p->lock);
		}
		if (err || !from->count)
			break;
	}
	wake_next = slept && !pipe_is_full(p);
	rt_mutex_unlock(&p->lock);

	if (wake_readers)
		pipe_wake_readers(p);
	if (wake_next)
		pipe_wake_writers(p);
	if (broken)
		lx_send_sigpipe();
	return done ? done : err;
}

/* -- poll, ioctl, fcntl ---------------------------------------------------------- */

static uint32_t pipe_poll(struct lx_file *f, struct lx_poll *poll)
{
	struct lx_pipe *p = f->private;
	uint32_t head, tail, mask = 0;

	if (poll && poll->queue) {
		WRITE_ONCE(p->polled, true);
		if (f->mode & LX_FMODE_READ)
			lx_poll_wait(poll, f, &p->readers_wait);
		if (f->mode & LX_FMODE_WRITE)
			lx_poll_wait(poll, f, &p->writers_wait);
	}
	/*
	 * Without the lock: we are queued before we look, and every change is
	 * followed by a wake-up, so that a stale answer is corrected.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	tail = READ_ONCE(p->tail);
	head = READ_ONCE(p->head);
	if (f->mode & LX_FMODE_READ) {
		if (head != tail)
			mask |= POLLIN | POLLRDNORM;
		if (!READ_ONCE(p->writers) && READ_ONCE(p->writer_count) != (uint64_t)f->pos)
			mask |= POLLHUP;
	}
	if (f->mode & LX_FMODE_WRITE) {
		if (head - tail + READ_ONCE(p->reserved) < READ_ONCE(p->slots))
			mask |= POLLOUT | POLLWRNORM;
		if (!READ_ONCE(p->readers))
			mask |= POLLERR;
	}
	return mask;
}

static long pipe_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct lx_pipe *p = f->private;
	int n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	rt_mutex_lock(&p->lock);
	for (uint32_t i = p->tail; i != p->head; i++)
		n += (int)pipe_buf(p, i)->len;
	rt_mutex_unlock(&p->lock);
	return lx_copy_to_user(uaddr(arg), &n, sizeof(n));
}

/* Make the ring @slots large (a power of two); -EBUSY when it holds more. */
static int pipe_resize(struct lx_pipe *p, uint32_t slots)
{
	struct lx_pipe_buf *bufs = rt_zalloc(slots * sizeof(*bufs));
	struct lx_pipe_buf *old;
	bool room;

	if (!bufs)
		return -ENOMEM;
	rt_mutex_lock(&p->lock);
	if (pipe_used(p) + p->reserved > slots) {
		rt_mutex_unlock(&p->lock);
		rt_free(bufs);
		return -EBUSY;
	}
	for (uint32_t i = 0; i < pipe_used(p); i++)
		bufs[i] = *pipe_buf(p, p->tail + i);
	p->head = pipe_used(p);
	p->tail = 0;
	room = slots > p->slots;
	old = p->bufs;
	p->bufs = bufs;
	p->slots = slots;
	rt_mutex_unlock(&p->lock);
	rt_free(old);
	if (room)
		pipe_wake_writers(p);
	return 0;
}

struct lx_pipe *lx_pipe_of(struct lx_file *f)
{
	return f->ops == &pipe_ops || f->ops == &lx_fifo_ops ? f->private : NULL;
}

long lx_pipe_fcntl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct lx_pipe *p = lx_pipe_of(f);
	uint32_t slots;
	int err;

	if (!p)
		return -EBADF;
	if (cmd == F_GETPIPE_SZ)
		return (long)READ_ONCE(p->slots) * PIPE_PAGE;
	if (cmd != F_SETPIPE_SZ || arg > PIPE_MAX_BYTES)
		return -EINVAL;
	slots = 1u << log2_up_u64(DIV_ROUND_UP(MAX(arg, 1ull), PIPE_PAGE));
	if (slots > READ_ONCE(p->slots) &&
	    (uint64_t)slots * PIPE_PAGE > atomic_load(&lx_pipe_max_size) &&
	    !lx_capable(lx_self(), CAP_SYS_RESOURCE))
		return -EPERM;
	err = pipe_resize(p, slots);
	return err ? err : (long)slots * PIPE_PAGE;
}

/* -- open and release -------------------------------------------------------------- */

/* One open file less.  The caller frees the pipe if this was the last user. */
static bool pipe_leave(struct lx_pipe *p, uint32_t fmode)
{
	bool wake, last;

	rt_mutex_lock(&p->lock);
	p->readers -= !!(fmode & LX_FMODE_READ);
	p->writers -= !!(fmode & LX_FMODE_WRITE);
	wake = !p->readers != !p->writers;
	rt_mutex_unlock(&p->lock);
	/* Still a user: whoever wakes must not find the last one gone, and the pipe with it. */
	if (wake)
		pipe_wake_both(p);
	rt_mutex_lock(&p->lock);
	last = --p->users == 0;
	rt_mutex_unlock(&p->lock);
	return last;
}

static void pipe_release(struct lx_file *f)
{
	if (pipe_leave(f->private, f->mode))
		pipe_destroy(f->private);
}

/*
 * The pipe of a FIFO, with one more user.  users and inode->pipe change together
 * under the inode's lock, so that the last close and a new open cannot miss
 * each other.
 */
static struct lx_pipe *fifo_get(struct lx_inode *inode)
{
	struct lx_pipe *p;

	rt_mutex_lock(&inode->lock);
	if (!inode->pipe)
		inode->pipe = pipe_create();
	p = inode->pipe;
	if (p) {
		rt_mutex_lock(&p->lock);
		p->users++;
		rt_mutex_unlock(&p->lock);
	}
	rt_mutex_unlock(&inode->lock);
	return p;
}

static void fifo_put(struct lx_inode *inode, struct lx_pipe *p, uint32_t fmode)
{
	bool last;

	rt_mutex_lock(&inode->lock);
	last = pipe_leave(p, fmode);
	if (last)
		inode->pipe = NULL;
	rt_mutex_unlock(&inode->lock);
	if (last)
		pipe_destroy(p);
}

static void fifo_release(struct lx_file *f)
{
	fifo_put(f->inode, f->private, f->mode);
}

/* Wait until the other end was opened since its count was @before.  Pipe locked. */
static int fifo_wait_partner(struct lx_pipe *p, const uint32_t *opens, uint32_t before,
			     struct lx_waitq *wq)
{
	int err = 0;

	while (*opens == before && !err)
		err = pipe_sleep(p, wq);
	return *opens == before ? err : 0;
}

/*
 * fifo(7): a reader waits for a writer and the other way round, unless
 * O_NONBLOCK: a reader then opens at once, a writer without reader gets ENXIO.
 * O_RDWR never waits.
 */
static int fifo_open(struct lx_inode *inode, struct lx_file *f)
{
	bool nonblock = f->flags & O_NONBLOCK;
	uint32_t fmode = f->mode & (LX_FMODE_READ | LX_FMODE_WRITE);
	struct lx_pipe *p = fifo_get(inode);
	uint32_t readers_seen, writers_seen;
	int err = 0;

	if (!p)
		return -ENOMEM;
	f->private = p;
	f->pos = 0;
	rt_mutex_lock(&p->lock);
	readers_seen = p->reader_count;
	writers_seen = p->writer_count;
	if (fmode == LX_FMODE_WRITE && nonblock && !p->readers) {
		rt_mutex_unlock(&p->lock);
		fifo_put(inode, p, 0);
		return -ENXIO;
	}
	if (fmode & LX_FMODE_READ) {
		p->readers++;
		p->reader_count++;
	}
	if (fmode & LX_FMODE_WRITE) {
		p->writers++;
		p->writer_count++;
	}
	/* Queued sleepers look at the counters: they see this open whenever they wake. */
	rt_mutex_unlock(&p->lock);
	pipe_wake_both(p);
	rt_mutex_lock(&p->lock);
	if (fmode == LX_FMODE_READ && !p->writers) {
		if (nonblock)
			f->pos = p->writer_count;
		else
			err = fifo_wait_partner(p, &p->writer_count, writers_seen,
						&p->readers_wait);
	} else if (fmode == LX_FMODE_WRITE && !p->readers && !nonblock) {
		err = fifo_wait_partner(p, &p->reader_count, readers_seen, &p->writers_wait);
	}
	rt_mutex_unlock(&p->lock);
	if (err)
		fifo_put(inode, p, fmode);
	return err;
}

static const struct lx_file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.async = lx_async_no_owner,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

const struct lx_file_ops lx_fifo_ops = {
	.open = fifo_open,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.async = lx_async_no_owner,
	.ioctl = pipe_ioctl,
	.release = fifo_release,
};

/* -- pipe(2) ------------------------------------------------------------------------- */

static int pipe_files(uint32_t flags, struct lx_file *file[2])
{
	struct lx_pipe *p = pipe_create();

	if (!p)
		return -ENOMEM;
	p->readers = p->writers = 1;
	p->users = 2;
	file[0] = lx_file_anon_mode("pipe", &pipe_ops, p, O_RDONLY | flags, LX_FMODE_READ,
				    S_IFIFO | 0600);
	if (!file[0]) {
		pipe_destroy(p);
		return -ENOMEM;
	}
	file[1] = lx_file_anon_twin(file[0], p, O_WRONLY | flags, LX_FMODE_WRITE);
	if (!file[1]) {
		pipe_leave(p, LX_FMODE_WRITE);
		lx_file_put(file[0]);
		return -ENOMEM;
	}
	return 0;
}

long lx_sys_pipe2(struct lx_task *self, uaddr_t fds, int flags)
{
	struct lx_file *file[2];
	int fd[2], err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	err = pipe_files((uint32_t)flags & (O_NONBLOCK | O_DIRECT), file);
	if (err)
		return err;
	err = fd[0] = lx_fd_reserve(self, 0, flags & O_CLOEXEC);
	if (err < 0)
		goto put_files;
	err = fd[1] = lx_fd_reserve(self, 0, flags & O_CLOEXEC);
	if (err < 0)
		goto unreserve_first;
	err = lx_copy_to_user(fds, fd, sizeof(fd));
	if (err)
		goto unreserve_both;
	lx_fd_publish(self, fd[0], file[0]);
	lx_fd_publish(self, fd[1], file[1]);
	return 0;

unreserve_both:
	lx_fd_unreserve(self, fd[1]);
unreserve_first:
	lx_fd_unreserve(self, fd[0]);
put_files:
	lx_file_put(file[0]);
	lx_file_put(file[1]);
	return err;
}

long lx_sys_pipe(struct lx_task *self, uaddr_t fds)
{
	return lx_sys_pipe2(self, fds, 0);
}
