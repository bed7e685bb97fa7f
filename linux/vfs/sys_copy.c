/* SPDX-License-Identifier: MIT */
/*
 * Copies from file to file without the program: sendfile, copy_file_range.  (By way of a
 * pipe: ipc/splice.c.)
 */
#include "lx/mm.h"
#include "lx/pipe.h"
#include "lx/signal.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

#define COPY_CHUNK		(64u * 1024)
#define MAX_COPY		((size_t)0x7ffff000)	/* no call copies more */
#define SPLICE_F_NONBLOCK	2u

/*
 * Copy at most @count bytes, by way of a buffer of ours.  @in_pos, @out_pos: NULL for
 * files without position.  Returns what arrived, or the first error if nothing did.
 */
static int64_t copy_between(struct lx_task *self, struct lx_file *in, lx_off_t *in_pos,
			    struct lx_file *out, lx_off_t *out_pos, uint64_t count)
{
	char *buf = rt_alloc(MIN(count, (uint64_t)COPY_CHUNK) + 1);
	int64_t total = 0, n = 0;

	if (!buf)
		return -ENOMEM;
	while (count) {
		struct lx_iter it;
		int64_t wrote;

		lx_iter_init_kernel(&it, buf, MIN(count, (uint64_t)COPY_CHUNK));
		n = lx_file_read(self, in, &it, in_pos);
		if (n <= 0)
			break;
		lx_iter_init_kernel(&it, buf, (uint64_t)n);
		wrote = lx_file_write(self, out, &it, out_pos);
		if (wrote < n && in_pos)
			*in_pos -= n - MAX(wrote, (int64_t)0);	/* what did not arrive was not read */
		if (wrote < 0)
			n = wrote;
		if (wrote <= 0)
			break;
		total += wrote;
		count -= (uint64_t)wrote;
		if (wrote < n || lx_signal_pending(self))
			break;
	}
	rt_free(buf);
	return total ? total : MIN(n, (int64_t)0);
}

/* The position that the program gave at @user, or the file's own. */
struct copy_pos {
	uaddr_t user;
	lx_off_t value;
	lx_off_t *use;			/* NULL: the file has none */
};

static int pos_begin(struct copy_pos *p, struct lx_file *f, uaddr_t user)
{
	p->user = user;
	p->use = NULL;
	if (user.v) {
		if (lx_copy_from_user(&p->value, user, sizeof(p->value)))
			return -EFAULT;
		if (!(f->mode & LX_FMODE_SEEK))
			return -ESPIPE;
		if (p->value < 0)
			return -EINVAL;
		p->use = &p->value;
	} else if (f->mode & LX_FMODE_SEEK) {
		p->value = atomic_load(&f->pos);
		p->use = &p->value;
	}
	return 0;
}

static int pos_end(struct copy_pos *p, struct lx_file *f)
{
	if (p->user.v)
		return lx_copy_to_user(p->user, &p->value, sizeof(p->value));
	if (p->use)
		atomic_store(&f->pos, p->value);
	return 0;
}

/* The two sides of a copy, while a call makes it. */
struct copy {
	struct lx_file *in, *out;	/* references, or NULL */
	struct copy_pos ip, op;
};

/* The files and positions that the program named; copy_put(), also after an error. */
static long copy_get(struct lx_task *self, struct copy *c, int in_fd, uaddr_t in_off, int out_fd,
		     uaddr_t out_off)
{
	long err;

	c->in = lx_fd_get_mode(self, in_fd, LX_FMODE_READ);
	c->out = lx_fd_get_mode(self, out_fd, LX_FMODE_WRITE);
	if (!c->in || !c->out)
		return -EBADF;
	err = pos_begin(&c->ip, c->in, in_off);
	return err ? err : pos_begin(&c->op, c->out, out_off);
}

static void copy_put(struct copy *c)
{
	if (c->in)
		lx_file_put(c->in);
	if (c->out)
		lx_file_put(c->out);
}

/* Both positions go on behind what was copied: 0, or -EFAULT. */
static int copy_moved(struct copy *c)
{
	int err = pos_end(&c->op, c->out);

	return pos_end(&c->ip, c->in) || err ? -EFAULT : 0;
}

long lx_sys_sendfile(struct lx_task *self, int out_fd, int in_fd, uaddr_t offset, size_t count)
{
	struct copy c;
	long n = copy_get(self, &c, in_fd, offset, out_fd, UADDR_NULL);

	if (!n && (int64_t)count < 0)
		n = -EINVAL;
	if (!n && (!(c.in->mode & LX_FMODE_SEEK) || !c.in->ops->read ||
		   (atomic_load(&c.out->flags) & O_APPEND) || !c.out->ops->write))
		n = -EINVAL;		/* sockets and pipes cannot be the source */
	if (n)
		goto put;
	count = MIN(count, MAX_COPY);
	if (lx_pipe_of(c.out))
		/* what there is room for, as splice(2) does it */
		n = lx_splice_to_pipe(self, c.in, c.ip.use, lx_pipe_of(c.out), count,
				      atomic_load(&c.out->flags) & O_NONBLOCK ? SPLICE_F_NONBLOCK
									      : 0);
	else
		n = copy_between(self, c.in, c.ip.use, c.out, c.op.use, count);
	if (n >= 0 && copy_moved(&c))
		n = -EFAULT;
put:
	copy_put(&c);
	return n;
}

/* What copy_file_range(2) refuses; *@n bytes become what there is before the end of the file. */
static int check_range(const struct copy *c, uint64_t *n)
{
	const struct lx_inode *in = c->in->inode, *out = c->out->inode;
	uint64_t from = (uint64_t)c->ip.value, to = (uint64_t)c->op.value, size = in->size;
	uint64_t count = *n;

	if (lx_is_dir(in) || lx_is_dir(out))
		return -EISDIR;
	if (!lx_is_reg(in) || !lx_is_reg(out))
		return -EINVAL;
	if (in->sb != out->sb)
		return -EXDEV;
	if (atomic_load(&c->out->flags) & O_APPEND)
		return -EBADF;
	if (from + count < from || to + count < to)
		return -EOVERFLOW;
	count = *n = MIN(count, size - MIN(from, size));
	if (in == out && from < to + count && to < from + count)
		return -EINVAL;		/* overlapping */
	return 0;
}

long lx_sys_copy_file_range(struct lx_task *self, int in_fd, uaddr_t in_off, int out_fd,
			    uaddr_t out_off, size_t count, unsigned int flags)
{
	struct copy c;
	long n = copy_get(self, &c, in_fd, in_off, out_fd, out_off);

	if (!n)
		n = flags ? -EINVAL : check_range(&c, &count);
	if (n || !count)
		goto put;
	n = copy_between(self, c.in, c.ip.use, c.out, c.op.use, MIN(count, MAX_COPY));
	if (n > 0 && copy_moved(&c))
		n = -EFAULT;
put:
	copy_put(&c);
	return n;
}
