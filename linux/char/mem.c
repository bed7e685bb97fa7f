/* SPDX-License-Identifier: MIT */
/*
 * /dev/null, /dev/zero, /dev/full, and the table of all devices of major 1.
 * There is no /dev/mem, /dev/kmem and /dev/port: nobody may touch what is behind.
 */

#include <asm/poll.h>
#include <linux/stat.h>

#include "char_priv.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "lx/signal.h"
#include "lx/task.h"

#define SIGNAL_CHUNK	65536u		/* bytes between two looks for a fatal signal */

static int64_t null_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return 0;
}

static int64_t null_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	int64_t n = (int64_t)from->count;

	lx_iter_advance(from, from->count);
	return n;
}

static lx_off_t null_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	f->pos = 0;
	return 0;
}

static int64_t zero_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	int64_t done = 0;

	while (to->count) {
		size_t want = MIN(to->count, (uint64_t)SIGNAL_CHUNK);
		size_t n = lx_iter_zero(to, want);

		done += (int64_t)n;
		if (n < want && lx_iter_fault_in(to, true))
			return done ? done : -EFAULT;
		if (to->count && lx_signal_pending(lx_self()))
			break;
	}
	return done;
}

static int64_t full_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	return -ENOSPC;
}

/* A private mapping of zeros is anonymous memory. */
static int zero_mmap(struct lx_file *f, struct lx_mmap *m)
{
	m->memory = K_HANDLE_NONE;
	return 0;
}

static const struct lx_file_ops null_ops = {
	.read = null_read, .write = null_write, .llseek = null_llseek,
};

static const struct lx_file_ops zero_ops = {
	.read = zero_read, .write = null_write, .llseek = null_llseek, .mmap = zero_mmap,
};

static const struct lx_file_ops full_ops = {
	.read = zero_read, .write = full_write, .llseek = null_llseek,
};

static const struct mem_device {
	uint32_t minor;
	const char *name;
	lx_mode_t mode;
	const struct lx_file_ops *ops;
} devices[] = {
	{ NULL_MINOR, "null", 0666, &null_ops },
	{ ZERO_MINOR, "zero", 0666, &zero_ops },
	{ FULL_MINOR, "full", 0666, &full_ops },
	{ RANDOM_MINOR, "random", 0666, &random_file_ops },
	{ URANDOM_MINOR, "urandom", 0666, &random_file_ops },
	{ KMSG_MINOR, "kmsg", 0644, &kmsg_file_ops },
};

int lx_char_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		const struct mem_device *d = &devices[i];
		int err = lx_chrdev_register(MEM_MAJOR, d->minor, 1, "mem", d->ops);

		if (!err)
			err = lx_devtmpfs_create(d->name, S_IFCHR | d->mode,
						 LX_MKDEV(MEM_MAJOR, d->minor));
		if (!err)
			err = lx_class_device("mem", d->name, LX_MKDEV(MEM_MAJOR, d->minor));
		if (err)
			return err;
	}
	return concord_init();
}
