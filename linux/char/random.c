/* SPDX-License-Identifier: MIT */
/*
 * /dev/random, /dev/urandom and getrandom(2): one generator, the kernel's, which
 * is seeded before any program runs.  So nothing blocks, as on Linux from 5.6 on
 * once its generator is seeded.
 */

#include <linux/capability.h>
#include <linux/random.h>

#include "char_priv.h"
#include "lx/iter.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "rt/random.h"

#define CHUNK		256u
#define SIGNAL_CHUNK	4096u
#define POOL_BITS	256		/* what Linux says once it is seeded */

static int64_t fill(struct lx_iter *to)
{
	uint8_t buf[CHUNK];
	int64_t done = 0;

	while (to->count) {
		size_t n = MIN(to->count, (uint64_t)sizeof(buf)), put = 0;

		rt_random(buf, n);
		while (put < n) {
			put += lx_iter_put(to, buf + put, n - put);
			if (put < n && lx_iter_fault_in(to, true)) {
				done += (int64_t)put;
				memset(buf, 0, sizeof(buf));
				return done ? done : -EFAULT;
			}
		}
		done += (int64_t)n;
		if (to->count && done % SIGNAL_CHUNK == 0 && lx_signal_pending(lx_self()))
			break;
	}
	memset(buf, 0, sizeof(buf));
	__asm__ volatile("" : : "r"(buf) : "memory");	/* the clearing is not dead code */
	return done;
}

static int64_t random_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return fill(to);
}

/* Contributions are welcome and not needed: the generator reseeds itself. */
static int64_t random_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	int64_t n = (int64_t)from->count;

	lx_iter_advance(from, from->count);
	return n;
}

static long random_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	int bits = POOL_BITS;

	switch (cmd) {
	case RNDGETENTCNT:
		return lx_copy_to_user(uaddr(arg), &bits, sizeof(bits));
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return lx_capable(lx_self(), CAP_SYS_ADMIN) ? 0 : -EPERM;
	default:
		return -EINVAL;
	}
}

static lx_off_t random_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	return 0;
}

const struct lx_file_ops random_file_ops = {
	.read = random_read, .write = random_write, .ioctl = random_ioctl, .llseek = random_llseek,
};

long lx_sys_getrandom(struct lx_task *self, uaddr_t buf, size_t count, unsigned int flags)
{
	struct lx_iter to;

	if (flags & ~(unsigned int)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	lx_iter_init_user(&to, buf, MIN(count, (size_t)0x7ffff000));
	return fill(&to);
}
