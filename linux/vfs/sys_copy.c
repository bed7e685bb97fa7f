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

long lx_sys_sendfile(struct lx_task *self, int out_fd, int in_fd, uaddr_t offset, size_t count)
{
	struct lx_file *in = lx_fd_get_mode(self, in_fd, LX_FMODE_READ);
	struct lx_file *out = lx_fd_get_mode(self, out_fd, LX_FMODE_WRITE);
	struct copy_pos ip, op;
	long n = -EBADF;

	if (!in || !out)
		goto put;
	n = pos_begin(&ip, in, offset);
	if (!n)
		n = pos_begin(&op, out, UADDR_NULL);
	if (!n && (int64_t)count < 0)
		n = -EINVAL;
	if (!n && (!(in->mode & LX_FMODE_SEEK) || !in->ops->read ||
		   (atomic_load(&out->flags) & O_APPEND) || !out->ops->write))
		n = -EINVAL;		/* sockets and pipes cannot be the source */
	if (n)
		goto put;
	count = MIN(count, MAX_COPY);
	if (lx_pipe_of(out))
		/* what there is room for, as splice(2) does it */
		n = lx_splice_to_pipe(self, in, ip.use, lx_pipe_of(out), count,
				      atomic_load(&out->flags) & O_NONBLOCK ? SPLICE_F_NONBLOCK : 0);
	else
		n = copy_between(self, in, ip.use, out, op.use, count);
	if (n >= 0) {
		pos_end(&op, out);
		if (pos_end(&ip, in))
			n = -EFAULT;
	}
put:
	if (in)
		lx_file_put(in);
	if (out)
		lx_file_put(out);
	return n;
}

long lx_sys_copy_file_range(struct lx_task *self, int in_fd, uaddr_t in_off, int out_fd,
			    uaddr_t out_off, size_t count, unsigned int flags)
{
	struct lx_file *in = lx_fd_get_mode(self, in_fd, LX_FMODE_READ);
	struct lx_file *out = lx_fd_get_mode(self, out_fd, LX_FMODE_WRITE);
	struct copy_pos ip, op;
	long n = -EBADF;

	if (!in || !out)
		goto put;
	n = pos_begin(&ip, in, in_off);
	if (!n)
		n = pos_begin(&op, out, out_off);
	if (n)
		goto put;
	if (flags)
		n = -EINVAL;
	else if (lx_is_dir(in->inode) || lx_is_dir(out->inode))
		n = -EISDIR;
	else if (!lx_is_reg(in->inode) || !lx_is_reg(out->inode))
		n = -EINVAL;
	else if (in->inode->sb != out->inode->sb)
		n = -EXDEV;
	else if (atomic_load(&out->flags) & O_APPEND)
		n = -EBADF;
	else if (ip.value + (int64_t)count < ip.value || op.value + (int64_t)count < op.value)
		n = -EOVERFLOW;
	else if (in->inode == out->inode && ip.value < op.value + (int64_t)count &&
		 op.value < ip.value + (int64_t)MIN((uint64_t)count, in->inode->size))
		n = -EINVAL;		/* overlapping */
	if (n || !count)
		goto put;
	n = copy_between(self, in, ip.use, out, op.use, MIN(count, MAX_COPY));
	if (n > 0) {
		int err = pos_end(&op, out);

		if (pos_end(&ip, in) || err)
			n = -EFAULT;
	}
put:
	if (in)
		lx_file_put(in);
	if (out)
		lx_file_put(out);
	return n;
}
