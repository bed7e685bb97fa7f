/* SPDX-License-Identifier: MIT */
/*
 * Requests of loop devices, done on the file by the device's thread.
 *
 * A request lies on the stack of who waits for it.  It is told by a word of the device, not of
 * the request, that requests were done: the request may be gone when the wake-up is made.
 */
#include <linux/falloc.h>

#include "base/format.h"
#include "block/loop.h"
#include "lx/task.h"
#include "vfs/vfs_priv.h"

struct loop_request {
	struct list link;		/* loop.queue_lock */
	enum lx_io_kind kind;
	uint64_t off, n;
	struct lx_iter *data;		/* memory of ours */
	int err;			/* valid once done */
	_Atomic(bool) done;		/* release: pairs with the acquire of who waits */
};

/* -- the thread's side */

static int do_read(struct lx_file *f, uint64_t at, struct lx_iter *to)
{
	lx_off_t off = (lx_off_t)at;

	while (to->count) {
		int64_t got = f->ops->read ? f->ops->read(f, to, &off) : -EINVAL;

		if (got < 0)
			return -EIO;
		if (!got)		/* the file became shorter */
			lx_iter_zero(to, (size_t)to->count);
	}
	return 0;
}

static int do_write(struct lx_file *f, uint64_t at, struct lx_iter *from)
{
	lx_off_t off = (lx_off_t)at;

	while (from->count) {
		int64_t got = f->ops->write ? f->ops->write(f, from, &off) : -EINVAL;

		if (got <= 0)
			return got == -ENOSPC ? -ENOSPC : -EIO;
	}
	return 0;
}

static int do_request(struct lx_file *f, uint64_t offset, const struct loop_request *r)
{
	uint64_t off = offset + r->off;

	switch (r->kind) {
	case LX_IO_READ:
		return do_read(f, off, r->data);
	case LX_IO_WRITE:
		return do_write(f, off, r->data);
	case LX_IO_FLUSH:
		return f->ops->fsync ? f->ops->fsync(f, 0, INT64_MAX, true) : 0;
	default:
		if (!f->ops->fallocate)
			return -EOPNOTSUPP;
		return f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (lx_off_t)off,
					 (lx_off_t)r->n);
	}
}

static void tell(_Atomic(uint32_t) *word)
{
	atomic_fetch_add(word, 1);
	rt_wake(word, UINT32_MAX);
}

static void work(void *arg)
{
	struct loop *l = arg;

	for (;;) {
		uint32_t posted = atomic_load(&l->posted);
		struct loop_request *r;
		struct lx_file *f;
		uint64_t offset;

		rt_mutex_lock(&l->queue_lock);
		r = list_pop_entry(&l->queue, struct loop_request, link);
		f = l->file_now;
		offset = l->offset;
		if (!r && !f)
			l->running = false;
		rt_mutex_unlock(&l->queue_lock);
		if (!r && !f)
			break;
		if (!r) {
			rt_wait(&l->posted, posted, K_DEADLINE_NEVER, false);
			continue;
		}
		r->err = f ? do_request(f, offset, r) : -EIO;
		atomic_store_explicit(&r->done, true, memory_order_release);
		tell(&l->completed);
	}
	/* whoever stopped it waits; loops are never freed */
	tell(&l->completed);
}

void loop_init_queue(struct loop *l)
{
	rt_mutex_init(&l->queue_lock, LX_LOCK_WAITQ);
	list_init(&l->queue);
}

int loop_start(struct loop *l, struct lx_file *file, uint64_t offset)
{
	char name[16];

	snprintf(name, sizeof(name), "loop%u", l->number);
	rt_mutex_lock(&l->queue_lock);
	l->file_now = file;
	l->offset = offset;
	l->running = true;
	rt_mutex_unlock(&l->queue_lock);
	if (lx_kthread_create(name, work, l))
		return 0;
	rt_mutex_lock(&l->queue_lock);
	l->file_now = NULL;
	l->running = false;
	rt_mutex_unlock(&l->queue_lock);
	return -ENOMEM;
}

void loop_stop(struct loop *l)
{
	bool running;

	rt_mutex_lock(&l->queue_lock);
	l->file_now = NULL;
	rt_mutex_unlock(&l->queue_lock);
	tell(&l->posted);
	do {
		uint32_t completed = atomic_load(&l->completed);

		rt_mutex_lock(&l->queue_lock);
		running = l->running;
		rt_mutex_unlock(&l->queue_lock);
		if (running)
			rt_wait(&l->completed, completed, K_DEADLINE_NEVER, false);
	} while (running);
}

void loop_move(struct loop *l, uint64_t offset)
{
	rt_mutex_lock(&l->queue_lock);
	l->offset = offset;
	rt_mutex_unlock(&l->queue_lock);
}

/* -- the disk's side */

static int request(struct lx_disk *d, enum lx_io_kind kind, uint64_t off, struct lx_iter *data,
		   uint64_t n)
{
	struct loop_request r = { .kind = kind, .off = off, .data = data, .n = n };
	struct loop *l = loop_of(d);
	bool bound;

	rt_mutex_lock(&l->queue_lock);
	bound = l->file_now;
	if (bound)
		list_add_last(&l->queue, &r.link);
	rt_mutex_unlock(&l->queue_lock);
	if (!bound)
		return -EIO;
	tell(&l->posted);
	for (;;) {
		uint32_t completed = atomic_load(&l->completed);

		if (atomic_load_explicit(&r.done, memory_order_acquire))
			return r.err;
		rt_wait(&l->completed, completed, K_DEADLINE_NEVER, false);
	}
}

/* The thread has no program whose memory it could reach. */
static int transfer(struct lx_disk *d, enum lx_io_kind kind, uint64_t off, struct lx_iter *it, size_t n)
{
	uint64_t rest = it->count - n;
	int err;

	if (it->user)
		return -EFAULT;
	it->count = n;
	err = request(d, kind, off, it, n);
	it->count += rest;
	return err;
}

static int loop_read(struct lx_disk *d, uint64_t off, struct lx_iter *to, size_t n)
{
	return transfer(d, LX_IO_READ, off, to, n);
}

static int loop_write(struct lx_disk *d, uint64_t off, struct lx_iter *from, size_t n)
{
	return transfer(d, LX_IO_WRITE, off, from, n);
}

static int loop_flush(struct lx_disk *d)
{
	return request(d, LX_IO_FLUSH, 0, NULL, 0);
}

static int loop_punch(struct lx_disk *d, uint64_t off, uint64_t n)
{
	return request(d, LX_IO_DISCARD, off, NULL, n);
}

const struct lx_disk_ops loop_ops = {
	.read = loop_read, .write = loop_write, .flush = loop_flush, .discard = loop_punch,
	.zero = loop_punch, .idle = loop_idle, .ioctl = loop_ioctl,
};
