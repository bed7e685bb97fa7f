/* SPDX-License-Identifier: MIT */
/*
 * /dev/fuse: where a server reads requests and writes answers, a whole one at a time.
 */

#include <asm/poll.h>

#include "abi/calls.h"
#include "char/char_priv.h"
#include "fuse.h"
#include "lx/mm.h"

#define MISC_MAJOR	10u
#define FUSE_MINOR	229u

/* The file's private: its connection, once it is mounted; a reference. */
static struct fuse_conn *conn_of(struct lx_file *f)
{
	struct fuse_conn *c;

	rt_mutex_lock(&f->lock);
	c = f->private ? fuse_conn_get(f->private) : NULL;
	rt_mutex_unlock(&f->lock);
	return c;
}

/* -- reading ----------------------------------------------------------------------------- */

/* All of @n bytes, whatever faults on the way: 0 or -EFAULT. */
static int put_all(struct lx_iter *to, const void *src, size_t n)
{
	while (n) {
		size_t done = lx_iter_put(to, src, n);

		src = (const char *)src + done;
		n -= done;
		if (n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return 0;
}

static int get_all(struct lx_iter *from, void *dst, size_t n)
{
	while (n) {
		size_t done = lx_iter_get(from, dst, n);

		dst = (char *)dst + done;
		n -= done;
		if (n && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	return 0;
}

/* Connection locked: is there something to read? */
static bool has_work(const struct fuse_conn *c)
{
	return !list_is_empty(&c->interrupts) || !list_is_empty(&c->forgets) ||
	       !list_is_empty(&c->pending);
}

/* Wait for work; returns with the connection locked (0), or not. */
static int lock_with_work(struct fuse_conn *c, bool nonblock)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err = 0;

	for (;;) {
		rt_mutex_lock(&c->lock);
		if (has_work(c))
			return 0;
		if (!c->connected)
			err = -ENODEV;
		else if (nonblock)
			err = -EAGAIN;
		if (err) {
			rt_mutex_unlock(&c->lock);
			return err;
		}
		lx_wait_entry_init(&entry, self);
		entry.exclusive = true;
		lx_wait_prepare(self);
		lx_waitq_add(&c->readers, &entry);
		rt_mutex_unlock(&c->lock);
		err = lx_wait_block(self, K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
		err = lx_wait_finish(&c->readers, &entry, err);
		if (err)
			return err;
	}
}

/* Locked before, not after. */
static int64_t read_interrupt(struct fuse_conn *c, struct lx_iter *to)
{
	struct fuse_req *r = list_first_entry(&c->interrupts, struct fuse_req, intr_link);
	struct {
		struct fuse_in_header head;
		struct fuse_interrupt_in arg;
	} m = { .head = { .len = sizeof(m), .opcode = FUSE_INTERRUPT,
			  .unique = r->in->unique | 1 },
		.arg = { .unique = r->in->unique } };

	list_remove(&r->intr_link);
	list_init(&r->intr_link);
	rt_mutex_unlock(&c->lock);
	return put_all(to, &m, sizeof(m)) ? -EFAULT : (int64_t)sizeof(m);
}

static int64_t read_forget(struct fuse_conn *c, struct lx_iter *to)
{
	struct fuse_forget *f = list_first_entry(&c->forgets, struct fuse_forget, link);
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in arg;
	} m = { .head = { .len = sizeof(m), .opcode = FUSE_FORGET, .nodeid = f->nodeid },
		.arg = { .nlookup = f->nlookup } };

	list_remove(&f->link);
	c->next_unique += 2;
	m.head.unique = c->next_unique;
	rt_mutex_unlock(&c->lock);
	rt_free(f);
	return put_all(to, &m, sizeof(m)) ? -EFAULT : (int64_t)sizeof(m);
}

/* 0: the request did not fit and has failed; look again. */
static int64_t read_request(struct fuse_conn *c, struct lx_iter *to)
{
	struct fuse_req *r = list_first_entry(&c->pending, struct fuse_req, link);
	int64_t n = (int64_t)r->in->len;

	if ((uint64_t)n > to->count) {
		fuse_req_end_locked(r, r->in->opcode == FUSE_SETXATTR ? -E2BIG : -EIO);
		rt_mutex_unlock(&c->lock);
		return 0;
	}
	atomic_fetch_add(&r->refs, 1);
	list_remove(&r->link);
	list_add_last(&c->sent, &r->link);
	r->state = FUSE_SENT;
	if (r->interrupted)
		list_add_last(&c->interrupts, &r->intr_link);
	rt_mutex_unlock(&c->lock);
	if (put_all(to, r->in, (size_t)n))
		n = -EFAULT;
	rt_mutex_lock(&c->lock);
	if (n < 0 && r->state == FUSE_SENT)
		fuse_req_end_locked(r, -EIO);
	rt_mutex_unlock(&c->lock);
	fuse_req_put(r);
	return n;
}

static int64_t dev_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct fuse_conn *c = conn_of(f);
	int64_t n;

	if (!c)
		return -EPERM;
	n = to->count < FUSE_MIN_BUFFER ? -EINVAL : 0;
	while (!n) {
		n = lock_with_work(c, atomic_load(&f->flags) & O_NONBLOCK);
		if (n)
			break;
		if (!list_is_empty(&c->interrupts))
			n = read_interrupt(c, to);
		else if (!list_is_empty(&c->pending))
			n = read_request(c, to);
		else
			n = read_forget(c, to);
	}
	fuse_conn_put(c);
	return n;
}

/* -- writing ----------------------------------------------------------------------------- */

static struct fuse_req *find_sent_locked(struct fuse_conn *c, uint64_t unique)
{
	struct fuse_req *r;

	list_for_each_entry(r, &c->sent, link)
		if (r->in->unique == unique)
			return r;
	return NULL;
}

/* Nobody wants the answer any more: undo what it makes the server keep. */
static void undo_answer(struct fuse_conn *c, struct fuse_req *r)
{
	const struct fuse_entry_out *e = r->out;

	switch (r->in->opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_CREATE:
		if (e->nodeid)
			fuse_forget_entry(c, e->nodeid);
		break;
	}
}

/* The payload of an answer into the request; the request's new error. */
static int take_answer(struct fuse_req *r, const struct fuse_out_header *h, struct lx_iter *from)
{
	size_t n = h->len - sizeof(*h);

	if (h->error <= -1000 || h->error > 0)
		return -EIO;
	if (h->error)
		return n ? -EIO : h->error;
	if (n > r->out_size || (r->out_exact && n != r->out_size))
		return -EIO;
	if (get_all(from, r->out, n))
		return -EFAULT;
	r->out_len = n;
	return 0;
}

static int64_t answer(struct fuse_conn *c, const struct fuse_out_header *h, struct lx_iter *from)
{
	struct fuse_req *r;
	bool unwanted;
	int err;

	if (h->unique & 1) {			/* of an interrupt: EAGAIN asks for another, ENOSYS for none */
		if (h->error == -ENOSYS)
			atomic_fetch_or(&c->missing, FUSE_NO_INTERRUPT);
		return h->len;
	}
	rt_mutex_lock(&c->lock);
	r = find_sent_locked(c, h->unique);
	if (!r) {
		rt_mutex_unlock(&c->lock);
		return -ENOENT;
	}
	/* Off the list: no second answer gets at it.  The list's reference is ours now. */
	r->state = FUSE_ANSWERING;
	list_remove(&r->link);
	list_init(&r->link);
	rt_mutex_unlock(&c->lock);
	err = take_answer(r, h, from);
	rt_mutex_lock(&c->lock);
	unwanted = r->given_up;
	atomic_fetch_add(&r->refs, 1);
	fuse_req_end_locked(r, err == -EFAULT ? -EIO : err);
	if (r->done && !err)
		r->done(c, r);
	rt_mutex_unlock(&c->lock);
	if (unwanted && !err)
		undo_answer(c, r);
	fuse_req_put(r);
	if (err == -EFAULT)
		return err;
	return err == -EIO && h->error != -EIO ? -EINVAL : (int64_t)h->len;
}

static int64_t dev_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct fuse_conn *c = conn_of(f);
	struct fuse_out_header h;
	int64_t n = (int64_t)from->count;

	if (!c)
		return -EPERM;
	if (from->count < sizeof(h))
		n = -EINVAL;
	else if (get_all(from, &h, sizeof(h)))
		n = -EFAULT;
	else if (h.len != (uint64_t)n)
		n = -EINVAL;
	else if (!h.unique)
		n = -ENOSYS;		/* notifications: what we cache lasts as long as it was said to */
	else
		n = answer(c, &h, from);
	fuse_conn_put(c);
	return n;
}

/* -- the rest ------------------------------------------------------------------------------ */

static uint32_t dev_poll(struct lx_file *f, struct lx_poll *p)
{
	struct fuse_conn *c = conn_of(f);
	uint32_t mask = POLLOUT | POLLWRNORM;

	if (!c)
		return POLLERR;
	lx_poll_wait(p, f, &c->readers);
	rt_mutex_lock(&c->lock);
	if (!c->connected)
		mask = POLLERR;
	else if (has_work(c))
		mask |= POLLIN | POLLRDNORM;
	rt_mutex_unlock(&c->lock);
	fuse_conn_put(c);
	return mask;
}

static int dev_open(struct lx_inode *inode, struct lx_file *f)
{
	f->private = NULL;
	return 0;
}

/* The server is gone, or does not want to serve any more. */
static void dev_release(struct lx_file *f)
{
	struct fuse_conn *c = f->private;

	if (!c)
		return;
	fuse_conn_abort(c);
	fuse_conn_put(c);
}

static const struct lx_file_ops dev_ops = {
	.open = dev_open, .read = dev_read, .write = dev_write, .poll = dev_poll,
	.release = dev_release,
};

int fuse_dev_attach(struct lx_file *f, struct fuse_conn *c)
{
	int err = 0;

	if (f->ops != &dev_ops)
		return -EINVAL;
	rt_mutex_lock(&f->lock);
	if (f->private)
		err = -EINVAL;
	else
		f->private = fuse_conn_get(c);
	rt_mutex_unlock(&f->lock);
	return err;
}

int fuse_dev_init(void)
{
	int err = lx_chrdev_register(MISC_MAJOR, FUSE_MINOR, 1, "misc", &dev_ops);

	return err ? err : lx_devtmpfs_create("fuse", S_IFCHR | 0666, LX_MKDEV(MISC_MAJOR, FUSE_MINOR));
}
