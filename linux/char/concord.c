/* SPDX-License-Identifier: MIT */
/*
 * /dev/concord: control over the components below, for root, in a personality to
 * which the description grants it.
 *
 * A write is one request and a read fetches its reply (abi/control.h); both pass through
 * here as they are.  What they mean is between the program (tools/conctl) and init.
 * Linux has no such device; its place is among the miscellaneous ones.
 */

#include <linux/capability.h>
#include <linux/stat.h>

#include "abi/calls.h"
#include "char_priv.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/system.h"
#include "lx/task.h"
#include "rt/lock.h"
#include "rt/time.h"

#define MISC_MAJOR	10u
#define CONCORD_MINOR	120u
#define PATIENCE_NS	10000000000ull

struct conversation {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF: nothing sleeps under it */
	uint32_t length;		/* lock: of the reply that nobody has read; 0: none */
	uint8_t reply[K_MESSAGE_MAX_BYTES];	/* lock */
};

static int concord_open(struct lx_inode *inode, struct lx_file *f)
{
	struct conversation *c;

	if (!lx_capable(lx_self(), CAP_SYS_ADMIN))
		return -EPERM;
	c = rt_zalloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	rt_mutex_init(&c->lock, LX_LOCK_LEAF);
	f->private = c;
	return 0;
}

static void concord_release(struct lx_file *f)
{
	rt_free(f->private);
}

static int status_errno(k_status_t st)
{
	switch (st) {
	case K_OK:
		return 0;
	case K_ERR_KICKED:
		return -EINTR;
	case K_ERR_TIMED_OUT:
		return -ETIMEDOUT;
	case K_ERR_NO_MEMORY:
	case K_ERR_LIMIT:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int64_t concord_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct conversation *c = f->private;
	uint8_t request[K_MESSAGE_MAX_BYTES], answer[K_MESSAGE_MAX_BYTES];
	size_t n = from->count, got = 0;
	struct k_message out = { .data = (uint64_t)request },
			 in = { .data = (uint64_t)answer, .length = sizeof(answer) };
	k_status_t st;

	if (n > sizeof(request))
		return -EMSGSIZE;
	while (got < n) {
		got += lx_iter_get(from, request + got, n - got);
		if (got < n && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	out.length = (uint32_t)n;
	st = k_channel_call(lx_system.control, &out, &in, rt_now_ns() + PATIENCE_NS);
	if (st != K_OK)
		return status_errno(st);
	rt_mutex_lock(&c->lock);
	memcpy(c->reply, answer, in.length);
	c->length = in.length;
	rt_mutex_unlock(&c->lock);
	return (int64_t)n;
}

/* The whole reply, or what fits of it; 0: there is none (any more). */
static int64_t concord_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct conversation *c = f->private;
	uint8_t reply[K_MESSAGE_MAX_BYTES];
	size_t n, put = 0;

	rt_mutex_lock(&c->lock);
	n = MIN((uint64_t)c->length, to->count);
	memcpy(reply, c->reply, n);
	c->length = 0;
	rt_mutex_unlock(&c->lock);
	while (put < n) {
		put += lx_iter_put(to, reply + put, n - put);
		if (put < n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return (int64_t)n;
}

static const struct lx_file_ops ops = {
	.open = concord_open, .release = concord_release, .read = concord_read,
	.write = concord_write,
};

int concord_init(void)
{
	const lx_dev_t dev = LX_MKDEV(MISC_MAJOR, CONCORD_MINOR);
	int err;

	if (!lx_system.control)
		return 0;
	err = lx_chrdev_register(MISC_MAJOR, CONCORD_MINOR, 1, "misc", &ops);
	if (!err)
		err = lx_devtmpfs_create("concord", S_IFCHR | 0600, dev);
	return err ? err : lx_class_device("misc", "concord", dev);
}
